/* What a reduction is made of: the kernels and the identity of SUM and MAX on a computed dtype. */
#ifndef TG_EXEC_FOLD_H
#define TG_EXEC_FOLD_H

#include "kernels/kernels.h"

typedef struct tg_fold {
  tgk_fold_fn block;     /* blocks into one element each */
  tgk_binary_fn combine; /* element by element */
  uint64_t identity;     /* its bytes */
} tg_fold;

tg_fold tg_fold_of(tg_op op, tg_dtype dtype);

#endif

/* What a reduction is made of: the kernels and the identity of SUM, MAX and PROD on a computed dtype. */
#ifndef TG_EXEC_FOLD_H
#define TG_EXEC_FOLD_H

#include "kernels/kernels.h"

typedef struct tg_fold {
  tgk_fold_fn block;     /* blocks into one element each */
  tgk_binary_fn combine; /* element by element */
  uint64_t identity;     /* its bytes */
} tg_fold;

tg_fold tg_fold_of(tg_op op, tg_dtype dtype);

/* n identities. */
void tg_fold_clear(const tg_fold *f, tg_dtype dtype, void *to, int64_t n);

/* Adds `count` lots of n elements, `bytes` apart, onto the first: in pairs, then pairs of pairs. */
void tg_fold_pairs(const tg_fold *f, char *first, size_t bytes, int64_t count, int64_t n);

#endif

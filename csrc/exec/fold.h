/* What a reduction is made of: the kernels and the identity of SUM, MAX and PROD on a computed dtype, and the order in
 * which partial results meet (kernels.h: TGK_FOLD_BLOCK) where it isn't a kernel that keeps it. */
#ifndef TG_EXEC_FOLD_H
#define TG_EXEC_FOLD_H

#include "kernels/kernels.h"

typedef struct tg_fold {
  tgk_fold run;
  tgk_binary_fn combine; /* element by element */
  uint64_t identity;     /* its bytes */
  tg_dtype dtype;
} tg_fold;

tg_fold tg_fold_of(tg_op op, tg_dtype dtype);

/* n identities. */
void tg_fold_clear(const tg_fold *f, void *to, int64_t n);

/* Lanes in which a block of n elements is combined: 1 or TGK_FOLD_LANES. Integers have no order. */
int64_t tg_fold_lanes(const tg_fold *f, int64_t n);

/* Combines the lanes in halves, n elements each one behind the other, into the first. */
void tg_fold_halves(const tg_fold *f, char *lanes, int64_t nlane, int64_t n);

/* Adds `count` lots of n elements, `bytes` apart, onto the first: in pairs, then pairs of pairs, as a counter does. */
void tg_fold_pairs(const tg_fold *f, char *first, size_t bytes, int64_t count, int64_t n);

/* A binary counter of partial results, `width` elements each: level i holds 2^i of them, or nothing. */
typedef struct tg_counter {
  const tg_fold *fold;
  char *levels;
  size_t bytes; /* of a level */
  int64_t width;
  uint64_t count;
} tg_counter;

/* Of a counter; TGK_FOLD_LEVELS do for any. */
int tg_counter_levels(int64_t partials);
/* Where the next partial result is to be put: identities. */
char *tg_counter_next(const tg_counter *c);
/* It is there: carries move up. */
void tg_counter_add(tg_counter *c);
/* Combines what waits with what is in `to`. */
void tg_counter_finish(const tg_counter *c, void *to);

#endif

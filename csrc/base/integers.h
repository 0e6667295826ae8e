/* Arithmetic on sizes and indices that more than one module needs. Owns: nothing. */
#ifndef TG_BASE_INTEGERS_H
#define TG_BASE_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t tg_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t tg_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Quotients rounded down and up; n > 0. */
static inline int64_t tg_floor_div(int64_t a, int64_t n) { return a / n - (a % n < 0); }
static inline int64_t tg_ceil_div(int64_t a, int64_t n) { return a / n + (a % n > 0); }
static inline int64_t tg_round_up(int64_t a, int64_t n) { return tg_ceil_div(a, n) * n; }

/* Elements of a shape; INT64_MAX of a part of one that is more, as another dim of it may be 0. */
static inline int64_t tg_product(const int64_t *shape, int ndim) {
  int64_t size = 1;
  for (int i = 0; i < ndim; i++)
    if (__builtin_mul_overflow(size, shape[i], &size)) size = INT64_MAX;
  return size;
}

/* The index of an element by its place in C order; no size is 0. */
static inline void tg_unflatten(int64_t flat, const int64_t *shape, int ndim, int64_t *idx) {
  for (int i = ndim - 1; i >= 0; i--) {
    idx[i] = flat % shape[i];
    flat /= shape[i];
  }
}

#endif

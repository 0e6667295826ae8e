/* Reductions by op and dtype, and their order (see fold.h). Callers: reduce.c, rows.c, vm.c. Owns: nothing. */
#include "exec/fold.h"

#include <string.h>

tg_fold tg_fold_of(tg_op op, tg_dtype dtype) {
  static const tg_scalar lowest[TG_DTYPE_COUNT] = {
      [TG_I8] = {.i = INT8_MIN},   [TG_I16] = {.i = INT16_MIN},        [TG_I32] = {.i = INT32_MIN},
      [TG_I64] = {.i = INT64_MIN}, [TG_F32] = {.f = -__builtin_inf()}, [TG_F64] = {.f = -__builtin_inf()}};
  tg_fold f = {tgk.sum[dtype], tgk.binary[TG_OP_ADD][dtype], 0, dtype};
  if (op == TG_OP_REDUCE_MAX) {
    f = (tg_fold){tgk.max[dtype], tgk.binary[TG_OP_MAX][dtype], 0, dtype};
    tg_scalar_store(dtype, lowest[dtype], &f.identity);
  } else if (op == TG_OP_REDUCE_PROD) {
    f = (tg_fold){tgk.prod[dtype], tgk.binary[TG_OP_MUL][dtype], 0, dtype};
    tg_scalar_store(dtype, tg_dtypes[dtype].is_float ? (tg_scalar){.f = 1} : (tg_scalar){.i = 1}, &f.identity);
  }
  return f;
}

void tg_fold_clear(const tg_fold *f, void *to, int64_t n) {
  if (n == 1) memcpy(to, &f->identity, tg_itemsize(f->dtype));
  else tgk.strided[tg_log2_itemsize(f->dtype)](to, &f->identity, 0, (size_t)n);
}

int64_t tg_fold_lanes(const tg_fold *f, int64_t n) {
  return !tg_dtypes[f->dtype].is_float || n < TGK_FOLD_LANES ? 1 : TGK_FOLD_LANES;
}

void tg_fold_halves(const tg_fold *f, char *lanes, int64_t nlane, int64_t n) {
  size_t bytes = (size_t)n * tg_itemsize(f->dtype);
  for (int64_t half = nlane / 2; half; half /= 2)
    f->combine(lanes, lanes, lanes + (size_t)half * bytes, (size_t)(half * n));
}

void tg_fold_pairs(const tg_fold *f, char *first, size_t bytes, int64_t count, int64_t n) {
  for (int64_t step = 1; step < count; step *= 2)
    for (int64_t i = 0; i + step < count; i += 2 * step) {
      char *to = first + (size_t)i * bytes;
      f->combine(to, to, to + (size_t)step * bytes, (size_t)n);
    }
}

int tg_counter_levels(int64_t partials) {
  int n = 1;
  while (partials >> n) n++;
  return n;
}

char *tg_counter_next(const tg_counter *c) {
  char *to = c->levels + (size_t)__builtin_ctzll(~c->count) * c->bytes;
  tg_fold_clear(c->fold, to, c->width);
  return to;
}

void tg_counter_add(tg_counter *c) {
  char *top = c->levels + (size_t)__builtin_ctzll(~c->count) * c->bytes;
  for (char *level = c->levels; level < top; level += c->bytes) c->fold->combine(top, level, top, (size_t)c->width);
  c->count++;
}

void tg_counter_finish(const tg_counter *c, void *to) {
  for (uint64_t rest = c->count; rest; rest &= rest - 1)
    c->fold->combine(to, c->levels + (size_t)__builtin_ctzll(rest) * c->bytes, to, (size_t)c->width);
}

/* Reductions by op and dtype (see fold.h). Callers: run.c, rows.c, vm.c. Owns: nothing. */
#include "exec/fold.h"

tg_fold tg_fold_of(tg_op op, tg_dtype dtype) {
  static const tg_scalar lowest[TG_DTYPE_COUNT] = {
      [TG_I8] = {.i = INT8_MIN},   [TG_I16] = {.i = INT16_MIN},        [TG_I32] = {.i = INT32_MIN},
      [TG_I64] = {.i = INT64_MIN}, [TG_F32] = {.f = -__builtin_inf()}, [TG_F64] = {.f = -__builtin_inf()}};
  tg_fold f = {tgk.sum[dtype], tgk.binary[TG_OP_ADD][dtype], 0};
  if (op == TG_OP_REDUCE_MAX) {
    f = (tg_fold){tgk.max[dtype], tgk.binary[TG_OP_MAX][dtype], 0};
    tg_scalar_store(dtype, lowest[dtype], &f.identity);
  } else if (op == TG_OP_REDUCE_PROD) {
    f = (tg_fold){tgk.prod[dtype], tgk.binary[TG_OP_MUL][dtype], 0};
    tg_scalar_store(dtype, tg_dtypes[dtype].is_float ? (tg_scalar){.f = 1} : (tg_scalar){.i = 1}, &f.identity);
  }
  return f;
}

void tg_fold_clear(const tg_fold *f, tg_dtype dtype, void *to, int64_t n) {
  tgk.strided[tg_log2_itemsize(dtype)](to, &f->identity, 0, (size_t)n);
}

void tg_fold_pairs(const tg_fold *f, char *first, size_t bytes, int64_t count, int64_t n) {
  for (int64_t step = 1; step < count; step *= 2)
    for (int64_t i = 0; i + step < count; i += 2 * step) {
      char *to = first + (size_t)i * bytes;
      f->combine(to, to, to + (size_t)step * bytes, (size_t)n);
    }
}

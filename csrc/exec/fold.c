/* Reductions by op and dtype (see fold.h). Callers: run.c, rows.c, vm.c. Owns: nothing. */
#include "exec/fold.h"

tg_fold tg_fold_of(tg_op op, tg_dtype dtype) {
  static const tg_scalar lowest[TG_DTYPE_COUNT] = {
      [TG_I8] = {.i = INT8_MIN},   [TG_I16] = {.i = INT16_MIN},        [TG_I32] = {.i = INT32_MIN},
      [TG_I64] = {.i = INT64_MIN}, [TG_F32] = {.f = -__builtin_inf()}, [TG_F64] = {.f = -__builtin_inf()}};
  bool sum = op == TG_OP_REDUCE_SUM;
  tg_fold f = {(sum ? tgk.sum : tgk.max)[dtype], tgk.binary[sum ? TG_OP_ADD : TG_OP_MAX][dtype], 0};
  if (!sum) tg_scalar_store(dtype, lowest[dtype], &f.identity);
  return f;
}

/* Element types: the table, promotion, and scalars in their stored and computed forms.
 * Owns: the constants. Called by every layer above; nothing here fails or allocates. */
#include "graph/dtype.h"

#include <string.h>
#include "graph/convert.h"

#define IS_FLOAT(e) (TG_##e >= TG_F16)
#define IS_SIGNED(e) \
  (IS_FLOAT(e) || TG_##e == TG_I8 || TG_##e == TG_I16 || TG_##e == TG_I32 || TG_##e == TG_I64)

const tg_dtype_info tg_dtypes[TG_DTYPE_COUNT] = {
#define TG_DTYPE(e, attr, name, prio, ctype, computed) \
  {attr, name, prio, (int)sizeof(ctype), TG_##computed, IS_FLOAT(e), IS_SIGNED(e)},
#include "graph/dtype.def"
#undef TG_DTYPE
};

tg_dtype tg_promote(tg_dtype a, tg_dtype b) {
  const tg_dtype_info *x = &tg_dtypes[a], *y = &tg_dtypes[b];
  if (x->priority != y->priority) return x->priority > y->priority ? a : b;
  if (x->itemsize != y->itemsize) return x->itemsize > y->itemsize ? a : b;
  return strcmp(x->name, y->name) >= 0 ? a : b;
}

static tg_dtype common_float_int(tg_dtype f, tg_dtype i) {
  int need = i == TG_BOOL ? 0 : tg_dtypes[i].itemsize == 1 ? 2 : tg_dtypes[i].itemsize == 2 ? 4 : 8;
  if (tg_dtypes[f].itemsize >= need) return f;
  return need == 4 ? TG_F32 : TG_F64;
}

tg_dtype tg_common(tg_dtype a, tg_dtype b) {
  const tg_dtype_info *x = &tg_dtypes[a], *y = &tg_dtypes[b];
  if (a == b) return a;
  if (x->is_float != y->is_float) return x->is_float ? common_float_int(a, b) : common_float_int(b, a);
  if (x->is_float) return x->itemsize == y->itemsize ? TG_F32 : x->itemsize > y->itemsize ? a : b;
  if (a == TG_BOOL || b == TG_BOOL) return a == TG_BOOL ? b : a;
  if (x->is_signed == y->is_signed) return x->itemsize > y->itemsize ? a : b;
  tg_dtype s = x->is_signed ? a : b, u = x->is_signed ? b : a;
  if (tg_dtypes[s].itemsize > tg_dtypes[u].itemsize) return s;
  return u == TG_U8 ? TG_I16 : u == TG_U16 ? TG_I32 : u == TG_U32 ? TG_I64 : TG_F64;
}

float tg_f16_to_f32(uint16_t h) { return tg_convert_f16_f32(h); }
uint16_t tg_f64_to_f16(double x) { return tg_convert_f32_f16(tg_convert_f64_f32_odd(x)); }
float tg_bf16_to_f32(uint16_t h) { return tg_convert_bf16_f32(h); }
uint16_t tg_f64_to_bf16(double x) { return tg_convert_f32_bf16(tg_convert_f64_f32_odd(x)); }

void tg_scalar_store(tg_dtype d, tg_scalar value, void *element) {
  switch (d) {
  case TG_F16: value.u = tg_f64_to_f16(value.f); break;
  case TG_BF16: value.u = tg_f64_to_bf16(value.f); break;
  case TG_F32: value.u = tg_bits_of_f32((float)value.f); break;
  case TG_BOOL: value.u = value.u != 0; break;
  default: break;
  }
  uint8_t u8 = (uint8_t)value.u;
  uint16_t u16 = (uint16_t)value.u;
  uint32_t u32 = (uint32_t)value.u;
  switch (tg_dtypes[d].itemsize) {
  case 1: memcpy(element, &u8, 1); break;
  case 2: memcpy(element, &u16, 2); break;
  case 4: memcpy(element, &u32, 4); break;
  default: memcpy(element, &value.u, 8); break;
  }
}

/* Two's complement: the low bits of u, extended to 64. */
static int64_t cut(tg_dtype d, uint64_t u) {
  switch (d) {
  case TG_BOOL: return u != 0;
  case TG_I8: return (int64_t)((u & 0xff) ^ 0x80) - 0x80;
  case TG_U8: return (int64_t)(u & 0xff);
  case TG_I16: return (int64_t)((u & 0xffff) ^ 0x8000) - 0x8000;
  case TG_U16: return (int64_t)(u & 0xffff);
  case TG_I32: return (int64_t)((u & 0xffffffff) ^ 0x80000000) - 0x80000000;
  case TG_U32: return (int64_t)(u & 0xffffffff);
  default: return (int64_t)u;
  }
}

static uint64_t float_to_int(tg_dtype to, double x) {
  switch (to) {
  case TG_BOOL: return x != 0;
  case TG_U32:
  case TG_I64: return (uint64_t)tg_convert_f64_i64(x);
  case TG_U64: return tg_convert_f64_u64(x);
  default: return (uint64_t)tg_convert_f64_i32(x);
  }
}

static double int_to_float(tg_dtype from, tg_dtype to, tg_scalar value) {
  bool is_unsigned = from == TG_U64;
  switch (to) {
  case TG_F64: return is_unsigned ? (double)value.u : (double)value.i;
  case TG_F32: return is_unsigned ? (double)(float)value.u : (double)(float)value.i;
  default: return is_unsigned ? tg_convert_u64_f64_odd(value.u) : tg_convert_i64_f64_odd(value.i);
  }
}

static double round_float(tg_dtype to, double x) {
  switch (to) {
  case TG_F16: return (double)tg_f16_to_f32(tg_f64_to_f16(x));
  case TG_BF16: return (double)tg_bf16_to_f32(tg_f64_to_bf16(x));
  case TG_F32: return (double)(float)x;
  default: return x;
  }
}

tg_scalar tg_scalar_cast(tg_dtype from, tg_dtype to, tg_scalar value) {
  tg_scalar out;
  if (tg_dtypes[to].is_float) {
    out.f = round_float(to, tg_dtypes[from].is_float ? value.f : int_to_float(from, to, value));
  } else {
    out.i = cut(to, tg_dtypes[from].is_float ? float_to_int(to, value.f) : value.u);
  }
  return out;
}

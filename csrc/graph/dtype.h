/* Element types: their table (dtype.def), promotion and scalar values.
 * Owns: nothing but constants. */
#ifndef TG_GRAPH_DTYPE_H
#define TG_GRAPH_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tg_dtype {
#define TG_DTYPE(e, attr, name, prio, ctype, computed) TG_##e,
#include "graph/dtype.def"
#undef TG_DTYPE
  TG_DTYPE_COUNT
} tg_dtype;

typedef struct tg_dtype_info {
  const char *attribute; /* dtypes.float16 */
  const char *name;      /* "half" */
  int priority;
  int itemsize;
  tg_dtype computed; /* the type of a VM register that holds it */
  bool is_float, is_signed;
} tg_dtype_info;

extern const tg_dtype_info tg_dtypes[TG_DTYPE_COUNT];

static inline size_t tg_itemsize(tg_dtype d) { return (size_t)tg_dtypes[d].itemsize; }
static inline int tg_log2_itemsize(tg_dtype d) { return __builtin_ctz((unsigned)tg_dtypes[d].itemsize); }
static inline tg_dtype tg_computed(tg_dtype d) { return tg_dtypes[d].computed; }

/* teenygrad's promotion: max of (priority, itemsize, name). */
tg_dtype tg_promote(tg_dtype a, tg_dtype b);

/* NumPy's common type, in which mixed operands are computed (int32 with half: float64). */
tg_dtype tg_common(tg_dtype a, tg_dtype b);

/* A scalar of any dtype: integers exact in i (two's complement, 64 bits), floats in f. */
typedef union tg_scalar {
  int64_t i;
  uint64_t u;
  double f;
} tg_scalar;

/* Room for one element of any dtype. */
typedef union tg_element {
  uint64_t u64;
  uint32_t u32;
  uint16_t u16;
  uint8_t u8;
  double f64;
  float f32;
} tg_element;

/* Writes the scalar as one stored element of dtype d (wrapping, rounding to nearest even). */
void tg_scalar_store(tg_dtype d, tg_scalar value, void *element);
/* The scalar of dtype `to` that converting one of dtype `from` gives (C conversion; NaN and
 * out-of-range floats become what the cast kernels make of them). */
tg_scalar tg_scalar_cast(tg_dtype from, tg_dtype to, tg_scalar value);

/* Bit conversions of the two 16-bit float formats, round to nearest even, NaN kept quiet. */
float tg_f16_to_f32(uint16_t h);
uint16_t tg_f64_to_f16(double x); /* rounds once */
float tg_bf16_to_f32(uint16_t h);
uint16_t tg_f64_to_bf16(double x); /* rounds once */

#endif

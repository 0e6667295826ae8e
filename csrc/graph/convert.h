/* Conversions between numbers that C leaves undefined, rounds twice or does not have: one value at a
 * time, without branches, so that a loop over any of them becomes vector code in the caller.
 *
 * Out-of-range and NaN floats become what x86 hardware (and so x86 NumPy) makes of them: the
 * smallest value of the signed integer that the instruction produces, cut to the width asked for.
 * Called by graph/dtype.c (scalars) and by the cast kernels (arrays), which therefore agree. */
#ifndef TG_GRAPH_CONVERT_H
#define TG_GRAPH_CONVERT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t tg_bits_of_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float tg_f32_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* IEEE half: sign, 5 bits of exponent, 10 of mantissa. */
static inline float tg_convert_f16_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
  uint32_t normal = (magnitude << 13) + ((127u - 15u) << 23);
  uint32_t tiny = tg_bits_of_f32((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t special = (magnitude << 13) | 0x7f800000 | (magnitude > 0x7c00 ? 0x400000 : 0);
  uint32_t bits = magnitude < 0x400 ? tiny : normal;
  return tg_f32_of_bits(sign | (magnitude < 0x7c00 ? bits : special));
}

static inline uint16_t tg_convert_f32_f16(float x) {
  uint32_t bits = tg_bits_of_f32(x), sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  uint32_t normal = (bits - ((127u - 15u) << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
  /* Below 2^-14 the result is a multiple of 2^-24, which is what adding 0.5 rounds to. */
  uint32_t tiny = tg_bits_of_f32(tg_f32_of_bits(bits) + 0.5f) - 0x3f000000;
  uint32_t special = bits > 0x7f800000 ? 0x7e00 | (bits >> 13 & 0x3ff) : 0x7c00;
  uint32_t finite = bits < 0x38800000 ? tiny : normal;
  return (uint16_t)(sign | (bits < 0x47800000 ? finite : special));
}

/* bfloat16: the upper half of a float32. */
static inline float tg_convert_bf16_f32(uint16_t h) {
  return tg_f32_of_bits((uint32_t)h << 16);
}

static inline uint16_t tg_convert_f32_bf16(float x) {
  uint32_t bits = tg_bits_of_f32(x);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* Rounds to odd: an inexact result gets its last bit set, which is enough for a second rounding
 * to fewer bits to come out as if it were the only one. */
static inline float tg_convert_f64_f32_odd(double x) {
  float nearest = (float)x;
  double back = (double)nearest;
  uint32_t bits = tg_bits_of_f32(nearest);
  uint32_t too_large = (back > x && x > 0) || (back < x && x < 0);
  return tg_f32_of_bits(back == x ? bits : (bits - too_large) | 1);
}

/* 64-bit integers the same way; |x| < 2^53 is exact, else the 11 bits that may not fit become one. */
static inline double tg_convert_i64_f64_odd(int64_t x) {
  bool exact = x > -((int64_t)1 << 53) && x < (int64_t)1 << 53;
  int64_t odd = (x & ~(int64_t)0x7ff) | ((x & 0x7ff) ? 0x400 : 0);
  return (double)(exact ? x : odd);
}

static inline double tg_convert_u64_f64_odd(uint64_t x) {
  bool exact = x < (uint64_t)1 << 53;
  uint64_t odd = (x & ~(uint64_t)0xfff) | ((x & 0xfff) ? 0x800 : 0);
  return (double)(exact ? x : odd);
}

static inline int32_t tg_convert_f32_i32(float x) {
  bool fits = x >= -0x1p31f && x < 0x1p31f;
  int32_t value = (int32_t)(fits ? x : 0.0f);
  return fits ? value : INT32_MIN;
}

static inline int64_t tg_convert_f32_i64(float x) {
  bool fits = x >= -0x1p63f && x < 0x1p63f;
  int64_t value = (int64_t)(fits ? x : 0.0f);
  return fits ? value : INT64_MIN;
}

static inline int32_t tg_convert_f64_i32(double x) {
  bool fits = x > -0x1p31 - 1 && x < 0x1p31;
  int32_t value = (int32_t)(fits ? x : 0.0);
  return fits ? value : INT32_MIN;
}

static inline int64_t tg_convert_f64_i64(double x) {
  bool fits = x >= -0x1p63 && x < 0x1p63;
  int64_t value = (int64_t)(fits ? x : 0.0);
  return fits ? value : INT64_MIN;
}

/* From 2^63 up the instruction is given x - 2^63 and the top bit is flipped afterwards. */
static inline uint64_t tg_convert_f64_u64(double x) {
  bool upper = x >= 0x1p63;
  return (uint64_t)tg_convert_f64_i64(upper ? x - 0x1p63 : x) ^ (uint64_t)upper << 63;
}

#endif

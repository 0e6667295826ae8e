/* Vectors as wide as a register of the instruction set being compiled, in terms of GCC's and clang's
 * vector extensions: + - * / & | ^ ~ << >> and comparisons (all ones where true) work on them as they
 * stand, casts between vectors reinterpret bits, __builtin_convertvector converts values.
 * This header adds what the extensions lack. Included once by an isa_*.c, inside its target region.
 *
 *   vf32 vf64 vi32 vu32 vi64 vu64                       a vector; TGK_LANES(vf32) elements
 *   vf32_load(p) vf32_store(p, v)                       p aligned to the element
 *   vf32_load_some(p, n, x) vf64_load_some(p, n, x)     n elements, fewer than lanes, and x in the other lanes
 *   vf32_set1(x)                                        x in every lane
 *   vf32_fma(a, b, c) vf64_fma(a, b, c)                 a * b + c, rounded once where TGK_FMA
 *   vf32_select(mask, a, b) vf64_select(mask, a, b)     mask ? a : b, mask all ones or zero by lane
 *   vf32_max(a, b) vf64_max(a, b)                       the larger, a if they are equal; NaN if either is
 *   vf32_clamp(x, low, high)                            x within scalar bounds; NaN stays
 *   vf32_mul_error(a, b, p)                             a * b - p without rounding, p being a * b rounded
 *   vf32_fma_once(a, b, c)                              a * b + c rounded as if once everywhere, |a * b| <= |c|
 *   vf32_turn(v, k) vf64_turn(v, k)                     lane i + k of v in lane i, around the end
 *   vi64_any(mask)                                      whether a lane is set
 *   TGK_HOLD(v)                                         loads v once: or it may be read from memory at each use
 *   TGK_INDEPENDENT                                     before a loop whose turns don't depend on each other
 *   TGK_SCALAR                                          in a loop that vector code would only slow down */
#if TGK_AVX512
#define TGK_BYTES 64
#elif TGK_AVX2
#define TGK_BYTES 32
#else
#define TGK_BYTES 16
#endif

#if TGK_AVX512 || TGK_AVX2 || defined(__aarch64__)
#define TGK_FMA 1
#else
#define TGK_FMA 0
#endif

#define TGK_INLINE static inline __attribute__((always_inline))

/* dst may be a source, so `restrict` would be a lie; this is the promise that holds. clang takes it for an
 * order, and warns when a sanitizer keeps it from obeying. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#define TGK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define TGK_INDEPENDENT _Pragma("GCC ivdep")
#endif

#define TGK_SCALAR __asm__ volatile("")

#if defined(__x86_64__)
#define TGK_HOLD(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define TGK_HOLD(v) __asm__("" : "+w"(v))
#else
#define TGK_HOLD(v) (void)(v)
#endif

#define TGK_LANES(vector) ((int)(sizeof(vector) / sizeof(((vector){0})[0])))

/* x - 0 rather than x + 0 keeps the sign of -0. */
#define TGK_VECTOR(vector, type)                                                                            \
  typedef type vector __attribute__((vector_size(TGK_BYTES)));                                              \
  typedef type vector##_unaligned __attribute__((vector_size(TGK_BYTES), aligned(sizeof(type)), may_alias)); \
  TGK_INLINE vector vector##_load(const type *p) { return (vector) * (const vector##_unaligned *)p; }       \
  TGK_INLINE void vector##_store(type *p, vector v) { *(vector##_unaligned *)p = (vector##_unaligned)v; }   \
  TGK_INLINE vector vector##_set1(type x) { return x - (vector){0}; }

/* Both compilers make one instruction of it where k is a constant, but not of the same source. */
#if defined(__clang__)
#define TGK_TURN(vector, integers)                                                                          \
  TGK_INLINE vector vector##_turn(vector v, int k) {                                                        \
    vector turned = v;                                                                                      \
    for (int i = 0; i < TGK_LANES(vector); i++) turned[i] = v[(i + k) % TGK_LANES(vector)];                 \
    return turned;                                                                                          \
  }
#else
#define TGK_TURN(vector, integers)                                                                          \
  TGK_INLINE vector vector##_turn(vector v, int k) {                                                        \
    integers from = {0};                                                                                    \
    for (int i = 0; i < TGK_LANES(vector); i++) from[i] = (i + k) % TGK_LANES(vector);                      \
    return __builtin_shuffle(v, from);                                                                      \
  }
#endif

TGK_VECTOR(vf32, float)
TGK_VECTOR(vf64, double)
TGK_VECTOR(vi32, int32_t)
TGK_VECTOR(vu32, uint32_t)
TGK_VECTOR(vi64, int64_t)
TGK_VECTOR(vu64, uint64_t)
TGK_TURN(vf32, vi32)
TGK_TURN(vf64, vi64)

#if TGK_AVX512
TGK_INLINE vf32 vf32_load_some(const float *p, size_t n, float x) {
  return (vf32)_mm512_mask_loadu_ps(_mm512_set1_ps(x), (__mmask16)((1u << n) - 1), p);
}
TGK_INLINE vf64 vf64_load_some(const double *p, size_t n, double x) {
  return (vf64)_mm512_mask_loadu_pd(_mm512_set1_pd(x), (__mmask8)((1u << n) - 1), p);
}
#elif TGK_AVX2
TGK_INLINE vf32 vf32_load_some(const float *p, size_t n, float x) {
  vi32 lane = {0, 1, 2, 3, 4, 5, 6, 7}, mask = lane < (int32_t)n;
  return (vf32)_mm256_blendv_ps(_mm256_set1_ps(x), _mm256_maskload_ps(p, (__m256i)mask), (__m256)mask);
}
TGK_INLINE vf64 vf64_load_some(const double *p, size_t n, double x) {
  vi64 lane = {0, 1, 2, 3}, mask = lane < (int64_t)n;
  return (vf64)_mm256_blendv_pd(_mm256_set1_pd(x), _mm256_maskload_pd(p, (__m256i)mask), (__m256d)mask);
}
#else
#define TGK_LOAD_SOME(vector, type)                                         \
  TGK_INLINE vector vector##_load_some(const type *p, size_t n, type x) {   \
    vector v = vector##_set1(x);                                            \
    for (size_t i = 0; i < n; i++) v[i] = p[i];                             \
    return v;                                                               \
  }
TGK_LOAD_SOME(vf32, float)
TGK_LOAD_SOME(vf64, double)
#endif

#if TGK_AVX512
TGK_INLINE vf32 vf32_fma(vf32 a, vf32 b, vf32 c) { return (vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
TGK_INLINE vf64 vf64_fma(vf64 a, vf64 b, vf64 c) { return (vf64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
#elif TGK_AVX2
TGK_INLINE vf32 vf32_fma(vf32 a, vf32 b, vf32 c) { return (vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
TGK_INLINE vf64 vf64_fma(vf64 a, vf64 b, vf64 c) { return (vf64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
#elif TGK_FMA
TGK_INLINE vf32 vf32_fma(vf32 a, vf32 b, vf32 c) {
  return (vf32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
TGK_INLINE vf64 vf64_fma(vf64 a, vf64 b, vf64 c) {
  return (vf64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
TGK_INLINE vf32 vf32_fma(vf32 a, vf32 b, vf32 c) { return a * b + c; }
TGK_INLINE vf64 vf64_fma(vf64 a, vf64 b, vf64 c) { return a * b + c; }
#endif

#if TGK_AVX512
TGK_INLINE vf32 vf32_select(vi32 mask, vf32 a, vf32 b) {
  return (vf32)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
}
TGK_INLINE vf64 vf64_select(vi64 mask, vf64 a, vf64 b) {
  return (vf64)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)mask), (__m512d)b, (__m512d)a);
}
#elif TGK_AVX2
TGK_INLINE vf32 vf32_select(vi32 mask, vf32 a, vf32 b) {
  return (vf32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
}
TGK_INLINE vf64 vf64_select(vi64 mask, vf64 a, vf64 b) {
  return (vf64)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)mask);
}
#else
TGK_INLINE vf32 vf32_select(vi32 mask, vf32 a, vf32 b) { return (vf32)((mask & (vi32)a) | (~mask & (vi32)b)); }
TGK_INLINE vf64 vf64_select(vi64 mask, vf64 a, vf64 b) { return (vf64)((mask & (vi64)a) | (~mask & (vi64)b)); }
#endif

#if TGK_FMA
TGK_INLINE vf32 vf32_mul_error(vf32 a, vf32 b, vf32 p) { return vf32_fma(a, b, -p); }
TGK_INLINE vf32 vf32_fma_once(vf32 a, vf32 b, vf32 c) { return vf32_fma(a, b, c); }
#else
/* Dekker: the upper and lower 12 bits of each factor have exact products. */
TGK_INLINE vf32 vf32_mul_error(vf32 a, vf32 b, vf32 p) {
  vf32 a_high = (vf32)((vi32)a & -4096), a_low = a - a_high;
  vf32 b_high = (vf32)((vi32)b & -4096), b_low = b - b_high;
  return a_high * b_high - p + a_high * b_low + a_low * b_high + a_low * b_low;
}
TGK_INLINE vf32 vf32_fma_once(vf32 a, vf32 b, vf32 c) {
  vf32 product = a * b, sum = c + product;
  return sum + ((c - sum) + product + vf32_mul_error(a, b, product));
}
#endif

#if TGK_AVX512
TGK_INLINE bool vi64_any(vi64 mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }
#elif TGK_AVX2
TGK_INLINE bool vi64_any(vi64 mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }
#else
TGK_INLINE bool vi64_any(vi64 mask) { return (mask[0] | mask[1]) != 0; }
#endif

/* The x86 instructions give their second operand if both are equal, or if there is a NaN in either. */
#if TGK_AVX512
TGK_INLINE vf32 vf32_max(vf32 a, vf32 b) {
  __mmask16 number = _mm512_cmp_ps_mask((__m512)b, (__m512)b, _CMP_ORD_Q);
  return (vf32)_mm512_mask_max_ps((__m512)b, number, (__m512)b, (__m512)a);
}
TGK_INLINE vf64 vf64_max(vf64 a, vf64 b) {
  __mmask8 number = _mm512_cmp_pd_mask((__m512d)b, (__m512d)b, _CMP_ORD_Q);
  return (vf64)_mm512_mask_max_pd((__m512d)b, number, (__m512d)b, (__m512d)a);
}
TGK_INLINE vf32 vf32_clamp(vf32 x, float low, float high) {
  return (vf32)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
}
#elif TGK_AVX2
TGK_INLINE vf32 vf32_max(vf32 a, vf32 b) { return vf32_select(b != b, b, (vf32)_mm256_max_ps((__m256)b, (__m256)a)); }
TGK_INLINE vf64 vf64_max(vf64 a, vf64 b) { return vf64_select(b != b, b, (vf64)_mm256_max_pd((__m256d)b, (__m256d)a)); }
TGK_INLINE vf32 vf32_clamp(vf32 x, float low, float high) {
  return (vf32)_mm256_max_ps(_mm256_set1_ps(low), _mm256_min_ps(_mm256_set1_ps(high), (__m256)x));
}
#else
TGK_INLINE vf32 vf32_max(vf32 a, vf32 b) { return vf32_select((b > a) | (b != b), b, a); }
TGK_INLINE vf64 vf64_max(vf64 a, vf64 b) { return vf64_select((b > a) | (b != b), b, a); }
TGK_INLINE vf32 vf32_clamp(vf32 x, float low, float high) {
  x = vf32_select(x > high, vf32_set1(high), x);
  return vf32_select(x < low, vf32_set1(low), x);
}
#endif

/* The kernels for AVX-512 F, VL, BW and DQ, and those that need BF16, too. Empty but on x86-64.
 *
 * The target is switched on for a region of the file rather than by compiler flags, which an
 * ordinary Python extension build cannot give to one file alone. Headers stay outside the region.
 * Inside, tests are for TGK_AVX512: clang does not define __AVX2__ and the like there.
 * Called by dispatch.c. */
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "graph/convert.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("f16c,avx512f,avx512vl,avx512bw,avx512dq"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("f16c,avx512f,avx512vl,avx512bw,avx512dq")
#endif

#define TGK_AVX512 1
#define TGK_ISA_SUFFIX avx512
#include "kernels/k_all.inc"

#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16"))),                 \
                             apply_to = function)
#else
#pragma GCC target("avx512bf16")
#endif

#include "kernels/k_bf16.inc"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
void tgk_fill__avx512(tgk_table *t) { (void)t; }
void tgk_fill_bf16__avx512(tgk_table *t) { (void)t; }
#endif

/* The kernels for the processor family's baseline: SSE2 on x86-64, NEON on arm64, else whatever the
 * compiler makes of 16-byte vectors. Called by dispatch.c. */
#include "kernels/isa.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__x86_64__)
#include <emmintrin.h>
#endif
#include "graph/convert.h"

#define TGK_ISA_SUFFIX base
#include "kernels/k_all.inc"

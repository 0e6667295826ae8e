/* What the machine can do, measured: the roofline that DEBUG output compares kernels with.
 * Owns: the last measurement. */
#ifndef TG_EXEC_LIMITS_H
#define TG_EXEC_LIMITS_H

#include "base/status.h"

/* A second, by all threads together. */
typedef struct tg_limits {
  double bytes;                /* streamed from memory, or from and to it */
  double flops_f32, flops_f64; /* multiply-adds count 2 */
} tg_limits;

/* Measures at the first call (about 50 ms) and again if the instruction set or the number of threads have changed.
 * Needs the engine's lock. MEMORY is the only failure. */
tg_status tg_limits_get(tg_limits *out) TG_MUST_CHECK;

#endif

/* The monotonic clock (see clock.h). Callers: exec/execute.c, exec/limits.c, py/. */
#define _GNU_SOURCE /* clock_gettime, CLOCK_MONOTONIC_COARSE */
#include "base/clock.h"

#include <time.h>

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

static double read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double tg_clock(void) { return read_clock(CLOCK_MONOTONIC); }

double tg_clock_coarse(void) { return read_clock(CLOCK_MONOTONIC_COARSE); }

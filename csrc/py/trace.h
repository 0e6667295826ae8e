/* DEBUG output: what realizing ran, what it cost, and how near the machine's limits it came (docs/debug.md).
 * Owns: the times of one schedule's kernels while it runs. */
#ifndef TG_PY_TRACE_H
#define TG_PY_TRACE_H

#include "py/engine.h"

#include "exec/execute.h"
#include "exec/limits.h"

typedef struct trace {
  int level; /* 0: nothing is noted or printed */
  double *seconds;
  tg_limits limits;
} trace;

/* For a schedule about to run; without memory nothing will be printed. */
void trace_init(trace *t, const tg_schedule *s);
/* As tg_execute, noting times. Under the engine's lock, without the GIL. */
tg_status trace_execute(trace *t, tg_schedule *s) TG_MUST_CHECK;
/* Prints to Python's sys.stdout; `what` is the word at the front. Needs the GIL. */
void trace_print(const trace *t, const tg_schedule *s, const char *what, int ntarget);
void trace_clear(trace *t);

#endif

/* What realizing ran, what it cost, and how near the machine's limits it came: printed for DEBUG (docs/debug.md), and
 * told to the tracer as data (docs/pictures.md).
 * Owns: the times of one schedule's kernels while it runs, and its description. */
#ifndef TG_PY_TRACE_H
#define TG_PY_TRACE_H

#include "py/engine.h"

#include "base/pool.h"
#include "exec/execute.h"
#include "exec/limits.h"

typedef struct trace {
  int level;                      /* 0: nothing is printed */
  PyObject *tracer, *description; /* NULL: nobody is told */
  tg_timing *timing;              /* NULL: nothing is noted */
  tg_span *spans;
  int64_t nspan;
  double asked, planned, begun, done; /* moments by tg_clock */
  tg_limits limits;
} trace;

/* Before the schedule is built, with its members if there is a tracer. */
void trace_start(trace *t);
/* For a schedule about to run. Without memory nothing is printed. Describing it may fail, with an exception. */
tg_status trace_schedule(trace *t, const tg_schedule *s) TG_MUST_CHECK;
/* As tg_execute, noting times. Under the engine's lock, without the GIL. */
tg_status trace_execute(trace *t, tg_schedule *s) TG_MUST_CHECK;
/* Prints to Python's sys.stdout and calls the tracer; `what` is the word at the front. What was computed stays so if
 * that raises an exception. */
tg_status trace_report(trace *t, const tg_schedule *s, const char *what, int ntarget) TG_MUST_CHECK;
void trace_clear(trace *t);

#endif

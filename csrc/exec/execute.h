/* Runs a schedule: the step between tg_schedule_build and tg_schedule_commit. */
#ifndef TG_EXEC_EXECUTE_H
#define TG_EXEC_EXECUTE_H

#include "sched/schedule.h"

/* Called after each kernel with the seconds it took; may be NULL. Runs without the graph lock. */
typedef void (*tg_trace_fn)(void *context, const tg_schedule *s, int kernel, double seconds);

/* Needs the engine's lock, not the graph lock. On failure what was written so far is dropped with the schedule. */
tg_status tg_execute(tg_schedule *s, tg_trace_fn trace, void *context) TG_MUST_CHECK;

#endif

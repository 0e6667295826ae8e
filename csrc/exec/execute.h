/* Runs a schedule: the step between tg_schedule_build and tg_schedule_commit. */
#ifndef TG_EXEC_EXECUTE_H
#define TG_EXEC_EXECUTE_H

#include "sched/schedule.h"

/* Needs the engine's lock, not the graph lock. If seconds is not NULL, it gets the time that each kernel took. On
 * failure what was written so far is dropped with the schedule. */
tg_status tg_execute(tg_schedule *s, double *seconds) TG_MUST_CHECK;

#endif

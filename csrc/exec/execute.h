/* Runs a schedule: the step between tg_schedule_build and tg_schedule_commit. */
#ifndef TG_EXEC_EXECUTE_H
#define TG_EXEC_EXECUTE_H

#include "sched/schedule.h"

/* Of one kernel. */
typedef struct tg_timing {
  double start, seconds; /* when it began, by tg_clock, and how long it took */
  int64_t bytes;         /* of all data there was while it ran */
} tg_timing;

/* Needs the engine's lock, not the graph lock. If timing is not NULL, it gets that of each kernel. On failure what was
 * written so far is dropped with the schedule. */
tg_status tg_execute(tg_schedule *s, tg_timing *timing) TG_MUST_CHECK;

#endif

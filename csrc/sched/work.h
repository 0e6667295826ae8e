/* How much a kernel has to do at least: memory traffic and arithmetic, read off its program.
 * Owns: nothing. */
#ifndef TG_SCHED_WORK_H
#define TG_SCHED_WORK_H

#include "sched/schedule.h"

typedef struct tg_work {
  int inputs;     /* buffers it reads */
  double read;    /* bytes: the distinct elements that it needs of each input but those that are local to a chain */
  double written; /* bytes of its output, likewise */
  double flops;   /* in additions, by the costs in ops.def; a multiply-add is 2 */
  bool f64;       /* computed in float64: the peak is another */
} tg_work;

tg_work tg_kernel_work(const tg_schedule *s, int kernel);

#endif

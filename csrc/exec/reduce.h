/* Runs a REDUCE kernel, or the exact form of a contraction. */
#ifndef TG_EXEC_REDUCE_H
#define TG_EXEC_REDUCE_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_reduce_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

#endif

/* Kernels that put rows in order. */
#ifndef TG_EXEC_SORT_H
#define TG_EXEC_SORT_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_sort_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

#endif

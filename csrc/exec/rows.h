/* ROWS kernels: chains of reductions over rows that stay in cache. */
#ifndef TG_EXEC_ROWS_H
#define TG_EXEC_ROWS_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_rows_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

#endif

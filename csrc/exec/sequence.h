/* Kernels in which elements depend on those before them: running sums and scattered additions. */
#ifndef TG_EXEC_SEQUENCE_H
#define TG_EXEC_SEQUENCE_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_scan_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;
tg_status tg_scatter_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK; /* INDEX for one out of range */

#endif

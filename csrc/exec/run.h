/* Runs one kernel on all cores. */
#ifndef TG_EXEC_RUN_H
#define TG_EXEC_RUN_H

#include "sched/kernel.h"

/* slots: the kernel's buffers, each as large as its views reach. Needs no lock but the engine's.
 * On failure (MEMORY, UNSUPPORTED, INDEX) the output is undefined, all else untouched. */
tg_status tg_run_kernel(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

#endif

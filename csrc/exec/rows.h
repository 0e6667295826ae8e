/* ROWS kernels: chains of reductions over rows that stay in cache. */
#ifndef TG_EXEC_ROWS_H
#define TG_EXEC_ROWS_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_rows_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

/* As tg_part (run.h). */
typedef struct tg_rows tg_rows;
tg_status tg_rows_open(const tg_kernel *kernel, void *const *slots, tg_rows **out) TG_MUST_CHECK;
tg_status tg_rows_run_part(tg_rows *r, int64_t first, int64_t rows) TG_MUST_CHECK;
void tg_rows_close(tg_rows *r); /* NULL-safe */

#endif

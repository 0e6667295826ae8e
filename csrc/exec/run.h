/* Runs one kernel on all cores. */
#ifndef TG_EXEC_RUN_H
#define TG_EXEC_RUN_H

#include "exec/contract.h"
#include "exec/rows.h"

/* slots: the kernel's buffers, each as large as its views reach. Needs no lock but the engine's.
 * On failure (MEMORY, UNSUPPORTED, INDEX) the output is undefined, all else untouched. */
tg_status tg_run_kernel(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

/* A kernel prepared for one worker, who runs it part by part: rows [first, first + rows) of its tg_kernel_rows, at most
 * as many as it was opened for; of a contraction rows of one batch, or whole batches. Sums have the bits that they have
 * in the kernel run as a whole. What the slots point to may change from part to part. */
typedef struct tg_part {
  const tg_kernel *kernel;
  struct tg_map *map;
  tg_rows *rows;
  tg_contract *contract; /* one of them */
} tg_part;

/* Only of kernels for which tg_kernel_rows is positive. */
tg_status tg_part_open(tg_part *p, const tg_kernel *kernel, void *const *slots, int64_t rows) TG_MUST_CHECK;
tg_status tg_part_run(tg_part *p, int64_t first, int64_t rows) TG_MUST_CHECK;
void tg_part_close(tg_part *p); /* safe on a zeroed struct */

#endif

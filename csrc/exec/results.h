/* The end of a reduction: sums (or maxima), while they are in cache, become elements of the output.
 *
 * Owns: walk of the output and compiled epilogue. Callers: reduce.c, contract.c, dot.c. */
#ifndef TG_EXEC_RESULTS_H
#define TG_EXEC_RESULTS_H

#include "exec/vm.h"
#include "exec/walk.h"
#include "kernels/kernels.h"

typedef struct tg_results {
  const tg_kernel *kernel;
  void *const *slots;
  tg_walk out;
  tg_vm *epilogue;   /* NULL: the sums are the result, */
  tgk_unary_fn cast; /* converted to its dtype unless NULL */
} tg_results;

tg_status tg_results_init(tg_results *r, const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;
void tg_results_clear(tg_results *r); /* safe on a zeroed struct */

/* Bytes a worker needs, aligned to TG_ALIGN by the caller, and their one-time preparation. */
size_t tg_results_scratch_size(const tg_results *r);
void tg_results_prepare(const tg_results *r, void *scratch);

/* Outputs [start, start + n) in the kernel's order, from as many sums. */
void tg_results_write(const tg_results *r, void *scratch, int64_t start, int64_t n, const char *sums);

/* Where those n outputs are in memory, if the sums are the results and to be put there one after the other; else NULL.
 * Alike for ranges that are multiples of n apart. */
void *tg_results_place(const tg_results *r, int64_t start, int64_t n);

/* Elements from one place to the next if tg_results_place knows those of n outputs, and `rows` of them are equally far
 * apart; else 0. */
int64_t tg_results_pitch(const tg_results *r, int64_t rows, int64_t n);

/* When all workers are done: as tg_vm_status. */
tg_status tg_results_status(const tg_results *r) TG_MUST_CHECK;

#endif

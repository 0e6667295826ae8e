/* Kernels as text: one line for schedules and DEBUG=2, the whole program for DEBUG=4 (docs/debug.md has the notation).
 * Owns: nothing. */
#ifndef TG_SCHED_DUMP_H
#define TG_SCHED_DUMP_H

#include "sched/chain.h"

/* One line about a kernel: kind, shape, ops, dtype ("REDUCE (128, 10) over (10,) float32: EXP2 ADD | SUM"). */
void tg_kernel_format(const tg_kernel *k, char *text, size_t cap);

/* "chain of 3 kernels: 32 slices, each with 256.0 KiB of its own" */
void tg_chain_format(const tg_chain *c, char *text, size_t cap);

/* What a view computes, "[4*i0 + i1] where 0 <= i0 - 1 < 6". */
void tg_view_print(const tg_view *v, char *text, size_t cap);

typedef void (*tg_line_fn)(void *context, const char *line);

/* Its programs, line by line: instructions with the dtypes of their registers, accesses as formulas. */
void tg_kernel_print(const tg_kernel *k, tg_line_fn print, void *context);

#endif

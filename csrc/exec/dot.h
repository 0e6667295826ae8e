/* Contractions as inner products: few outputs, long sums over sliding windows, such as the gradient of a
 * convolution's kernel.
 *
 * Vectors run along k where contract.c's run along n. Neither factor is packed: b's images are read once and the
 * products move over them (exec/window.h), a is read once in the layout of the image. */
#ifndef TG_EXEC_DOT_H
#define TG_EXEC_DOT_H

#include "exec/layout.h"
#include "sched/kernel.h"

/* out[batch, m, n] = epilogue(sum over k of a * b) */
typedef struct tg_contraction {
  const tg_kernel *kernel;
  const tg_access *a, *b;
  tg_dims batch, m, n, k; /* of their views; none is empty */
} tg_contraction;

/* Is it of this form? By its shape, and by how b lies in memory. */
bool tg_dot_takes(const tg_contraction *c);

/* Runs one of this form. */
tg_status tg_dot_run(const tg_contraction *c, void *const *slots) TG_MUST_CHECK;

#endif

/* Views that an executor makes for itself: dims of another one picked, ordered, widened and shifted.
 *
 * A kernel runs without the graph lock, so tg_view_* are not to be called. What is made here belongs to one owner
 * and borrows the levels beneath the original. Owns: nothing. */
#ifndef TG_EXEC_LAYOUT_H
#define TG_EXEC_LAYOUT_H

#include "graph/view.h"

/* Consecutive dims of a view, `size` points. */
typedef struct tg_dims {
  int first, count;
  int64_t size;
} tg_dims;

tg_dims tg_dims_of(const int64_t *shape, int first, int count);

/* One dim of the view to be made: index i of it sees index i - before of dim `source`, which is in at most one of them.
 * Where that is outside of the original's shape, the element is read like any other, as the caller knows that
 * there is one; with `clip`, it is invalid. With `times` the dim counts steps between those of another one of the dims,
 * `with`, which is such a number of steps: clipped are steps before the first and behind the last of both. */
typedef struct tg_layout_dim {
  int source;
  int64_t size, before;
  bool clip;
  int with;
  int64_t times;
} tg_layout_dim;

/* In one allocation (tg_free), NULL without memory. Dims left out must not matter to v, or count from 0. */
tg_view *tg_layout(const tg_view *v, int ndim, const tg_layout_dim *dims);

/* The dims of several groups as they are. */
tg_view *tg_layout_groups(const tg_view *v, int ngroup, const tg_dims *groups);

#endif

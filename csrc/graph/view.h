/* Views: which element of what lies beneath does each index see, and is there one at all.
 *
 * A view is immutable and reference-counted. Every movement op makes a new view; no data moves.
 *
 *   element idx (0 <= idx[i] < shape[i]) of a view
 *     lies at flat position  offset + sum_i stride[i] * idx[i]
 *     and is valid iff each bound holds:  0 <= bound.offset + sum_i bound.coef[i] * idx[i] < bound.size
 *
 *        idx ----affine----> flat position in the storage            (below == NULL)
 *        idx ----affine----> flat position in `below`, in C order    (below != NULL)
 *                               \--unflatten--> idx of below ----affine----> ...
 *
 * An invalid element, at this level or any beneath, reads as zero. A position need only lie inside
 * what is beneath when all bounds hold. Bounds being affine and not per-dimension, padding followed
 * by sliding windows (position s*o + d*k - p in one dimension) stays one level; so do permute,
 * expand, shrink, flip, step and most reshapes. Only a reshape that no affine map expresses
 * stacks a level.
 *
 * Reference counts are plain: views are made, shared and dropped only with the engine's graph lock
 * (the GIL) held. Reading one needs no lock.
 * Owns: tg_view and the algebra on it. Knows nothing of nodes, dtypes or data. */
#ifndef TG_GRAPH_VIEW_H
#define TG_GRAPH_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#define TG_MAX_DIMS 32

typedef struct tg_bound {
  int64_t offset, size;
  const int64_t *coef; /* [ndim] */
} tg_bound;

typedef struct tg_view {
  int64_t refs;
  int ndim, nbound;
  int64_t size; /* product of shape; a view whose size overflows int64 is refused (ValueError) */
  struct tg_view *below;
  int64_t offset;
  const int64_t *shape, *stride; /* [ndim] */
  const tg_bound *bound;         /* [nbound] */
} tg_view;                       /* one allocation holds it and all its arrays */

void tg_view_ref(tg_view *v);
void tg_view_unref(tg_view *v); /* NULL-safe; frees the levels beneath iteratively */

/* All constructors write *out only on success, with one reference for the caller. They return
 * MEMORY, or VALUE / INDEX with the shapes in the message. Inputs keep their references. A result
 * may be the input itself with one more reference, when nothing changes. */

/* C-contiguous view of shape; VALUE for a negative size, more than TG_MAX_DIMS or overflow. */
tg_status tg_view_contiguous(int ndim, const int64_t *shape, tg_view **out) TG_MUST_CHECK;

/* A view with these strides of the *count elements that it spans, the first of which lies *first elements after its
 * index 0 (before it: < 0). VALUE as above. */
tg_status tg_view_strided(int ndim, const int64_t *shape, const int64_t *stride, int64_t *first, int64_t *count,
                          tg_view **out) TG_MUST_CHECK;

/* One -1 is inferred. VALUE if the sizes differ. */
tg_status tg_view_reshape(tg_view *v, int ndim, const int64_t *shape, tg_view **out) TG_MUST_CHECK;
/* Size-1 dimensions repeat (also to 0); leading dimensions may be added. VALUE otherwise. */
tg_status tg_view_expand(tg_view *v, int ndim, const int64_t *shape, tg_view **out) TG_MUST_CHECK;
/* Negative axes count from the end. VALUE for a wrong length or a repeat, INDEX out of range. */
tg_status tg_view_permute(tg_view *v, int n, const int64_t *order, tg_view **out) TG_MUST_CHECK;
/* Python slice rules for each of the first n dimensions: negatives count from the end, clamped,
 * crossed is empty. INDEX if n > ndim. */
tg_status tg_view_shrink(tg_view *v, int n, const int64_t *start, const int64_t *stop, tg_view **out) TG_MUST_CHECK;
/* Zeros before and after. VALUE for negatives, for n != ndim, or overflow. */
tg_status tg_view_pad(tg_view *v, int n, const int64_t *before, const int64_t *after, tg_view **out) TG_MUST_CHECK;
/* v[::s0, ::s1, ...]; negative steps start from the end. VALUE for 0, INDEX if n > ndim. */
tg_status tg_view_stride(tg_view *v, int n, const int64_t *step, tg_view **out) TG_MUST_CHECK;
/* What one sees looking through `outer` at the elements of `inner` in C order: outer's positions
 * are flat indices into inner's shape. One level per incompatible reshape, as few as can be found. */
tg_status tg_view_compose(tg_view *outer, tg_view *inner, tg_view **out) TG_MUST_CHECK;

/* Looks through v at a reduction's source instead of its result. The positions of v are flat
 * indices into the shape `kept`, which is `full` with every dimension in `axes` (bit mask) set
 * to 1. The result has v's dimensions followed by the masked dimensions of `full` in order, and
 * its positions are flat indices into `full`. *out is NULL (and the status OK) if v has no affine
 * form for each dimension of `kept`. */
tg_status tg_view_lift(tg_view *v, int ndim, const int64_t *full, uint32_t axes, tg_view **out) TG_MUST_CHECK;

/* v without the bounds that `other` (of equal shape) has too, for a product whose other factor is
 * zero there anyway. Only if v's positions then stay inside [0, size) all the same; else v itself. */
tg_status tg_view_drop_bounds(tg_view *v, const tg_view *other, int64_t size, tg_view **out) TG_MUST_CHECK;

/* Dimensions i and i+1 of v as one, if the position and every bound stay affine; false otherwise. */
bool tg_view_can_merge(const tg_view *v, int i);

/* The level on top, or all of a view of one level: no bounds, offset 0, C-order strides (those of size-1 dimensions
 * aside). */
bool tg_view_is_ordered(const tg_view *v);
bool tg_view_is_contiguous(const tg_view *v); /* ordered, and of one level */
/* Does what the view sees vary along this dim, or along one from `first` on? */
bool tg_view_depends(const tg_view *v, int dim);
bool tg_view_depends_from(const tg_view *v, int first);
bool tg_view_equal(const tg_view *a, const tg_view *b);

/* The number of dims before those along which the view sees one run of memory, with no bounds and no level below. */
int tg_view_dims_before_run(const tg_view *v);

#endif

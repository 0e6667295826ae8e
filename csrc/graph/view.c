/* Views: references, movement ops, and questions about a view.
 *
 * Every movement op is one idea: each index of the old view is an affine form of the new indices.
 * tg_level_look_through substitutes these forms into position and bounds, and asks that each of them
 * stay inside the old shape; where that always holds, the canonical form (view_level.c) forgets it again.
 * Reshape is the exception: it composes (view_compose.c).
 *
 * Callers: graph/node, sched, exec (reading), py (movement ops). */
#include "graph/view.h"

#include <string.h>

#include "base/alloc.h"
#include "graph/view_level.h"

/* ---- references ---- */

void tg_view_ref(tg_view *v) { v->refs++; }

void tg_view_unref(tg_view *v) {
  while (v && --v->refs == 0) {
    tg_view *below = v->below;
    tg_free(v);
    v = below;
  }
}

static tg_status same(tg_view *v, tg_view **out) {
  tg_view_ref(v);
  *out = v;
  return TG_OK;
}

/* ---- movement ops ---- */

tg_status tg_view_contiguous(int ndim, const int64_t *shape, tg_view **out) {
  tg_view *level;
  tg_status status = tg_level_new(ndim, shape, 0, &level);
  if (status != TG_OK) return status;
  int64_t step = 1;
  for (int i = ndim - 1; i >= 0 && level->size > 0; i--) {
    tg_level_edit(level->stride)[i] = shape[i] == 1 ? 0 : step;
    step *= shape[i];
  }
  *out = level;
  return TG_OK;
}

tg_status tg_view_strided(int ndim, const int64_t *shape, const int64_t *stride, int64_t *first, int64_t *count,
                          tg_view **out) {
  char text[TG_SHAPE_TEXT];
  tg_view *level;
  tg_box whole = {{0}, {0}};
  int64_t min = 0, max = -1;
  tg_status status = tg_level_new(ndim, shape, 0, &level);
  if (status != TG_OK) return status;
  for (int i = 0; i < ndim && level->size > 0; i++) {
    whole.hi[i] = shape[i] - 1;
    tg_level_edit(level->stride)[i] = shape[i] == 1 ? 0 : stride[i];
  }
  if (level->size > 0 && (!tg_level_range(ndim, level->stride, 0, &whole, &min, &max) || max - min >= INT64_MAX / 16)) {
    tg_view_unref(level);
    return tg_fail(TG_ERR_VALUE, "the positions of a view of shape %s overflow", tg_level_show(text, ndim, shape));
  }
  level->offset = -min;
  *first = min;
  *count = max - min + 1;
  *out = level;
  return TG_OK;
}

void tg_level_identity(int ndim, tg_form *index) {
  for (int j = 0; j < ndim; j++) {
    index[j].offset = 0;
    for (int i = 0; i < ndim; i++) index[j].coef[i] = i == j;
  }
}

static bool is_identity(const tg_view *v, int ndim, const int64_t *shape, const tg_form *index) {
  if (ndim != v->ndim) return false;
  for (int j = 0; j < ndim; j++) {
    if (shape[j] != v->shape[j] || index[j].offset != 0) return false;
    for (int i = 0; i < ndim; i++)
      if (index[j].coef[i] != (i == j) && shape[i] != 1) return false;
  }
  return true;
}

tg_status tg_level_look_through(tg_view *v, int ndim, const int64_t *shape, const tg_form *index, tg_view **out) {
  char text[TG_SHAPE_TEXT];
  tg_view *level = NULL;
  if (is_identity(v, ndim, shape, index)) return same(v, out);
  tg_box box;
  uint32_t leaves = 0; /* the dimensions of v whose index may leave it */
  for (int i = 0; i < ndim; i++) {
    box.lo[i] = 0;
    box.hi[i] = shape[i] > 0 ? shape[i] - 1 : 0;
  }
  for (int j = 0; j < v->ndim; j++) {
    int64_t min, max;
    bool known = tg_level_range(ndim, index[j].coef, index[j].offset, &box, &min, &max);
    if (!known || min < 0 || max >= v->shape[j]) leaves |= UINT32_C(1) << j;
  }

  tg_status status = tg_level_new(ndim, shape, v->nbound + __builtin_popcount(leaves), &level);
  if (status != TG_OK) return status;
  if (level->size > 0) {
    if (!tg_level_substitute(level, v, index)) {
      status = tg_fail(TG_ERR_VALUE, "the positions of a view of shape %s overflow", tg_level_show(text, ndim, shape));
      goto fail;
    }
    for (int j = 0; j < v->ndim; j++) {
      if (!(leaves >> j & 1)) continue;
      int64_t *coef = tg_level_add_bound(level, index[j].offset, v->shape[j]);
      if (ndim > 0) memcpy(coef, index[j].coef, (size_t)ndim * sizeof(int64_t));
    }
  }
  status = tg_level_canonical(level);
  if (status != TG_OK) goto fail;
  return tg_level_over(level, v->below, out);

fail:
  tg_view_unref(level);
  return status;
}

tg_status tg_view_reshape(tg_view *v, int ndim, const int64_t *shape, tg_view **out) {
  char from[TG_SHAPE_TEXT], to[TG_SHAPE_TEXT];
  int64_t full[TG_MAX_DIMS] = {0}, known;
  int unknown = -1;
  if (ndim < 0 || ndim > TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "cannot reshape to %d dimensions, at most %d are supported", ndim, TG_MAX_DIMS);
  for (int i = 0; i < ndim; i++) {
    full[i] = shape[i];
    if (shape[i] >= 0) continue;
    if (shape[i] < -1 || unknown >= 0)
      return tg_fail(TG_ERR_VALUE, "cannot reshape %s into %s: %s", tg_level_show(from, v->ndim, v->shape),
                     tg_level_show(to, ndim, shape), shape[i] < -1 ? "negative size" : "only one size may be -1");
    full[i] = 1;
    unknown = i;
  }
  bool fits = tg_level_count(ndim, full, &known);
  if (unknown >= 0 && fits && known > 0 && v->size % known == 0) {
    full[unknown] = v->size / known;
    known = v->size;
  } else if (unknown >= 0 || !fits || known != v->size) {
    return tg_fail(TG_ERR_VALUE, "cannot reshape %s into %s: the sizes differ", tg_level_show(from, v->ndim, v->shape),
                   tg_level_show(to, ndim, shape));
  }
  if (ndim == v->ndim && tg_level_compare(ndim, full, v->shape) == 0) return same(v, out);
  tg_view *level;
  tg_status status = tg_view_contiguous(ndim, full, &level);
  return status != TG_OK ? status : tg_level_over(level, v, out);
}

tg_status tg_view_expand(tg_view *v, int ndim, const int64_t *shape, tg_view **out) {
  if (ndim == v->ndim && tg_level_compare(ndim, shape, v->shape) == 0) return same(v, out);
  char from[TG_SHAPE_TEXT], to[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int lead = ndim - v->ndim;
  bool fits = lead >= 0 && ndim <= TG_MAX_DIMS;
  for (int j = 0; fits && j < v->ndim; j++) {
    fits = shape[lead + j] == v->shape[j] || v->shape[j] == 1;
    index[j].offset = 0;
    for (int i = 0; i < ndim; i++) index[j].coef[i] = i == lead + j && v->shape[j] != 1;
  }
  if (!fits)
    return tg_fail(TG_ERR_VALUE, "cannot expand %s to %s", tg_level_show(from, v->ndim, v->shape),
                   tg_level_show(to, ndim, shape));
  return tg_level_look_through(v, ndim, shape, index, out);
}

tg_status tg_view_permute(tg_view *v, int n, const int64_t *order, tg_view **out) {
  char from[TG_SHAPE_TEXT], to[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS];
  uint32_t seen = 0;
  if (n != v->ndim)
    return tg_fail(TG_ERR_VALUE, "cannot permute %s: %d axes in the order", tg_level_show(from, v->ndim, v->shape), n);
  for (int i = 0; i < n; i++) {
    int64_t axis = order[i] < 0 && order[i] >= -n ? order[i] + n : order[i];
    if (axis < 0 || axis >= n)
      return tg_fail(TG_ERR_INDEX, "cannot permute %s by %s: axis %lld is out of range",
                     tg_level_show(from, v->ndim, v->shape), tg_level_show(to, n, order), (long long)order[i]);
    if (seen >> axis & 1)
      return tg_fail(TG_ERR_VALUE, "cannot permute %s by %s: repeated axis", tg_level_show(from, v->ndim, v->shape),
                     tg_level_show(to, n, order));
    seen |= UINT32_C(1) << axis;
    shape[i] = v->shape[axis];
    index[axis].offset = 0;
    for (int k = 0; k < n; k++) index[axis].coef[k] = k == i;
  }
  return tg_level_look_through(v, n, shape, index, out);
}

/* The index i in 0..n that a Python slice's start or stop means. */
static int64_t clamp_slice(int64_t i, int64_t n) {
  if (i < 0) i += n;
  return i < 0 ? 0 : i > n ? n : i;
}

tg_status tg_view_shrink(tg_view *v, int n, const int64_t *start, const int64_t *stop, tg_view **out) {
  char from[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS];
  if (n < 0 || n > v->ndim)
    return tg_fail(TG_ERR_INDEX, "cannot shrink %d dimensions of %s", n, tg_level_show(from, v->ndim, v->shape));
  tg_level_identity(v->ndim, index);
  for (int i = 0; i < v->ndim; i++) {
    int64_t first = i < n ? clamp_slice(start[i], v->shape[i]) : 0;
    int64_t last = i < n ? clamp_slice(stop[i], v->shape[i]) : v->shape[i];
    index[i].offset = first;
    shape[i] = last > first ? last - first : 0;
  }
  return tg_level_look_through(v, v->ndim, shape, index, out);
}

tg_status tg_view_pad(tg_view *v, int n, const int64_t *before, const int64_t *after, tg_view **out) {
  char from[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS];
  if (n != v->ndim)
    return tg_fail(TG_ERR_VALUE, "cannot pad %s: %d pairs given", tg_level_show(from, v->ndim, v->shape), n);
  tg_level_identity(n, index);
  for (int i = 0; i < n; i++) {
    if (before[i] < 0 || after[i] < 0)
      return tg_fail(TG_ERR_VALUE, "cannot pad %s by (%lld, %lld) in dimension %d",
                     tg_level_show(from, v->ndim, v->shape), (long long)before[i], (long long)after[i], i);
    if (__builtin_add_overflow(v->shape[i], before[i], &shape[i]) ||
        __builtin_add_overflow(shape[i], after[i], &shape[i]))
      return tg_fail(TG_ERR_VALUE, "padding %s makes dimension %d too large", tg_level_show(from, v->ndim, v->shape),
                     i);
    index[i].offset = -before[i];
  }
  return tg_level_look_through(v, n, shape, index, out);
}

tg_status tg_view_stride(tg_view *v, int n, const int64_t *step, tg_view **out) {
  char from[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS];
  if (n < 0 || n > v->ndim)
    return tg_fail(TG_ERR_INDEX, "cannot step through %d dimensions of %s", n, tg_level_show(from, v->ndim, v->shape));
  tg_level_identity(v->ndim, index);
  for (int i = 0; i < v->ndim; i++) {
    int64_t s = i < n ? step[i] : 1;
    if (s == 0) return tg_fail(TG_ERR_VALUE, "step 0 in dimension %d of %s", i, tg_level_show(from, v->ndim, v->shape));
    shape[i] = 0;
    if (v->shape[i] == 0) continue;
    int64_t last = v->shape[i] - 1, skip = s > 0 ? s : s < -INT64_MAX ? INT64_MAX : -s;
    shape[i] = last / skip + 1;
    index[i].offset = s > 0 ? 0 : last;
    index[i].coef[i] = shape[i] == 1 ? 0 : s;
  }
  return tg_level_look_through(v, v->ndim, shape, index, out);
}

/* ---- questions ---- */

bool tg_view_is_ordered(const tg_view *v) {
  if (v->nbound > 0 || v->offset != 0) return false;
  int64_t step = 1;
  for (int i = v->ndim - 1; i >= 0 && v->size > 0; i--) {
    if (v->shape[i] != 1 && v->stride[i] != step) return false;
    step *= v->shape[i];
  }
  return true;
}

bool tg_view_is_contiguous(const tg_view *v) { return !v->below && tg_view_is_ordered(v); }

bool tg_view_depends(const tg_view *v, int dim) {
  if (v->shape[dim] == 1) return false;
  if (v->stride[dim]) return true;
  for (int k = 0; k < v->nbound; k++)
    if (v->bound[k].coef[dim]) return true;
  return false;
}

bool tg_view_depends_from(const tg_view *v, int first) {
  for (int i = first; i < v->ndim; i++)
    if (tg_view_depends(v, i)) return true;
  return false;
}

bool tg_view_equal(const tg_view *a, const tg_view *b) {
  for (; a && b && a != b; a = a->below, b = b->below) {
    if (a->ndim != b->ndim || a->nbound != b->nbound || a->offset != b->offset) return false;
    if (tg_level_compare(a->ndim, a->shape, b->shape) != 0 || tg_level_compare(a->ndim, a->stride, b->stride) != 0)
      return false;
    for (int i = 0; i < a->nbound; i++)
      if (a->bound[i].offset != b->bound[i].offset || a->bound[i].size != b->bound[i].size ||
          tg_level_compare(a->ndim, a->bound[i].coef, b->bound[i].coef) != 0)
        return false;
  }
  return a == b;
}

int tg_view_dims_before_run(const tg_view *v) {
  int d = v->ndim;
  int64_t step = 1;
  if (v->below || v->nbound) return d;
  for (; d > 0 && (v->shape[d - 1] == 1 || v->stride[d - 1] == step); d--) step *= v->shape[d - 1];
  return d;
}

/* Views: one seen through another.
 *
 * outer's positions are flat indices into inner's shape (n[0], ..., n[m-1]). One level can express
 * the composition iff each index of inner, that is each digit of outer's position in the mixed radix
 * n, is an affine form of outer's indices:
 *
 *   position = offset + sum_i coef[i] * idx[i]          e.g.  4 rows of 6:   i0 * 12 + i1 * 2 + 1
 *            = form[0] * n[1] * ... + ... + form[m-1]                      = (2*i0) * 6 + (2*i1 + 1)
 *
 *   coalesce   joins inner's dimensions where it can: fewer digits, weaker demands
 *   survey     finds where outer is valid: an interval for each index, and a point with its neighbours
 *   decompose  splits off the last digit again and again. The remainder is affine and agrees with
 *              position mod n at the point and its neighbours, which leaves one candidate; it is the
 *              digit if it stays within 0..n-1 wherever outer is valid
 *   collapse   substitutes the digits into inner's position and bounds
 *
 * What doesn't collapse is stacked. Callers: view.c (reshape and all ops on stacked views), sched. */
#include "graph/view.h"

#include <string.h>

#include "base/alloc.h"
#include "graph/view_level.h"

/* ---- joining dimensions ---- */

/* Whether one value is left for dimension i where v is valid, and which. */
static bool known_index(const tg_view *v, int i, int64_t *value) {
  *value = 0;
  if (v->shape[i] == 1) return true;
  for (int b = 0; b < v->nbound; b++)
    if (v->bound[b].size == 1 && v->bound[b].coef[i] == 1 && tg_level_sole_axis(v->ndim, &v->bound[b]) == i) {
      *value = -v->bound[b].offset;
      return true;
    }
  return false;
}

/* Rewrites a form (of a bound, if size is not NULL) for dimensions i and i + 1 joined: x = idx[i] * n + idx[i+1],
 * coef[i] being dropped. A bound on idx[i] alone is one on x; a known idx[i] may have any coefficient. */
static bool join_form(const tg_view *v, int i, bool known, int64_t value, const int64_t *coef, int64_t *joined,
                      int64_t *offset, int64_t *size) {
  int64_t n = v->shape[i + 1], wanted, extra;
  *joined = coef[i + 1];
  if (__builtin_mul_overflow(coef[i + 1], n, &wanted)) return false;
  if (coef[i] == wanted) return true;
  if (size && coef[i] == 1 && tg_level_sole_axis(v->ndim, &(tg_bound){.coef = coef}) == i) {
    *joined = 1;
    return !__builtin_mul_overflow(*offset, n, offset) && !__builtin_mul_overflow(*size, n, size);
  }
  return known && !__builtin_sub_overflow(coef[i], wanted, &extra) && !__builtin_mul_overflow(extra, value, &extra) &&
         !__builtin_add_overflow(*offset, extra, offset);
}

bool tg_view_can_merge(const tg_view *v, int i) {
  int64_t value, joined, offset = v->offset;
  if (v->size == 0 || v->shape[i] == 1 || v->shape[i + 1] == 1) return true;
  bool known = known_index(v, i, &value);
  if (!join_form(v, i, known, value, v->stride, &joined, &offset, NULL)) return false;
  for (int b = 0; b < v->nbound; b++) {
    tg_bound bound = v->bound[b];
    if (!join_form(v, i, known, value, bound.coef, &joined, &bound.offset, &bound.size)) return false;
  }
  return true;
}

static void drop_dimension(tg_view *level, int i) {
  size_t rest = (size_t)(level->ndim - i - 1) * sizeof(int64_t);
  memmove(tg_level_edit(&level->shape[i]), &level->shape[i + 1], rest);
  memmove(tg_level_edit(&level->stride[i]), &level->stride[i + 1], rest);
  for (int b = 0; b < level->nbound; b++)
    memmove(tg_level_edit(&level->bound[b].coef[i]), &level->bound[b].coef[i + 1], rest);
  level->ndim--;
}

/* Joins dimensions i and i + 1, which tg_view_can_merge allows. */
static void join(tg_view *level, int i) {
  int64_t value;
  bool known = known_index(level, i, &value);
  join_form(level, i, known, value, level->stride, tg_level_edit(&level->stride[i + 1]), &level->offset, NULL);
  for (int b = 0; b < level->nbound; b++) {
    tg_bound *bound = (tg_bound *)&level->bound[b];
    join_form(level, i, known, value, bound->coef, tg_level_edit(&bound->coef[i + 1]), &bound->offset, &bound->size);
  }
  tg_level_edit(level->shape)[i + 1] *= level->shape[i];
  drop_dimension(level, i);
}

/* The same elements in the same order, in as few dimensions as an affine map allows (the same, should their positions
 * overflow); below is kept. */
static tg_status coalesce(tg_view *v, tg_view **out) {
  tg_view *level;
  bool minimal = true;
  for (int i = 0; i < v->ndim && minimal; i++)
    minimal = v->shape[i] != 1 && (i + 1 == v->ndim || !tg_view_can_merge(v, i));
  if (minimal) {
    tg_view_ref(v);
    *out = v;
    return TG_OK;
  }
  tg_status status = tg_level_copy(v, &level);
  if (status != TG_OK) return status;
  for (int i = v->ndim - 1; i >= 0; i--)
    if (level->shape[i] == 1) drop_dimension(level, i);
  for (int i = level->ndim - 2; i >= 0; i--)
    if (tg_view_can_merge(level, i)) join(level, i);
  if (tg_level_canonical(level) != TG_OK) { /* joined, its positions overflow */
    tg_view_unref(level);
    tg_view_ref(*out = v);
    return TG_OK;
  }
  if (!tg_level_is_never(level) && v->below) {
    level->below = v->below;
    tg_view_ref(v->below);
  }
  *out = level;
  return TG_OK;
}

/* ---- where a level is valid ---- */

typedef struct region {
  const tg_view *view;
  tg_box box;                 /* holds every valid element */
  int64_t point[TG_MAX_DIMS]; /* most likely a valid element */
  int step[TG_MAX_DIMS];      /* the point moved by this along one dimension is valid too; 0 if unknown */
} region;

static int64_t floor_mod(int64_t a, int64_t n) { return a % n < 0 ? a % n + n : a % n; }

static int64_t value_at(const region *r, const tg_bound *bound) {
  int64_t value = bound->offset;
  for (int i = 0; i < r->view->ndim; i++) value += bound->coef[i] * r->point[i];
  return value;
}

/* Moves the point towards meeting a bound it misses by `lack` > 0, along the direction that raises its form
 * (sign 1) or lowers it (-1). */
static void approach(region *r, const tg_bound *bound, int64_t lack, int sign) {
  for (int i = 0; i < r->view->ndim && lack > 0; i++) {
    int64_t c = sign * bound->coef[i];
    if (c == 0) continue;
    int64_t room = c > 0 ? r->box.hi[i] - r->point[i] : r->point[i] - r->box.lo[i];
    int64_t size = c > 0 ? c : -c, need = tg_ceil_div(lack, size);
    if (need > room) need = room;
    r->point[i] += c > 0 ? need : -need;
    lack -= need * size;
  }
}

static bool point_is_valid(const region *r) {
  for (int b = 0; b < r->view->nbound; b++) {
    int64_t value = value_at(r, &r->view->bound[b]);
    if (value < 0 || value >= r->view->bound[b].size) return false;
  }
  return true;
}

static void survey(const tg_view *v, region *r) {
  r->view = v;
  for (int i = 0; i < v->ndim; i++) {
    r->box.lo[i] = 0;
    r->box.hi[i] = v->shape[i] - 1;
  }
  for (int round = 0; round < 2; round++) tg_level_narrow(v, &r->box); /* what one bound leaves may help another */
  for (int i = 0; i < v->ndim; i++) r->point[i] = r->box.lo[i] + (r->box.hi[i] - r->box.lo[i]) / 2;
  for (int attempt = 0; attempt < 4 && !point_is_valid(r); attempt++)
    for (int b = 0; b < v->nbound; b++) {
      int64_t value = value_at(r, &v->bound[b]);
      if (value < 0) approach(r, &v->bound[b], -value, 1);
      else if (value >= v->bound[b].size) approach(r, &v->bound[b], value - v->bound[b].size + 1, -1);
    }
  bool valid = point_is_valid(r);
  for (int i = 0; i < v->ndim; i++) {
    r->step[i] = 0;
    for (int step = 1; step >= -1 && valid && r->step[i] == 0; step -= 2) {
      int64_t moved = r->point[i] + step;
      if (moved < r->box.lo[i] || moved > r->box.hi[i]) continue;
      r->point[i] = moved;
      if (point_is_valid(r)) r->step[i] = step;
      r->point[i] = moved - step;
    }
  }
}

/* Takes `times` of a bound's form out of `form`: their sum is that multiple of the bound's interval,
 * which goes to [*low, *high]. */
static bool subtract(int ndim, tg_form *form, const tg_bound *bound, int64_t times, int64_t *low, int64_t *high) {
  int64_t term, first = -bound->offset, last = bound->size - 1 - bound->offset;
  for (int i = 0; i < ndim; i++)
    if (__builtin_mul_overflow(times, bound->coef[i], &term) ||
        __builtin_sub_overflow(form->coef[i], term, &form->coef[i]))
      return false;
  return !__builtin_mul_overflow(times, times > 0 ? first : last, &term) && !__builtin_add_overflow(*low, term, low) &&
         !__builtin_mul_overflow(times, times > 0 ? last : first, &term) && !__builtin_add_overflow(*high, term, high);
}

/* Whether 0 <= form < n at every valid element: by intervals, and by bounds that share a part with the form. */
static bool stays_within(const region *r, const tg_form *form, int64_t n) {
  int ndim = r->view->ndim;
  tg_form rest = *form;
  int64_t low = 0, high = 0, min, max;
  if (!tg_level_range(ndim, rest.coef, rest.offset, &r->box, &min, &max)) return false;
  /* twice, as what one bound takes out of the form may be what another one needs gone */
  for (int b = 0; b < 2 * r->view->nbound && !(min >= 0 && max < n); b++) {
    const tg_bound *bound = &r->view->bound[b % r->view->nbound];
    for (int i = 0; i < ndim; i++) {
      if (bound->coef[i] == 0 || rest.coef[i] == 0 || r->box.lo[i] == r->box.hi[i]) continue;
      if (rest.coef[i] % bound->coef[i] != 0) continue;
      tg_form smaller = rest;
      int64_t new_low = low, new_high = high, new_min, new_max, distance;
      if (!subtract(ndim, &smaller, bound, rest.coef[i] / bound->coef[i], &new_low, &new_high) ||
          !tg_level_range(ndim, smaller.coef, smaller.offset, &r->box, &new_min, &new_max) ||
          __builtin_add_overflow(new_min, new_low, &new_min) || __builtin_add_overflow(new_max, new_high, &new_max) ||
          __builtin_sub_overflow(new_max, new_min, &distance) || distance >= max - min)
        continue;
      rest = smaller;
      low = new_low;
      high = new_high;
      min = new_min;
      max = new_max;
      break;
    }
  }
  return min >= 0 && max < n;
}

/* ---- digits ---- */

/* Splits v's position, where v is valid, into an index for each dimension of `shape` (no size 1). */
static bool decompose(const tg_view *v, int n, const int64_t *shape, tg_form *index) {
  region r;
  tg_form left = {.offset = v->offset};
  if (n == 0) return true;
  if (v->ndim > 0) memcpy(left.coef, v->stride, (size_t)v->ndim * sizeof(int64_t));
  survey(v, &r);
  int64_t at = value_at(&r, &(tg_bound){.offset = v->offset, .coef = v->stride}); /* the position at r.point */

  for (int j = n - 1; j > 0; j--) {
    int64_t size = shape[j], digit = floor_mod(at, size), term;
    index[j] = (tg_form){.offset = digit};
    for (int i = 0; i < v->ndim; i++) {
      int64_t *c = &index[j].coef[i], step = r.step[i], up = floor_mod(left.coef[i], size);
      bool carries; /* does one more of idx[i] carry into the next digit? */
      if (step > 0) carries = up >= size - digit;
      else if (step < 0) carries = up > digit;
      else carries = up > size / 2;
      *c = carries ? up - size : up;
      if (__builtin_mul_overflow(*c, r.point[i], &term) ||
          __builtin_sub_overflow(index[j].offset, term, &index[j].offset) ||
          __builtin_sub_overflow(left.coef[i], *c, &left.coef[i]))
        return false;
      left.coef[i] /= size;
    }
    if (!stays_within(&r, &index[j], size) || __builtin_sub_overflow(left.offset, index[j].offset, &left.offset))
      return false;
    left.offset /= size;
    at = tg_floor_div(at, size);
  }
  index[0] = left; /* a valid position lies inside: nothing to prove */
  return true;
}

/* *out is the single level that sees `flat`'s top level through outer's, with nothing below yet, or NULL. `flat` is
 * coalesced and not empty. */
static tg_status collapse(const tg_view *outer, const tg_view *flat, tg_view **out) {
  tg_form index[TG_MAX_DIMS];
  tg_view *level;
  *out = NULL;
  if (!decompose(outer, flat->ndim, flat->shape, index)) return TG_OK;
  tg_status status = tg_level_new(outer->ndim, outer->shape, outer->nbound + flat->nbound, &level);
  if (status != TG_OK) return status;
  if (!tg_level_substitute(level, flat, index)) goto none;
  for (int b = 0; b < outer->nbound; b++) {
    int64_t *coef = tg_level_add_bound(level, outer->bound[b].offset, outer->bound[b].size);
    if (outer->ndim > 0) memcpy(coef, outer->bound[b].coef, (size_t)outer->ndim * sizeof(int64_t));
  }
  if (tg_level_canonical(level) != TG_OK) goto none; /* overflow: two levels can say what one can't */
  *out = level;
  return TG_OK;

none:
  tg_view_unref(level);
  return TG_OK;
}

/* ---- composition ---- */

tg_status tg_level_over(tg_view *level, tg_view *below, tg_view **out) {
  while (below && level->size > 0 && !tg_level_is_never(level)) {
    tg_view *flat, *merged = NULL;
    if (below->size == 0) { /* nothing beneath that a valid element could be */
      tg_level_set_never(level);
      break;
    }
    if (tg_view_is_contiguous(below)) break; /* positions stay what they are */
    tg_status status = coalesce(below, &flat);
    if (status == TG_OK) {
      status = collapse(level, flat, &merged);
      if (status != TG_OK) tg_view_unref(flat);
    }
    if (status != TG_OK) {
      tg_view_unref(level);
      return status;
    }
    if (!merged) {
      level->below = flat;
      break;
    }
    below = below->below;
    tg_view_unref(flat);
    tg_view_unref(level);
    level = merged;
  }
  *out = level;
  return TG_OK;
}

/* A copy of outer's top level over `below`. */
static tg_status put_over(const tg_view *outer, tg_view *below, tg_view **out) {
  tg_view *level;
  tg_status status = tg_level_copy(outer, &level);
  return status != TG_OK ? status : tg_level_over(level, below, out);
}

tg_status tg_view_compose(tg_view *outer, tg_view *inner, tg_view **out) {
  tg_view *result = inner;
  int depth = 0;
  if (tg_view_is_contiguous(inner) && inner->size > 0) {
    tg_view_ref(outer);
    *out = outer;
    return TG_OK;
  }
  for (const tg_view *v = outer; v; v = v->below) depth++;
  tg_view **levels = tg_calloc((size_t)depth, sizeof(tg_view *)); /* outer's, the lowest first */
  if (!levels) return tg_fail_memory((size_t)depth * sizeof(tg_view *));
  int at = depth;
  for (tg_view *v = outer; v; v = v->below) levels[--at] = v;

  tg_status status = TG_OK;
  tg_view_ref(result);
  for (; at < depth && status == TG_OK; at++) {
    tg_view *next = NULL;
    status = put_over(levels[at], result, &next);
    tg_view_unref(result);
    result = next;
  }
  tg_free(levels);
  if (status == TG_OK) *out = result;
  return status;
}

/* ---- for the scheduler ---- */

/* The positions in `full` of the elements of `kept`, coalesced. */
static tg_status reduction_source(int ndim, const int64_t *full, uint32_t axes, tg_view **out) {
  tg_view *level;
  int64_t kept[TG_MAX_DIMS], step = 1;
  for (int i = 0; i < ndim; i++) kept[i] = axes >> i & 1 ? 1 : full[i];
  tg_status status = tg_level_new(ndim, kept, 0, &level);
  if (status != TG_OK) return status;
  for (int i = ndim - 1; i >= 0; i--) {
    tg_level_edit(level->stride)[i] = step;
    if (__builtin_mul_overflow(step, full[i], &step)) step = 0; /* another size is 0: there are no elements */
  }
  status = tg_level_canonical(level);
  if (status == TG_OK) status = coalesce(level, out);
  tg_view_unref(level);
  return status;
}

tg_status tg_view_lift(tg_view *v, int ndim, const int64_t *full, uint32_t axes, tg_view **out) {
  tg_view *source = NULL, *seen = NULL, *level = NULL;
  int64_t shape[TG_MAX_DIMS], step = 1;
  int total = v->ndim;
  for (int i = 0; i < ndim; i++)
    if (axes >> i & 1) total++;
  tg_status status = TG_OK;
  if (v->below || total > TG_MAX_DIMS) goto done;

  if (v->size == 0 || tg_level_is_never(v)) {
    status = tg_level_copy(v, &seen);
  } else {
    status = reduction_source(ndim, full, axes, &source);
    if (status == TG_OK) status = collapse(v, source, &seen);
  }
  if (status != TG_OK || !seen) goto done;

  if (v->ndim > 0) memcpy(shape, v->shape, (size_t)v->ndim * sizeof(int64_t));
  for (int i = 0, at = v->ndim; i < ndim; i++)
    if (axes >> i & 1) shape[at++] = full[i];
  status = tg_level_new(total, shape, seen->nbound, &level);
  if (status != TG_OK) goto done;
  level->offset = seen->offset;
  for (int i = 0; i < v->ndim; i++) tg_level_edit(level->stride)[i] = seen->stride[i];
  for (int b = 0; b < seen->nbound; b++) {
    int64_t *coef = tg_level_add_bound(level, seen->bound[b].offset, seen->bound[b].size);
    for (int i = 0; i < v->ndim; i++) coef[i] = seen->bound[b].coef[i];
  }
  for (int i = ndim - 1, at = total; i >= 0; i--) {
    if (axes >> i & 1) tg_level_edit(level->stride)[--at] = step;
    if (__builtin_mul_overflow(step, full[i], &step)) step = 0;
  }
  status = tg_level_canonical(level);

done:
  tg_view_unref(source);
  tg_view_unref(seen);
  if (status != TG_OK) {
    tg_view_unref(level);
    level = NULL;
  }
  if (status == TG_ERR_MEMORY) return status;
  *out = level; /* NULL, too, if the lifted view would overflow */
  return TG_OK;
}

/* Whether `other` is invalid wherever this bound of a view of the same shape fails. */
static bool implied_by(const tg_view *other, const tg_bound *bound) {
  for (int b = 0; b < other->nbound; b++) {
    const tg_bound *o = &other->bound[b];
    bool same = -o->offset >= -bound->offset && o->size - o->offset <= bound->size - bound->offset;
    for (int i = 0; i < other->ndim && same; i++) same = o->coef[i] == bound->coef[i];
    if (same) return true;
  }
  return false;
}

tg_status tg_view_drop_bounds(tg_view *v, const tg_view *other, int64_t size, tg_view **out) {
  tg_form position = {.offset = v->offset};
  tg_view *level = NULL;
  tg_status status = TG_OK;
  region r;
  if (v->nbound == 0 || tg_level_is_never(v) || tg_level_is_never(other)) goto unchanged;
  if ((status = tg_level_copy(v, &level)) != TG_OK) return status;
  if (v->ndim > 0) memcpy(position.coef, v->stride, (size_t)v->ndim * sizeof(int64_t));
  tg_bound *bound = (tg_bound *)level->bound;
  for (int b = level->nbound - 1; b >= 0; b--) {
    if (!implied_by(other, &bound[b])) continue;
    size_t rest = (size_t)(--level->nbound - b) * sizeof(tg_bound);
    tg_bound dropped = bound[b];
    memmove(&bound[b], &bound[b + 1], rest);
    bound[level->nbound] = dropped;
    survey(level, &r);
    if (stays_within(&r, &position, v->below ? v->below->size : size)) continue;
    memmove(&bound[b + 1], &bound[b], rest);
    bound[b] = dropped;
    level->nbound++;
  }
  if (level->nbound == v->nbound) goto unchanged;
  status = tg_level_canonical(level);
  if (status != TG_OK) {
    tg_view_unref(level);
    return status;
  }
  if (v->below) tg_view_ref(level->below = v->below);
  *out = level;
  return TG_OK;

unchanged:
  tg_view_unref(level);
  tg_view_ref(v);
  *out = v;
  return TG_OK;
}

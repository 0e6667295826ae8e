/* Views: one level, its construction and its canonical form.
 *
 * Canonical form, so that equal views mostly compare equal and stay small:
 *  - size 0: strides and offset 0, no bounds, nothing below;
 *  - a bound's coefficients have no common factor, the first one that isn't 0 is positive, its interval
 *    is no wider than what its form can take, and it has no term too small to decide it; bounds are
 *    sorted and no two share coefficients;
 *  - a bound that always holds is gone; one that never holds replaces everything (one bound
 *    0 <= 0 < 0, strides and offset 0, nothing below);
 *  - a dimension whose index is known where the view is valid (its size is 1, or the bounds leave one
 *    value) has a bound on it alone that says so, and coefficient 0 everywhere else;
 *  - position and bounds don't overflow anywhere inside the shape, summed in any order.
 *
 * Callers: view.c, view_compose.c. */
#include "graph/view_level.h"

#include <string.h>

#include "base/alloc.h"

/* ---- construction ---- */

const char *tg_level_show(char text[TG_SHAPE_TEXT], int ndim, const int64_t *shape) {
  text[0] = '\0';
  tg_format_shape(text, TG_SHAPE_TEXT, ndim < 0 ? 0 : ndim > TG_MAX_DIMS ? TG_MAX_DIMS : ndim, shape);
  return text;
}

bool tg_level_count(int ndim, const int64_t *shape, int64_t *size) {
  int64_t n = 1;
  bool fits = true, empty = false;
  for (int i = 0; i < ndim; i++) {
    if (shape[i] == 0) empty = true;
    else if (__builtin_mul_overflow(n, shape[i], &n)) fits = false;
  }
  *size = empty ? 0 : n;
  return fits || empty;
}

tg_status tg_level_new(int ndim, const int64_t *shape, int max_bound, tg_view **out) {
  char text[TG_SHAPE_TEXT];
  int64_t size;
  if (ndim < 0 || ndim > TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "%d dimensions, at most %d are supported", ndim, TG_MAX_DIMS);
  for (int i = 0; i < ndim; i++)
    if (shape[i] < 0) return tg_fail(TG_ERR_VALUE, "negative size in shape %s", tg_level_show(text, ndim, shape));
  if (!tg_level_count(ndim, shape, &size))
    return tg_fail(TG_ERR_VALUE, "shape %s has too many elements", tg_level_show(text, ndim, shape));

  max_bound = max_bound > 0 ? max_bound + ndim : 1; /* room for what tg_level_canonical adds */
  size_t numbers = ((size_t)max_bound + 2) * (size_t)ndim;
  size_t bytes = sizeof(tg_view) + (size_t)max_bound * sizeof(tg_bound) + numbers * sizeof(int64_t);
  tg_view *v = tg_calloc(1, bytes);
  if (!v) return tg_fail_memory(bytes);
  tg_bound *bound = (tg_bound *)(v + 1);
  int64_t *array = (int64_t *)(bound + max_bound);
  *v = (tg_view){.refs = 1, .ndim = ndim, .size = size, .shape = array, .stride = array + ndim, .bound = bound};
  if (ndim > 0) memcpy(array, shape, (size_t)ndim * sizeof(int64_t));
  for (int b = 0; b < max_bound; b++) bound[b].coef = array + (b + 2) * ndim;
  *out = v;
  return TG_OK;
}

int64_t *tg_level_add_bound(tg_view *level, int64_t offset, int64_t size) {
  tg_bound *bound = (tg_bound *)&level->bound[level->nbound++];
  bound->offset = offset;
  bound->size = size;
  for (int i = 0; i < level->ndim; i++) tg_level_edit(bound->coef)[i] = 0;
  return tg_level_edit(bound->coef);
}

tg_status tg_level_copy(const tg_view *v, tg_view **out) {
  tg_view *level;
  tg_status status = tg_level_new(v->ndim, v->shape, v->nbound, &level);
  if (status != TG_OK) return status;
  size_t row = (size_t)v->ndim * sizeof(int64_t);
  level->offset = v->offset;
  if (row > 0) memcpy(tg_level_edit(level->stride), v->stride, row);
  for (int b = 0; b < v->nbound; b++) {
    int64_t *coef = tg_level_add_bound(level, v->bound[b].offset, v->bound[b].size);
    if (row > 0) memcpy(coef, v->bound[b].coef, row);
  }
  *out = level;
  return TG_OK;
}

/* new = old(index[0], index[1], ...); false on overflow. */
static bool substitute(int old_ndim, const int64_t *coef, int64_t offset, const tg_form *index, int new_ndim,
                       int64_t *new_coef, int64_t *new_offset) {
  int64_t term;
  for (int j = 0; j < old_ndim; j++) {
    if (coef[j] == 0) continue;
    if (__builtin_mul_overflow(coef[j], index[j].offset, &term) || __builtin_add_overflow(offset, term, &offset))
      return false;
    for (int i = 0; i < new_ndim; i++)
      if (__builtin_mul_overflow(coef[j], index[j].coef[i], &term) ||
          __builtin_add_overflow(new_coef[i], term, &new_coef[i]))
        return false;
  }
  *new_offset = offset;
  return true;
}

bool tg_level_substitute(tg_view *level, const tg_view *v, const tg_form *index) {
  if (!substitute(v->ndim, v->stride, v->offset, index, level->ndim, tg_level_edit(level->stride), &level->offset))
    return false;
  for (int b = 0; b < v->nbound; b++) {
    int64_t offset, *coef = tg_level_add_bound(level, 0, v->bound[b].size);
    if (!substitute(v->ndim, v->bound[b].coef, v->bound[b].offset, index, level->ndim, coef, &offset)) return false;
    ((tg_bound *)level->bound)[level->nbound - 1].offset = offset;
  }
  return true;
}

void tg_level_set_never(tg_view *level) {
  level->nbound = 0;
  level->offset = 0;
  tg_level_add_bound(level, 0, 0);
  for (int i = 0; i < level->ndim; i++) tg_level_edit(level->stride)[i] = 0;
}

bool tg_level_is_never(const tg_view *v) { return v->nbound == 1 && v->bound[0].size == 0; }

/* ---- canonical form ---- */

bool tg_level_range(int ndim, const int64_t *coef, int64_t offset, const tg_box *box, int64_t *min, int64_t *max) {
  int64_t lo = offset, hi = offset, a, b, distance;
  for (int i = 0; i < ndim; i++) {
    if (coef[i] == 0) continue;
    if (__builtin_mul_overflow(coef[i], box->lo[i], &a) || __builtin_mul_overflow(coef[i], box->hi[i], &b))
      return false;
    if (__builtin_add_overflow(lo, a < b ? a : b, &lo) || __builtin_add_overflow(hi, a < b ? b : a, &hi)) return false;
  }
  *min = lo;
  *max = hi;
  return lo >= -INT64_MAX && !__builtin_sub_overflow(hi, lo, &distance);
}

int tg_level_sole_axis(int ndim, const tg_bound *bound) {
  int axis = -1;
  for (int i = 0; i < ndim; i++) {
    if (bound->coef[i] == 0) continue;
    if (axis >= 0) return -1;
    axis = i;
  }
  return axis;
}

typedef enum verdict { ALWAYS, SOMETIMES, NEVER, OVERFLOWS } verdict;

static int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

/* Takes out of low <= sum coef * idx <= high the terms that can't decide it: 18 <= 6*i + j <= 29 is 3 <= i <= 4
 * if 0 <= j < 6. */
static void drop_small_terms(int ndim, int64_t *coef, const tg_box *box, int64_t *low, int64_t *high) {
  for (int i = 0; i < ndim; i++) {
    int64_t unit = coef[i] < 0 ? -coef[i] : coef[i], small[TG_MAX_DIMS], min, max, first, last, any_first, any_last;
    bool some = false;
    if (unit <= 1) continue;
    for (int k = 0; k < ndim; k++) {
      small[k] = coef[k] % unit == 0 ? 0 : coef[k];
      some |= small[k] != 0;
    }
    if (!some || !tg_level_range(ndim, small, 0, box, &min, &max)) continue;
    if (__builtin_sub_overflow(*low, min, &first) || __builtin_sub_overflow(*low, max, &any_first) ||
        __builtin_sub_overflow(*high, max, &last) || __builtin_sub_overflow(*high, min, &any_last))
      continue;
    first = tg_ceil_div(first, unit);
    last = tg_floor_div(last, unit);
    if (first != tg_ceil_div(any_first, unit) || last != tg_floor_div(any_last, unit)) continue;
    if (__builtin_mul_overflow(first, unit, &first) || __builtin_mul_overflow(last, unit, &last)) continue;
    for (int k = 0; k < ndim; k++) coef[k] -= small[k];
    *low = first;
    *high = last;
  }
}

/* How a bound fares inside the box; SOMETIMES has brought it into canonical form. */
static verdict tighten(int ndim, tg_bound *bound, const tg_box *box) {
  int64_t min, max, low, high, factor = 0, sign = 0, *coef = tg_level_edit(bound->coef);
  if (bound->size <= 0) return NEVER;
  if (!tg_level_range(ndim, coef, 0, box, &min, &max) || __builtin_sub_overflow(0, bound->offset, &low) ||
      __builtin_add_overflow(low, bound->size - 1, &high))
    return OVERFLOWS;
  if (low <= min && max <= high) return ALWAYS;
  if (low > max || high < min) return NEVER;
  if (low < min) low = min;
  if (high > max) high = max;

  for (int i = 0; i < ndim; i++)
    if (coef[i] < -INT64_MAX) return OVERFLOWS;
  drop_small_terms(ndim, coef, box, &low, &high);
  for (int i = 0; i < ndim; i++) {
    if (factor != 1) factor = gcd(coef[i] < 0 ? -coef[i] : coef[i], factor);
    if (sign == 0) sign = (coef[i] > 0) - (coef[i] < 0);
  }
  low = tg_ceil_div(low, factor);
  high = tg_floor_div(high, factor);
  if (low > high) return NEVER;
  if (low < -INT64_MAX) return OVERFLOWS;
  for (int i = 0; i < ndim; i++) coef[i] = sign * (coef[i] / factor);
  bound->offset = sign > 0 ? -low : high;
  bound->size = high - low + 1;
  return SOMETIMES;
}

int tg_level_compare(int ndim, const int64_t *a, const int64_t *b) {
  for (int i = 0; i < ndim; i++)
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

/* Bounds trade places with their coefficients' memory, so that no row is ever lost. */
static void swap(tg_bound *a, tg_bound *b) {
  tg_bound c = *a;
  *a = *b;
  *b = c;
}

/* Narrows *kept to where both hold. Their coefficients are the same. False if that is nowhere. */
static bool intersect(tg_bound *kept, const tg_bound *other) {
  int64_t low = kept->offset < other->offset ? -kept->offset : -other->offset;
  int64_t high_kept = kept->size - 1 - kept->offset, high_other = other->size - 1 - other->offset;
  int64_t high = high_kept < high_other ? high_kept : high_other;
  if (low > high) return false;
  kept->offset = -low;
  kept->size = high - low + 1;
  return true;
}

/* Brings all bounds into canonical form, sorted and without repeats. `box` is where the bounds on one
 * dimension hold; these themselves are measured against the shape. */
static verdict tighten_all(tg_view *level, const tg_box *box) {
  tg_bound *bound = (tg_bound *)level->bound;
  int count = level->nbound;
  level->nbound = 0;
  for (int b = 0; b < count; b++) {
    int ndim = level->ndim, at = level->nbound, axis = tg_level_sole_axis(ndim, &bound[b]);
    tg_box whole;
    if (axis >= 0) {
      whole.lo[axis] = 0;
      whole.hi[axis] = level->shape[axis] - 1;
    }
    verdict fate = tighten(ndim, &bound[b], axis >= 0 ? &whole : box);
    if (fate == NEVER || fate == OVERFLOWS) return fate;
    if (fate == ALWAYS) continue;

    swap(&bound[b], &bound[at]);
    while (at > 0 && tg_level_compare(ndim, bound[at - 1].coef, bound[at].coef) > 0) {
      swap(&bound[at - 1], &bound[at]);
      at--;
    }
    level->nbound++;
  }

  int kept = 0;
  for (int b = 1; b < level->nbound; b++) {
    if (tg_level_compare(level->ndim, bound[kept].coef, bound[b].coef) != 0) swap(&bound[++kept], &bound[b]);
    else if (!intersect(&bound[kept], &bound[b])) return NEVER;
  }
  if (level->nbound > 0) level->nbound = kept + 1;
  return SOMETIMES;
}

/* Takes dimension i, whose index is known to be `value`, out of a form. False on overflow. */
static bool fold(int i, int64_t value, const int64_t *coef, int64_t *offset) {
  int64_t term;
  if (coef[i] == 0) return true;
  if (__builtin_mul_overflow(coef[i], value, &term) || __builtin_add_overflow(*offset, term, offset)) return false;
  tg_level_edit(coef)[i] = 0;
  return true;
}

static bool fold_known(tg_view *level, const tg_box *box) {
  for (int i = 0; i < level->ndim; i++) {
    if (box->lo[i] != box->hi[i]) continue;
    if (!fold(i, box->lo[i], level->stride, &level->offset)) return false;
    for (int b = 0; b < level->nbound; b++) {
      tg_bound *bound = (tg_bound *)&level->bound[b];
      if (level->shape[i] > 1 && tg_level_sole_axis(level->ndim, bound) == i) continue;
      if (!fold(i, box->lo[i], bound->coef, &bound->offset)) return false;
    }
  }
  return true;
}

/* Narrows the box by the bounds on one dimension; says whether anything changed. */
static bool narrow_alone(const tg_view *level, tg_box *box) {
  bool changed = false;
  for (int b = 0; b < level->nbound; b++) {
    int i = tg_level_sole_axis(level->ndim, &level->bound[b]);
    if (i < 0) continue;
    int64_t lo = -level->bound[b].offset, hi = level->bound[b].size - 1 - level->bound[b].offset;
    changed |= box->lo[i] != lo || box->hi[i] != hi;
    box->lo[i] = lo;
    box->hi[i] = hi;
  }
  return changed;
}

bool tg_level_narrow(const tg_view *v, tg_box *box) {
  bool somewhere = true;
  for (int b = 0; b < v->nbound; b++) {
    const tg_bound *bound = &v->bound[b];
    for (int i = 0; i < v->ndim; i++) {
      int64_t c = bound->coef[i], lo = box->lo[i], hi = box->hi[i], min, max, least, most;
      if (c == 0) continue;
      box->lo[i] = box->hi[i] = 0; /* the range of all others */
      bool fits = tg_level_range(v->ndim, bound->coef, bound->offset, box, &min, &max) &&
                  !__builtin_sub_overflow(0, max, &least) && !__builtin_sub_overflow(bound->size - 1, min, &most);
      box->lo[i] = lo;
      box->hi[i] = hi;
      if (!fits) continue;
      int64_t first = c > 0 ? tg_ceil_div(least, c) : -tg_floor_div(most, -c);
      int64_t last = c > 0 ? tg_floor_div(most, c) : -tg_ceil_div(least, -c);
      if (first > hi || last < lo || first > last) {
        somewhere = false;
        continue;
      }
      if (first > lo) box->lo[i] = first;
      if (last < hi) box->hi[i] = last;
    }
  }
  return somewhere;
}

/* An index that all bounds together leave one value gets a bound of its own, which simplifies the others:
 * 0 <= 6*i + j - 19 < 4 with 0 <= j < 6 is i = 3 and 1 <= j < 5. */
static verdict find_known(tg_view *level, const tg_box *box) {
  tg_box reach = *box;
  bool found = false, shared = false;
  for (int b = 0; b < level->nbound; b++) shared |= tg_level_sole_axis(level->ndim, &level->bound[b]) < 0;
  if (!shared) return ALWAYS;
  if (!tg_level_narrow(level, &reach)) return NEVER;
  for (int i = 0; i < level->ndim; i++) {
    if (reach.lo[i] != reach.hi[i] || box->lo[i] == box->hi[i]) continue;
    tg_level_add_bound(level, -reach.lo[i], 1)[i] = 1;
    found = true;
  }
  return found ? SOMETIMES : ALWAYS;
}

tg_status tg_level_canonical(tg_view *level) {
  char text[TG_SHAPE_TEXT];
  tg_box whole, box;
  int64_t min, max;
  if (level->size == 0) {
    tg_level_set_never(level);
    level->nbound = 0;
    return TG_OK;
  }
  for (int i = 0; i < level->ndim; i++) {
    whole.lo[i] = box.lo[i] = 0;
    whole.hi[i] = box.hi[i] = level->shape[i] - 1;
  }
  for (verdict fate = SOMETIMES; fate != ALWAYS;) {
    fate = fold_known(level, &box) ? tighten_all(level, &box) : OVERFLOWS;
    if (fate == SOMETIMES && !narrow_alone(level, &box)) fate = find_known(level, &box);
    if (fate == OVERFLOWS) goto overflow;
    if (fate == NEVER) {
      tg_level_set_never(level);
      return TG_OK;
    }
  }

  if (!tg_level_range(level->ndim, level->stride, level->offset, &whole, &min, &max)) goto overflow;
  for (int b = 0; b < level->nbound; b++)
    if (!tg_level_range(level->ndim, level->bound[b].coef, level->bound[b].offset, &whole, &min, &max)) goto overflow;
  return TG_OK;

overflow:
  return tg_fail(TG_ERR_VALUE, "the positions of a view of shape %s overflow",
                 tg_level_show(text, level->ndim, level->shape));
}

/* Sliding windows (see window.h). */
#include "exec/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"

/* Are `steps` steps along dim j of the view as `*by` steps along dim i, in position and bounds? */
static bool moves_along(const tg_view *v, int j, int64_t steps, int i, int64_t *by) {
  if (v->stride[i] == 0 || v->stride[j] * steps % v->stride[i]) return false;
  *by = v->stride[j] * steps / v->stride[i];
  for (int k = 0; k < v->nbound; k++)
    if (v->bound[k].coef[j] * steps != *by * v->bound[k].coef[i]) return false;
  return true;
}

/* How shift dim s moves along the run's dims: by the least number of steps, and no more than there are points, so that
 * both together leave no element out. Else, how many steps of it make one. */
static void find_move(tg_window *w, int s) {
  const tg_view *v = w->of;
  int j = w->shift.first + s;
  int64_t by;
  for (int i = 0; i < w->nrun; i++) {
    const tg_window_axis *axis = &w->axis[i];
    if (axis->split || !moves_along(v, j, 1, axis->source, &by) || by == 0 || by > axis->points || by < -axis->points)
      continue;
    if (w->moves[s] >= 0 && llabs(by) >= llabs(w->by[s])) continue;
    w->moves[s] = i;
    w->by[s] = by;
  }
  for (int i = 0; i < w->nrun && w->moves[s] < 0; i++) {
    int64_t steps = v->stride[j] ? v->stride[w->axis[i].source] / v->stride[j] : 0;
    if (steps < 2 || w->axis[i].moved || !moves_along(v, j, steps, w->axis[i].source, &by) || by != 1) continue;
    w->moves[s] = i;
    w->by[s] = 1;
    w->each[s] = steps;
    w->axis[i].split = true;
  }
  if (w->moves[s] >= 0) w->axis[w->moves[s]].moved = true;
}

/* Planes that a shift dim numbers. */
static int64_t planes_of(const tg_window *w, int s) {
  int64_t size = w->of->shape[w->shift.first + s];
  return w->moves[s] < 0 ? size : tg_min(size, w->each[s]);
}

static bool matters(const tg_view *v, int j) {
  if (v->shape[j] == 1) return false;
  bool matter = v->stride[j] != 0;
  for (int k = 0; k < v->nbound; k++) matter |= v->bound[k].coef[j] != 0;
  return matter;
}

/* Zeros at both ends of axis i for all indices of the others, at most as many as the shift reaches. */
static int64_t margin(const tg_window *w, int i) {
  const tg_window_axis *axis = &w->axis[i];
  int64_t low = 0, high = 0;
  for (int s = 0; s < w->shift.count; s++)
    if (w->moves[s] == i && w->each[s] > 1) return 0; /* planes differ */
  for (int k = 0; k < w->of->nbound; k++) {
    const tg_bound *b = &w->of->bound[k];
    int64_t coef = b->coef[axis->source];
    bool alone = coef != 0;
    for (int d = 0; d < w->of->ndim; d++) {
      int s = d - w->shift.first;
      bool along = d == axis->source || (s >= 0 && s < w->shift.count && w->moves[s] == i);
      alone &= along || b->coef[d] == 0;
    }
    if (!alone) continue;
    int64_t first = b->offset - coef * axis->before, last = first + coef * (axis->size - 1), step = llabs(coef);
    int64_t under = tg_max(0, tg_ceil_div(-tg_min(first, last), step));
    int64_t over = tg_max(0, tg_floor_div(tg_max(first, last) - b->size, step) + 1);
    low = tg_max(low, coef > 0 ? under : over);
    high = tg_max(high, coef > 0 ? over : under);
  }
  return tg_min(tg_min(low, high), axis->size - axis->points);
}

bool tg_window_plan(tg_window *w, const tg_view *v, tg_dims batch, tg_dims run, int nrun, tg_dims shift) {
  if (v->below) return false;
  int lead = run.count - nrun;
  *w = (tg_window){.of = v, .shift = shift, .nrun = nrun, .planes = 1, .points = 1, .length = 1, .size = 1};
  w->outer[0] = batch;
  w->outer[1] = tg_dims_of(v->shape, run.first, lead);
  w->images = w->outer[0].size * w->outer[1].size;
  for (int i = 0; i < nrun; i++) {
    int source = run.first + lead + i;
    w->axis[i] = (tg_window_axis){.source = source, .points = v->shape[source], .size = v->shape[source]};
    w->points *= v->shape[source];
  }
  for (int s = 0; s < shift.count; s++) {
    int j = shift.first + s;
    w->moves[s] = -1;
    w->each[s] = 1;
    if (!matters(v, j)) continue;
    find_move(w, s);
    if (w->moves[s] < 0 || w->each[s] > 1) w->plane[w->nplane++] = s;
    w->planes *= planes_of(w, s);
    if (w->moves[s] < 0) continue;
    tg_window_axis *axis = &w->axis[w->moves[s]];
    int64_t reach = w->by[s] * ((v->shape[j] - 1) / w->each[s]);
    axis->size += llabs(reach);
    if (reach < 0) axis->before -= reach;
  }
  for (int i = nrun - 1; i >= 0; i--) {
    tg_window_axis *axis = &w->axis[i];
    int64_t shared = i ? margin(w, i) : 0;
    axis->step = w->size;
    axis->size -= shared;
    w->spill += shared * axis->step;
    w->length += (axis->points - 1) * axis->step;
    w->size *= axis->size;
  }
  return true;
}

tg_status tg_window_open(tg_window *w, const tg_access *access, void *const *slots, tg_dtype summed) {
  w->memory = slots[access->slot];
  w->stored = tg_itemsize(access->dtype);
  w->itemsize = tg_itemsize(summed);
  if (access->dtype != summed) w->cast = tgk.cast[access->dtype][summed];
  tg_layout_dim dims[TG_MAX_DIMS];
  int n = 0;
  for (int g = 0; g < 2; g++)
    for (int i = 0; i < w->outer[g].count; i++, n++)
      dims[n] = (tg_layout_dim){.source = w->outer[g].first + i, .size = w->of->shape[w->outer[g].first + i]};
  for (int i = 0; i < w->nplane; i++, n++) {
    int s = w->plane[i];
    dims[n] = (tg_layout_dim){.source = w->shift.first + s, .size = planes_of(w, s)};
    if (w->moves[s] < 0) continue;
    dims[n].clip = true;
    dims[n].with = w->outer[0].count + w->outer[1].count + w->nplane + w->moves[s];
    dims[n].times = w->each[s];
  }
  for (int i = 0; i < w->nrun; i++, n++)
    dims[n] = (tg_layout_dim){.source = w->axis[i].source, .size = w->axis[i].size, .before = w->axis[i].before};
  w->view = tg_layout(w->of, n, dims);
  return w->view ? tg_walk_init(&w->walk, w->view, 0, access->dtype) : tg_fail_memory(sizeof *w->view);
}

void tg_window_close(tg_window *w) {
  tg_walk_clear(&w->walk);
  tg_free(w->view);
  w->view = NULL;
}

void tg_window_shifts(const tg_window *w, int64_t plane, int64_t *shifts) {
  int64_t start = 0, at[TG_MAX_DIMS] = {0}, jump[TG_MAX_DIMS] = {0}; /* from one plane to the next */
  const int64_t *shape = w->of->shape + w->shift.first;
  for (int i = 0; i < w->nrun; i++) start += w->axis[i].before * w->axis[i].step;
  for (int i = w->nplane - 1; i >= 0; i--) {
    jump[w->plane[i]] = plane;
    plane *= planes_of(w, w->plane[i]);
  }
  for (int64_t i = 0; i < w->shift.size; i++) {
    shifts[i] = start;
    for (int s = 0; s < w->shift.count; s++) {
      if (w->moves[s] < 0) shifts[i] += at[s] * jump[s];
      else shifts[i] += at[s] % w->each[s] * jump[s] + at[s] / w->each[s] * w->by[s] * w->axis[w->moves[s]].step;
    }
    for (int s = w->shift.count - 1; s >= 0 && ++at[s] == shape[s]; s--) at[s] = 0;
  }
}

int64_t tg_window_part(const tg_window *w, int64_t rows) {
  return (rows + w->axis[0].size - w->axis[0].points) * w->axis[0].step;
}

int64_t tg_window_length(const tg_window *w, int64_t rows) {
  return w->length - (w->axis[0].points - rows) * w->axis[0].step;
}

void tg_window_read(const tg_window *w, int64_t image, int64_t count, int64_t row, int64_t rows, int64_t plane,
                    char *raw, char *to) {
  int64_t planes = count * w->planes, n = tg_window_part(w, rows), start = image * w->planes * w->size;
  if (n == plane && n == w->size) { /* all one after the other */
    n *= planes;
    planes = 1;
  }
  start += row * w->axis[0].step;
  for (int64_t i = 0; i < planes; i++, start += w->size, to += (size_t)plane * w->itemsize) {
    const char *from = tg_walk_read(&w->walk, w->memory, NULL, start, n, w->cast ? raw : to);
    if (w->cast) w->cast(to, from, (size_t)n);
    else if (from != to) memcpy(to, from, (size_t)n * w->itemsize);
    if (n < plane) memset(to + (size_t)n * w->itemsize, 0, (size_t)tg_min(w->spill, plane - n) * w->itemsize);
  }
}

static char *gather(const tg_window *w, int i, int64_t points, const char *from, char *to) {
  const tg_window_axis *axis = &w->axis[i];
  int last = w->nrun - 1;
  if (i + 1 < last) {
    for (int64_t p = 0; p < points; p++, from += (size_t)axis->step * w->itemsize)
      to = gather(w, i + 1, axis[1].points, from, to);
    return to;
  }
  int64_t n = i < last ? axis[1].points : points, rows = i < last ? points : 1;
  tgk.rows[w->itemsize == 8 ? 3 : 2](to, from, axis->step, n, 0, n, rows);
  return to + (size_t)(n * rows) * w->itemsize;
}

char *tg_window_gather(const tg_window *w, int64_t rows, const char *from, char *to) {
  return gather(w, 0, rows, from, to);
}

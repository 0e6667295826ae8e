/* Walks (see walk.h). One traversal, `sweep`, splits a flat range into rows along the innermost
 * swept dimension, finds the valid part of each from the bounds, and hands it to an emitter:
 * read, write, positions and validity differ only in the emitter. Where a view has several levels, the emitter of the
 * upper one sweeps the lower one.
 *
 * Owns: nothing beyond what hangs on a tg_walk. Callers: whatever in exec/ reads or writes through views, and the
 * copy out to NumPy. No locks, no allocation after tg_walk_init. */
#include "exec/walk.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "kernels/kernels.h"

/* ---- preparing ---- */

static bool varies(const tg_bound *b, int first, int ndim) {
  for (int i = first; i < ndim; i++)
    if (b->coef[i] != 0) return true;
  return false;
}

/* One swept dim before merging: `times` steps of a view dim for each of its own. */
typedef struct part {
  int dim;
  int64_t shape, times;
} part;

/* The swept dims in order, but for those of size 1. */
static int list_parts(const tg_view *v, int nfixed, int ndim, const tg_tiling *t, part *parts) {
  int n = 0;
  for (int i = nfixed; i < ndim; i++)
    if (v->shape[i] != 1 && !(t && (i == t->across || i == t->along))) parts[n++] = (part){i, v->shape[i], 1};
  if (!t) return n;
  parts[n++] = (part){t->across, tg_ceil_div(v->shape[t->across], TG_TILE_ACROSS), TG_TILE_ACROSS};
  parts[n++] = (part){t->along, tg_ceil_div(v->shape[t->along], TG_TILE_ALONG), TG_TILE_ALONG};
  parts[n++] = (part){t->across, TG_TILE_ACROSS, 1};
  parts[n++] = (part){t->along, TG_TILE_ALONG, 1};
  return n;
}

/* Room for the bounds and their coefficients. A tiled dim that its tiles overhang gets one more. */
static tg_status copy_bounds(tg_walk *w, const tg_view *v, int ndim, const tg_tiling *t, const part *parts,
                             int nparts) {
  int last = v->nbound + (t ? 2 : 0);
  size_t room = (size_t)last * (sizeof(tg_walk_bound) + (size_t)nparts * sizeof(int64_t));
  if (!last) return TG_OK;
  if (!(w->bound = tg_malloc(room))) return tg_fail_memory(room);
  int64_t *coef = (int64_t *)(w->bound + last);
  for (int varying = 1; varying >= 0; varying--) {
    for (int k = 0; k < v->nbound; k++) {
      const tg_bound *b = &v->bound[k];
      if (varies(b, w->nfixed, ndim) != (varying == 1)) continue;
      w->bound[w->nbound++] = (tg_walk_bound){b->offset, b->size, b->coef, coef};
      for (int j = 0; j < nparts; j++) *coef++ = b->coef[parts[j].dim] * parts[j].times;
    }
    if (!varying) break;
    for (int k = 0; t && k < 2; k++) {
      int dim = k ? t->along : t->across;
      if (v->shape[dim] % (k ? TG_TILE_ALONG : TG_TILE_ACROSS) == 0) continue;
      w->bound[w->nbound++] = (tg_walk_bound){0, v->shape[dim], NULL, coef};
      for (int j = 0; j < nparts; j++) *coef++ = parts[j].dim == dim ? parts[j].times : 0;
    }
    w->nvarying = w->nbound;
  }
  return TG_OK;
}

/* Drops swept dim j into the next outer one, if position and bounds stay affine in the flat index. */
static bool merge(tg_walk *w, int j) {
  if (w->stride[j - 1] != w->stride[j] * w->shape[j]) return false;
  for (int k = 0; k < w->nvarying; k++)
    if (w->bound[k].swept[j - 1] != w->bound[k].swept[j] * w->shape[j]) return false;
  w->shape[j] *= w->shape[j - 1];
  for (int i = j - 1; i < w->nswept - 1; i++) {
    w->shape[i] = w->shape[i + 1];
    w->stride[i] = w->stride[i + 1];
    for (int k = 0; k < w->nvarying; k++) w->bound[k].swept[i] = w->bound[k].swept[i + 1];
  }
  w->nswept--;
  return true;
}

static tg_status init(tg_walk *w, const tg_view *view, int nfixed, int ndim, const tg_tiling *tiling, tg_dtype dtype) {
  part parts[TG_MAX_DIMS + 2];
  memset(w, 0, sizeof *w);
  w->log2_itemsize = tg_log2_itemsize(dtype);
  w->nfixed = nfixed;
  w->view = view;
  w->nswept = list_parts(view, nfixed, ndim, tiling, parts);
  tg_status status = copy_bounds(w, view, ndim, tiling, parts, w->nswept);
  if (status) return status;
  for (int j = 0; j < w->nswept; j++) {
    w->shape[j] = parts[j].shape;
    w->stride[j] = view->stride[parts[j].dim] * parts[j].times;
  }
  for (int j = w->nswept - 1; j > 0; j--) merge(w, j);
  if (!w->nswept) { /* a single point */
    w->nswept = 1;
    w->shape[0] = w->stride[0] = 1;
  }
  bool broadcast = true;
  for (int j = 0; j < w->nswept; j++) broadcast &= w->stride[j] == 0;
  if (view->below) {
    w->kind = TG_WALK_STACKED;
    if (!(w->below = tg_calloc(1, sizeof *w->below))) status = tg_fail_memory(sizeof *w->below);
    if (!status) status = init(w->below, view->below, 0, view->below->ndim, NULL, dtype);
    if (status) tg_walk_clear(w);
  } else if (w->nvarying) {
    w->kind = TG_WALK_RUNS;
  } else if (w->nswept == 1 && w->stride[0] == 1) {
    w->kind = TG_WALK_DENSE;
  } else {
    w->kind = broadcast ? TG_WALK_BROADCAST : TG_WALK_RUNS;
  }
  return status;
}

tg_status tg_walk_init(tg_walk *w, const tg_view *view, int nfixed, tg_dtype dtype) {
  return init(w, view, nfixed, view->ndim, NULL, dtype);
}

tg_status tg_walk_init_leading(tg_walk *w, const tg_view *view, int nfixed, int ndim, tg_dtype dtype) {
  return init(w, view, nfixed, ndim, NULL, dtype);
}

tg_status tg_walk_init_tiled(tg_walk *w, const tg_view *view, const tg_tiling *tiling, tg_dtype dtype) {
  return init(w, view, 0, view->ndim, tiling, dtype);
}

void tg_walk_clear(tg_walk *w) {
  while (w->below) {
    tg_walk *below = w->below;
    w->below = below->below;
    tg_free(below->bound);
    tg_free(below);
  }
  tg_free(w->bound);
  w->bound = NULL;
}

/* ---- traversal ---- */

/* A row of `n` consecutive swept elements, the i-th at position + i * step; only [lo, hi) are valid.
 * Rows too short to be worth a call each come `rows` at a time, the next one at position + jump. */
typedef struct row {
  int64_t at; /* where the row starts within the range asked for */
  int64_t n, lo, hi, position, step;
  int64_t rows, jump;
} row;

#define SHORT_ROW 128

typedef void (*emit_fn)(void *context, const row *r);

/* Cuts [lo, hi) to where 0 <= value + coef * i < size; nothing left is [0, 0). */
static void clip_row(row *r, int64_t value, int64_t coef, int64_t size) {
  int64_t lo = 0, hi = r->n;
  if (coef == 0) {
    if (value < 0 || value >= size) hi = 0;
  } else if (coef == 1) { /* nearly always: spared the divisions */
    lo = -value;
    hi = size - value;
  } else if (coef == -1) {
    lo = value - size + 1;
    hi = value + 1;
  } else if (coef > 0) {
    lo = -tg_floor_div(value, coef);
    hi = tg_floor_div(size - 1 - value, coef) + 1;
  } else {
    lo = -tg_floor_div(size - 1 - value, -coef);
    hi = tg_floor_div(value, -coef) + 1;
  }
  if (lo > r->lo) r->lo = lo;
  if (hi < r->hi) r->hi = hi;
  if (r->hi <= r->lo) r->lo = r->hi = 0;
}

/* How many rows from here on, `outer` apart in the bound's value, does the bound clip alike? */
static int64_t steady(int64_t value, int64_t outer, int64_t inner, int64_t size) {
  if (outer == 0) return INT64_MAX;
  if (inner != 0) return 1;
  if (outer < 0) { /* mirrored, the value rises */
    value = size - 1 - value;
    outer = -outer;
  }
  int64_t end = value < 0 ? -1 : size - 1; /* the last value of its kind */
  if (value > end) return INT64_MAX;
  return outer == 1 ? end - value + 1 : (end - value) / outer + 1;
}

/* A bound's value at the swept origin. */
static int64_t bound_origin(const tg_walk *w, const tg_walk_bound *b, const int64_t *fixed) {
  int64_t value = b->offset;
  for (int i = 0; i < w->nfixed; i++) value += b->fixed[i] * fixed[i];
  return value;
}

/* Position of the swept origin; *valid tells whether the bounds on fixed dims alone hold. */
static int64_t origin(const tg_walk *w, const int64_t *fixed, bool *valid) {
  int64_t position = w->view->offset;
  for (int i = 0; i < w->nfixed; i++) position += w->view->stride[i] * fixed[i];
  *valid = true;
  for (int k = w->nvarying; k < w->nbound; k++) {
    int64_t value = bound_origin(w, &w->bound[k], fixed);
    if (value < 0 || value >= w->bound[k].size) *valid = false;
  }
  return position;
}

#define MAX_TRACKED_BOUNDS 64

/* The range's rows of one level, emitted as if it began at `at`. */
static void sweep_level(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, int64_t at, emit_fn emit,
                        void *context) {
  if (n <= 0) return;
  bool valid;
  int64_t position = origin(w, fixed, &valid);
  if (!valid) {
    row r = {.at = at, .n = n, .rows = 1};
    emit(context, &r);
    return;
  }
  int nd = w->nswept, inner = nd - 1, nb = w->nvarying;
  int64_t idx[TG_MAX_DIMS], few[MAX_TRACKED_BOUNDS];
  for (int j = inner; j >= 0; j--) {
    idx[j] = j ? start % w->shape[j] : start;
    start /= w->shape[j];
    position += idx[j] * w->stride[j];
  }
  /* Values of the varying bounds at the current point, kept up to date as the indices advance. The
   * rare view with more bounds than fit recomputes them for every row. */
  bool tracked = nb <= MAX_TRACKED_BOUNDS;
  for (int k = 0; tracked && k < nb; k++) {
    few[k] = bound_origin(w, &w->bound[k], fixed);
    for (int j = 0; j < nd; j++) few[k] += w->bound[k].swept[j] * idx[j];
  }
  for (int64_t stop = at + n;;) {
    int64_t run = w->shape[inner] - idx[inner];
    if (run > stop - at) run = stop - at;
    row r = {at, run, 0, run, position, w->stride[inner], 1, 0};
    for (int k = 0; k < nb; k++) {
      int64_t value;
      if (tracked) {
        value = few[k];
      } else {
        value = bound_origin(w, &w->bound[k], fixed);
        for (int j = 0; j < nd; j++) value += w->bound[k].swept[j] * idx[j];
      }
      clip_row(&r, value, w->bound[k].swept[inner], w->bound[k].size);
    }
    if (tracked && nd > 1 && run == w->shape[inner] && run < SHORT_ROW) {
      /* all whole rows of the same validity up to the end of the next outer dim, or of the range */
      int64_t left = w->shape[inner - 1] - idx[inner - 1];
      r.rows = (stop - at) / run < left ? (stop - at) / run : left;
      r.jump = w->stride[inner - 1];
      for (int k = 0; k < nb; k++) {
        const int64_t *coef = w->bound[k].swept + inner;
        int64_t same = steady(few[k], coef[-1], coef[0], w->bound[k].size);
        if (same < r.rows) r.rows = same;
      }
      idx[inner - 1] += r.rows - 1;
      position += (r.rows - 1) * r.jump;
      for (int k = 0; k < nb; k++) few[k] += (r.rows - 1) * w->bound[k].swept[inner - 1];
    }
    emit(context, &r);
    at += run * r.rows;
    if (at == stop) return;
    /* on to the next row: rewind the inner dim, carry into the outer ones */
    position -= idx[inner] * w->stride[inner];
    for (int k = 0; tracked && k < nb; k++) few[k] -= idx[inner] * w->bound[k].swept[inner];
    idx[inner] = 0;
    for (int j = inner - 1; j >= 0; j--) {
      bool carry = ++idx[j] == w->shape[j];
      int64_t moved = carry ? 1 - w->shape[j] : 1;
      if (carry) idx[j] = 0;
      position += moved * w->stride[j];
      for (int k = 0; tracked && k < nb; k++) few[k] += moved * w->bound[k].swept[j];
      if (!carry) break;
    }
  }
}

static void sweep(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, int64_t at, emit_fn emit,
                  void *context);

typedef struct descent {
  const tg_walk *below;
  emit_fn emit;
  void *context;
} descent;

/* A row of flat positions in the level below: a range of that level if they are consecutive. */
static void emit_below(void *context, const row *r) {
  const descent *d = context;
  if (r->hi == r->lo) {
    d->emit(d->context, r);
    return;
  }
  for (int64_t i = 0, at = r->at, position = r->position; i < r->rows; i++, at += r->n, position += r->jump) {
    row before = {.at = at, .n = r->lo, .rows = 1}, after = {.at = at + r->hi, .n = r->n - r->hi, .rows = 1};
    int64_t from = position + r->lo * r->step, count = r->hi - r->lo;
    if (before.n) d->emit(d->context, &before);
    if (r->step == 1) sweep(d->below, NULL, from, count, at + r->lo, d->emit, d->context);
    else
      for (int64_t j = 0; j < count; j++)
        sweep(d->below, NULL, from + j * r->step, 1, at + r->lo + j, d->emit, d->context);
    if (after.n) d->emit(d->context, &after);
  }
}

static void sweep(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, int64_t at, emit_fn emit,
                  void *context) {
  descent d = {w->below, emit, context};
  if (w->below) sweep_level(w, fixed, start, n, at, emit_below, &d);
  else sweep_level(w, fixed, start, n, at, emit, context);
}

/* ---- emitters ---- */

typedef struct copy_context {
  const char *from;
  char *to;
  int log2_itemsize;
  bool streamed;
} copy_context;

static void emit_read(void *context, const row *r) {
  const copy_context *c = context;
  int shift = c->log2_itemsize;
  int64_t size = (int64_t)1 << shift, count = r->hi - r->lo;
  char *to = c->to + r->at * size;
  if (r->rows > 1 && r->step == 1 && count) {
    tgk.rows[shift](to, c->from + r->position * size, r->jump, r->n, r->lo, r->hi, r->rows);
    return;
  }
  if (count < r->n) memset(to, 0, (size_t)(r->n * r->rows) << shift);
  if (count == 0) return;
  const char *from = c->from + (r->position + r->lo * r->step) * size;
  to += r->lo * size;
  if (r->rows > 1) tgk.copy_rows[shift](to, r->n, 1, from, r->jump, r->step, (size_t)r->rows, (size_t)count);
  else tgk.strided[shift](to, from, r->step, (size_t)count);
}

static void emit_write(void *context, const row *r) {
  const copy_context *c = context;
  int shift = c->log2_itemsize;
  int64_t size = (int64_t)1 << shift;
  if (r->hi == r->lo) return;
  if (c->streamed && r->step == 1) {
    for (int64_t k = 0; k < r->rows; k++)
      tgk.stream(c->to + (r->position + r->lo + k * r->jump) * size, c->from + (r->at + r->lo + k * r->n) * size,
                 (size_t)((r->hi - r->lo) * size));
    return;
  }
  tgk.copy_rows[shift](c->to + (r->position + r->lo * r->step) * size, r->jump, r->step,
                       c->from + (r->at + r->lo) * size, r->n, 1, (size_t)r->rows, (size_t)(r->hi - r->lo));
}

static void emit_positions(void *context, const row *r) {
  const copy_context *c = context;
  int64_t size = (int64_t)1 << c->log2_itemsize, position = r->position + r->lo * r->step;
  char *to = c->to + r->at * size;
  tgk_number_fn number = tgk.number[c->log2_itemsize == 2 ? TG_I32 : TG_I64];
  if (r->hi - r->lo < r->n) memset(to, 0, (size_t)(r->n * r->rows * size));
  to += r->lo * size;
  for (int64_t k = 0; k < r->rows; k++, position += r->jump, to += r->n * size)
    number(to, position, r->step, (size_t)(r->hi - r->lo));
}

static void emit_valid(void *context, const row *r) {
  uint8_t *to = (uint8_t *)context + r->at;
  for (int64_t k = 0; k < r->rows; k++)
    for (int64_t i = 0; i < r->n; i++) *to++ = i >= r->lo && i < r->hi;
}

/* ---- entry points ---- */

const void *tg_walk_read(const tg_walk *w, const void *memory, const int64_t *fixed, int64_t start, int64_t n,
                         void *scratch) {
  if (w->kind == TG_WALK_DENSE) {
    bool valid;
    int64_t position = origin(w, fixed, &valid) + start;
    if (valid) return (const char *)memory + position * ((int64_t)1 << w->log2_itemsize);
  }
  copy_context c = {memory, scratch, w->log2_itemsize, false};
  if (w->kind == TG_WALK_BROADCAST) { /* one row whatever the shape */
    row r = {.n = n, .hi = n, .rows = 1};
    bool valid;
    r.position = origin(w, fixed, &valid);
    if (!valid) r.hi = 0;
    emit_read(&c, &r);
  } else {
    sweep(w, fixed, start, n, 0, emit_read, &c);
  }
  return scratch;
}

void *tg_walk_address(const tg_walk *w, void *memory, const int64_t *fixed, int64_t start) {
  bool valid;
  return (char *)memory + (origin(w, fixed, &valid) + start) * ((int64_t)1 << w->log2_itemsize);
}

void tg_walk_write(const tg_walk *w, void *memory, const int64_t *fixed, int64_t start, int64_t n, const void *source) {
  copy_context c = {source, memory, w->log2_itemsize, w->streamed};
  sweep(w, fixed, start, n, 0, emit_write, &c);
}

void tg_walk_positions(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, tg_dtype dtype,
                       void *positions) {
  copy_context c = {NULL, positions, tg_log2_itemsize(dtype), false};
  sweep(w, fixed, start, n, 0, emit_positions, &c);
}

void tg_walk_valid(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, uint8_t *valid) {
  sweep(w, fixed, start, n, 0, emit_valid, valid);
}

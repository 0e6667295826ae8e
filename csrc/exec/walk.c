/* Walks (see walk.h). One traversal, `sweep`, splits a flat range into rows along the innermost
 * swept dimension, finds the valid part of each from the bounds, and hands it to an emitter:
 * read, write, positions and validity differ only in the emitter.
 *
 * Owns: nothing beyond the arrays inside a tg_walk. Callers: vm.c, sequence.c, contract.c, and the copy out
 * to NumPy. No locks, no allocation after tg_walk_init. */
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

/* Merges view dim i into the walk's last swept dim (the next outer one) if position and bounds
 * stay affine in the flat index. */
static bool merges(const tg_walk *w, int i, int last_dim) {
  const tg_view *v = w->view;
  int64_t n = v->shape[i];
  if (v->stride[last_dim] != v->stride[i] * n) return false;
  for (int k = 0; k < w->nvarying; k++) {
    const int64_t *coef = v->bound[w->varying[k]].coef;
    if (coef[last_dim] != coef[i] * n) return false;
  }
  return true;
}

tg_status tg_walk_init(tg_walk *w, const tg_view *view, int nfixed, tg_dtype dtype) {
  memset(w, 0, sizeof *w);
  w->log2_itemsize = tg_log2_itemsize(dtype);
  w->nfixed = nfixed;
  w->view = view;
  if (view->below) {
    w->kind = TG_WALK_STACKED;
    w->nswept = view->ndim - nfixed;
    for (int i = 0; i < w->nswept; i++) w->shape[i] = view->shape[nfixed + i];
    return TG_OK;
  }
  if (view->nbound) {
    size_t room = (size_t)view->nbound * (sizeof(int64_t) * TG_MAX_DIMS + sizeof(int));
    w->coef = tg_malloc(room);
    if (!w->coef) return tg_fail_memory(room);
    w->varying = (int *)(w->coef + (size_t)view->nbound * TG_MAX_DIMS);
    for (int k = 0; k < view->nbound; k++)
      if (varies(&view->bound[k], nfixed, view->ndim)) w->varying[w->nvarying++] = k;
  }
  int dims[TG_MAX_DIMS]; /* the innermost view dim that each swept dim was merged from */
  for (int i = nfixed; i < view->ndim; i++) {
    if (view->shape[i] == 1) continue;
    if (w->nswept && merges(w, i, dims[w->nswept - 1])) {
      w->shape[w->nswept - 1] *= view->shape[i];
    } else {
      w->shape[w->nswept++] = view->shape[i];
    }
    dims[w->nswept - 1] = i;
  }
  for (int j = 0; j < w->nswept; j++) {
    w->stride[j] = view->stride[dims[j]];
    for (int k = 0; k < w->nvarying; k++) w->coef[k * w->nswept + j] = view->bound[w->varying[k]].coef[dims[j]];
  }
  if (!w->nswept) { /* a single point */
    w->nswept = 1;
    w->shape[0] = w->stride[0] = 1;
  }
  bool broadcast = true;
  for (int j = 0; j < w->nswept; j++) broadcast &= w->stride[j] == 0;
  if (w->nvarying) w->kind = TG_WALK_RUNS;
  else if (w->nswept == 1 && w->stride[0] == 1) w->kind = TG_WALK_DENSE;
  else w->kind = broadcast ? TG_WALK_BROADCAST : TG_WALK_RUNS;
  return TG_OK;
}

void tg_walk_clear(tg_walk *w) {
  tg_free(w->coef);
  w->coef = NULL;
  w->varying = NULL;
}

/* ---- traversal ---- */

/* A row of `n` consecutive swept elements, the i-th at position + i * step; only [lo, hi) are valid.
 * Rows too short to be worth a call each come `rows` at a time, the next one at position + jump. */
typedef struct row {
  int64_t at; /* where the row starts within the range asked for */
  int64_t n, lo, hi, position, step;
  int64_t rows, jump;
} row;

#define SHORT_ROW 64

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

/* Position of the swept origin; *valid tells whether the bounds on fixed dims alone hold. */
static int64_t origin(const tg_walk *w, const int64_t *fixed, bool *valid) {
  const tg_view *v = w->view;
  int64_t position = v->offset;
  for (int i = 0; i < w->nfixed; i++) position += v->stride[i] * fixed[i];
  *valid = true;
  for (int k = 0, next = 0; k < v->nbound; k++) {
    if (next < w->nvarying && w->varying[next] == k) {
      next++;
      continue;
    }
    int64_t value = v->bound[k].offset;
    for (int i = 0; i < w->nfixed; i++) value += v->bound[k].coef[i] * fixed[i];
    if (value < 0 || value >= v->bound[k].size) *valid = false;
  }
  return position;
}

#define MAX_STACK_BOUNDS 64

static void sweep_stacked(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, emit_fn emit,
                          void *context) {
  int64_t idx[TG_MAX_DIMS];
  for (int i = 0; i < w->nfixed; i++) idx[i] = fixed[i];
  for (int j = w->nswept - 1; j >= 0; j--) {
    idx[w->nfixed + j] = start % w->shape[j];
    start /= w->shape[j];
  }
  for (int64_t at = 0; at < n; at++) {
    row r = {.at = at, .n = 1, .rows = 1};
    r.hi = tg_view_position(w->view, idx, &r.position);
    if (!r.hi) r.position = 0;
    emit(context, &r);
    for (int j = w->nswept - 1; j >= 0; j--) {
      if (++idx[w->nfixed + j] < w->shape[j]) break;
      idx[w->nfixed + j] = 0;
    }
  }
}

static void sweep(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, emit_fn emit, void *context) {
  if (n <= 0) return;
  if (w->kind == TG_WALK_STACKED) {
    sweep_stacked(w, fixed, start, n, emit, context);
    return;
  }
  bool valid;
  int64_t position = origin(w, fixed, &valid);
  if (!valid) {
    row r = {.n = n, .rows = 1};
    emit(context, &r);
    return;
  }
  const tg_view *v = w->view;
  int nd = w->nswept, inner = nd - 1, nb = w->nvarying;
  int64_t idx[TG_MAX_DIMS], few[MAX_STACK_BOUNDS];
  for (int j = inner; j >= 0; j--) {
    idx[j] = start % w->shape[j];
    start /= w->shape[j];
    position += idx[j] * w->stride[j];
  }
  /* Values of the varying bounds at the current point, kept up to date as the indices advance. The
   * rare view with more bounds than fit recomputes them for every row. */
  bool tracked = nb <= MAX_STACK_BOUNDS;
  for (int k = 0; tracked && k < nb; k++) {
    const tg_bound *b = &v->bound[w->varying[k]];
    few[k] = b->offset;
    for (int i = 0; i < w->nfixed; i++) few[k] += b->coef[i] * fixed[i];
    for (int j = 0; j < nd; j++) few[k] += w->coef[k * nd + j] * idx[j];
  }
  for (int64_t at = 0;;) {
    int64_t run = w->shape[inner] - idx[inner];
    if (run > n - at) run = n - at;
    row r = {at, run, 0, run, position, w->stride[inner], 1, 0};
    for (int k = 0; k < nb; k++) {
      int64_t value;
      if (tracked) {
        value = few[k];
      } else {
        value = v->bound[w->varying[k]].offset;
        for (int i = 0; i < w->nfixed; i++) value += v->bound[w->varying[k]].coef[i] * fixed[i];
        for (int j = 0; j < nd; j++) value += w->coef[k * nd + j] * idx[j];
      }
      clip_row(&r, value, w->coef[k * nd + inner], v->bound[w->varying[k]].size);
    }
    if (tracked && nd > 1 && run == w->shape[inner] && run < SHORT_ROW) {
      /* all whole rows of the same validity up to the end of the next outer dim, or of the range */
      int64_t left = w->shape[inner - 1] - idx[inner - 1];
      r.rows = (n - at) / run < left ? (n - at) / run : left;
      r.jump = w->stride[inner - 1];
      for (int k = 0; k < nb; k++) {
        const int64_t *coef = w->coef + k * nd + inner;
        int64_t same = steady(few[k], coef[-1], coef[0], v->bound[w->varying[k]].size);
        if (same < r.rows) r.rows = same;
      }
      idx[inner - 1] += r.rows - 1;
      position += (r.rows - 1) * r.jump;
      for (int k = 0; k < nb; k++) few[k] += (r.rows - 1) * w->coef[k * nd + inner - 1];
    }
    emit(context, &r);
    at += run * r.rows;
    if (at == n) return;
    /* on to the next row: rewind the inner dim, carry into the outer ones */
    position -= idx[inner] * w->stride[inner];
    for (int k = 0; tracked && k < nb; k++) few[k] -= idx[inner] * w->coef[k * nd + inner];
    idx[inner] = 0;
    for (int j = inner - 1; j >= 0; j--) {
      bool carry = ++idx[j] == w->shape[j];
      int64_t moved = carry ? 1 - w->shape[j] : 1;
      if (carry) idx[j] = 0;
      position += moved * w->stride[j];
      for (int k = 0; tracked && k < nb; k++) few[k] += moved * w->coef[k * nd + j];
      if (!carry) break;
    }
  }
}

/* ---- emitters ---- */

typedef struct copy_context {
  const char *from;
  char *to;
  int log2_itemsize;
} copy_context;

#define GATHER(type)                                                                                                   \
  do {                                                                                                                 \
    type *element = (type *)(void *)to;                                                                                \
    const type *source = (const type *)(const void *)from;                                                             \
    for (int64_t j = 0; j < r->lo; j++) element[j] = 0;                                                                \
    for (int64_t j = r->lo; j < r->hi; j++) element[j] = source[(j - r->lo) * r->step];                                \
    for (int64_t j = r->hi; j < r->n; j++) element[j] = 0;                                                             \
  } while (0)

static void emit_read(void *context, const row *r) {
  const copy_context *c = context;
  int shift = c->log2_itemsize;
  int64_t size = (int64_t)1 << shift;
  char *to = c->to + r->at * size;
  if (r->hi == r->lo) {
    memset(to, 0, (size_t)(r->n * r->rows) << shift);
    return;
  }
  const char *from = c->from + (r->position + r->lo * r->step) * size;
  if (r->rows == 1 && r->n >= SHORT_ROW) {
    if (r->lo) memset(to, 0, (size_t)r->lo << shift);
    if (r->step == 1) memcpy(to + r->lo * size, from, (size_t)(r->hi - r->lo) << shift);
    else tgk.strided[shift](to + r->lo * size, from, r->step, (size_t)(r->hi - r->lo));
    if (r->n > r->hi) memset(to + r->hi * size, 0, (size_t)(r->n - r->hi) << shift);
    return;
  }
  if (r->step == 1) {
    tgk.rows[shift](to, from - r->lo * size, r->jump, r->n, r->lo, r->hi, r->rows);
    return;
  }
  for (int64_t i = 0; i < r->rows; i++, to += r->n * size, from += r->jump * size) {
    switch (shift) {
    case 0: GATHER(uint8_t); break;
    case 1: GATHER(uint16_t); break;
    case 2: GATHER(uint32_t); break;
    default: GATHER(uint64_t); break;
    }
  }
}

#define SCATTER(type)                                                                                                  \
  do {                                                                                                                 \
    const type *from = (const type *)(const void *)c->from + r->at;                                                    \
    type *to = (type *)(void *)c->to + r->position;                                                                    \
    for (int64_t i = 0; i < r->rows; i++, to += r->jump)                                                               \
      for (int64_t j = 0; j < r->n; j++) to[j * r->step] = *from++;                                                    \
  } while (0)

static void emit_write(void *context, const row *r) {
  const copy_context *c = context;
  int shift = c->log2_itemsize;
  if (r->step == 1 && r->rows == 1) {
    memcpy(c->to + r->position * ((int64_t)1 << shift), c->from + (r->at << shift), (size_t)r->n << shift);
    return;
  }
  switch (shift) {
  case 0: SCATTER(uint8_t); break;
  case 1: SCATTER(uint16_t); break;
  case 2: SCATTER(uint32_t); break;
  default: SCATTER(uint64_t); break;
  }
}

static void emit_positions(void *context, const row *r) {
  int64_t *to = (int64_t *)context + r->at, position = r->position;
  for (int64_t k = 0; k < r->rows; k++, position += r->jump)
    for (int64_t i = 0; i < r->n; i++) *to++ = i >= r->lo && i < r->hi ? position + i * r->step : 0;
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
  copy_context c = {memory, scratch, w->log2_itemsize};
  if (w->kind == TG_WALK_BROADCAST) { /* one row whatever the shape */
    row r = {.n = n, .hi = n, .rows = 1};
    bool valid;
    r.position = origin(w, fixed, &valid);
    if (!valid) r.hi = 0;
    emit_read(&c, &r);
  } else {
    sweep(w, fixed, start, n, emit_read, &c);
  }
  return scratch;
}

void tg_walk_write(const tg_walk *w, void *memory, const int64_t *fixed, int64_t start, int64_t n, const void *source) {
  copy_context c = {source, memory, w->log2_itemsize};
  sweep(w, fixed, start, n, emit_write, &c);
}

void tg_walk_positions(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, int64_t *positions) {
  sweep(w, fixed, start, n, emit_positions, positions);
}

void tg_walk_valid(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, uint8_t *valid) {
  sweep(w, fixed, start, n, emit_valid, valid);
}

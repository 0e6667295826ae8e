/* Packing of panels (see pack.h). */
#include "exec/pack.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"

#define READ_POINTS 2048 /* short rows are read together, about as many elements at once */
#define READ_ROWS 32     /* and at most so many rows */
#define LONG_ROW 2048
#define GROUP 8 /* rows that are interleaved in one go */

/* ---- operands ---- */

/* Rough nanoseconds an element takes to be read in rows of `length` and packed. */
static double read_cost(const tg_walk *w, int64_t length, bool along_k) {
  double cost = 30.0 / (double)length + (along_k ? 0.3 : 0.1);
  if (w->kind == TG_WALK_RUNS) {
    int64_t step = w->stride[w->nswept - 1], run = tg_min(w->shape[w->nswept - 1], length);
    cost += 10.0 / (double)run + (step >= -1 && step <= 1 ? 0.1 : 0.8);
  }
  return cost;
}

tg_status tg_operand_init(tg_operand *o, const tg_access *access, void *const *slots, tg_dims batch, tg_dims lanes,
                          tg_dims k, tg_dtype summed) {
  o->memory = slots[access->slot];
  o->stored = tg_itemsize(access->dtype);
  if (access->dtype != summed) o->cast = tgk.cast[access->dtype][summed];
  tg_view *view[2] = {NULL, NULL};
  tg_walk walk[2] = {{0}, {0}};
  double cost[2];
  tg_status status = TG_OK;
  for (int along_k = 0; along_k < 2 && !status; along_k++) {
    tg_dims order[3] = {batch, along_k ? lanes : k, along_k ? k : lanes};
    int64_t length = tg_min(order[2].size, along_k ? TG_PACK_K : LONG_ROW);
    if (length == order[2].size) length = tg_max(length, tg_min(length * order[1].size, READ_POINTS));
    view[along_k] = tg_layout_groups(access->view, 3, order);
    if (!view[along_k]) status = tg_fail_memory(sizeof(tg_view));
    else status = tg_walk_init(&walk[along_k], view[along_k], 0, access->dtype);
    if (!status) cost[along_k] = read_cost(&walk[along_k], length, along_k);
  }
  int chosen = !status && cost[1] < cost[0];
  if (!status) {
    o->along_k = chosen;
    o->view = view[chosen];
    o->walk = walk[chosen];
    o->cost = cost[chosen];
  }
  for (int i = 0; i < 2; i++) {
    if (!status && i == chosen) continue;
    tg_walk_clear(&walk[i]);
    tg_free(view[i]);
  }
  return status;
}

void tg_operand_clear(tg_operand *o) {
  tg_walk_clear(&o->walk);
  tg_free(o->view);
}

/* ---- packing ---- */

int64_t tg_pack_points(int64_t lanes, int64_t k) {
  return tg_max(GROUP * tg_max(lanes, k), tg_min(READ_POINTS, lanes * k));
}

/* Elements [start, start + n) of `count` rows from row `first` on into rows[]: where they lie in
 * memory if they can be used there, else read, and converted, into the packer's memory. */
static void read_rows(const tg_packer *p, const tg_operand *o, int64_t first, int64_t count, int64_t start, int64_t n,
                      const void **rows) {
  int64_t length = o->along_k ? o->k : o->lanes;
  int64_t together = n == length ? count : 1; /* whole rows are one run of the walk */
  for (int64_t i = 0; i < count; i += together) {
    const char *row = tg_walk_read(&o->walk, o->memory, NULL, (first + i) * length + start, together * n,
                                   p->raw + (size_t)(i * n) * o->stored);
    if (o->cast) {
      char *converted = p->converted + (size_t)(i * n) * p->itemsize;
      o->cast(converted, row, (size_t)(together * n));
      row = converted;
    }
    for (int64_t r = 0; r < together; r++) rows[i + r] = row + (size_t)(r * n) * (o->cast ? p->itemsize : o->stored);
  }
}

/* The same for pairs along k, n of each lane from pair `start` on, with a zero where there is no second one. */
static void read_pairs(const tg_packer *p, const tg_operand *o, int64_t first, int64_t count, int64_t start, int64_t n,
                       const void **rows) {
  for (int64_t i = 0; i < count; i++) {
    char *raw = p->raw + (size_t)(i * n) * p->itemsize;
    int64_t real = tg_min(2 * n, o->k - 2 * start);
    rows[i] = tg_walk_read(&o->walk, o->memory, NULL, (first + i) * o->k + 2 * start, real, raw);
    if (real == 2 * n && (uintptr_t)rows[i] % p->itemsize == 0) continue;
    if (rows[i] != raw) memcpy(raw, rows[i], (size_t)real * o->stored);
    memset(raw + (size_t)real * o->stored, 0, (size_t)(2 * n - real) * o->stored);
    rows[i] = raw;
  }
}

/* How many rows of n elements, of a whole length `length`, to read at once: a multiple of GROUP. */
static int64_t rows_at_once(int64_t n, int64_t length) {
  return n == length ? tg_min(tg_max(READ_POINTS / n / GROUP, 1) * GROUP, READ_ROWS) : GROUP;
}

static void pack_along_k(const tg_packer *p, const tg_operand *o, const tg_piece *piece, char *to) {
  const void *rows[READ_ROWS];
  int64_t padded = tg_round_up(piece->lanes, o->unit), most = rows_at_once(piece->k, o->k),
          group = tg_min(GROUP, o->unit);
  for (int64_t lane = 0; lane < padded; lane += most) {
    int64_t count = tg_min(most, padded - lane), real = tg_max(0, tg_min(count, piece->lanes - lane));
    int64_t first = piece->batch * o->lanes + piece->lane + lane;
    if (real && o->pairs) read_pairs(p, o, first, real, piece->k0, piece->k, rows);
    else if (real) read_rows(p, o, first, real, piece->k0, piece->k, rows);
    for (int64_t i = real; i < count; i++) rows[i] = p->zeros;
    for (int64_t i = 0; i < count; i += group) {
      int64_t panel = (lane + i) / o->width * o->width, width = tg_min(o->width, padded - panel);
      char *at = to + (size_t)(panel * piece->k + lane + i - panel) * p->itemsize;
      p->gemm->interleave(at, width, rows + i, (int)group, piece->k);
    }
  }
}

/* Rows [k, k + count) of those along the lanes, two for a pair, the last one's second of zeros if there is none. */
static void read_lanes(const tg_packer *p, const tg_operand *o, const tg_piece *piece, int64_t k, int64_t count,
                       const void **rows) {
  int64_t each = o->pairs ? 2 : 1, first = (piece->k0 + k) * each, real = tg_min(count * each, o->k - first);
  read_rows(p, o, piece->batch * o->k + first, real, piece->lane, piece->lanes, rows);
  if (real < count * each) {
    size_t bytes = (size_t)piece->lanes * o->stored;
    rows[real] = memset(p->raw + (size_t)real * bytes, 0, bytes);
  }
}

static void pack_along_lanes(const tg_packer *p, const tg_operand *o, const tg_piece *piece, char *to) {
  const void *rows[READ_ROWS];
  int64_t each = o->pairs ? 2 : 1, most = rows_at_once(piece->lanes, o->lanes) / each;
  int64_t whole = piece->lanes / o->width * o->width, rest = piece->lanes - whole, width = tg_round_up(rest, o->unit);
  size_t size = p->itemsize, before = (size_t)whole * (o->pairs ? o->stored : size);
  char *last = to + (size_t)(whole * piece->k) * size;
  for (int64_t k = 0; k < piece->k; k += most) {
    int64_t count = tg_min(most, piece->k - k);
    read_lanes(p, o, piece, k, count, rows);
    for (int64_t i = 0; i < count; i++) {
      const char *row = rows[i * each], *next = rows[i * each + each - 1];
      p->gemm->spread(to + (size_t)((k + i) * o->width) * size, o->width, o->width * piece->k, row, next, whole);
      if (rest) p->gemm->spread(last + (size_t)((k + i) * width) * size, width, 0, row + before, next + before, rest);
    }
  }
}

void tg_pack(const tg_packer *p, const tg_operand *o, const tg_piece *piece, char *to) {
  if (o->along_k) pack_along_k(p, o, piece, to);
  else pack_along_lanes(p, o, piece, to);
}

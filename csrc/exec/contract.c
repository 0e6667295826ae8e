/* The contraction (see contract.h): a blocked matrix product over strided, masked views.
 *
 *   out[batch, m, n] = epilogue(sum over k of a[batch, m, k] * b[batch, n, k])
 *
 * An item is one block of mc x nc outputs. Its sums run over blocks of kc: a and b are packed, register tiles
 * multiply them into the output where the sums are the result, else into the worker's copy of the block, which
 * after the last one goes through the epilogue while it is hot:
 *
 *      panels of a          b: panels, or an image       block of c
 *      [mc/mr][kc][mr]      [nc/nr][kc][nr]              [mc][nc], later the rows of out
 *
 * The worker that takes an item packs its panels (exec/pack.h). But what many items see the same blocks of is packed by
 * all workers before any multiplies: b, as much of it at a time as is to be kept.
 *
 * If the points of n are sliding windows over an image (exec/window.h) and reading that once is cheaper, b is not
 * packed: a tile takes its rows straight from the image, each k's a shift of the same run. What lies between the
 * rows of a run is computed too, and left out of the results. Sums are the same either way.
 *
 * Few outputs of a long sum are cut along k into chunks: each item is computed once per chunk,
 * and a second pass adds the chunks. kc and chunks depend on the shape alone; mc and nc, which no sum sees, also on the
 * number of threads. Sums that are long and slide over an image are the business of dot.c. (So where windows are seen,
 * the order of sums also depends on how these lie in memory.)
 *
 * Owns: scratch memory of the workers, what they share, and the partial sums while a kernel runs. Caller: run.c. */
#include "exec/contract.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "exec/dot.h"
#include "exec/pack.h"
#include "exec/results.h"
#include "exec/window.h"

#define BLOCK_K TG_PACK_K          /* a panel of a stays in L1, one of b in L2 */
#define BLOCK_AB_BYTES (512 << 10) /* a packed block: that of a stays in L2 */
#define BLOCK_C_BYTES (1 << 20)    /* a block of sums */
#define IMAGE_BYTES (256 << 10)    /* what is read of an image at once: stays in L2 next to a */
#define MAX_BLOCK_M 512
#define MAX_BLOCK_N 2048
#define SHARED_BYTES (3 << 20) /* of b, packed for all workers */
#define SHARED_BLOCK_M 128     /* with it: a and the sums stay in L2 */
#define MIN_SHARED_N 256
#define PIECE_POINTS (1 << 15) /* elements of it that are packed at once: about 5 us */
#define CHUNK_K 1024           /* shortest chunk of k */
#define MAX_CHUNKS 64          /* of all batches together */
#define MAX_PARTIALS (1 << 19) /* elements: 2 MiB */
#define MIN_TASK_WORK 500e3    /* multiplications: about 10 us */
#define LANE_RATE 2.5          /* multiplications a nanosecond, for each lane of a vector: roughly */

/* A worker's memory, one part after the other. */
enum {
  PART_A,     /* packed blocks */
  PART_B,     /* a packed block, or an image */
  PART_C,     /* the block of sums, unless they are partial */
  PART_DENSE, /* a row of it without what is between the rows of a run */
  PART_RAW,   /* what is read, and converted */
  PART_CONVERTED,
  PART_ZEROS, /* kc of them: the row of a lane past the edge */
  PART_RESULTS,
  PARTS
};

typedef struct worker {
  char *memory; /* made by the first task */
  tg_packer packer;
} worker;

/* The factor that many items see the same blocks of: all workers pack some of its blocks as they are for all of k,
 * then multiply with them. */
typedef struct shared {
  const tg_operand *of; /* NULL: each worker packs what its items need */
  int64_t size;         /* lanes of a block */
  int64_t per_batch, blocks;
  int64_t first, count; /* blocks at hand, and how many there is room for */
  int64_t lanes;        /* packed by a task, in whole panels */
  char *memory;         /* [count][k / kc][size][kc] */
  size_t bytes;
} shared;

/* How b's image is read, if `used`. */
typedef struct sliding {
  bool used;
  tg_window window;
  int64_t rows, bands;  /* rows of a run in an item; items an image is cut into if it is more than one */
  int64_t group;        /* images of an item if an image is not cut */
  int64_t plane, width; /* elements between planes; columns of c between images */
} sliding;

/* Outputs: `rows` of m from `row` on, in each of `batches` from `batch` on. */
typedef struct range {
  int64_t batch, batches, row, rows;
} range;

typedef struct tg_contract {
  const tg_kernel *kernel;
  const tgk_gemm *gemm;
  size_t itemsize;        /* of the sums */
  int64_t batch, m, n, k; /* sizes */
  const tg_access *of_a, *of_b;
  bool in_parts;      /* run by one worker, part by part, rather than by all at once */
  range part;         /* that is computed; while blocks are planned, the largest */
  int64_t mc, nc, kc; /* of a block, in whole tiles */
  int64_t mblocks, nblocks, items;
  int64_t chunk, nchunk; /* k of a chunk, a multiple of kc */
  tg_operand a, b;
  shared shared;
  sliding slide;
  int64_t *rows; /* where b's row for each k is: in panels [vectors][kc], in the image [k] */
  tg_results results;
  int64_t pitch;           /* elements between rows of the output, if sums are made where they belong; else 0 */
  char *partial;           /* [nchunk][items][mc][nc] if nchunk > 1 */
  int64_t per_task, bands; /* items a task covers; tasks an item has in the second pass */
  int64_t first, stop;     /* items at hand */
  size_t at[PARTS + 1];
  size_t partial_bytes;
  int nworker;
  worker workers[];
} job;

/* Where an item lies. */
typedef struct item {
  int64_t batch, m0, m, n0, n;
  int64_t image, images, row, rows; /* sliding: images of the batch, rows of their runs */
} item;

static char *part(const job *j, const worker *w, int which) { return w->memory + j->at[which]; }

/* ---- items ---- */

static item item_at(const job *j, int64_t index) {
  const range *r = &j->part;
  int64_t m0 = index % j->mblocks * j->mc, block = index / j->mblocks % j->nblocks;
  item it = {r->batch + index / (j->mblocks * j->nblocks), .m0 = r->row + m0, .m = tg_min(j->mc, r->rows - m0)};
  const sliding *s = &j->slide;
  if (!s->used) {
    it.n0 = block * j->nc;
    it.n = tg_min(j->nc, j->n - it.n0);
    return it;
  }
  const tg_window *w = &s->window;
  int64_t all = w->axis[0].points, per_row = w->points / all;
  it.image = block / s->bands * s->group;
  it.images = tg_min(s->group, w->outer[1].size - it.image);
  it.row = block % s->bands * s->rows;
  it.rows = tg_min(s->rows, all - it.row);
  it.n0 = (it.image * all + it.row) * per_row;
  it.n = it.images * it.rows * per_row;
  return it;
}

/* Bytes of a block of sums. */
static size_t block_bytes(const job *j) { return (size_t)(j->mc * j->nc) * j->itemsize; }

/* Elements between its rows. */
static int64_t block_pitch(const job *j, const item *it) { return j->slide.used ? j->nc : it->n; }

/* One tile; at an edge of c, through memory of its own. */
static void multiply_tile(const job *j, int64_t nk, const char *a, const char *b, const int64_t *rows, int64_t vectors,
                          int64_t m, int64_t n, char *c, int64_t pitch, bool accumulate) {
  const tgk_gemm *g = j->gemm;
  const int64_t width = vectors * g->lanes;
  if (m >= g->mr && n >= width) {
    g->run[vectors - 1](nk, a, b, rows, c, pitch, accumulate);
    return;
  }
  _Alignas(TG_ALIGN) char tile[TGK_GEMM_TILE_BYTES];
  g->run[vectors - 1](nk, a, b, rows, tile, width, false);
  for (int64_t i = 0; i < tg_min(m, g->mr); i++) {
    char *to = c + (size_t)(i * pitch) * j->itemsize, *sums = tile + (size_t)(i * width) * j->itemsize;
    size_t count = (size_t)tg_min(n, width);
    if (accumulate) tgk.binary[TG_OP_ADD][j->kernel->reduced](to, sums, to, count);
    else memcpy(to, sums, count * j->itemsize);
  }
}

/* A packed block of a times n columns of b, into or onto c. */
static void multiply(const job *j, int64_t m, int64_t n, int64_t k0, int64_t nk, const char *a, const char *b, char *c,
                     int64_t pitch, bool accumulate) {
  const tgk_gemm *g = j->gemm;
  const int64_t width = j->b.width;
  for (int64_t column = 0; column < n; column += width) {
    int64_t vectors = tg_ceil_div(tg_min(width, n - column), g->lanes);
    const int64_t *rows = j->rows + (j->slide.used ? k0 : (vectors - 1) * j->kc);
    const char *panel = b + (size_t)(column * (j->slide.used ? 1 : nk)) * j->itemsize;
    for (int64_t i = 0; i < m; i += g->mr)
      multiply_tile(j, nk, a + (size_t)(i * nk) * j->itemsize, panel, rows, vectors, m - i, n - column,
                    c + (size_t)(i * pitch + column) * j->itemsize, pitch, accumulate);
  }
}

/* A row of an item's sums, outputs from `start` on, without what is between the rows of a run. */
static void finish_images(const job *j, const worker *w, const item *it, int64_t start, const char *row) {
  const sliding *s = &j->slide;
  char *dense = part(j, w, PART_DENSE), *to = dense;
  int64_t each = it->n / it->images;
  for (int64_t i = 0; i < it->images; i++, row += (size_t)s->width * j->itemsize) {
    char *place = tg_results_place(&j->results, start + i * each, each);
    if (place) tg_window_gather(&s->window, it->rows, row, place);
    else to = tg_window_gather(&s->window, it->rows, row, to);
  }
  if (to > dense) tg_results_write(&j->results, part(j, w, PART_RESULTS), start, it->n, dense);
}

/* Rows [m0, m0 + m) of an item's sums, at c, become results. */
static void finish(const job *j, const worker *w, const item *it, int64_t m0, int64_t m, const char *c) {
  bool joined = it->n == j->n && !j->slide.used; /* whole rows follow each other in out: one long line */
  int64_t lines = joined ? 1 : m, length = joined ? m * it->n : it->n, pitch = block_pitch(j, it);
  for (int64_t i = 0; i < lines; i++) {
    const char *sums = c + (size_t)(i * pitch) * j->itemsize;
    int64_t start = (it->batch * j->m + it->m0 + m0 + i) * j->n + it->n0;
    if (j->slide.used) finish_images(j, w, it, start, sums);
    else tg_results_write(&j->results, part(j, w, PART_RESULTS), start, length, sums);
  }
}

/* Where a piece of the shared factor is. */
static char *shared_place(const job *j, const tg_piece *p) {
  const shared *s = &j->shared;
  int64_t block = p->batch * s->per_batch + p->lane / s->size, lane = p->lane % s->size;
  return s->memory + (size_t)(((block - s->first) * j->k + p->k0) * s->size + lane * p->k) * j->itemsize;
}

/* A packed piece of a factor, unless it is shared in the worker's part `own`. */
static const char *packed(const job *j, const worker *w, const tg_operand *o, tg_piece piece, int own) {
  if (j->shared.of == o) return shared_place(j, &piece);
  tg_pack(&w->packer, o, &piece, part(j, w, own));
  return part(j, w, own);
}

static const char *packed_a(const job *j, const worker *w, const item *it, int64_t k0, int64_t nk) {
  return packed(j, w, &j->a, (tg_piece){it->batch, it->m0, it->m, k0, nk}, PART_A);
}

static void run_panels(const job *j, const worker *w, const item *it, int64_t first, int64_t last, char *c,
                       int64_t pitch) {
  for (int64_t k0 = first; k0 < last && !tg_interrupted(); k0 += j->kc) {
    int64_t nk = tg_min(j->kc, last - k0);
    const char *a = packed_a(j, w, it, k0, nk);
    const char *b = packed(j, w, &j->b, (tg_piece){it->batch, it->n0, it->n, k0, nk}, PART_B);
    multiply(j, it->m, it->n, k0, nk, a, b, c, pitch, k0 > first);
  }
}

static void run_images(const job *j, const worker *w, const item *it, char *c) {
  const sliding *s = &j->slide;
  char *image = part(j, w, PART_B);
  int64_t columns = tg_window_length(&s->window, it->rows), first = it->batch * s->window.outer[1].size + it->image;
  for (int64_t i = 0; i < it->images; i++, c += (size_t)s->width * j->itemsize) {
    tg_window_read(&s->window, first + i, 1, it->row, it->rows, s->plane, part(j, w, PART_RAW), image);
    for (int64_t k0 = 0; k0 < j->k && !tg_interrupted(); k0 += j->kc) {
      int64_t nk = tg_min(j->kc, j->k - k0);
      multiply(j, it->m, columns, k0, nk, packed_a(j, w, it, k0, nk), image, c, j->nc, k0 > 0);
    }
  }
}

static void run_item(const job *j, const worker *w, int64_t index, int64_t chunk) {
  item it = item_at(j, index);
  int64_t pitch = j->pitch ? j->pitch : block_pitch(j, &it);
  char *c = part(j, w, PART_C);
  if (j->pitch)
    c = (char *)tg_results_place(&j->results, (it.batch * j->m + it.m0) * j->n, j->n) + (size_t)it.n0 * j->itemsize;
  else if (j->nchunk > 1) c = j->partial + (size_t)(chunk * j->items + index) * block_bytes(j);
  if (j->slide.used) run_images(j, w, &it, c);
  else run_panels(j, w, &it, chunk * j->chunk, tg_min((chunk + 1) * j->chunk, j->k), c, pitch);
  if (!j->pitch && j->nchunk == 1) finish(j, w, &it, 0, it.m, c);
}

/* Gives the worker its memory, once. */
static tg_status prepare(const job *j, worker *w) {
  if (w->memory) return TG_OK;
  w->memory = tg_block_alloc(j->at[PARTS]);
  if (!w->memory) return tg_fail_memory(j->at[PARTS]);
  w->packer = (tg_packer){j->gemm, j->itemsize, part(j, w, PART_RAW), part(j, w, PART_CONVERTED),
                          part(j, w, PART_ZEROS)};
  memset(part(j, w, PART_ZEROS), 0, (size_t)j->kc * j->itemsize);
  if (j->slide.used) memset(part(j, w, PART_B), 0, j->at[PART_B + 1] - j->at[PART_B]);
  tg_results_prepare(&j->results, part(j, w, PART_RESULTS));
  return TG_OK;
}

/* Packs a part of one of the shared factor's blocks. */
static tg_status pack_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  const shared *s = &j->shared;
  tg_status status = prepare(j, w);
  if (status) return status;
  int64_t parts = tg_ceil_div(s->size, s->lanes), kblocks = tg_ceil_div(j->k, j->kc);
  int64_t block = s->first + task / (parts * kblocks), k0 = task / parts % kblocks * j->kc;
  int64_t lane = block % s->per_batch * s->size + task % parts * s->lanes;
  int64_t end = tg_min((block % s->per_batch + 1) * s->size, s->of->lanes);
  tg_piece piece = {block / s->per_batch, lane, tg_min(s->lanes, end - lane), k0, tg_min(j->kc, j->k - k0)};
  if (piece.lanes > 0) tg_pack(&w->packer, s->of, &piece, shared_place(j, &piece));
  return TG_OK;
}

static tg_status item_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  tg_status status = prepare(j, w);
  if (status) return status;
  int64_t items = j->stop - j->first, stop = tg_min((task + 1) * j->per_task, items * j->nchunk);
  for (int64_t i = task * j->per_task; i < stop; i++) run_item(j, w, j->first + i % items, i / items);
  return TG_OK;
}

/* The second pass: chunks are added in order onto the first one, a band of an item's rows a task. */
static tg_status band_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  tg_status status = prepare(j, w);
  if (status) return status;
  item it = item_at(j, task / j->bands);
  int64_t rows = tg_ceil_div(it.m, j->bands), m0 = task % j->bands * rows, m = tg_min(rows, it.m - m0);
  if (m <= 0) return TG_OK;
  char *sums = j->partial + (size_t)(task / j->bands) * block_bytes(j) + (size_t)(m0 * it.n) * j->itemsize;
  for (int64_t chunk = 1; chunk < j->nchunk; chunk++)
    tgk.binary[TG_OP_ADD][j->kernel->reduced](sums, sums, sums + (size_t)(chunk * j->items) * block_bytes(j),
                                              (size_t)(m * it.n));
  finish(j, w, &it, m0, m, sums);
  return TG_OK;
}

static tg_status run_tasks(job *j, tg_task_fn fn, int64_t ntask) {
  if (!j->in_parts) return tg_pool_run(fn, j, ntask);
  tg_status status = TG_OK;
  for (int64_t i = 0; i < ntask && !status && !tg_interrupted(); i++) status = fn(j, i, 0);
  return status;
}

/* All items: those that see the same blocks of the shared factor together. */
static tg_status run_items(job *j) {
  shared *s = &j->shared;
  tg_status status = TG_OK;
  s->first = j->first = j->stop = 0;
  for (; !status && j->stop < j->items; j->first = j->stop, s->first += s->count) {
    j->stop = j->items;
    if (s->of) {
      int64_t count = tg_min(s->count, s->blocks - s->first), parts = tg_ceil_div(s->size, s->lanes);
      if (!j->slide.used) j->stop = (s->first + count) * j->mblocks;
      status = run_tasks(j, pack_task, count * tg_ceil_div(j->k, j->kc) * parts);
    }
    if (!status) status = run_tasks(j, item_task, tg_ceil_div((j->stop - j->first) * j->nchunk, j->per_task));
  }
  return status;
}

/* ---- planning ---- */

/* kc and the chunks: by the shape alone. */
static void plan_sums(job *j) {
  int64_t outputs = j->batch * tg_round_up(j->m, 8) * tg_round_up(j->n, 16);
  int64_t want = tg_min(tg_min(j->k / CHUNK_K, MAX_CHUNKS / j->batch), MAX_PARTIALS / outputs);
  j->chunk = j->k;
  if (want > 1) j->chunk = tg_round_up(tg_ceil_div(j->k, want), 2 * BLOCK_K); /* blocks of pairs, too */
  j->nchunk = tg_ceil_div(j->k, j->chunk);
  j->kc = tg_ceil_div(j->chunk, tg_ceil_div(j->chunk, BLOCK_K));
}

/* From here on, k counts pairs of bfloat16. */
static void plan_pairs(job *j) {
  j->gemm = &tgk.gemm[TG_BF16];
  j->a.pairs = j->b.pairs = true;
  j->a.cast = j->b.cast = NULL;
  j->k = tg_ceil_div(j->k, 2);
  j->chunk = tg_ceil_div(j->chunk, 2);
  j->kc = tg_ceil_div(j->chunk, tg_ceil_div(j->chunk, BLOCK_K));
}

/* Items that would keep all workers busy to the end. */
static double items_wanted(const job *j) {
  double work = (double)j->batch * (double)j->m * (double)j->n * (double)j->k / (2 * MIN_TASK_WORK);
  double want = j->nworker == 1 ? 1 : j->nworker * 4;
  return want < work ? want : work;
}

/* Are blocks in whole panels about equally large? */
static bool is_even(int64_t size, int64_t blocks, int64_t panel) {
  return tg_round_up(tg_ceil_div(size, blocks), panel) * blocks <= size + size / 8;
}

/* mc and nc: as large as the caches like, smaller if the workers would run out of items. What of b many items would
 * pack again is shared, if enough of it fits: then low blocks leave room for their sums in L2. */
static void plan_blocks(job *j) {
  const tgk_gemm *g = j->gemm;
  int64_t size = (int64_t)j->itemsize, m = j->part.rows, most_m = tg_min(MAX_BLOCK_M, BLOCK_AB_BYTES / (size * j->kc));
  int64_t most_n = tg_min(MAX_BLOCK_N, BLOCK_AB_BYTES / (size * j->kc)), fitting = SHARED_BYTES / (size * j->k);
  if (!j->in_parts && tg_ceil_div(m, SHARED_BLOCK_M) > j->nworker && tg_min(j->n, MIN_SHARED_N) <= fitting) {
    j->shared.of = &j->b;
    most_m = SHARED_BLOCK_M;
    most_n = tg_min(MAX_BLOCK_N, fitting);
  }
  most_n = tg_min(most_n, BLOCK_C_BYTES / (size * tg_min(m, most_m)));
  int64_t mblocks = tg_ceil_div(m, most_m), nblocks = tg_ceil_div(j->n, most_n);
  double want = items_wanted(j);
  while ((double)(j->batch * mblocks * nblocks * j->nchunk) < want) {
    /* one more block along n packs a once more, and the other way round */
    bool can_m = mblocks * 2 * j->a.width <= m, can_n = nblocks * 2 * j->b.width <= j->n;
    bool even_m = is_even(m, mblocks * 2, g->mr), even_n = is_even(j->n, nblocks * 2, j->b.width);
    bool less = j->shared.of || j->n * mblocks < m * nblocks;
    if (can_m && (!can_n || (even_m == even_n ? less : even_m))) mblocks *= 2;
    else if (can_n) nblocks *= 2;
    else break;
  }
  j->mc = tg_round_up(tg_ceil_div(m, mblocks), g->mr);
  j->nc = tg_round_up(tg_ceil_div(j->n, nblocks), nblocks > 1 ? j->b.width : g->lanes);
  j->mblocks = tg_ceil_div(m, j->mc);
  j->nblocks = tg_ceil_div(j->n, j->nc);
}

/* mc over images: the same whether all of m is computed or a part of it. */
static int64_t image_block(const job *j) {
  return tg_round_up(tg_ceil_div(j->m, tg_ceil_div(j->m, MAX_BLOCK_M)), j->gemm->mr);
}

/* Cuts the images, which share nothing along n, or puts several into an item, if that many items are wanted. False if
 * not even a few rows fit. */
static bool plan_images(const job *j, sliding *s, double want) {
  const tg_window *w = &s->window;
  int64_t mc = image_block(j), mblocks = tg_ceil_div(j->part.rows, mc);
  int64_t size = (int64_t)j->itemsize, all = w->axis[0].points, step = w->axis[0].step, halo = w->axis[0].size - all;
  int64_t most = tg_min(MAX_BLOCK_N, BLOCK_C_BYTES / (size * mc)); /* columns */
  if (tg_window_length(w, 1) > most) return false;
  int64_t rows = tg_min(IMAGE_BYTES / (size * w->planes * step) - halo, (most - tg_window_length(w, 1)) / step + 1);
  if (rows < tg_min(all, tg_max(halo, 1))) return false;
  rows = tg_min(rows, all);
  double images = (double)(j->batch * w->outer[1].size * mblocks);
  s->bands = tg_ceil_div(all, rows);
  while ((double)s->bands * images < want && s->bands * 2 * tg_max(halo, 1) <= all) s->bands *= 2;
  s->rows = tg_ceil_div(all, s->bands);
  s->bands = tg_ceil_div(all, s->rows);
  s->width = tg_round_up(tg_window_length(w, s->rows), j->gemm->lanes);
  s->plane = tg_window_part(w, s->rows);
  s->group = 1;
  if (s->bands == 1) s->group = tg_max(1, tg_min(tg_min(most / s->width, w->outer[1].size), (int64_t)(images / want)));
  return true;
}

/* Chooses between panels and images, by rough cost of an element of b: reading it, and multiplying it by all of m.
 * Never by the number of threads, as only panels are multiplied in pairs of bfloat16: images are cut for the workers
 * afterwards. */
static void plan_slide(job *j, const tg_access *b, tg_dims batch, tg_dims n, tg_dims k) {
  double multiply_cost = (double)j->m / (j->gemm->lanes * LANE_RATE), least = j->b.cost + multiply_cost;
  if (j->nchunk > 1) return;
  for (int nrun = 1; nrun <= n.count; nrun++) {
    sliding s = {.used = true};
    tg_window *w = &s.window;
    if (!tg_window_plan(w, b->view, batch, n, nrun, k)) return;
    if (!plan_images(j, &s, 1)) continue;
    double junk = (double)(s.width * s.bands) / (double)w->points;
    double read = (double)(w->planes * s.plane * s.bands) / ((double)w->points * (double)j->k);
    double cost = read * j->b.cost + junk * multiply_cost;
    if (cost >= least) continue;
    least = cost;
    j->slide = s;
  }
  const sliding *s = &j->slide;
  if (!s->used || !plan_images(j, &j->slide, items_wanted(j))) return;
  j->mc = tg_min(image_block(j), tg_round_up(j->part.rows, j->gemm->mr));
  j->mblocks = tg_ceil_div(j->part.rows, j->mc);
  j->nc = s->group * s->width;
  j->nblocks = tg_ceil_div(s->window.outer[1].size, s->group) * s->bands;
}

static void plan_tasks(job *j) {
  j->items = j->part.batches * j->mblocks * j->nblocks;
  /* a task is several items if they are small: multiplying, packing and finishing all count */
  double mc = (double)j->mc, nc = (double)j->nc;
  double item_work = (mc * nc + 16 * (mc + nc)) * (double)tg_min(j->k, j->chunk) + 16 * mc * nc;
  j->per_task = tg_max(1, (int64_t)(MIN_TASK_WORK / item_work));
  j->bands = tg_min(j->mc, tg_ceil_div(j->mc * j->nc * j->nchunk, 1 << 16));
}

/* How much of the shared factor is packed at once: that of b in parts, an equal number of blocks each. */
static tg_status plan_shared(job *j) {
  shared *s = &j->shared;
  if (j->slide.used && !j->in_parts) *s = (shared){.of = &j->a, .size = j->mc, .per_batch = j->mblocks};
  else if (s->of) *s = (shared){.of = &j->b, .size = j->nc, .per_batch = j->nblocks};
  if (!s->of) return TG_OK;
  size_t block = (size_t)(j->k * s->size) * j->itemsize;
  s->blocks = s->count = j->batch * s->per_batch;
  if (!j->slide.used)
    s->count = tg_ceil_div(s->blocks, tg_ceil_div(s->blocks, tg_max(1, SHARED_BYTES / (int64_t)block)));
  s->lanes = tg_round_up(tg_max(tg_min(s->of->lanes, PIECE_POINTS / j->kc), 1), s->of->width);
  s->bytes = (size_t)s->count * block;
  s->memory = tg_block_alloc(s->bytes);
  return s->memory ? TG_OK : tg_fail_memory(s->bytes);
}

static void plan_scratch(job *j) {
  const sliding *s = &j->slide;
  int64_t b = s->used ? s->window.planes * s->plane + s->window.spill + j->gemm->lanes : j->nc * j->kc;
  int64_t points = tg_max(tg_pack_points(j->mc, j->kc), s->used ? b : tg_pack_points(j->nc, j->kc));
  size_t size = j->itemsize;
  size_t bytes[PARTS] = {
      [PART_A] = j->shared.of == &j->a ? 0 : (size_t)(j->mc * j->kc) * size,
      [PART_B] = j->shared.of == &j->b ? 0 : (size_t)b * size,
      [PART_C] = j->nchunk > 1 || j->pitch ? 0 : block_bytes(j),
      [PART_DENSE] = s->used ? (size_t)j->nc * size : 0,
      [PART_RAW] = (size_t)points * size,
      [PART_CONVERTED] = j->a.cast || j->b.cast ? (size_t)points * size : 0,
      [PART_ZEROS] = (size_t)j->kc * size,
      [PART_RESULTS] = tg_results_scratch_size(&j->results),
  };
  for (int i = 0; i < PARTS; i++) j->at[i + 1] = tg_aligned(j->at[i] + bytes[i]);
}

/* Where the rows of b are. */
static tg_status plan_rows(job *j) {
  int64_t count = j->slide.used ? j->k : TGK_GEMM_VECTORS * j->kc;
  j->rows = tg_malloc((size_t)count * sizeof *j->rows);
  if (!j->rows) return tg_fail_memory((size_t)count * sizeof *j->rows);
  if (j->slide.used) tg_window_shifts(&j->slide.window, j->slide.plane, j->rows);
  else
    for (int64_t i = 0; i < count; i++) j->rows[i] = i % j->kc * (i / j->kc + 1) * j->gemm->lanes;
  return TG_OK;
}

/* The factors and their dims; false if there are no outputs. */
static bool factors_of(const tg_kernel *kernel, tg_contraction *c) {
  const int64_t *shape = kernel->shape;
  *c = (tg_contraction){.kernel = kernel, .a = &kernel->a, .b = &kernel->b};
  c->batch = tg_dims_of(shape, 0, kernel->nbatch);
  c->m = tg_dims_of(shape, kernel->nbatch, kernel->nm);
  c->n = tg_dims_of(shape, kernel->nbatch + kernel->nm, kernel->nn);
  c->k = tg_dims_of(shape, kernel->nout, kernel->nred);
  if (c->n.size == 1) { /* a column would waste the vectors, and is a row as well */
    tg_dims column = c->m;
    c->m = c->n;
    c->n = column;
    c->a = &kernel->b;
    c->b = &kernel->a;
  }
  return c->batch.size * c->m.size * c->n.size > 0;
}

static tg_status plan(job *j, const tg_contraction *c, void *const *slots) {
  tg_dtype summed = j->kernel->reduced;
  tg_status status;
  plan_sums(j);
  plan_blocks(j);
  if ((status = tg_operand_init(&j->a, c->a, slots, c->batch, c->m, c->k, summed))) return status;
  if ((status = tg_operand_init(&j->b, c->b, slots, c->batch, c->n, c->k, summed))) return status;
  plan_slide(j, c->b, c->batch, c->n, c->k);
  if (j->slide.used && (status = tg_window_open(&j->slide.window, c->b, slots, summed))) return status;
  bool pairs = c->a->dtype == TG_BF16 && c->b->dtype == TG_BF16 && tgk.gemm[TG_BF16].run[0];
  if (!j->slide.used && pairs) plan_pairs(j);
  plan_tasks(j);
  if ((status = tg_results_init(&j->results, j->kernel, slots)) || (status = plan_rows(j))) return status;
  if (j->nchunk == 1 && !j->slide.used) j->pitch = tg_results_pitch(&j->results, j->m, j->n);
  if ((status = plan_shared(j))) return status;
  plan_scratch(j);
  if (j->nchunk == 1) return TG_OK;
  j->partial_bytes = (size_t)(j->nchunk * j->items) * block_bytes(j);
  j->partial = tg_block_alloc(j->partial_bytes);
  return j->partial ? TG_OK : tg_fail_memory(j->partial_bytes);
}

void tg_contract_close(job *j) {
  if (!j) return;
  for (int i = 0; i < j->nworker; i++) tg_block_free(j->workers[i].memory, j->at[PARTS]);
  tg_block_free(j->partial, j->partial_bytes);
  tg_block_free(j->shared.memory, j->shared.bytes);
  tg_free(j->rows);
  tg_results_clear(&j->results);
  tg_window_close(&j->slide.window);
  tg_operand_clear(&j->a);
  tg_operand_clear(&j->b);
  tg_free(j);
}

/* `part`: all of it, or the largest one. */
static tg_status open(const tg_contraction *c, void *const *slots, bool in_parts, range part, job **out) {
  int nworker = in_parts ? 1 : tg_pool_size();
  job *j = tg_calloc(1, sizeof *j + (size_t)nworker * sizeof *j->workers);
  if (!j) return tg_fail_memory(sizeof *j);
  j->kernel = c->kernel;
  j->gemm = &tgk.gemm[c->kernel->reduced];
  j->itemsize = tg_itemsize(c->kernel->reduced);
  j->batch = c->batch.size;
  j->m = c->m.size;
  j->n = c->n.size;
  j->k = c->k.size;
  j->of_a = c->a;
  j->of_b = c->b;
  j->in_parts = in_parts;
  j->part = part;
  j->nworker = nworker;
  j->a = (tg_operand){.lanes = j->m, .k = j->k, .width = j->gemm->mr, .unit = j->gemm->mr};
  j->b = (tg_operand){.lanes = j->n, .k = j->k, .width = j->gemm->lanes * TGK_GEMM_VECTORS, .unit = j->gemm->lanes};
  tg_status status = plan(j, c, slots);
  if (status) tg_contract_close(j);
  else *out = j;
  return status;
}

static tg_status run(job *j) {
  tg_status status = run_items(j);
  if (!status && j->nchunk > 1) status = run_tasks(j, band_task, j->items * j->bands);
  return status ? status : tg_results_status(&j->results);
}

tg_status tg_contract_run(const tg_kernel *kernel, void *const *slots) {
  tg_contraction c;
  job *j;
  tg_status status;
  if (!factors_of(kernel, &c)) return TG_OK;
  if (tg_dot_takes(&c)) return tg_dot_run(&c, slots);
  if ((status = open(&c, slots, false, (range){0, c.batch.size, 0, c.m.size}, &j))) return status;
  status = run(j);
  tg_contract_close(j);
  return status;
}

/* ---- parts ---- */

bool tg_contract_has_parts(const tg_kernel *kernel) {
  tg_contraction c;
  return factors_of(kernel, &c) && !tg_dot_takes(&c);
}

tg_status tg_contract_open(const tg_kernel *kernel, void *const *slots, int64_t rows, tg_contract **out) {
  tg_contraction c;
  if (!factors_of(kernel, &c)) return tg_fail(TG_ERR_INTERNAL, "a contraction without outputs has no parts");
  return open(&c, slots, true, (range){0, tg_max(1, rows / c.m.size), 0, tg_min(rows, c.m.size)}, out);
}

tg_status tg_contract_run_part(tg_contract *j, int64_t first, int64_t rows) {
  void *const *slots = j->results.slots;
  j->part = (range){first / j->m, tg_max(1, rows / j->m), first % j->m, tg_min(rows, j->m)};
  j->mblocks = tg_ceil_div(j->part.rows, j->mc);
  j->items = j->part.batches * j->mblocks * j->nblocks;
  j->a.memory = slots[j->of_a->slot];
  j->b.memory = j->slide.window.memory = slots[j->of_b->slot];
  return run(j);
}

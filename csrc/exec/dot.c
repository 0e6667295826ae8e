/* Contractions as inner products (see dot.h).
 *
 *   out[m, n] = sum over images, over points p of the run:  a[image, m, p] * b[image, shift[n] + p]
 *
 * a's rows get b's layout: where the run leaves out elements of the image, a has zeros. Register tiles of rows of
 * a and shifts of b go over a few images at once, as many as stay in L1; a vector's lanes are added when
 * a tile is done. Should a left-out element be an infinity or NaN, then zero times it spoils a sum: a chunk that
 * has a NaN in it is done again row by row.
 *
 * The images, or bands of large ones, are dealt out to chunks, by what tg_dot_takes sees alone; a second pass adds the
 * chunks in order.
 * Owns: scratch memory of the workers and the partial sums while a kernel runs. Caller: contract.c. */
#include "exec/dot.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "exec/results.h"
#include "exec/window.h"

#define MIN_USES 1.5            /* of an element of an image, to be worth it */
#define MIN_UNITS 8             /* of all batches: they are what workers share */
#define MAX_JUNK 1.5            /* vectors over what would do */
#define RUN_POINTS 1024         /* a tile's rows of a stay in L1 */
#define BLOCK_BYTES (512 << 10) /* what is read at once */
#define CHUNK_POINTS 512        /* shortest chunk */
#define MAX_CHUNKS 64           /* of all batches together */
#define MAX_PARTIALS (1 << 19)  /* elements: 2 MiB */
#define SHARE_SUMS (1 << 16)    /* additions of a task of the second pass */

enum { PART_A, PART_B, PART_RAW, PART_RESULTS, PARTS };

typedef struct job {
  tg_contraction of;
  const tgk_gemm *gemm;
  size_t itemsize; /* of the sums */
  const void *a;
  tg_view *a_view; /* dims (batch, images, m, run), the run's as wide as the image's */
  tg_walk a_walk;
  tgk_unary_fn a_cast;
  tg_window b;
  int64_t *shift;                   /* [width] */
  int64_t height, width;            /* rows and columns of sums, in whole tiles */
  int64_t rows, bands;              /* of b's first axis, in a unit: an image or, if it is cut, one of its bands */
  int64_t plane, image;             /* elements between planes and images that were read */
  int64_t lda;                      /* and between rows of a */
  int64_t together;                 /* units read at once */
  int64_t piece;                    /* points of a run in one go */
  int64_t units, per_chunk, nchunk; /* units of a batch, of a chunk; chunks of a batch */
  int64_t shares;                   /* tasks of the second pass, a batch */
  char *partial;                    /* [nchunk][batch][height][width] */
  tg_results results;
  size_t at[PARTS + 1];
  char *worker[TG_MAX_THREADS]; /* made by the first task */
} job;

static char *part(const job *j, int index, int which) { return j->worker[index] + j->at[which]; }

static size_t block_bytes(const job *j) { return (size_t)(j->height * j->width) * j->itemsize; }

/* ---- sums ---- */

static void multiply(const job *j, const tgk_dot_layout *l, const char *a, const char *b, char *c) {
  for (int64_t m = 0; m < j->height; m += j->gemm->mr)
    for (int64_t n = 0; n < j->width; n += TGK_DOT_COLUMNS)
      j->gemm->dot(l, a + (size_t)(m * j->lda) * j->itemsize, b, j->shift + n,
                   c + (size_t)(m * j->width + n) * j->itemsize);
}

/* All of what was read of several images, or of one, in pieces. */
static void multiply_runs(const job *j, int64_t count, int64_t rows, const char *a, const char *b, char *c) {
  int64_t length = tg_window_length(&j->b, rows);
  for (int64_t p = 0; p < length; p += j->piece) {
    size_t at = (size_t)p * j->itemsize;
    tgk_dot_layout l = {count, tg_min(j->piece, length - p), j->lda, j->of.m.size * j->lda, j->image, j->width};
    multiply(j, &l, a + at, b + at, c);
  }
}

/* `points` of axis i of one image and all of the axes behind it, nothing but the points of the run. */
static void multiply_rows(const job *j, int i, int64_t points, const char *a, const char *b, char *c) {
  const tg_window_axis *axis = &j->b.axis[i];
  int last = j->b.nrun - 1;
  if (i < last - 1) {
    for (int64_t p = 0; p < points; p++) {
      size_t at = (size_t)(p * axis->step) * j->itemsize;
      multiply_rows(j, i + 1, axis[1].points, a + at, b + at, c);
    }
    return;
  }
  tgk_dot_layout l = {1, i < last ? axis[1].points : points, j->lda, 0, 0, j->width};
  if (i < last) {
    l.runs = points;
    l.a_next = l.b_next = axis->step;
  }
  multiply(j, &l, a, b, c);
}

/* `rows` rows from `row` on of `count` images, which are whole if there are several. */
static void read_a(const job *j, int index, int64_t image, int64_t count, int64_t row, int64_t rows) {
  int64_t step = j->b.axis[0].step, whole = j->b.axis[0].points * step, lanes = count * j->of.m.size, n = rows * step;
  int64_t start = image * j->of.m.size * whole + row * step;
  char *to = part(j, index, PART_A), *raw = part(j, index, PART_RAW);
  if (n == whole) { /* all one after the other */
    n *= lanes;
    lanes = 1;
  }
  for (int64_t i = 0; i < lanes; i++, start += whole, to += (size_t)j->lda * j->itemsize) {
    const char *from = tg_walk_read(&j->a_walk, j->a, NULL, start, n, j->a_cast ? raw : to);
    if (j->a_cast) j->a_cast(to, from, (size_t)n);
    else if (from != to) memcpy(to, from, (size_t)n * j->itemsize);
  }
}

/* The sums over units [first, last) of a batch. */
static void sum_chunk(const job *j, int index, int64_t batch, int64_t first, int64_t last, bool by_rows, char *c) {
  char *a = part(j, index, PART_A), *b = part(j, index, PART_B);
  memset(c, 0, block_bytes(j));
  for (int64_t unit = first; unit < last && !tg_interrupted(); unit += j->together) {
    int64_t count = tg_min(j->together, last - unit), image = batch * j->b.outer[1].size + unit / j->bands;
    int64_t row = unit % j->bands * j->rows, rows = tg_min(j->rows, j->b.axis[0].points - row);
    tg_window_read(&j->b, image, count, row, rows, j->plane, part(j, index, PART_RAW), b);
    read_a(j, index, image, count, row, rows);
    if (!by_rows) multiply_runs(j, count, rows, a, b, c);
    else
      for (int64_t i = 0; i < count; i++)
        multiply_rows(j, 0, rows, a + (size_t)(i * j->of.m.size * j->lda) * j->itemsize,
                      b + (size_t)(i * j->image) * j->itemsize, c);
  }
}

/* Is there a NaN among the outputs in a block of sums? */
static bool has_nan(const job *j, const char *c) {
  bool found = false;
  for (int64_t m = 0; m < j->of.m.size; m++, c += (size_t)j->width * j->itemsize)
    for (int64_t n = 0; n < j->of.n.size; n++) {
      double x = j->itemsize == 4 ? (double)((const float *)(const void *)c)[n] : ((const double *)(const void *)c)[n];
      found |= x != x;
    }
  return found;
}

/* Gives the worker its memory, once: of zeros, as what lies past the ends is read too. */
static tg_status prepare(job *j, int index) {
  if (j->worker[index]) return TG_OK;
  j->worker[index] = tg_block_alloc(j->at[PARTS]);
  if (!j->worker[index]) return tg_fail_memory(j->at[PARTS]);
  memset(j->worker[index], 0, j->at[PART_RAW]);
  tg_results_prepare(&j->results, part(j, index, PART_RESULTS));
  return TG_OK;
}

static tg_status chunk_task(void *context, int64_t task, int index) {
  job *j = context;
  tg_status status = prepare(j, index);
  if (status) return status;
  int64_t batch = task % j->of.batch.size, first = task / j->of.batch.size * j->per_chunk;
  int64_t last = tg_min(first + j->per_chunk, j->units);
  char *c = j->partial + (size_t)task * block_bytes(j);
  sum_chunk(j, index, batch, first, last, false, c);
  if (j->b.nrun > 1 && has_nan(j, c)) sum_chunk(j, index, batch, first, last, true, c);
  return TG_OK;
}

/* The second pass: some rows. */
static tg_status share_task(void *context, int64_t task, int index) {
  job *j = context;
  tg_status status = prepare(j, index);
  if (status) return status;
  int64_t batch = task / j->shares, rows = tg_ceil_div(j->of.m.size, j->shares), m0 = task % j->shares * rows;
  int64_t m = tg_min(rows, j->of.m.size - m0), n = j->of.n.size;
  if (m <= 0) return TG_OK;
  size_t row = (size_t)j->width * j->itemsize, used = (size_t)n * j->itemsize;
  char *sums = j->partial + (size_t)batch * block_bytes(j) + (size_t)m0 * row;
  for (int64_t chunk = 1; chunk < j->nchunk; chunk++)
    tgk.binary[TG_OP_ADD][j->of.kernel->reduced](sums, sums, sums + (size_t)(chunk * j->of.batch.size) * block_bytes(j),
                                                 (size_t)(m * j->width));
  for (int64_t i = 1; i < m && used < row; i++) memmove(sums + (size_t)i * used, sums + (size_t)i * row, used);
  tg_results_write(&j->results, part(j, index, PART_RESULTS), (batch * j->of.m.size + m0) * n, m * n, sums);
  return TG_OK;
}

/* ---- planning ---- */

/* Chooses how many of k's dims make a run, and cuts images that are too large into bands of rows; false if the
 * kernel is not of this form. */
static bool plan_run(job *j) {
  const tg_contraction *c = &j->of;
  double least = MAX_JUNK;
  for (int nrun = 1; nrun <= c->k.count; nrun++) {
    tg_window w;
    if (!tg_window_plan(&w, c->b->view, c->batch, c->k, nrun, c->n)) return false;
    int64_t step = w.axis[0].step, all = w.axis[0].points, halo = w.axis[0].size - all;
    int64_t fit = BLOCK_BYTES / (int64_t)j->itemsize;
    if (w.planes > fit || step > fit / (w.planes + c->m.size)) continue;
    int64_t rows = tg_min(all, (fit - w.planes * halo * step) / ((w.planes + c->m.size) * step));
    if (rows < tg_min(all, tg_max(halo, 1))) continue;
    int64_t bands = tg_ceil_div(all, rows);
    rows = tg_ceil_div(all, bands);
    bands = tg_ceil_div(all, rows);
    int64_t plane = tg_window_part(&w, rows), length = tg_round_up(tg_window_length(&w, rows), j->gemm->lanes);
    double points = (double)w.points, junk = (double)(length * bands) / points;
    bool used = (double)(plane * w.planes * bands) * MIN_USES <= points * (double)c->n.size;
    if (junk >= least || !used || w.outer[1].size * bands < MIN_UNITS) continue;
    least = junk;
    j->b = w;
    j->rows = rows;
    j->bands = bands;
    j->plane = plane;
  }
  return least < MAX_JUNK;
}

static bool plan(job *j) {
  const tg_contraction *c = &j->of;
  if (c->m.size > MAX_PARTIALS || c->n.size > MAX_PARTIALS) return false;
  j->height = tg_round_up(c->m.size, j->gemm->mr);
  j->width = tg_round_up(c->n.size, TGK_DOT_COLUMNS);
  int64_t outputs = c->batch.size * j->height * j->width;
  if (outputs > MAX_PARTIALS / MIN_UNITS || !plan_run(j)) return false;
  j->image = j->plane * j->b.planes;
  j->lda = j->rows * j->b.axis[0].step;
  j->units = j->b.outer[1].size * j->bands;
  int64_t want = tg_min(tg_min(c->k.size / CHUNK_POINTS, MAX_CHUNKS / c->batch.size), MAX_PARTIALS / outputs);
  j->per_chunk = tg_ceil_div(j->units, tg_max(1, want));
  j->nchunk = tg_ceil_div(j->units, j->per_chunk);
  int64_t length = tg_window_length(&j->b, j->rows), block = (j->image + j->lda * c->m.size) * (int64_t)j->itemsize;
  j->piece = tg_round_up(tg_ceil_div(length, tg_ceil_div(length, RUN_POINTS)), j->gemm->lanes);
  j->together = j->bands > 1 ? 1 : tg_min(tg_min(RUN_POINTS / length, BLOCK_BYTES / block), j->per_chunk);
  j->together = tg_max(1, j->together);
  j->shares = tg_min(c->m.size, tg_ceil_div(j->height * j->width * j->nchunk, SHARE_SUMS));
  return true;
}

/* a in the layout of b's run. */
static tg_status open_a(job *j, void *const *slots) {
  const tg_contraction *c = &j->of;
  const tg_view *v = c->a->view;
  tg_layout_dim dims[TG_MAX_DIMS];
  tg_dims whole[3] = {c->batch, j->b.outer[1], c->m};
  int n = 0;
  for (int g = 0; g < 3; g++)
    for (int i = whole[g].first; i < whole[g].first + whole[g].count; i++)
      dims[n++] = (tg_layout_dim){.source = i, .size = v->shape[i]};
  for (int i = 0; i < j->b.nrun; i++) {
    const tg_window_axis *axis = &j->b.axis[i];
    int64_t size = i ? axis->size : axis->points;
    dims[n++] = (tg_layout_dim){.source = axis->source, .size = size, .clip = size > axis->points};
  }
  j->a = slots[c->a->slot];
  if (c->a->dtype != c->kernel->reduced) j->a_cast = tgk.cast[c->a->dtype][c->kernel->reduced];
  j->a_view = tg_layout(v, n, dims);
  return j->a_view ? tg_walk_init(&j->a_walk, j->a_view, 0, c->a->dtype) : tg_fail_memory(sizeof *j->a_view);
}

static void plan_scratch(job *j) {
  size_t a = (size_t)(j->together * j->of.m.size * j->lda), b = (size_t)(j->together * j->image);
  size_t past = (size_t)(j->gemm->lanes + (j->height - j->of.m.size) * j->lda);
  size_t bytes[PARTS] = {
      [PART_A] = (a + past) * j->itemsize,
      [PART_B] = (b + (size_t)(j->b.spill + j->gemm->lanes)) * j->itemsize,
      [PART_RAW] = (j->a_cast || j->b.cast ? a > b ? a : b : 0) * j->itemsize,
      [PART_RESULTS] = tg_results_scratch_size(&j->results),
  };
  for (int i = 0; i < PARTS; i++) j->at[i + 1] = tg_aligned(j->at[i] + bytes[i]);
}

/* Of `kernel`, so far. */
static void init(job *j, const tg_contraction *c) {
  j->of = *c;
  j->gemm = &tgk.gemm[c->kernel->reduced];
  j->itemsize = tg_itemsize(c->kernel->reduced);
}

bool tg_dot_takes(const tg_contraction *c) {
  job j = {0};
  init(&j, c);
  return plan(&j);
}

tg_status tg_dot_run(const tg_contraction *c, void *const *slots) {
  const tg_kernel *kernel = c->kernel;
  size_t partial_bytes = 0;
  tg_status status;
  job *j = tg_calloc(1, sizeof *j);
  if (!j) return tg_fail_memory(sizeof *j);
  init(j, c);
  if (!plan(j)) { /* tg_dot_takes has said that it can */
    tg_free(j);
    return tg_fail(TG_ERR_INTERNAL, "a contraction is not of inner products");
  }
  if ((status = tg_window_open(&j->b, c->b, slots, kernel->reduced)) || (status = open_a(j, slots)) ||
      (status = tg_results_init(&j->results, kernel, slots)))
    goto done;
  plan_scratch(j);
  if (!(j->shift = tg_malloc((size_t)j->width * sizeof *j->shift))) {
    status = tg_fail_memory((size_t)j->width * sizeof *j->shift);
    goto done;
  }
  tg_window_shifts(&j->b, j->plane, j->shift);
  for (int64_t n = c->n.size; n < j->width; n++) j->shift[n] = j->shift[0];
  partial_bytes = (size_t)(j->nchunk * c->batch.size) * block_bytes(j);
  if (!(j->partial = tg_block_alloc(partial_bytes))) {
    status = tg_fail_memory(partial_bytes);
    goto done;
  }
  status = tg_pool_run(chunk_task, j, j->nchunk * c->batch.size);
  if (!status) status = tg_pool_run(share_task, j, c->batch.size * j->shares);
  if (!status) status = tg_results_status(&j->results);
done:
  for (int i = 0; i < tg_pool_size(); i++) tg_block_free(j->worker[i], j->at[PARTS]);
  tg_block_free(j->partial, partial_bytes);
  tg_free(j->shift);
  tg_results_clear(&j->results);
  tg_walk_clear(&j->a_walk);
  tg_free(j->a_view);
  tg_window_close(&j->b);
  tg_free(j);
  return status;
}

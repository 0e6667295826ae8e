/* Reductions on the block machine (see reduce.h).
 *
 * They run in one of two ways, which give the same bits (kernels.h: TGK_FOLD_BLOCK). With the reduced dims innermost
 * ("rows") each output folds its own elements: where they lie in memory, as they are or multiplied in pairs, many rows
 * in one call, or many blocks of a row that lies there in long runs; else as blocks of them are evaluated, of several
 * short rows or a part of a long one. With the out dims innermost ("columns") a tile of outputs accumulates whole
 * points of the reduced dims, with its lanes side by side.
 *
 * Few outputs of long reductions are cut into chunks of a power of two of blocks; chunks meet in a second pass, in
 * pairs, as their blocks would have. So the bits depend neither on the cut nor on the number of threads.
 *
 * Owns: nothing between calls. Caller: run.c. */
#include "exec/reduce.h"

#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/integers.h"
#include "base/pool.h"
#include "exec/fold.h"
#include "exec/results.h"
#include "exec/tasks.h"
#include "exec/vm.h"
#include "exec/walk.h"

#define RUNS_AT_ONCE 256
#define MIN_RUN 64      /* elements of a part of a row, to be folded where they lie */
#define RUN_POINTS 8192 /* of such parts in a call: a power of two of blocks, in less than RUNS_AT_ONCE of them */
#define MOST_AT_ONCE (1 << 20)      /* elements of whole rows: longer ones may be interrupted within */
#define MOST_COLUMNS (2 * TG_BLOCK) /* of a tile: memory is read in long runs, and their lanes stay in L2 */
#define LEAST_COLUMNS 256

_Static_assert(TG_BLOCK % TGK_FOLD_BLOCK == 0 && (TG_BLOCK / TGK_FOLD_BLOCK & (TG_BLOCK / TGK_FOLD_BLOCK - 1)) == 0 &&
                   (RUN_POINTS & (RUN_POINTS - 1)) == 0,
               "parts of a row are a power of two of blocks");
_Static_assert(RUN_POINTS / MIN_RUN + 2 <= RUNS_AT_ONCE, "the runs of a part are found at once");

typedef struct job {
  const tg_kernel *kernel;
  void *const *slots;
  const tg_vm *body;
  tg_results results;
  tg_fold fold;
  size_t itemsize;       /* of the accumulator */
  int64_t nout, nred;    /* sizes */
  int64_t chunk, nchunk; /* reduced points a chunk covers; > 1 chunk: partials are stored */
  int64_t tile;          /* outputs that are accumulated side by side */
  int64_t per_task;      /* outputs a task covers: whole tiles, unless it has but one */
  int64_t at_once;       /* columns: reduced points an evaluation covers, > 1 only if a tile is all outputs;
                            rows: whole ones that are folded in one call, or 0 */
  int64_t run;           /* rows: points of the runs that operands lie in */
  int noperand;          /* of the body where it lies in memory in such runs: a buffer or the product of two, else 0 */
  const tg_access *operand[2];
  tg_walk starts[2]; /* of the operands' runs, in the order of the domain */
  tgk_fold_products products;
  char *partial; /* [nchunk][nout] accumulators */
  tg_workspace scratch;
  size_t body_bytes, results_bytes, tile_bytes;
} job;

/* A worker's memory. */
typedef struct memory {
  char *body, *results, *sums; /* sums: a tile of results */
  char *blocks, *lanes;        /* columns: levels of the counter of blocks, and all lanes of one */
} memory;

/* a * b * c of non-negative numbers, cut at INT64_MAX: a cost, not a size. */
static int64_t total_cost(int64_t a, int64_t b, int64_t c) {
  int64_t total;
  if (__builtin_mul_overflow(a, b, &total) || __builtin_mul_overflow(total, c, &total)) return INT64_MAX;
  return total;
}

static void advance(const int64_t *shape, int n, int64_t *idx) {
  for (int i = n - 1; i >= 0; i--) {
    if (++idx[i] < shape[i]) return;
    idx[i] = 0;
  }
}

/* ---- rows ---- */

/* Folds n <= at_once rows from the first on, their points [r0, r1), into an element of `to` each. */
static void fold_rows(const job *j, char *scratch, int64_t first, int64_t n, int64_t r0, int64_t r1, char *to) {
  int64_t at[2][RUNS_AT_ONCE], none = 0;
  const char *base[2];
  for (int i = 0; i < j->noperand; i++) {
    tg_walk_positions(&j->starts[i], NULL, first, n, TG_I64, at[i]);
    base[i] = (const char *)j->slots[j->operand[i]->slot] + (size_t)r0 * j->itemsize;
  }
  if (j->noperand == 2) {
    j->products.rows(to, base[0], at[0], base[1], at[1], (size_t)n, (size_t)(r1 - r0));
    return;
  }
  if (!j->noperand) {
    base[0] = tg_vm_eval(j->body, scratch, j->slots, &none, first * j->nred, n * j->nred, NULL);
    for (int64_t i = 0; i < n; i++) at[0][i] = i * j->nred;
  }
  j->fold.run.rows(to, base[0], at[0], (size_t)n, (size_t)(r1 - r0));
}

/* Folds the n <= RUN_POINTS points from `point` of all runs on into `to`. */
static void fold_runs(const job *j, int64_t point, int64_t n, void *to) {
  int64_t at[2][RUNS_AT_ONCE], run = point / j->run, first = point % j->run;
  const void *base[2];
  for (int i = 0; i < j->noperand; i++) {
    tg_walk_positions(&j->starts[i], NULL, run, tg_ceil_div(first + n, j->run), TG_I64, at[i]);
    base[i] = j->slots[j->operand[i]->slot];
  }
  if (j->noperand == 2) j->products.runs(to, base[0], at[0], base[1], at[1], (size_t)first, (size_t)j->run, (size_t)n);
  else j->fold.run.runs(to, base[0], at[0], NULL, NULL, (size_t)first, (size_t)j->run, (size_t)n);
}

/* Outputs [first, first + n), reduced points [r0, r1), into sums. */
static void reduce_rows(const job *j, char *scratch, int64_t first, int64_t n, int64_t r0, int64_t r1, char *sums) {
  const tg_kernel *k = j->kernel;
  int64_t idx[TG_MAX_DIMS], none = 0;
  tg_element levels[TGK_FOLD_LEVELS];
  const int64_t most = j->noperand ? RUN_POINTS : TG_BLOCK;
  tg_fold_clear(&j->fold, sums, n);
  if (j->at_once) {
    for (int64_t i = 0; i < n; i += j->at_once)
      fold_rows(j, scratch, first + i, tg_min(j->at_once, n - i), r0, r1, sums + (size_t)i * j->itemsize);
    return;
  }
  tg_unflatten(first, k->shape, k->nout, idx);
  for (int64_t i = 0; i < n; i++, advance(k->shape, k->nout, idx)) {
    tg_counter blocks = {&j->fold, (char *)levels, sizeof *levels, 1, 0};
    for (int64_t r = r0; r < r1 && !tg_interrupted(); r += most) {
      int64_t count = tg_min(most, r1 - r);
      void *to = tg_counter_next(&blocks);
      if (j->noperand) fold_runs(j, (first + i) * j->nred + r, count, to);
      else j->fold.run.rows(to, tg_vm_eval(j->body, scratch, j->slots, idx, r, count, NULL), &none, 1, (size_t)count);
      tg_counter_add(&blocks);
    }
    tg_counter_finish(&blocks, sums + (size_t)i * j->itemsize);
  }
}

/* ---- columns ---- */

/* So few that an evaluation covers several points of the reduced dims: then no dim is fixed. */
static bool sweeps_all(const job *j) { return j->kernel->reduced_first && j->nout <= TG_BLOCK / 2; }

/* Rows of the lanes from `lane` on get as many points, one behind the other: the first ones of their lanes, or more. */
static void add_points(const job *j, char *lanes, int64_t lane, const char *points, int64_t elements, size_t row,
                       bool first) {
  char *to = lanes + (size_t)lane * row;
  if (first) memcpy(to, points, (size_t)elements * j->itemsize);
  else j->fold.combine(to, to, points, (size_t)elements);
}

/* The points [r, stop) of a block into the lanes, as they are evaluated. */
static void add_evaluated(const job *j, const memory *m, int64_t first, int64_t n, int64_t r, int64_t stop, char *lanes,
                          int64_t nlane) {
  const int64_t *shape = j->kernel->shape + j->kernel->nout, start = r, span = tg_vm_span(j->body);
  const size_t row = (size_t)n * j->itemsize;
  int64_t idx[TG_MAX_DIMS] = {0};
  if (j->at_once == 1) tg_unflatten(r, shape, j->kernel->nred, idx);
  for (int64_t count; r < stop; r += count) {
    int64_t lane = (r - start) % nlane;
    bool fresh = nlane > 1 && r - start < nlane;
    count = tg_min(j->at_once, stop - r);
    if (j->at_once > 1) { /* all dims are swept */
      const char *points = tg_vm_eval(j->body, m->body, j->slots, idx, r * n, count * n, NULL);
      for (int64_t i = 0, some; i < count; i += some, lane = 0, fresh = false) {
        some = tg_min(nlane - lane, count - i);
        add_points(j, lanes, lane, points + (size_t)i * row, some * n, row, fresh);
      }
      continue;
    }
    for (int64_t at = 0, width; at < n; at += width) {
      width = tg_min(span, n - at);
      const char *points = tg_vm_eval(j->body, m->body, j->slots, idx, first + at, width, NULL);
      add_points(j, lanes + (size_t)at * j->itemsize, lane, points, width, row, fresh);
    }
    advance(shape, j->kernel->nred, idx);
  }
}

/* A block into `to`, which holds identities: where it lies in memory, or as it is evaluated. */
static void reduce_block(const job *j, const memory *m, int64_t first, int64_t n, int64_t r, int64_t stop, char *to) {
  const int64_t nlane = tg_fold_lanes(&j->fold, stop - r);
  if (j->noperand && nlane > 1) {
    int64_t at[TGK_FOLD_BLOCK];
    const char *base = (const char *)j->slots[j->operand[0]->slot] + (size_t)first * j->itemsize;
    tg_walk_positions(&j->starts[0], NULL, r, stop - r, TG_I64, at);
    j->fold.run.columns(to, m->lanes, base, at, (size_t)(stop - r), (size_t)n);
    return;
  }
  char *lanes = nlane == 1 ? to : m->lanes;
  add_evaluated(j, m, first, n, r, stop, lanes, nlane);
  if (nlane == 1) return;
  tg_fold_halves(&j->fold, lanes, nlane, n);
  j->fold.combine(to, lanes, to, (size_t)n);
}

/* Outputs [first, first + n), reduced points [r0, r1), into sums. */
static void reduce_columns(const job *j, const memory *m, int64_t first, int64_t n, int64_t r0, int64_t r1,
                           char *sums) {
  tg_counter blocks = {&j->fold, m->blocks, j->tile_bytes, n, 0};
  tg_fold_clear(&j->fold, sums, n);
  for (int64_t r = r0; r < r1 && !tg_interrupted(); r += TGK_FOLD_BLOCK) {
    reduce_block(j, m, first, n, r, tg_min(r + TGK_FOLD_BLOCK, r1), tg_counter_next(&blocks));
    tg_counter_add(&blocks);
  }
  tg_counter_finish(&blocks, sums);
}

/* ---- both ---- */

/* Bytes of a worker's memory; fills m if there is some. */
static size_t lay_out(const job *j, char *base, memory *m) {
  bool columns = j->kernel->reduced_first;
  size_t levels = columns ? (size_t)tg_counter_levels(tg_ceil_div(j->chunk, TGK_FOLD_BLOCK)) : 0;
  size_t lanes = columns ? (size_t)tg_fold_lanes(&j->fold, j->chunk) : 0;
  size_t body = 0, results = body + j->body_bytes, sums = results + j->results_bytes, blocks = sums + j->tile_bytes;
  size_t side_by_side = blocks + levels * j->tile_bytes;
  if (base) *m = (memory){base + body, base + results, base + sums, base + blocks, base + side_by_side};
  return side_by_side + lanes * j->tile_bytes;
}

static tg_status reduce_task(void *context, int64_t task, int worker) {
  const job *j = context;
  memory m = {0};
  int64_t first = task / j->nchunk * j->per_task, chunk = task % j->nchunk;
  int64_t stop = tg_min(first + j->per_task, j->nout);
  int64_t r0 = chunk * j->chunk, r1 = tg_min(r0 + j->chunk, j->nred);
  lay_out(j, tg_workspace_of(&j->scratch, worker), &m);
  tg_vm_prepare(j->body, m.body);
  tg_results_prepare(&j->results, m.results);
  for (int64_t n; first < stop; first += n) {
    n = tg_min(j->tile, stop - first);
    char *sums = j->partial ? j->partial + (size_t)(chunk * j->nout + first) * j->itemsize : m.sums;
    if (j->kernel->reduced_first) reduce_columns(j, &m, first, n, r0, r1, sums);
    else reduce_rows(j, m.body, first, n, r0, r1, sums);
    if (!j->partial) tg_results_write(&j->results, m.results, first, n, sums);
  }
  return TG_OK;
}

/* Second pass over chunks: partials of a block of outputs are added in pairs, in place. */
static tg_status combine_task(void *context, int64_t task, int worker) {
  const job *j = context;
  memory m = {0};
  int64_t first = task * TG_BLOCK, n = tg_min(TG_BLOCK, j->nout - first);
  char *base = j->partial + (size_t)first * j->itemsize;
  lay_out(j, tg_workspace_of(&j->scratch, worker), &m);
  tg_fold_pairs(&j->fold, base, (size_t)j->nout * j->itemsize, j->nchunk, n);
  tg_results_prepare(&j->results, m.results);
  tg_results_write(&j->results, m.results, first, n, base);
  return TG_OK;
}

/* How the outputs and the reduced dims are cut, which does not touch the order of summation. */
static void split(job *j, int64_t cost) {
  bool columns = j->kernel->reduced_first;
  int64_t want = total_cost(j->nout, j->nred, cost) / (TG_TASK_COST * 4); /* tasks worth having */
  if (want > 64) want = 64;
  j->tile = tg_min(j->nout, columns ? MOST_COLUMNS : TG_BLOCK);
  if (columns) j->at_once = sweeps_all(j) ? tg_min(tg_vm_span(j->body), TG_BLOCK * TGK_FOLD_LANES) / j->nout : 1;
  int64_t tiles = columns ? tg_ceil_div(j->nout, j->tile) : j->nout;
  j->nchunk = 1;
  j->chunk = j->nred;
  if (tiles < want && tiles < 16 && j->nred > TG_BLOCK) {
    j->chunk = TG_BLOCK;
    while (tg_ceil_div(j->nred, j->chunk) > tg_ceil_div(want, tiles)) j->chunk *= 2;
    j->nchunk = tg_ceil_div(j->nred, j->chunk);
  }
  if (columns && j->at_once == 1 &&
      want > 1) { /* no worker without a tile, though narrow ones are read in short runs */
    int64_t each = tg_ceil_div(j->nout * j->nchunk, tg_min(want, tg_pool_size()));
    j->tile = tg_min(j->tile, tg_max(LEAST_COLUMNS, tg_round_up(each, TGK_FOLD_LANES)));
  }
  j->per_task = tg_task_points(j->nout, columns ? j->tile : 1, tg_max(1, total_cost(1, j->chunk, cost)));
}

/* The accesses of a body that is a load or the product of two, with nothing to convert. */
static int stored_operands(const tg_kernel *k, const tg_access *operand[2]) {
  const tg_program *p = &k->body;
  const tg_instr *last = &p->instr[p->ninstr - 1];
  bool product = last->code == TG_I_OP && last->op == TG_OP_MUL && k->reduce == TG_OP_REDUCE_SUM;
  int n = product && tgk.sum_products[k->reduced].rows ? 2 : 1;
  for (int j = 0; j < n; j++) {
    const tg_instr *in = n == 2 ? &p->instr[last->src[j]] : last;
    if (in->code != TG_I_LOAD || p->access[in->arg].dtype != k->reduced) return 0;
    operand[j] = &p->access[in->arg];
  }
  return n;
}

/* Whether the points are folded where they lie in memory: rows in runs of it, or all columns side by side. */
static tg_status find_operands(job *j) {
  const tg_kernel *k = j->kernel;
  int ndim = k->nout + k->nred, leading = k->reduced_first ? k->nred : k->nout, first = leading;
  tg_status status = TG_OK;
  if (!j->nred) return TG_OK;
  int n = stored_operands(k, j->operand);
  for (int i = 0; i < n; i++) first = (int)tg_max(first, tg_view_dims_before_run(j->operand[i]->view));
  if (k->reduced_first) {
    if (sweeps_all(j) || first > leading || n > 1 || !j->fold.run.columns) n = 0;
  } else {
    j->run = tg_product(k->shape + first, ndim - first);
    if (first > leading && j->run < MIN_RUN) n = 0;
    if (n) j->at_once = first == leading && j->nred <= MOST_AT_ONCE ? RUNS_AT_ONCE : 0;
    else if (j->nred <= TG_BLOCK / 2) j->at_once = tg_min(RUNS_AT_ONCE, TG_BLOCK / j->nred);
  }
  for (; j->noperand < n && !status; j->noperand++)
    status = tg_walk_init_leading(&j->starts[j->noperand], j->operand[j->noperand]->view, 0, first, k->reduced);
  return status;
}

/* The leading dims of the body that are fixed, not swept. */
static int fixed_dims(const job *j) {
  const tg_kernel *k = j->kernel;
  if (k->reduced_first) return sweeps_all(j) ? 0 : k->nred;
  return j->at_once ? 0 : k->nout;
}

static tg_status run(job *j) {
  int64_t ntask = tg_ceil_div(j->nout, j->per_task) * j->nchunk;
  tg_status status = TG_OK;
  if (total_cost(j->nout, j->nred, tg_vm_cost(j->body)) < TG_TASK_COST) { /* too small to hand over */
    for (int64_t task = 0; task < ntask && !status; task++) status = reduce_task(j, task, 0);
  } else {
    status = tg_pool_run(reduce_task, j, ntask);
  }
  if (!status && j->partial) status = tg_pool_run(combine_task, j, tg_ceil_div(j->nout, TG_BLOCK));
  if (!status) status = tg_vm_status(j->body);
  return status ? status : tg_results_status(&j->results);
}

tg_status tg_reduce_run(const tg_kernel *k, void *const *slots) {
  tg_vm *body = NULL;
  job j = {
      .kernel = k, .slots = slots, .fold = tg_fold_of(k->reduce, k->reduced), .nout = tg_product(k->shape, k->nout)};
  size_t partial_bytes = 0;
  j.nred = tg_product(k->shape + k->nout, k->nred);
  if (!j.nout) return TG_OK;
  tg_status status = find_operands(&j);
  if (!status) status = tg_vm_compile(&k->body, fixed_dims(&j), &body);
  if (!status) status = tg_results_init(&j.results, k, slots);
  if (status) goto done;
  j.body = body;
  j.itemsize = tg_itemsize(k->reduced);
  j.products = tgk.sum_products[k->reduced];
  split(&j, tg_vm_cost(body));
  j.body_bytes = tg_aligned(tg_vm_scratch_size(body));
  j.results_bytes = tg_aligned(tg_results_scratch_size(&j.results));
  j.tile_bytes = tg_aligned((size_t)j.tile * j.itemsize);
  if ((status = tg_workspace_init(&j.scratch, tg_pool_size(), lay_out(&j, NULL, NULL)))) goto done;
  if (j.nchunk > 1) {
    partial_bytes = (size_t)(j.nchunk * j.nout) * j.itemsize;
    if (!(j.partial = tg_block_alloc(partial_bytes))) {
      status = tg_fail_memory(partial_bytes);
      goto done;
    }
  }
  status = run(&j);
done:
  tg_block_free(j.partial, partial_bytes);
  tg_workspace_free(&j.scratch);
  for (int i = 0; i < j.noperand; i++) tg_walk_clear(&j.starts[i]);
  tg_vm_free(body);
  tg_results_clear(&j.results);
  return status;
}

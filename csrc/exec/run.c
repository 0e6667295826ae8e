/* Map and reduce kernels on the block machine (see run.h); contractions go to contract.c.
 *
 * A reduce runs in one of two ways. With the reduced dims innermost ("rows") each output folds its own elements: where
 * they lie in memory, as they are or multiplied in pairs, many rows or many runs of a row in one call; else as blocks
 * of them are evaluated, of several short rows or a part of a long one. With the out dims innermost ("columns") a block
 * of outputs accumulates whole blocks, one point of the reduced dims after the other. Either way partial results are
 * added in pairs like the carries of a binary counter, so that the error of a sum grows with the logarithm of its
 * length:
 *
 *     block:   0   1   2   3   4 ...
 *               \ /     \ /    |
 *     level 1:  01      23     |
 *                 \____/       |
 *     level 2:    0123         4
 *
 * Few outputs of long reductions are cut into chunks whose number depends on the shape and the cost of a point alone;
 * chunks meet in a second pass in fixed order. The same bits come out on any number of threads.
 *
 * Owns: nothing between calls. Callers: execute.c; chain.c, for parts. */
#include "exec/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/integers.h"
#include "base/pool.h"
#include "exec/contract.h"
#include "exec/fold.h"
#include "exec/results.h"
#include "exec/rows.h"
#include "exec/sequence.h"
#include "exec/sort.h"
#include "exec/tasks.h"
#include "exec/vm.h"
#include "exec/walk.h"
#include "kernels/kernels.h"

#define MAX_LEVELS 48
#define RUNS_AT_ONCE 256
#define MIN_RUN 64                 /* elements of a part of a row, to be folded where they lie */
#define COLUMN_TILE (4 * TG_BLOCK) /* outputs: memory is read in long runs, and their sums still fit L1 */
#define FOLD_RUN 32                /* blocks a column accumulates before its sum moves up a level */

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

/* ---- map ---- */

typedef struct tg_map {
  void *const *slots;
  tg_vm *vm;
  tg_workspace scratch;
  int64_t points, per_task;
} map_job;

static void map_points(const map_job *job, char *scratch, int64_t start, int64_t stop) {
  int64_t none = 0;
  tg_vm_prepare(job->vm, scratch);
  for (; start < stop; start += TG_BLOCK)
    tg_vm_run(job->vm, scratch, job->slots, &none, start, tg_min(TG_BLOCK, stop - start), NULL);
  tg_vm_finish(job->vm);
}

static tg_status map_task(void *context, int64_t task, int worker) {
  const map_job *job = context;
  int64_t start = task * job->per_task;
  map_points(job, tg_workspace_of(&job->scratch, worker), start, tg_min(start + job->per_task, job->points));
  return TG_OK;
}

#define MIN_TILED_POINTS (1 << 16) /* what is smaller fits the cache anyway */
#define MIN_ACROSS 24              /* tiles overhang shorter dims too far */
#define MIN_ALONG 48

/* Is value i in memory, but for a conversion? */
static bool is_loaded(const tg_program *p, int i) {
  while (p->instr[i].code == TG_I_CAST) i = p->instr[i].src[0];
  return p->instr[i].code == TG_I_LOAD;
}

/* Most of what a map loads may be dense along another dim than the one that it writes along, so that each element of a
 * block is in another line. Finds that dim. */
static bool wants_tiles(const tg_kernel *k, tg_tiling *t) {
  double across[TG_MAX_DIMS] = {0}, along = 0;
  if (k->nout > TG_MAX_DIMS - 2 || tg_product(k->shape, k->nout) < MIN_TILED_POINTS) return false;
  t->along = k->nout - 1;
  while (k->shape[t->along] == 1) t->along--;
  for (int i = 0; i < k->body.ninstr; i++) {
    const tg_instr *in = &k->body.instr[i];
    /* where a tile overhangs, zeros are loaded: what is computed from them may be no index */
    if (in->code == TG_I_INDEX && !is_loaded(&k->body, in->src[0])) return false;
    if (!tg_instr_access(in) || tg_instr_effect(in)) continue;
    const tg_view *v = k->body.access[in->arg].view;
    if (v->below) return false;
    double elements = 1;
    int dense = t->along;
    for (int d = 0; d < v->ndim; d++) {
      if (!v->stride[d]) continue;
      elements *= (double)v->shape[d];
      if (v->shape[d] > 1 && (!v->stride[dense] || llabs(v->stride[d]) < llabs(v->stride[dense]))) dense = d;
    }
    if (dense == t->along) along += elements;
    else if (v->stride[t->along] && k->shape[dense] >= MIN_ACROSS) across[dense] += elements;
  }
  t->across = 0;
  for (int d = 1; d < t->along; d++)
    if (across[d] > across[t->across]) t->across = d;
  return across[t->across] > along / 4 && k->shape[t->along] >= MIN_ALONG;
}

/* Points of a map in tiles, those counted that overhang. */
static tg_status tiled_points(const tg_kernel *k, const tg_tiling *tiling, int64_t *points) {
  tg_walk walk;
  const tg_access *store = &k->body.access[k->body.instr[k->body.ninstr - 1].arg]; /* the last instruction is one */
  tg_status status = tg_walk_init_tiled(&walk, store->view, tiling, store->dtype);
  if (status) return status;
  *points = tg_product(walk.shape, walk.nswept);
  tg_walk_clear(&walk);
  return TG_OK;
}

static tg_status run_map(const tg_kernel *k, void *const *slots) {
  tg_vm *vm = NULL;
  tg_tiling tiling;
  map_job job = {.slots = slots, .points = tg_product(k->shape, k->nout)};
  if (!job.points) return TG_OK;
  bool tiled = wants_tiles(k, &tiling);
  tg_status status = tiled ? tg_vm_compile_tiled(&k->body, &tiling, &vm) : tg_vm_compile(&k->body, 0, &vm);
  if (!status && tiled) status = tiled_points(k, &tiling, &job.points);
  if (status) goto done;
  job.vm = vm;
  if ((status = tg_workspace_init(&job.scratch, tg_pool_size(), tg_vm_scratch_size(vm)))) goto done;
  job.per_task = tg_task_points(job.points, TG_BLOCK, tg_vm_cost(vm));
  status = tg_pool_run(map_task, &job, tg_ceil_div(job.points, job.per_task));
  if (!status) status = tg_vm_status(vm);
done:
  tg_workspace_free(&job.scratch);
  tg_vm_free(vm);
  return status;
}

/* ---- reduce ---- */

typedef struct reduce_job {
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
                            rows: runs that are folded in one call */
  int64_t run;           /* rows: points of the parts that a row is folded in at once; 0: blocks of it are evaluated */
  int noperand;          /* of the body where it lies in memory in such runs: a buffer or the product of two, else 0 */
  const tg_access *operand[2];
  tg_walk starts[2]; /* of the operands' runs, in the order of the domain */
  tgk_fold_products_fn fold_products;
  char *partial; /* [nchunk][nout] accumulators */
  tg_workspace scratch;
  size_t body_bytes, results_bytes, tile_bytes;
} reduce_job;

/* Columns so few that an evaluation covers several points of the reduced dims: then no dim is fixed. */
static bool sweeps_all(const reduce_job *job) { return job->nout <= TG_BLOCK / 2; }

/* Partials waiting at each level, `width` accumulators each. */
typedef struct counter {
  tgk_binary_fn combine;
  char *levels;
  size_t bytes; /* of a level */
  int64_t width;
  uint64_t count;
} counter;

/* The block in which the next partial is to be put: level of the lowest zero bit. */
static char *counter_next(const counter *c) { return c->levels + (size_t)__builtin_ctzll(~c->count) * c->bytes; }

/* The block from counter_next is full: carries move up. */
static void counter_add(counter *c) {
  char *top = counter_next(c);
  for (char *level = c->levels; level < top; level += c->bytes) c->combine(top, level, top, (size_t)c->width);
  c->count++;
}

/* Adds what waits, lowest level first, into `to`, which holds the identity. */
static void counter_finish(const counter *c, char *to) {
  for (uint64_t rest = c->count; rest; rest &= rest - 1)
    c->combine(to, c->levels + (size_t)__builtin_ctzll(rest) * c->bytes, to, (size_t)c->width);
}

static int level_count(int64_t blocks) {
  int n = 1;
  while (blocks >> n) n++;
  return n;
}

static void fill_identity(const reduce_job *job, char *to, int64_t n) {
  tg_fold_clear(&job->fold, job->kernel->reduced, to, n);
}

/* Folds the points [offset, offset + length) of n <= at_once runs from the first on into an element of `to` each. */
static void fold_runs(const reduce_job *job, char *scratch, int64_t first, int64_t n, int64_t offset, int64_t length,
                      char *to) {
  int64_t at[2][RUNS_AT_ONCE], none = 0;
  const char *from[2];
  fill_identity(job, to, n);
  for (int j = 0; j < job->noperand; j++) {
    tg_walk_positions(&job->starts[j], NULL, first, n, TG_I64, at[j]);
    from[j] = (const char *)job->slots[job->operand[j]->slot] + (size_t)offset * job->itemsize;
  }
  if (job->noperand == 2) {
    job->fold_products(to, from[0], at[0], from[1], at[1], (size_t)n, (size_t)length);
    return;
  }
  if (!job->noperand) { /* whole rows */
    from[0] = tg_vm_eval(job->body, scratch, job->slots, &none, first * length, n * length, NULL);
    for (int64_t i = 0; i < n; i++) at[0][i] = i * length;
  }
  job->fold.block(to, from[0], at[0], (size_t)n, (size_t)length);
}

/* Rows: outputs [first, first + n), reduced points [r0, r1), into acc. */
static void reduce_rows(const reduce_job *job, char *scratch, int64_t first, int64_t n, int64_t r0, int64_t r1,
                        char *acc) {
  const tg_kernel *k = job->kernel;
  int64_t idx[TG_MAX_DIMS], none = 0;
  tg_element small[MAX_LEVELS], sums[RUNS_AT_ONCE];
  fill_identity(job, acc, n);
  if (r0 >= r1) return; /* an empty reduction */
  if (job->run == job->nred) {
    for (int64_t i = 0; i < n; i += job->at_once)
      fold_runs(job, scratch, first + i, tg_min(job->at_once, n - i), r0, r1 - r0, acc + (size_t)i * job->itemsize);
    return;
  }
  tg_unflatten(first, k->shape, k->nout, idx);
  for (int64_t i = 0; i < n; i++, advance(k->shape, k->nout, idx)) {
    counter c = {job->fold.combine, (char *)small, sizeof *small, 1, 0};
    for (int64_t r = r0, points; r < r1 && !tg_interrupted(); r += points) {
      const void *block = sums;
      int64_t count;
      if (job->run) {
        count = tg_min(job->at_once, (r1 - r) / job->run);
        points = count * job->run;
        fold_runs(job, scratch, ((first + i) * job->nred + r) / job->run, count, 0, job->run, (char *)sums);
      } else {
        count = points = tg_min(TG_BLOCK, r1 - r);
        block = tg_vm_eval(job->body, scratch, job->slots, idx, r, count, NULL);
      }
      char *to = counter_next(&c);
      memcpy(to, &job->fold.identity, job->itemsize);
      job->fold.block(to, block, &none, 1, (size_t)count);
      counter_add(&c);
    }
    counter_finish(&c, acc + (size_t)i * job->itemsize);
  }
}

/* Adds the points [r, r + count) of the reduced dims to the tile `to`. If it is but one, idx is its index. */
static void add_columns(const reduce_job *job, char *scratch, const int64_t *idx, int64_t first, int64_t n, int64_t r,
                        int64_t count, char *to) {
  if (job->at_once > 1) { /* nothing is fixed: the out dims are swept again and again */
    const char *rows = tg_vm_eval(job->body, scratch, job->slots, idx, r * n, count * n, NULL);
    for (int64_t i = 0; i < count; i++) job->fold.combine(to, to, rows + (size_t)(i * n) * job->itemsize, (size_t)n);
    return;
  }
  int64_t span = tg_vm_span(job->body);
  for (int64_t at = 0, width; at < n; at += width) {
    width = tg_min(span, n - at);
    char *part = to + (size_t)at * job->itemsize;
    job->fold.combine(part, part, tg_vm_eval(job->body, scratch, job->slots, idx, first + at, width, NULL),
                      (size_t)width);
  }
}

/* Columns: the same outputs as a tile; `levels` has room for the counter's tiles. */
static void reduce_columns(const reduce_job *job, char *scratch, char *levels, int64_t first, int64_t n, int64_t r0,
                           int64_t r1, char *acc) {
  const tg_kernel *k = job->kernel;
  int64_t idx[TG_MAX_DIMS];
  counter c = {job->fold.combine, levels, job->tile_bytes, n, 0};
  fill_identity(job, acc, n);
  if (r0 >= r1) return; /* an empty reduction */
  tg_unflatten(r0, k->shape + k->nout, k->nred, idx);
  for (int64_t r = r0, count; r < r1 && !tg_interrupted();) {
    char *to = counter_next(&c);
    fill_identity(job, to, n);
    for (int64_t stop = tg_min(r + FOLD_RUN, r1); r < stop; r += count, advance(k->shape + k->nout, k->nred, idx)) {
      count = tg_min(job->at_once, stop - r);
      add_columns(job, scratch, idx, first, n, r, count, to);
    }
    counter_add(&c);
  }
  counter_finish(&c, acc);
}

/* A worker's memory: | body scratch | results scratch | accumulators | levels ... | */
static tg_status reduce_task(void *context, int64_t task, int worker) {
  const reduce_job *job = context;
  char *body = tg_workspace_of(&job->scratch, worker), *results = body + job->body_bytes;
  char *acc = results + job->results_bytes, *levels = acc + job->tile_bytes;
  int64_t first = task / job->nchunk * job->per_task, chunk = task % job->nchunk;
  int64_t stop = tg_min(first + job->per_task, job->nout);
  int64_t r0 = chunk * job->chunk, r1 = tg_min(r0 + job->chunk, job->nred);
  tg_vm_prepare(job->body, body);
  tg_results_prepare(&job->results, results);
  for (int64_t n; first < stop; first += n) {
    n = tg_min(job->tile, stop - first);
    if (job->partial) acc = job->partial + (size_t)(chunk * job->nout + first) * job->itemsize;
    if (job->kernel->reduced_first) reduce_columns(job, body, levels, first, n, r0, r1, acc);
    else reduce_rows(job, body, first, n, r0, r1, acc);
    if (!job->partial) tg_results_write(&job->results, results, first, n, acc);
  }
  return TG_OK;
}

/* Second pass over chunks: partials of a block of outputs are added in pairs, in place. */
static tg_status combine_task(void *context, int64_t task, int worker) {
  const reduce_job *job = context;
  char *results = tg_workspace_of(&job->scratch, worker) + job->body_bytes;
  int64_t first = task * TG_BLOCK, n = tg_min(TG_BLOCK, job->nout - first);
  char *base = job->partial + (size_t)first * job->itemsize;
  tg_fold_pairs(&job->fold, base, (size_t)job->nout * job->itemsize, job->nchunk, n);
  tg_results_prepare(&job->results, results);
  tg_results_write(&job->results, results, first, n, base);
  return TG_OK;
}

/* How the outputs and the reduced dims are cut. By the shape and the cost of a point alone, but for the number of
 * outputs a task covers, which does not touch the order of summation. */
static void split_reduce(reduce_job *job, int64_t cost) {
  bool columns = job->kernel->reduced_first;
  int64_t want = total_cost(job->nout, job->nred, cost) / (TG_TASK_COST * 4); /* tasks worth having */
  if (want > 64) want = 64;
  job->tile = tg_min(job->nout, columns ? COLUMN_TILE : TG_BLOCK);
  if (columns) job->at_once = sweeps_all(job) ? TG_BLOCK / job->nout : 1;
  int64_t blocks = columns ? tg_ceil_div(job->nout, job->tile) : job->nout;
  job->nchunk = 1;
  job->chunk = job->nred;
  if (blocks < want && blocks < 16 && job->nred > 4 * FOLD_RUN) {
    int64_t unit = columns ? FOLD_RUN : TG_BLOCK;
    if (job->run && job->run < job->nred) unit = tg_round_up(TG_BLOCK, job->run);
    job->chunk = tg_ceil_div(tg_ceil_div(job->nred, tg_ceil_div(want, blocks)), unit) * unit;
    job->nchunk = tg_ceil_div(job->nred, job->chunk);
  }
  job->per_task = tg_task_points(job->nout, columns ? job->tile : 1, tg_max(1, total_cost(1, job->chunk, cost)));
}

/* The accesses of a body that is a load or the product of two, with nothing to convert. */
static int stored_operands(const tg_kernel *k, const tg_access *operand[2]) {
  const tg_program *p = &k->body;
  const tg_instr *last = &p->instr[p->ninstr - 1];
  bool product = last->code == TG_I_OP && last->op == TG_OP_MUL && k->reduce == TG_OP_REDUCE_SUM;
  int n = product && tgk.sum_products[k->reduced] ? 2 : 1;
  for (int j = 0; j < n; j++) {
    const tg_instr *in = n == 2 ? &p->instr[last->src[j]] : last;
    if (in->code != TG_I_LOAD || p->access[in->arg].dtype != k->reduced) return 0;
    operand[j] = &p->access[in->arg];
  }
  return n;
}

/* Finds the runs that rows are folded in. */
static tg_status find_runs(reduce_job *job) {
  const tg_kernel *k = job->kernel;
  int ndim = k->nout + k->nred, first = k->nout;
  tg_status status = TG_OK;
  if (k->reduced_first || !job->nred) return TG_OK;
  int n = stored_operands(k, job->operand);
  for (int j = 0; j < n; j++) first = (int)tg_max(first, tg_view_dims_before_run(job->operand[j]->view));
  job->run = tg_product(k->shape + first, ndim - first);
  if (n > 0 && (first == k->nout || job->run >= MIN_RUN)) {
    job->noperand = n;
    job->at_once = RUNS_AT_ONCE;
  } else {
    job->run = job->nred <= TG_BLOCK / 2 ? job->nred : 0;
    job->at_once = job->run ? tg_min(RUNS_AT_ONCE, TG_BLOCK / job->run) : 1;
  }
  for (int j = 0; j < job->noperand && !status; j++)
    status = tg_walk_init_leading(&job->starts[j], job->operand[j]->view, 0, first, k->reduced);
  return status;
}

/* The leading dims of the body that are fixed, not swept. */
static int fixed_dims(const reduce_job *job) {
  const tg_kernel *k = job->kernel;
  if (k->reduced_first) return sweeps_all(job) ? 0 : k->nred;
  return job->run == job->nred ? 0 : k->nout;
}

static tg_status run_reduce(const tg_kernel *k, void *const *slots) {
  tg_vm *body = NULL;
  reduce_job job = {
      .kernel = k, .slots = slots, .fold = tg_fold_of(k->reduce, k->reduced), .nout = tg_product(k->shape, k->nout)};
  size_t partial_bytes = 0;
  job.nred = tg_product(k->shape + k->nout, k->nred);
  if (!job.nout) return TG_OK;
  tg_status status = find_runs(&job);
  if (!status) status = tg_vm_compile(&k->body, fixed_dims(&job), &body);
  if (!status) status = tg_results_init(&job.results, k, slots);
  if (status) goto done;
  job.body = body;
  job.itemsize = tg_itemsize(k->reduced);
  job.fold_products = tgk.sum_products[k->reduced];
  split_reduce(&job, tg_vm_cost(body));
  job.body_bytes = tg_aligned(tg_vm_scratch_size(body));
  job.results_bytes = tg_aligned(tg_results_scratch_size(&job.results));
  job.tile_bytes = tg_aligned((size_t)job.tile * job.itemsize);
  int levels = k->reduced_first ? level_count(tg_ceil_div(job.chunk, FOLD_RUN)) : 0;
  size_t each = job.body_bytes + job.results_bytes + job.tile_bytes * (size_t)(levels + 1);
  if ((status = tg_workspace_init(&job.scratch, tg_pool_size(), each))) goto done;
  if (job.nchunk > 1) {
    partial_bytes = (size_t)(job.nchunk * job.nout) * job.itemsize;
    if (!(job.partial = tg_block_alloc(partial_bytes))) {
      status = tg_fail_memory(partial_bytes);
      goto done;
    }
  }
  int64_t ntask = tg_ceil_div(job.nout, job.per_task) * job.nchunk;
  if (total_cost(job.nout, job.nred, tg_vm_cost(body)) < TG_TASK_COST) { /* too small to hand over */
    for (int64_t task = 0; task < ntask && !status; task++) status = reduce_task(&job, task, 0);
  } else {
    status = tg_pool_run(reduce_task, &job, ntask);
  }
  if (!status && job.partial) status = tg_pool_run(combine_task, &job, tg_ceil_div(job.nout, TG_BLOCK));
  if (!status) status = tg_vm_status(body);
  if (!status) status = tg_results_status(&job.results);
done:
  tg_block_free(job.partial, partial_bytes);
  tg_workspace_free(&job.scratch);
  for (int j = 0; j < job.noperand; j++) tg_walk_clear(&job.starts[j]);
  tg_vm_free(body);
  tg_results_clear(&job.results);
  return status;
}

/* No infinity or NaN among the elements: their exponent bits are all ones. */
static bool is_finite(const void *memory, tg_dtype dtype, int64_t n) {
  bool special = false;
  if (tg_itemsize(dtype) == 2) {
    uint16_t exponent = dtype == TG_F16 ? 0x7c00 : 0x7f80;
    for (int64_t i = 0; i < n; i++) special |= (((const uint16_t *)memory)[i] & exponent) == exponent;
  } else if (dtype == TG_F32) {
    for (int64_t i = 0; i < n; i++) special |= (((const uint32_t *)memory)[i] & 0x7f800000u) == 0x7f800000u;
  } else {
    const uint64_t exponent = (uint64_t)0x7ff << 52;
    for (int64_t i = 0; i < n; i++) special |= (((const uint64_t *)memory)[i] & exponent) == exponent;
  }
  return !special;
}

static tg_status run_contraction(const tg_kernel *k, void *const *slots) {
  const int64_t part = 1 << 20;
  for (int j = 0; j < 2; j++) {
    const tg_unmasked *u = &k->unmasked[j];
    const char *memory = slots[u->slot];
    for (int64_t at = 0; at < u->elements && !tg_interrupted(); at += part)
      if (!is_finite(memory + (size_t)at * tg_itemsize(u->dtype), u->dtype, tg_min(part, u->elements - at)))
        return run_reduce(k->exact, slots);
  }
  return tg_contract_run(k, slots);
}

tg_status tg_run_kernel(const tg_kernel *kernel, void *const *slots) {
  switch (kernel->kind) {
  case TG_KERNEL_MAP: return run_map(kernel, slots);
  case TG_KERNEL_ROWS: return tg_rows_run(kernel, slots);
  case TG_KERNEL_REDUCE: return run_reduce(kernel, slots);
  case TG_KERNEL_CONTRACT: return run_contraction(kernel, slots);
  case TG_KERNEL_SCAN: return tg_scan_run(kernel, slots);
  case TG_KERNEL_SORT: return tg_sort_run(kernel, slots);
  case TG_KERNEL_SCATTER: return tg_scatter_run(kernel, slots);
  }
  return tg_fail(TG_ERR_INTERNAL, "unknown kind of kernel: %d", (int)kernel->kind);
}

/* ---- parts ---- */

static tg_status open_map(const tg_kernel *k, void *const *slots, map_job **out) {
  map_job *job = tg_calloc(1, sizeof *job);
  if (!job) return tg_fail_memory(sizeof *job);
  job->slots = slots;
  *out = job;
  tg_status status = tg_vm_compile(&k->body, 0, &job->vm);
  if (!status) status = tg_workspace_init(&job->scratch, 1, tg_vm_scratch_size(job->vm));
  return status;
}

static tg_status run_map_part(map_job *job, int64_t first, int64_t rows) {
  map_points(job, tg_workspace_of(&job->scratch, 0), first, first + rows);
  return tg_vm_status(job->vm);
}

static void close_map(map_job *job) {
  if (!job) return;
  tg_workspace_free(&job->scratch);
  tg_vm_free(job->vm);
  tg_free(job);
}

tg_status tg_part_open(tg_part *p, const tg_kernel *kernel, void *const *slots, int64_t rows) {
  p->kernel = kernel;
  switch (kernel->kind) {
  case TG_KERNEL_MAP: return open_map(kernel, slots, &p->map);
  case TG_KERNEL_ROWS: return tg_rows_open(kernel, slots, &p->rows);
  case TG_KERNEL_CONTRACT: return tg_contract_open(kernel, slots, rows, &p->contract);
  default: return tg_fail(TG_ERR_INTERNAL, "a kernel of kind %d does not run in parts", (int)kernel->kind);
  }
}

tg_status tg_part_run(tg_part *p, int64_t first, int64_t rows) {
  if (p->map) return run_map_part(p->map, first, rows);
  if (p->rows) return tg_rows_run_part(p->rows, first, rows);
  return tg_contract_run_part(p->contract, first, rows);
}

void tg_part_close(tg_part *p) {
  close_map(p->map);
  tg_rows_close(p->rows);
  tg_contract_close(p->contract);
}

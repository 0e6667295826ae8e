/* Rows that stay in cache while several reductions pass over them (see rows.h).
 *
 * A tile is what a worker holds at a time; its locals live in the worker's memory. Phase by phase, the program of the
 * rows runs once over the tile's rows, then that of the points block by block:
 *
 *   rows     | row, row, ... | as many whole rows as fit a block, or a part of one long row after the other
 *   columns  the same point of TG_BLOCK rows at a time, where rows are short or lie across memory
 *
 * Either way what is folded meets in the order of kernels.h: of a long row its blocks in pairs, in columns the points
 * of a lane and then the lanes.
 * Owns: nothing between calls, but for a tg_rows. Caller: run.c. */
#include "exec/rows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/pool.h"
#include "exec/fold.h"
#include "exec/tasks.h"
#include "exec/vm.h"

typedef struct phase {
  tg_vm *rows, *points;      /* NULL: nothing to do */
  size_t rows_at, points_at; /* their registers within a worker's memory */
} phase;

typedef struct tg_rows {
  const tg_kernel *kernel;
  void *const *slots;
  phase *phases;
  size_t *local_at; /* of each local within a worker's memory */
  size_t each;      /* bytes of a worker, while they are planned */
  tg_workspace scratch;
  int64_t nrow, row;      /* rows and points in each */
  int64_t tile, per_task; /* rows of a tile, rows of a task */
  int64_t lanes;          /* columns: in which the row, of TG_SHORT_ROW at most and so one block, is folded */
} job;

/* ---- preparing ---- */

static tg_status compile(const tg_program *p, int nfixed, tg_vm **vm, size_t *at, size_t *bytes) {
  if (!p->ninstr) return TG_OK;
  tg_status status = tg_vm_compile(p, nfixed, vm);
  if (status) return status;
  *at = *bytes;
  *bytes += tg_aligned(tg_vm_scratch_size(*vm));
  return TG_OK;
}

static tg_status compile_all(job *j) {
  const tg_kernel *k = j->kernel;
  tg_status status;
  for (int i = 0; i < k->nphase; i++) {
    phase *p = &j->phases[i];
    if ((status = compile(&k->phases[i].rows, 0, &p->rows, &p->rows_at, &j->each))) return status;
    int nfixed = k->reduced_first ? k->nred : 0;
    if ((status = compile(&k->phases[i].points, nfixed, &p->points, &p->points_at, &j->each))) return status;
  }
  return TG_OK;
}

static void plan_locals(job *j) {
  const tg_kernel *k = j->kernel;
  int64_t blocks = tg_ceil_div(j->row, TG_BLOCK); /* partial results of a long row */
  for (int i = 0; i < k->nlocal; i++) {
    int64_t elements = k->locals[i].row ? tg_max(j->tile * j->lanes, blocks) : j->tile * j->row;
    j->local_at[i] = j->each;
    j->each += tg_aligned((size_t)elements * tg_itemsize(k->locals[i].dtype));
  }
}

/* What a row costs, in simple operations. */
static int64_t cost_of_row(const job *j) {
  int64_t points = 0, rows = 0;
  for (int i = 0; i < j->kernel->nphase; i++) {
    if (j->phases[i].points) points += tg_vm_cost(j->phases[i].points);
    if (j->phases[i].rows) rows += tg_vm_cost(j->phases[i].rows);
  }
  return points * j->row + rows;
}

/* ---- running ---- */

/* The next FOLD from instruction *i on, what it is made of, and NULL at the end. */
static const tg_instr *next_fold(const tg_program *p, int *i, tg_fold *f) {
  while (*i < p->ninstr) {
    const tg_instr *in = &p->instr[(*i)++];
    if (in->code != TG_I_FOLD) continue;
    *f = tg_fold_of((tg_op)in->op, (tg_dtype)in->dtype);
    return in;
  }
  return NULL;
}

/* Partial results of the long row at last are combined in pairs. */
static void finish_folds(const tg_program *p, void *const *local, int64_t blocks) {
  const tg_instr *in;
  tg_fold f;
  for (int i = 0; (in = next_fold(p, &i, &f));) tg_fold_pairs(&f, local[in->arg], tg_itemsize(f.dtype), blocks, 1);
}

/* What is folded in columns has all its lanes in memory, one behind the other: the next point combines with its own. */
static void start_lanes(const job *j, const tg_program *p, char *memory, int64_t rows) {
  const tg_instr *in;
  tg_fold f;
  for (int i = 0; (in = next_fold(p, &i, &f));) tg_fold_clear(&f, memory + j->local_at[in->arg], rows * j->lanes);
}

static void choose_lane(const job *j, const tg_program *p, char *memory, void **local, int64_t rows, int64_t lane) {
  const tg_instr *in;
  tg_fold f;
  for (int i = 0; (in = next_fold(p, &i, &f));)
    local[in->arg] = memory + j->local_at[in->arg] + (size_t)(lane * rows) * tg_itemsize(f.dtype);
}

static void finish_lanes(const job *j, const tg_program *p, void *const *local, int64_t rows) {
  const tg_instr *in;
  tg_fold f;
  for (int i = 0; (in = next_fold(p, &i, &f));) tg_fold_halves(&f, local[in->arg], j->lanes, rows);
}

static void run_columns(const job *j, const phase *p, const tg_program *program, char *memory, void **local,
                        int64_t first, int64_t rows) {
  const tg_kernel *k = j->kernel;
  tg_tile tile = {.local = local, .row = j->row, .columns = true};
  int64_t idx[TG_MAX_DIMS] = {0};
  start_lanes(j, program, memory, rows);
  for (int64_t point = 0; point < j->row; point++) {
    choose_lane(j, program, memory, local, rows, point % j->lanes);
    tg_unflatten(point, k->shape + k->nout, k->nred, idx);
    tile.offset = point * rows;
    tg_vm_run(p->points, memory + p->points_at, j->slots, idx, first, rows, &tile);
  }
  choose_lane(j, program, memory, local, rows, 0);
  finish_lanes(j, program, local, rows);
}

static void run_points(const job *j, const phase *p, const tg_program *program, char *memory, void **local,
                       int64_t first, int64_t rows) {
  if (j->kernel->reduced_first) {
    run_columns(j, p, program, memory, local, first, rows);
    return;
  }
  tg_tile tile = {.local = local, .row = j->row};
  int64_t none = 0, points = rows * j->row;
  for (tile.offset = 0; tile.offset < points; tile.offset += TG_BLOCK)
    tg_vm_run(p->points, memory + p->points_at, j->slots, &none, first * j->row + tile.offset,
              tg_min(TG_BLOCK, points - tile.offset), &tile);
  if (j->row > TG_BLOCK) finish_folds(program, local, tg_ceil_div(j->row, TG_BLOCK));
}

/* Rows [first, stop), with a worker's memory. */
static void run_rows(const job *j, char *memory, int64_t first, int64_t stop) {
  const tg_kernel *k = j->kernel;
  void **local = (void **)(void *)memory;
  int64_t none = 0;
  for (int i = 0; i < k->nlocal; i++) local[i] = memory + j->local_at[i];
  for (int i = 0; i < k->nphase; i++) {
    if (j->phases[i].rows) tg_vm_prepare(j->phases[i].rows, memory + j->phases[i].rows_at);
    if (j->phases[i].points) tg_vm_prepare(j->phases[i].points, memory + j->phases[i].points_at);
  }
  for (; first < stop; first += j->tile) {
    int64_t rows = tg_min(j->tile, stop - first);
    for (int i = 0; i < k->nphase; i++) {
      const phase *p = &j->phases[i];
      tg_tile tile = {.local = local, .row = 1};
      if (p->rows) tg_vm_run(p->rows, memory + p->rows_at, j->slots, &none, first, rows, &tile);
      if (p->points) run_points(j, p, &k->phases[i].points, memory, local, first, rows);
      if (i == 0 && p->points && !k->reduced_first && first + rows < stop) /* the rest mostly computes */
        tg_vm_prefetch(p->points, j->slots, (first + rows) * j->row, tg_min(j->tile, stop - first - rows) * j->row);
    }
  }
  for (int i = 0; i < k->nphase; i++) {
    if (j->phases[i].rows) tg_vm_finish(j->phases[i].rows);
    if (j->phases[i].points) tg_vm_finish(j->phases[i].points);
  }
}

static tg_status rows_task(void *context, int64_t task, int worker) {
  const job *j = context;
  int64_t first = task * j->per_task;
  run_rows(j, tg_workspace_of(&j->scratch, worker), first, tg_min(first + j->per_task, j->nrow));
  return TG_OK;
}

static tg_status faults_of(const job *j) {
  tg_status status = TG_OK;
  for (int i = 0; i < j->kernel->nphase && !status; i++) {
    if (j->phases[i].rows) status = tg_vm_status(j->phases[i].rows);
    if (j->phases[i].points && !status) status = tg_vm_status(j->phases[i].points);
  }
  return status;
}

void tg_rows_close(job *j) {
  if (!j) return;
  tg_workspace_free(&j->scratch);
  for (int i = 0; i < j->kernel->nphase; i++) {
    tg_vm_free(j->phases[i].rows);
    tg_vm_free(j->phases[i].points);
  }
  tg_free(j);
}

static tg_status open(const tg_kernel *k, void *const *slots, int workers, job **out) {
  size_t bytes = sizeof(job) + (size_t)k->nphase * sizeof(phase) + (size_t)k->nlocal * sizeof(size_t);
  job *j = tg_calloc(1, bytes);
  if (!j) return tg_fail_memory(bytes);
  j->kernel = k;
  j->slots = slots;
  j->nrow = tg_product(k->shape, k->nout);
  j->row = tg_product(k->shape + k->nout, k->nred);
  j->phases = (phase *)(void *)(j + 1);
  j->local_at = (size_t *)(void *)(j->phases + k->nphase);
  j->tile = tg_min(j->nrow, k->reduced_first ? TG_BLOCK : tg_max(1, TG_BLOCK / tg_max(1, j->row)));
  j->lanes = k->reduced_first && j->row >= TGK_FOLD_LANES ? TGK_FOLD_LANES : 1;
  j->each = tg_aligned((size_t)k->nlocal * sizeof(void *));
  tg_status status = compile_all(j);
  if (!status) {
    plan_locals(j);
    j->per_task = tg_task_points(j->nrow, j->tile, tg_max(1, cost_of_row(j)));
    status = tg_workspace_init(&j->scratch, workers, j->each);
  }
  if (status) tg_rows_close(j);
  else *out = j;
  return status;
}

tg_status tg_rows_run(const tg_kernel *k, void *const *slots) {
  if (!tg_product(k->shape, k->nout)) return TG_OK;
  job *j;
  tg_status status = open(k, slots, tg_pool_size(), &j);
  if (status) return status;
  status = tg_pool_run(rows_task, j, tg_ceil_div(j->nrow, j->per_task));
  if (!status) status = faults_of(j);
  tg_rows_close(j);
  return status;
}

/* ---- parts ---- */

tg_status tg_rows_open(const tg_kernel *kernel, void *const *slots, tg_rows **out) {
  return open(kernel, slots, 1, out);
}

tg_status tg_rows_run_part(tg_rows *j, int64_t first, int64_t rows) {
  run_rows(j, tg_workspace_of(&j->scratch, 0), first, first + rows);
  return faults_of(j);
}

/* Runs each kind of kernel (see run.h): maps on the block machine here, the others where they belong.
 *
 * Owns: nothing between calls. Callers: execute.c; chain.c, for parts. */
#include "exec/run.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/integers.h"
#include "base/pool.h"
#include "exec/contract.h"
#include "exec/reduce.h"
#include "exec/rows.h"
#include "exec/sequence.h"
#include "exec/sort.h"
#include "exec/tasks.h"
#include "exec/vm.h"
#include "exec/walk.h"

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
        return tg_reduce_run(k->exact, slots);
  }
  return tg_contract_run(k, slots);
}

tg_status tg_run_kernel(const tg_kernel *kernel, void *const *slots) {
  switch (kernel->kind) {
  case TG_KERNEL_MAP: return run_map(kernel, slots);
  case TG_KERNEL_ROWS: return tg_rows_run(kernel, slots);
  case TG_KERNEL_REDUCE: return tg_reduce_run(kernel, slots);
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

/* Chains (see chain.h): a task is a slice, which goes through all kernels on one worker.
 *
 * A worker has each kernel prepared to be run in parts, a table of the slots, and memory for the local ones. Those hold
 * only the slice's rows; so that kernels need not know, the table says where the first row of all would be.
 * Owns: all this while the chain runs. Caller: execute.c. */
#include "exec/chain.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "exec/run.h"
#include "sched/chain.h"

typedef struct worker {
  void **slots; /* NULL: it has done nothing yet */
  char *memory;
  tg_part *parts;  /* of each kernel */
  double *seconds; /* each took */
} worker;

typedef struct job {
  const tg_schedule *schedule;
  const tg_chain *chain;
  void *const *slots;
  bool timed;
  worker workers[];
} job;

static tg_status prepare(const job *j, worker *w) {
  const tg_chain *c = j->chain;
  size_t bytes = (size_t)j->schedule->nslot * sizeof *w->slots;
  if (!(w->slots = tg_malloc(bytes))) return tg_fail_memory(bytes);
  memcpy(w->slots, j->slots, bytes);
  if (!(w->memory = tg_block_alloc(c->bytes))) return tg_fail_memory(c->bytes);
  bytes = (size_t)c->count * (sizeof *w->parts + sizeof *w->seconds);
  if (!(w->parts = tg_calloc(1, bytes))) return tg_fail_memory(bytes);
  w->seconds = (double *)(void *)(w->parts + c->count);
  tg_status status = TG_OK;
  for (int i = 0; i < c->count && !status; i++) {
    const tg_kernel *k = &j->schedule->kernels[c->first + i];
    status = tg_part_open(&w->parts[i], k, w->slots, tg_kernel_rows(k) / c->units * c->slice);
  }
  return status;
}

static void clear(const job *j, worker *w) {
  for (int i = 0; w->parts && i < j->chain->count; i++) tg_part_close(&w->parts[i]);
  tg_free(w->parts);
  tg_block_free(w->memory, j->chain->bytes);
  tg_free(w->slots);
}

/* Puts the local slots where their unit `first` is the first one in the worker's memory. */
static void place_slots(const job *j, const worker *w, int64_t first) {
  const tg_schedule *s = j->schedule;
  for (int i = 0; i < s->nslot; i++) {
    const tg_slot *slot = &s->slots[i];
    if (!slot->local || slot->writer < j->chain->first || slot->writer >= j->chain->first + j->chain->count) continue;
    uintptr_t before = (uintptr_t)first * (slot->bytes / (size_t)j->chain->units);
    w->slots[i] = (void *)((uintptr_t)(w->memory + slot->at) - before);
  }
}

static tg_status slice_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  const tg_chain *c = j->chain;
  tg_status status = w->slots ? TG_OK : prepare(j, w);
  int64_t first, count;
  tg_chain_slice(c, task, &first, &count);
  if (!status) place_slots(j, w, first);
  for (int i = 0; i < c->count && !status; i++) {
    double start = j->timed ? tg_clock() : 0;
    int64_t rows = tg_kernel_rows(w->parts[i].kernel) / c->units;
    status = tg_part_run(&w->parts[i], first * rows, count * rows);
    if (j->timed) w->seconds[i] += tg_clock() - start;
  }
  return status;
}

/* All workers' time in each kernel, scaled to the time that passed. */
static void share_seconds(const job *j, double start, double passed, tg_timing *timing) {
  double all = 0;
  for (int i = 0; i < j->chain->count; i++) {
    timing[i].seconds = 0;
    for (int w = 0; w < tg_pool_size(); w++) timing[i].seconds += j->workers[w].slots ? j->workers[w].seconds[i] : 0;
    all += timing[i].seconds;
  }
  for (int i = 0; i < j->chain->count; i++) {
    timing[i].start = start;
    timing[i].seconds *= all > 0 ? passed / all : 0;
    start += timing[i].seconds;
  }
}

tg_status tg_chain_run(const tg_schedule *s, const tg_chain *c, void *const *slots, tg_timing *timing) {
  size_t bytes = sizeof(job) + (size_t)tg_pool_size() * sizeof(worker);
  double start = timing ? tg_clock() : 0;
  job *j = tg_calloc(1, bytes);
  if (!j) return tg_fail_memory(bytes);
  j->schedule = s;
  j->chain = c;
  j->slots = slots;
  j->timed = timing != NULL;
  tg_status status = tg_pool_run(slice_task, j, tg_chain_slices(c));
  if (timing && !status) share_seconds(j, start, tg_clock() - start, timing);
  for (int i = 0; i < tg_pool_size(); i++) clear(j, &j->workers[i]);
  tg_free(j);
  return status;
}

/* Runs the kernels of a schedule in order (see execute.h): buffers are made when they are written and let go
 * after they were last read. Caller: py/module.c. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "exec/execute.h"

#include <time.h>

#include "base/alloc.h"
#include "exec/run.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tg_status run_one(tg_schedule *s, int kernel, void **pointers) {
  tg_slot *out = &s->slots[s->kernels[kernel].out.slot];
  tg_status status = tg_buffer_new(out->bytes, &out->buffer);
  if (status) return status;
  pointers[s->kernels[kernel].out.slot] = out->buffer->data;
  return tg_run_kernel(&s->kernels[kernel], pointers);
}

/* Slots ordered by the kernel that reads them last, so that each is let go right after it:
 * `first[k]` chains the slots whose last reader is k through `next`. */
static void chain_last_reads(const tg_schedule *s, int *first, int *next) {
  for (int k = 0; k < s->nkernel; k++) first[k] = -1;
  for (int i = 0; i < s->nslot; i++) {
    const tg_slot *slot = &s->slots[i];
    if (slot->writer < 0 || slot->keep) continue;
    next[i] = first[slot->last];
    first[slot->last] = i;
  }
}

tg_status tg_execute(tg_schedule *s, tg_trace_fn trace, void *context) {
  tg_status status = TG_OK;
  void **pointers = tg_calloc((size_t)s->nslot + 1, sizeof *pointers);
  int *chains = tg_malloc(((size_t)s->nslot + (size_t)s->nkernel + 1) * sizeof *chains);
  if (!pointers || !chains) {
    status = tg_fail_memory(((size_t)s->nslot + 1) * sizeof *pointers);
    goto done;
  }
  int *first = chains, *next = chains + s->nkernel;
  chain_last_reads(s, first, next);
  for (int i = 0; i < s->nslot; i++)
    if (s->slots[i].buffer) pointers[i] = s->slots[i].buffer->data;
  for (int k = 0; k < s->nkernel; k++) {
    double start = trace ? now() : 0;
    if ((status = run_one(s, k, pointers))) goto done;
    if (trace) trace(context, s, k, now() - start);
    for (int i = first[k]; i >= 0; i = next[i]) { /* only this schedule knows these buffers: no lock needed */
      tg_buffer_unref(s->slots[i].buffer);
      s->slots[i].buffer = NULL;
    }
  }
done:
  tg_free(pointers);
  tg_free(chains);
  return status;
}

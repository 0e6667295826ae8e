/* Runs the kernels of a schedule in order (see execute.h): buffers are made when they are written and let go
 * after they were last read. Caller: py/trace.c. */
#include "exec/execute.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "exec/chain.h"
#include "exec/run.h"

/* The slots of each kernel, chained through `next` from `first[kernel]`: those it writes, and those to be let go after
 * it, being read by it last. */
typedef struct links {
  int *first_write, *next_write, *first_done, *next_done;
} links;

static void link_slots(const tg_schedule *s, links *c) {
  for (int k = 0; k < s->nkernel; k++) c->first_write[k] = c->first_done[k] = -1;
  for (int i = 0; i < s->nslot; i++) {
    const tg_slot *slot = &s->slots[i];
    if (slot->writer < 0) continue;
    c->next_write[i] = c->first_write[slot->writer];
    c->first_write[slot->writer] = i;
    if (slot->keep) continue;
    c->next_done[i] = c->first_done[slot->last];
    c->first_done[slot->last] = i;
  }
}

/* Makes the buffers that a kernel writes. */
static tg_status make_buffers(tg_schedule *s, int kernel, const links *c, void **pointers) {
  for (int i = c->first_write[kernel]; i >= 0; i = c->next_write[i]) {
    if (s->slots[i].local) continue;
    tg_status status = tg_buffer_new(s->slots[i].bytes, &s->slots[i].buffer);
    if (status) return status;
    pointers[i] = s->slots[i].buffer->data;
  }
  return TG_OK;
}

/* Runs kernels [first, stop): one, or those of a chain. */
static tg_status run_kernels(tg_schedule *s, int first, int stop, const tg_chain *chain, const links *c,
                             void **pointers, tg_timing *timing) {
  double start = timing ? tg_clock() : 0;
  tg_status status = TG_OK;
  for (int k = first; k < stop && !status; k++) status = make_buffers(s, k, c, pointers);
  if (status) return status;
  int64_t bytes = timing ? tg_alloc_get_stats().block_bytes : 0;
  for (int k = first; timing && k < stop; k++) timing[k - first] = (tg_timing){.start = start, .bytes = bytes};
  if (chain) {
    status = tg_chain_run(s, chain, pointers, timing);
  } else {
    status = tg_run_kernel(&s->kernels[first], pointers);
    if (timing) timing->seconds = tg_clock() - start;
  }
  return tg_interrupted() ? tg_interrupt_status() : status; /* whatever came of loops that ended early */
}

/* Lets go of what a kernel was the last to read. Only this schedule knows these buffers: no lock is needed. */
static void drop_buffers(tg_schedule *s, int kernel, const links *c) {
  for (int i = c->first_done[kernel]; i >= 0; i = c->next_done[i]) {
    tg_buffer_unref(s->slots[i].buffer);
    s->slots[i].buffer = NULL;
  }
}

tg_status tg_execute(tg_schedule *s, tg_timing *timing) {
  tg_status status = TG_OK;
  void **pointers = tg_calloc((size_t)s->nslot + 1, sizeof *pointers);
  int *memory = tg_malloc(2 * ((size_t)s->nslot + (size_t)s->nkernel + 1) * sizeof *memory);
  if (!pointers || !memory) {
    status = tg_fail_memory(((size_t)s->nslot + 1) * sizeof *pointers);
    goto done;
  }
  links c = {memory, memory + s->nkernel, memory + s->nkernel + s->nslot, memory + 2 * s->nkernel + s->nslot};
  link_slots(s, &c);
  for (int i = 0; i < s->nslot; i++)
    if (s->slots[i].buffer) pointers[i] = s->slots[i].buffer->data;
  for (int k = 0, stop, chain = 0; k < s->nkernel; k = stop) {
    const tg_chain *here = chain < s->nchain && s->chains[chain].first == k ? &s->chains[chain++] : NULL;
    stop = k + (here ? here->count : 1);
    if ((status = run_kernels(s, k, stop, here, &c, pointers, timing ? timing + k : NULL))) goto done;
    for (int i = k; i < stop; i++) drop_buffers(s, i, &c);
  }
done:
  tg_free(pointers);
  tg_free(memory);
  return status;
}

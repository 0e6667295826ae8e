/* Runs the kernels of a schedule in order (see execute.h): buffers are made when they are written and let go
 * after they were last read. Caller: py/realize.c. */
#include "exec/execute.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "exec/run.h"

/* The slots of each kernel, chained through `next` from `first[kernel]`: those it writes, and those to be let go after
 * it, being read by it last. */
typedef struct chains {
  int *first_write, *next_write, *first_done, *next_done;
} chains;

static void chain_slots(const tg_schedule *s, chains *c) {
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

static tg_status run_one(tg_schedule *s, int kernel, const chains *c, void **pointers) {
  for (int i = c->first_write[kernel]; i >= 0; i = c->next_write[i]) {
    tg_status status = tg_buffer_new(s->slots[i].bytes, &s->slots[i].buffer);
    if (status) return status;
    pointers[i] = s->slots[i].buffer->data;
  }
  tg_status status = tg_run_kernel(&s->kernels[kernel], pointers);
  return tg_interrupted() ? tg_interrupt_status() : status; /* whatever came of loops that ended early */
}

tg_status tg_execute(tg_schedule *s, tg_trace_fn trace, void *context) {
  tg_status status = TG_OK;
  void **pointers = tg_calloc((size_t)s->nslot + 1, sizeof *pointers);
  int *links = tg_malloc(2 * ((size_t)s->nslot + (size_t)s->nkernel + 1) * sizeof *links);
  if (!pointers || !links) {
    status = tg_fail_memory(((size_t)s->nslot + 1) * sizeof *pointers);
    goto done;
  }
  chains c = {links, links + s->nkernel, links + s->nkernel + s->nslot, links + 2 * s->nkernel + s->nslot};
  chain_slots(s, &c);
  for (int i = 0; i < s->nslot; i++)
    if (s->slots[i].buffer) pointers[i] = s->slots[i].buffer->data;
  for (int k = 0; k < s->nkernel; k++) {
    double start = trace ? tg_clock() : 0;
    if ((status = run_one(s, k, &c, pointers))) goto done;
    if (trace) trace(context, s, k, tg_clock() - start);
    for (int i = c.first_done[k]; i >= 0;
         i = c.next_done[i]) { /* only this schedule knows these buffers: no lock needed */
      tg_buffer_unref(s->slots[i].buffer);
      s->slots[i].buffer = NULL;
    }
  }
done:
  tg_free(pointers);
  tg_free(links);
  return status;
}

/* Building schedules (collect, group, lower) and committing their results (see schedule.h).
 * Caller: py/realize.c, which holds the locks. */
#include "sched/schedule.h"

#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "sched/builder.h"
#include "sched/chain.h"

#define STREAM_BYTES ((size_t)8 << 20) /* results from which on a later reader would hardly find them in a cache */

/* ---- building ---- */

/* Slots for what kernels write and for the realized nodes they read. */
static tg_status assign_slots(tg_builder *b, tg_schedule *s) {
  int64_t nslot = 0, nkernel = b->ngroup, nalias = 0;
  for (int64_t i = 0; i < b->nitem; i++) {
    const item *it = &b->items[i];
    if (!it->live) continue;
    nslot += it->output || tg_is_realized(it->node);
    nalias += it->node->kind == TG_NODE_BITCAST;
  }
  if (nslot > INT32_MAX - 1) return tg_fail(TG_ERR_MEMORY, "too many buffers in one graph");
  s->slots = tg_calloc((size_t)nslot + 1, sizeof *s->slots);
  s->kernels = tg_calloc((size_t)nkernel + 1, sizeof *s->kernels);
  s->aliases = tg_calloc((size_t)nalias + 1, sizeof *s->aliases);
  if (!s->slots || !s->kernels || !s->aliases)
    return tg_fail_memory((size_t)(nslot + nkernel + nalias) * sizeof(tg_slot));
  for (int64_t i = 0; i < b->nitem; i++) {
    item *it = &b->items[i];
    if (!it->live || !(it->output || tg_is_realized(it->node))) continue;
    tg_slot *slot = &s->slots[s->nslot];
    it->slot = s->nslot++;
    *slot = (tg_slot){.node = it->node, .buffer = it->node->buffer, .writer = -1, .last = -1};
    tg_node_ref(it->node);
    if (slot->buffer) tg_buffer_ref(slot->buffer);
    tg_status status = tg_node_bytes(it->node, &slot->bytes);
    if (status) return status;
  }
  return TG_OK;
}

/* Kernel `number` reads or writes these slots, so they are needed until then. */
static void note_uses(tg_schedule *s, const tg_kernel *k, int number) {
  const tg_program *p;
  for (int j = 0; (p = tg_kernel_program(k, j)); j++)
    for (int i = 0; i < p->ninstr; i++) {
      tg_icode code = (tg_icode)p->instr[i].code;
      if (code != TG_I_LOAD && code != TG_I_GATHER && code != TG_I_STORE) continue;
      tg_slot *slot = &s->slots[p->access[p->instr[i].arg].slot];
      slot->last = number;
      if (code == TG_I_STORE) slot->writer = number;
    }
  if (k->kind == TG_KERNEL_CONTRACT) s->slots[k->a.slot].last = s->slots[k->b.slot].last = number;
  s->slots[k->out.slot].writer = s->slots[k->out.slot].last = number;
}

/* Large results that no kernel of this schedule reads leave the cache to others. */
static void choose_streams(tg_schedule *s) {
  for (int k = 0; k < s->nkernel; k++) {
    const tg_program *p;
    for (int j = 0; (p = tg_kernel_program(&s->kernels[k], j)); j++)
      for (int i = 0; i < p->ninstr; i++) {
        if (p->instr[i].code != TG_I_STORE) continue;
        tg_access *a = &p->access[p->instr[i].arg];
        a->streamed = s->slots[a->slot].bytes >= STREAM_BYTES && s->slots[a->slot].last == k;
      }
  }
}

static tg_status lower_all(tg_builder *b, tg_schedule *s) {
  for (int64_t g = 0; g < b->ngroup; g++) {
    if (tg_interrupted()) return tg_interrupt_status();
    tg_status status = tg_lower(b, &b->groups[b->order[g]], &s->kernels[s->nkernel]);
    if (status) return status;
    note_uses(s, &s->kernels[s->nkernel], s->nkernel);
    s->nkernel++;
  }
  choose_streams(s);
  return TG_OK;
}

/* Which stored values anyone can still ask for: those referenced from outside this graph, and those
 * that nodes so referenced, but not stored themselves, are computed from. */
static void find_kept(tg_builder *b, tg_schedule *s) {
  for (int64_t i = b->nitem - 1; i >= 0; i--) {
    item *it = &b->items[i];
    bool stored = it->live && (it->output || tg_is_realized(it->node));
    int64_t own = stored ? 1 : 0; /* the slot's reference */
    if (it->node->refs - it->raw_refs - own > 0) it->alive = true;
    if (stored && !tg_is_realized(it->node)) s->slots[it->slot].keep = it->alive;
    if (it->alive && !stored)
      for (int j = 0; j < it->node->nsrc; j++) b->items[it->node->src[j].node->mark].alive = true;
    if (it->live && it->node->kind == TG_NODE_BITCAST && it->alive) {
      int64_t slot = b->items[tg_storage_of(b, i)].slot;
      s->aliases[s->nalias++] = (struct tg_alias){it->node, (int)slot};
      tg_node_ref(it->node);
    }
  }
  for (int i = 0; i < s->nalias; i++) s->slots[s->aliases[i].slot].keep = true;
}

/* What effective edges pass by, such as the product of a contraction, belongs to the kernel of its readers. */
static tg_status note_members(const tg_builder *b, tg_schedule *s) {
  int *place = tg_malloc((size_t)b->ngroup * sizeof *place); /* of a group among the kernels */
  s->members = tg_calloc((size_t)b->nitem, sizeof *s->members);
  if (!place || !s->members) {
    tg_free(place);
    return tg_fail_memory((size_t)b->nitem * sizeof *s->members);
  }
  for (int64_t g = 0; g < b->ngroup; g++) place[b->order[g]] = (int)g;
  for (int64_t i = b->nitem - 1; i >= 0; i--) {
    const item *it = &b->items[i];
    tg_member *m = &s->members[i];
    bool passed = !it->live && m->node; /* a reader has been here */
    *m = (tg_member){.node = it->node,
                     .slot = (int)it->slot,
                     .kernel = passed           ? m->kernel
                               : it->group >= 0 ? place[it->group]
                                                : -1,
                     .stored = it->output,
                     .target = it->target,
                     .required = it->must_store};
    tg_node_ref(it->node);
    for (int j = 0; j < it->node->nsrc; j++) {
      tg_member *src = &s->members[m->src[j] = it->node->src[j].node->mark];
      if (!src->node) *src = (tg_member){.node = it->node->src[j].node, .kernel = m->kernel};
    }
  }
  s->nmember = b->nitem;
  tg_free(place);
  return TG_OK;
}

tg_status tg_schedule_build(tg_node *const *targets, int ntarget, bool fused, bool members, tg_parts_fn has_parts,
                            tg_schedule **out) {
  tg_builder b = {.fused = fused};
  tg_status status;
  tg_schedule *s = tg_calloc(1, sizeof *s);
  if (!s) return tg_fail_memory(sizeof *s);
  if ((status = tg_collect(&b, targets, ntarget)) || (status = tg_group(&b)) || (status = assign_slots(&b, s)) ||
      (status = lower_all(&b, s)))
    goto done;
  find_kept(&b, s);
  if (fused) status = tg_find_chains(s, has_parts);
  if (!status && members) status = note_members(&b, s);
done:
  tg_builder_clear(&b);
  if (status) tg_schedule_free(s);
  else *out = s;
  return status;
}

/* ---- after running ---- */

/* A signal's handler may have computed the node while this schedule ran. */
static void commit(tg_node *n, tg_buffer *buffer) {
  if (!tg_is_realized(n)) tg_node_realize(n, buffer);
}

void tg_schedule_commit(tg_schedule *s) {
  for (int i = 0; i < s->nalias; i++) commit(s->aliases[i].node, s->slots[s->aliases[i].slot].buffer);
  for (int i = 0; i < s->nslot; i++)
    if (s->slots[i].writer >= 0 && s->slots[i].keep) commit(s->slots[i].node, s->slots[i].buffer);
}

void tg_schedule_free(tg_schedule *s) {
  if (!s) return;
  for (int i = 0; i < s->nkernel; i++) tg_kernel_clear(&s->kernels[i]);
  for (int i = 0; i < s->nslot; i++) {
    tg_buffer_unref(s->slots[i].buffer);
    tg_node_unref(s->slots[i].node);
  }
  for (int i = 0; i < s->nalias; i++) tg_node_unref(s->aliases[i].node);
  for (int64_t i = 0; i < s->nmember; i++) tg_node_unref(s->members[i].node);
  tg_free(s->members);
  tg_free(s->chains);
  tg_free(s->aliases);
  tg_free(s->kernels);
  tg_free(s->slots);
  tg_free(s);
}

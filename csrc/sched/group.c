/* Second step of scheduling (see builder.h): what is stored, and where everything else is computed.
 *
 * Items are placed readers first. A node whose readers all sit in one kernel and see it the same way is
 * computed there, once. Otherwise an estimate decides between computing it for every reader and
 * storing it:
 *
 *     again:  cost * points                           points = elements that all readers compute
 *     store:  (cost + STORE) * size + LOAD * points
 *
 * A kernel contains at most one reduction, which its epilogue reads in plain order; so a node
 * that carries an unfinished reduction is never computed twice.
 * Owns: nothing. Caller: schedule.c. */
#include "base/alloc.h"
#include "sched/builder.h"

/* Costs in simple vector operations on an element in L1. A load or store passes main memory. */
#define LOAD_COST 6.0f
#define STORE_COST 6.0f
#define SMALL_COST 1.0f      /* a load that stays in cache: much smaller than what reads it */
#define LAUNCH_COST 16000.0f /* of one more kernel */
#define MAX_FUSED 256        /* instructions in a kernel, which also bounds the depth of lowering */
#define MAX_AGAIN 64         /* instructions that may be computed more than once */

static float op_cost(const tg_node *n) {
  if (n->kind == TG_NODE_RANDOM) return 16;
  if (n->kind == TG_NODE_GATHER) return LOAD_COST + 4;
  return n->kind == TG_NODE_ELEMENTWISE ? (float)tg_ops[n->op].cost : 1;
}

static bool is_computed(const tg_node *n) {
  return n->kind == TG_NODE_ELEMENTWISE || n->kind == TG_NODE_CAST || n->kind == TG_NODE_RANDOM ||
         n->kind == TG_NODE_GATHER;
}

/* Sources first: what one element costs if all elementwise work is done on the way. What is much smaller than
 * its reader or waits for a reduction counts as loaded: it is likely to be stored. */
static void estimate_costs(tg_builder *b) {
  for (int64_t i = 0; i < b->nitem; i++) {
    item *it = &b->items[i];
    if (!it->live) continue;
    it->cost = op_cost(it->node);
    it->weight = 1;
    it->carries_reduce = it->node->kind == TG_NODE_REDUCE;
    if (!is_computed(it->node)) continue;
    for (int64_t e = it->first_edge; e >= 0 && e < it->first_edge + it->nedge; e++) {
      const item *src = &b->items[b->edges[e].src];
      bool small = src->node->shape->size < it->node->shape->size / 8;
      if (is_computed(src->node)) it->weight += src->weight;
      bool carried = src->carries_reduce && !src->target && b->edges[src->first_reader].next < 0;
      if (is_computed(src->node) && !carried && !small) it->cost += src->cost;
      else if (src->node->kind != TG_NODE_CONST) it->cost += small ? SMALL_COST : LOAD_COST;
      if (it->weight > 2 * MAX_FUSED) it->weight = 2 * MAX_FUSED;
      if (it->cost > 1e6f) it->cost = 1e6f;
      if (carried && tg_view_is_contiguous(b->edges[e].view)) it->carries_reduce = true;
    }
  }
}

/* Where the readers of an item sit. */
typedef struct readers {
  bool one_place; /* all in one kernel, at one side of its reduction, through equal views */
  int64_t kernel;
  item_place place;
  tg_view *view; /* from that kernel's domain, owned */
  double points;
} readers;

static item_place side_of(const item *reader) {
  if (tg_has_body(reader->node)) return PLACE_BODY;
  return reader->place == PLACE_STORED ? PLACE_EPILOGUE : (item_place)reader->place;
}

static tg_status survey(const tg_builder *b, const item *it, readers *out) {
  tg_status status = TG_OK;
  readers r = {.one_place = true, .kernel = -1};
  int64_t last = -1;
  for (int64_t e = it->first_reader; e >= 0; e = b->edges[e].next) {
    const item *reader = &b->items[b->edges[e].reader];
    tg_view *edge = b->edges[e].view, *view = NULL;
    bool within = reader->view && !tg_has_body(reader->node); /* computed along with others, elementwise */
    const item_edge *before = last >= 0 ? &b->edges[last] : NULL;
    last = e;
    if (before && before->reader == b->edges[e].reader && tg_view_equal(before->view, edge)) continue; /* x * x */
    r.points += within ? (double)reader->view->size : reader->kernel < 0 ? (double)reader->points : (double)edge->size;
    if (reader->kernel < 0) r.one_place = false;
    if (!r.one_place) continue;
    item_place side = side_of(reader);
    if (r.kernel >= 0 && (r.kernel != reader->kernel || r.place != side)) {
      r.one_place = false;
      continue;
    }
    r.kernel = reader->kernel;
    r.place = side;
    if (within) {
      if ((status = tg_view_compose(reader->view, edge, &view))) goto fail;
    } else {
      tg_view_ref(view = edge);
    }
    if (r.view && !tg_view_equal(r.view, view)) r.one_place = false;
    tg_view_unref(r.view);
    r.view = view;
  }
  if (r.one_place) r.points = (double)r.view->size;
  *out = r;
  return TG_OK;
fail:
  tg_view_unref(r.view);
  return status;
}

static void store(tg_builder *b, int64_t i) {
  item *it = &b->items[i];
  it->place = PLACE_STORED;
  it->kernel = i;
  it->weight = 1;
  it->fused = it->node->kind == TG_NODE_REDUCE ? i : -1;
  if (it->reduction >= 0 && b->reductions[it->reduction].contraction)
    for (int64_t e = it->first_edge; e < it->first_edge + it->nedge; e++)
      b->items[tg_storage_of(b, b->edges[e].src)].must_store = true;
}

static void fuse(tg_builder *b, int64_t i, readers *r) {
  item *it = &b->items[i];
  it->place = (uint8_t)r->place;
  it->kernel = r->kernel;
  it->view = r->view;
  r->view = NULL;
  it->points = (float)r->points;
  b->items[r->kernel].weight++;
}

/* A reduce becomes the reduction of the one kernel whose epilogue reads it in plain order. */
static bool reduce_fits(const tg_builder *b, const item *it, const readers *r) {
  const item *root = r->kernel >= 0 ? &b->items[r->kernel] : NULL;
  return r->one_place && root && r->place == PLACE_EPILOGUE && root->fused < 0 && root->weight < MAX_FUSED &&
         tg_view_is_contiguous(r->view) && r->view->size == it->node->shape->size;
}

static bool should_store(const tg_builder *b, const item *it, const readers *r) {
  double size = (double)it->node->shape->size;
  bool fits = r->one_place && b->items[r->kernel].weight < MAX_FUSED && !r->view->below;
  if (fits && r->points <= size) return false;
  if (!fits && (it->carries_reduce || it->weight > MAX_AGAIN || (r->view && r->view->below))) return true;
  return it->cost * r->points > (it->cost + STORE_COST) * size + LOAD_COST * r->points + LAUNCH_COST;
}

static tg_status place(tg_builder *b, int64_t i) {
  item *it = &b->items[i];
  tg_node *n = it->node;
  tg_status status;
  readers r;
  if (n->kind == TG_NODE_BITCAST) {
    b->items[tg_storage_of(b, i)].must_store = true;
    return TG_OK;
  }
  if (tg_is_realized(n)) return TG_OK;
  if (n->kind == TG_NODE_GATHER) b->items[tg_storage_of(b, b->edges[it->first_edge].src)].must_store = true;
  if (it->target || it->must_store || n->kind == TG_NODE_COPY || n->kind == TG_NODE_SCAN ||
      n->kind == TG_NODE_SCATTER) {
    store(b, i);
    return TG_OK;
  }
  if (n->kind == TG_NODE_CONST || n->kind == TG_NODE_ARANGE) return TG_OK; /* as cheap as a load everywhere */
  if ((status = survey(b, it, &r))) return status;
  if (n->kind == TG_NODE_REDUCE) {
    if (reduce_fits(b, it, &r)) {
      store(b, i); /* marks the factors of a contraction */
      fuse(b, i, &r);
      b->items[it->kernel].fused = i;
    } else {
      store(b, i);
    }
  } else if (should_store(b, it, &r)) {
    store(b, i);
  } else if (r.one_place && b->items[r.kernel].weight < MAX_FUSED && !r.view->below) {
    fuse(b, i, &r);
  } else {
    it->points = (float)r.points; /* computed again by every reader */
  }
  tg_view_unref(r.view);
  return TG_OK;
}

tg_status tg_group(tg_builder *b) {
  estimate_costs(b);
  for (int64_t i = b->nitem - 1; i >= 0; i--) {
    if (!b->items[i].live) continue;
    tg_status status = place(b, i);
    if (status) return status;
  }
  return TG_OK;
}

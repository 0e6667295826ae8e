/* Second step of scheduling (see builder.h): what is stored, and in which kernel everything is computed.
 *
 * Items are placed readers first. An item whose readers all sit in one group and see it the same way joins
 * that group and is computed there, once. Otherwise an estimate decides between computing it for every reader and
 * storing it:
 *
 *     again:  cost * points                           points = elements that all readers compute
 *     store:  (cost + STORE) * size + LOAD * points
 *
 * What is stored becomes the root of a group, or a further output of one: of a group that reads it, or of one that has
 * the same domain and reads the same source, unless that group needs one that reads the item.
 *
 * A group's domain is first the root's shape. A reduce that the group reads in plain order makes its own domain
 * that of the group ("over"); one whose result is spread over the dims that it reduces makes these the group's rows
 * ("along"); further ones along the same rows follow:
 *
 *     over:   root[i] = f(sum_r x[i, r])             along:  root[i, r] = f(x[i, r], sum_r x[i, r])
 *
 * Without fusion each item is the root of a group of its own.
 *
 * Owns: nothing. Caller: schedule.c. */
#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "sched/builder.h"

/* Costs in simple vector operations on an element in L1. A load or store passes main memory. */
#define LOAD_COST 6.0f
#define STORE_COST 6.0f
#define SMALL_COST 1.0f      /* a load that stays in cache: much smaller than what reads it */
#define LAUNCH_COST 16000.0f /* of one more kernel */
#define MAX_FUSED 256        /* instructions in a kernel, which also bounds the depth of lowering */
#define MAX_AGAIN 64         /* instructions that may be computed more than once */
#define MAX_ROW 32768        /* points of a row: a few such registers fit L2 */
#define MAX_LOOK 24          /* readers of an item, ancestors, and their readers looked at for one to store it */

/* ---- estimates ---- */

static float op_cost(const tg_node *n) {
  if (n->kind == TG_NODE_RANDOM) return 16;
  if (n->kind == TG_NODE_GATHER) return LOAD_COST + 4;
  return n->kind == TG_NODE_ELEMENTWISE ? (float)tg_ops[n->op].cost : 1;
}

static bool is_computed(const tg_node *n) {
  return n->kind == TG_NODE_ELEMENTWISE || n->kind == TG_NODE_CAST || n->kind == TG_NODE_RANDOM ||
         n->kind == TG_NODE_GATHER;
}

static bool is_plain_reduce(const tg_builder *b, const item *it) {
  return it->reduction >= 0 && !b->reductions[it->reduction].contraction && !b->reductions[it->reduction].merged;
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
    it->carries_contraction = it->reduction >= 0 && b->reductions[it->reduction].contraction;
    it->above_reduce = it->reduction >= 0 && !it->carries_contraction;
    if (is_plain_reduce(b, it)) it->carried = i;
    if (it->node->kind == TG_NODE_COPY) it->above_reduce = b->items[b->edges[it->first_edge].src].above_reduce;
    if (!is_computed(it->node)) continue;
    for (int64_t e = it->first_edge; e >= 0 && e < it->first_edge + it->nedge; e++) {
      const item *src = &b->items[b->edges[e].src];
      bool small = src->node->shape->size < it->node->shape->size / 8;
      bool plain = src->node->shape->size == it->node->shape->size && tg_view_is_contiguous(b->edges[e].view);
      if (is_computed(src->node)) it->weight += src->weight;
      it->above_reduce |= src->above_reduce;
      bool carried = src->carries_reduce && !src->target && b->edges[src->first_reader].next < 0;
      if (is_computed(src->node) && !carried && !small) it->cost += src->cost;
      else if (src->node->kind != TG_NODE_CONST) it->cost += small ? SMALL_COST : LOAD_COST;
      if (it->weight > 2 * MAX_FUSED) it->weight = 2 * MAX_FUSED;
      if (it->cost > 1e6f) it->cost = 1e6f;
      it->carries_reduce |= carried && plain;
      it->carries_contraction |= carried && plain && src->carries_contraction;
      if (plain && src->carried >= 0) it->carried = src->carried;
    }
  }
}

/* ---- groups ---- */

static void add_member(tg_builder *b, int64_t g, int64_t i, tg_view *view) { /* takes over the reference on view */
  item *it = &b->items[i];
  it->group = g;
  it->view = view;
  it->next_member = b->groups[g].first_member;
  b->groups[g].first_member = i;
  b->groups[g].weight++;
  for (int64_t e = it->first_edge; e >= 0 && e < it->first_edge + it->nedge; e++)
    b->items[b->edges[e].src].placed_reader = e;
}

/* Positions of a reduce's elements from its whole domain: those of the out dims. */
static tg_status spread_of(const reduction *r, tg_view **out) {
  int64_t shape[TG_MAX_DIMS];
  tg_view *kept;
  for (int i = 0; i < r->nout + r->nred; i++) shape[i] = i < r->nout ? r->shape[i] : 1;
  tg_status status = tg_view_contiguous(r->nout + r->nred, shape, &kept);
  if (status) return status;
  status = tg_view_expand(kept, r->nout + r->nred, r->shape, out);
  tg_view_unref(kept);
  return status;
}

/* Long rows must lie densely to be read one by one; short ones are read side by side. */
static bool fits_cache(const tg_builder *b, const reduction *r) {
  const tg_node *n = b->items[r->item].node;
  int64_t row = tg_product(r->shape + r->nout, r->nred);
  if (r->contraction || row < 1 || row > MAX_ROW) return false;
  if (row < TG_SHORT_ROW) return true;
  if (r->merged) return false;
  int last = n->shape->ndim - 1;
  const tg_view *full = n->src[0].view;
  while (last > 0 && full->shape[last] == 1) last--;
  return n->axes >> last & 1;
}

static tg_status new_group(tg_builder *b, int64_t root, tg_view *domain) { /* takes over the reference */
  tg_status status = tg_grow(&b->groups, b->ngroup, &b->cap_group, sizeof *b->groups);
  if (status) {
    tg_view_unref(domain);
    return status;
  }
  b->groups[b->ngroup++] = (group){
      .root = root, .first_member = -1, .first_need = -1, .domain = domain, .nout = domain->ndim, .noutput = 1};
  for (int i = 0; i < domain->ndim; i++) b->groups[b->ngroup - 1].order[i] = i;
  b->items[root].output = true;
  return TG_OK;
}

/* ---- how a group's domain takes up a reduce ---- */

/* Finds the group's dim that is the i-th of the spread view's: of its size and, seen through `view`, its stride. */
static bool match_dims(const tg_view *view, const tg_view *spread, int64_t *order) {
  bool used[TG_MAX_DIMS] = {false};
  for (int i = 0; i < spread->ndim; i++) {
    int d = 0;
    while (d < view->ndim && (used[d] || view->shape[d] != spread->shape[i] ||
                              (view->shape[d] != 1 && view->stride[d] != spread->stride[i])))
      d++;
    if (d == view->ndim) return false;
    used[order[i] = d] = true;
  }
  return true;
}

/* Every member's view, and *own, seen from another domain: through `through`, or with permuted dims. */
static tg_status change_domain(tg_builder *b, group *g, tg_view *domain, int nout, tg_view *through,
                               const int64_t *order, tg_view **own) {
  tg_status status = TG_OK;
  for (int64_t m = g->first_member;; m = b->items[m].next_member) {
    tg_view **view = m >= 0 ? &b->items[m].view : own, *changed;
    status = through ? tg_view_compose(through, *view, &changed)
                     : tg_view_permute(*view, domain->ndim, order, &changed);
    if (status) return status;
    tg_view_unref(*view);
    *view = changed;
    if (m < 0) break;
  }
  tg_view_ref(domain);
  tg_view_unref(g->domain);
  g->domain = domain;
  g->nout = nout;
  return TG_OK;
}

/* Does the group store its root cropped? What is seen from there has the crop's bounds, of which reductions know
 * nothing. */
static bool is_cropped(const tg_builder *b, const group *g) {
  const tg_view *root = b->items[g->root].view; /* NULL if it is a reduce that is being placed */
  return root && root->nbound;
}

/* Can the reduce run along the group's rows, its result being what *own sees from the group's domain? A group that has
 * no rows yet gets them, its dims reordered. */
static tg_status align_rows(tg_builder *b, group *g, const reduction *r, tg_view **own, bool *fits) {
  tg_view *spread = NULL, *seen = NULL, *domain = NULL;
  int64_t order[TG_MAX_DIMS], axes[TG_MAX_DIMS];
  int ndim = g->domain->ndim;
  bool rows = g->nout < ndim;
  tg_status status;
  *fits = false;
  if (g->closed || is_cropped(b, g) || r->nout + r->nred != ndim || !fits_cache(b, r)) return TG_OK;
  if ((g->nfold && !g->cached) || (rows && g->nout != r->nout)) return TG_OK;
  if ((status = spread_of(r, &spread))) return status;
  if (rows) *fits = tg_view_equal(*own, spread);
  if (rows || !match_dims(*own, spread, order) || (status = tg_view_permute(*own, ndim, order, &seen))) goto done;
  if (!(*fits = tg_view_equal(seen, spread))) goto done;
  for (int i = 0; i < ndim; i++) axes[i] = g->order[order[i]];
  if ((status = tg_view_contiguous(ndim, r->shape, &domain))) goto done;
  if ((status = change_domain(b, g, domain, r->nout, NULL, order, own))) goto done;
  memcpy(g->order, axes, sizeof(int64_t) * (size_t)ndim);
  g->cached = true;
done:
  tg_view_unref(spread);
  tg_view_unref(seen);
  tg_view_unref(domain);
  return status;
}

/* Makes the reduce's domain that of the group, which sees its result in plain order through *own. */
static tg_status reduce_over(tg_builder *b, group *g, const reduction *r, tg_view **own) {
  tg_view *domain = NULL, *spread = NULL;
  tg_status status = tg_view_contiguous(r->nout + r->nred, r->shape, &domain);
  if (!status) status = spread_of(r, &spread);
  if (!status) status = change_domain(b, g, domain, r->nout, spread, NULL, own);
  tg_view_unref(domain);
  tg_view_unref(spread);
  g->cached = fits_cache(b, r) && !is_cropped(b, g);
  if (!r->merged) tg_domain_order(b->items[r->item].node, g->order);
  else
    for (int i = 0; i < r->nout + r->nred; i++) g->order[i] = i;
  g->nfold++;
  return status;
}

/* Are the dims of `fine` those of `coarse`, some of them cut into several? */
static bool is_refinement(const tg_view *fine, const tg_view *coarse) {
  int at = 0;
  for (int i = 0; i < coarse->ndim; i++) {
    int64_t size = 1;
    while (at < fine->ndim && (size < coarse->shape[i] || fine->shape[at] == 1)) size *= fine->shape[at++];
    if (size != coarse->shape[i]) return false;
  }
  return at == fine->ndim;
}

/* A map can as well run over the finer dims in which one of its sources, seen whole and in order through *own, is
 * laid out: windows that tile an image, say. *own then needs no second level. */
static tg_status refine_domain(tg_builder *b, group *g, const tg_view *fine, tg_view **own) {
  tg_view *domain;
  if (g->closed || g->nout != g->domain->ndim || fine->ndim <= g->domain->ndim || !is_refinement(fine, g->domain))
    return TG_OK;
  tg_status status = tg_view_contiguous(fine->ndim, fine->shape, &domain);
  if (status) return status;
  status = change_domain(b, g, domain, domain->ndim, domain, NULL, own); /* may free `fine`, a part of *own */
  for (int i = 0; i < domain->ndim; i++) g->order[i] = i;
  tg_view_unref(domain);
  return status;
}

void tg_sort_strides(const tg_view *v, int64_t *order) {
  for (int i = 0; i < v->ndim; i++) {
    int at = i;
    for (; at > 0 && v->stride[order[at - 1]] < v->stride[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
}

/* Does the view see, its dims in this order, what is left of `size` elements in C order when *before and *after are cut
 * off each dim? */
static bool is_crop(const tg_view *v, const int64_t *order, int64_t size, int64_t *before, int64_t *after) {
  int64_t offset = v->offset;
  if (v->below || v->nbound || v->size == 0) return false;
  for (int i = 0; i < v->ndim; i++) {
    int64_t step = v->stride[order[i]], points = v->shape[order[i]];
    before[i] = after[i] = 0;
    if (points == 1) continue;
    if (step < 1 || size % step) return false;
    before[i] = offset / step;
    after[i] = size / step - points - before[i];
    if (after[i] < 0) return false;
    offset %= step;
    size = step;
  }
  return size == 1 && offset == 0;
}

/* A map that reads a source with its dims in another order, or cropped, can as well run over all of the source, dims of
 * `whole`, and put its own results in that order, without those that are cropped: so the gradient of what is padded
 * need not be stored with the padding, nor that of windows by window. *own then sees the source as it is. */
static tg_status adopt_domain(tg_builder *b, group *g, tg_view *whole, tg_view **own) {
  int64_t order[TG_MAX_DIMS], before[TG_MAX_DIMS], after[TG_MAX_DIMS];
  tg_view *permuted = NULL, *padded = NULL, *through = NULL, *domain = NULL;
  if (g->closed || g->nout != g->domain->ndim || g->noutput > 1) return TG_OK;
  if (tg_view_is_contiguous(*own) && (*own)->size == whole->size) return TG_OK;
  tg_sort_strides(*own, order);
  if (!is_crop(*own, order, whole->size, before, after)) return TG_OK;
  double extra = (double)(whole->size - (*own)->size) * g->weight;
  if (extra > (STORE_COST + LOAD_COST) * (double)whole->size) return TG_OK;
  tg_status status = tg_view_permute(g->domain, g->domain->ndim, order, &permuted);
  if (!status) status = tg_view_pad(permuted, permuted->ndim, before, after, &padded);
  if (!status) status = tg_view_reshape(padded, whole->ndim, whole->shape, &through);
  if (status || through->below) goto done;
  if ((status = tg_view_contiguous(whole->ndim, whole->shape, &domain))) goto done;
  if ((status = change_domain(b, g, domain, domain->ndim, through, NULL, own))) goto done;
  for (int i = 0; i < domain->ndim; i++) g->order[i] = i;
  tg_view_unref(*own);
  *own = domain;
  domain = NULL;
done:
  tg_view_unref(permuted);
  tg_view_unref(padded);
  tg_view_unref(through);
  tg_view_unref(domain);
  return status;
}

/* A contraction packs its factors from memory. */
static void need_factors(tg_builder *b, const item *it) {
  for (int64_t e = it->first_edge; e < it->first_edge + it->nedge; e++)
    b->items[tg_storage_of(b, b->edges[e].src)].must_store = true;
}

/* Makes an item the root of a group of its own. */
static tg_status store(tg_builder *b, int64_t i) {
  const item *it = &b->items[i];
  const tg_node *n = it->node;
  const reduction *r = it->reduction >= 0 ? &b->reductions[it->reduction] : NULL;
  const tg_view *shape = tg_stands_alone(n) ? b->edges[it->first_edge].view : n->shape;
  tg_view *domain, *view;
  tg_status status = r ? tg_view_contiguous(r->nout, r->shape, &domain)
                       : tg_view_contiguous(shape->ndim, shape->shape, &domain);
  if (status) return status;
  tg_view_ref(view = domain);
  if ((status = new_group(b, i, domain))) goto fail;
  group *g = &b->groups[b->ngroup - 1];
  g->contraction = r && r->contraction;
  g->closed = r ? r->contraction : tg_has_body(n);
  if (r && !r->contraction && (status = reduce_over(b, g, r, &view))) goto fail;
  if (g->contraction) need_factors(b, it);
  add_member(b, b->ngroup - 1, i, view);
  return TG_OK;
fail:
  tg_view_unref(view);
  return status;
}

/* ---- where an item is read ---- */

typedef struct readers {
  bool one_place; /* all in one group, through equal views */
  bool stacked;   /* one of them through several levels */
  int64_t group;
  tg_view *view; /* from that group's domain, owned */
  double points; /* that they compute of it, each */
} readers;

/* Elements a group computes of what it sees through the view: one a row, if that does not vary along rows. */
static double points_of(const group *g, const tg_view *view) {
  double points = 1;
  int dims = tg_view_depends_from(view, g->nout) ? view->ndim : g->nout;
  for (int i = 0; i < dims; i++) points *= (double)view->shape[i];
  return points;
}

/* Can the reader compute its source along with itself, or does it need all of it in memory? */
static bool reads_points(const tg_builder *b, const item_edge *e) {
  const item *reader = &b->items[e->reader];
  if (reader->reduction >= 0) return !b->reductions[reader->reduction].contraction;
  if (reader->node->kind == TG_NODE_BITCAST) return false;
  return reader->node->kind != TG_NODE_GATHER || e != &b->edges[reader->first_edge];
}

/* What the edge sees from the domain of its reader's group. */
static tg_status view_of_edge(const tg_builder *b, const item_edge *e, tg_view **out) {
  const item *reader = &b->items[e->reader];
  if (!tg_has_body(reader->node)) return tg_view_compose(reader->view, e->view, out);
  tg_view_ref(*out = e->view); /* covers the domain already */
  return TG_OK;
}

static tg_status survey(const tg_builder *b, const item *it, readers *out) {
  tg_status status = TG_OK;
  readers r = {.one_place = true, .group = -1};
  int64_t last = -1;
  for (int64_t e = it->first_reader; e >= 0; e = b->edges[e].next) {
    const item_edge *edge = &b->edges[e], *before = last >= 0 ? &b->edges[last] : NULL;
    const item *reader = &b->items[edge->reader];
    tg_view *view = NULL;
    last = e;
    if (before && before->reader == edge->reader && tg_view_equal(before->view, edge->view)) continue; /* x * x */
    if (reader->group < 0) {
      r.one_place = false;
      r.points += (double)reader->points;
      continue;
    }
    if ((status = view_of_edge(b, edge, &view))) goto fail;
    r.points += points_of(&b->groups[reader->group], view);
    r.stacked |= view->below != NULL;
    if (r.group >= 0 && r.group != reader->group) r.one_place = false;
    if (r.view && !tg_view_equal(r.view, view)) r.one_place = false;
    r.group = reader->group;
    tg_view_unref(r.view);
    r.view = view;
  }
  if (r.group < 0) r.one_place = false;
  *out = r;
  return TG_OK;
fail:
  tg_view_unref(r.view);
  return status;
}

/* ---- further outputs ---- */

/* Does the view reach each of `size` elements once, from the group's rows or from all its points? */
static bool is_bijection(const group *g, const tg_view *v, int64_t size) {
  bool used[TG_MAX_DIMS] = {false};
  int64_t next = 1;
  int dims = tg_view_depends_from(v, g->nout) ? v->ndim : g->nout;
  if (v->below || v->nbound || v->offset) return false;
  for (int placed = 0; placed < dims; placed++) {
    int i = 0;
    while (i < dims && (used[i] || (v->shape[i] != 1 && v->stride[i] != next))) i++;
    if (i == dims) return false;
    used[i] = true;
    next *= v->shape[i];
  }
  return next == size;
}

/* What finishes a contraction is best stored from the contraction's own tiles. */
static bool can_be_output(const tg_builder *b, const item *it) {
  if (it->carries_contraction) return false;
  return is_computed(it->node) || it->node->kind == TG_NODE_COPY ||
         (it->reduction >= 0 && !b->reductions[it->reduction].contraction);
}

/* How group g sees the item that it reads directly: *view, NULL if not in one way or not point by point. What is
 * computed everywhere must not read what a reduction is in, as it may see it otherwise, nor look for the item in
 * memory. */
static tg_status seen_from(const tg_builder *b, const item *it, int64_t g, tg_view **view) {
  tg_status status = TG_OK;
  bool one_way = true;
  *view = NULL;
  for (int64_t e = it->first_reader; e >= 0 && one_way && !status; e = b->edges[e].next) {
    tg_view *seen = NULL;
    int64_t reader = b->items[b->edges[e].reader].group;
    bool points = reads_points(b, &b->edges[e]);
    if (reader >= 0 && reader != g) continue;
    if (reader < 0 && !it->above_reduce && points) continue;
    if (reader == g && points) status = view_of_edge(b, &b->edges[e], &seen);
    one_way = seen && (!*view || tg_view_equal(seen, *view));
    tg_view_unref(*view);
    *view = seen;
  }
  if (one_way && !status) return TG_OK;
  tg_view_unref(*view);
  *view = NULL;
  return status;
}

/* Does the group's domain consist of these axes, but for their order? */
static bool same_domain(const group *g, int ndim, const int64_t *shape) {
  if (g->closed || g->domain->ndim != ndim) return false;
  for (int d = 0; d < ndim; d++)
    if (g->domain->shape[d] != shape[g->order[d]]) return false;
  return true;
}

/* A group over a domain of `whole`'s dims that reads item `src` at the points at which `view`, of whole's shape, sees
 * it: *found, or -1. The reader placed last is looked at first: of many readers the earlier ones' groups are full. */
static tg_status group_reading(const tg_builder *b, const item *src, tg_view *view, const tg_view *whole,
                               int64_t *found) {
  *found = -1;
  int64_t o = src->placed_reader;
  for (int looked = 0; o >= 0 && looked < MAX_LOOK; o = looked++ ? b->edges[o].next : src->first_reader) {
    int64_t in = b->items[b->edges[o].reader].group;
    tg_view *seen = NULL, *here = NULL;
    if (in < 0 || !reads_points(b, &b->edges[o]) || !same_domain(&b->groups[in], whole->ndim, whole->shape)) continue;
    tg_status status = view_of_edge(b, &b->edges[o], &seen);
    if (!status) status = tg_view_permute(view, whole->ndim, b->groups[in].order, &here);
    if (!status && tg_view_equal(seen, here)) *found = in;
    tg_view_unref(seen);
    tg_view_unref(here);
    if (status || *found >= 0) return status;
  }
  return TG_OK;
}

/* An ancestor of an item, and what is seen of it at the item's points. */
typedef struct ancestor {
  int64_t item;
  tg_view *view; /* owned */
} ancestor;

/* A group over the item's own domain that reads something the item is computed from, at the same points: *found, or
 * -1; *out is how it would see the item. */
static tg_status sibling_group(const tg_builder *b, int64_t i, int64_t *found, tg_view **out) {
  ancestor look[MAX_LOOK];
  const item *it = &b->items[i];
  const reduction *r = it->reduction >= 0 ? &b->reductions[it->reduction] : NULL;
  const tg_view *whole = r ? it->node->src[0].view : it->node->shape;
  tg_view *own = NULL;
  int n = 1;
  tg_status status;
  *found = -1;
  if (r && r->merged) return TG_OK;
  look[0].item = i;
  if ((status = tg_view_contiguous(whole->ndim, whole->shape, &look[0].view))) return status;
  for (int at = 0; at < n && *found < 0 && !status; at++) {
    const item *reader = &b->items[look[at].item];
    for (int64_t e = reader->first_edge; e >= 0 && e < reader->first_edge + reader->nedge && !status; e++) {
      const item *src = &b->items[b->edges[e].src];
      tg_view *view = NULL;
      if (n == MAX_LOOK || *found >= 0 || src->node->kind == TG_NODE_CONST || src->node->kind == TG_NODE_ARANGE)
        continue;
      if (at == 0 && r) tg_view_ref(view = it->node->src[0].view);
      else if ((status = tg_view_compose(look[at].view, b->edges[e].view, &view))) break;
      status = group_reading(b, src, view, whole, found);
      if (is_computed(src->node) && !status) look[n++] = (ancestor){b->edges[e].src, view};
      else tg_view_unref(view);
    }
  }
  if (!status && *found >= 0) status = tg_view_expand(it->node->shape, whole->ndim, whole->shape, &own);
  if (!status && own) status = tg_view_permute(own, whole->ndim, b->groups[*found].order, out);
  tg_view_unref(own);
  for (int at = 0; at < n; at++) tg_view_unref(look[at].view);
  return status;
}

/* An element a row, computed from a reduce that will be along the group's rows: makes those now. */
static tg_status foresee_rows(tg_builder *b, const item *it, int64_t in, tg_view **view) {
  bool fits;
  if (it->carried < 0 || it->reduction >= 0) return TG_OK;
  return align_rows(b, &b->groups[in], &b->reductions[b->items[it->carried].reduction], view, &fits);
}

/* Makes a stored item an output of group `in`, which sees it through *view, if that can compute all of it. */
static tg_status add_output(tg_builder *b, int64_t i, int64_t in, tg_view **view, bool *done) {
  item *it = &b->items[i];
  group *g = &b->groups[in];
  const reduction *r = it->reduction >= 0 ? &b->reductions[it->reduction] : NULL;
  bool open = !g->closed && !b->items[g->root].carries_contraction; /* that will be its kernel, of one output */
  bool fits = open && g->weight < MAX_FUSED && (g->cached || !g->nfold);
  tg_status status = TG_OK;
  if (fits && r) status = align_rows(b, g, r, view, &fits);
  else if (fits) status = foresee_rows(b, it, in, view);
  if (status || !fits || !is_bijection(g, *view, it->node->shape->size)) return status;
  if (r) g->nfold++;
  g->noutput++;
  it->output = true;
  add_member(b, in, i, *view);
  *view = NULL;
  *done = true;
  return TG_OK;
}

static tg_status try_outputs(tg_builder *b, int64_t i, const int64_t *in, int64_t n, bool *done) {
  const item *it = &b->items[i];
  tg_view *view = NULL;
  tg_status status = TG_OK;
  for (int64_t j = 0; j < tg_min(n, MAX_LOOK) && !*done && !status; j++) {
    if ((status = seen_from(b, it, in[j], &view))) return status;
    if (view && !tg_needs_any(b, in[j], in, n)) status = add_output(b, i, in[j], &view, done);
    tg_view_unref(view);
  }
  if (status || *done) return status;
  int64_t sibling;
  if ((status = sibling_group(b, i, &sibling, &view)) || sibling < 0) return status;
  bool apart = !tg_needs_any(b, sibling, in, n);
  for (int64_t j = 0; j < n; j++) apart &= in[j] != sibling; /* it needs all of the item, or sees it in two ways */
  if (apart) status = add_output(b, i, sibling, &view, done);
  tg_view_unref(view);
  return status;
}

/* Stores an item: as a further output of a group that can compute it along the way, else as the root of its own. */
static tg_status store_somewhere(tg_builder *b, int64_t i) {
  int64_t *in, n;
  bool done = false;
  tg_status status = tg_reading_groups(b, i, &in, &n);
  if (status) return status;
  if (b->fused && can_be_output(b, &b->items[i])) status = try_outputs(b, i, in, n, &done);
  if (!status && !done) status = store(b, i);
  if (!status) status = tg_add_needs(b, in, n, b->items[i].group);
  tg_free(in);
  return status;
}

/* ---- placing ---- */

static bool should_store(const item *it, const readers *r, bool fits) {
  double size = (double)it->node->shape->size;
  if (fits && r->points <= size) return false;
  if (!fits && (it->carries_reduce || it->weight > MAX_AGAIN || r->stacked)) return true;
  return it->cost * r->points > (it->cost + STORE_COST) * size + LOAD_COST * r->points + LAUNCH_COST;
}

/* Takes over r->view. */
static void join(tg_builder *b, int64_t i, readers *r) {
  add_member(b, r->group, i, r->view);
  r->view = NULL;
}

/* Makes the domain of the one group that reads an item fit the item's dims, as far as that can be done. */
static tg_status fit_domain(tg_builder *b, const item *it, readers *r) {
  bool copy = it->node->kind == TG_NODE_COPY;
  group *g = &b->groups[r->group];
  const tg_view *below = r->view->below, *fine = NULL;
  tg_status status = TG_OK;
  if (below && tg_view_is_ordered(r->view) && r->view->size == below->size) fine = below;
  else if (copy && tg_view_is_contiguous(r->view)) fine = it->node->shape;
  if (fine) status = refine_domain(b, g, fine, &r->view);
  if (!status && (copy || it->reduction >= 0)) status = adopt_domain(b, g, it->node->shape, &r->view);
  return status;
}

/* A reduce joins the one group that reads it if its domain can be that group's. */
static tg_status place_reduce(tg_builder *b, int64_t i, readers *r) {
  const item *it = &b->items[i];
  const reduction *own = &b->reductions[it->reduction];
  group *g = r->one_place ? &b->groups[r->group] : NULL;
  bool along = false;
  tg_status status = TG_OK;
  if (!g || g->closed || g->weight >= MAX_FUSED) return store_somewhere(b, i);
  if (tg_product(own->shape + own->nout, own->nred)) status = fit_domain(b, it, r);
  if (status) return status;
  bool plain = g->nout == g->domain->ndim && g->noutput == 1 && tg_view_is_contiguous(r->view) &&
               r->view->size == it->node->shape->size;
  if (plain && own->contraction) { /* its epilogue */
    g->contraction = g->closed = true;
    need_factors(b, it);
  } else if (plain) {
    status = reduce_over(b, g, own, &r->view);
  } else {
    status = align_rows(b, g, own, &r->view, &along);
    if (!status && !along) return store_somewhere(b, i);
    g->nfold++;
  }
  if (!status) join(b, i, r);
  return status;
}

static tg_status place_computed(tg_builder *b, int64_t i, readers *r) {
  item *it = &b->items[i];
  bool copy = it->node->kind == TG_NODE_COPY, fits = false;
  tg_status status = TG_OK;
  if (r->one_place) {
    group *g = &b->groups[r->group];
    status = fit_domain(b, it, r);
    if (!status) status = foresee_rows(b, it, r->group, &r->view);
    if (status) return status;
    r->points = points_of(g, r->view);
    r->stacked = r->view->below != NULL;
    fits = g->weight < MAX_FUSED && !r->stacked;
  }
  if (copy ? !fits || r->points > (double)it->node->shape->size : should_store(it, r, fits))
    return store_somewhere(b, i);
  if (fits) join(b, i, r);
  else it->points = (float)r->points; /* computed again by every reader */
  return TG_OK;
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
  if (it->target || it->must_store || tg_stands_alone(n)) return store_somewhere(b, i);
  if (n->kind == TG_NODE_CONST || n->kind == TG_NODE_ARANGE) return TG_OK; /* as cheap as a load everywhere */
  if (!b->fused) return store_somewhere(b, i);
  if ((status = survey(b, it, &r))) return status;
  if (n->kind == TG_NODE_REDUCE) status = place_reduce(b, i, &r);
  else status = place_computed(b, i, &r);
  tg_view_unref(r.view);
  return status;
}

tg_status tg_group(tg_builder *b) {
  estimate_costs(b);
  for (int64_t i = b->nitem - 1; i >= 0; i--) {
    if (!b->items[i].live) continue;
    tg_status status = tg_interrupted() ? tg_interrupt_status() : place(b, i);
    if (status) return status;
  }
  return tg_order_groups(b);
}

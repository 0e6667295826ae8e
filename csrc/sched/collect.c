/* First step of scheduling (see builder.h): the nodes needed, and reductions in one form.
 *
 * Invariants: items stand sources first; every edge's view covers its reader's domain, which is the
 * reader's shape, or for a reduce its out dims followed by its reduced dims.
 * Owns: nothing. Caller: schedule.c. */
#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "sched/builder.h"

#define MAX_RECOMPUTE 4     /* a merged sum may be evaluated this many times as often as before */
#define MIN_CONTRACTION 256 /* products below which packing panels does not pay */

tg_status tg_grow(void *array, int64_t n, int64_t *cap, size_t size) {
  if (n < *cap) return TG_OK;
  int64_t grown = *cap ? *cap * 2 : 64;
  void *old, *p;
  memcpy(&old, array, sizeof old);
  p = tg_realloc(old, (size_t)grown * size);
  if (!p) return tg_fail_memory((size_t)grown * size);
  memcpy(array, &p, sizeof p);
  *cap = grown;
  return TG_OK;
}

/* ---- the nodes ---- */

static tg_status add_item(tg_builder *b, tg_node *n) {
  tg_status status = tg_grow(&b->items, b->nitem, &b->cap_item, sizeof *b->items);
  if (status) return status;
  b->items[b->nitem] = (item){.node = n,
                              .first_edge = -1,
                              .first_reader = -1,
                              .placed_reader = -1,
                              .reduction = -1,
                              .group = -1,
                              .next_member = -1,
                              .carried = -1,
                              .slot = -1};
  n->mark = b->nitem++;
  return TG_OK;
}

/* Depth first with a stack of its own: sources before readers, graphs of any depth. */
static tg_status visit(tg_builder *b, tg_node *target) {
  typedef struct frame {
    tg_node *node;
    int next;
  } frame;
  frame *stack = NULL;
  int64_t depth = 0, cap = 0;
  tg_status status = TG_OK;
  if (target->mark >= 0) return TG_OK;
  if ((status = tg_grow(&stack, depth, &cap, sizeof *stack))) return status;
  stack[depth++] = (frame){target, 0};
  while (depth) {
    frame *top = &stack[depth - 1];
    if (top->next == top->node->nsrc) {
      if (top->node->mark < 0 && (status = add_item(b, top->node))) break;
      depth--;
      continue;
    }
    tg_node *src = top->node->src[top->next++].node;
    if (src->mark >= 0) continue;
    if ((status = tg_grow(&stack, depth, &cap, sizeof *stack))) break;
    stack[depth++] = (frame){src, 0};
  }
  tg_free(stack);
  return status;
}

/* ---- edges ---- */

/* Takes over the reference on view. */
static tg_status add_edge(tg_builder *b, int64_t reader, tg_node *src, tg_view *view) {
  tg_status status = tg_grow(&b->edges, b->nedge, &b->cap_edge, sizeof *b->edges);
  if (status) {
    tg_view_unref(view);
    return status;
  }
  item *it = &b->items[reader];
  if (!it->nedge++) it->first_edge = b->nedge;
  b->edges[b->nedge++] = (item_edge){src->mark, view, -1, reader};
  return TG_OK;
}

/* ---- reductions ---- */

int tg_domain_order(const tg_node *n, int64_t *order) {
  int ndim = n->src[0].view->ndim, kept = 0;
  for (int i = 0; i < ndim; i++)
    if (!(n->axes >> i & 1)) order[kept++] = i;
  for (int i = 0, at = kept; i < ndim; i++)
    if (n->axes >> i & 1) order[at++] = i;
  return kept;
}

/* The edge of a reduce, scan or sort with its dims in domain order. */
static tg_status domain_edge(const tg_node *n, int *kept, tg_view **out) {
  int64_t order[TG_MAX_DIMS];
  *kept = tg_domain_order(n, order);
  return tg_view_permute(n->src[0].view, n->src[0].view->ndim, order, out);
}

static bool is_sum(const tg_node *n) { return n->kind == TG_NODE_REDUCE && n->op == TG_OP_REDUCE_SUM; }

static bool is_product(const tg_node *n) { return n->kind == TG_NODE_ELEMENTWISE && n->op == TG_OP_MUL; }

/* Can nobody have computed it before, or do so later? By what never changes back: another reader that is gone by now
 * may have stored it or not. */
static bool is_private(const tg_node *n) { return n->refs == 1 && n->readers == 1; }

/* A sum over (a view of) another sum that is private is one sum over both domains: so the gradient of a convolution's
 * input, an overlap-add of sums, never stores its windows. Any other might be read before: this sum must not have other
 * bits then. */
static tg_status merge_sums(reduction *r, tg_node **source, tg_view **domain) {
  while (is_sum(*source)) {
    const tg_node *inner = *source;
    if (tg_computed((tg_dtype)inner->dtype) != inner->dtype) return TG_OK; /* 16-bit floats are rounded in between */
    if (!is_private(inner)) return TG_OK;
    if ((*domain)->size > inner->shape->size * MAX_RECOMPUTE) return TG_OK;
    const tg_node *summed = inner->src[0].node;
    if (tg_view_is_contiguous(*domain) && !(is_product(summed) && is_private(summed)))
      return TG_OK; /* rows first, then their sums */
    int extra = __builtin_popcount(inner->axes);
    if ((*domain)->ndim + extra > TG_MAX_DIMS) return TG_OK;
    tg_view *lifted = NULL, *merged = NULL;
    const tg_view *full = inner->src[0].view;
    tg_status status = tg_view_lift(*domain, full->ndim, full->shape, inner->axes, &lifted);
    if (status || !lifted) return status;
    status = tg_view_compose(lifted, inner->src[0].view, &merged);
    tg_view_unref(lifted);
    if (status) return status;
    tg_view_unref(*domain);
    *domain = merged;
    *source = inner->src[0].node;
    r->nred += extra;
  }
  return TG_OK;
}

/* Is the product of these two views, summed, worth packing? Both must vary along out dims of their own. */
static bool pays(const reduction *r, const tg_view *va, const tg_view *vb) {
  double m = 1, n = 1, k = 1;
  for (int i = 0; i < r->nout; i++) {
    bool a = tg_view_depends(va, i), b = tg_view_depends(vb, i);
    if (a && !b) m *= (double)va->shape[i];
    if (b && !a) n *= (double)va->shape[i];
  }
  for (int i = r->nout; i < r->nout + r->nred; i++) k *= (double)va->shape[i];
  return m > 1 && n > 1 && k > 1 && m * n * k >= MIN_CONTRACTION;
}

static bool gemm_operand(const tg_node *n, tg_dtype product) {
  if (product == TG_F64) return n->dtype == TG_F64;
  return n->dtype == TG_F32 || n->dtype == TG_F16 || n->dtype == TG_BF16;
}

/* SUM over MUL: sets r->contraction and the views of both factors, if packing them pays. A mask that both carry
 * makes the product zero by either, and is kept only where positions need it: so that the gradient's windows mask the
 * image, but leave the weights independent of it. That is exact for finite factors; for others masked[] is kept. */
static tg_status match_contraction(const tg_builder *b, reduction *r, const tg_node *mul, tg_view *domain, tg_view **va,
                                   tg_view **vb) {
  tg_view *fa = NULL, *fb = NULL, *a = NULL, *c = NULL;
  tg_status status;
  tg_dtype dtype = (tg_dtype)mul->dtype;
  if (!is_product(mul) || b->items[mul->mark].target) return TG_OK;
  if (dtype != TG_F32 && dtype != TG_F64 && dtype != TG_F16 && dtype != TG_BF16) return TG_OK;
  const tg_node *na = mul->src[0].node, *nb = mul->src[1].node;
  if (!gemm_operand(na, dtype) || !gemm_operand(nb, dtype)) return TG_OK;
  if ((status = tg_view_compose(domain, mul->src[0].view, &fa)) ||
      (status = tg_view_compose(domain, mul->src[1].view, &fb)) ||
      (status = tg_view_drop_bounds(fb, fa, nb->shape->size, &c)) ||
      (status = tg_view_drop_bounds(fa, c, na->shape->size, &a)))
    goto done;
  if (pays(r, a, c)) {
    r->contraction = true;
    *va = a;
    *vb = c;
    if (a != fa || c != fb) {
      r->masked[0] = fa;
      r->masked[1] = fb;
      fa = fb = NULL;
    }
    a = c = NULL;
  }
done:
  tg_view_unref(fa);
  tg_view_unref(fb);
  tg_view_unref(a);
  tg_view_unref(c);
  return status;
}

static tg_status add_reduction(tg_builder *b, int64_t i) {
  tg_node *n = b->items[i].node, *source = n->src[0].node;
  reduction r = {.item = i};
  tg_view *domain = NULL, *va = NULL, *vb = NULL;
  tg_status status = domain_edge(n, &r.nout, &domain);
  if (status) return status;
  r.nred = domain->ndim - r.nout;
  bool rewritten = b->fused && is_sum(n);
  if (rewritten && (status = merge_sums(&r, &source, &domain))) goto fail;
  if (rewritten && (status = match_contraction(b, &r, source, domain, &va, &vb))) goto fail;
  r.merged = r.nred != __builtin_popcount(n->axes);
  for (int d = 0; d < r.nout + r.nred; d++) r.shape[d] = domain->shape[d];
  if ((status = tg_grow(&b->reductions, b->nreduction, &b->cap_reduction, sizeof *b->reductions))) goto fail;
  b->items[i].reduction = b->nreduction;
  b->reductions[b->nreduction++] = r;
  if (!r.contraction) return add_edge(b, i, source, domain);
  tg_view_unref(domain);
  if ((status = add_edge(b, i, source->src[0].node, va))) {
    tg_view_unref(vb);
    return status;
  }
  return add_edge(b, i, source->src[1].node, vb);
fail:
  tg_view_unref(domain);
  tg_view_unref(va);
  tg_view_unref(vb);
  tg_view_unref(r.masked[0]);
  tg_view_unref(r.masked[1]);
  return status;
}

/* The domain of a scan or sort has its axis last. */
static tg_status add_scan(tg_builder *b, int64_t i) {
  const tg_node *n = b->items[i].node;
  tg_view *domain;
  int kept;
  tg_status status = domain_edge(n, &kept, &domain);
  return status ? status : add_edge(b, i, n->src[0].node, domain);
}

/* ---- all of it ---- */

static void count_raw_refs(tg_builder *b) {
  for (int64_t i = 0; i < b->nitem; i++) {
    const tg_node *n = b->items[i].node;
    for (int j = 0; j < n->nsrc; j++) b->items[n->src[j].node->mark].raw_refs++;
  }
}

/* Readers' chains, and what is live: needed by a target through effective edges. */
static void link_readers(tg_builder *b) {
  for (int64_t i = b->nitem - 1; i >= 0; i--) {
    item *it = &b->items[i];
    it->live |= it->target;
    if (!it->live) continue;
    for (int64_t e = it->first_edge; e >= 0 && e < it->first_edge + it->nedge; e++) {
      item *src = &b->items[b->edges[e].src];
      src->live = true;
      b->edges[e].next = src->first_reader;
      src->first_reader = e;
    }
  }
}

tg_status tg_collect(tg_builder *b, tg_node *const *targets, int ntarget) {
  tg_status status;
  for (int i = 0; i < ntarget; i++) {
    if ((status = visit(b, targets[i]))) return status;
    b->items[targets[i]->mark].target = true;
  }
  count_raw_refs(b);
  for (int64_t i = 0; i < b->nitem; i++) {
    const tg_node *n = b->items[i].node;
    if (tg_interrupted()) return tg_interrupt_status();
    if (n->kind == TG_NODE_REDUCE) {
      if ((status = add_reduction(b, i))) return status;
      continue;
    }
    if (n->kind == TG_NODE_SCAN || n->kind == TG_NODE_SORT) {
      if ((status = add_scan(b, i))) return status;
      continue;
    }
    for (int j = 0; j < n->nsrc; j++) {
      tg_view_ref(n->src[j].view);
      if ((status = add_edge(b, i, n->src[j].node, n->src[j].view))) return status;
    }
  }
  link_readers(b);
  return TG_OK;
}

int64_t tg_storage_of(const tg_builder *b, int64_t i) {
  if (b->items[i].node->kind == TG_NODE_BITCAST) i = b->items[i].node->src[0].node->mark;
  return i;
}

void tg_builder_clear(tg_builder *b) {
  for (int64_t i = 0; i < b->nitem; i++) {
    b->items[i].node->mark = -1;
    tg_view_unref(b->items[i].view);
  }
  for (int64_t e = 0; e < b->nedge; e++) tg_view_unref(b->edges[e].view);
  for (int64_t g = 0; g < b->ngroup; g++) tg_view_unref(b->groups[g].domain);
  for (int64_t r = 0; r < b->nreduction; r++)
    for (int j = 0; j < 2; j++) tg_view_unref(b->reductions[r].masked[j]);
  tg_free(b->items);
  tg_free(b->edges);
  tg_free(b->reductions);
  tg_free(b->groups);
  tg_free(b->needs);
  tg_free(b->order);
  memset(b, 0, sizeof *b);
}

/* Choosing what to compute of the pending work (see pending.h).
 *
 *     x -- x*a -- x*a+b -- ... -- y            y: nobody reads it yet, so it is chosen; the rest is freed with it
 *     loss 1, loss 2, ..., loss 1000           each holds its step's data: chosen, being small
 *     a -- a[:, None] * b[None] -- (.sum)      larger than a and b together: a and b are chosen if they are pending
 *
 * Caller: py/pending.c. */
#include "graph/pending.h"

#include "base/alloc.h"

#define SMALL_BYTES (64 << 10) /* a value that may be stored without a thought, even if it is never read */

/* Nodes found so far; `mark` of each is its place. */
typedef struct found {
  tg_node **nodes;
  int n, cap;
} found;

static tg_status add(found *f, tg_node *n) {
  if (n->mark >= 0 || !n->nsrc) return TG_OK;
  if (f->n == f->cap) {
    if (f->cap > INT32_MAX / 4) return tg_fail(TG_ERR_MEMORY, "too many pending nodes");
    int cap = f->cap ? 2 * f->cap : 64;
    tg_node **grown = tg_realloc(f->nodes, (size_t)cap * sizeof(tg_node *));
    if (!grown) return tg_fail_memory((size_t)cap * sizeof(tg_node *));
    f->nodes = grown;
    f->cap = cap;
  }
  n->mark = f->n;
  f->nodes[f->n++] = n;
  return TG_OK;
}

/* Is storing the value cheaper than keeping what it is made from? */
static bool pays(const tg_node *n) {
  return tg_node_footprint(n) >= (double)n->shape->size * (double)tg_itemsize((tg_dtype)n->dtype);
}

tg_status tg_pending_select(bool large, tg_node ***out, int *n) {
  found f = {0};
  tg_status status = TG_OK;
  int chosen = 0;
  for (tg_node *p = tg_node_pending()->oldest; p && !status; p = p->newer) {
    bool small = p->shape->size * (int64_t)tg_itemsize((tg_dtype)p->dtype) <= SMALL_BYTES;
    if (p->refs > p->held && (small || (large && !p->held))) status = add(&f, p);
  }
  for (int i = 0; i < f.n && !status; i++) { /* f grows as it is walked */
    const tg_node *p = f.nodes[i];
    for (int j = 0; j < p->nsrc && !status && !pays(p); j++) status = add(&f, p->src[j].node);
  }
  for (int i = 0; i < f.n; i++) {
    tg_node *p = f.nodes[i];
    p->mark = -1;
    if (status || !pays(p)) continue;
    tg_node_ref(p);
    f.nodes[chosen++] = p;
  }
  if (status) {
    tg_free(f.nodes);
    return status;
  }
  *out = f.nodes;
  *n = chosen;
  return TG_OK;
}

void tg_pending_release(tg_node **nodes, int n) {
  for (int i = 0; i < n; i++) tg_node_unref(nodes[i]);
  tg_free(nodes);
}

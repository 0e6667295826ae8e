/* The scheduler's working state, private to sched/: how a graph is cut into kernels.
 *
 *   collect.c  the nodes that the targets need, sources first; reductions brought into one form,
 *              sums of sums merged, sums of products recognised as contractions
 *   group.c    which nodes are stored and which kernel each other node is computed in
 *   lower.c    the program of each kernel
 *
 * An item is a node of this schedule. Its edges are the effective ones: those of a reduction lead
 * straight to what it reads, past merged sums and past the product of a contraction.
 *
 * Owns: the arrays, a reference on each view stored here. Nodes are kept alive by the targets. */
#ifndef TG_SCHED_BUILDER_H
#define TG_SCHED_BUILDER_H

#include "graph/node.h"
#include "sched/kernel.h"

typedef struct item_edge {
  int64_t src;   /* item */
  tg_view *view; /* of the reader's domain over the source; owned */
  int64_t next;  /* chain of the source's readers: next edge, -1 at the end */
  int64_t reader;
} item_edge;

typedef enum item_place {
  PLACE_NONE,     /* realized already, never read, or computed in every kernel that reads it */
  PLACE_STORED,   /* root of its own kernel */
  PLACE_BODY,     /* computed in one kernel, before its reduction */
  PLACE_EPILOGUE, /* computed in one kernel, after its reduction or without one */
} item_place;

typedef struct item {
  tg_node *node;
  int64_t first_edge, first_reader; /* into edges; -1: none */
  int64_t kernel;                   /* root of the kernel it is computed in, or -1 */
  int64_t reduction;                /* into reductions, for a reduce; -1 */
  int64_t fused;                    /* root: the reduce its kernel contains, or -1; others: scratch of lowering */
  int64_t slot;                     /* of the schedule, or -1 */
  tg_view *view;                    /* PLACE_BODY, PLACE_EPILOGUE: over this item, from the kernel's domain */
  float cost;                       /* of computing one element from what is stored, estimated */
  float points;                     /* how many elements its readers compute in all */
  int32_t weight;                   /* instructions that takes; of a root: instructions in its kernel */
  int32_t raw_readers, raw_refs;    /* readers in the graph as built, references they hold */
  uint8_t nedge, place;
  bool target, must_store, live, carries_reduce, alive;
} item;

/* A reduction: domain = out dims then reduced dims. A contraction's two edges are its factors. */
typedef struct reduction {
  int64_t item;
  int nout, nred;
  bool contraction;
  tg_view *masked[2]; /* the factors' views with all their masks if the edges' lack some, else NULL; owned */
  int64_t shape[TG_MAX_DIMS];
} reduction;

typedef struct tg_builder {
  item *items;
  item_edge *edges;
  reduction *reductions;
  int64_t nitem, cap_item, nedge, cap_edge, nreduction, cap_reduction;
} tg_builder;

/* Grows *array (elements of `size` bytes) to hold one more than n. */
tg_status tg_grow(void *array, int64_t n, int64_t *cap, size_t size) TG_MUST_CHECK;

/* collect.c: fills items in topological order, sources first, and their edges; sets node->mark. */
tg_status tg_collect(tg_builder *b, tg_node *const *targets, int ntarget) TG_MUST_CHECK;
/* group.c: places every live item. */
tg_status tg_group(tg_builder *b) TG_MUST_CHECK;
/* lower.c: the kernel of a stored item; slots are assigned already. */
tg_status tg_lower(tg_builder *b, int64_t root, tg_kernel *kernel) TG_MUST_CHECK;

void tg_builder_clear(tg_builder *b); /* resets node->mark too */

/* The item whose storage holds this one's value: follows bit casts. */
int64_t tg_storage_of(const tg_builder *b, int64_t i);

/* Does what the view sees vary along this dim? */
static inline bool tg_depends(const tg_view *v, int dim) {
  if (v->stride[dim]) return true;
  for (int k = 0; k < v->nbound; k++)
    if (v->bound[k].coef[dim]) return true;
  return false;
}

/* Kernels of their own shape: what they read is computed over a domain that is not that of the output. */
static inline bool tg_has_body(const tg_node *n) {
  return n->kind == TG_NODE_REDUCE || n->kind == TG_NODE_SCAN || n->kind == TG_NODE_SCATTER;
}

static inline bool tg_is_realized(const tg_node *n) { return n->kind == TG_NODE_BUFFER; }

#endif

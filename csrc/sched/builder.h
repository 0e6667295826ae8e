/* The scheduler's working state, private to sched/: how a graph is cut into kernels.
 *
 *   collect.c  the nodes that the targets need, sources first; reductions brought into one form,
 *              sums of sums merged, sums of products recognised as contractions
 *   group.c    which nodes are stored and which kernel each other node is computed in
 *   order.c    the order of the kernels, and which further outputs it allows
 *   lower.c    the programs of each kernel
 *   phases.c   those of a ROWS kernel: one program cut into phases
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

typedef struct item {
  tg_node *node;
  int64_t first_edge, first_reader; /* into edges; -1: none */
  int64_t placed_reader;            /* into edges: that of the reader placed last; -1 */
  int64_t reduction;                /* into reductions, for a reduce; -1 */
  int64_t mark;                     /* scratch of searches */
  int64_t group, next_member;       /* the kernel it is computed in, -1 if in none or in every one that reads it */
  int64_t carried;                  /* a reduce that it is computed from, one element from one element; -1 */
  int64_t slot;                     /* of the schedule, or -1 */
  tg_view *view;                    /* of the group's domain over this item; owned */
  float cost;                       /* of computing one element from what is stored, estimated */
  float points;                     /* how many elements its readers compute in all */
  int32_t weight;                   /* instructions that takes */
  int64_t raw_refs;                 /* references that readers in the graph as built hold */
  uint8_t nedge;
  bool target, must_store, live, alive;
  bool carries_reduce, carries_contraction; /* unfinished ones, read by nothing else */
  bool above_reduce;                        /* is one that rows can fold, or may be computed from one in its kernel */
  bool output;                              /* written to memory by its group */
} item;

/* A reduction: domain = out dims then reduced dims. A contraction's two edges are its factors. */
typedef struct reduction {
  int64_t item;
  int nout, nred;
  bool contraction;
  bool merged;        /* its domain is larger than what its node reduces */
  tg_view *masked[2]; /* the factors' views with all their masks if the edges' lack some, else NULL; owned */
  int64_t shape[TG_MAX_DIMS];
} reduction;

/* The items that one kernel computes, over a domain of out dims and reduced dims; the root is the first one placed. */
typedef struct group {
  int64_t root, first_member;
  int64_t first_need, mark;   /* into needs; scratch of searches */
  tg_view *domain;            /* contiguous; owned */
  int nout;                   /* leading dims; fewer than all: rows */
  int64_t order[TG_MAX_DIMS]; /* of the dims: the axes of what is computed at every point */
  int nfold, noutput;
  int32_t weight;   /* instructions */
  bool contraction; /* the root is, or is computed from, a contraction over the domain */
  bool closed;      /* takes neither a reduction nor a further output */
  bool cached;      /* rows can stay in cache, for further reductions and outputs */
} group;

/* A group that another one reads from. */
typedef struct need {
  int64_t group, next;
} need;

typedef struct tg_builder {
  bool fused; /* false: every item that is computed is stored, by a kernel of its own */
  item *items;
  item_edge *edges;
  reduction *reductions;
  group *groups;
  need *needs;
  int64_t *order; /* of groups, those that others need first */
  int64_t nitem, cap_item, nedge, cap_edge, nreduction, cap_reduction, ngroup, cap_group, nneed, cap_need, searches;
} tg_builder;

/* Grows *array (elements of `size` bytes) to hold one more than n. */
tg_status tg_grow(void *array, int64_t n, int64_t *cap, size_t size) TG_MUST_CHECK;

/* collect.c: fills items in topological order, sources first, and their edges; sets node->mark. */
tg_status tg_collect(tg_builder *b, tg_node *const *targets, int ntarget) TG_MUST_CHECK;
/* The axes that the dims of a reduce's or scan's domain are: those kept, then those in node->axes. Returns how many are
 * kept. */
int tg_domain_order(const tg_node *n, int64_t *order);
/* group.c: places every live item. */
tg_status tg_group(tg_builder *b) TG_MUST_CHECK;
/* Dims that sort a view's strides, the largest first. */
void tg_sort_strides(const tg_view *v, int64_t *order);
/* order.c. The groups that read item i, also through items that are computed wherever they are read: *count of them in
 * a *list to be freed. */
tg_status tg_reading_groups(tg_builder *b, int64_t i, int64_t **list, int64_t *count) TG_MUST_CHECK;
/* Notes that n groups need group `on`. */
tg_status tg_add_needs(tg_builder *b, const int64_t *from, int64_t n, int64_t on) TG_MUST_CHECK;
/* Does group g need one of n others, however indirectly? Also true if that would take too long to find out. */
bool tg_needs_any(tg_builder *b, int64_t g, const int64_t *others, int64_t n);
/* Sets b->order: each group stands behind those it needs. */
tg_status tg_order_groups(tg_builder *b) TG_MUST_CHECK;
/* lower.c: the kernel of a group; slots are assigned already. */
tg_status tg_lower(tg_builder *b, const group *g, tg_kernel *kernel) TG_MUST_CHECK;
/* The views of n accesses with their dims in another order. */
tg_status tg_permute_accesses(tg_access *access, int n, int ndim, const int64_t *order) TG_MUST_CHECK;
/* phases.c: cuts `whole`, the program of all points of k's domain, in which FOLD is a value, into k's phases. */
tg_status tg_cut_phases(const tg_program *whole, tg_kernel *k) TG_MUST_CHECK;

/* Reduced points below which blocks run across rows rather than along them. */
#define TG_SHORT_ROW 48
/* Whether enough rows lie side by side for that. */
static inline bool tg_side_by_side(int64_t rows, int64_t row) { return rows >= row || rows >= TG_SHORT_ROW; }

void tg_builder_clear(tg_builder *b); /* resets node->mark too */

/* The item whose storage holds this one's value: follows bit casts. */
int64_t tg_storage_of(const tg_builder *b, int64_t i);

/* Kernels that nothing is fused with but what they read. */
static inline bool tg_stands_alone(const tg_node *n) {
  return n->kind == TG_NODE_SCAN || n->kind == TG_NODE_SORT || n->kind == TG_NODE_SCATTER;
}
/* Kernels of their own shape: what they read is computed over a domain that is not that of the output. */
static inline bool tg_has_body(const tg_node *n) { return n->kind == TG_NODE_REDUCE || tg_stands_alone(n); }

static inline bool tg_is_realized(const tg_node *n) { return n->kind == TG_NODE_BUFFER; }

#endif

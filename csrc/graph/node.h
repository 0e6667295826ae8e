/* Nodes: the lazy graph. A node is one computation that has not run yet, or its result.
 *
 *     value of shape S  =  op(source 0 through its view, source 1 through its view, ...)
 *
 *        .----------- node ------------.
 *        | op ADD, float32, shape S    |     every edge is a node and a view of shape S over it:
 *        | src[0] ---view---> node     |     movement ops live on edges only, so no node moves data
 *        | src[1] ---view---> node     |     (a reduce's edge has the shape of what it reduces)
 *        '-----------------------------'
 *
 * A node is immutable but for one transition: once realized it owns a buffer (contiguous in S) and
 * lets go of its sources. Nodes never form cycles. A node with sources is pending: all of these are in one list, oldest
 * first, and what only they keep alive is counted (graph/pending.h).
 *
 * All functions need the graph lock (the GIL). Reference counts are plain. Freeing a chain of any
 * length is iterative.
 * Owns: its shape, one reference on each source and view, and the buffer once realized. */
#ifndef TG_GRAPH_NODE_H
#define TG_GRAPH_NODE_H

#include "graph/buffer.h"
#include "graph/dtype.h"
#include "graph/ops.h"
#include "graph/view.h"

typedef enum tg_node_kind {
  TG_NODE_BUFFER,      /* realized from the start */
  TG_NODE_CONST,       /* `value`; shape () */
  TG_NODE_ARANGE,      /* 0, 1, 2, ...; shape (n,) */
  TG_NODE_RANDOM,      /* uniform in [0, 1): a function of value.u (the key) and the flat index */
  TG_NODE_ELEMENTWISE, /* op on 1 to 3 sources */
  TG_NODE_CAST,        /* converted to dtype */
  TG_NODE_BITCAST,     /* the source's bytes as dtype; its edge is contiguous, and it is no bit cast */
  TG_NODE_REDUCE,      /* op over the axes in `axes`, kept with size 1 */
  TG_NODE_COPY,        /* the source, made contiguous */
  TG_NODE_SCAN,        /* running sum along the axis in `axes` */
  TG_NODE_SORT,        /* int64: the indices that sort the axis in `axes`, the first `extent`; descending if value.u */
  TG_NODE_GATHER,      /* source 0 at: what its view sees + value.i * source 1, an index below `extent` */
  TG_NODE_SCATTER,     /* source 0 added onto zeros, along the axis in `axes` at source 1, below `extent` */
} tg_node_kind;

typedef struct tg_node tg_node;

typedef struct tg_edge {
  tg_node *node;
  tg_view *view;
} tg_edge;

struct tg_node {
  int64_t refs;
  int64_t held; /* how many of them are edges of nodes */
  uint8_t kind; /* tg_node_kind */
  uint8_t op;   /* tg_op */
  uint8_t dtype;
  uint8_t nsrc;
  uint8_t readers; /* nodes that have ever had it as a source; 2: or more */
  uint32_t axes;
  uint32_t origin; /* who asked for it, a number of the recorder's (tg_node_set_stamp); 0: not known */
  tg_view *shape;  /* contiguous: the node's own shape */
  tg_scalar value;
  int64_t extent;
  tg_buffer *buffer;      /* NULL until realized */
  int64_t mark;           /* the scheduler's: index within the schedule being built, -1 outside */
  tg_node *older, *newer; /* in the list of pending nodes */
  double below;           /* tg_node_footprint of the sources together, when it was made */
  tg_edge src[3];
};

/* Constructors take their own references on nodes and views and write *out last. */

tg_status tg_node_buffer(tg_dtype dtype, int ndim, const int64_t *shape, tg_node **out) TG_MUST_CHECK;
/* As above, in a buffer that is there already, and has that many bytes. */
tg_status tg_node_of(tg_buffer *buffer, tg_dtype dtype, int ndim, const int64_t *shape, tg_node **out) TG_MUST_CHECK;
tg_status tg_node_const(tg_dtype dtype, tg_scalar value, tg_node **out) TG_MUST_CHECK;
tg_status tg_node_arange(tg_dtype dtype, int64_t n, tg_node **out) TG_MUST_CHECK;
tg_status tg_node_random(tg_dtype dtype, int ndim, const int64_t *shape, uint64_t key, tg_node **out) TG_MUST_CHECK;

/* op of kind UNARY, BINARY or TERNARY on tg_ops[op].arity edges of equal shape (VALUE otherwise).
 * The dtype is the promoted one; TYPE where the op has no meaning for it (NEG, SUB, MOD, FLOORDIV, SHL and SHR of
 * bools, operations on bits of floats), UNSUPPORTED for ops that are only named. */
tg_status tg_node_elementwise(tg_op op, const tg_edge *src, tg_node **out) TG_MUST_CHECK;
/* The operand that an operation returns as it is, whatever its values: of x * 1, x / 1 and x - 0 (x + 0 changes -0). -1
 * if there is none. */
int tg_node_unchanged(tg_op op, const tg_edge *src);
tg_status tg_node_cast(tg_edge src, tg_dtype dtype, tg_node **out) TG_MUST_CHECK;
/* Same bytes; at another itemsize the last axis changes (VALUE where it can't). */
tg_status tg_node_bitcast(tg_edge src, tg_dtype dtype, tg_node **out) TG_MUST_CHECK;
/* The reduced axes become 1. What the edge only repeats along others is computed once: the view of the result repeats
 * it. VALUE for the maximum of nothing. axes beyond the edge's dims must be 0. */
tg_status tg_node_reduce(tg_op op, tg_edge src, uint32_t axes, tg_edge *out) TG_MUST_CHECK;
tg_status tg_node_copy(tg_edge src, tg_node **out) TG_MUST_CHECK;

/* The copy to go on with where a view has many levels; *copy is NULL if it has few. */
tg_status tg_node_settle(tg_edge src, tg_node **copy) TG_MUST_CHECK;
/* out[i, j, ...] = in[i, 0, ...] + in[i, 1, ...] + ... up to j along the axis, in the source's dtype. */
tg_status tg_node_scan(tg_edge src, int axis, tg_node **out) TG_MUST_CHECK;
/* out[i, j, ...] = the index along the axis (1, say) of the element that comes j-th in order, for j < count: VALUE if
 * the axis has fewer. Equal elements come in the order of their indices; NaN is larger than all numbers. */
tg_status tg_node_sort(tg_edge src, int axis, bool descending, int64_t count, tg_node **out) TG_MUST_CHECK;
/* out[i, j, ...] = data[i, index[i, j, ...], ...] for axis 1, of index's shape, whose other axes are at most
 * data's. TYPE unless index has an integer dtype, VALUE for other shapes; INDEX for what lies outside the
 * axis (negative counts from its end), which is found when it is computed. */
tg_status tg_node_gather(tg_edge data, tg_edge index, int axis, tg_node **out) TG_MUST_CHECK;
/* Its adjoint, of the given shape: out[i, index[i, j, ...], ...] += values[i, j, ...]. */
tg_status tg_node_scatter(tg_edge values, tg_edge index, int axis, int ndim, const int64_t *shape,
                          tg_node **out) TG_MUST_CHECK;

/* Where a SCATTER writes: the element's position is what *base sees + *step * index. */
tg_status tg_node_positions(const tg_node *n, tg_view **base, int64_t *step) TG_MUST_CHECK;

void tg_node_ref(tg_node *n);
void tg_node_unref(tg_node *n); /* NULL-safe */

/* Gives the node its value (taking its own reference on the buffer) and drops its sources. */
void tg_node_realize(tg_node *n, tg_buffer *buffer);

typedef struct tg_pending {
  tg_node *oldest, *newest;
  int64_t nodes; /* in the list */
  int64_t bytes; /* of values that nothing but pending nodes keeps */
} tg_pending;

/* New nodes have the origin 0, or if so asked for TG_ORIGIN_NEW, until the recorder gives them theirs. */
#define TG_ORIGIN_NEW UINT32_MAX
void tg_node_set_stamp(uint32_t origin);
/* Gives a new node, and the new ones it is made of, this origin. */
void tg_node_set_origin(tg_node *n, uint32_t origin);

const tg_pending *tg_node_pending(void);

/* The least memory in which the value can be kept: as it is, or as pending work on the values beneath. */
double tg_node_footprint(const tg_node *n);

/* Bytes of the value; VALUE if that overflows. */
tg_status tg_node_bytes(const tg_node *n, size_t *bytes) TG_MUST_CHECK;

#endif

/* The lazy graph (see node.h). Callers: py/ builds it, sched/ reads it and realizes nodes. */
#include "graph/node.h"

#include <string.h>

#include "base/alloc.h"

static tg_status overflow_error(const tg_view *shape, tg_dtype dtype) {
  char text[256] = "";
  tg_format_shape(text, sizeof text, shape->ndim, shape->shape);
  return tg_fail(TG_ERR_VALUE, "a tensor of shape %s and dtype %s is too large for this machine", text,
                 tg_dtypes[dtype].attribute);
}

static uint32_t stamp; /* of new nodes */

void tg_node_set_stamp(uint32_t origin) { stamp = origin; }

/* Takes over the reference on `shape` in every case. */
static tg_status new_node(tg_node_kind kind, tg_dtype dtype, tg_view *shape, tg_node **out) {
  tg_node *n = tg_calloc(1, sizeof *n);
  if (!n) {
    tg_view_unref(shape);
    return tg_fail_memory(sizeof *n);
  }
  n->refs = 1;
  n->kind = (uint8_t)kind;
  n->dtype = (uint8_t)dtype;
  n->shape = shape;
  n->mark = -1;
  n->origin = stamp;
  *out = n;
  return TG_OK;
}

static tg_status new_shaped(tg_node_kind kind, tg_dtype dtype, int ndim, const int64_t *shape, tg_node **out) {
  tg_view *view;
  tg_status status = tg_view_contiguous(ndim, shape, &view);
  if (status) return status;
  if (view->size > INT64_MAX / 16) {
    status = overflow_error(view, dtype);
    tg_view_unref(view);
    return status;
  }
  return new_node(kind, dtype, view, out);
}

/* ---- what is pending ---- */

#define PENDING_BYTES 1024 /* a pending node with its views and the Python objects around it, about */

static tg_pending pending;

const tg_pending *tg_node_pending(void) { return &pending; }

static void enter(tg_node *n) {
  n->older = pending.newest;
  *(n->older ? &n->older->newer : &pending.oldest) = n;
  pending.newest = n;
  pending.nodes++;
}

static void leave(tg_node *n) {
  *(n->older ? &n->older->newer : &pending.oldest) = n->newer;
  *(n->newer ? &n->newer->older : &pending.newest) = n->older;
  n->older = n->newer = NULL;
  pending.nodes--;
}

/* What this node adds to pending.bytes. */
static int64_t kept_bytes(const tg_node *n) {
  return n->buffer && n->refs && n->refs == n->held ? (int64_t)n->buffer->bytes : 0;
}

/* Every change of a node's references, of which `held` are edges. */
static void add_refs(tg_node *n, int refs, int held) {
  pending.bytes -= kept_bytes(n);
  n->refs += refs;
  n->held += held;
  pending.bytes += kept_bytes(n);
}

static double value_bytes(const tg_node *n) { return (double)n->shape->size * (double)tg_itemsize((tg_dtype)n->dtype); }

double tg_node_footprint(const tg_node *n) {
  double value = value_bytes(n), work = PENDING_BYTES + n->below;
  return !n->buffer && work < value ? work : value;
}

/* Sources are set in order, from the first. */
static void set_source(tg_node *n, int i, tg_edge src) {
  bool again = false;
  for (int j = 0; j < i; j++) again |= n->src[j].node == src.node;
  if (!again) n->below += tg_node_footprint(src.node);
  if (i == 0) enter(n);
  n->src[i] = src;
  n->nsrc = (uint8_t)(i + 1);
  if (!again && src.node->readers < 2) src.node->readers++;
  add_refs(src.node, 1, 1);
  tg_view_ref(src.view);
}

/* ---- making nodes ---- */

/* A node of one source with that source's shape. */
static tg_status new_unary(tg_node_kind kind, tg_dtype dtype, tg_edge src, tg_node **out) {
  tg_node *n = NULL;
  tg_status status = new_shaped(kind, dtype, src.view->ndim, src.view->shape, &n);
  if (status) return status;
  set_source(n, 0, src);
  *out = n;
  return TG_OK;
}

tg_status tg_node_of(tg_buffer *buffer, tg_dtype dtype, int ndim, const int64_t *shape, tg_node **out) {
  tg_status status = new_shaped(TG_NODE_BUFFER, dtype, ndim, shape, out);
  if (status) return status;
  tg_buffer_ref(buffer);
  (*out)->buffer = buffer;
  return TG_OK;
}

tg_status tg_node_buffer(tg_dtype dtype, int ndim, const int64_t *shape, tg_node **out) {
  tg_node *n = NULL;
  size_t bytes;
  tg_status status = new_shaped(TG_NODE_BUFFER, dtype, ndim, shape, &n);
  if (status) return status;
  if (!(status = tg_node_bytes(n, &bytes))) status = tg_buffer_new(bytes, &n->buffer);
  if (status) {
    tg_node_unref(n);
    return status;
  }
  *out = n;
  return TG_OK;
}

tg_status tg_node_const(tg_dtype dtype, tg_scalar value, tg_node **out) {
  tg_status status = new_shaped(TG_NODE_CONST, dtype, 0, NULL, out);
  if (!status) (*out)->value = value;
  return status;
}

tg_status tg_node_arange(tg_dtype dtype, int64_t n, tg_node **out) {
  return new_shaped(TG_NODE_ARANGE, dtype, 1, &n, out);
}

tg_status tg_node_random(tg_dtype dtype, int ndim, const int64_t *shape, uint64_t key, tg_node **out) {
  if (dtype != TG_F32 && dtype != TG_F64)
    return tg_fail(TG_ERR_TYPE, "random numbers are float32 or float64, not %s", tg_dtypes[dtype].attribute);
  tg_status status = new_shaped(TG_NODE_RANDOM, dtype, ndim, shape, out);
  if (!status) (*out)->value.u = key;
  return status;
}

static bool same_shape(const tg_view *a, const tg_view *b) {
  if (a->ndim != b->ndim) return false;
  for (int i = 0; i < a->ndim; i++)
    if (a->shape[i] != b->shape[i]) return false;
  return true;
}

/* Is every element of the edge this constant? */
static bool is_const(const tg_edge *e, int number) {
  if (e->node->kind != TG_NODE_CONST) return false;
  for (const tg_view *v = e->view; v; v = v->below)
    if (v->nbound) return false;
  return tg_dtypes[e->node->dtype].is_float ? e->node->value.f == number : e->node->value.i == number;
}

int tg_node_unchanged(tg_op op, const tg_edge *src) {
  int kept = -1;
  if ((op == TG_OP_MUL || op == TG_OP_DIV) && is_const(&src[1], 1)) kept = 0;
  else if (op == TG_OP_SUB && is_const(&src[1], 0) && !src[1].node->value.u) kept = 0; /* -0 - -0 is 0 */
  else if (op == TG_OP_MUL && is_const(&src[0], 1)) kept = 1;
  if (kept < 0 || !same_shape(src[0].view, src[1].view)) return -1;
  tg_dtype dtype = src[kept].node->dtype;
  return dtype != TG_BOOL && tg_promote(dtype, src[1 - kept].node->dtype) == dtype ? kept : -1;
}

tg_status tg_node_elementwise(tg_op op, const tg_edge *src, tg_node **out) {
  const tg_op_info *info = &tg_ops[op];
  if (info->kind != TG_KIND_UNARY && info->kind != TG_KIND_BINARY && info->kind != TG_KIND_TERNARY)
    return tg_fail(TG_ERR_UNSUPPORTED, "%s.%s is not an elementwise operation", info->python_enum, info->member);
  tg_dtype dtype = src[0].node->dtype;
  for (int i = 1; i < info->arity; i++) {
    if (!same_shape(src[0].view, src[i].view)) {
      char a[256] = "", b[256] = "";
      tg_format_shape(a, sizeof a, src[0].view->ndim, src[0].view->shape);
      tg_format_shape(b, sizeof b, src[i].view->ndim, src[i].view->shape);
      return tg_fail(TG_ERR_VALUE, "%s.%s of shapes %s and %s", info->python_enum, info->member, a, b);
    }
    dtype = tg_promote(dtype, src[i].node->dtype);
  }
  bool counts = op == TG_OP_NEG || op == TG_OP_SUB || op == TG_OP_MOD || op == TG_OP_FLOORDIV || op == TG_OP_SHL ||
                op == TG_OP_SHR;
  if ((dtype == TG_BOOL && counts) || (tg_dtypes[dtype].is_float && info->domain == TG_DOMAIN_WHOLE))
    return tg_fail(TG_ERR_TYPE, "%s.%s is not defined for %s", info->python_enum, info->member,
                   tg_dtypes[dtype].attribute);
  tg_node *n = NULL;
  tg_status status = new_shaped(TG_NODE_ELEMENTWISE, dtype, src[0].view->ndim, src[0].view->shape, &n);
  if (status) return status;
  n->op = (uint8_t)op;
  for (int i = 0; i < info->arity; i++) set_source(n, i, src[i]);
  *out = n;
  return TG_OK;
}

tg_status tg_node_cast(tg_edge src, tg_dtype dtype, tg_node **out) { return new_unary(TG_NODE_CAST, dtype, src, out); }

tg_status tg_node_copy(tg_edge src, tg_node **out) { return new_unary(TG_NODE_COPY, src.node->dtype, src, out); }

#define FEW_LEVELS 4   /* to look through more is slower than copies on the way */
#define MOST_LEVELS 32 /* walks, and what prints views, go down a level by a call */

tg_status tg_node_settle(tg_edge src, tg_node **copy) {
  int levels = 0;
  for (const tg_view *v = src.view; v; v = v->below) levels++;
  bool small = src.node->buffer && src.view->size <= src.node->shape->size; /* nothing to crop is computed for it */
  *copy = NULL;
  return levels > (small ? FEW_LEVELS : MOST_LEVELS) ? tg_node_copy(src, copy) : TG_OK;
}

tg_status tg_node_bitcast(tg_edge src, tg_dtype dtype, tg_node **out) {
  if (dtype == TG_BOOL) { /* registers hold truth as 0 or 1, whatever the byte was */
    tg_node *bytes;
    tg_status failed = tg_node_bitcast(src, TG_U8, &bytes);
    if (failed) return failed;
    failed = tg_node_cast((tg_edge){bytes, bytes->shape}, TG_BOOL, out);
    tg_node_unref(bytes);
    return failed;
  }
  int64_t shape[TG_MAX_DIMS], from = (int64_t)tg_itemsize(src.node->dtype), to = (int64_t)tg_itemsize(dtype);
  int last = src.view->ndim - 1;
  for (int i = 0; i <= last; i++) shape[i] = src.view->shape[i];
  if (from != to) {
    int64_t bytes;
    if (last < 0 || __builtin_mul_overflow(shape[last], from, &bytes) || bytes % to)
      return tg_fail(TG_ERR_VALUE, "bitcast from %s to %s needs a last axis whose bytes it divides",
                     tg_dtypes[src.node->dtype].attribute, tg_dtypes[dtype].attribute);
    shape[last] = bytes / to;
  }
  tg_node *n = NULL, *copy = NULL;
  tg_status status;
  tg_edge edge = src.node->kind == TG_NODE_BITCAST ? src.node->src[0] : src; /* no bit cast is cast again */
  const tg_buffer *buffer = edge.node->buffer; /* another library's memory may be aligned to its own elements only */
  bool aligned = !buffer || (uintptr_t)buffer->data % (size_t)to == 0;
  if (!aligned || !tg_view_is_contiguous(src.view) || src.node->shape->size != src.view->size) {
    if ((status = tg_node_copy(src, &copy))) return status;
    edge = (tg_edge){copy, copy->shape};
  }
  status = new_shaped(TG_NODE_BITCAST, dtype, last + 1, shape, &n);
  if (!status) {
    set_source(n, 0, edge);
    *out = n;
  }
  tg_node_unref(copy);
  return status;
}

#define MIN_REPEATED (1 << 14) /* points that are left out if each result is computed once */

/* The edge without what it repeats along dims that are not reduced, if that is worth it. */
static tg_status drop_repeated(tg_edge src, uint32_t axes, tg_view **out) {
  int64_t start[TG_MAX_DIMS] = {0}, stop[TG_MAX_DIMS], size = 1;
  for (int i = 0; i < src.view->ndim; i++) {
    bool kept = axes >> i & 1 || !src.view->size || tg_view_depends(src.view, i);
    size *= stop[i] = kept ? src.view->shape[i] : 1;
  }
  if (src.view->size - size >= MIN_REPEATED) return tg_view_shrink(src.view, src.view->ndim, start, stop, out);
  tg_view_ref(*out = src.view);
  return TG_OK;
}

static tg_status reduce_node(tg_op op, tg_edge src, uint32_t axes, tg_node **out) {
  int64_t shape[TG_MAX_DIMS];
  int64_t reduced = 1, kept = 1;
  if (tg_ops[op].kind != TG_KIND_REDUCE)
    return tg_fail(TG_ERR_UNSUPPORTED, "%s.%s is not a reduction", tg_ops[op].python_enum, tg_ops[op].member);
  for (int i = 0; i < src.view->ndim; i++) {
    bool in = axes >> i & 1;
    shape[i] = in ? 1 : src.view->shape[i];
    if (in) reduced = reduced && src.view->shape[i];
    else kept = kept && src.view->shape[i];
  }
  if (op == TG_OP_REDUCE_MAX && !reduced && kept) {
    char text[256] = "";
    tg_format_shape(text, sizeof text, src.view->ndim, src.view->shape);
    return tg_fail(TG_ERR_VALUE, "maximum over an empty axis of shape %s", text);
  }
  tg_node *n = NULL;
  tg_status status = new_shaped(TG_NODE_REDUCE, src.node->dtype, src.view->ndim, shape, &n);
  if (status) return status;
  n->op = (uint8_t)op;
  n->axes = axes;
  set_source(n, 0, src);
  *out = n;
  return TG_OK;
}

tg_status tg_node_reduce(tg_op op, tg_edge src, uint32_t axes, tg_edge *out) {
  int64_t shape[TG_MAX_DIMS];
  tg_view *once, *view;
  tg_node *node = NULL;
  for (int i = 0; i < src.view->ndim; i++) shape[i] = axes >> i & 1 ? 1 : src.view->shape[i];
  tg_status status = drop_repeated(src, axes, &once);
  if (status) return status;
  status = reduce_node(op, (tg_edge){src.node, once}, axes, &node);
  tg_view_unref(once);
  if (status) return status;
  if ((status = tg_view_expand(node->shape, src.view->ndim, shape, &view))) tg_node_unref(node);
  else *out = (tg_edge){node, view};
  return status;
}

tg_status tg_node_scan(tg_edge src, int axis, tg_node **out) {
  tg_status status = new_unary(TG_NODE_SCAN, (tg_dtype)src.node->dtype, src, out);
  if (!status) (*out)->axes = 1u << axis;
  return status;
}

tg_status tg_node_sort(tg_edge src, int axis, bool descending, int64_t count, tg_node **out) {
  int64_t shape[TG_MAX_DIMS];
  tg_node *n = NULL;
  for (int i = 0; i < src.view->ndim; i++) shape[i] = src.view->shape[i];
  if (count < 0 || count > shape[axis])
    return tg_fail(TG_ERR_VALUE, "the first %lld of an axis of size %lld", (long long)count, (long long)shape[axis]);
  shape[axis] = count;
  tg_status status = new_shaped(TG_NODE_SORT, TG_I64, src.view->ndim, shape, &n);
  if (status) return status;
  n->axes = 1u << axis;
  n->extent = count;
  n->value.u = descending;
  set_source(n, 0, src);
  *out = n;
  return TG_OK;
}

/* Do an index of this shape and dtype fit data of that shape? */
static tg_status check_index(const tg_edge *index, int axis, int ndim, const int64_t *shape) {
  const tg_view *v = index->view;
  tg_dtype dtype = (tg_dtype)index->node->dtype;
  if (tg_dtypes[dtype].is_float || dtype == TG_BOOL || dtype == TG_U64)
    return tg_fail(TG_ERR_TYPE, "an index has an integer dtype that fits int64, not %s", tg_dtypes[dtype].attribute);
  bool fits = v->ndim == ndim;
  for (int i = 0; fits && i < ndim; i++) fits = i == axis || v->shape[i] <= shape[i];
  if (fits && !shape[axis] && v->size) return tg_fail(TG_ERR_INDEX, "an index into axis %d of size 0", axis);
  if (fits) return TG_OK;
  char a[256] = "", b[256] = "";
  tg_format_shape(a, sizeof a, v->ndim, v->shape);
  tg_format_shape(b, sizeof b, ndim, shape);
  return tg_fail(TG_ERR_VALUE, "an index of shape %s along axis %d of shape %s", a, axis, b);
}

/* `whole` with index 0 along the axis, seen with the index's shape. */
static tg_status start_of_axis(tg_view *whole, int axis, const tg_view *index, tg_view **out) {
  int64_t start[TG_MAX_DIMS] = {0}, stop[TG_MAX_DIMS];
  tg_view *first;
  if (!index->size) return tg_view_contiguous(index->ndim, index->shape, out);
  for (int i = 0; i < index->ndim; i++) stop[i] = i == axis ? 1 : index->shape[i];
  tg_status status = tg_view_shrink(whole, index->ndim, start, stop, &first);
  if (status) return status;
  status = tg_view_expand(first, index->ndim, index->shape, out);
  tg_view_unref(first);
  return status;
}

tg_status tg_node_gather(tg_edge data, tg_edge index, int axis, tg_node **out) {
  tg_node *n = NULL, *copy = NULL;
  tg_view *base = NULL;
  tg_status status = check_index(&index, axis, data.view->ndim, data.view->shape);
  if (status) return status;
  if (data.view->below || data.view->nbound) { /* positions are computed, so every element must have one */
    if ((status = tg_node_copy(data, &copy))) return status;
    data = (tg_edge){copy, copy->shape};
  }
  if ((status = start_of_axis(data.view, axis, index.view, &base))) goto done;
  if ((status = new_shaped(TG_NODE_GATHER, (tg_dtype)data.node->dtype, base->ndim, base->shape, &n))) goto done;
  n->value.i = data.view->stride[axis];
  n->extent = data.view->shape[axis];
  set_source(n, 0, (tg_edge){data.node, base});
  set_source(n, 1, index);
  *out = n;
done:
  tg_view_unref(base);
  tg_node_unref(copy);
  return status;
}

tg_status tg_node_scatter(tg_edge values, tg_edge index, int axis, int ndim, const int64_t *shape, tg_node **out) {
  tg_node *n = NULL;
  tg_status status = check_index(&index, axis, ndim, shape);
  if (status) return status;
  if (!same_shape(values.view, index.view)) {
    char a[256] = "", b[256] = "";
    tg_format_shape(a, sizeof a, values.view->ndim, values.view->shape);
    tg_format_shape(b, sizeof b, index.view->ndim, index.view->shape);
    return tg_fail(TG_ERR_VALUE, "values of shape %s and an index of shape %s", a, b);
  }
  if ((status = new_shaped(TG_NODE_SCATTER, (tg_dtype)values.node->dtype, ndim, shape, &n))) return status;
  n->axes = 1u << axis;
  n->extent = shape[axis];
  set_source(n, 0, values);
  set_source(n, 1, index);
  *out = n;
  return TG_OK;
}

tg_status tg_node_positions(const tg_node *n, tg_view **base, int64_t *step) {
  int axis = __builtin_ctz(n->axes);
  *step = n->shape->stride[axis];
  return start_of_axis(n->shape, axis, n->src[1].view, base);
}

/* One call makes a few nodes at most: the recursion is as shallow. */
void tg_node_set_origin(tg_node *n, uint32_t origin) {
  if (n->origin != TG_ORIGIN_NEW) return;
  n->origin = origin;
  for (int i = 0; i < n->nsrc; i++) tg_node_set_origin(n->src[i].node, origin);
}

/* ---- life ---- */

void tg_node_ref(tg_node *n) { add_refs(n, 1, 0); }

/* Puts n on the list if nobody refers to it any more. The list is linked through `mark`, which a node about to be
 * freed no longer needs. */
static void release(tg_node *n, tg_node **list) {
  if (n->refs) return;
  n->mark = (int64_t)(intptr_t)*list;
  *list = n;
}

static void drop_sources(tg_node *n, tg_node **list) {
  if (n->nsrc) leave(n);
  for (int i = 0; i < n->nsrc; i++) {
    tg_view_unref(n->src[i].view);
    add_refs(n->src[i].node, -1, -1);
    release(n->src[i].node, list);
  }
  n->nsrc = 0;
}

/* All are taken out of the graph before a buffer goes: the memory of another library may be freed with it, and that may
 * run Python code. */
static void free_all(tg_node *list) {
  tg_node *dropped = NULL;
  while (list) {
    tg_node *n = list;
    list = (tg_node *)(intptr_t)n->mark;
    drop_sources(n, &list);
    n->mark = (int64_t)(intptr_t)dropped;
    dropped = n;
  }
  while (dropped) {
    tg_node *n = dropped;
    dropped = (tg_node *)(intptr_t)n->mark;
    tg_view_unref(n->shape);
    tg_buffer_unref(n->buffer);
    tg_free(n);
  }
}

void tg_node_unref(tg_node *n) {
  tg_node *list = NULL;
  if (!n) return;
  add_refs(n, -1, 0);
  release(n, &list);
  free_all(list);
}

void tg_node_realize(tg_node *n, tg_buffer *buffer) {
  tg_node *list = NULL;
  tg_buffer_ref(buffer);
  n->buffer = buffer;
  n->kind = TG_NODE_BUFFER;
  pending.bytes += kept_bytes(n);
  drop_sources(n, &list);
  free_all(list);
}

tg_status tg_node_bytes(const tg_node *n, size_t *bytes) {
  if (__builtin_mul_overflow((uint64_t)n->shape->size, (uint64_t)tg_itemsize((tg_dtype)n->dtype), bytes))
    return overflow_error(n->shape, (tg_dtype)n->dtype);
  return TG_OK;
}

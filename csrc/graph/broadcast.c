/* Broadcasting and the matrix product (see broadcast.h). The product of matrices is (rows, 1, k) times (1, columns, k),
 * summed over k: the scheduler finds the contraction in it, so nothing else has to know that there is one. */
#include "graph/broadcast.h"

static void release(tg_edge *e) {
  tg_node_unref(e->node);
  tg_view_unref(e->view);
}

/* The shape that n operands broadcast to, if they do. */
static bool broadcast_shape(const tg_edge *operand, int n, int *ndim, int64_t *shape) {
  *ndim = 0;
  for (int i = 0; i < n; i++)
    if (operand[i].view->ndim > *ndim) *ndim = operand[i].view->ndim;
  for (int d = 0; d < *ndim; d++) {
    shape[d] = 1;
    for (int i = 0; i < n; i++) {
      const tg_view *v = operand[i].view;
      int own = d - (*ndim - v->ndim);
      if (own < 0 || v->shape[own] == 1 || v->shape[own] == shape[d]) continue;
      if (shape[d] != 1) return false;
      shape[d] = v->shape[own];
    }
  }
  return true;
}

/* op on operands in that shape. */
static tg_status apply(tg_op op, const tg_edge *operand, int ndim, const int64_t *shape, tg_edge *out) {
  tg_edge src[3] = {{0}};
  int arity = tg_ops[op].arity;
  tg_status status = TG_OK;
  for (int i = 0; i < arity && !status; i++) {
    src[i].node = operand[i].node;
    status = tg_view_expand(operand[i].view, ndim, shape, &src[i].view);
  }
  tg_edge result = {NULL, NULL};
  int same = status || arity != 2 ? -1 : tg_node_unchanged(op, src);
  if (same >= 0) {
    result = src[same];
    tg_node_ref(result.node);
    tg_view_ref(result.view);
  } else if (!status && !(status = tg_node_elementwise(op, src, &result.node))) {
    result.view = result.node->shape;
    tg_view_ref(result.view);
  }
  for (int i = 0; i < arity; i++) tg_view_unref(src[i].view);
  if (!status) *out = result;
  return status;
}

tg_status tg_broadcast(tg_op op, const tg_edge *operand, tg_edge *out) {
  char text[3][256] = {""};
  int64_t shape[TG_MAX_DIMS];
  int ndim, arity = tg_ops[op].arity;
  if (broadcast_shape(operand, arity, &ndim, shape)) return apply(op, operand, ndim, shape, out);
  for (int i = 0; i < arity; i++)
    tg_format_shape(text[i], sizeof text[i], operand[i].view->ndim, operand[i].view->shape);
  return tg_fail(TG_ERR_VALUE, "shapes %s, %s%s%s can't be broadcast together", text[0], text[1], arity > 2 ? ", " : "",
                 text[2]);
}

/* A factor with its last axes (rows, columns, k): one of them 1, that of the other factor. */
static tg_status matrix(const tg_edge *of, bool right, bool swapped, tg_view **out) {
  tg_view *v = of->view, *turned = NULL;
  int64_t order[TG_MAX_DIMS], shape[TG_MAX_DIMS + 1];
  int last = v->ndim - 1;
  if (last < 1 || last + 2 > TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "a matrix product of a LazyBuffer with %d axes: from 2 to %d are supported", v->ndim,
                   TG_MAX_DIMS - 1);
  for (int i = 0; i <= last; i++) order[i] = i;
  if (right != swapped) order[last] = last - 1, order[last - 1] = last;
  tg_status status = tg_view_permute(v, v->ndim, order, &turned);
  if (status) return status;
  for (int i = 0; i < last; i++) shape[i] = turned->shape[i];
  shape[last] = right ? turned->shape[last - 1] : 1;
  if (right) shape[last - 1] = 1;
  shape[last + 1] = turned->shape[last];
  status = tg_view_reshape(turned, last + 2, shape, out);
  tg_view_unref(turned);
  return status;
}

tg_status tg_dot(const tg_edge *factor, const bool *swapped, tg_edge *out) {
  tg_edge of[2] = {{factor[0].node, NULL}, {factor[1].node, NULL}}, product = {NULL, NULL}, sum = {NULL, NULL};
  tg_view *view = NULL;
  int64_t shape[TG_MAX_DIMS];
  int ndim;
  tg_status status = TG_OK;
  for (int i = 0; i < 2 && !status; i++) status = matrix(&factor[i], i, swapped[i], &of[i].view);
  if (status) goto done;
  if (!broadcast_shape(of, 2, &ndim, shape)) {
    char text[2][256] = {"", ""};
    for (int i = 0; i < 2; i++) tg_format_shape(text[i], sizeof text[i], factor[i].view->ndim, factor[i].view->shape);
    status = tg_fail(TG_ERR_VALUE, "the shapes %s and %s of a matrix product can't be broadcast together", text[0],
                     text[1]);
    goto done;
  }
  if ((status = apply(TG_OP_MUL, of, ndim, shape, &product))) goto done;
  int last = product.view->ndim - 1;
  if (product.view->shape[last] == 1) { /* nothing to add up */
    sum = product;
    product = (tg_edge){NULL, NULL};
  } else if ((status = tg_node_reduce(TG_OP_REDUCE_SUM, product, 1u << last, &sum))) goto done;
  if ((status = tg_view_reshape(sum.view, last, sum.view->shape, &view))) goto done;
  *out = (tg_edge){sum.node, view};
  sum.node = NULL;
done:
  for (int i = 0; i < 2; i++) tg_view_unref(of[i].view);
  release(&product);
  release(&sum);
  return status;
}

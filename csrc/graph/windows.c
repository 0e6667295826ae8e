/* Sliding windows and their adjoint (see windows.h).
 *
 * Element i of the adjoint is the sum over all windows o and places k with stride * o + dilation * k = i. No affine map
 * finds o for a stride s above 1, as it depends on the remainder of i. So i is cut into s * q + r: with dilation 1,
 * k must leave the same remainder, k = s * t + r, and then o = q - t:
 *
 *      in[s * q + r] = sum over t of windows[q - t, s * t + r]        zero where an index is out of range
 *
 * With g = gcd(s, dilation), only the remainders g * r are reached; the places are  k = (s/g) * t + r, and
 *
 *      o = q - (dilation/g) * t - c * r   where  dilation/g = 1 + c * (s/g)
 *
 * If there is no such c (stride 3, dilation 2), zeros between the places make it a larger kernel of dilation 1.
 * What is summed over t is stored by q and r, which is in C order of i: the result is a view of it. Windows that do not
 * overlap need no sum, but are put in this order once, as no affine map leads from i back to q and r.
 * Owns: nothing. */
#include "graph/windows.h"

#include <string.h>

#include "base/integers.h"
#include "graph/view_level.h"

/* How many windows fit into a dimension. */
static int64_t count_windows(int64_t in, int64_t kernel, int64_t stride, int64_t dilation) {
  int64_t reach;
  if (__builtin_mul_overflow(dilation, kernel - 1, &reach) || reach >= in) return 0;
  return (in - reach - 1) / stride + 1;
}

tg_status tg_view_window(tg_view *v, int n, const int64_t *kernel, const int64_t *stride, const int64_t *dilation,
                         tg_view **out) {
  char from[TG_SHAPE_TEXT];
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS];
  if (n < 0 || n > v->ndim || v->ndim + n > TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "cannot window %d dimensions of %s", n, tg_level_show(from, v->ndim, v->shape));
  int lead = v->ndim - n, ndim = v->ndim + n;
  tg_level_identity(ndim, index);
  for (int i = 0; i < v->ndim; i++) shape[i] = v->shape[i];
  for (int i = 0; i < n; i++) {
    if (kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1)
      return tg_fail(TG_ERR_VALUE, "window of size %lld, stride %lld, dilation %lld over %s", (long long)kernel[i],
                     (long long)stride[i], (long long)dilation[i], tg_level_show(from, v->ndim, v->shape));
    int o = lead + i, k = v->ndim + i;
    shape[o] = count_windows(v->shape[o], kernel[i], stride[i], dilation[i]);
    shape[k] = kernel[i];
    index[o].coef[o] = shape[o] > 1 ? stride[i] : 0;
    index[o].coef[k] = kernel[i] > 1 ? dilation[i] : 0;
  }
  return tg_level_look_through(v, ndim, shape, index, out);
}

/* ---- the adjoint ---- */

/* One axis of it, in the letters used above. */
typedef struct axis {
  int64_t in, out, kernel, stride, dilation; /* as given; kernel and dilation: after zeros were put between */
  int64_t q, r, t;                           /* how many of each */
  int64_t gap;                               /* g: elements from one remainder that is reached to the next */
  int64_t by_t, by_r;                        /* o = q - by_t * t - by_r * r */
} axis;

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static void plan_axis(axis *a) {
  if (a->out <= 1) a->stride = 1;
  if (a->kernel == 1) a->dilation = 1;
  a->gap = gcd(a->stride, a->dilation);
  a->r = a->stride / a->gap;
  if ((a->dilation / a->gap - 1) % a->r) { /* only for out > 1: the kernel fits into `in`, so nothing overflows */
    a->kernel = (a->kernel - 1) * a->dilation + 1;
    a->dilation = a->gap = 1;
    a->r = a->stride;
  }
  a->by_t = a->dilation / a->gap;
  a->by_r = (a->by_t - 1) / a->r;
  a->t = (a->kernel - 1) / a->r + 1;
  if (a->out == 0) return; /* q = 0 */
  int64_t last = a->out - 1 + a->by_t * (a->t - 1) + a->by_r * (tg_min(a->r, a->kernel) - 1);
  a->q = tg_min((a->in - 1) / a->stride, last) + 1;
}

/* Puts factor - 1 zeros behind each element of a dimension but the last. */
static tg_status dilate(tg_view *v, int dim, int64_t factor, tg_view **out) {
  int64_t shape[TG_MAX_DIMS], zero[TG_MAX_DIMS] = {0}, after[TG_MAX_DIMS] = {0};
  tg_view *split = NULL, *padded = NULL, *joined = NULL;
  if (v->ndim == TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "more than %d dimensions on the way of a window's adjoint", TG_MAX_DIMS);
  for (int i = 0; i <= v->ndim; i++) shape[i] = i <= dim ? v->shape[i] : i == dim + 1 ? 1 : v->shape[i - 1];
  after[dim + 1] = factor - 1;
  tg_status status = tg_view_reshape(v, v->ndim + 1, shape, &split);
  if (!status) status = tg_view_pad(split, split->ndim, zero, after, &padded);
  memcpy(shape, v->shape, (size_t)v->ndim * sizeof *shape);
  if (!status) { /* then the product does not overflow */
    shape[dim] *= factor;
    status = tg_view_reshape(padded, v->ndim, shape, &joined);
    shape[dim] -= factor - 1;
  }
  if (!status) status = tg_view_shrink(joined, v->ndim, zero, shape, out);
  tg_view_unref(split);
  tg_view_unref(padded);
  tg_view_unref(joined);
  return status;
}

/* A new dimension of `size` points: its number, or -1 if it would be one point only. */
static int add_dim(int64_t *shape, int *ndim, int64_t size) {
  if (size == 1) return -1;
  shape[*ndim] = size;
  return (*ndim)++;
}

static void depend(tg_form *index, int dim, int64_t by) {
  if (dim >= 0) index->coef[dim] = by;
}

/* The windows seen from (lead, q, r and gap of each axis, t of each axis), without those that are 1; *summed are the
 * dimensions of t. */
static tg_status see_parts(tg_view *v, int n, const axis *axes, uint32_t *summed, tg_view **out) {
  tg_form index[TG_MAX_DIMS];
  int64_t shape[TG_MAX_DIMS], wide[TG_MAX_DIMS];
  tg_view *gaps = NULL;
  int lead = v->ndim - 2 * n, ndim = lead + 4 * n, first;
  *summed = 0;
  for (int i = 0; i < n; i++) ndim -= (axes[i].q == 1) + (axes[i].r == 1) + (axes[i].gap == 1) + (axes[i].t == 1);
  if (ndim > TG_MAX_DIMS || v->ndim + n > TG_MAX_DIMS)
    return tg_fail(TG_ERR_VALUE, "more than %d dimensions on the way of a window's adjoint", TG_MAX_DIMS);
  for (int i = 0; i < v->ndim + n; i++) wide[i] = i < v->ndim ? v->shape[i] : 1;
  tg_status status = tg_view_reshape(v, v->ndim + n, wide, &gaps); /* of a gap, only place 0 has an element */
  if (status) return status;
  memset(index, 0, sizeof index);
  for (ndim = 0; ndim < lead; ndim++) shape[ndim] = v->shape[ndim], index[ndim].coef[ndim] = 1;
  for (int i = 0; i < n; i++) {
    int q = add_dim(shape, &ndim, axes[i].q), r = add_dim(shape, &ndim, axes[i].r);
    depend(&index[lead + i], q, 1);
    depend(&index[lead + i], r, -axes[i].by_r);
    depend(&index[lead + n + i], r, 1);
    depend(&index[lead + 2 * n + i], add_dim(shape, &ndim, axes[i].gap), 1);
  }
  first = ndim;
  for (int i = 0; i < n; i++) {
    int t = add_dim(shape, &ndim, axes[i].t);
    depend(&index[lead + i], t, -axes[i].by_t);
    depend(&index[lead + n + i], t, axes[i].r);
  }
  for (int t = first; t < ndim; t++) *summed |= UINT32_C(1) << t;
  status = tg_level_look_through(gaps, ndim, shape, index, out);
  tg_view_unref(gaps);
  return status;
}

/* What was stored by q, r and gap, as the result: what no window reaches is zero. */
static tg_status join_parts(tg_view *v, int lead, int n, const axis *axes, tg_view **out) {
  char text[TG_SHAPE_TEXT];
  int64_t joined[TG_MAX_DIMS], kept[TG_MAX_DIMS], zero[TG_MAX_DIMS] = {0}, after[TG_MAX_DIMS] = {0};
  tg_view *whole = NULL, *cut = NULL;
  for (int i = 0; i < lead; i++) joined[i] = kept[i] = v->shape[i];
  for (int i = 0; i < n; i++) {
    if (__builtin_mul_overflow(axes[i].q, axes[i].stride, &joined[lead + i]))
      return tg_fail(TG_ERR_VALUE, "the adjoint's parts %s are too large", tg_level_show(text, v->ndim, v->shape));
    kept[lead + i] = tg_min(axes[i].in, joined[lead + i]);
    after[lead + i] = axes[i].in - kept[lead + i];
  }
  tg_status status = tg_view_reshape(v, lead + n, joined, &whole);
  if (!status) status = tg_view_shrink(whole, lead + n, zero, kept, &cut);
  if (!status) status = tg_view_pad(cut, lead + n, zero, after, out);
  tg_view_unref(whole);
  tg_view_unref(cut);
  return status;
}

tg_status tg_node_overlap(tg_edge windows, int n, const int64_t *in, const int64_t *stride, const int64_t *dilation,
                          tg_node **node, tg_view **view) {
  char from[TG_SHAPE_TEXT], to[TG_SHAPE_TEXT];
  axis axes[TG_MAX_DIMS / 2];
  tg_view *v = windows.view, *dilated, *parts;
  uint32_t summed = 0;
  tg_status status;
  bool fits = n >= 0 && 2 * (int64_t)n <= v->ndim;
  int lead = v->ndim - 2 * n;
  for (int i = 0; fits && i < n; i++) {
    axes[i] = (axis){in[i], v->shape[lead + i], v->shape[lead + n + i], stride[i], dilation[i], 0, 0, 0, 0, 0, 0};
    fits = in[i] >= 0 && axes[i].kernel >= 1 && stride[i] >= 1 && dilation[i] >= 1 &&
           count_windows(in[i], axes[i].kernel, stride[i], dilation[i]) == axes[i].out;
  }
  if (!fits)
    return tg_fail(TG_ERR_VALUE, "%s are not the windows of %s", tg_level_show(from, v->ndim, v->shape),
                   tg_level_show(to, n < 0 ? 0 : n, in));
  tg_view_ref(v);
  for (int i = 0; i < n; i++) {
    plan_axis(&axes[i]);
    if (axes[i].kernel == v->shape[lead + n + i]) continue;
    status = dilate(v, lead + n + i, dilation[i], &dilated);
    tg_view_unref(v);
    if (status) return status;
    v = dilated;
  }
  status = see_parts(v, n, axes, &summed, &parts);
  tg_view_unref(v);
  if (status) return status;
  windows.view = parts;
  tg_edge sum = {NULL, NULL};
  if (summed) status = tg_node_reduce(TG_OP_REDUCE_SUM, windows, summed, &sum);
  else if (!(status = tg_node_copy(windows, &sum.node))) tg_view_ref(sum.view = sum.node->shape);
  tg_view_unref(parts);
  if (status) return status;
  if ((status = join_parts(sum.view, lead, n, axes, view))) tg_node_unref(sum.node);
  else *node = sum.node;
  tg_view_unref(sum.view);
  return status;
}

/* Views without the graph lock (see layout.h). Callers: pack.c, window.c, dot.c. */
#include "exec/layout.h"

#include "base/alloc.h"
#include "base/integers.h"

tg_dims tg_dims_of(const int64_t *shape, int first, int count) {
  return (tg_dims){first, count, tg_product(shape + first, count)};
}

tg_view *tg_layout(const tg_view *v, int ndim, const tg_layout_dim *dims) {
  int nclip = 0;
  for (int i = 0; i < ndim; i++) nclip += dims[i].clip;
  size_t nbound = (size_t)v->nbound + (size_t)nclip, row = (size_t)ndim * sizeof(int64_t);
  tg_view *made = tg_calloc(1, sizeof *made + nbound * sizeof(tg_bound) + (2 + nbound) * row);
  if (!made) return NULL;
  tg_bound *bound = (tg_bound *)(made + 1);
  int64_t *shape = (int64_t *)(bound + nbound), *stride = shape + ndim, *coef = stride + ndim;
  *made = (tg_view){.refs = 1, .ndim = ndim, .nbound = (int)nbound, .size = 1, .below = v->below, .offset = v->offset};
  made->shape = shape;
  made->stride = stride;
  made->bound = bound;
  for (int i = 0; i < ndim; i++) {
    shape[i] = dims[i].size;
    stride[i] = v->stride[dims[i].source];
    made->size *= shape[i];
    made->offset -= stride[i] * dims[i].before;
  }
  for (int k = 0; k < v->nbound; k++, coef += ndim) {
    bound[k] = (tg_bound){v->bound[k].offset, v->bound[k].size, coef};
    for (int i = 0; i < ndim; i++) {
      coef[i] = v->bound[k].coef[dims[i].source];
      bound[k].offset -= coef[i] * dims[i].before;
    }
  }
  for (int i = 0, k = v->nbound; i < ndim; i++) {
    if (!dims[i].clip) continue;
    const tg_layout_dim *with = &dims[dims[i].with];
    int64_t last = v->shape[dims[i].source] - 1 + dims[i].times * (v->shape[with->source] - 1);
    coef[i] = 1;
    if (dims[i].times) coef[dims[i].with] = dims[i].times;
    bound[k++] = (tg_bound){-dims[i].before - dims[i].times * with->before, last + 1, coef};
    coef += ndim;
  }
  return made;
}

tg_view *tg_layout_groups(const tg_view *v, int ngroup, const tg_dims *groups) {
  tg_layout_dim dims[TG_MAX_DIMS];
  int ndim = 0;
  for (int g = 0; g < ngroup; g++)
    for (int i = groups[g].first; i < groups[g].first + groups[g].count; i++)
      dims[ndim++] = (tg_layout_dim){.source = i, .size = v->shape[i]};
  return tg_layout(v, ndim, dims);
}

/* Sliding windows and their adjoint, which convolutions and pooling are made of.
 *
 * Along each of the last n dimensions, window o of size `kernel` has element k at  stride * o + dilation * k.
 * The windows of a view are a view. Their adjoint adds each window up in its place ("overlap-add").
 * Owns: nothing. Caller: py/lazybuffer. */
#ifndef TG_GRAPH_WINDOWS_H
#define TG_GRAPH_WINDOWS_H

#include "graph/node.h"

/* (*lead, *in) to (*lead, *out, *kernel), out = (in - dilation*(kernel-1) - 1) / stride + 1, 0 where the window does
 * not fit. VALUE unless kernel, stride, dilation >= 1 and n <= ndim. */
tg_status tg_view_window(tg_view *v, int n, const int64_t *kernel, const int64_t *stride, const int64_t *dilation,
                         tg_view **out) TG_MUST_CHECK;

/* (*lead, *out, *kernel) to (*lead, *in): a node, and the view of it that is the result. VALUE for shapes that do not
 * belong together. */
tg_status tg_node_overlap(tg_edge windows, int n, const int64_t *in, const int64_t *stride, const int64_t *dilation,
                          tg_node **node, tg_view **view) TG_MUST_CHECK;

#endif

/* Operations on operands of different shapes: elementwise ones, which broadcast as NumPy's, and the matrix product,
 * which is one of them and a sum.
 *
 * Owns: nothing. Caller: py/lazybuffer. */
#ifndef TG_GRAPH_BROADCAST_H
#define TG_GRAPH_BROADCAST_H

#include "graph/node.h"

/* op on as many operands as it has, in the shape that they broadcast to: a node and a view, of which the caller gets
 * references. VALUE for shapes that don't; otherwise as tg_node_elementwise. */
tg_status tg_broadcast(tg_op op, const tg_edge *operand, tg_edge *out) TG_MUST_CHECK;

/* The matrix product over the last two axes, those of factor i exchanged if swapped[i]; axes before them broadcast.
 * VALUE for factors with less than two axes, and as tg_broadcast. */
tg_status tg_dot(const tg_edge *factor, const bool *swapped, tg_edge *out) TG_MUST_CHECK;

#endif

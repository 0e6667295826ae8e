/* What to compute when too much work is pending, so that it goes on taking little memory.
 * Owns: nothing; needs the graph lock. */
#ifndef TG_GRAPH_PENDING_H
#define TG_GRAPH_PENDING_H

#include "graph/node.h"

/* Pending nodes, each with a new reference, in an array to be given to tg_pending_release: the small ones that somebody
 * outside the graph refers to; with `large` also those of any size that no node reads yet. In place of one that would
 * take more memory than what it is made from (a product about to be summed), what it is made from. */
tg_status tg_pending_select(bool large, tg_node ***out, int *n) TG_MUST_CHECK;
void tg_pending_release(tg_node **nodes, int n);

#endif

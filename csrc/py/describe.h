/* Schedules and nodes as plain Python data, for those who show them (docs/pictures.md).
 * Owns: nothing. */
#ifndef TG_PY_DESCRIBE_H
#define TG_PY_DESCRIBE_H

#include "py/engine.h"

#include "base/pool.h"
#include "exec/execute.h"

/* {"nodes", "kernels", "slots", "chains"} of a schedule with its members: lists of dicts that refer to each other by
 * their places. Runs Python code at times, so not while nodes are marked. NULL with an exception. */
PyObject *describe_schedule(const tg_schedule *s);

/* Adds to the description of a schedule what running it took: to each kernel "start", "seconds" and "memory", and the
 * list "spans" of (worker, start, stop, tasks). 0, or -1 with an exception. */
int describe_run(PyObject *description, const tg_timing *timing, const tg_span *spans, int64_t nspan);

/* {"id", "kind", "op", "dtype", "shape", "origin", "value", "axes", "computed"} of a node; the id is unique as long as
 * the node lives. */
PyObject *describe_node(const tg_node *n);

#endif

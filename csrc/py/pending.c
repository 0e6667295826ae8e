/* Limits of what is left pending. A program that never reads its values, or only at its end, would otherwise keep every
 * operation it asked for, and the data of every step that one of them needs. Past a limit the pending work is
 * computed, right after the operation that came too many was built. That changes when something is computed, never
 * what: what fails then stays pending, and fails when it is read. Only Ctrl-C is heard at once.
 *
 *     pending |                 .            The next time is when as much again has come as stayed behind, so that all
 *             |   .   .        /|            the walks over what can't be computed (because Python holds it, and it is
 *       limit |..|../|../|..../.|            large) take no more time than building it did.
 *             | / |/ |/ | .../
 *             '--------------------- operations
 *
 * Owns: the limits. Callers: Python, lazybuffer.c. */
#include "py/engine.h"

#include "base/alloc.h"
#include "graph/pending.h"

/* Small beside what one step of a network of that kind allocates, and beside the memory of any machine. */
#define LIMIT_BYTES (256 << 20)

typedef struct pressure {
  int64_t nodes, bytes;
} pressure;

static pressure limit = {PENDING_NODES, LIMIT_BYTES};
static pressure next = {PENDING_NODES, LIMIT_BYTES}; /* when to compute again; at least the limit */
static bool relieving;
static long long relieved; /* how often */

static bool exceeds(pressure bound) {
  const tg_pending *p = tg_node_pending();
  return p->nodes > bound.nodes || p->bytes > bound.bytes;
}

/* All in one schedule; if that fails, one by one, so that only what can't be computed stays behind. INTERRUPTED with
 * the exception set, or OK. */
static tg_status compute(bool large) {
  tg_node **nodes = NULL, **targets = NULL;
  int n;
  if (tg_pending_select(large, &nodes, &n)) return TG_OK;
  tg_status status = TG_OK;
  if (n && (targets = tg_malloc((size_t)n * sizeof *targets))) {
    memcpy(targets, nodes, (size_t)n * sizeof(tg_node *));
    status = engine_run(targets, n, "pending");
    bool each = status && n > 1;
    for (int i = 0; i < n && each && status != TG_ERR_INTERRUPTED; i++) {
      PyErr_Clear();
      targets[0] = nodes[i];
      status = engine_run(targets, 1, "pending");
    }
  }
  tg_free(targets);
  tg_pending_release(nodes, n);
  if (status == TG_ERR_INTERRUPTED) return status;
  PyErr_Clear();
  return TG_OK;
}

int engine_relieve(void) {
  if (!exceeds(next) || relieving) return 0;
  relieving = true;
  relieved++;
  tg_status status = compute(false);
  if (!status && exceeds(limit)) status = compute(true);
  const tg_pending *left = tg_node_pending();
  next.nodes = left->nodes > limit.nodes / 2 ? 2 * left->nodes : limit.nodes;
  next.bytes = left->bytes > limit.bytes / 2 ? 2 * left->bytes : limit.bytes;
  relieving = false;
  return status ? -1 : 0;
}

/* The thread that was at it is not in a child process. */
void pending_after_fork(void) { relieving = false; }

static PyObject *py_pending(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  const tg_pending *p = tg_node_pending();
  return Py_BuildValue("{s:L,s:L,s:L}", "nodes", (long long)p->nodes, "bytes", (long long)p->bytes, "relieved",
                       relieved);
}

static void set_limit(int64_t nodes, int64_t bytes) {
  limit.nodes = nodes > 0 ? nodes : INT64_MAX;
  limit.bytes = bytes > 0 ? bytes : INT64_MAX;
  next = limit;
}

static PyObject *py_set_pending(PyObject *module, PyObject *args) {
  long long nodes, bytes;
  (void)module;
  if (!PyArg_ParseTuple(args, "LL:set_pending", &nodes, &bytes)) return NULL;
  pressure before = limit;
  set_limit(nodes, bytes);
  return Py_BuildValue("LL", (long long)before.nodes, (long long)before.bytes);
}

PyMethodDef pending_methods[] = {
    {"pending", py_pending, METH_NOARGS,
     "pending()\n--\n\nNodes that wait to be computed, bytes that only they keep, and how often a limit was met."},
    {"set_pending", py_set_pending, METH_VARARGS,
     "set_pending(nodes, bytes)\n--\n\nLimits of both, 0 for none; returns the ones until now."},
    {NULL, NULL, 0, NULL}};

void pending_init(int64_t nodes) { set_limit(nodes, nodes > 0 ? LIMIT_BYTES : 0); }

/* Realizing: the engine's lock, running a schedule, and schedules shown to Python.
 * Owns: the lock. Callers: Python, the rest of py/. */
#include "py/engine.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "exec/contract.h"
#include "py/describe.h"
#include "py/trace.h"
#include "sched/dump.h"
#include "sched/work.h"

/* ---- the lock ---- */

#define LOOK_MS 50 /* while waiting, the main thread looks for signals that often */

/* Held by one thread, `depth` times: a signal's handler that computes does so within what it came upon. `mutex` guards
 * it all, and is held for a few instructions only. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t released;
  unsigned long holder;
  int depth;   /* 0: free */
  bool forked; /* a handler of the holder did, and this is the child */
} lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER};

static bool is_ending(void) {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing();
#else
  return _Py_IsFinalizing();
#endif
}

/* Takes the lock if it is free, or this thread's. */
static bool try_lock(bool wait) {
  unsigned long self = PyThread_get_thread_ident();
  pthread_mutex_lock(&lock.mutex);
  if (wait && lock.depth) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait everywhere */
    until.tv_nsec += LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&lock.released, &lock.mutex, &until);
  }
  bool taken = !lock.depth || lock.holder == self;
  if (taken) {
    lock.holder = self;
    lock.depth++;
  }
  pthread_mutex_unlock(&lock.mutex);
  return taken;
}

/* As engine_lock, but a handler may come in. */
static tg_status enter(void) {
  bool taken = try_lock(false);
  while (!taken) {
    if (is_ending()) {
      PyErr_SetString(PyExc_RuntimeError, "the interpreter ended while another thread was computing");
      return TG_ERR_INTERNAL;
    }
    Py_BEGIN_ALLOW_THREADS
    taken = try_lock(true);
    Py_END_ALLOW_THREADS
    if (!taken && PyErr_CheckSignals()) return TG_ERR_INTERRUPTED;
  }
  return TG_OK;
}

void engine_unlock(void) {
  pthread_mutex_lock(&lock.mutex);
  if (!--lock.depth) pthread_cond_signal(&lock.released);
  pthread_mutex_unlock(&lock.mutex);
}

int engine_lock(void) {
  if (enter()) return -1;
  if (lock.depth == 1) return 0;
  engine_unlock();
  PyErr_SetString(PyExc_RuntimeError, "this can't be changed by a signal's handler while its thread computes");
  return -1;
}

/* In a child process the thread that held the lock is gone, and with it its schedule. If it is this one, which forked
 * in a signal's handler, the workers are gone that had their part in it: it has to start again once the handler, which
 * may compute itself, is done. */
void realize_after_fork(void) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t released = PTHREAD_COND_INITIALIZER;
  lock.mutex = mutex;
  lock.released = released;
  if (lock.holder != PyThread_get_thread_ident()) lock.depth = 0;
  lock.forked = lock.depth > 0;
}

/* ---- realizing ---- */

/* A buffer that sees only part of an uncomputed node asks for a copy of that part instead. */
static int narrow(lazybuffer *b) {
  if (b->node->buffer || b->node->kind == TG_NODE_CONST || b->view->size >= b->node->shape->size) return 0;
  tg_node *copy;
  tg_status status = tg_node_copy((tg_edge){b->node, b->view}, &copy);
  if (status) {
    engine_raise(status);
    return -1;
  }
  tg_node_unref(b->node);
  tg_view_unref(b->view);
  copy->origin = b->node->origin;
  b->node = copy;
  tg_view_ref(b->view = copy->shape);
  return 0;
}

/* Those of the nodes that have no value yet; called under the engine's lock, as others may have realized some. */
static int keep_unrealized(tg_node **nodes, int n) {
  int left = 0;
  for (int i = 0; i < n; i++)
    if (!nodes[i]->buffer && nodes[i]->kind != TG_NODE_CONST) nodes[left++] = nodes[i];
  return left;
}

static bool ask_while_running(void) { return interrupt_ask() || lock.forked; }

/* Signals are looked for with `ask` from here on, NULL ends it; not in a handler that came upon a computation. */
static void watch(tg_interrupt_fn ask) {
  if (lock.depth > 1) return;
  lock.forked = false;
  tg_interrupt_watch(ask && interrupt_start() ? ask : NULL);
}

static tg_status build(tg_node **targets, int *n, bool members, tg_schedule **s) {
  *n = keep_unrealized(targets, *n);
  if (!*n) return TG_OK;
  watch(interrupt_ask_for_sigint);
  tg_status status = tg_schedule_build(targets, *n, engine.fusion, members, tg_contract_has_parts, s);
  watch(NULL);
  return status;
}

/* After a failure, with no exception for it yet: is it to be tried again? An interrupt whose handler raises nothing is
 * no reason to fail. */
static bool try_again(tg_status status) {
  return status == TG_ERR_INTERRUPTED && !PyErr_Occurred() && !PyErr_CheckSignals();
}

static tg_status run_once(tg_node **targets, int *n, const char *what) {
  tg_schedule *s = NULL;
  trace t = {0};
  tg_status status = enter();
  if (status) return status;
  trace_start(&t);
  status = build(targets, n, t.tracer != NULL, &s);
  if (s) status = trace_schedule(&t, s);
  if (s && !status) {
    watch(ask_while_running);
    Py_BEGIN_ALLOW_THREADS
    status = trace_execute(&t, s);
    Py_END_ALLOW_THREADS
    watch(NULL);
    if (PyErr_Occurred()) status = TG_ERR_INTERRUPTED;
    if (!status) tg_schedule_commit(s);
  }
  engine_unlock();
  if (s && !status) status = trace_report(&t, s, what, *n);
  trace_clear(&t);
  tg_schedule_free(s);
  return status;
}

tg_status engine_run(tg_node **targets, int n, const char *what) {
  tg_status status;
  do status = run_once(targets, &n, what);
  while (try_again(status));
  if (status && !PyErr_Occurred()) engine_raise(status);
  return status;
}

/* Without running it. */
static tg_status plan(tg_node **targets, int n, bool members, tg_schedule **s) {
  tg_status status;
  do {
    if ((status = enter())) return status;
    status = build(targets, &n, members, s);
    engine_unlock();
  } while (try_again(status));
  if (status && !PyErr_Occurred()) engine_raise(status);
  return status;
}

/* The nodes of the buffers, each narrowed to the part that is seen; borrowed, in an array to be freed. NULL with an
 * exception. */
static tg_node **targets_of(lazybuffer *const *buffers, Py_ssize_t n) {
  tg_node **targets = n < INT32_MAX ? tg_malloc((size_t)n * sizeof *targets) : NULL;
  if (!targets) {
    engine_raise(tg_fail_memory((size_t)n * sizeof *targets));
    return NULL;
  }
  for (Py_ssize_t i = 0; i < n; i++) {
    if (narrow(buffers[i])) {
      tg_free(targets);
      return NULL;
    }
    targets[i] = buffers[i]->node;
  }
  return targets;
}

int engine_realize(lazybuffer *const *buffers, Py_ssize_t n) {
  bool any = false;
  for (Py_ssize_t i = 0; i < n; i++) any |= !buffers[i]->node->buffer;
  if (!any) return 0;
  tg_node **targets = targets_of(buffers, n);
  if (!targets) return -1;
  int left = keep_unrealized(targets, (int)n);
  tg_status status = left ? engine_run(targets, left, "realize") : TG_OK;
  tg_free(targets);
  return status ? -1 : 0;
}

/* ---- for Python ---- */

/* The elements of a list of LazyBuffers, borrowed from `items`, which the caller releases. */
static lazybuffer **buffers_of(PyObject *sequence, PyObject **items, Py_ssize_t *n) {
  *items = PySequence_Tuple(sequence);
  if (!*items) return NULL;
  *n = PyTuple_GET_SIZE(*items);
  for (Py_ssize_t i = 0; i < *n; i++)
    if (!lazybuffer_check(PyTuple_GET_ITEM(*items, i))) {
      PyErr_Format(PyExc_TypeError, "LazyBuffers are expected, not %.200s",
                   Py_TYPE(PyTuple_GET_ITEM(*items, i))->tp_name);
      Py_CLEAR(*items);
      return NULL;
    }
  return (lazybuffer **)((PyTupleObject *)*items)->ob_item;
}

PyDoc_STRVAR(realize_doc, "realize(buffers)\n--\n\nComputes the LazyBuffers of a sequence, all in one schedule.\n\n"
                          "Raises MemoryError; then no buffer has changed.");

static PyObject *py_realize(PyObject *module, PyObject *sequence) {
  (void)module;
  PyObject *items;
  Py_ssize_t n;
  lazybuffer **buffers = buffers_of(sequence, &items, &n);
  if (!buffers) return NULL;
  int failed = engine_realize(buffers, n);
  Py_DECREF(items);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

/* ---- schedules as data ---- */

static PyStructSequence_Field item_fields[] = {
    {"target", "LazyBuffer of what the kernel writes"},
    {"kind", "'MAP', 'ROWS', 'REDUCE', 'CONTRACT', 'SCAN', 'SORT' or 'SCATTER'"},
    {"shape", "tuple: the out dims"},
    {"reduced", "tuple: the reduced dims, or the axis of a SCAN or SORT"},
    {"inputs", "how many buffers it reads"},
    {"text", "one line that says all this and names the fused operations"},
    {"chain", "the number of the chain it is run in, or None"},
    {NULL, NULL}};

static PyStructSequence_Desc item_desc = {"teenygrad._engine.ScheduleItem", "One kernel of a schedule: plain data.",
                                          item_fields, 7};

static PyObject *chain_of(const tg_schedule *s, int kernel) {
  for (int i = 0; i < s->nchain; i++)
    if (kernel >= s->chains[i].first && kernel < s->chains[i].first + s->chains[i].count) return PyLong_FromLong(i);
  Py_RETURN_NONE;
}

static PyObject *item_new(const tg_schedule *s, int kernel) {
  const tg_kernel *k = &s->kernels[kernel];
  tg_node *node = s->slots[k->out.slot].node;
  char text[600];
  PyObject *item = PyStructSequence_New(engine.schedule_item);
  if (!item) return NULL;
  tg_kernel_format(k, text, sizeof text);
  PyObject *fields[] = {lazybuffer_new(node, node->shape),
                        PyUnicode_FromString(tg_kernel_kind_name[k->kind]),
                        convert_sizes(k->shape, k->nout),
                        convert_sizes(k->shape + k->nout, k->nred),
                        PyLong_FromLong(tg_kernel_work(s, kernel).inputs),
                        PyUnicode_FromString(text),
                        chain_of(s, kernel)};
  bool ok = true;
  for (int i = 0; i < 7; i++) {
    ok &= fields[i] != NULL;
    PyStructSequence_SET_ITEM(item, i, fields[i]);
  }
  if (!ok) Py_CLEAR(item);
  return item;
}

/* What realizing the LazyBuffers of a sequence would run: *s, NULL if nothing. -1 with an exception. */
static int schedule_of(PyObject *sequence, bool members, tg_schedule **s) {
  PyObject *items;
  Py_ssize_t n;
  *s = NULL;
  lazybuffer **buffers = buffers_of(sequence, &items, &n);
  if (!buffers) return -1;
  tg_node **targets = targets_of(buffers, n);
  tg_status status = targets ? plan(targets, (int)n, members, s) : TG_ERR_INTERNAL;
  tg_free(targets);
  Py_DECREF(items);
  return status ? -1 : 0;
}

PyDoc_STRVAR(
    schedule_doc,
    "schedule(buffers, seen=None)\n--\n\nThe kernels that realize(buffers) would run, as a list of ScheduleItem. "
    "Computes nothing; `seen` is\naccepted for compatibility.");

static PyObject *py_schedule(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  tg_schedule *s;
  if (nargs < 1 || nargs > 2)
    return PyErr_Format(PyExc_TypeError, "schedule() takes 1 or 2 arguments (%zd given)", nargs);
  if (schedule_of(args[0], false, &s)) return NULL;
  int nkernel = s ? s->nkernel : 0;
  PyObject *list = PyList_New(nkernel);
  for (int k = 0; list && k < nkernel; k++) {
    PyObject *item = item_new(s, k);
    if (!item) Py_CLEAR(list);
    else PyList_SET_ITEM(list, k, item);
  }
  tg_schedule_free(s);
  return list;
}

PyDoc_STRVAR(explain_doc,
             "explain(buffers)\n--\n\nWhat realize(buffers) would run, as plain data: dicts of the nodes, kernels, "
             "slots and chains.\nComputes nothing. None if there is nothing to compute.");

static PyObject *py_explain(PyObject *module, PyObject *sequence) {
  (void)module;
  tg_schedule *s;
  if (schedule_of(sequence, true, &s)) return NULL;
  if (!s) Py_RETURN_NONE;
  PyObject *description = describe_schedule(s);
  tg_schedule_free(s);
  return description;
}

/* ---- what module.c needs ---- */

PyMethodDef realize_methods[] = {{"realize", py_realize, METH_O, realize_doc},
                                 {"schedule", (PyCFunction)(void (*)(void))py_schedule, METH_FASTCALL, schedule_doc},
                                 {"explain", py_explain, METH_O, explain_doc},
                                 {NULL, NULL, 0, NULL}};

int realize_init(PyObject *module) {
  if (!engine.schedule_item && !(engine.schedule_item = PyStructSequence_NewType(&item_desc))) return -1;
  return PyModule_AddObjectRef(module, "ScheduleItem", (PyObject *)engine.schedule_item);
}

/* The extension module's shared declarations: process-wide state, the LazyBuffer object, errors.
 *
 * The graph lock of graph/ and sched/ is the GIL. Running kernels gives the GIL up and holds the
 * engine's lock instead, which is only ever waited for without the GIL.
 * Owns: the state below, for as long as the process lives. */
#ifndef TG_PY_ENGINE_H
#define TG_PY_ENGINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "graph/node.h"

#define ENUM_COUNT 7

typedef struct engine_state {
  PyInterpreterState *interpreter; /* the one this module lives in */
  PyTypeObject *lazybuffer, *schedule_item;
  PyObject *op_enum[ENUM_COUNT];
  PyObject *op[TG_OP_COUNT];       /* their members */
  PyObject *dtype[TG_DTYPE_COUNT]; /* DType objects, registered by helpers.py */
  PyObject *raw_buffer;            /* the class RawCPUBuffer, registered by lazy.py */
  int debug;                       /* the level of DEBUG output */
  PyObject *recorder, *tracer;     /* who is told of operations and of realizes, or NULL (record.c) */
  bool fusion;                     /* may kernels compute several operations? */
} engine_state;

extern engine_state engine;

typedef struct lazybuffer {
  PyObject_HEAD tg_node *node;
  tg_view *view;
  PyObject *shape; /* tuple, made when first asked for */
  PyObject *dict;
} lazybuffer;

/* ---- errors ---- */

/* Raises the exception for a failed status with the core's message, INTERRUPTED having one already; returns NULL. */
PyObject *engine_raise(tg_status status);

/* ---- realize.c ---- */

int realize_init(PyObject *module);
void realize_after_fork(void);

/* Waits for the engine's lock without the GIL, so that nothing is computed until engine_unlock. -1 with an exception:
 * what a signal's handler raised meanwhile; RuntimeError in a handler that came upon a computation of this very thread,
 * or while the interpreter ends, as its other threads are gone with whatever they held. */
int engine_lock(void);
void engine_unlock(void);

/* Computes the buffers, all in one schedule. Gives up the GIL. 0, or -1 with an exception set, in
 * which case no buffer has changed. */
int engine_realize(lazybuffer *const *buffers, Py_ssize_t n);

/* Computes those of the nodes that have no value yet; the caller has references on them, and the array is changed.
 * `what` names it in DEBUG output. Gives up the GIL. A failed status has its exception set, and no node has changed;
 * INTERRUPTED: it is a signal handler's. */
tg_status engine_run(tg_node **targets, int n, const char *what);

/* ---- interrupt.c ---- */

/* To be called before asking. Can this thread run the handlers of signals? */
bool interrupt_start(void);

/* Runs the handlers of pending signals, every few milliseconds. True if one raised: the exception is set. Without the
 * GIL, but with the thread's state. */
bool interrupt_ask(void);

/* Has there been a SIGINT, whose handler is still to run? With the GIL. */
bool interrupt_ask_for_sigint(void);

/* Finds the main thread. 0, or -1 with an exception set. */
int interrupt_init(void);
void interrupt_after_fork(void);

/* ---- pending.c ---- */

/* By default. A training step of a large network has some thousands of nodes. These take about 32 MiB, and the schedule
 * that computes them three times as much while it runs. */
#define PENDING_NODES 32768
void pending_init(int64_t nodes); /* 0: no limit */
void pending_after_fork(void);

/* To be called when an operation has been built: computes what is pending if that is too much. Gives up the GIL then.
 * 0, or -1 with the exception of a signal's handler or of the tracer; no other failure counts. */
int engine_relieve(void);

/* ---- record.c ---- */

/* Asks the recorder for the origin of what a LazyBuffer sees, whose nodes are new. Takes over the reference and gives
 * it back, or NULL with the recorder's exception. */
PyObject *record_origin(PyObject *made);
/* The same for any result, which may be NULL, of what makes LazyBuffers: only new nodes are asked about. */
static inline PyObject *record_made(PyObject *made) {
  return made && ((lazybuffer *)made)->node->origin == TG_ORIGIN_NEW ? record_origin(made) : made;
}

/* ---- functions of the module, by file ---- */

extern PyMethodDef realize_methods[], switch_methods[], pending_methods[], record_methods[];

/* ---- lazybuffer.c ---- */

int lazybuffer_init_type(PyObject *module);
PyObject *lazybuffer_new(tg_node *node, tg_view *view); /* takes references of its own */
static inline bool lazybuffer_check(PyObject *o) { return Py_IS_TYPE(o, engine.lazybuffer); }

/* ---- convert.c: between Python, NumPy and the core ---- */

int convert_init(void); /* imports NumPy's C API */

/* Integers of a tuple or list (any sequence) into values[0..TG_MAX_DIMS); the count, or -1. */
int convert_ints(PyObject *sequence, const char *what, int64_t *values);
/* Pairs of integers; None stands for `absent_first` / `absent_second`. The count, or -1. */
int convert_pairs(PyObject *sequence, const char *what, int64_t *first, int64_t *second, int64_t absent_second);
int convert_dtype(PyObject *o, tg_dtype *dtype); /* 0, or -1 with TypeError */
int convert_op(PyObject *o, tg_op *op);          /* 0, or -1 with NotImplementedError */
/* A Python or NumPy number as a scalar of dtype: floats truncate to integers, integers wrap. */
int convert_scalar(PyObject *o, tg_dtype dtype, tg_scalar *value);
PyObject *convert_sizes(const int64_t *sizes, int n); /* a tuple */
PyObject *convert_shape(tg_view *v);

/* A copy of an ndarray's elements as a new node. */
int convert_from_numpy(PyObject *array, tg_node **node);
/* A fresh, writable array of what the view sees of a realized (or constant) node. */
PyObject *convert_to_numpy(const tg_node *node, const tg_view *view);

/* ---- exchange.c: memory shared with other libraries ---- */

int exchange_init(PyObject *module); /* adds the type Exporter, a Tensor's base */

/* The buffer protocol's slots of a LazyBuffer; read-only. The first computes, and gives up the GIL. */
int exchange_get_buffer(lazybuffer *b, Py_buffer *view, int flags);
void exchange_release_buffer(lazybuffer *b, Py_buffer *view);

/* Methods of LazyBuffer. */
PyObject *exchange_dlpack(lazybuffer *b, PyObject *args, PyObject *kwargs);
PyObject *exchange_dlpack_device(lazybuffer *b, PyObject *unused);
PyObject *exchange_from_dlpack(PyObject *unused, PyObject *args, PyObject *kwargs);

#endif

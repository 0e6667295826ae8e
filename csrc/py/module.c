/* The extension module `teenygrad._engine`: initialisation, realizing, schedules, and switches.
 * Enums and the table of dtypes are made here from ops.def and dtype.def. */
#include "py/engine.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "exec/execute.h"
#include "kernels/kernels.h"
#include "sched/schedule.h"

engine_state engine;

PyObject *engine_raise(tg_status status) {
  PyObject *const types[] = {[TG_OK] = PyExc_SystemError,
                             [TG_ERR_MEMORY] = PyExc_MemoryError,
                             [TG_ERR_VALUE] = PyExc_ValueError,
                             [TG_ERR_TYPE] = PyExc_TypeError,
                             [TG_ERR_INDEX] = PyExc_IndexError,
                             [TG_ERR_INTERNAL] = PyExc_RuntimeError,
                             [TG_ERR_UNSUPPORTED] = PyExc_NotImplementedError};
  PyErr_SetString(types[status], tg_status_message());
  return NULL;
}

/* ---- realizing ---- */

static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;

/* Waits for the lock without the GIL. While the interpreter ends, its other threads are gone with whatever they
 * held: then RuntimeError (-1) instead of waiting for ever. */
static int lock_engine(void) {
#if PY_VERSION_HEX >= 0x030d0000
  bool ending = Py_IsFinalizing();
#else
  bool ending = _Py_IsFinalizing();
#endif
  if (ending && pthread_mutex_trylock(&engine_lock)) {
    PyErr_SetString(PyExc_RuntimeError, "the interpreter ended while another thread was computing");
    return -1;
  }
  if (ending) return 0;
  Py_BEGIN_ALLOW_THREADS
  pthread_mutex_lock(&engine_lock);
  Py_END_ALLOW_THREADS
  return 0;
}

/* In a child process the thread that held the lock is gone, and with it its schedule. */
static void after_fork_in_child(void) {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  engine_lock = fresh;
}

/* Trace context: when DEBUG asks for it, the seconds of each kernel. */
static void note_seconds(void *context, const tg_schedule *s, int kernel, double seconds) {
  (void)s;
  ((double *)context)[kernel] = seconds;
}

static void print_kernels(const tg_schedule *s, const double *seconds) {
  char text[600];
  for (int k = 0; k < s->nkernel; k++) {
    tg_kernel_format(&s->kernels[k], text, sizeof text);
    PySys_FormatStdout("*** %4d %s", k, text);
    PySys_WriteStdout(" %.3f ms\n", seconds[k] * 1e3);
  }
}

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

static int run_targets(tg_node **targets, int n) {
  tg_schedule *s = NULL;
  double *seconds = NULL;
  if (lock_engine()) return -1;
  n = keep_unrealized(targets, n);
  tg_status status = n ? tg_schedule_build(targets, n, &s) : TG_OK;
  if (s && engine.debug >= 2) seconds = tg_calloc((size_t)s->nkernel + 1, sizeof *seconds);
  if (s) {
    Py_BEGIN_ALLOW_THREADS
    status = tg_execute(s, seconds ? note_seconds : NULL, seconds);
    Py_END_ALLOW_THREADS
    if (!status) tg_schedule_commit(s);
  }
  pthread_mutex_unlock(&engine_lock);
  if (s && seconds && !status) print_kernels(s, seconds);
  tg_schedule_free(s);
  tg_free(seconds);
  if (status) engine_raise(status);
  return status ? -1 : 0;
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
  int failed = left ? run_targets(targets, left) : 0;
  tg_free(targets);
  return failed;
}

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

static PyStructSequence_Field item_fields[] = {{"target", "LazyBuffer of what the kernel writes"},
                                               {"kind", "'MAP', 'ROWS', 'REDUCE', 'CONTRACT', 'SCAN' or 'SCATTER'"},
                                               {"shape", "tuple: the out dims"},
                                               {"reduced", "tuple: the reduced dims, or the axis of a SCAN"},
                                               {"inputs", "how many buffers it reads"},
                                               {"text", "one line that says all this and names the fused operations"},
                                               {NULL, NULL}};

static PyStructSequence_Desc item_desc = {"teenygrad._engine.ScheduleItem", "One kernel of a schedule: plain data.",
                                          item_fields, 6};

static int count_inputs(const tg_kernel *k, int kernel, int *seen) {
  int n = 0;
  const tg_program *program;
  for (int p = 0; (program = tg_kernel_program(k, p)); p++)
    for (int i = 0; i < program->ninstr; i++) {
      const tg_instr *in = &program->instr[i];
      if (in->code != TG_I_LOAD && in->code != TG_I_GATHER) continue;
      int slot = program->access[in->arg].slot;
      n += seen[slot] != kernel + 1;
      seen[slot] = kernel + 1;
    }
  if (k->kind != TG_KERNEL_CONTRACT) return n;
  return n + (seen[k->a.slot] != kernel + 1) + (k->b.slot != k->a.slot && seen[k->b.slot] != kernel + 1);
}

static PyObject *item_new(const tg_schedule *s, int kernel, int *seen) {
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
                        PyLong_FromLong(count_inputs(k, kernel, seen)),
                        PyUnicode_FromString(text)};
  bool ok = true;
  for (int i = 0; i < 6; i++) {
    ok &= fields[i] != NULL;
    PyStructSequence_SET_ITEM(item, i, fields[i]);
  }
  if (!ok) Py_CLEAR(item);
  return item;
}

PyDoc_STRVAR(
    schedule_doc,
    "schedule(buffers, seen=None)\n--\n\nThe kernels that realize(buffers) would run, as a list of ScheduleItem. "
    "Computes nothing; `seen` is\naccepted for compatibility.");

static PyObject *py_schedule(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  PyObject *items, *list = NULL;
  Py_ssize_t n;
  int *seen = NULL;
  tg_schedule *s = NULL;
  if (nargs < 1 || nargs > 2)
    return PyErr_Format(PyExc_TypeError, "schedule() takes 1 or 2 arguments (%zd given)", nargs);
  lazybuffer **buffers = buffers_of(args[0], &items, &n);
  if (!buffers) return NULL;
  tg_node **targets = targets_of(buffers, n);
  if (!targets || lock_engine()) goto done;
  tg_status status = tg_schedule_build(targets, keep_unrealized(targets, (int)n), &s);
  pthread_mutex_unlock(&engine_lock);
  if (status) {
    engine_raise(status);
    goto done;
  }
  if (!(seen = tg_calloc((size_t)s->nslot + 1, sizeof *seen))) {
    engine_raise(tg_fail_memory(((size_t)s->nslot + 1) * sizeof *seen));
    goto done;
  }
  list = PyList_New(s->nkernel);
  for (int k = 0; list && k < s->nkernel; k++) {
    PyObject *item = item_new(s, k, seen);
    if (!item) Py_CLEAR(list);
    else PyList_SET_ITEM(list, k, item);
  }
done:
  tg_schedule_free(s);
  tg_free(targets);
  tg_free(seen);
  Py_DECREF(items);
  return list;
}

/* ---- registration, switches and figures ---- */

static PyObject *py_set_dtypes(PyObject *module, PyObject *table) {
  (void)module;
  for (int d = 0; d < TG_DTYPE_COUNT; d++) {
    PyObject *dtype = PyMapping_GetItemString(table, tg_dtypes[d].attribute);
    if (!dtype) return NULL;
    Py_XSETREF(engine.dtype[d], dtype);
  }
  Py_RETURN_NONE;
}

static PyObject *py_set_raw_buffer(PyObject *module, PyObject *cls) {
  (void)module;
  Py_INCREF(cls);
  Py_XSETREF(engine.raw_buffer, cls);
  Py_RETURN_NONE;
}

static PyObject *py_info(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return Py_BuildValue("{s:s,s:i}", "isa", tg_isa_name[tgk_isa()], "threads", tg_pool_size());
}

/* Switches wait for the running schedule to end. */
static PyObject *py_set_threads(PyObject *module, PyObject *arg) {
  (void)module;
  long n = PyLong_AsLong(arg);
  if (n == -1 && PyErr_Occurred()) return NULL;
  if (n < 1 || n > TG_MAX_THREADS)
    return PyErr_Format(PyExc_ValueError, "threads: 1 to %d, not %ld", TG_MAX_THREADS, n);
  if (lock_engine()) return NULL;
  tg_status status = tg_pool_set_size((int)n);
  pthread_mutex_unlock(&engine_lock);
  if (status) return engine_raise(status);
  Py_RETURN_NONE;
}

static PyObject *py_set_isa(PyObject *module, PyObject *arg) {
  (void)module;
  Py_ssize_t length;
  const char *name = PyUnicode_AsUTF8AndSize(arg, &length);
  if (!name) return NULL;
  for (int isa = 0; isa < TG_ISA_COUNT; isa++)
    if (!strcmp(name, tg_isa_name[isa]) && strlen(name) == (size_t)length && tg_cpu_supports((tg_isa)isa)) {
      if (lock_engine()) return NULL;
      tgk_init((tg_isa)isa);
      pthread_mutex_unlock(&engine_lock);
      Py_RETURN_NONE;
    }
  return PyErr_Format(PyExc_ValueError, "this machine has no instruction set %R", arg);
}

static PyObject *py_memory(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  tg_alloc_stats s = tg_alloc_get_stats();
  return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L}", "objects", (long long)s.objects, "blocks", (long long)s.blocks,
                       "block_bytes", (long long)s.block_bytes, "cached_bytes", (long long)s.cached_bytes, "peak_bytes",
                       (long long)s.peak_bytes, "requests", (long long)s.requests);
}

static PyObject *py_reset_peak(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  tg_alloc_reset_peak();
  Py_RETURN_NONE;
}

static PyObject *py_trim(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  tg_block_trim();
  Py_RETURN_NONE;
}

static PyObject *py_fail_at(PyObject *module, PyObject *args) {
  (void)module;
  long long n;
  int forever = 0;
  if (!PyArg_ParseTuple(args, "L|p", &n, &forever)) return NULL;
  tg_alloc_fail_at(n, forever);
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"realize", py_realize, METH_O, realize_doc},
    {"schedule", (PyCFunction)(void (*)(void))py_schedule, METH_FASTCALL, schedule_doc},
    {"set_dtypes", py_set_dtypes, METH_O,
     "set_dtypes(table)\n--\n\nRegisters the DType object of each attribute name."},
    {"set_raw_buffer", py_set_raw_buffer, METH_O,
     "set_raw_buffer(cls)\n--\n\nRegisters the class of LazyBuffer.realized."},
    {"info", py_info, METH_NOARGS, "info()\n--\n\nThe instruction set in use and the number of threads."},
    {"set_threads", py_set_threads, METH_O, "set_threads(n)\n--\n\nComputes with n threads from now on."},
    {"set_isa", py_set_isa, METH_O, "set_isa(name)\n--\n\nSwitches to 'base', 'avx2' or 'avx512'."},
    {"memory", py_memory, METH_NOARGS, "memory()\n--\n\nCounters of the engine's allocator, in bytes and objects."},
    {"reset_peak", py_reset_peak, METH_NOARGS, "reset_peak()\n--\n\nStarts memory()['peak_bytes'] anew."},
    {"trim", py_trim, METH_NOARGS, "trim()\n--\n\nGives memory kept for reuse back to the system."},
    {"fail_at", py_fail_at, METH_VARARGS,
     "fail_at(n, forever=False)\n--\n\nFor tests: the n-th allocation from now fails; 0 switches it off."},
    {NULL, NULL, 0, NULL}};

/* ---- initialisation ---- */

/* enum.Enum(name, [members of that name in table order], module="teenygrad.ops"), its members noted in engine.op. */
static PyObject *make_enum(PyObject *enum_class, const char *name) {
  PyObject *cls = NULL, *args = NULL, *kwargs = NULL, *members = PyList_New(0);
  if (!members) return NULL;
  for (int i = 0; i < TG_OP_COUNT; i++) {
    if (strcmp(tg_ops[i].python_enum, name)) continue;
    PyObject *member = PyUnicode_FromString(tg_ops[i].member);
    int failed = !member || PyList_Append(members, member);
    Py_XDECREF(member);
    if (failed) goto done;
  }
  if (!(args = Py_BuildValue("(sO)", name, members)) || !(kwargs = Py_BuildValue("{s:s}", "module", "teenygrad.ops")))
    goto done;
  cls = PyObject_Call(enum_class, args, kwargs);
  for (int i = 0; cls && i < TG_OP_COUNT; i++) {
    if (strcmp(tg_ops[i].python_enum, name)) continue;
    PyObject *member = PyObject_GetAttrString(cls, tg_ops[i].member);
    if (!member) Py_CLEAR(cls);
    else Py_XSETREF(engine.op[i], member);
  }
done:
  Py_XDECREF(members);
  Py_XDECREF(args);
  Py_XDECREF(kwargs);
  return cls;
}

/* The enums are made once: members that are out in the world stay the engine's own if the module is imported anew. */
static int add_enums(PyObject *module) {
  static const char *const names[ENUM_COUNT] = {"UnaryOps",   "MathOps",     "BinaryOps", "ReduceOps",
                                                "TernaryOps", "MovementOps", "LoadOps"};
  int result = 0;
  PyObject *enum_module = PyImport_ImportModule("enum"), *enum_class = NULL;
  if (!enum_module || !(enum_class = PyObject_GetAttrString(enum_module, "Enum"))) result = -1;
  for (int i = 0; !result && i < ENUM_COUNT; i++) {
    if (!engine.op_enum[i]) engine.op_enum[i] = make_enum(enum_class, names[i]);
    result = engine.op_enum[i] ? PyModule_AddObjectRef(module, names[i], engine.op_enum[i]) : -1;
  }
  Py_XDECREF(enum_class);
  Py_XDECREF(enum_module);
  return result;
}

static int add_dtype_table(PyObject *module) {
  int result = -1;
  PyObject *table = PyList_New(TG_DTYPE_COUNT);
  for (int d = 0; table && d < TG_DTYPE_COUNT; d++) {
    const tg_dtype_info *info = &tg_dtypes[d];
    PyObject *row = Py_BuildValue("(siis)", info->attribute, info->priority, info->itemsize, info->name);
    if (!row) Py_CLEAR(table);
    else PyList_SET_ITEM(table, d, row);
  }
  if (table) result = PyModule_AddObjectRef(module, "DTYPE_TABLE", table);
  Py_XDECREF(table);
  return result;
}

static int start_engine(void) {
  const char *ignored = NULL, *debug = getenv("DEBUG");
  engine.debug = debug ? atoi(debug) : 0;
  tgk_init(tg_cpu_choose(&ignored));
  if (ignored && PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "TEENYGRAD_ISA=%s is not available here, using %s", ignored,
                                  tg_isa_name[tgk_isa()]))
    return -1;
  tg_status status = tg_pool_init();
  if (status) {
    engine_raise(status);
    return -1;
  }
  if (pthread_atfork(NULL, NULL, after_fork_in_child)) {
    PyErr_SetString(PyExc_MemoryError, "can't register the fork handler");
    return -1;
  }
  return 0;
}

static int exec_module(PyObject *module) {
  static bool started;
  if (engine.interpreter && engine.interpreter != PyInterpreterState_Get()) {
    PyErr_SetString(PyExc_ImportError, "teenygrad runs in one interpreter of a process only");
    return -1;
  }
  engine.interpreter = PyInterpreterState_Get();
  if (!started && start_engine()) return -1;
  started = true;
  if (convert_init() || add_enums(module) || add_dtype_table(module) || lazybuffer_init_type(module)) return -1;
  if (!engine.schedule_item && !(engine.schedule_item = PyStructSequence_NewType(&item_desc))) return -1;
  return PyModule_AddObjectRef(module, "ScheduleItem", (PyObject *)engine.schedule_item);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec_module},
#if PY_VERSION_HEX >= 0x030c0000
                                   {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
                                   {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        .m_name = "teenygrad._engine",
                                        .m_doc = "The engine below teenygrad: lazy buffers and what computes them.",
                                        .m_size = 0,
                                        .m_methods = methods,
                                        .m_slots = slots};

PyMODINIT_FUNC PyInit__engine(void) { return PyModuleDef_Init(&definition); }

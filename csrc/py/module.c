/* The extension module `teenygrad._engine`: its state, registration and initialisation. Enums and the table of dtypes
 * are made here from ops.def and dtype.def. Caller: Python. */
#include "py/engine.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/kernels.h"

engine_state engine;

PyObject *engine_raise(tg_status status) {
  PyObject *const types[] = {[TG_OK] = PyExc_SystemError,
                             [TG_ERR_MEMORY] = PyExc_MemoryError,
                             [TG_ERR_VALUE] = PyExc_ValueError,
                             [TG_ERR_TYPE] = PyExc_TypeError,
                             [TG_ERR_INDEX] = PyExc_IndexError,
                             [TG_ERR_INTERRUPTED] = PyExc_KeyboardInterrupt,
                             [TG_ERR_INTERNAL] = PyExc_RuntimeError,
                             [TG_ERR_UNSUPPORTED] = PyExc_NotImplementedError};
  if (status != TG_ERR_INTERRUPTED || !PyErr_Occurred()) PyErr_SetString(types[status], tg_status_message());
  return NULL;
}

/* ---- registration ---- */

static PyObject *py_set_dtypes(PyObject *module, PyObject *table) {
  (void)module;
  PyObject *found[TG_DTYPE_COUNT];
  int n = 0;
  while (n < TG_DTYPE_COUNT && (found[n] = PyMapping_GetItemString(table, tg_dtypes[n].attribute))) n++;
  bool ok = n == TG_DTYPE_COUNT;
  for (int d = 0; d < n; d++) {
    if (ok) Py_XSETREF(engine.dtype[d], found[d]);
    else Py_DECREF(found[d]);
  }
  if (!ok) return NULL;
  Py_RETURN_NONE;
}

static PyObject *py_set_raw_buffer(PyObject *module, PyObject *cls) {
  (void)module;
  Py_INCREF(cls);
  Py_XSETREF(engine.raw_buffer, cls);
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"set_dtypes", py_set_dtypes, METH_O,
                                 "set_dtypes(table)\n--\n\nRegisters the DType object of each attribute name."},
                                {"set_raw_buffer", py_set_raw_buffer, METH_O,
                                 "set_raw_buffer(cls)\n--\n\nRegisters the class of LazyBuffer.realized."},
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

static void after_fork_in_child(void) {
  realize_after_fork();
  interrupt_after_fork();
  pending_after_fork();
}

/* The number in the environment's variable `name`; `value` stays as it is if that is unset or empty. What is no number
 * from `least` to `most` is ignored with a warning; -1 if that raises. */
static int setting(const char *name, long least, long most, long *value) {
  const char *text = getenv(name);
  char *end;
  if (!text || !*text) return 0;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno || *end || number < least || number > most)
    return PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%s='%s' is ignored: it is no number from %ld to %ld", name, text,
                            least, most);
  *value = number;
  return 0;
}

static int start_engine(void) {
  const char *ignored = NULL;
  long debug = 0, threads = 0, nodes = PENDING_NODES;
  if (setting("DEBUG", 0, INT_MAX, &debug) || setting("TEENYGRAD_THREADS", 1, TG_MAX_THREADS, &threads) ||
      setting("TEENYGRAD_PENDING", 0, LONG_MAX, &nodes))
    return -1;
  engine.debug = (int)debug;
  engine.fusion = true;
  tgk_init(tg_cpu_choose(&ignored));
  if (ignored &&
      PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                       "TEENYGRAD_ISA='%s' is ignored: it is none of base, avx2 and avx512, or not in this machine",
                       ignored))
    return -1;
  tg_status status = tg_pool_init((int)threads);
  if (status) {
    engine_raise(status);
    return -1;
  }
  if (pthread_atfork(NULL, NULL, after_fork_in_child)) {
    PyErr_SetString(PyExc_MemoryError, "can't register the fork handler");
    return -1;
  }
  pending_init(nodes);
  return 0;
}

static int exec_module(PyObject *module) {
  static bool started;
  if (engine.interpreter && engine.interpreter != PyInterpreterState_Get()) {
    PyErr_SetString(PyExc_ImportError, "teenygrad runs in one interpreter of a process only");
    return -1;
  }
  engine.interpreter = PyInterpreterState_Get();
  if (!started && (interrupt_init() || start_engine())) return -1;
  started = true;
  if (convert_init() || add_enums(module) || add_dtype_table(module) || lazybuffer_init_type(module) ||
      exchange_init(module))
    return -1;
  if (PyModule_AddIntConstant(module, "DEBUG", engine.debug)) return -1;
  PyMethodDef *const functions[] = {realize_methods, switch_methods, pending_methods, record_methods};
  for (int i = 0; i < 4; i++)
    if (PyModule_AddFunctions(module, functions[i])) return -1;
  return realize_init(module);
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

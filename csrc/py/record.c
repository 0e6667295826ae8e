/* Those who want to know: the recorder is asked where each operation comes from, the tracer is told of each realize.
 * Without them operations cost one comparison more, and a realize none.
 *
 * Callbacks are ordinary Python code. They are called when the engine holds nothing half made, and may do whatever a
 * program may; what they raise is the outcome of the operation or, once its values are there, of the realize.
 * Owns: both functions. Callers: Python, exchange.c, lazybuffer.c. */
#include "py/describe.h"

PyObject *record_origin(PyObject *made) {
  PyObject *recorder = Py_XNewRef(engine.recorder);
  unsigned long origin = 0;
  tg_node *node = ((lazybuffer *)made)->node; /* the recorder may put another one there */
  if (!recorder) {
    tg_node_set_origin(node, 0);
    return made;
  }
  tg_node_ref(node);
  PyObject *answer = PyObject_CallOneArg(recorder, made);
  Py_DECREF(recorder);
  if (answer) origin = PyLong_AsUnsignedLong(answer);
  Py_XDECREF(answer);
  if (!PyErr_Occurred() && origin >= TG_ORIGIN_NEW)
    PyErr_Format(PyExc_OverflowError, "an origin of %lu: there is room for %lu", origin, (unsigned long)TG_ORIGIN_NEW);
  tg_node_set_origin(node, PyErr_Occurred() ? 0 : (uint32_t)origin);
  tg_node_unref(node);
  if (PyErr_Occurred()) Py_CLEAR(made);
  return made;
}

/* Puts a callable or, for None, nothing there. Returns what there was. */
static PyObject *exchange(PyObject **place, PyObject *function) {
  PyObject *before = *place;
  if (function != Py_None && !PyCallable_Check(function))
    return PyErr_Format(PyExc_TypeError, "a function is expected, not %.200s", Py_TYPE(function)->tp_name);
  *place = function == Py_None ? NULL : Py_NewRef(function);
  return before ? before : Py_NewRef(Py_None);
}

static PyObject *py_set_recorder(PyObject *module, PyObject *function) {
  (void)module;
  PyObject *before = exchange(&engine.recorder, function);
  tg_node_set_stamp(engine.recorder ? TG_ORIGIN_NEW : 0);
  return before;
}

static PyObject *py_set_tracer(PyObject *module, PyObject *function) {
  (void)module;
  return exchange(&engine.tracer, function);
}

static PyObject *py_node(PyObject *module, PyObject *o) {
  (void)module;
  if (!lazybuffer_check(o))
    return PyErr_Format(PyExc_TypeError, "a LazyBuffer is expected, not %.200s", Py_TYPE(o)->tp_name);
  tg_node *node = ((lazybuffer *)o)->node; /* may be computed by what Python runs meanwhile */
  tg_node_ref(node);
  PyObject *sources = PyList_New(0), *description = describe_node(node);
  for (int i = 0; sources && i < node->nsrc; i++) {
    PyObject *source = lazybuffer_new(node->src[i].node, node->src[i].view);
    if (!source || PyList_Append(sources, source)) Py_CLEAR(sources);
    Py_XDECREF(source);
  }
  if (!sources || !description || PyDict_SetItemString(description, "sources", sources)) Py_CLEAR(description);
  PyObject *whole = description ? lazybuffer_new(node, node->shape) : NULL;
  if (!whole || PyDict_SetItemString(description, "whole", whole)) Py_CLEAR(description);
  Py_XDECREF(whole);
  Py_XDECREF(sources);
  tg_node_unref(node);
  return description;
}

PyMethodDef record_methods[] = {
    {"set_recorder", py_set_recorder, METH_O,
     "set_recorder(function)\n--\n\nEvery operation asks function(LazyBuffer) for its origin, a number that its nodes "
     "keep; None ends it.\nReturns the function until now."},
    {"set_tracer", py_set_tracer, METH_O,
     "set_tracer(function)\n--\n\nEvery realize tells function(description) what it ran; None ends it. Returns the "
     "function until now."},
    {"node", py_node, METH_O,
     "node(buffer)\n--\n\nThe node that a LazyBuffer sees, as a dict: also its sources, seen as it sees them, and the "
     "whole of it."},
    {NULL, NULL, 0, NULL}};

/* The Python type LazyBuffer: a view over a node of the lazy graph. Nothing is computed but by `realized`, by what
 * hands memory out (exchange.c), and where too much is pending. Objects are immutable to Python (but take attributes,
 * as the original's do); realizing may put a smaller node in place of the one seen.
 *
 * Owns: a reference on its node and view. Callers: Python, exchange.c, realize.c, record.c. */
#include "py/engine.h"

#include "graph/broadcast.h"
#include "graph/windows.h"

#include <stddef.h>
#include <structmember.h>

static PyObject *wrap(tg_node *node, tg_view *view) { /* takes over both references */
  lazybuffer *b = PyObject_GC_New(lazybuffer, engine.lazybuffer);
  if (!b) {
    tg_node_unref(node);
    tg_view_unref(view);
    return NULL;
  }
  b->node = node;
  b->view = view;
  b->shape = b->dict = NULL;
  PyObject_GC_Track(b);
  return (PyObject *)b;
}

PyObject *lazybuffer_new(tg_node *node, tg_view *view) {
  tg_node_ref(node);
  tg_view_ref(view);
  return wrap(node, view);
}

/* Takes over the references of a new edge. What it made pending may be too much. */
static PyObject *wrap_edge(tg_status status, tg_edge e) {
  if (status) return engine_raise(status);
  PyObject *made = record_made(wrap(e.node, e.view));
  if (made && engine_relieve()) Py_CLEAR(made);
  return made;
}

/* Takes over the reference on a new node, seen whole. */
static PyObject *wrap_node(tg_status status, tg_node *node) {
  if (!status) tg_view_ref(node->shape);
  return wrap_edge(status, (tg_edge){node, status ? NULL : node->shape});
}

/* Takes over the reference on a new view of b's node. */
static PyObject *wrap_view(lazybuffer *b, tg_status status, tg_view *view) {
  tg_node *copy;
  if (status) return engine_raise(status);
  status = tg_node_settle((tg_edge){b->node, view}, &copy);
  if (status || copy) {
    tg_view_unref(view);
    return wrap_node(status, copy);
  }
  tg_node_ref(b->node);
  return wrap(b->node, view);
}

static tg_edge edge_of(const lazybuffer *b) { return (tg_edge){b->node, b->view}; }

static lazybuffer *checked(PyObject *o) {
  if (lazybuffer_check(o)) return (lazybuffer *)o;
  PyErr_Format(PyExc_TypeError, "a LazyBuffer is expected, not %.200s", Py_TYPE(o)->tp_name);
  return NULL;
}

/* ---- life ---- */

static PyObject *lazybuffer_from_numpy(PyObject *array) {
  tg_node *node;
  if (convert_from_numpy(array, &node)) return NULL;
  return wrap_node(TG_OK, node);
}

static PyObject *lazybuffer_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"buf", NULL};
  PyObject *array;
  (void)type;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:LazyBuffer", names, &array)) return NULL;
  return lazybuffer_from_numpy(array);
}

static int lazybuffer_traverse(lazybuffer *b, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(b));
  Py_VISIT(b->dict);
  return 0;
}

static int lazybuffer_clear(lazybuffer *b) {
  Py_CLEAR(b->dict);
  return 0;
}

static void lazybuffer_dealloc(lazybuffer *b) {
  PyTypeObject *type = Py_TYPE(b);
  PyObject_GC_UnTrack(b);
  tg_node_unref(b->node);
  tg_view_unref(b->view);
  Py_XDECREF(b->shape);
  Py_XDECREF(b->dict);
  PyObject_GC_Del(b);
  Py_DECREF(type);
}

/* ---- attributes ---- */

static PyObject *lazybuffer_get_shape(lazybuffer *b, void *closure) {
  (void)closure;
  if (!b->shape) {
    PyObject *shape = convert_shape(b->view);
    if (!shape) return NULL;
    Py_XSETREF(b->shape, shape); /* making a tuple may run the collector, and that this very function */
  }
  return Py_NewRef(b->shape);
}

static PyObject *lazybuffer_get_dtype(lazybuffer *b, void *closure) {
  (void)closure;
  PyObject *dtype = engine.dtype[b->node->dtype];
  if (!dtype) return PyErr_Format(PyExc_RuntimeError, "the dtypes are not registered: import teenygrad first");
  return Py_NewRef(dtype);
}

static PyObject *lazybuffer_get_base(lazybuffer *b, void *closure) {
  (void)closure;
  return Py_NewRef((PyObject *)b);
}

static PyObject *lazybuffer_get_realized(lazybuffer *b, void *closure) {
  (void)closure;
  if (!engine.raw_buffer)
    return PyErr_Format(PyExc_RuntimeError, "RawCPUBuffer is not registered: import teenygrad first");
  if (engine_realize(&b, 1)) return NULL;
  PyObject *array = convert_to_numpy(b->node, b->view);
  if (!array) return NULL;
  PyObject *raw = PyObject_CallOneArg(engine.raw_buffer, array);
  Py_DECREF(array);
  return raw;
}

static PyObject *lazybuffer_get_computed(lazybuffer *b, void *closure) {
  (void)closure;
  return PyBool_FromLong(b->node->buffer != NULL || b->node->kind == TG_NODE_CONST);
}

static PyObject *lazybuffer_repr(lazybuffer *b) {
  PyObject *shape = lazybuffer_get_shape(b, NULL), *dtype = lazybuffer_get_dtype(b, NULL), *text = NULL;
  if (shape && dtype) text = PyUnicode_FromFormat("<LB %R %R>", shape, dtype);
  Py_XDECREF(shape);
  Py_XDECREF(dtype);
  return text;
}

/* ---- making buffers ---- */

static PyObject *lazybuffer_fromCPU(PyObject *unused, PyObject *array) {
  (void)unused;
  return lazybuffer_from_numpy(array);
}

/* `value` of dtype, seen with the given shape. */
static PyObject *constant(tg_dtype dtype, PyObject *value, int ndim, const int64_t *shape) {
  tg_scalar scalar = {0};
  tg_node *node;
  tg_view *view;
  if (convert_scalar(value, dtype, &scalar)) return NULL;
  tg_status status = tg_node_const(dtype, scalar, &node);
  if (status) return engine_raise(status);
  if ((status = tg_view_expand(node->shape, ndim, shape, &view))) {
    tg_node_unref(node);
    return engine_raise(status);
  }
  return wrap_edge(TG_OK, (tg_edge){node, view});
}

static PyObject *lazybuffer_loadop(PyObject *unused, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"op", "shape", "dtype", "device", "arg", "src", NULL};
  PyObject *op_object, *shape_object, *dtype_object, *device = NULL, *arg = Py_None, *src = NULL;
  int64_t shape[TG_MAX_DIMS];
  tg_op op;
  tg_dtype dtype;
  tg_node *node;
  (void)unused;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOO:loadop", names, &op_object, &shape_object, &dtype_object,
                                   &device, &arg, &src))
    return NULL;
  if (convert_op(op_object, &op) || convert_dtype(dtype_object, &dtype)) return NULL;
  if (tg_ops[op].kind != TG_KIND_LOAD)
    return PyErr_Format(PyExc_NotImplementedError, "%R creates nothing here", op_object);
  int ndim = convert_ints(shape_object, "shape", shape);
  if (ndim < 0) return NULL;
  for (int i = 0; i < ndim; i++)
    if (shape[i] < 0) return PyErr_Format(PyExc_ValueError, "negative size in shape %R", shape_object);
  switch (op) {
  case TG_OP_EMPTY: {
    if (dtype == TG_BOOL) return constant(dtype, Py_False, ndim, shape); /* not any byte is a truth value */
    tg_status status = tg_node_buffer(dtype, ndim, shape, &node);
    return wrap_node(status, node);
  }
  case TG_OP_RAND: {
    PyObject *index = PyNumber_Index(arg);
    if (!index) return NULL;
    uint64_t key = PyLong_AsUnsignedLongLongMask(index);
    Py_DECREF(index);
    tg_status status = tg_node_random(dtype, ndim, shape, key, &node);
    return wrap_node(status, node);
  }
  default: return constant(dtype, arg, ndim, shape);
  }
}

static PyObject *lazybuffer_arange(PyObject *unused, PyObject *const *args, Py_ssize_t nargs) {
  tg_dtype dtype;
  tg_node *node;
  int64_t n;
  (void)unused;
  if (nargs != 2) return PyErr_Format(PyExc_TypeError, "arange(n, dtype) takes 2 arguments (%zd given)", nargs);
  PyObject *one = PyTuple_Pack(1, args[0]);
  int count = one ? convert_ints(one, "n", &n) : -1;
  Py_XDECREF(one);
  if (count < 0 || convert_dtype(args[1], &dtype)) return NULL;
  tg_status status = tg_node_arange(dtype, n, &node);
  return wrap_node(status, node);
}

static PyObject *lazybuffer_const(lazybuffer *b, PyObject *value) {
  tg_view *view = b->view; /* converting the value may run code that realizes b and so replaces its view */
  tg_view_ref(view);
  PyObject *made = constant((tg_dtype)b->node->dtype, value, view->ndim, view->shape);
  tg_view_unref(view);
  return made;
}

/* ---- operations ---- */

static PyObject *lazybuffer_cast(lazybuffer *b, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"dtype", "bitcast", NULL};
  PyObject *dtype_object;
  int bitcast = 0;
  tg_dtype dtype;
  tg_node *node;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:cast", names, &dtype_object, &bitcast)) return NULL;
  if (convert_dtype(dtype_object, &dtype)) return NULL;
  if (dtype == b->node->dtype) return Py_NewRef((PyObject *)b);
  tg_status status = bitcast ? tg_node_bitcast(edge_of(b), dtype, &node) : tg_node_cast(edge_of(b), dtype, &node);
  return wrap_node(status, node);
}

/* op of the operands, as many as it has, in the shape they broadcast to. */
static PyObject *elementwise(tg_op op, const tg_edge *operand) {
  tg_edge result = {NULL, NULL};
  return wrap_edge(tg_broadcast(op, operand, &result), result);
}

static PyObject *lazybuffer_e(lazybuffer *self, PyObject *const *args, Py_ssize_t nargs) {
  tg_op op;
  tg_edge operand[3] = {edge_of(self)};
  if (nargs < 1) return PyErr_Format(PyExc_TypeError, "e(op, *srcs) takes at least 1 argument");
  if (convert_op(args[0], &op)) return NULL;
  tg_op_kind kind = tg_ops[op].kind;
  int arity = tg_ops[op].arity;
  if (kind != TG_KIND_UNARY && kind != TG_KIND_BINARY && kind != TG_KIND_TERNARY)
    return PyErr_Format(PyExc_NotImplementedError, "%R is not an elementwise operation", args[0]);
  if (nargs != arity) return PyErr_Format(PyExc_TypeError, "%R takes %d operands, not %zd", args[0], arity, nargs);
  for (int i = 1; i < arity; i++) {
    lazybuffer *other = checked(args[i]);
    if (!other) return NULL;
    operand[i] = edge_of(other);
  }
  return elementwise(op, operand);
}

/* The operators: a or b is a LazyBuffer; the other one is, too, or a number, a constant of its dtype. */
static PyObject *operator(tg_op op, PyObject *a, PyObject *b) {
  PyObject *const side[2] = {a, b};
  int lazy = !lazybuffer_check(a), other = !lazy;
  tg_edge operand[2];
  tg_node *number = NULL;
  if (PyFloat_Check(side[other]) || PyLong_Check(side[other])) {
    tg_dtype dtype = (tg_dtype)((lazybuffer *)side[lazy])->node->dtype;
    tg_scalar value = {0};
    if (convert_scalar(side[other], dtype, &value)) return NULL;
    tg_status status = tg_node_const(dtype, value, &number);
    if (status) return engine_raise(status);
    operand[other] = (tg_edge){number, number->shape};
  } else {
    if (!lazybuffer_check(side[other])) Py_RETURN_NOTIMPLEMENTED;
    operand[other] = edge_of((lazybuffer *)side[other]);
  }
  operand[lazy] = edge_of((lazybuffer *)side[lazy]);
  PyObject *result = elementwise(op, operand);
  tg_node_unref(number);
  return result;
}

static PyObject *lazybuffer_add(PyObject *a, PyObject *b) { return operator(TG_OP_ADD, a, b); }
static PyObject *lazybuffer_sub(PyObject *a, PyObject *b) { return operator(TG_OP_SUB, a, b); }
static PyObject *lazybuffer_mul(PyObject *a, PyObject *b) { return operator(TG_OP_MUL, a, b); }
static PyObject *lazybuffer_div(PyObject *a, PyObject *b) { return operator(TG_OP_DIV, a, b); }
static PyObject *lazybuffer_neg(lazybuffer *b) {
  tg_edge operand = edge_of(b);
  return elementwise(TG_OP_NEG, &operand);
}

static PyObject *lazybuffer_r(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  tg_op op;
  tg_edge result;
  int64_t shape[TG_MAX_DIMS];
  uint32_t axes = 0;
  if (nargs != 2) return PyErr_Format(PyExc_TypeError, "r(op, new_shape) takes 2 arguments (%zd given)", nargs);
  if (convert_op(args[0], &op)) return NULL;
  if (tg_ops[op].kind != TG_KIND_REDUCE)
    return PyErr_Format(PyExc_NotImplementedError, "%R is not a reduction", args[0]);
  int ndim = convert_ints(args[1], "new_shape", shape);
  if (ndim < 0) return NULL;
  if (ndim != b->view->ndim) {
    PyObject *own = convert_shape(b->view);
    if (own) PyErr_Format(PyExc_AssertionError, "reduce shapes must have the same length: %R to %R", own, args[1]);
    Py_XDECREF(own);
    return NULL;
  }
  for (int i = 0; i < ndim; i++)
    if (shape[i] != b->view->shape[i]) axes |= 1u << i;
  if (!axes) return Py_NewRef((PyObject *)b);
  tg_status status = tg_node_reduce(op, edge_of(b), axes, &result);
  return wrap_edge(status, result);
}

static PyObject *lazybuffer_dot(lazybuffer *self, PyObject *const *args, Py_ssize_t nargs) {
  tg_edge result = {NULL, NULL};
  bool swapped[2] = {false, false};
  if (nargs < 1 || nargs > 3) return PyErr_Format(PyExc_TypeError, "dot takes 1 to 3 arguments (%zd given)", nargs);
  for (int i = 1; i < nargs; i++) { /* which may run code that realizes self, and so replaces its node */
    int truth = PyObject_IsTrue(args[i]);
    if (truth < 0) return NULL;
    swapped[i - 1] = truth;
  }
  lazybuffer *other = checked(args[0]);
  if (!other) return NULL;
  const tg_edge factor[2] = {edge_of(self), edge_of(other)};
  return wrap_edge(tg_dot(factor, swapped, &result), result);
}

/* An axis of `ndim` dims, negative from the end; IndexError outside. */
static int axis_arg(PyObject *o, int ndim, int *axis) {
  Py_ssize_t value = PyNumber_AsSsize_t(o, PyExc_IndexError);
  if (value == -1 && PyErr_Occurred()) return -1;
  if (value < -ndim || value >= ndim) {
    PyErr_Format(PyExc_IndexError, "axis %zd of %d dimensions", value, ndim);
    return -1;
  }
  *axis = (int)(value < 0 ? value + ndim : value);
  return 0;
}

static PyObject *lazybuffer_cumsum(lazybuffer *b, PyObject *axis_object) {
  int axis;
  tg_node *node = NULL;
  if (axis_arg(axis_object, b->view->ndim, &axis)) return NULL;
  tg_status status = tg_node_scan(edge_of(b), axis, &node);
  return wrap_node(status, node);
}

static PyObject *lazybuffer_argsort(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  int axis, descending;
  tg_node *node = NULL;
  if (nargs != 3)
    return PyErr_Format(PyExc_TypeError, "argsort(axis, descending, count) takes 3 arguments (%zd given)", nargs);
  if (axis_arg(args[0], b->view->ndim, &axis) || (descending = PyObject_IsTrue(args[1])) < 0) return NULL;
  Py_ssize_t count = PyNumber_AsSsize_t(args[2], PyExc_OverflowError);
  if (count == -1 && PyErr_Occurred()) return NULL;
  tg_status status = tg_node_sort(edge_of(b), axis, descending, count, &node);
  return wrap_node(status, node);
}

static PyObject *lazybuffer_gather(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  int axis;
  tg_node *node = NULL;
  if (nargs != 2) return PyErr_Format(PyExc_TypeError, "gather(index, axis) takes 2 arguments (%zd given)", nargs);
  lazybuffer *index = checked(args[0]);
  if (!index || axis_arg(args[1], b->view->ndim, &axis)) return NULL;
  tg_status status = tg_node_gather(edge_of(b), edge_of(index), axis, &node);
  return wrap_node(status, node);
}

static PyObject *lazybuffer_scatter_add(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  int axis;
  int64_t shape[TG_MAX_DIMS];
  tg_node *node = NULL;
  if (nargs != 3)
    return PyErr_Format(PyExc_TypeError, "scatter_add(index, axis, shape) takes 3 arguments (%zd given)", nargs);
  lazybuffer *index = checked(args[0]);
  if (!index) return NULL;
  int ndim = convert_ints(args[2], "shape", shape);
  if (ndim < 0 || axis_arg(args[1], ndim, &axis)) return NULL;
  tg_status status = tg_node_scatter(edge_of(b), edge_of(index), axis, ndim, shape, &node);
  return wrap_node(status, node);
}

static PyObject *lazybuffer_contiguous(lazybuffer *b, PyObject *unused) {
  tg_node *node;
  (void)unused;
  if (tg_view_is_contiguous(b->view) && b->view->size == b->node->shape->size) return Py_NewRef((PyObject *)b);
  tg_status status = tg_node_copy(edge_of(b), &node);
  return wrap_node(status, node);
}

/* ---- movement ---- */

/* The movement ops whose argument is one integer for each axis. */
typedef tg_status (*movement_fn)(tg_view *v, int n, const int64_t *arg, tg_view **out);

static PyObject *move(lazybuffer *b, PyObject *arg, const char *what, movement_fn movement) {
  int64_t values[TG_MAX_DIMS];
  tg_view *view = NULL;
  int n = convert_ints(arg, what, values);
  if (n < 0) return NULL;
  tg_status status = movement(b->view, n, values, &view);
  return wrap_view(b, status, view);
}

static PyObject *lazybuffer_reshape(lazybuffer *b, PyObject *arg) { return move(b, arg, "shape", tg_view_reshape); }
static PyObject *lazybuffer_expand(lazybuffer *b, PyObject *arg) { return move(b, arg, "shape", tg_view_expand); }
static PyObject *lazybuffer_permute(lazybuffer *b, PyObject *arg) { return move(b, arg, "order", tg_view_permute); }
static PyObject *lazybuffer_stride(lazybuffer *b, PyObject *arg) { return move(b, arg, "stride", tg_view_stride); }

static PyObject *lazybuffer_shrink(lazybuffer *b, PyObject *arg) {
  int64_t start[TG_MAX_DIMS], stop[TG_MAX_DIMS];
  tg_view *view = NULL;
  int n = convert_pairs(arg, "shrink", start, stop, INT64_MAX);
  if (n < 0) return NULL;
  tg_status status = tg_view_shrink(b->view, n, start, stop, &view);
  return wrap_view(b, status, view);
}

static PyObject *lazybuffer_pad(lazybuffer *b, PyObject *arg) {
  int64_t before[TG_MAX_DIMS], after[TG_MAX_DIMS];
  tg_view *view = NULL;
  int n = convert_pairs(arg, "pad", before, after, 0);
  if (n < 0) return NULL;
  for (; n == 1 && b->view->ndim > 1; n = b->view->ndim) /* one pair stands for every axis */
    for (int i = 1; i < b->view->ndim; i++) {
      before[i] = before[0];
      after[i] = after[0];
    }
  tg_status status = tg_view_pad(b->view, n, before, after, &view);
  return wrap_view(b, status, view);
}

/* Three sequences of equal length over the last axes. */
static int window_args(PyObject *const *args, Py_ssize_t nargs, const char *first, int64_t *sizes, int64_t *stride,
                       int64_t *dilation) {
  if (nargs != 3) {
    PyErr_Format(PyExc_TypeError, "%s, stride and dilation are expected (%zd arguments given)", first, nargs);
    return -1;
  }
  int n = convert_ints(args[0], first, sizes);
  if (n < 0) return -1;
  int s = convert_ints(args[1], "stride", stride), d = s < 0 ? -1 : convert_ints(args[2], "dilation", dilation);
  if (s < 0 || d < 0) return -1;
  if (s == n && d == n) return n;
  PyErr_Format(PyExc_ValueError, "%s %R, stride %R and dilation %R differ in length", first, args[0], args[1], args[2]);
  return -1;
}

static PyObject *lazybuffer_window(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  int64_t kernel[TG_MAX_DIMS], stride[TG_MAX_DIMS], dilation[TG_MAX_DIMS];
  tg_view *view = NULL;
  int n = window_args(args, nargs, "kernel", kernel, stride, dilation);
  if (n < 0) return NULL;
  tg_status status = tg_view_window(b->view, n, kernel, stride, dilation, &view);
  return wrap_view(b, status, view);
}

static PyObject *lazybuffer_window_adjoint(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs) {
  int64_t in[TG_MAX_DIMS], stride[TG_MAX_DIMS], dilation[TG_MAX_DIMS];
  tg_edge result = {NULL, NULL};
  int n = window_args(args, nargs, "in_shape", in, stride, dilation);
  if (n < 0) return NULL;
  tg_status status = tg_node_overlap(edge_of(b), n, in, stride, dilation, &result.node, &result.view);
  return wrap_edge(status, result);
}

/* ---- the rest of the original's interface ---- */

static PyObject *lazybuffer_schedule(lazybuffer *b, PyObject *const *args, Py_ssize_t nargs, PyObject *names) {
  (void)args, (void)nargs, (void)names; /* `seen`: what is scheduled twice is computed once all the same */
  PyObject *list = NULL, *buffers = NULL, *module = PyImport_ImportModule("teenygrad._engine");
  if (module && (buffers = PyTuple_Pack(1, (PyObject *)b)))
    list = PyObject_CallMethod(module, "schedule", "(O)", buffers);
  Py_XDECREF(buffers);
  Py_XDECREF(module);
  return list;
}

static PyObject *lazybuffer_is_const(lazybuffer *b, PyObject *unused) {
  (void)b, (void)unused;
  Py_RETURN_FALSE;
}

static PyObject *lazybuffer_copy_to_device(lazybuffer *b, PyObject *device) {
  (void)device;
  return Py_NewRef((PyObject *)b);
}

#define FAST(f) (PyCFunction)(void (*)(void))(f)

static PyMethodDef methods[] = {
    {"fromCPU", lazybuffer_fromCPU, METH_O | METH_STATIC,
     "fromCPU(array)\n--\n\nA copy of an ndarray of any strides and byte order."},
    {"loadop", FAST(lazybuffer_loadop), METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "loadop(op, shape, dtype, device, arg=None, src=None)\n--\n\nEMPTY, CONST (arg: the value) or RAND (arg: the "
     "key)."},
    {"arange", FAST(lazybuffer_arange), METH_FASTCALL | METH_STATIC,
     "arange(n, dtype)\n--\n\n0, 1, ... n-1, never stored."},
    {"const", (PyCFunction)lazybuffer_const, METH_O,
     "const(value)\n--\n\nSame shape and dtype, every element `value`."},
    {"cast", FAST(lazybuffer_cast), METH_VARARGS | METH_KEYWORDS,
     "cast(dtype, bitcast=False)\n--\n\nConverted, or the same bytes."},
    {"e", FAST(lazybuffer_e), METH_FASTCALL,
     "e(op, *srcs)\n--\n\nElementwise operation with self as first operand. Shapes broadcast; the largest dtype is the "
     "result's."},
    {"r", FAST(lazybuffer_r), METH_FASTCALL,
     "r(op, new_shape)\n--\n\nReduces the axes in which new_shape differs to 1. ValueError for the maximum of "
     "nothing."},
    {"dot", FAST(lazybuffer_dot), METH_FASTCALL,
     "dot(other, swapped=False, other_swapped=False)\n--\n\nThe matrix product of the last two axes, those exchanged "
     "first if asked for; those before broadcast."},
    {"cumsum", (PyCFunction)lazybuffer_cumsum, METH_O,
     "cumsum(axis)\n--\n\nRunning sums along an axis, in the same dtype."},
    {"argsort", FAST(lazybuffer_argsort), METH_FASTCALL,
     "argsort(axis, descending, count)\n--\n\nThe int64 indices that sort an axis, the first `count`; stable, NaN "
     "is the largest."},
    {"gather", FAST(lazybuffer_gather), METH_FASTCALL,
     "gather(index, axis)\n--\n\nThe elements at integer indices along an axis; IndexError when computed."},
    {"scatter_add", FAST(lazybuffer_scatter_add), METH_FASTCALL,
     "scatter_add(index, axis, shape)\n--\n\nThe adjoint of gather: self added onto zeros of that shape."},
    {"contiguous", (PyCFunction)lazybuffer_contiguous, METH_NOARGS,
     "contiguous()\n--\n\nThe same values, stored in C order."},
    {"reshape", (PyCFunction)lazybuffer_reshape, METH_O,
     "reshape(shape)\n--\n\nThe elements in C order in another shape, of which one -1 is inferred."},
    {"expand", (PyCFunction)lazybuffer_expand, METH_O,
     "expand(shape)\n--\n\nAxes of size 1 repeat; further ones may stand in front."},
    {"permute", (PyCFunction)lazybuffer_permute, METH_O, "permute(order)\n--\n\nAxes in another order."},
    {"shrink", (PyCFunction)lazybuffer_shrink, METH_O,
     "shrink(((start, stop), ...))\n--\n\nSlices each axis, as Python does."},
    {"pad", (PyCFunction)lazybuffer_pad, METH_O, "pad(((before, after), ...))\n--\n\nZeros around each axis."},
    {"stride", (PyCFunction)lazybuffer_stride, METH_O, "stride(steps)\n--\n\nThe slice step of each axis; -1 flips."},
    {"window", FAST(lazybuffer_window), METH_FASTCALL,
     "window(kernel, stride, dilation)\n--\n\nSliding windows: (*lead, *in) to (*lead, *out, *kernel)."},
    {"window_adjoint", FAST(lazybuffer_window_adjoint), METH_FASTCALL,
     "window_adjoint(in_shape, stride, dilation)\n--\n\nOverlap-add: (*lead, *out, *kernel) to (*lead, *in)."},
    {"schedule", FAST(lazybuffer_schedule), METH_FASTCALL | METH_KEYWORDS,
     "schedule(seen=None)\n--\n\nThe kernels that realize it."},
    {"is_unrealized_contiguous_const", (PyCFunction)lazybuffer_is_const, METH_NOARGS,
     "is_unrealized_contiguous_const()\n--\n\nFalse."},
    {"copy_to_device", (PyCFunction)lazybuffer_copy_to_device, METH_O, "copy_to_device(device)\n--\n\nItself."},
    {"__dlpack__", FAST(exchange_dlpack), METH_VARARGS | METH_KEYWORDS,
     "__dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\nA capsule of a copy; of the "
     "memory itself, read-only, if copy is False."},
    {"__dlpack_device__", FAST(exchange_dlpack_device), METH_NOARGS, "__dlpack_device__()\n--\n\n(1, 0): the CPU."},
    {"from_dlpack", FAST(exchange_from_dlpack), METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "from_dlpack(capsule, share=False)\n--\n\nA copy of what a capsule holds, or that memory itself."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef attributes[] = {
    {"shape", (getter)lazybuffer_get_shape, NULL, "tuple", NULL},
    {"dtype", (getter)lazybuffer_get_dtype, NULL, "DType", NULL},
    {"base", (getter)lazybuffer_get_base, NULL, "itself", NULL},
    {"realized", (getter)lazybuffer_get_realized, NULL,
     "RawCPUBuffer of the value, computed now; the array is the caller's own", NULL},
    {"computed", (getter)lazybuffer_get_computed, NULL, "whether the value is at hand", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(lazybuffer, dict), READONLY, NULL},
                                {NULL, 0, 0, 0, NULL}};

static PyType_Slot type_slots[] = {{Py_tp_doc, "A lazy array: a view over a node of the graph."},
                                   {Py_tp_new, lazybuffer_tp_new},
                                   {Py_tp_dealloc, lazybuffer_dealloc},
                                   {Py_tp_traverse, lazybuffer_traverse},
                                   {Py_tp_clear, lazybuffer_clear},
                                   {Py_tp_repr, lazybuffer_repr},
                                   {Py_nb_add, lazybuffer_add},
                                   {Py_nb_subtract, lazybuffer_sub},
                                   {Py_nb_multiply, lazybuffer_mul},
                                   {Py_nb_true_divide, lazybuffer_div},
                                   {Py_nb_negative, lazybuffer_neg},
                                   {Py_bf_getbuffer, exchange_get_buffer},
                                   {Py_bf_releasebuffer, exchange_release_buffer},
                                   {Py_tp_methods, methods},
                                   {Py_tp_getset, attributes},
                                   {Py_tp_members, members},
                                   {0, NULL}};

static PyType_Spec type_spec = {"teenygrad.lazy.LazyBuffer", sizeof(lazybuffer), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, type_slots};

int lazybuffer_init_type(PyObject *module) {
  if (!engine.lazybuffer) {
    PyObject *device = PyUnicode_FromString("CPU");
    PyObject *type = device ? PyType_FromSpec(&type_spec) : NULL;
    int failed = !type || PyObject_SetAttrString(type, "device", device) ||
                 PyObject_SetAttrString(type, "__array_ufunc__", Py_None); /* NumPy's operators are left to this type */
    Py_XDECREF(device);
    if (failed) {
      Py_XDECREF(type);
      return -1;
    }
    engine.lazybuffer = (PyTypeObject *)type;
  }
  return PyModule_AddObjectRef(module, "LazyBuffer", (PyObject *)engine.lazybuffer);
}

/* Conversions between Python, NumPy and the core (see engine.h). The only file that uses NumPy's
 * C API. Arrays are copied on the way in and on the way out, so nobody's writes surprise anybody.
 * Callers: describe.c, lazybuffer.c, module.c, realize.c. */
#include "py/engine.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include "exec/walk.h"

int convert_init(void) {
  import_array1(-1);
  return 0;
}

/* ---- scalars and sequences ---- */

static int to_int64(PyObject *o, const char *what, int64_t *value) {
  int overflow;
  PyObject *index = PyNumber_Index(o);
  if (!index) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "%s must be integers, not %.100R of %.100s", what, o, Py_TYPE(o)->tp_name);
    return -1;
  }
  *value = PyLong_AsLongLongAndOverflow(index, &overflow);
  Py_DECREF(index);
  if (overflow) PyErr_Format(PyExc_ValueError, "%s: integer out of range", what);
  return overflow || (*value == -1 && PyErr_Occurred()) ? -1 : 0;
}

/* A tuple of the items, at most TG_MAX_DIMS; new reference. */
static PyObject *dims_of(PyObject *sequence, const char *what) {
  PyObject *items = PySequence_Tuple(sequence);
  if (!items) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "%s must be a sequence, not %.200s", what, Py_TYPE(sequence)->tp_name);
    return NULL;
  }
  if (PyTuple_GET_SIZE(items) > TG_MAX_DIMS) {
    PyErr_Format(PyExc_ValueError, "%s: %zd dimensions, at most %d are supported", what, PyTuple_GET_SIZE(items),
                 TG_MAX_DIMS);
    Py_CLEAR(items);
  }
  return items;
}

int convert_ints(PyObject *sequence, const char *what, int64_t *values) {
  PyObject *items = dims_of(sequence, what);
  if (!items) return -1;
  int n = (int)PyTuple_GET_SIZE(items);
  for (int i = 0; i < n; i++)
    if (to_int64(PyTuple_GET_ITEM(items, i), what, &values[i])) {
      n = -1;
      break;
    }
  Py_DECREF(items);
  return n;
}

int convert_pairs(PyObject *sequence, const char *what, int64_t *first, int64_t *second, int64_t absent_second) {
  PyObject *items = dims_of(sequence, what);
  if (!items) return -1;
  int n = (int)PyTuple_GET_SIZE(items);
  for (int i = 0; i < n; i++) {
    PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(items, i));
    bool ok = pair && PyTuple_GET_SIZE(pair) == 2;
    if (pair && !ok) PyErr_Format(PyExc_ValueError, "%s: pairs of integers are expected, got %R", what, pair);
    first[i] = 0;
    second[i] = absent_second;
    if (ok && PyTuple_GET_ITEM(pair, 0) != Py_None) ok = !to_int64(PyTuple_GET_ITEM(pair, 0), what, &first[i]);
    if (ok && PyTuple_GET_ITEM(pair, 1) != Py_None) ok = !to_int64(PyTuple_GET_ITEM(pair, 1), what, &second[i]);
    Py_XDECREF(pair);
    if (!ok) {
      n = -1;
      break;
    }
  }
  Py_DECREF(items);
  return n;
}

int convert_dtype(PyObject *o, tg_dtype *dtype) {
  for (int d = 0; d < TG_DTYPE_COUNT; d++)
    if (engine.dtype[d] == o) {
      *dtype = (tg_dtype)d;
      return 0;
    }
  for (int d = 0; d < TG_DTYPE_COUNT; d++) { /* equal but not identical: unpickled */
    int equal = engine.dtype[d] ? PyObject_RichCompareBool(engine.dtype[d], o, Py_EQ) : 0;
    if (equal < 0) return -1;
    if (equal) {
      *dtype = (tg_dtype)d;
      return 0;
    }
  }
  PyErr_Format(PyExc_TypeError, "a dtype of teenygrad is expected, not %R", o);
  return -1;
}

int convert_op(PyObject *o, tg_op *op) {
  for (int i = 0; i < TG_OP_COUNT; i++)
    if (engine.op[i] == o) {
      *op = (tg_op)i;
      return 0;
    }
  PyErr_Format(PyExc_NotImplementedError, "%R is not an operation of the engine", o);
  return -1;
}

int convert_scalar(PyObject *o, tg_dtype dtype, tg_scalar *value) {
  if (tg_dtypes[dtype].is_float) {
    value->f = PyFloat_AsDouble(o);
    return value->f == -1.0 && PyErr_Occurred() ? -1 : 0;
  }
  if (PyIndex_Check(o)) {
    PyObject *index = PyNumber_Index(o);
    if (!index) return -1;
    if (dtype == TG_BOOL) {
      value->i = PyObject_IsTrue(index);
    } else { /* modulo 2^64, then to the dtype's width */
      tg_scalar wide = {.u = PyLong_AsUnsignedLongLongMask(index)};
      *value = tg_scalar_cast(TG_U64, dtype, wide);
    }
    Py_DECREF(index);
    return PyErr_Occurred() ? -1 : 0;
  }
  tg_scalar number = {.f = PyFloat_AsDouble(o)};
  if (number.f == -1.0 && PyErr_Occurred()) return -1;
  *value = tg_scalar_cast(TG_F64, dtype, number);
  return 0;
}

PyObject *convert_sizes(const int64_t *sizes, int n) {
  PyObject *shape = PyTuple_New(n);
  for (int i = 0; shape && i < n; i++) {
    PyObject *size = PyLong_FromLongLong(sizes[i]);
    if (!size) Py_CLEAR(shape);
    else PyTuple_SET_ITEM(shape, i, size);
  }
  return shape;
}

PyObject *convert_shape(tg_view *v) {
  tg_view_ref(v); /* making a tuple may run the collector, and that a finalizer which realizes the view's buffer */
  PyObject *shape = convert_sizes(v->shape, v->ndim);
  tg_view_unref(v);
  return shape;
}

/* ---- arrays ---- */

static const int numpy_type[TG_DTYPE_COUNT] = {[TG_BOOL] = NPY_BOOL,   [TG_I8] = NPY_INT8,     [TG_U8] = NPY_UINT8,
                                               [TG_I16] = NPY_INT16,   [TG_U16] = NPY_UINT16,  [TG_I32] = NPY_INT32,
                                               [TG_U32] = NPY_UINT32,  [TG_I64] = NPY_INT64,   [TG_U64] = NPY_UINT64,
                                               [TG_F16] = NPY_FLOAT16, [TG_BF16] = NPY_NOTYPE, [TG_F32] = NPY_FLOAT32,
                                               [TG_F64] = NPY_FLOAT64};

/* By kind and width: C's long and long long are one dtype here. */
static int dtype_of_array(PyArrayObject *array, tg_dtype *dtype) {
  PyArray_Descr *d = PyArray_DESCR(array);
  npy_intp size = PyArray_ITEMSIZE(array);
  for (int i = 0; i < TG_DTYPE_COUNT; i++) {
    const tg_dtype_info *info = &tg_dtypes[i];
    if (i == TG_BF16 || info->itemsize != size) continue;
    char kind = i == TG_BOOL ? 'b' : info->is_float ? 'f' : info->is_signed ? 'i' : 'u';
    if (d->kind == kind) {
      *dtype = (tg_dtype)i;
      return 0;
    }
  }
  PyErr_Format(PyExc_TypeError, "NumPy dtype %R has no counterpart here", (PyObject *)d);
  return -1;
}

#define PART (1 << 22) /* elements copied between two looks for signals */

/* Copies elements of `array`, those of the given sizes that start at `from`, to `to` in C order: NumPy does, from any
 * strides and either byte order, misaligned or not. Many of them in halves along the first axis that can be cut. */
static int copy_elements(PyArrayObject *array, int ndim, npy_intp *dims, char *from, tg_dtype dtype, char *to) {
  npy_intp size = PyArray_MultiplyList(dims, ndim);
  if (size > PART) {
    int axis = 0;
    while (dims[axis] == 1) axis++;
    npy_intp whole = dims[axis], half = whole / 2;
    dims[axis] = half;
    int failed = copy_elements(array, ndim, dims, from, dtype, to);
    dims[axis] = whole - half;
    to += (size_t)(size / whole * half) * tg_itemsize(dtype);
    if (!failed) failed = copy_elements(array, ndim, dims, from + PyArray_STRIDE(array, axis) * half, dtype, to);
    dims[axis] = whole;
    return failed;
  }
  if (PyErr_CheckSignals()) return -1;
  PyArray_Descr *descr = PyArray_DESCR(array);
  Py_INCREF(descr);
  PyObject *source = PyArray_NewFromDescr(&PyArray_Type, descr, ndim, dims, PyArray_STRIDES(array), from, 0, NULL);
  PyObject *target = source ? PyArray_SimpleNewFromData(ndim, dims, numpy_type[dtype], to) : NULL;
  bool ok = target && PyArray_CopyInto((PyArrayObject *)target, (PyArrayObject *)source) == 0;
  Py_XDECREF(target);
  Py_XDECREF(source);
  if (ok && dtype == TG_BOOL) /* a view of other bytes as bool may hold more than 0 and 1 */
    for (npy_intp i = 0; i < size; i++) to[i] = to[i] != 0;
  return ok ? 0 : -1;
}

int convert_from_numpy(PyObject *o, tg_node **out) {
  tg_dtype dtype;
  tg_node *node;
  int64_t shape[TG_MAX_DIMS];
  npy_intp dims[TG_MAX_DIMS];
  if (!PyArray_Check(o)) {
    PyErr_Format(PyExc_TypeError, "an ndarray is expected, not %.200s", Py_TYPE(o)->tp_name);
    return -1;
  }
  PyArrayObject *array = (PyArrayObject *)o;
  int ndim = PyArray_NDIM(array);
  if (ndim > TG_MAX_DIMS) {
    PyErr_Format(PyExc_ValueError, "an array of %d dimensions, at most %d are supported", ndim, TG_MAX_DIMS);
    return -1;
  }
  if (dtype_of_array(array, &dtype)) return -1;
  for (int i = 0; i < ndim; i++) shape[i] = dims[i] = PyArray_DIM(array, i);
  tg_status status = tg_node_buffer(dtype, ndim, shape, &node);
  if (status) {
    engine_raise(status);
    return -1;
  }
  if (copy_elements(array, ndim, dims, PyArray_DATA(array), dtype, node->buffer->data)) {
    tg_node_unref(node);
    return -1;
  }
  *out = node;
  return 0;
}

PyObject *convert_to_numpy(const tg_node *node, const tg_view *view) {
  npy_intp dims[TG_MAX_DIMS];
  tg_dtype dtype = (tg_dtype)node->dtype;
  tg_walk walk;
  int64_t none = 0, step = 1 << 20;
  uint64_t constant = 0;
  if (numpy_type[dtype] == NPY_NOTYPE)
    return PyErr_Format(PyExc_TypeError, "NumPy has no %s: cast to float32 first", tg_dtypes[dtype].attribute);
  for (int i = 0; i < view->ndim; i++) dims[i] = (npy_intp)view->shape[i];
  PyObject *array = PyArray_SimpleNew(view->ndim, dims, numpy_type[dtype]);
  if (!array) return NULL;
  tg_status status = tg_walk_init(&walk, view, 0, dtype);
  if (status) {
    Py_DECREF(array);
    return engine_raise(status);
  }
  const void *memory = &constant;
  if (node->kind == TG_NODE_CONST) tg_scalar_store(dtype, node->value, &constant);
  else memory = node->buffer->data;
  char *to = PyArray_DATA((PyArrayObject *)array);
  size_t itemsize = tg_itemsize(dtype);
  bool can_ask = interrupt_start(), stop = false;
  Py_BEGIN_ALLOW_THREADS
  for (int64_t at = 0; at < view->size && !stop; at += step) {
    int64_t n = view->size - at < step ? view->size - at : step;
    char *block = to + (size_t)at * itemsize;
    const void *from = tg_walk_read(&walk, memory, &none, at, n, block);
    if (from != block) memcpy(block, from, (size_t)n * itemsize);
    stop = can_ask && interrupt_ask();
  }
  Py_END_ALLOW_THREADS
  tg_walk_clear(&walk);
  if (stop) Py_CLEAR(array);
  return array;
}

/* Memory shared with other libraries: the buffer protocol (PEP 3118) and DLPack, both ways (docs/neighbours.md).
 *
 *     ours -> theirs   a reference on the tg_buffer, which is dropped when they are done
 *     theirs -> ours   a tg_buffer that borrows their memory, and tells them when its last reader is gone
 *
 * A buffer that is handed out is never written again: kernels write into new buffers only, and assign() puts another
 * one in the tensor's place. What may be written by others is a copy that nothing here refers to.
 * Owns: nothing for longer than a call, but for what each export holds. Callers: lazybuffer.c, Python. */
#include "py/engine.h"

#include <string.h>

#include "base/alloc.h"
#include "py/dlpack.h"

/* ---- where a value lies ---- */

typedef enum layout {
  DENSE,    /* C order */
  POSITIVE, /* any strides >= 0 */
  STRIDED,  /* any strides */
} layout;

/* A value in memory that does not change for as long as the buffer lives. */
typedef struct place {
  tg_buffer *buffer; /* a reference */
  char *data;        /* of index 0 */
  tg_dtype dtype;
  int ndim;
  int64_t shape[TG_MAX_DIMS], stride[TG_MAX_DIMS]; /* in elements */
} place;

static int fail(tg_status status) {
  engine_raise(status);
  return -1;
}

/* The step of an axis in C order, from the step and size of the one inside it. 0 if it is too large for any memory, as
 * it may be where a value has no elements. */
static int64_t outward(int64_t step, int64_t size) {
  bool large = __builtin_mul_overflow(step, size ? size : 1, &step) || step > INT64_MAX / 16;
  return large ? 0 : step;
}

/* The value as it lies beneath a view of one level. */
static void look(const tg_view *v, tg_buffer *buffer, tg_dtype dtype, place *p) {
  int64_t dense = 1;
  p->buffer = buffer;
  p->data = (char *)buffer->data + (size_t)v->offset * tg_itemsize(dtype);
  p->dtype = dtype;
  p->ndim = v->ndim;
  for (int i = v->ndim - 1; i >= 0; i--) {
    p->shape[i] = v->shape[i];
    p->stride[i] = v->shape[i] == 1 || !v->size ? dense : v->stride[i];
    dense = outward(dense, v->shape[i]);
  }
}

static bool lies_as(const place *p, layout wanted) {
  int64_t dense = 1;
  for (int i = p->ndim - 1; i >= 0; i--) {
    if (wanted == DENSE ? p->stride[i] != dense : p->stride[i] < 0) return wanted == STRIDED;
    dense = outward(dense, p->shape[i]);
  }
  return true;
}

/* A buffer of the only element there is. */
static tg_status store_constant(const tg_node *n, tg_buffer **out) {
  tg_status status = tg_buffer_new(tg_itemsize((tg_dtype)n->dtype), out);
  if (!status) tg_scalar_store((tg_dtype)n->dtype, n->value, (*out)->data);
  return status;
}

/* Where what is seen of a realized or constant node lies; *p has no buffer if that is not as wanted. */
static tg_status find(const tg_node *n, const tg_view *v, layout wanted, place *p) {
  tg_buffer *buffer = n->buffer;
  p->buffer = NULL;
  if (v->below || v->nbound) return TG_OK;
  if (buffer) {
    tg_buffer_ref(buffer);
  } else {
    tg_status status = store_constant(n, &buffer);
    if (status) return status;
  }
  look(v, buffer, (tg_dtype)n->dtype, p);
  if (lies_as(p, wanted)) return TG_OK;
  tg_buffer_unref(buffer);
  p->buffer = NULL;
  return TG_OK;
}

/* The edge's elements, cast to dtype, computed into memory of their own in C order: a new node. */
static int copy(tg_edge of, tg_dtype dtype, tg_node **out) {
  tg_node *made;
  tg_status status = dtype == of.node->dtype ? tg_node_copy(of, &made) : tg_node_cast(of, dtype, &made);
  if (status) return fail(status);
  tg_node *target = made; /* engine_run changes its array */
  if (engine_run(&target, 1, "copy")) {
    tg_node_unref(made);
    return -1;
  }
  *out = made;
  return 0;
}

/* Computes what b sees and finds a place for it: its own if it lies as wanted and `own` is false, else that of a copy,
 * which nothing else refers to. -1 with an exception. Gives up the GIL. */
static int place_of(lazybuffer *b, layout wanted, bool own, place *p) {
  if (engine_realize(&b, 1)) return -1;
  tg_edge seen = {b->node, b->view}; /* another thread may put others in their place */
  tg_node *made = NULL;
  int failed = 0;
  tg_node_ref(seen.node);
  tg_view_ref(seen.view);
  p->buffer = NULL;
  tg_status status = own ? TG_OK : find(seen.node, seen.view, wanted, p);
  if (status) {
    failed = fail(status);
  } else if (!p->buffer && !(failed = copy(seen, (tg_dtype)seen.node->dtype, &made))) {
    tg_buffer_ref(made->buffer);
    look(made->shape, made->buffer, (tg_dtype)made->dtype, p);
  }
  tg_node_unref(made);
  tg_node_unref(seen.node);
  tg_view_unref(seen.view);
  return failed;
}

/* ---- the buffer protocol ---- */

/* What a Py_buffer refers to until it is released. */
typedef struct exported {
  tg_buffer *buffer;
  Py_ssize_t shape[TG_MAX_DIMS], stride[TG_MAX_DIMS]; /* in bytes */
} exported;

/* The struct module's letters. */
static const char *const format[TG_DTYPE_COUNT] = {[TG_BOOL] = "?",
                                                   [TG_I8] = "b",
                                                   [TG_U8] = "B",
                                                   [TG_I16] = "h",
                                                   [TG_U16] = "H",
                                                   [TG_I32] = "i",
                                                   [TG_U32] = "I",
                                                   [TG_F16] = "e",
                                                   [TG_F32] = "f",
                                                   [TG_F64] = "d",
                                                   [TG_I64] = sizeof(long) == 8 ? "l" : "q",
                                                   [TG_U64] = sizeof(long) == 8 ? "L" : "Q"};

static bool asks_for(int flags, int what) { return (flags & what) == what; }

int exchange_get_buffer(lazybuffer *b, Py_buffer *view, int flags) {
  place p;
  view->obj = NULL;
  if (!asks_for(flags, PyBUF_ND)) { /* PyTorch's asarray takes any such bytes for a float32 vector */
    PyErr_SetString(PyExc_BufferError, "a Tensor's memory has a shape and a dtype: take memoryview(t) for its bytes");
    return -1;
  }
  if (asks_for(flags, PyBUF_WRITABLE)) {
    PyErr_SetString(PyExc_BufferError, "a Tensor's memory is read-only");
    return -1;
  }
  if (!format[b->node->dtype]) {
    PyErr_Format(PyExc_BufferError, "the buffer protocol has no %s: cast to float32 first",
                 tg_dtypes[b->node->dtype].attribute);
    return -1;
  }
  Py_ssize_t itemsize = (Py_ssize_t)tg_itemsize((tg_dtype)b->node->dtype), bytes;
  if (__builtin_mul_overflow(b->view->size, itemsize, &bytes)) { /* seen, of few in memory */
    PyErr_Format(PyExc_BufferError, "%lld elements of %s are more than a buffer can have", (long long)b->view->size,
                 tg_dtypes[b->node->dtype].attribute);
    return -1;
  }
  bool fortran = asks_for(flags, PyBUF_F_CONTIGUOUS);
  bool any = fortran || (asks_for(flags, PyBUF_STRIDES) && !asks_for(flags, PyBUF_C_CONTIGUOUS) &&
                         !asks_for(flags, PyBUF_ANY_CONTIGUOUS));
  if (place_of(b, any ? STRIDED : DENSE, false, &p)) return -1;
  exported *e = tg_malloc(sizeof *e);
  if (!e) {
    tg_buffer_unref(p.buffer);
    return fail(tg_fail_memory(sizeof *e));
  }
  e->buffer = p.buffer;
  for (int i = 0; i < p.ndim; i++) {
    e->shape[i] = (Py_ssize_t)p.shape[i];
    e->stride[i] = (Py_ssize_t)p.stride[i] * itemsize;
  }
  *view = (Py_buffer){.buf = p.data, .len = bytes, .itemsize = itemsize, .readonly = 1, .ndim = p.ndim, .internal = e};
  view->format = flags & PyBUF_FORMAT ? (char *)format[p.dtype] : NULL;
  view->shape = e->shape;
  view->strides = e->stride;
  if (fortran && !PyBuffer_IsContiguous(view, 'F')) {
    tg_buffer_unref(p.buffer);
    tg_free(e);
    PyErr_SetString(PyExc_BufferError, "the Tensor is not in Fortran order");
    return -1;
  }
  if (!asks_for(flags, PyBUF_STRIDES)) view->strides = NULL;
  view->obj = Py_NewRef((PyObject *)b);
  return 0;
}

void exchange_release_buffer(lazybuffer *b, Py_buffer *view) {
  exported *e = view->internal;
  (void)b;
  tg_buffer_unref(e->buffer);
  tg_free(e);
}

/* A Tensor is seen as its LazyBuffer is. */
static int tensor_get_buffer(PyObject *self, Py_buffer *view, int flags) {
  static PyObject *name; /* one text for all calls: Python's cache of types holds each that it is asked for */
  view->obj = NULL;
  if (!name) name = PyUnicode_InternFromString("lazydata");
  PyObject *lazydata = name ? PyObject_GetAttr(self, name) : NULL;
  if (!lazydata) return -1;
  int failed = -1;
  if (lazybuffer_check(lazydata)) failed = exchange_get_buffer((lazybuffer *)lazydata, view, flags);
  else PyErr_Format(PyExc_TypeError, "a LazyBuffer is expected, not %.200s", Py_TYPE(lazydata)->tp_name);
  Py_DECREF(lazydata);
  return failed;
}

/* ---- DLPack: handing out ---- */

static const char OLD[] = "dltensor", VERSIONED[] = "dltensor_versioned";
static const char USED_OLD[] = "used_dltensor", USED_VERSIONED[] = "used_dltensor_versioned";

static const struct {
  uint8_t code, bits;
} dl_dtype[TG_DTYPE_COUNT] = {[TG_BOOL] = {DL_BOOL, 8},  [TG_I8] = {DL_INT, 8},       [TG_U8] = {DL_UINT, 8},
                              [TG_I16] = {DL_INT, 16},   [TG_U16] = {DL_UINT, 16},    [TG_I32] = {DL_INT, 32},
                              [TG_U32] = {DL_UINT, 32},  [TG_I64] = {DL_INT, 64},     [TG_U64] = {DL_UINT, 64},
                              [TG_F16] = {DL_FLOAT, 16}, [TG_BF16] = {DL_BFLOAT, 16}, [TG_F32] = {DL_FLOAT, 32},
                              [TG_F64] = {DL_FLOAT, 64}};

/* What a capsule of ours holds; `managed` is what the consumer sees. */
typedef struct lent {
  union {
    dl_managed old;
    dl_managed_versioned versioned;
  } managed;
  tg_buffer *buffer;
  int64_t shape[TG_MAX_DIMS], stride[TG_MAX_DIMS];
} lent;

/* Deleters run in any thread, with the GIL or without, even after the interpreter has ended. */
static void take_back(lent *l) {
  tg_buffer_unref(l->buffer);
  tg_free(l);
}
static void delete_old(dl_managed *m) { take_back(m->manager); }
static void delete_versioned(dl_managed_versioned *m) { take_back(m->manager); }

/* Is Python this thread's to use? PyGILState_Check says so to everyone once there has been a second interpreter. */
static bool has_gil(void) {
#if PY_VERSION_HEX >= 0x030d0000
  PyThreadState *running = PyThreadState_GetUnchecked();
#else
  PyThreadState *running = _PyThreadState_UncheckedGet();
#endif
  return running && running == PyGILState_GetThisThreadState();
}

/* Deleters of others may run Python code, while an exception is set here. They may also be called without the GIL, even
 * after the interpreter has ended: then there is none. */
typedef struct exception {
  bool saved;
  PyObject *type, *value, *traceback;
} exception;

static exception save_exception(void) {
  exception e = {.saved = Py_IsInitialized() && has_gil()};
  if (e.saved) PyErr_Fetch(&e.type, &e.value, &e.traceback);
  return e;
}

static void restore_exception(exception e) {
  if (e.saved) PyErr_Restore(e.type, e.value, e.traceback);
}

/* End the use of a tensor, ours or another's. */
static void release_old(void *managed) {
  dl_managed *m = managed;
  exception e = save_exception();
  if (m->deleter) m->deleter(m);
  restore_exception(e);
}
static void release_versioned(void *managed) {
  dl_managed_versioned *m = managed;
  exception e = save_exception();
  if (m->deleter) m->deleter(m);
  restore_exception(e);
}

/* A capsule that nobody took anything out of. */
static void drop_capsule(PyObject *capsule) {
  if (PyCapsule_IsValid(capsule, OLD)) release_old(PyCapsule_GetPointer(capsule, OLD));
  if (PyCapsule_IsValid(capsule, VERSIONED)) release_versioned(PyCapsule_GetPointer(capsule, VERSIONED));
}

/* A capsule that takes over the reference on the place's buffer. */
static PyObject *lend(const place *p, bool versioned, uint64_t flags) {
  lent *l = tg_malloc(sizeof *l);
  if (!l) {
    tg_buffer_unref(p->buffer);
    return engine_raise(tg_fail_memory(sizeof *l));
  }
  l->buffer = p->buffer;
  memcpy(l->shape, p->shape, sizeof l->shape);
  memcpy(l->stride, p->stride, sizeof l->stride);
  dl_tensor tensor = {.data = p->data,
                      .device = {DL_CPU, 0},
                      .ndim = p->ndim,
                      .dtype = {dl_dtype[p->dtype].code, dl_dtype[p->dtype].bits, 1},
                      .shape = l->shape,
                      .strides = l->stride};
  if (versioned)
    l->managed.versioned = (dl_managed_versioned){
        .version = {1, 0}, .manager = l, .deleter = delete_versioned, .flags = flags, .tensor = tensor};
  else l->managed.old = (dl_managed){.tensor = tensor, .manager = l, .deleter = delete_old};
  PyObject *capsule = PyCapsule_New(&l->managed, versioned ? VERSIONED : OLD, drop_capsule);
  if (!capsule) take_back(l);
  return capsule;
}

/* Does the consumer ask for this device, or for none? -1 with an exception for what is no device. */
static int is_our_device(PyObject *device) {
  int type, id;
  if (device == Py_None) return 1;
  if (!PyTuple_Check(device)) {
    PyErr_Format(PyExc_TypeError, "dl_device must be a pair of integers, not %R", device);
    return -1;
  }
  if (!PyArg_ParseTuple(device, "ii;dl_device must be a pair of integers", &type, &id)) return -1;
  return type == DL_CPU && id == 0;
}

PyObject *exchange_dlpack(lazybuffer *b, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"stream", "max_version", "dl_device", "copy", NULL};
  PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *asked = Py_None;
  int major = 0, minor = 0;
  place p;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", names, &stream, &max_version, &device, &asked))
    return NULL;
  if (max_version != Py_None && !PyTuple_Check(max_version))
    return PyErr_Format(PyExc_TypeError, "max_version must be a pair of integers, not %R", max_version);
  if (max_version != Py_None &&
      !PyArg_ParseTuple(max_version, "ii;max_version must be a pair of integers", &major, &minor))
    return NULL;
  int ours = is_our_device(device);
  if (ours < 0) return NULL;
  if (!ours) return PyErr_Format(PyExc_BufferError, "a Tensor is on the CPU, device (1, 0), not on %R", device);
  if (stream != Py_None) return PyErr_Format(PyExc_BufferError, "the CPU has no stream %R", stream);
  bool share = asked == Py_False;
  if (share && major < 1)
    return PyErr_Format(PyExc_BufferError, "before version 1 DLPack can't say that memory is read-only: take a copy");
  if (place_of(b, share ? POSITIVE : DENSE, !share, &p)) return NULL;
  return lend(&p, major >= 1, share ? DL_READ_ONLY : DL_IS_COPIED);
}

PyObject *exchange_dlpack_device(lazybuffer *b, PyObject *unused) {
  (void)b, (void)unused;
  return Py_BuildValue("(ii)", DL_CPU, 0);
}

/* ---- DLPack: taking in ---- */

/* What another library hands out, before it is taken. */
typedef struct offer {
  void *managed; /* dl_managed or dl_managed_versioned */
  bool versioned;
  uint64_t flags;
  const dl_tensor *tensor;
  tg_dtype dtype; /* uint8 for bool: not any byte there is 0 or 1 */
  bool is_bool;
} offer;

static int refuse(const char *text, long long a, long long b) {
  PyErr_Format(PyExc_BufferError, text, a, b);
  return -1;
}

static int read_capsule(PyObject *capsule, offer *o) {
  if (!PyCapsule_CheckExact(capsule)) {
    PyErr_Format(PyExc_TypeError, "a DLPack capsule is expected, not %.200s", Py_TYPE(capsule)->tp_name);
    return -1;
  }
  *o = (offer){0};
  if (PyCapsule_IsValid(capsule, OLD)) {
    dl_managed *m = o->managed = PyCapsule_GetPointer(capsule, OLD);
    o->tensor = &m->tensor;
  } else if (PyCapsule_IsValid(capsule, VERSIONED)) {
    dl_managed_versioned *m = o->managed = PyCapsule_GetPointer(capsule, VERSIONED);
    if (m->version.major != 1)
      return refuse("DLPack of version %lld.%lld is not known here", m->version.major, m->version.minor);
    o->versioned = true;
    o->flags = m->flags;
    o->tensor = &m->tensor;
  } else {
    const char *name = PyCapsule_GetName(capsule);
    bool used = name && (!strcmp(name, USED_OLD) || !strcmp(name, USED_VERSIONED));
    PyErr_Clear();
    PyErr_Format(PyExc_BufferError,
                 used ? "the DLPack capsule has been used already" : "a capsule %.50s is not DLPack's",
                 name ? name : "without a name");
    return -1;
  }
  return 0;
}

static int read_dtype(offer *o) {
  const dl_tensor *t = o->tensor;
  if (t->dtype.lanes != 1) return refuse("elements of %lld lanes have no counterpart here", t->dtype.lanes, 0);
  for (int d = 0; d < TG_DTYPE_COUNT; d++)
    if (dl_dtype[d].code == t->dtype.code && dl_dtype[d].bits == t->dtype.bits) {
      o->is_bool = d == TG_BOOL;
      o->dtype = d == TG_BOOL ? TG_U8 : (tg_dtype)d;
      return 0;
    }
  return refuse("DLPack's dtype of code %lld and %lld bits has no counterpart here", t->dtype.code, t->dtype.bits);
}

/* Finds out whether the tensor can be read here, and as what view of which part of memory. */
static int read_offer(PyObject *capsule, offer *o, tg_view **view, int64_t *first, int64_t *count) {
  int64_t dense[TG_MAX_DIMS], step = 1;
  if (read_capsule(capsule, o)) return -1;
  const dl_tensor *t = o->tensor;
  if (t->device.type != DL_CPU)
    return refuse("memory on device (%lld, %lld): move it to the CPU first", t->device.type, t->device.id);
  if (read_dtype(o)) return -1;
  if (t->ndim < 0 || t->ndim > TG_MAX_DIMS)
    return refuse("%lld dimensions, at most %lld are supported", t->ndim, TG_MAX_DIMS);
  if (!t->strides) { /* what overflows here is refused below */
    for (int i = t->ndim - 1; i >= 0; i--) {
      dense[i] = step;
      if (__builtin_mul_overflow(step, t->shape[i], &step)) step = 0;
    }
  }
  tg_status status = tg_view_strided(t->ndim, t->shape, t->strides ? t->strides : dense, first, count, view);
  if (status) return fail(status);
  uintptr_t start = (uintptr_t)t->data + t->byte_offset;
  bool ok = !*count || (t->data && start % tg_itemsize(o->dtype) == 0);
  if (!ok) {
    tg_view_unref(*view);
    return refuse("memory at address %lld is not aligned to its elements of %lld bytes", (long long)start,
                  (long long)tg_itemsize(o->dtype));
  }
  return 0;
}

/* Takes the tensor out of its capsule: a node of all the memory that it spans. */
static int take(PyObject *capsule, const offer *o, int64_t first, int64_t count, tg_node **out) {
  tg_buffer *buffer;
  void (*release)(void *owner) = o->versioned ? release_versioned : release_old;
  ptrdiff_t offset = (ptrdiff_t)o->tensor->byte_offset + (ptrdiff_t)(first * (int64_t)tg_itemsize(o->dtype));
  static tg_element nothing;
  void *data = count ? (char *)o->tensor->data + offset : (char *)&nothing;
  if (PyCapsule_SetName(capsule, o->versioned ? USED_VERSIONED : USED_OLD)) return -1;
  tg_status status = tg_buffer_borrow(data, (size_t)count * tg_itemsize(o->dtype), release, o->managed, &buffer);
  if (status) {
    fail(status);
    release(o->managed);
    return -1;
  }
  if ((status = tg_node_of(buffer, o->dtype, 1, &count, out))) fail(status);
  tg_buffer_unref(buffer);
  return status ? -1 : 0;
}

PyObject *exchange_from_dlpack(PyObject *unused, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"capsule", "share", NULL};
  PyObject *capsule, *result = NULL;
  int share = 0;
  offer o;
  tg_view *view = NULL;
  tg_node *node = NULL, *made = NULL;
  int64_t first, count;
  (void)unused;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:from_dlpack", names, &capsule, &share)) return NULL;
  if (read_offer(capsule, &o, &view, &first, &count)) return NULL;
  if (share && o.is_bool) {
    refuse("bool is copied: not any byte that may come to stand there is 0 or 1", 0, 0);
    goto done;
  }
  if (take(capsule, &o, first, count, &node)) goto done;
  if (!o.is_bool && (share || o.flags & DL_IS_COPIED)) result = record_made(lazybuffer_new(node, view));
  else if (!copy((tg_edge){node, view}, o.is_bool ? TG_BOOL : o.dtype, &made))
    result = record_made(lazybuffer_new(made, made->shape));
done:
  tg_node_unref(made);
  tg_node_unref(node);
  tg_view_unref(view);
  return result;
}

/* ---- the type ---- */

static PyType_Slot slots[] = {{Py_tp_doc, "What has the memory of its attribute `lazydata`, by the buffer protocol."},
                              {Py_bf_getbuffer, tensor_get_buffer},
                              {0, NULL}};

static PyType_Spec spec = {"teenygrad._engine.Exporter", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                           slots};

int exchange_init(PyObject *module) {
  PyObject *type = PyType_FromSpec(&spec);
  int failed = !type || PyModule_AddObjectRef(module, "Exporter", type);
  Py_XDECREF(type);
  return failed ? -1 : 0;
}

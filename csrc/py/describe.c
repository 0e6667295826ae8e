/* Schedules and nodes as plain Python data (see describe.h). Every Py_BuildValue takes over the references it is given
 * by N, and if one of them is NULL hands on its exception. Callers: trace.c, realize.c, record.c. */
#include "py/describe.h"

#include "sched/dump.h"
#include "sched/work.h"

#define FORMULA 2000 /* characters, as dump.c has them */

/* ---- nodes ---- */

static const char *const kind_name[] = {
    [TG_NODE_BUFFER] = "BUFFER",   [TG_NODE_CONST] = "CONST",   [TG_NODE_ARANGE] = "ARANGE",
    [TG_NODE_RANDOM] = "RANDOM",   [TG_NODE_CAST] = "CAST",     [TG_NODE_ELEMENTWISE] = "ELEMENTWISE",
    [TG_NODE_BITCAST] = "BITCAST", [TG_NODE_REDUCE] = "REDUCE", [TG_NODE_COPY] = "COPY",
    [TG_NODE_SCAN] = "SCAN",       [TG_NODE_SORT] = "SORT",     [TG_NODE_GATHER] = "GATHER",
    [TG_NODE_SCATTER] = "SCATTER"};

static const char *op_name(const tg_node *n) {
  bool named = n->kind == TG_NODE_ELEMENTWISE || n->kind == TG_NODE_REDUCE;
  return named ? tg_ops[n->op].member : kind_name[n->kind];
}

static PyObject *value_of(const tg_node *n) {
  if (n->kind != TG_NODE_CONST) Py_RETURN_NONE;
  if (tg_dtypes[n->dtype].is_float) return PyFloat_FromDouble(n->value.f);
  return n->dtype == TG_U64 ? PyLong_FromUnsignedLongLong(n->value.u) : PyLong_FromLongLong(n->value.i);
}

static PyObject *axes_of(const tg_node *n) {
  int64_t axes[TG_MAX_DIMS];
  int count = 0;
  for (int i = 0; i < TG_MAX_DIMS; i++)
    if (n->axes >> i & 1) axes[count++] = i;
  return convert_sizes(axes, count);
}

PyObject *describe_node(const tg_node *n) {
  return Py_BuildValue("{s:N,s:s,s:s,s:s,s:N,s:k,s:N,s:N,s:N}", "id", PyLong_FromVoidPtr((void *)(uintptr_t)n), "kind",
                       kind_name[n->kind], "op", op_name(n), "dtype", tg_dtypes[n->dtype].attribute, "shape",
                       convert_sizes(n->shape->shape, n->shape->ndim), "origin",
                       n->origin == TG_ORIGIN_NEW ? 0ul : (unsigned long)n->origin, "value", value_of(n), "axes",
                       axes_of(n), "computed", PyBool_FromLong(n->buffer || n->kind == TG_NODE_CONST));
}

/* ---- lists ---- */

typedef PyObject *(*item_fn)(const tg_schedule *s, int64_t i);

static PyObject *list_of(const tg_schedule *s, int64_t n, item_fn make) {
  PyObject *list = PyList_New((Py_ssize_t)n);
  for (int64_t i = 0; list && i < n; i++) {
    PyObject *item = make(s, i);
    if (!item) Py_CLEAR(list);
    else PyList_SET_ITEM(list, (Py_ssize_t)i, item);
  }
  return list;
}

static int put(PyObject *dict, const char *key, PyObject *value) { /* takes over the reference */
  int failed = !value || PyDict_SetItemString(dict, key, value);
  Py_XDECREF(value);
  return failed ? -1 : 0;
}

static PyObject *number_or_none(int64_t i) {
  if (i < 0) Py_RETURN_NONE;
  return PyLong_FromLongLong(i);
}

/* ---- schedules ---- */

/* (place of the source, shape that is seen, formula); no formula for what is seen as it is. */
static PyObject *source_of(int64_t place, const tg_edge *e) {
  char text[FORMULA];
  bool plain = tg_view_is_contiguous(e->view) && e->view->size == e->node->shape->size;
  if (!plain) tg_view_print(e->view, text, sizeof text);
  return Py_BuildValue("(LNz)", (long long)place, convert_shape(e->view), plain ? NULL : text);
}

static PyObject *sources_of(const tg_member *m) {
  PyObject *list = PyList_New(0);
  for (int i = 0; list && i < m->node->nsrc; i++) { /* a finalizer may compute the node meanwhile: it then has none */
    PyObject *source = source_of(m->src[i], &m->node->src[i]);
    if (!source || PyList_Append(list, source)) Py_CLEAR(list);
    Py_XDECREF(source);
  }
  return list;
}

static PyObject *node_item(const tg_schedule *s, int64_t i) {
  const tg_member *m = &s->members[i];
  PyObject *node = describe_node(m->node);
  if (!node) return NULL;
  if (put(node, "slot", number_or_none(m->slot)) || put(node, "kernel", number_or_none(m->kernel)) ||
      put(node, "stored", PyBool_FromLong(m->stored)) || put(node, "target", PyBool_FromLong(m->target)) ||
      put(node, "required", PyBool_FromLong(m->required)) || put(node, "sources", sources_of(m)))
    Py_CLEAR(node);
  return node;
}

static PyObject *slot_item(const tg_schedule *s, int64_t i) {
  const tg_slot *slot = &s->slots[i];
  return Py_BuildValue("{s:n,s:N,s:i,s:N,s:N}", "bytes", (Py_ssize_t)slot->bytes, "writer",
                       number_or_none(slot->writer), "last", slot->last, "keep", PyBool_FromLong(slot->keep), "local",
                       PyBool_FromLong(slot->local));
}

static PyObject *chain_item(const tg_schedule *s, int64_t i) {
  const tg_chain *c = &s->chains[i];
  char text[200];
  tg_chain_format(c, text, sizeof text);
  return Py_BuildValue("{s:i,s:i,s:s}", "first", c->first, "count", c->count, "text", text);
}

/* Of a list and whether a failure has ended it. */
static void append_line(void *context, const char *line) {
  PyObject **list = context, *text = *list ? PyUnicode_FromString(line) : NULL;
  if (*list && (!text || PyList_Append(*list, text))) Py_CLEAR(*list);
  Py_XDECREF(text);
}

static PyObject *program_of(const tg_kernel *k) {
  PyObject *list = PyList_New(0);
  tg_kernel_print(k, append_line, &list);
  return list;
}

static int add_slot(PyObject *set, int slot) {
  PyObject *number = PyLong_FromLong(slot);
  int failed = !number || PySet_Add(set, number);
  Py_XDECREF(number);
  return failed;
}

/* The slots that a kernel writes, or reads, in order. */
static PyObject *slots_of(const tg_kernel *k, bool writes) {
  PyObject *set = PySet_New(NULL), *list = NULL;
  const tg_program *p;
  int failed = !set;
  bool stores = k->kind == TG_KERNEL_MAP || k->kind == TG_KERNEL_ROWS;
  for (int j = 0; !failed && (p = tg_kernel_program(k, j)); j++)
    for (int i = 0; !failed && i < p->ninstr; i++) {
      tg_icode code = (tg_icode)p->instr[i].code;
      bool wanted = writes ? code == TG_I_STORE : code == TG_I_LOAD || code == TG_I_GATHER;
      if (wanted) failed = add_slot(set, p->access[p->instr[i].arg].slot);
    }
  if (!failed && !writes && k->kind == TG_KERNEL_CONTRACT)
    failed = add_slot(set, k->a.slot) || add_slot(set, k->b.slot);
  if (!failed && writes && !stores) failed = add_slot(set, k->out.slot);
  if (!failed && (list = PySequence_List(set)) && PyList_Sort(list)) Py_CLEAR(list);
  Py_XDECREF(set);
  return list;
}

static PyObject *kernel_item(const tg_schedule *s, int64_t i) {
  const tg_kernel *k = &s->kernels[i];
  tg_work w = tg_kernel_work(s, (int)i);
  char text[600];
  int64_t chain = s->nchain - 1;
  while (chain >= 0 && (i < s->chains[chain].first || i >= s->chains[chain].first + s->chains[chain].count)) chain--;
  tg_kernel_format(k, text, sizeof text);
  return Py_BuildValue("{s:s,s:s,s:N,s:N,s:s,s:N,s:N,s:N,s:N,s:d,s:d,s:d,s:N}", "kind", tg_kernel_kind_name[k->kind],
                       "text", text, "shape", convert_sizes(k->shape, k->nout), "reduced",
                       convert_sizes(k->shape + k->nout, k->nred), "dtype", tg_dtypes[k->out.dtype].attribute,
                       "program", program_of(k), "reads", slots_of(k, false), "writes", slots_of(k, true), "chain",
                       number_or_none(chain), "read", w.read, "written", w.written, "flops", w.flops, "f64",
                       PyBool_FromLong(w.f64));
}

PyObject *describe_schedule(const tg_schedule *s) {
  return Py_BuildValue("{s:N,s:N,s:N,s:N}", "nodes", list_of(s, s->nmember, node_item), "kernels",
                       list_of(s, s->nkernel, kernel_item), "slots", list_of(s, s->nslot, slot_item), "chains",
                       list_of(s, s->nchain, chain_item));
}

int describe_run(PyObject *description, const tg_timing *timing, const tg_span *spans, int64_t nspan) {
  PyObject *key = PyUnicode_FromString("kernels");
  PyObject *kernels = key ? PyDict_GetItemWithError(description, key) : NULL; /* borrowed */
  Py_XDECREF(key);
  if (!kernels) return -1;
  for (Py_ssize_t k = 0; k < PyList_GET_SIZE(kernels); k++) {
    PyObject *kernel = PyList_GET_ITEM(kernels, k);
    if (put(kernel, "start", PyFloat_FromDouble(timing[k].start)) ||
        put(kernel, "seconds", PyFloat_FromDouble(timing[k].seconds)) ||
        put(kernel, "memory", PyLong_FromLongLong(timing[k].bytes)))
      return -1;
  }
  PyObject *list = PyList_New((Py_ssize_t)nspan);
  for (int64_t i = 0; list && i < nspan; i++) {
    PyObject *span = Py_BuildValue("(iddL)", spans[i].worker, spans[i].start, spans[i].stop, (long long)spans[i].tasks);
    if (!span) Py_CLEAR(list);
    else PyList_SET_ITEM(list, (Py_ssize_t)i, span);
  }
  return put(description, "spans", list);
}

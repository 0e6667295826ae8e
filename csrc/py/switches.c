/* Switches and figures of `teenygrad._engine`: what tests, benchmarks and the curious ask for.
 * Owns: nothing. Caller: Python. */
#include "py/engine.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "exec/limits.h"
#include "kernels/kernels.h"

#ifdef __clang__
#define COMPILER __VERSION__ /* which begins with its name */
#else
#define COMPILER "gcc " __VERSION__
#endif

static PyObject *py_info(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return Py_BuildValue("{s:s,s:i,s:s}", "isa", tg_isa_name[tgk_isa()], "threads", tg_pool_size(), "compiler", COMPILER);
}

static PyObject *py_limits(PyObject *module, PyObject *unused) {
  tg_limits limits;
  tg_status status;
  (void)module, (void)unused;
  if (engine_lock()) return NULL;
  Py_BEGIN_ALLOW_THREADS
  status = tg_limits_get(&limits);
  Py_END_ALLOW_THREADS
  engine_unlock();
  if (status) return engine_raise(status);
  return Py_BuildValue("{s:d,s:d,s:d}", "bytes", limits.bytes, "flops_f32", limits.flops_f32, "flops_f64",
                       limits.flops_f64);
}

static PyObject *py_set_debug(PyObject *module, PyObject *arg) {
  (void)module;
  int before = engine.debug;
  long level = PyLong_AsLong(arg);
  if (level == -1 && PyErr_Occurred()) return NULL;
  engine.debug = level < 0 ? 0 : level > 9 ? 9 : (int)level;
  return PyLong_FromLong(before);
}

static PyObject *py_set_fusion(PyObject *module, PyObject *arg) {
  (void)module;
  bool before = engine.fusion;
  if (!PyBool_Check(arg)) return PyErr_Format(PyExc_TypeError, "fusion: True or False, not %R", arg);
  engine.fusion = arg == Py_True;
  return PyBool_FromLong(before);
}

/* Switches wait for the running schedule to end. */
static PyObject *py_set_threads(PyObject *module, PyObject *arg) {
  (void)module;
  long n = PyLong_AsLong(arg);
  if (n == -1 && PyErr_Occurred()) return NULL;
  if (n < 1 || n > TG_MAX_THREADS)
    return PyErr_Format(PyExc_ValueError, "threads: 1 to %d, not %ld", TG_MAX_THREADS, n);
  if (engine_lock()) return NULL;
  tg_status status = tg_pool_set_size((int)n);
  engine_unlock();
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
      if (engine_lock()) return NULL;
      tgk_init((tg_isa)isa);
      engine_unlock();
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

PyMethodDef switch_methods[] = {
    {"info", py_info, METH_NOARGS,
     "info()\n--\n\nThe instruction set in use, the number of threads, and what this was compiled by."},
    {"limits", py_limits, METH_NOARGS,
     "limits()\n--\n\nWhat the machine can do in a second, measured once: bytes streamed, float32 and float64 "
     "operations."},
    {"set_debug", py_set_debug, METH_O,
     "set_debug(level)\n--\n\nWhat realizing prints from now on, as the variable DEBUG; returns the level until now."},
    {"set_fusion", py_set_fusion, METH_O,
     "set_fusion(on)\n--\n\nFalse: each operation is a kernel of its own and stores its result. Returns what was set."},
    {"set_threads", py_set_threads, METH_O, "set_threads(n)\n--\n\nComputes with n threads from now on."},
    {"set_isa", py_set_isa, METH_O, "set_isa(name)\n--\n\nSwitches to 'base', 'avx2' or 'avx512'."},
    {"memory", py_memory, METH_NOARGS,
     "memory()\n--\n\nThe engine's memory: small objects; blocks of data and their bytes, in use and kept for reuse; "
     "the largest number of bytes in use since reset_peak; and how often memory was asked for."},
    {"reset_peak", py_reset_peak, METH_NOARGS, "reset_peak()\n--\n\nStarts memory()['peak_bytes'] anew."},
    {"trim", py_trim, METH_NOARGS, "trim()\n--\n\nGives memory kept for reuse back to the system."},
    {"fail_at", py_fail_at, METH_VARARGS,
     "fail_at(n, forever=False)\n--\n\nFor tests: the n-th allocation from now fails; 0 switches it off."},
    {NULL, NULL, 0, NULL}};

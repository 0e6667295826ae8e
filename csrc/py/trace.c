/* DEBUG output, and what the tracer is told (see trace.h). Caller: realize.c. */
#include "py/trace.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "py/describe.h"
#include "sched/dump.h"
#include "sched/work.h"

#define MAX_SPANS 8192 /* of one schedule */

void trace_start(trace *t) {
  *t = (trace){.level = engine.debug, .tracer = Py_XNewRef(engine.tracer)};
  if (t->tracer) t->asked = tg_clock();
}

void trace_clear(trace *t) {
  tg_free(t->timing);
  tg_free(t->spans);
  Py_CLEAR(t->description);
  Py_CLEAR(t->tracer);
}

/* Of an exception that is set. Interrupted stands for all that ends what came upon it. */
static tg_status raised(void) { return PyErr_ExceptionMatches(PyExc_MemoryError) ? TG_ERR_MEMORY : TG_ERR_INTERRUPTED; }

tg_status trace_schedule(trace *t, const tg_schedule *s) {
  if (t->tracer) t->planned = tg_clock();
  if ((t->level > 0 || t->tracer) && !(t->timing = tg_calloc((size_t)s->nkernel + 1, sizeof *t->timing))) t->level = 0;
  if (!t->tracer) return TG_OK;
  if (!t->timing || !(t->spans = tg_malloc(MAX_SPANS * sizeof *t->spans)))
    return tg_fail_memory(MAX_SPANS * sizeof *t->spans);
  return (t->description = describe_schedule(s)) ? TG_OK : raised();
}

tg_status trace_execute(trace *t, tg_schedule *s) {
  if (!t->timing) return tg_execute(s, NULL);
  t->begun = tg_clock();
  if (t->spans) tg_pool_watch(t->spans, MAX_SPANS);
  tg_status status = tg_execute(s, t->timing);
  if (t->spans) t->nspan = tg_pool_watch(NULL, 0);
  if (t->nspan > MAX_SPANS) t->nspan = MAX_SPANS;
  t->done = tg_clock();
  if (!status && t->level >= 2 && s->nkernel && tg_limits_get(&t->limits)) t->limits = (tg_limits){0};
  return status;
}

static double share(double rate, double limit) { return limit > 0 ? rate / limit : 0; }

static void print_line(void *context, const char *line) {
  (void)context;
  PySys_FormatStdout("         %s\n", line);
}

static void print_kernel(const trace *t, const tg_schedule *s, int kernel) {
  const tg_kernel *k = &s->kernels[kernel];
  tg_work w = tg_kernel_work(s, kernel);
  double seconds = t->timing[kernel].seconds > 0 ? t->timing[kernel].seconds : 1e-9, bytes = w.read + w.written;
  double memory = share(bytes / seconds, t->limits.bytes);
  double compute = share(w.flops / seconds, w.f64 ? t->limits.flops_f64 : t->limits.flops_f32);
  char text[600];
  tg_kernel_format(k, text, sizeof text);
  PySys_WriteStdout("*** %7d %11.3f ms %11.3f MB %9.2f GB/s %9.2f GFLOP/s %4.0f %%  ", kernel, seconds * 1e3,
                    bytes / 1e6, bytes / seconds / 1e9, w.flops / seconds / 1e9,
                    100 * (memory > compute ? memory : compute));
  PySys_FormatStdout("%s\n", text);
  if (t->level >= 4) tg_kernel_print(k, print_line, NULL);
}

static void print_chain(const trace *t, const tg_schedule *s, int chain) {
  const tg_chain *c = &s->chains[chain];
  double seconds = 0;
  char text[200];
  for (int k = c->first; k < c->first + c->count; k++) seconds += t->timing[k].seconds;
  tg_chain_format(c, text, sizeof text);
  PySys_WriteStdout("*** %3d-%-3d %11.3f ms  %s\n", c->first, c->first + c->count - 1, seconds * 1e3, text);
}

static void print(const trace *t, const tg_schedule *s, const char *what, int ntarget) {
  double seconds = 0, bytes = 0;
  if (t->level <= 0) return;
  for (int k = 0; k < s->nkernel; k++) {
    tg_work w = tg_kernel_work(s, k);
    seconds += t->timing[k].seconds;
    bytes += w.read + w.written;
  }
  PySys_WriteStdout("*** %-7s %11.3f ms %11.3f MB %6d kernels %6d targets\n", what, seconds * 1e3, bytes / 1e6,
                    s->nkernel, ntarget);
  for (int k = 0, chain = 0; t->level >= 2 && k < s->nkernel; k++) {
    if (chain < s->nchain && s->chains[chain].first == k) print_chain(t, s, chain++);
    print_kernel(t, s, k);
  }
}

static int tell(trace *t, const char *what, int ntarget) {
  if (describe_run(t->description, t->timing, t->spans, t->nspan)) return -1;
  PyObject *times = Py_BuildValue("{s:s,s:i,s:k,s:d,s:d,s:d,s:d,s:d}", "what", what, "targets", ntarget, "thread",
                                  PyThread_get_thread_ident(), "asked", t->asked, "planned", t->planned, "begun",
                                  t->begun, "done", t->done, "told", tg_clock());
  int failed = !times || PyDict_Update(t->description, times);
  Py_XDECREF(times);
  PyObject *answer = failed ? NULL : PyObject_CallOneArg(t->tracer, t->description);
  Py_XDECREF(answer);
  return answer ? 0 : -1;
}

tg_status trace_report(trace *t, const tg_schedule *s, const char *what, int ntarget) {
  print(t, s, what, ntarget);
  return t->tracer && tell(t, what, ntarget) ? raised() : TG_OK;
}

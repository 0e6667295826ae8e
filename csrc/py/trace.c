/* DEBUG output (see trace.h). Caller: realize.c. */
#include "py/trace.h"

#include "base/alloc.h"
#include "sched/dump.h"
#include "sched/work.h"

void trace_init(trace *t, const tg_schedule *s) {
  *t = (trace){.level = engine.debug};
  if (t->level > 0 && !(t->seconds = tg_calloc((size_t)s->nkernel + 1, sizeof *t->seconds))) t->level = 0;
}

void trace_clear(trace *t) { tg_free(t->seconds); }

tg_status trace_execute(trace *t, tg_schedule *s) {
  if (t->level <= 0) return tg_execute(s, NULL);
  tg_status status = tg_execute(s, t->seconds);
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
  double seconds = t->seconds[kernel] > 0 ? t->seconds[kernel] : 1e-9, bytes = w.read + w.written;
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
  for (int k = c->first; k < c->first + c->count; k++) seconds += t->seconds[k];
  tg_chain_format(c, text, sizeof text);
  PySys_WriteStdout("*** %3d-%-3d %11.3f ms  %s\n", c->first, c->first + c->count - 1, seconds * 1e3, text);
}

void trace_print(const trace *t, const tg_schedule *s, const char *what, int ntarget) {
  double seconds = 0, bytes = 0;
  if (t->level <= 0) return;
  for (int k = 0; k < s->nkernel; k++) {
    tg_work w = tg_kernel_work(s, k);
    seconds += t->seconds[k];
    bytes += w.read + w.written;
  }
  PySys_WriteStdout("*** %-7s %11.3f ms %11.3f MB %6d kernels %6d targets\n", what, seconds * 1e3, bytes / 1e6,
                    s->nkernel, ntarget);
  for (int k = 0, chain = 0; t->level >= 2 && k < s->nkernel; k++) {
    if (chain < s->nchain && s->chains[chain].first == k) print_chain(t, s, chain++);
    print_kernel(t, s, k);
  }
}

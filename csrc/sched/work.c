/* What a kernel has to do (see work.h). The distinct elements that a view sees are counted by its dims, which is exact
 * unless windows overlap or several views of one buffer do; then it is an upper bound, at most the whole buffer.
 * Callers: py/, for DEBUG output and schedules. */
#include "sched/work.h"

#include "base/integers.h"

/* Indices of a dim at which the bounds that depend on it alone hold. */
static int64_t valid_extent(const tg_view *v, int dim) {
  int64_t low = 0, high = v->shape[dim] - 1;
  for (int k = 0; k < v->nbound; k++) {
    const tg_bound *b = &v->bound[k];
    int64_t c = b->coef[dim];
    bool alone = c != 0;
    for (int i = 0; i < v->ndim; i++) alone &= i == dim || !b->coef[i];
    if (!alone) continue;
    int64_t least = -b->offset, most = b->size - 1 - b->offset; /* least <= c * index <= most */
    low = tg_max(low, c > 0 ? tg_ceil_div(least, c) : tg_ceil_div(-most, -c));
    high = tg_min(high, c > 0 ? tg_floor_div(most, c) : tg_floor_div(-least, -c));
  }
  return tg_max(0, high - low + 1);
}

/* Distinct elements beneath that a view sees, at most. */
static double distinct(const tg_view *v) {
  double count = 1, span = 1;
  for (int i = 0; i < v->ndim; i++) {
    int64_t extent = valid_extent(v, i);
    if (!extent) return 0;
    if (!v->stride[i]) continue;
    count *= (double)extent;
    span += (double)(v->stride[i] < 0 ? -v->stride[i] : v->stride[i]) * (double)(extent - 1);
  }
  if (span < count) count = span;
  double below = v->below ? distinct(v->below) : count;
  return below < count ? below : count;
}

static double points(const tg_kernel *k, int first, int stop) {
  return (double)tg_product(k->shape + first, stop - first);
}

/* The i-th place at which a kernel may read a buffer, and how many elements it then reads at most. NULL if there is
 * nothing to read; i runs up to count_places(k). */
static const tg_access *read_at(const tg_kernel *k, int i, double *elements) {
  const tg_program *program;
  for (int p = 0; (program = tg_kernel_program(k, p)); i -= program->ninstr, p++) {
    if (i >= program->ninstr) continue;
    const tg_instr *in = &program->instr[i];
    if (in->code != TG_I_LOAD && in->code != TG_I_GATHER) return NULL;
    const tg_access *a = &program->access[in->arg];
    *elements = in->code == TG_I_LOAD ? distinct(a->view) : points(k, 0, a->view->ndim);
    return a;
  }
  const tg_access *factor = k->kind != TG_KERNEL_CONTRACT ? NULL : i ? &k->b : &k->a;
  if (factor) *elements = distinct(factor->view);
  return factor;
}

static int count_places(const tg_kernel *k) {
  const tg_program *program;
  int count = 2;
  for (int p = 0; (program = tg_kernel_program(k, p)); p++) count += program->ninstr;
  return count;
}

/* What is local to a chain takes no memory. */
static double stored_bytes(const tg_schedule *s, int slot) {
  return s->slots[slot].local ? 0 : (double)s->slots[slot].bytes;
}

/* Bytes read of the buffer that place i reads, if it is the first place to do so; else -1. */
static double read_first_at(const tg_schedule *s, const tg_kernel *k, int i) {
  double elements, total = 0;
  const tg_access *a = read_at(k, i, &elements);
  if (!a) return -1;
  for (int j = 0; j < count_places(k); j++) {
    const tg_access *other = read_at(k, j, &elements);
    if (!other || other->slot != a->slot) continue;
    if (j < i) return -1;
    total += elements;
  }
  double bytes = total * (double)tg_itemsize(a->dtype), all = stored_bytes(s, a->slot);
  return bytes < all ? bytes : all;
}

/* Operations at one point. */
static double program_flops(const tg_program *p) {
  double flops = 0;
  for (int i = 0; i < p->ninstr; i++) {
    if (p->instr[i].code == TG_I_OP) flops += tg_ops[p->instr[i].op].cost;
    if (p->instr[i].code == TG_I_FOLD) flops += tg_ops[p->instr[i].op].cost;
    if (p->instr[i].code == TG_I_CAST) flops += tg_ops[TG_OP_CAST].cost;
  }
  return flops;
}

tg_work tg_kernel_work(const tg_schedule *s, int kernel) {
  const tg_kernel *k = &s->kernels[kernel];
  const tg_program *p;
  tg_work w = {0};
  bool stores = k->kind == TG_KERNEL_MAP || k->kind == TG_KERNEL_ROWS;
  if (!stores) w.written = stored_bytes(s, k->out.slot);
  for (int j = 0; stores && (p = tg_kernel_program(k, j)); j++)
    for (int i = 0; i < p->ninstr; i++)
      if (p->instr[i].code == TG_I_STORE) w.written += stored_bytes(s, p->access[p->instr[i].arg].slot);
  for (int i = 0; i < count_places(k); i++) {
    double bytes = read_first_at(s, k, i);
    if (bytes < 0) continue;
    w.inputs++;
    w.read += bytes;
  }
  double each = program_flops(&k->body) + program_flops(&k->target); /* at every point of the domain */
  if (k->kind == TG_KERNEL_CONTRACT) each = 2;
  else if (k->kind != TG_KERNEL_MAP && k->kind != TG_KERNEL_ROWS) each += 1;
  double once = program_flops(&k->epilogue); /* for every out index */
  for (int i = 0; i < k->nphase; i++) {
    each += program_flops(&k->phases[i].points);
    once += program_flops(&k->phases[i].rows);
  }
  w.flops = each * points(k, 0, k->nout + k->nred) + once * points(k, 0, k->nout);
  w.f64 = k->out.dtype == TG_F64 || k->reduced == TG_F64;
  return w;
}

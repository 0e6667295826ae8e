/* Kernels as text (see dump.h). Lines that exceed the buffer are cut. Callers: py/, for DEBUG output and schedules. */
#include "sched/dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 2000 /* characters: a view of several levels with a dozen dims */

static void append(char *text, size_t cap, const char *format, ...) TG_PRINTF(3, 4);

static void append(char *text, size_t cap, const char *format, ...) {
  size_t used = strlen(text);
  va_list args;
  va_start(args, format);
  vsnprintf(text + used, cap - used, format, args);
  va_end(args);
}

/* ---- one line ---- */

static void append_program(char *text, size_t cap, const tg_program *p) {
  for (int i = 0; i < p->ninstr; i++) {
    const tg_instr *in = &p->instr[i];
    switch ((tg_icode)in->code) {
    case TG_I_OP: append(text, cap, " %s", tg_ops[in->op].member); break;
    case TG_I_CAST: append(text, cap, " CAST"); break;
    case TG_I_POSITION: append(text, cap, " ARANGE"); break;
    case TG_I_RANDOM: append(text, cap, " RAND"); break;
    case TG_I_VALID: append(text, cap, " MASK"); break;
    case TG_I_GATHER: append(text, cap, " GATHER"); break;
    case TG_I_FOLD: append(text, cap, " %s |", tg_ops[in->op].member); break;
    case TG_I_INDEX:
    case TG_I_LOAD:
    case TG_I_CONST:
    case TG_I_STORE:
    case TG_I_KEEP:
    case TG_I_LOCAL:
    case TG_I_SPREAD:
    case TG_I_ACC: break;
    }
  }
}

/* Whether the axis is no reduced dim, but one of the output. */
static bool along(const tg_kernel *k) { return k->kind == TG_KERNEL_SCAN || k->kind == TG_KERNEL_SORT; }

void tg_kernel_format(const tg_kernel *k, char *text, size_t cap) {
  text[0] = '\0';
  append(text, cap, "%s ", tg_kernel_kind_name[k->kind]);
  tg_format_shape(text, cap, k->nout, k->shape);
  if (k->nred || k->kind == TG_KERNEL_REDUCE) {
    append(text, cap, along(k) ? " along " : " over ");
    tg_format_shape(text, cap, k->nred, k->shape + k->nout);
  }
  append(text, cap, " %s:", tg_dtypes[k->out.dtype].attribute);
  if (k->kind == TG_KERNEL_CONTRACT) append(text, cap, " MUL");
  append_program(text, cap, &k->body);
  for (int i = 0; i < k->nphase; i++) {
    append_program(text, cap, &k->phases[i].rows);
    append_program(text, cap, &k->phases[i].points);
  }
  if (k->kind != TG_KERNEL_REDUCE && k->kind != TG_KERNEL_CONTRACT) return;
  append(text, cap, " | %s", tg_ops[k->reduce].member);
  if (k->epilogue.ninstr > 1) append(text, cap, " |");
  append_program(text, cap, &k->epilogue);
}

void tg_chain_format(const tg_chain *c, char *text, size_t cap) {
  snprintf(text, cap, "chain of %d kernels: %lld slices, each with %.1f KiB of its own", c->count,
           (long long)tg_chain_slices(c), (double)c->bytes / 1024);
}

/* ---- views as formulas ---- */

/* What the dims of a view are called: first0, first1, ... up to nfirst, then second0, second1, ... */
typedef struct names {
  int nfirst;
  char first, second;
} names;

static void append_name(char *text, size_t cap, names by, int dim) {
  append(text, cap, "%c%d", dim < by.nfirst ? by.first : by.second, dim < by.nfirst ? dim : dim - by.nfirst);
}

/* "4*i0 - i1 + 3" */
static void append_affine(char *text, size_t cap, names by, int ndim, const int64_t *coef, int64_t offset) {
  bool any = false;
  for (int i = 0; i < ndim; i++) {
    if (!coef[i]) continue;
    append(text, cap, "%s", any ? coef[i] < 0 ? " - " : " + " : coef[i] < 0 ? "-" : "");
    uint64_t size = coef[i] < 0 ? -(uint64_t)coef[i] : (uint64_t)coef[i];
    if (size != 1) append(text, cap, "%llu*", (unsigned long long)size);
    append_name(text, cap, by, i);
    any = true;
  }
  if (!any) append(text, cap, "%lld", (long long)offset);
  else if (offset) append(text, cap, " %c %lld", offset < 0 ? '-' : '+', (long long)(offset < 0 ? -offset : offset));
}

/* "[position] where bounds"; each level on top of another adds "with (its dims) = position of shape where bounds". */
static void append_view(char *text, size_t cap, const tg_view *v, names by, int level) {
  if (v->below) {
    names beneath = {v->below->ndim, (char)('j' + (level < 16 ? level : 16)), 0};
    append_view(text, cap, v->below, beneath, level + 1);
    append(text, cap, " with (");
    for (int i = 0; i < v->below->ndim; i++) {
      append(text, cap, i ? ", " : "");
      append_name(text, cap, beneath, i);
    }
    append(text, cap, ") = ");
  } else {
    append(text, cap, "[");
  }
  append_affine(text, cap, by, v->ndim, v->stride, v->offset);
  if (v->below) {
    append(text, cap, " of ");
    tg_format_shape(text, cap, v->below->ndim, v->below->shape);
  } else {
    append(text, cap, "]");
  }
  for (int k = 0; k < v->nbound; k++) {
    append(text, cap, k ? " and 0 <= " : " where 0 <= ");
    append_affine(text, cap, by, v->ndim, v->bound[k].coef, v->bound[k].offset);
    append(text, cap, " < %lld", (long long)v->bound[k].size);
  }
}

void tg_view_print(const tg_view *v, char *text, size_t cap) {
  text[0] = '\0';
  append_view(text, cap, v, (names){v->ndim, 'i', 0}, 0);
}

static void append_access(char *text, size_t cap, const tg_access *a, names by) {
  append(text, cap, " %s b%d", tg_dtypes[a->dtype].attribute, a->slot);
  append_view(text, cap, a->view, by, 0);
}

/* ---- programs ---- */

static void append_constant(char *text, size_t cap, const tg_instr *in) {
  if (tg_dtypes[in->dtype].is_float) append(text, cap, " %.9g", in->value.f);
  else append(text, cap, " %lld", (long long)in->value.i);
}

static void format_instr(char *text, size_t cap, const tg_program *p, int i, names by) {
  static const char *const name[] = {[TG_I_LOAD] = "LOAD",     [TG_I_CONST] = "CONST", [TG_I_POSITION] = "POSITION",
                                     [TG_I_VALID] = "VALID",   [TG_I_ACC] = "ACC",     [TG_I_CAST] = "CAST",
                                     [TG_I_RANDOM] = "RANDOM", [TG_I_INDEX] = "INDEX", [TG_I_GATHER] = "GATHER",
                                     [TG_I_STORE] = "STORE",   [TG_I_KEEP] = "KEEP",   [TG_I_LOCAL] = "LOCAL",
                                     [TG_I_SPREAD] = "SPREAD"};
  const tg_instr *in = &p->instr[i];
  bool op = in->code == TG_I_OP || in->code == TG_I_FOLD;
  text[0] = '\0';
  append(text, cap, "  ");
  if (!tg_instr_effect(in)) append(text, cap, "%%%d = ", i);
  append(text, cap, "%s %s", op ? tg_ops[in->op].member : name[in->code], tg_dtypes[in->dtype].attribute);
  for (int j = 0; j < tg_instr_arity(in); j++) append(text, cap, " %%%d", in->src[j]);
  switch ((tg_icode)in->code) {
  case TG_I_LOAD:
    append(text, cap, " from");
    append_access(text, cap, &p->access[in->arg], by);
    break;
  case TG_I_POSITION:
  case TG_I_VALID:
    append(text, cap, " of ");
    append_view(text, cap, p->access[in->arg].view, by, 0);
    break;
  case TG_I_GATHER:
    append(text, cap, " from");
    append_access(text, cap, &p->access[in->arg], by);
    break;
  case TG_I_CONST: append_constant(text, cap, in); break;
  case TG_I_CAST: append(text, cap, " as %s", tg_dtypes[in->arg].attribute); break;
  case TG_I_RANDOM: append(text, cap, " key %llu", (unsigned long long)in->value.u); break;
  case TG_I_INDEX: append(text, cap, " below %lld", (long long)in->value.i); break;
  case TG_I_STORE:
    append(text, cap, " to");
    append_access(text, cap, &p->access[in->arg], by);
    break;
  case TG_I_KEEP:
  case TG_I_LOCAL:
  case TG_I_SPREAD: append(text, cap, " local%d", in->arg); break;
  case TG_I_FOLD: append(text, cap, " over the row, to local%d", in->arg); break;
  case TG_I_OP:
  case TG_I_ACC: break;
  }
}

static void print_program(const tg_program *p, names by, tg_line_fn print, void *context) {
  char text[LINE];
  for (int i = 0; i < p->ninstr; i++) {
    format_instr(text, sizeof text, p, i, by);
    print(context, text);
  }
}

/* "body (i0: 64, i1: 32, r0: 128)" with `what` in front. */
static void print_domain(const char *what, const tg_kernel *k, int first, int stop, tg_line_fn print, void *context) {
  const names by = {k->nout, 'i', 'r'};
  char text[LINE] = "";
  append(text, sizeof text, "%s (", what);
  for (int i = first; i < stop; i++) {
    append(text, sizeof text, i > first ? ", " : "");
    append_name(text, sizeof text, by, i);
    append(text, sizeof text, ": %lld", (long long)k->shape[i]);
  }
  append(text, sizeof text, ")");
  print(context, text);
}

static void print_access(const char *what, const tg_access *a, names by, tg_line_fn print, void *context) {
  char text[LINE] = "";
  append(text, sizeof text, "%s", what);
  append_access(text, sizeof text, a, by);
  print(context, text);
}

static void print_phases(const tg_kernel *k, names swept, tg_line_fn print, void *context) {
  const names plain = {k->nout, 'i', 'r'};
  char text[LINE];
  for (int i = 0; i < k->nphase; i++) {
    snprintf(text, sizeof text, "phase %d, each row", i);
    if (k->phases[i].rows.ninstr) print_domain(text, k, 0, k->nout, print, context);
    print_program(&k->phases[i].rows, plain, print, context);
    snprintf(text, sizeof text, "phase %d, each point", i);
    if (k->phases[i].points.ninstr) print_domain(text, k, 0, k->nout + k->nred, print, context);
    print_program(&k->phases[i].points, swept, print, context);
  }
}

void tg_kernel_print(const tg_kernel *k, tg_line_fn print, void *context) {
  const names plain = {k->nout, 'i', 'r'}, turned = {k->nred, 'r', 'i'};
  const names swept = k->reduced_first ? turned : plain;
  int ndim = k->nout + k->nred;
  char text[LINE] = "";
  if (k->kind == TG_KERNEL_ROWS) {
    print_phases(k, swept, print, context);
    return;
  }
  if (k->kind == TG_KERNEL_CONTRACT) {
    append(text, sizeof text, "product of %d batch, %d m and %d n dims", k->nbatch, k->nm, k->nn);
    print_domain(text, k, 0, ndim, print, context);
    print_access("  a =", &k->a, plain, print, context);
    print_access("  b =", &k->b, plain, print, context);
    if (k->exact) print(context, "  unless a and b are finite: the same as a REDUCE with all masks");
  } else {
    print_domain("body", k, 0, ndim, print, context);
    print_program(&k->body, swept, print, context);
  }
  if (k->kind == TG_KERNEL_MAP) return;
  if (k->nred) {
    const char *what = tg_ops[along(k) ? TG_OP_REDUCE_SUM : k->reduce].member;
    if (k->kind == TG_KERNEL_SORT) what = k->descending ? "SORT DESCENDING" : "SORT";
    text[0] = '\0';
    append(text, sizeof text, "%s %s %s", what, tg_dtypes[k->reduced].attribute, along(k) ? "along" : "over");
    print_domain(text, k, k->nout, ndim, print, context);
  }
  if (k->epilogue.ninstr > 1) {
    print_domain("epilogue", k, 0, k->nout, print, context);
    print_program(&k->epilogue, plain, print, context);
  }
  if (k->kind == TG_KERNEL_SCATTER) {
    print_domain("target", k, 0, k->nout, print, context);
    print_program(&k->target, plain, print, context);
    print_access("add into", &k->out, plain, print, context);
  } else {
    print_access("store", &k->out, along(k) ? swept : plain, print, context);
  }
}

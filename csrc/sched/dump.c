/* Kernels as text, for DEBUG output, schedules shown to Python, and tests that count them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sched/schedule.h"

static void append(char *text, size_t cap, const char *format, ...) TG_PRINTF(3, 4);

static void append(char *text, size_t cap, const char *format, ...) {
  size_t used = strlen(text);
  va_list args;
  va_start(args, format);
  vsnprintf(text + used, cap - used, format, args);
  va_end(args);
}

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

void tg_kernel_format(const tg_kernel *k, char *text, size_t cap) {
  text[0] = '\0';
  append(text, cap, "%s ", tg_kernel_kind_name[k->kind]);
  tg_format_shape(text, cap, k->nout, k->shape);
  if (k->nred || k->kind == TG_KERNEL_REDUCE) {
    append(text, cap, k->kind == TG_KERNEL_SCAN ? " along " : " over ");
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

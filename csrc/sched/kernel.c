/* Freeing of kernels (see kernel.h). */
#include "sched/kernel.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"

const char *const tg_kernel_kind_name[] = {"MAP", "ROWS", "REDUCE", "CONTRACT", "SCAN", "SORT", "SCATTER"};

int tg_instr_arity(const tg_instr *in) {
  switch ((tg_icode)in->code) {
  case TG_I_OP: return tg_ops[in->op].arity;
  case TG_I_CAST:
  case TG_I_RANDOM:
  case TG_I_INDEX:
  case TG_I_GATHER:
  case TG_I_STORE:
  case TG_I_KEEP:
  case TG_I_FOLD: return 1;
  default: return 0;
  }
}

bool tg_instr_access(const tg_instr *in) {
  return in->code == TG_I_LOAD || in->code == TG_I_POSITION || in->code == TG_I_VALID || in->code == TG_I_GATHER ||
         in->code == TG_I_STORE;
}

const tg_program *tg_kernel_program(const tg_kernel *k, int i) {
  const tg_program *const own[] = {&k->body, &k->epilogue, &k->target};
  if (i < 3) return own[i];
  i -= 3;
  if (i >= 2 * k->nphase) return NULL;
  return i % 2 ? &k->phases[i / 2].points : &k->phases[i / 2].rows;
}

int tg_kernel_row_dims(const tg_kernel *k) {
  if (k->kind == TG_KERNEL_MAP || k->kind == TG_KERNEL_ROWS) return k->nout;
  /* a single column is computed as a row: by all of m at once */
  bool column = k->kind != TG_KERNEL_CONTRACT || tg_product(k->shape + k->nbatch + k->nm, k->nn) == 1;
  return column || k->exact ? 0 : k->nbatch + k->nm;
}

int64_t tg_kernel_rows(const tg_kernel *k) {
  int dims = tg_kernel_row_dims(k);
  return dims && tg_product(k->shape, k->nout) ? tg_product(k->shape, dims) : 0;
}

bool tg_instr_effect(const tg_instr *in) {
  return in->code == TG_I_STORE || in->code == TG_I_KEEP || in->code == TG_I_FOLD;
}

void tg_program_clear(tg_program *p) {
  for (int i = 0; i < p->naccess; i++) tg_view_unref(p->access[i].view);
  tg_free(p->access);
  tg_free(p->instr);
  memset(p, 0, sizeof *p);
}

void tg_kernel_clear(tg_kernel *k) {
  tg_program_clear(&k->body);
  tg_program_clear(&k->epilogue);
  tg_program_clear(&k->target);
  for (int i = 0; i < k->nphase; i++) {
    tg_program_clear(&k->phases[i].rows);
    tg_program_clear(&k->phases[i].points);
  }
  tg_free(k->phases);
  tg_free(k->locals);
  if (k->exact) tg_kernel_clear(k->exact);
  tg_free(k->exact);
  tg_view_unref(k->a.view);
  tg_view_unref(k->b.view);
  tg_view_unref(k->out.view);
  memset(k, 0, sizeof *k);
}

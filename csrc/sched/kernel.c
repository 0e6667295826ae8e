/* Freeing of kernels (see kernel.h). */
#include "sched/kernel.h"

#include <string.h>

#include "base/alloc.h"

const char *const tg_kernel_kind_name[] = {"MAP", "REDUCE", "CONTRACT", "SCAN", "SCATTER"};

int tg_instr_arity(const tg_instr *in) {
  switch ((tg_icode)in->code) {
  case TG_I_OP: return tg_ops[in->op].arity;
  case TG_I_CAST:
  case TG_I_RANDOM:
  case TG_I_INDEX:
  case TG_I_GATHER: return 1;
  default: return 0;
  }
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
  if (k->exact) tg_kernel_clear(k->exact);
  tg_free(k->exact);
  tg_view_unref(k->a.view);
  tg_view_unref(k->b.view);
  tg_view_unref(k->out.view);
  memset(k, 0, sizeof *k);
}

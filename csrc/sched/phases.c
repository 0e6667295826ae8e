/* The phases of a ROWS kernel (see builder.h and kernel.h).
 *
 * Values are of two kinds: one element a point or one element a row, the latter being what is reduced, what is read
 * through a view that does not vary along rows, and what is computed from such alone. A fold ends a phase: what needs
 * its result waits for the next one, in which the points are passed over again. What an earlier phase computed is
 * computed again if that is cheap (above all, loaded again), else kept in a local:
 *
 *     softmax     phase 0   points   fold MAX (x)
 *                 phase 1   points   e = exp(x - max), kept; fold SUM (e)
 *                 phase 2   points   store e / sum
 *
 * Owns: the tables below while it runs. Caller: lower.c. */
#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "sched/builder.h"

#define AGAIN_COST 4 /* simple operations that are repeated rather than kept */

typedef enum rank { RANK_CONST, RANK_ROW, RANK_POINT } rank;

/* What is known of value i of the whole program. */
typedef struct value {
  uint8_t rank;  /* of a STORE: where it is done */
  bool kept;     /* passed on in a local */
  int32_t phase; /* a row's: the program of rows that has it; a point's: the first phase that can */
  int32_t again; /* cost of computing it from what has a local or is loaded */
  int32_t local; /* or -1 */
  int32_t place; /* in the program being made, or -1 */
  bool needed;   /* in the program being made */
} value;

typedef struct cut {
  const tg_program *whole;
  tg_kernel *kernel;
  value *values;
  tg_program *to; /* the program being made */
  int64_t cap_instr, cap_access, cap_local;
  int nphase;
} cut;

/* ---- ranks and phases ---- */

static int32_t own_cost(const tg_instr *in) {
  if (in->code == TG_I_OP) return tg_ops[in->op].cost;
  return in->code == TG_I_RANDOM || in->code == TG_I_GATHER ? 16 : 1;
}

static void rank_values(cut *c) {
  for (int i = 0; i < c->whole->ninstr; i++) {
    const tg_instr *in = &c->whole->instr[i];
    value *v = &c->values[i];
    v->local = v->place = -1;
    v->rank = in->code == TG_I_CONST ? RANK_CONST : RANK_ROW;
    v->again = own_cost(in);
    for (int j = 0; j < tg_instr_arity(in); j++) {
      const value *src = &c->values[in->src[j]];
      if (src->rank > v->rank) v->rank = src->rank;
      if (src->phase > v->phase) v->phase = src->phase;
      v->again += src->rank == RANK_POINT ? src->again : src->rank == RANK_ROW;
    }
    if (v->again > 2 * AGAIN_COST) v->again = 2 * AGAIN_COST;
    if (tg_instr_access(in) && tg_view_depends_from(c->whole->access[in->arg].view, c->kernel->nout))
      v->rank = RANK_POINT;
    if (in->code == TG_I_STORE && !tg_view_depends_from(c->whole->access[in->arg].view, c->kernel->nout))
      v->rank = RANK_ROW;
    if (in->code == TG_I_FOLD) {
      v->rank = RANK_ROW;
      v->phase++;
    }
    if (v->phase + 1 > c->nphase) c->nphase = v->phase + 1;
  }
}

/* ---- making one program ---- */

static tg_status local_of(cut *c, int i, int32_t *local) {
  value *v = &c->values[i];
  if (v->local < 0) {
    tg_status status = tg_grow(&c->kernel->locals, c->kernel->nlocal, &c->cap_local, sizeof *c->kernel->locals);
    if (status) return status;
    v->local = c->kernel->nlocal;
    c->kernel->locals[c->kernel->nlocal++] = (tg_local){(tg_dtype)c->whole->instr[i].dtype, v->rank == RANK_ROW};
  }
  *local = v->local;
  return TG_OK;
}

static tg_status emit(cut *c, tg_instr in) {
  tg_status status = tg_grow(&c->to->instr, c->to->ninstr, &c->cap_instr, sizeof in);
  if (!status) c->to->instr[c->to->ninstr++] = in;
  return status;
}

/* The view of an access, for a program of rows without the dims that it does not vary along. */
static tg_status row_view(const tg_kernel *k, tg_view *view, tg_view **out) {
  int64_t start[TG_MAX_DIMS] = {0}, stop[TG_MAX_DIMS];
  tg_view *first;
  for (int i = 0; i < view->ndim; i++) stop[i] = i < k->nout ? view->shape[i] : 1;
  tg_status status = tg_view_shrink(view, view->ndim, start, stop, &first);
  if (status) return status;
  status = tg_view_reshape(first, k->nout, view->shape, out);
  tg_view_unref(first);
  return status;
}

static tg_status emit_access(cut *c, tg_instr in, bool rows) {
  tg_access a = c->whole->access[in.arg];
  tg_status status = tg_grow(&c->to->access, c->to->naccess, &c->cap_access, sizeof a);
  if (status) return status;
  if (!rows) tg_view_ref(a.view);
  else if ((status = row_view(c->kernel, a.view, &a.view))) return status;
  in.arg = c->to->naccess;
  c->to->access[c->to->naccess++] = a;
  return emit(c, in);
}

/* Is value i what this program is for? */
static bool is_wanted(const cut *c, int i, int phase, bool rows) {
  const value *v = &c->values[i];
  tg_icode code = (tg_icode)c->whole->instr[i].code;
  if (code == TG_I_FOLD) return !rows && v->phase == phase + 1;
  if (v->rank != (rows ? RANK_ROW : RANK_POINT) || v->phase != phase) return false;
  return v->kept || code == TG_I_STORE;
}

/* Is value i, which this program needs, computed in it rather than taken from a local? */
static bool computed_here(const cut *c, int i, int phase, bool rows) {
  const value *v = &c->values[i];
  if (c->whole->instr[i].code == TG_I_FOLD) return is_wanted(c, i, phase, rows);
  if (v->rank == RANK_CONST) return true;
  if (rows) return v->phase == phase;
  return v->rank == RANK_POINT && (v->phase == phase || v->again <= AGAIN_COST);
}

/* Emits value i (its sources have been) or what stands for it; then passes it on. */
static tg_status emit_value(cut *c, int i, int phase, bool rows) {
  value *v = &c->values[i];
  tg_instr in = c->whole->instr[i];
  tg_status status;
  v->place = c->to->ninstr;
  if (!computed_here(c, i, phase, rows)) {
    bool spread = !rows && v->rank == RANK_ROW;
    v->kept = true;
    in = (tg_instr){.code = spread ? TG_I_SPREAD : TG_I_LOCAL, .dtype = in.dtype};
    return (status = local_of(c, i, &in.arg)) ? status : emit(c, in);
  }
  for (int j = 0; j < tg_instr_arity(&in); j++) in.src[j] = c->values[in.src[j]].place;
  if (in.code == TG_I_FOLD && (status = local_of(c, i, &in.arg))) return status;
  status = tg_instr_access(&in) ? emit_access(c, in, rows) : emit(c, in);
  if (status || tg_instr_effect(&in) || !is_wanted(c, i, phase, rows)) return status;
  tg_instr keep = {.code = TG_I_KEEP, .dtype = in.dtype, .src = {v->place}};
  return (status = local_of(c, i, &keep.arg)) ? status : emit(c, keep);
}

static tg_status make_program(cut *c, int phase, bool rows, tg_program *to) {
  c->to = to;
  c->cap_instr = c->cap_access = 0;
  for (int i = 0; i < c->whole->ninstr; i++) c->values[i].needed = is_wanted(c, i, phase, rows);
  for (int i = c->whole->ninstr - 1; i >= 0; i--) {
    const tg_instr *in = &c->whole->instr[i];
    bool here = computed_here(c, i, phase, rows);
    for (int j = 0; c->values[i].needed && here && j < tg_instr_arity(in); j++) c->values[in->src[j]].needed = true;
  }
  for (int i = 0; i < c->whole->ninstr; i++) {
    tg_status status = c->values[i].needed ? emit_value(c, i, phase, rows) : TG_OK;
    if (status) return status;
  }
  return TG_OK;
}

/* Later programs first: they tell what earlier ones have to keep. */
static tg_status make_all(cut *c) {
  tg_kernel *k = c->kernel;
  size_t bytes = (size_t)c->nphase * sizeof *k->phases;
  if (!(k->phases = tg_calloc(1, bytes))) return tg_fail_memory(bytes);
  k->nphase = c->nphase;
  for (int phase = k->nphase - 1; phase >= 0; phase--) {
    tg_status status = make_program(c, phase, false, &k->phases[phase].points);
    if (!status) status = make_program(c, phase, true, &k->phases[phase].rows);
    if (status) return status;
  }
  return TG_OK;
}

/* Short rows are computed side by side: the same point of many rows at a time. */
static tg_status orient(tg_kernel *k) {
  int64_t order[TG_MAX_DIMS];
  int64_t rows = tg_product(k->shape, k->nout), row = tg_product(k->shape + k->nout, k->nred);
  k->reduced_first = row < TG_SHORT_ROW && tg_side_by_side(rows, row);
  if (!k->reduced_first) return TG_OK;
  for (int i = 0; i < k->nred; i++) order[i] = k->nout + i;
  for (int i = 0; i < k->nout; i++) order[k->nred + i] = i;
  for (int p = 0; p < k->nphase; p++) {
    tg_program *points = &k->phases[p].points;
    tg_status status = tg_permute_accesses(points->access, points->naccess, k->nout + k->nred, order);
    if (status) return status;
  }
  return TG_OK;
}

tg_status tg_cut_phases(const tg_program *whole, tg_kernel *k) {
  cut c = {.whole = whole, .kernel = k};
  size_t bytes = (size_t)whole->ninstr * sizeof *c.values;
  if (!(c.values = tg_calloc(1, bytes))) return tg_fail_memory(bytes);
  rank_values(&c);
  tg_status status = make_all(&c);
  if (!status) status = orient(k);
  tg_free(c.values);
  return status;
}

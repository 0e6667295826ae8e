/* Third step of scheduling (see builder.h): the program of one kernel.
 *
 * Lowering walks down from the root with a view from the kernel's domain over each node, composing
 * edge views on the way; what is stored or realized becomes a load through the composed view. All
 * movement ends up in the views of the loads. Depth is bounded by what group.c lets fuse.
 *
 * float16 and bfloat16 values are held in float32 and rounded after each operation, so that fusing
 * changes no bit of a result.
 * Owns: the program under construction. Caller: schedule.c. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "sched/builder.h"

#define ZERO_DEPTH 3 /* operations looked at to find out that a masked element is zero anyway */

/* What was computed already, by item and view. */
typedef struct memo {
  int64_t item;
  tg_view *view; /* owned */
  int32_t value;
} memo;

typedef struct lowering {
  tg_builder *b;
  tg_program program;
  memo *memos;
  int64_t cap_instr, cap_access, nmemo, cap_memo;
  int64_t group;  /* whose members are computed, even if they are stored as well; or -1 */
  int64_t reduce; /* item whose value the epilogue takes as given, or -1 */
} lowering;

/* ---- emitting ---- */

/* Appends an instruction, unless there is one that computes the same. */
static tg_status emit(lowering *l, tg_instr in, int32_t *value) {
  tg_program *p = &l->program;
  for (int i = 0; i < p->ninstr && in.code != TG_I_STORE; i++) {
    const tg_instr *old = &p->instr[i];
    if (old->code != in.code || old->op != in.op || old->dtype != in.dtype || old->arg != in.arg ||
        old->value.u != in.value.u || memcmp(old->src, in.src, sizeof in.src))
      continue;
    *value = i;
    return TG_OK;
  }
  tg_status status = tg_grow(&p->instr, p->ninstr, &l->cap_instr, sizeof in);
  if (status) return status;
  *value = p->ninstr;
  p->instr[p->ninstr++] = in;
  return TG_OK;
}

/* Appends `in` with an access of its own. */
static tg_status emit_through(lowering *l, tg_instr in, int64_t slot, tg_dtype stored, tg_view *view, int32_t *value) {
  tg_program *p = &l->program;
  tg_status status = tg_grow(&p->access, p->naccess, &l->cap_access, sizeof *p->access);
  if (status) return status;
  in.arg = p->naccess;
  p->access[p->naccess++] = (tg_access){.slot = (int)slot, .dtype = stored, .view = view};
  tg_view_ref(view);
  return emit(l, in, value);
}

/* An instruction that looks through a view: LOAD of a slot, POSITION or VALID. */
static tg_status emit_access(lowering *l, tg_icode code, int64_t slot, tg_dtype stored, tg_view *view, int32_t *value) {
  tg_program *p = &l->program;
  for (int i = 0; i < p->ninstr; i++) {
    const tg_instr *old = &p->instr[i];
    if (old->code != code || p->access[old->arg].slot != slot || p->access[old->arg].dtype != stored) continue;
    if (!tg_view_equal(p->access[old->arg].view, view)) continue;
    *value = i;
    return TG_OK;
  }
  tg_dtype dtype = code == TG_I_LOAD ? tg_computed(stored) : code == TG_I_VALID ? TG_BOOL : stored;
  return emit_through(l, (tg_instr){.code = (uint8_t)code, .dtype = (uint8_t)dtype}, slot, stored, view, value);
}

static tg_dtype type_of(const lowering *l, int32_t value) { return (tg_dtype)l->program.instr[value].dtype; }

/* `value`, which holds dtype `from`, as dtype `to`. */
static tg_status emit_cast(lowering *l, int32_t value, tg_dtype from, tg_dtype to, int32_t *out) {
  const tg_instr *made = &l->program.instr[value];
  *out = value;
  /* widening 16-bit floats changes nothing: their registers hold float32 */
  if (from == to || (tg_computed(from) == to && tg_computed(from) != from)) return TG_OK;
  if (to == TG_BOOL && made->code == TG_I_CAST && type_of(l, made->src[0]) == TG_BOOL) { /* a truth value and back */
    *out = made->src[0];
    return TG_OK;
  }
  tg_instr in = {.code = TG_I_CAST, .dtype = (uint8_t)tg_computed(to), .arg = (int32_t)to, .src = {value}};
  return emit(l, in, out);
}

static tg_status emit_op(lowering *l, tg_op op, tg_dtype dtype, int32_t a, int32_t b, int32_t c, int32_t *out) {
  return emit(l, (tg_instr){.code = TG_I_OP, .op = (uint8_t)op, .dtype = (uint8_t)dtype, .src = {a, b, c}}, out);
}

static tg_status emit_const(lowering *l, tg_dtype dtype, tg_scalar value, int32_t *out) {
  tg_dtype computed = tg_computed(dtype);
  if (computed != dtype) { /* rounded to what the 16-bit format holds */
    uint16_t bits;
    tg_scalar_store(dtype, value, &bits);
    value.f = dtype == TG_F16 ? tg_f16_to_f32(bits) : tg_bf16_to_f32(bits);
  }
  return emit(l, (tg_instr){.code = TG_I_CONST, .dtype = (uint8_t)computed, .value = value}, out);
}

static bool masked(const tg_view *v) {
  for (; v; v = v->below)
    if (v->nbound) return true;
  return false;
}

/* Is the value +0 wherever all that it loads is, as far as `depth` operations tell? */
static bool keeps_zero(const lowering *l, int32_t value, int depth) {
  const tg_instr *in = &l->program.instr[value];
  bool chooses = in->code == TG_I_OP && in->op == TG_OP_WHERE;
  bool keeps = chooses || in->code == TG_I_CAST ||
               (in->code == TG_I_OP &&
                (in->op == TG_OP_MUL || in->op == TG_OP_ADD || in->op == TG_OP_SUB || in->op == TG_OP_MAX));
  if (in->code == TG_I_LOAD) return true;
  if (in->code == TG_I_CONST) return in->value.u == 0;
  for (int j = chooses; keeps && j < tg_instr_arity(in); j++) keeps = depth > 0 && keeps_zero(l, in->src[j], depth - 1);
  return keeps;
}

/* Zero where the view is invalid. */
static tg_status emit_gate(lowering *l, tg_view *view, int32_t value, int32_t *out) {
  int32_t valid, zero;
  tg_dtype dtype = type_of(l, value);
  tg_status status = emit_access(l, TG_I_VALID, 0, TG_BOOL, view, &valid);
  if (!status) status = emit_const(l, dtype, (tg_scalar){0}, &zero);
  return status ? status : emit_op(l, TG_OP_WHERE, dtype, valid, value, zero, out);
}

/* ---- lowering a node ---- */

static tg_status lower_value(lowering *l, int64_t i, tg_view *view, int32_t *out);

/* Operand j of item i as dtype `want`; zero where the edge itself, not only what is above it, masks. */
static tg_status lower_operand(lowering *l, int64_t i, int j, tg_view *view, tg_dtype want, int32_t *out) {
  const item_edge *e = &l->b->edges[l->b->items[i].first_edge + j];
  const tg_node *src = l->b->items[e->src].node;
  tg_view *through = NULL;
  int32_t value;
  tg_status status = tg_view_compose(view, e->view, &through);
  if (status) return status;
  status = lower_value(l, e->src, through, &value);
  if (!status && masked(e->view) && !keeps_zero(l, value, ZERO_DEPTH)) status = emit_gate(l, through, value, &value);
  if (!status) status = emit_cast(l, value, (tg_dtype)src->dtype, want, out);
  tg_view_unref(through);
  return status;
}

/* The dtype in which an op is computed: the common one, floating where the op is. 64-bit integers are divided as
 * they are, for float64 can't hold them all. */
static tg_dtype working_dtype(const tg_node *n, tg_dtype common) {
  bool exact = n->op == TG_OP_DIV && tg_dtypes[common].itemsize == 8;
  return tg_dtypes[common].is_float || tg_ops[n->op].domain != TG_DOMAIN_FLOAT || exact ? common : TG_F64;
}

static tg_status lower_elementwise(lowering *l, int64_t i, tg_view *view, int32_t *out) {
  const tg_node *n = l->b->items[i].node;
  int arity = tg_ops[n->op].arity, first = n->op == TG_OP_WHERE;
  int32_t src[3] = {0}, value;
  tg_status status;
  tg_dtype common = (tg_dtype)n->src[first].node->dtype;
  for (int j = first + 1; j < arity; j++) common = tg_common(common, (tg_dtype)n->src[j].node->dtype);
  tg_dtype working = working_dtype(n, common);
  for (int j = 0; j < arity; j++)
    if ((status = lower_operand(l, i, j, view, j < first ? TG_BOOL : working, &src[j]))) return status;
  tg_dtype held = n->op == TG_OP_CMPLT ? TG_BOOL : tg_computed(working);
  if ((status = emit_op(l, (tg_op)n->op, held, src[0], src[1], src[2], &value))) return status;
  return emit_cast(l, value, held, (tg_dtype)n->dtype, out);
}

static tg_status lower_position(lowering *l, const tg_node *n, tg_view *view, int32_t *out) {
  int32_t position;
  tg_dtype narrow = n->kind == TG_NODE_ARANGE && n->shape->size <= INT32_MAX ? TG_I32 : TG_I64;
  tg_status status = emit_access(l, TG_I_POSITION, 0, narrow, view, &position);
  if (status) return status;
  if (n->kind == TG_NODE_ARANGE) return emit_cast(l, position, narrow, (tg_dtype)n->dtype, out);
  tg_instr in = {.code = TG_I_RANDOM, .dtype = n->dtype, .src = {position}, .value = n->value};
  return emit(l, in, out);
}

/* step * index, the index checked against `extent`. Where the view on top is masked the index may be anything: it is
 * taken as 0. */
static tg_status emit_indexed(lowering *l, tg_view *view, int32_t index, int64_t extent, int64_t step, int32_t *out) {
  int32_t factor;
  tg_status status = masked(view) ? emit_gate(l, view, index, &index) : TG_OK;
  tg_instr check = {.code = TG_I_INDEX, .dtype = TG_I64, .src = {index}, .value = {.i = extent}};
  if (!status) status = emit(l, check, &index);
  *out = index;
  if (!status && step == 1) return TG_OK;
  if (!status) status = emit_const(l, TG_I64, (tg_scalar){.i = step}, &factor);
  return status ? status : emit_op(l, TG_OP_MUL, TG_I64, index, factor, 0, out);
}

static tg_status lower_gather(lowering *l, int64_t i, tg_view *view, int32_t *out) {
  const tg_node *n = l->b->items[i].node;
  const item_edge *data = &l->b->edges[l->b->items[i].first_edge];
  if (!n->shape->size) return emit_const(l, (tg_dtype)n->dtype, (tg_scalar){0}, out); /* seen through a mask at most */
  tg_view *base;
  int32_t index, displacement = 0;
  int64_t slot = l->b->items[tg_storage_of(l->b, data->src)].slot;
  tg_status status = tg_view_compose(view, data->view, &base);
  if (status) return status;
  status = lower_operand(l, i, 1, view, TG_I64, &index);
  if (!status) status = emit_indexed(l, view, index, n->extent, n->value.i, &displacement);
  tg_instr in = {.code = TG_I_GATHER, .dtype = (uint8_t)tg_computed((tg_dtype)n->dtype), .src = {displacement}};
  if (!status) status = emit_through(l, in, slot, (tg_dtype)n->dtype, base, out);
  tg_view_unref(base);
  return status;
}

/* What an edge of a kernel's own shape sees, zero where its view masks. A product of 16-bit floats that is `summed` is
 * not rounded before, as it isn't in a contraction. */
static tg_status lower_edge(lowering *l, const item_edge *e, bool summed, int32_t *out) {
  tg_status status = lower_value(l, e->src, e->view, out);
  if (status) return status;
  const tg_node *n = l->b->items[e->src].node;
  const tg_instr *in = &l->program.instr[*out];
  bool product = n->kind == TG_NODE_ELEMENTWISE && n->op == TG_OP_MUL &&
                 tg_computed((tg_dtype)n->dtype) != (tg_dtype)n->dtype;
  if (summed && product && in->code == TG_I_CAST && type_of(l, in->src[0]) == in->dtype) *out = in->src[0];
  if (!masked(e->view) || keeps_zero(l, *out, ZERO_DEPTH)) return TG_OK;
  return emit_gate(l, e->view, *out, out);
}

/* A reduction along the rows of the domain, as the value of each of its points. */
static tg_status lower_fold(lowering *l, int64_t i, const tg_view *view, int32_t *out) {
  const tg_node *n = l->b->items[i].node;
  tg_dtype dtype = tg_computed((tg_dtype)n->dtype);
  int32_t value;
  if (!tg_view_equal(view, l->b->items[i].view))
    return tg_fail(TG_ERR_INTERNAL, "a reduction is seen in two ways by one kernel");
  tg_status status = lower_edge(l, &l->b->edges[l->b->items[i].first_edge], n->op == TG_OP_REDUCE_SUM, &value);
  tg_instr in = {.code = TG_I_FOLD, .op = n->op, .dtype = (uint8_t)dtype, .src = {value}};
  if (!status) status = emit(l, in, &value);
  return status ? status : emit_cast(l, value, dtype, (tg_dtype)n->dtype, out);
}

static tg_status lower_value(lowering *l, int64_t i, tg_view *view, int32_t *out) {
  tg_builder *b = l->b;
  const item *it = &b->items[i];
  const tg_node *n = it->node;
  tg_status status = TG_OK;
  if (i == l->reduce) {
    *out = 0; /* TG_I_ACC, rounded: instructions 0 and, for 16-bit floats, 1 */
    return emit_cast(l, 0, tg_computed((tg_dtype)n->dtype), (tg_dtype)n->dtype, out);
  }
  int64_t slot = it->group >= 0 && it->group == l->group ? -1 : b->items[tg_storage_of(b, i)].slot;
  for (int64_t m = l->nmemo - 1; m >= 0; m--)
    if (l->memos[m].item == i && tg_view_equal(l->memos[m].view, view)) {
      *out = l->memos[m].value;
      return TG_OK;
    }
  if (slot >= 0) status = emit_access(l, TG_I_LOAD, slot, (tg_dtype)n->dtype, view, out);
  else if (n->kind == TG_NODE_CONST) status = emit_const(l, (tg_dtype)n->dtype, n->value, out);
  else if (n->kind == TG_NODE_ARANGE || n->kind == TG_NODE_RANDOM) status = lower_position(l, n, view, out);
  else if (n->kind == TG_NODE_ELEMENTWISE) status = lower_elementwise(l, i, view, out);
  else if (n->kind == TG_NODE_GATHER) status = lower_gather(l, i, view, out);
  else if (n->kind == TG_NODE_CAST || n->kind == TG_NODE_COPY)
    status = lower_operand(l, i, 0, view, (tg_dtype)n->dtype, out);
  else if (n->kind == TG_NODE_REDUCE) status = lower_fold(l, i, view, out);
  else status = tg_fail(TG_ERR_INTERNAL, "a node of kind %d is neither stored nor elementwise", n->kind);
  if (!status) status = tg_grow(&l->memos, l->nmemo, &l->cap_memo, sizeof *l->memos);
  if (status) return status;
  tg_view_ref(view);
  l->memos[l->nmemo++] = (memo){i, view, *out};
  return TG_OK;
}

/* Drops the instructions that neither the last one nor a STORE needs, keeping their order. TG_I_ACC stays where it
 * is. */
static tg_status drop_unused(tg_program *p) {
  int32_t *place = tg_calloc((size_t)p->ninstr, sizeof *place), kept = 0;
  if (!place) return tg_fail_memory((size_t)p->ninstr * sizeof *place);
  place[p->ninstr - 1] = 1;
  for (int i = p->ninstr - 1; i >= 0; i--) {
    if (p->instr[i].code == TG_I_STORE) place[i] = 1;
    for (int j = 0; place[i] && j < tg_instr_arity(&p->instr[i]); j++) place[p->instr[i].src[j]] = 1;
  }
  for (int i = 0; i < p->ninstr; i++) {
    if (!place[i] && p->instr[i].code != TG_I_ACC) continue;
    tg_instr in = p->instr[i];
    for (int j = 0; j < tg_instr_arity(&in); j++) in.src[j] = place[in.src[j]];
    place[i] = kept;
    p->instr[kept++] = in;
  }
  p->ninstr = kept;
  tg_free(place);
  return TG_OK;
}

/* The result must be the last instruction. */
static tg_status finish(lowering *l, int32_t value, tg_program *out) {
  tg_status status = TG_OK;
  l->program.ninstr = value + 1; /* sources stand before what needs them */
  if (!(status = drop_unused(&l->program))) {
    *out = l->program;
    memset(&l->program, 0, sizeof l->program);
  }
  return status;
}

static void lowering_clear(lowering *l) {
  tg_program_clear(&l->program);
  for (int64_t m = 0; m < l->nmemo; m++) tg_view_unref(l->memos[m].view);
  tg_free(l->memos);
}

/* ---- shaping the kernel ---- */

#define SHORTEST_ROW 8

/* Whether a view sees the reduced dims as one run of memory, or the same element all along them. */
static bool lies_along_rows(const tg_view *v, int nout) {
  return tg_view_dims_before_run(v) <= nout || (!v->below && !v->nbound && !tg_view_depends_from(v, nout));
}

/* Do blocks run along the reduced dims (rows) or along the out dims (columns)? Along the one in which
 * most of what is loaded lies densely, unless that one is short; along short rows if all of it does. */
static bool columns_pay(const tg_kernel *k) {
  double rows = 0, columns = 0, nout = 1, nred = 1;
  for (int i = 0; i < k->nout; i++) nout *= (double)k->shape[i];
  for (int i = k->nout; i < k->nout + k->nred; i++) nred *= (double)k->shape[i];
  bool along = nred >= SHORTEST_ROW;
  for (int i = 0; i < k->body.naccess; i++) along = along && lies_along_rows(k->body.access[i].view, k->nout);
  if (nred < TG_SHORT_ROW && !along) return tg_side_by_side((int64_t)nout, (int64_t)nred);
  if (nout < TG_SHORT_ROW) return false;
  for (int i = 0; i < k->body.ninstr; i++) {
    if (k->body.instr[i].code != TG_I_LOAD) continue;
    const tg_view *v = k->body.access[k->body.instr[i].arg].view;
    double elements = 1;
    int dense = -1;
    for (int d = 0; d < v->ndim; d++) {
      if (v->shape[d] == 1 || !v->stride[d]) continue;
      elements *= (double)v->shape[d];
      if (v->shape[d] < SHORTEST_ROW) continue;
      if (dense < 0 || llabs(v->stride[d]) <= llabs(v->stride[dense])) dense = d;
    }
    if (dense >= 0) *(dense >= k->nout ? &rows : &columns) += elements;
  }
  return columns > rows;
}

tg_status tg_permute_accesses(tg_access *access, int n, int ndim, const int64_t *order) {
  for (int i = 0; i < n; i++) {
    tg_view *view;
    tg_status status = tg_view_permute(access[i].view, ndim, order, &view);
    if (status) return status;
    tg_view_unref(access[i].view);
    access[i].view = view;
  }
  return TG_OK;
}

/* Puts the dims of a reduction in another order, the out dims among themselves. */
static tg_status order_dims(tg_kernel *k, const int64_t *order) {
  int64_t shape[TG_MAX_DIMS];
  int ndim = k->nout + k->nred;
  for (int i = 0; i < ndim; i++) shape[i] = k->shape[order[i]];
  memcpy(k->shape, shape, sizeof(int64_t) * (size_t)ndim);
  int nfactor = k->kind == TG_KERNEL_CONTRACT;
  tg_status status = tg_permute_accesses(k->body.access, k->body.naccess, ndim, order);
  if (!status) status = tg_permute_accesses(&k->a, nfactor, ndim, order);
  if (!status) status = tg_permute_accesses(&k->b, nfactor, ndim, order);
  if (!status) status = tg_permute_accesses(k->epilogue.access, k->epilogue.naccess, k->nout, order);
  return status ? status : tg_permute_accesses(&k->out, 1, k->nout, order);
}

/* Moves out dims of a few points to the front: what is read through masks then comes in fewer and longer runs. */
static tg_status move_short_dims(tg_kernel *k) {
  int64_t order[TG_MAX_DIMS];
  int n = 0, ndim = k->nout + k->nred;
  bool any_mask = false;
  for (int i = 0; i < k->body.naccess; i++) any_mask |= k->body.access[i].view->nbound > 0;
  for (int lengthy = 0; lengthy < 2; lengthy++)
    for (int i = 0; i < k->nout; i++)
      if ((k->shape[i] >= SHORTEST_ROW) == (lengthy == 1)) order[n++] = i;
  if (!any_mask || k->shape[order[n - 1]] < SHORTEST_ROW) return TG_OK;
  for (; n < ndim; n++) order[n] = n;
  return order_dims(k, order);
}

static tg_status orient_reduce(tg_kernel *k) {
  int64_t order[TG_MAX_DIMS];
  tg_status status = TG_OK;
  k->reduced_first = columns_pay(k);
  if (!k->reduced_first) return TG_OK;
  if (k->kind == TG_KERNEL_REDUCE && k->nout && (status = move_short_dims(k))) return status;
  for (int i = 0; i < k->nred; i++) order[i] = k->nout + i;
  for (int i = 0; i < k->nout; i++) order[k->nred + i] = i;
  return tg_permute_accesses(k->body.access, k->body.naccess, k->nout + k->nred, order);
}

/* Which factor, 0 or 1, varies along the dims in which the output is dense: the innermost ones, unless they are only a
 * few points. */
static int dense_factor(const tg_kernel *k) {
  int64_t order[TG_MAX_DIMS], run = 1;
  int first = -1, factor = -1;
  tg_sort_strides(k->out.view, order);
  for (int i = k->nout - 1; i >= 0 && run < SHORTEST_ROW; i--) {
    int d = (int)order[i];
    bool a = tg_view_depends(k->a.view, d), b = tg_view_depends(k->b.view, d);
    if (a == b) continue;
    run = b == (factor == 1) && factor >= 0 ? run * k->shape[d] : k->shape[d];
    factor = b;
    if (first < 0) first = factor;
  }
  return run < SHORTEST_ROW ? first : factor;
}

/* Orders the dims of a contraction: batch, m, n, k. n gets the factor along which the output is dense. */
static tg_status orient_contraction(tg_kernel *k) {
  int64_t order[TG_MAX_DIMS];
  int at = 0, ndim = k->nout + k->nred;
  if (dense_factor(k) == 0) {
    tg_access swap = k->a;
    k->a = k->b;
    k->b = swap;
  }
  int *const counts[3] = {&k->nbatch, &k->nm, &k->nn};
  for (int kind = 0; kind < 3; kind++) {
    int before = at;
    for (int i = 0; i < k->nout; i++) {
      bool a = tg_view_depends(k->a.view, i), b = tg_view_depends(k->b.view, i);
      int belongs = a == b ? 0 : a ? 1 : 2;
      if (belongs == kind) order[at++] = i;
    }
    *counts[kind] = at - before;
  }
  for (int i = k->nout; i < ndim; i++) order[i] = i;
  return order_dims(k, order);
}

static tg_access factor(const tg_builder *b, const item_edge *e) {
  tg_view_ref(e->view);
  return (tg_access){.slot = (int)b->items[tg_storage_of(b, e->src)].slot,
                     .dtype = (tg_dtype)b->items[e->src].node->dtype,
                     .view = e->view};
}

/* What a reduce, scan, sort or scatter reads through an edge, as a program over its domain. `summed`: as lower_edge. */
static tg_status lower_body(tg_builder *b, int64_t within, const item_edge *e, bool summed, tg_program *out) {
  lowering l = {.b = b, .group = within, .reduce = -1};
  int32_t value;
  tg_status status = lower_edge(&l, e, summed, &value);
  if (!status) status = finish(&l, value, out);
  lowering_clear(&l);
  return status;
}

/* The body of a contraction done as a reduce: the product of both factors with all their masks. */
static tg_status lower_product(tg_builder *b, const item *reduce, tg_program *out) {
  const reduction *r = &b->reductions[reduce->reduction];
  lowering l = {.b = b, .group = -1, .reduce = -1};
  tg_dtype dtype = tg_computed((tg_dtype)reduce->node->dtype);
  int32_t value[2], product;
  tg_status status = TG_OK;
  for (int j = 0; j < 2 && !status; j++) {
    tg_access a = factor(b, &b->edges[reduce->first_edge + j]);
    status = emit_access(&l, TG_I_LOAD, a.slot, a.dtype, r->masked[j], &value[j]);
    if (!status) status = emit_cast(&l, value[j], a.dtype, dtype, &value[j]);
    tg_view_unref(a.view);
  }
  if (!status) status = emit_op(&l, TG_OP_MUL, dtype, value[0], value[1], 0, &product);
  if (!status) status = finish(&l, product, out);
  lowering_clear(&l);
  return status;
}

static tg_status lower_reduce(tg_builder *b, const group *g, const item *reduce, bool exact, tg_kernel *k);

/* Notes the factors that lost a mask, and the kernel that can do without that. */
static tg_status lower_exact(tg_builder *b, const group *g, const item *reduce, tg_kernel *k) {
  const reduction *r = &b->reductions[reduce->reduction];
  if (!r->masked[0]) return TG_OK;
  for (int j = 0; j < 2; j++) {
    const item_edge *e = &b->edges[reduce->first_edge + j];
    tg_access a = j ? k->b : k->a;
    if (e->view != r->masked[j]) k->unmasked[j] = (tg_unmasked){a.slot, a.dtype, b->items[e->src].node->shape->size};
  }
  if (!(k->exact = tg_calloc(1, sizeof *k->exact))) return tg_fail_memory(sizeof *k->exact);
  return lower_reduce(b, g, reduce, true, k->exact);
}

/* How the out dims of a reduce that is all of a group see its root. */
static tg_status view_of_root(const tg_builder *b, const group *g, const reduction *r, tg_view **out) {
  int64_t start[TG_MAX_DIMS] = {0}, stop[TG_MAX_DIMS];
  tg_view *row;
  if (!tg_product(r->shape + r->nout, r->nred)) return tg_view_contiguous(r->nout, r->shape, out); /* of nothing */
  for (int i = 0; i < g->domain->ndim; i++) stop[i] = i < g->nout ? g->domain->shape[i] : 1;
  tg_status status = tg_view_shrink(b->items[g->root].view, g->domain->ndim, start, stop, &row);
  if (status) return status;
  status = tg_view_reshape(row, r->nout, r->shape, out);
  tg_view_unref(row);
  return status;
}

/* A root that is, or is computed from, one reduce and is all that is stored. `exact`: a contraction as a reduce. */
static tg_status lower_reduce(tg_builder *b, const group *g, const item *reduce, bool exact, tg_kernel *k) {
  const item *it = &b->items[g->root];
  const reduction *r = &b->reductions[reduce->reduction];
  lowering l = {.b = b, .group = it->group, .reduce = reduce->node->mark};
  int32_t value;
  tg_status status;
  k->out = (tg_access){.slot = (int)it->slot, .dtype = (tg_dtype)it->node->dtype};
  k->kind = r->contraction && !exact ? TG_KERNEL_CONTRACT : TG_KERNEL_REDUCE;
  k->nout = r->nout;
  k->nred = r->nred;
  memcpy(k->shape, r->shape, sizeof(int64_t) * (size_t)(r->nout + r->nred));
  k->reduce = (tg_op)reduce->node->op;
  k->reduced = tg_computed((tg_dtype)reduce->node->dtype);
  if ((status = emit(&l, (tg_instr){.code = TG_I_ACC, .dtype = (uint8_t)k->reduced}, &value))) goto done;
  if ((status = view_of_root(b, g, r, &k->out.view))) goto done;
  if ((status = lower_value(&l, g->root, k->out.view, &value))) goto done;
  if ((status = finish(&l, value, &k->epilogue))) goto done;
  const item_edge *e = &b->edges[reduce->first_edge];
  if (k->kind == TG_KERNEL_CONTRACT) {
    k->a = factor(b, &e[0]);
    k->b = factor(b, &e[1]);
    status = lower_exact(b, g, reduce, k);
    if (!status) status = orient_contraction(k);
  } else {
    status = exact ? lower_product(b, reduce, &k->body)
                   : lower_body(b, it->group, e, k->reduce == TG_OP_REDUCE_SUM, &k->body);
    if (!status) status = orient_reduce(k);
  }
done:
  lowering_clear(&l);
  return status;
}

static tg_status emit_store(lowering *l, const item *it, int32_t value) {
  tg_instr in = {.code = TG_I_STORE, .dtype = (uint8_t)type_of(l, value), .src = {value}};
  return emit_through(l, in, it->slot, (tg_dtype)it->node->dtype, it->view, &value);
}

/* Everything that the group stores, at every point of its domain. */
static tg_status lower_points(tg_builder *b, const group *g, tg_kernel *k) {
  const item *root = &b->items[g->root];
  lowering l = {.b = b, .group = root->group, .reduce = -1};
  int32_t value = -1;
  tg_status status = TG_OK;
  k->kind = g->nout < g->domain->ndim ? TG_KERNEL_ROWS : TG_KERNEL_MAP;
  k->nout = g->nout;
  k->nred = g->domain->ndim - g->nout;
  memcpy(k->shape, g->domain->shape, sizeof(int64_t) * (size_t)g->domain->ndim);
  for (int64_t m = g->first_member; m >= 0 && !status; m = b->items[m].next_member) {
    const item *it = &b->items[m];
    if (!it->output) continue;
    status = lower_value(&l, m, it->view, &value);
    if (!status) status = emit_store(&l, it, value);
  }
  if (!status && k->kind == TG_KERNEL_MAP) status = finish(&l, l.program.ninstr - 1, &k->body);
  else if (!status && !(status = drop_unused(&l.program))) status = tg_cut_phases(&l.program, k);
  lowering_clear(&l);
  return status;
}

static tg_status lower_scan(tg_builder *b, const item *it, tg_kernel *k) {
  const item_edge *e = &b->edges[it->first_edge];
  int64_t order[TG_MAX_DIMS];
  int ndim = it->node->shape->ndim;
  k->kind = TG_KERNEL_SCAN;
  k->nout = ndim - 1;
  k->nred = 1;
  k->reduced = tg_computed((tg_dtype)it->node->dtype);
  memcpy(k->shape, e->view->shape, sizeof(int64_t) * (size_t)ndim);
  tg_domain_order(it->node, order);
  tg_status status = tg_view_permute(it->node->shape, ndim, order, &k->out.view);
  if (!status) status = lower_body(b, it->group, e, false, &k->body);
  if (!status) status = orient_reduce(k);
  if (status || !k->reduced_first) return status;
  order[0] = ndim - 1;
  for (int i = 1; i < ndim; i++) order[i] = i - 1;
  return tg_permute_accesses(&k->out, 1, ndim, order);
}

static tg_status lower_sort(tg_builder *b, const item *it, tg_kernel *k) {
  const item_edge *e = &b->edges[it->first_edge];
  int64_t order[TG_MAX_DIMS];
  k->kind = TG_KERNEL_SORT;
  k->nout = e->view->ndim - 1;
  k->nred = 1;
  k->reduced = tg_computed((tg_dtype)b->items[e->src].node->dtype);
  k->descending = it->node->value.u != 0;
  memcpy(k->shape, e->view->shape, sizeof(int64_t) * (size_t)e->view->ndim);
  tg_domain_order(it->node, order);
  tg_status status = tg_view_permute(it->node->shape, e->view->ndim, order, &k->out.view);
  return status ? status : lower_body(b, it->group, e, false, &k->body);
}

static tg_status lower_scatter(tg_builder *b, const item *it, tg_kernel *k) {
  const item_edge *e = &b->edges[it->first_edge];
  lowering l = {.b = b, .group = it->group, .reduce = -1};
  int64_t step;
  int32_t index, displacement;
  k->kind = TG_KERNEL_SCATTER;
  k->nout = e->view->ndim;
  k->scattered = it->node->shape->size;
  k->reduced = tg_computed((tg_dtype)it->node->dtype);
  memcpy(k->shape, e->view->shape, sizeof(int64_t) * (size_t)k->nout);
  tg_status status = lower_body(b, it->group, &e[0], false, &k->body);
  if (status || (status = tg_node_positions(it->node, &k->out.view, &step))) return status;
  tg_view *plain = NULL;
  if ((status = tg_view_contiguous(k->nout, k->shape, &plain)) ||
      (status = lower_operand(&l, it->node->mark, 1, plain, TG_I64, &index)) ||
      (status = emit_indexed(&l, plain, index, it->node->extent, step, &displacement)))
    goto done;
  status = finish(&l, displacement, &k->target);
done:
  tg_view_unref(plain);
  lowering_clear(&l);
  return status;
}

/* The reduce of a group that has one: a contraction, or the only fold. */
static const item *reduce_of(const tg_builder *b, const group *g) {
  for (int64_t m = g->first_member; m >= 0; m = b->items[m].next_member)
    if (b->items[m].reduction >= 0) return &b->items[m];
  return NULL;
}

tg_status tg_lower(tg_builder *b, const group *g, tg_kernel *k) {
  const item *it = &b->items[g->root];
  bool by_row = !tg_view_depends_from(it->view, g->nout);
  tg_status status;
  memset(k, 0, sizeof *k);
  k->out = (tg_access){.slot = (int)it->slot, .dtype = (tg_dtype)it->node->dtype};
  if (it->node->kind == TG_NODE_SCAN) status = lower_scan(b, it, k);
  else if (it->node->kind == TG_NODE_SORT) status = lower_sort(b, it, k);
  else if (it->node->kind == TG_NODE_SCATTER) status = lower_scatter(b, it, k);
  else if (g->contraction || (g->nfold == 1 && g->noutput == 1 && by_row))
    status = lower_reduce(b, g, reduce_of(b, g), false, k);
  else status = lower_points(b, g, k);
  if (status) tg_kernel_clear(k);
  return status;
}

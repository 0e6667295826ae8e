/* The block machine (see vm.h).
 *
 * A register is a block of TG_BLOCK elements. Registers are assigned by linear scan: an
 * instruction takes over the register of a source that dies with it when the elements are
 * equally wide (kernels allow exact aliasing), so a long chain lives in two or three registers and
 * stays in L1. Dense loads are not copied to theirs: the instruction reads memory.
 *
 * What a GATHER is displaced by is often the same along inner dims along which memory is dense. Those are rows then:
 * the steps up to the displacement are run on one element a row, and the row is copied as a whole.
 *
 * A value that is kept or stored densely is computed right where it goes: that memory is its home.
 *
 *   scratch:  | pointer of each value | register 0 | register 1 | ... | constants |
 *
 * Invariant: a step's `reg` is -1 only if its value is never in scratch (ACC, LOCAL, what has a home or no value).
 * Callers: run.c, reduce.c, rows.c, sequence.c, contract.c. */
#include "exec/vm.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "exec/fold.h"
#include "exec/walk.h"
#include "kernels/kernels.h"

typedef struct step {
  const tg_instr *instr;
  int reg;
  bool by_row;  /* of an element a row of vm->row points, for the GATHERs that alone read it */
  int home;     /* the KEEP or STORE into whose memory this value is computed, or -1 */
  tg_walk walk; /* LOAD, STORE, POSITION, VALID, GATHER; over the dims before the row, if by row or gathering rows */
  tgk_unary_fn cast; /* LOAD, STORE and CAST: conversion, or NULL */
  tgk_unary_fn then; /* CAST: a second conversion, or NULL */
  tg_dtype via;      /* CAST: the stored dtype between the two; LOAD, STORE: the stored dtype */
  tg_fold fold;      /* FOLD */
  union {
    tgk_unary_fn unary;
    tgk_binary_fn binary;
    tgk_where_fn where;
    tgk_random_fn random;
  } run;
} step;

/* The first index found out of range, by any worker. */
typedef struct fault {
  _Atomic bool happened;
  int64_t index, extent;
} fault;

struct tg_vm {
  const tg_program *program;
  fault *fault;                  /* not NULL if the program checks indices */
  int nfixed, ndim, nlead, nreg; /* dims that are fixed, dims swept up to, dims before a row */
  int64_t row;                   /* points of the rows that are gathered, or 0 */
  size_t table_bytes, reg_bytes; /* of the pointer table and of one register */
  bool streams;                  /* some of its stores go past the cache */
  int spare;                     /* register for raw loads and half-way conversions */
  int64_t cost;
  step steps[];
};

#define FOLD_ROWS 16     /* rows folded in one call */
#define STORES_AT_ONCE 4 /* each may touch a new page of 2 MiB, which takes the system a millisecond or two */
#define MIN_ROW 8        /* points of a row that is gathered as such */

/* ---- compiling ---- */

static int op_cost(const tg_instr *in) {
  if (in->code == TG_I_RANDOM || in->code == TG_I_GATHER) return 16; /* the latter as it may miss the cache */
  if (in->code == TG_I_OP) return tg_ops[in->op].cost;
  if (in->code == TG_I_KEEP || in->code == TG_I_FOLD || in->code == TG_I_LOCAL) return 1;
  return in->code == TG_I_CONST || in->code == TG_I_ACC ? 0 : 2;
}

static tg_status compile_walk(const tg_vm *vm, step *s, const tg_view *view, const tg_tiling *tiling, tg_dtype dtype) {
  if (tiling) return tg_walk_init_tiled(&s->walk, view, tiling, dtype);
  bool lead = s->by_row || (vm->row && s->instr->code == TG_I_GATHER);
  return tg_walk_init_leading(&s->walk, view, vm->nfixed, lead ? vm->nlead : vm->ndim, dtype);
}

static tg_status compile_step(tg_vm *vm, step *s, const tg_instr *in, const tg_tiling *tiling) {
  const tg_program *p = vm->program;
  tg_dtype from = in->code == TG_I_OP || in->code == TG_I_CAST ? p->instr[in->src[0]].dtype : TG_BOOL;
  bool known = true;
  switch ((tg_icode)in->code) {
  case TG_I_LOAD: {
    const tg_access *a = &p->access[in->arg];
    s->via = a->dtype;
    if (a->dtype != in->dtype) s->cast = tgk.cast[a->dtype][in->dtype];
    return compile_walk(vm, s, a->view, tiling, a->dtype);
  }
  case TG_I_POSITION:
  case TG_I_VALID: return compile_walk(vm, s, p->access[in->arg].view, tiling, in->dtype);
  case TG_I_CONST:
  case TG_I_KEEP:
  case TG_I_LOCAL:
  case TG_I_SPREAD:
  case TG_I_ACC: break;
  case TG_I_STORE: {
    const tg_access *a = &p->access[in->arg];
    s->via = a->dtype;
    if (a->dtype != in->dtype) s->cast = tgk.cast[in->dtype][a->dtype];
    tg_status status = compile_walk(vm, s, a->view, tiling, a->dtype);
    s->walk.streamed = a->streamed;
    vm->streams |= a->streamed;
    return status;
  }
  case TG_I_FOLD: s->fold = tg_fold_of((tg_op)in->op, (tg_dtype)in->dtype); break;
  case TG_I_INDEX:
    if (!vm->fault && !(vm->fault = tg_calloc(1, sizeof(fault)))) return tg_fail_memory(sizeof(fault));
    break;
  case TG_I_GATHER:
    s->via = p->access[in->arg].dtype;
    if (s->via != in->dtype) s->cast = tgk.cast[s->via][in->dtype];
    return compile_walk(vm, s, p->access[in->arg].view, tiling, s->via);
  case TG_I_CAST:
    s->via = (tg_dtype)in->arg;
    if (tg_computed(s->via) == s->via) s->cast = tgk.cast[from][s->via];
    else if (from == TG_F32) s->cast = tgk.round[s->via];
    else {
      s->cast = tgk.cast[from][s->via];
      s->then = tgk.cast[s->via][in->dtype];
    }
    known = s->cast != NULL;
    break;
  case TG_I_RANDOM:
    s->run.random = tgk.random[in->dtype];
    known = s->run.random != NULL;
    break;
  case TG_I_OP:
    switch (tg_ops[in->op].kind) {
    case TG_KIND_UNARY: known = (s->run.unary = tgk.unary[in->op][from]) != NULL; break;
    case TG_KIND_BINARY: known = (s->run.binary = tgk.binary[in->op][from]) != NULL; break;
    case TG_KIND_TERNARY: known = (s->run.where = tgk.where[in->dtype]) != NULL; break;
    default: known = false;
    }
  }
  if (known) return TG_OK;
  return tg_fail(TG_ERR_UNSUPPORTED, "no kernel for %s on %s",
                 in->code == TG_I_OP ? tg_ops[in->op].member : "this conversion", tg_dtypes[from].attribute);
}

static bool reads_view(const tg_instr *in) { return tg_instr_access(in) && !tg_instr_effect(in); }

/* The number of leading dims that what a view sees depends on. */
static int dims_seen(const tg_view *v) {
  int d = v->ndim;
  while (d > 0 && !tg_view_depends(v, d - 1)) d--;
  return d;
}

int tg_vm_row_dims(const tg_program *program, const tg_view *view) {
  int dims = tg_view_dims_before_run(view);
  for (int i = 0; i < program->naccess; i++) dims = (int)tg_max(dims, dims_seen(program->access[i].view));
  return tg_product(view->shape + dims, view->ndim - dims) < MIN_ROW ? view->ndim : dims;
}

/* Finds rows that all GATHERs agree on, and what is computed once a row. */
static void find_rows(tg_vm *vm) {
  const tg_program *p = vm->program;
  const tg_view *any = NULL;
  bool apart = true;
  int dims = vm->nfixed;
  for (int i = p->ninstr - 1; i >= 0; i--) {
    const tg_instr *in = &p->instr[i];
    step *s = &vm->steps[i];
    const tg_view *v = reads_view(in) ? p->access[in->arg].view : NULL;
    if (v && s->by_row) dims = (int)tg_max(dims, dims_seen(v));
    else if (in->code == TG_I_GATHER) dims = (int)tg_max(dims, tg_view_dims_before_run(any = v));
    for (int j = 0; j < tg_instr_arity(in); j++) vm->steps[in->src[j]].by_row |= s->by_row || in->code == TG_I_GATHER;
    apart &= !s->by_row || in->code == TG_I_CONST || reads_view(in) || in->code == TG_I_OP || in->code == TG_I_CAST ||
             in->code == TG_I_INDEX || in->code == TG_I_RANDOM;
  }
  for (int i = 0; i < p->ninstr; i++) {
    const tg_instr *in = &p->instr[i];
    if (vm->steps[i].by_row || in->code == TG_I_GATHER) continue;
    for (int j = 0; j < tg_instr_arity(in); j++)
      apart &= !vm->steps[in->src[j]].by_row || p->instr[in->src[j]].code == TG_I_CONST;
  }
  int64_t row = any ? tg_product(any->shape + dims, any->ndim - dims) : 0;
  if (apart && row >= MIN_ROW) {
    vm->nlead = dims;
    vm->row = row;
  } else {
    for (int i = 0; i < p->ninstr; i++) vm->steps[i].by_row = false;
  }
}

/* Each value that is kept, or stored densely as it is, gets a home. */
static void find_homes(tg_vm *vm) {
  for (int i = 0; i < vm->program->ninstr; i++) vm->steps[i].home = -1;
  for (int i = 0; i < vm->program->ninstr; i++) {
    const tg_instr *in = vm->steps[i].instr;
    const step *s = &vm->steps[i];
    bool dense = in->code == TG_I_STORE && !s->cast && tg_walk_has_places(&s->walk) && !s->walk.streamed;
    if (in->code != TG_I_KEEP && !dense) continue;
    tg_icode source = (tg_icode)vm->program->instr[in->src[0]].code;
    step *made = &vm->steps[in->src[0]];
    if (made->home < 0 && source != TG_I_CONST && source != TG_I_ACC && source != TG_I_LOCAL && source != TG_I_SPREAD)
      made->home = i;
  }
}

/* Linear scan. `last[i]` is the last instruction that reads value i (ninstr for the result); `free_reg` is a stack. */
static void assign_registers(tg_vm *vm, int *last, int *free_reg) {
  const tg_program *p = vm->program;
  int n = p->ninstr, nfree = 0, nreg = 0;
  for (int i = 0; i < n; i++) last[i] = i;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < tg_instr_arity(&p->instr[i]); j++) last[p->instr[i].src[j]] = i;
  last[n - 1] = n;
  for (int i = 0; i < n; i++) {
    const tg_instr *in = &p->instr[i];
    if (in->code == TG_I_CONST) { /* written once, so its register is its own from first to last */
      last[i] = n;
      vm->steps[i].reg = nreg++;
      continue;
    }
    /* sources of the element's own width first give up their register, the others only after: a
     * kernel may work in place, but not over a source of another width */
    for (int after = 0; after < 2; after++) {
      bool nowhere = in->code == TG_I_ACC || in->code == TG_I_LOCAL || tg_instr_effect(in) || vm->steps[i].home >= 0;
      if (after) vm->steps[i].reg = nowhere ? -1 : nfree ? free_reg[--nfree] : nreg++;
      for (int j = 0; j < tg_instr_arity(in); j++) {
        int src = in->src[j];
        bool same = tg_itemsize(p->instr[src].dtype) == tg_itemsize(in->dtype);
        if (last[src] != i || same == (after == 1) || vm->steps[src].reg < 0) continue;
        free_reg[nfree++] = vm->steps[src].reg;
        last[src] = -1; /* a value used twice by one instruction dies once */
      }
    }
  }
  vm->spare = nreg;
  vm->nreg = nreg + 1;
}

/* The dims of a program's domain, as far as it looks at memory. */
static int program_dims(const tg_program *p) { return p->naccess ? p->access[0].view->ndim : 0; }

static tg_status compile(const tg_program *program, int nfixed, int ndim, const tg_tiling *tiling, tg_vm **out) {
  tg_status status = TG_OK;
  int n = program->ninstr;
  int *work = NULL;
  size_t bytes = sizeof(tg_vm) + (size_t)n * sizeof(step);
  tg_vm *vm = tg_calloc(1, bytes);
  if (!vm) return tg_fail_memory(bytes);
  vm->program = program;
  vm->nfixed = nfixed;
  vm->ndim = ndim;
  for (int i = 0; i < n; i++) vm->steps[i].instr = &program->instr[i];
  if (!tiling && ndim == program_dims(program)) find_rows(vm);
  size_t widest = 4;
  for (int i = 0; i < n; i++) {
    const tg_instr *in = &program->instr[i];
    if ((status = compile_step(vm, &vm->steps[i], in, tiling))) goto fail;
    if (tg_itemsize(in->dtype) > widest) widest = tg_itemsize(in->dtype);
    if ((in->code == TG_I_LOAD || in->code == TG_I_STORE) && tg_itemsize(vm->steps[i].via) > widest)
      widest = tg_itemsize(vm->steps[i].via);
    vm->cost += op_cost(in);
  }
  if (!(work = tg_malloc(2 * (size_t)n * sizeof(int)))) {
    status = tg_fail_memory(2 * (size_t)n * sizeof(int));
    goto fail;
  }
  find_homes(vm);
  assign_registers(vm, work, work + n);
  vm->reg_bytes = TG_BLOCK * widest;
  vm->table_bytes = tg_aligned((size_t)n * sizeof(void *));
  tg_free(work);
  *out = vm;
  return TG_OK;
fail:
  tg_free(work);
  tg_vm_free(vm);
  return status;
}

tg_status tg_vm_compile(const tg_program *program, int nfixed, tg_vm **out) {
  return compile(program, nfixed, program_dims(program), NULL, out);
}

tg_status tg_vm_compile_leading(const tg_program *program, int ndim, tg_vm **out) {
  return compile(program, 0, ndim, NULL, out);
}

tg_status tg_vm_compile_tiled(const tg_program *program, const tg_tiling *tiling, tg_vm **out) {
  return compile(program, 0, program_dims(program), tiling, out);
}

void tg_vm_free(tg_vm *vm) {
  if (!vm) return;
  for (int i = 0; i < vm->program->ninstr; i++) tg_walk_clear(&vm->steps[i].walk);
  tg_free(vm->fault);
  tg_free(vm);
}

int64_t tg_vm_span(const tg_vm *vm) {
  const step *s = &vm->steps[0];
  bool in_memory = vm->program->ninstr == 1 && s->instr->code == TG_I_LOAD && !s->cast && tg_walk_has_places(&s->walk);
  return in_memory ? INT64_MAX : TG_BLOCK;
}

int64_t tg_vm_cost(const tg_vm *vm) { return vm->cost + 1; }

/* ---- running ---- */

void tg_vm_prefetch(const tg_vm *vm, void *const *slots, int64_t start, int64_t n) {
  int64_t none = 0;
  for (int i = 0; i < vm->program->ninstr; i++) {
    const step *s = &vm->steps[i];
    if (s->instr->code != TG_I_LOAD || !tg_walk_has_places(&s->walk)) continue;
    const char *p = tg_walk_address(&s->walk, slots[vm->program->access[s->instr->arg].slot], &none, start);
    for (int64_t at = 0; at < n * (int64_t)tg_itemsize(s->via); at += 64) __builtin_prefetch(p + at, 0, 2);
  }
}

void tg_vm_finish(const tg_vm *vm) {
  if (vm->streams) tgk.stream_end();
}

size_t tg_vm_scratch_size(const tg_vm *vm) { return vm->table_bytes + (size_t)vm->nreg * vm->reg_bytes; }

static void *reg_at(const tg_vm *vm, void *scratch, int reg) {
  return (char *)scratch + vm->table_bytes + (size_t)reg * vm->reg_bytes;
}

void tg_vm_prepare(const tg_vm *vm, void *scratch) {
  const void **value = scratch;
  for (int i = 0; i < vm->program->ninstr; i++) {
    const tg_instr *in = &vm->program->instr[i];
    if (in->code != TG_I_CONST) continue;
    uint64_t element = 0;
    tg_scalar_store((tg_dtype)in->dtype, in->value, &element);
    void *reg = reg_at(vm, scratch, vm->steps[i].reg);
    tgk.strided[tg_log2_itemsize((tg_dtype)in->dtype)](reg, &element, 0, TG_BLOCK);
    value[i] = reg;
  }
}

static void note_fault(fault *f, int64_t index, int64_t extent) {
  bool before = false;
  /* Relaxed: read only after the workers have been joined. */
  if (!atomic_compare_exchange_strong_explicit(&f->happened, &before, true, memory_order_relaxed, memory_order_relaxed))
    return;
  f->index = index;
  f->extent = extent;
}

tg_status tg_vm_status(const tg_vm *vm) {
  if (!vm->fault || !atomic_load_explicit(&vm->fault->happened, memory_order_relaxed)) return TG_OK;
  return tg_fail(TG_ERR_INDEX, "index %" PRId64 " is out of bounds for an axis of size %" PRId64, vm->fault->index,
                 vm->fault->extent);
}

static void check_index(fault *f, int64_t *to, const int64_t *index, int64_t extent, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int64_t wrapped = index[i] < 0 ? index[i] + extent : index[i];
    if (wrapped < 0 || wrapped >= extent) {
      note_fault(f, index[i], extent);
      wrapped = 0;
    }
    to[i] = wrapped;
  }
}

#define PICK(type)                                                                                                     \
  for (int64_t i = 0; i < n; i++) ((type *)to)[i] = ((const type *)from)[position[i]];                                 \
  break

static void pick(void *to, const void *from, const int64_t *position, size_t itemsize, int64_t n) {
  switch (itemsize) {
  case 1: PICK(uint8_t);
  case 2: PICK(uint16_t);
  case 4: PICK(uint32_t);
  default: PICK(uint64_t);
  }
}

/* What a GATHER reads: elements, or rows, of which `displaced` has one element each. It may be where `to` is. */
static void gather(const tg_vm *vm, const step *s, const char *memory, const int64_t *fixed, int64_t start, int64_t n,
                   const int64_t *displaced, char *to) {
  bool rows = vm->row && !s->by_row;
  int64_t at[TG_BLOCK], row = rows ? vm->row : 1, first = start / row, count = tg_ceil_div(start + n, row) - first;
  size_t itemsize = tg_itemsize(s->via);
  tg_walk_positions(&s->walk, fixed, first, count, TG_I64, at);
  for (int64_t i = 0; i < count; i++) at[i] += displaced[i];
  if (!rows) {
    pick(to, memory, at, itemsize, n);
    return;
  }
  int64_t skip = start - first * row;
  for (int64_t i = 0, length; i < count; i++, n -= length, skip = 0, to += (size_t)length * itemsize) {
    length = tg_min(row - skip, n);
    memcpy(to, memory + (size_t)(at[i] + skip) * itemsize, (size_t)length * itemsize);
  }
}

/* Where the values of a KEEP or of a dense STORE go. */
static void *address_of(const step *s, void *const *slots, const tg_program *p, const int64_t *fixed, int64_t start,
                        const tg_tile *tile) {
  const tg_instr *in = s->instr;
  if (in->code == TG_I_KEEP)
    return (char *)tile->local[in->arg] + (size_t)tile->offset * tg_itemsize((tg_dtype)in->dtype);
  return tg_walk_address(&s->walk, slots[p->access[in->arg].slot], fixed, start);
}

static void store(const tg_vm *vm, const step *s, void *scratch, void *const *slots, const int64_t *fixed,
                  int64_t start, int64_t n, const void *value) {
  void *memory = slots[vm->program->access[s->instr->arg].slot];
  bool streamed = s->walk.streamed, dense = tg_walk_has_places(&s->walk) && !(streamed && s->cast);
  void *to = dense ? tg_walk_address(&s->walk, memory, fixed, start) : reg_at(vm, scratch, vm->spare);
  if (s->cast) {
    s->cast(to, value, (size_t)n);
    value = to;
  }
  if (!dense) tg_walk_write(&s->walk, memory, fixed, start, n, value);
  else if (streamed) tgk.stream(to, value, (size_t)n * tg_itemsize(s->via));
  else if (value != to) memcpy(to, value, (size_t)n * tg_itemsize(s->via));
}

static void fold(const step *s, const tg_tile *tile, int64_t n, const void *value) {
  size_t itemsize = tg_itemsize((tg_dtype)s->instr->dtype);
  char *to = tile->local[s->instr->arg];
  if (tile->columns) {
    s->fold.combine(to, to, value, (size_t)n);
    return;
  }
  if (n < tile->row) to += (size_t)(tile->offset / TG_BLOCK) * itemsize;
  int64_t length = tg_min(tile->row, n), rows = n / length;
  tg_fold_clear(&s->fold, to, rows);
  for (int64_t first = 0; first < rows; first += FOLD_ROWS) {
    int64_t at[FOLD_ROWS], count = tg_min(FOLD_ROWS, rows - first);
    for (int64_t i = 0; i < count; i++) at[i] = (first + i) * length;
    s->fold.run.rows(to + (size_t)first * itemsize, value, at, (size_t)count, (size_t)length);
  }
}

/* An element a row at every point of the row: a copy unless a block has one point of each row. */
static const void *spread(const tg_instr *in, const tg_tile *tile, int64_t n, void *dst) {
  const char *from = tile->local[in->arg];
  tgk_strided_fn fill = tgk.strided[tg_log2_itemsize((tg_dtype)in->dtype)];
  size_t itemsize = tg_itemsize((tg_dtype)in->dtype);
  if (tile->columns) return from;
  for (int64_t at = 0; at < n; at += tile->row, from += itemsize)
    fill((char *)dst + (size_t)at * itemsize, from, 0, (size_t)tg_min(tile->row, n - at));
  return dst;
}

/* Evaluates all instructions; the last one writes to `target` if it writes anywhere at all. */
static const void *eval(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start,
                        int64_t n, const void *acc, const tg_tile *tile, void *target) {
  const tg_program *p = vm->program;
  const void **value = scratch;
  int stores = 0;
  int64_t points[2][2] = {{start, n}}; /* the first and how many; rows: */
  if (vm->row) {
    points[1][0] = start / vm->row;
    points[1][1] = tg_ceil_div(start + n, vm->row) - points[1][0];
  }
  for (int i = 0; i < p->ninstr; i++) {
    const step *s = &vm->steps[i];
    const tg_instr *in = s->instr;
    const int32_t *src = in->src;
    if (in->code == TG_I_CONST) continue;
    start = points[s->by_row][0];
    n = points[s->by_row][1];
    size_t count = (size_t)n;
    void *dst = s->reg >= 0    ? reg_at(vm, scratch, s->reg)
                : s->home >= 0 ? address_of(&vm->steps[s->home], slots, p, fixed, start, tile)
                               : NULL;
    if (target && i == p->ninstr - 1 && in->code != TG_I_ACC) dst = target;
    value[i] = dst;
    switch ((tg_icode)in->code) {
    case TG_I_LOAD: {
      void *raw = s->cast ? reg_at(vm, scratch, vm->spare) : dst;
      value[i] = tg_walk_read(&s->walk, slots[p->access[in->arg].slot], fixed, start, n, raw);
      if (s->cast) {
        s->cast(dst, value[i], count);
        value[i] = dst;
      }
      break;
    }
    case TG_I_CONST: break;
    case TG_I_POSITION: tg_walk_positions(&s->walk, fixed, start, n, (tg_dtype)in->dtype, dst); break;
    case TG_I_VALID: tg_walk_valid(&s->walk, fixed, start, n, dst); break;
    case TG_I_ACC: value[i] = acc; break;
    case TG_I_STORE:
      store(vm, s, scratch, slots, fixed, start, n, value[src[0]]);
      if (++stores % STORES_AT_ONCE == 0 && tg_interrupted()) return NULL;
      break;
    case TG_I_KEEP: {
      void *to = address_of(s, slots, p, fixed, start, tile);
      if (value[src[0]] != to) memcpy(to, value[src[0]], count * tg_itemsize((tg_dtype)in->dtype));
      break;
    }
    case TG_I_FOLD: fold(s, tile, n, value[src[0]]); break;
    case TG_I_LOCAL:
      value[i] = (char *)tile->local[in->arg] + (size_t)tile->offset * tg_itemsize((tg_dtype)in->dtype);
      break;
    case TG_I_SPREAD: value[i] = spread(in, tile, n, dst); break;
    case TG_I_INDEX: check_index(vm->fault, dst, value[src[0]], in->value.i, n); break;
    case TG_I_GATHER: {
      void *raw = s->cast ? reg_at(vm, scratch, vm->spare) : dst;
      gather(vm, s, slots[p->access[in->arg].slot], fixed, start, n, value[src[0]], raw);
      if (s->cast) s->cast(dst, raw, count);
      break;
    }
    case TG_I_RANDOM: s->run.random(dst, value[src[0]], in->value.u, count); break;
    case TG_I_CAST:
      if (s->then) {
        void *half = reg_at(vm, scratch, vm->spare);
        s->cast(half, value[src[0]], count);
        s->then(dst, half, count);
      } else {
        s->cast(dst, value[src[0]], count);
      }
      break;
    case TG_I_OP:
      switch (tg_ops[in->op].arity) {
      case 1: s->run.unary(dst, value[src[0]], count); break;
      case 2: s->run.binary(dst, value[src[0]], value[src[1]], count); break;
      default: s->run.where(dst, value[src[0]], value[src[1]], value[src[2]], count); break;
      }
    }
  }
  return value[p->ninstr - 1];
}

const void *tg_vm_eval(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start,
                       int64_t n, const void *acc) {
  return eval(vm, scratch, slots, fixed, start, n, acc, NULL, NULL);
}

void tg_vm_run(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start, int64_t n,
               const tg_tile *tile) {
  eval(vm, scratch, slots, fixed, start, n, NULL, tile, NULL);
}

void tg_vm_eval_into(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start, int64_t n,
                     const void *acc, tg_dtype dtype, void *out) {
  tg_dtype computed = (tg_dtype)vm->program->instr[vm->program->ninstr - 1].dtype;
  const void *result = eval(vm, scratch, slots, fixed, start, n, acc, NULL, computed == dtype ? out : NULL);
  if (result != out) tgk.cast[computed][dtype](out, result, (size_t)n);
}

/* A kernel: one loop nest. Plain data, made by the scheduler, run by exec/.
 *
 *   domain = out dims [0, nout) x reduced dims [nout, nout + nred)
 *
 *   MAP       body(i) stores one element of each output
 *   ROWS      several reductions over the same reduced dims, and what lies between and after them, while a row
 *             (the points of one out index) is in cache: softmax, normalisations and their gradients. Phase by phase,
 *             first what is computed once a row from the folds so far, then what is computed at every point
 *   REDUCE    out[i]  = epilogue(i, reduce over r of body(i, r))
 *   CONTRACT  out[i]  = epilogue(i, sum over r of a(i, r) * b(i, r))
 *             with out dims ordered batch, m, n: a does not vary along n, b not along m
 *   SCAN      out[i, r] = body(i, 0) + ... + body(i, r), the out view ordered like the domain
 *   SORT      out[i, j] = the r for which body(i, r) comes j-th in order, for as many j as the out view has
 *   SCATTER   out[position(i) + target(i)] += body(i), onto zeros, position being what out's view computes; the domain
 *             is what is added, not what is written
 *
 * MAP and ROWS may write several buffers, the others write one.
 *
 * A program is a list of instructions in SSA form: instruction i defines value i, sources are
 * indices of earlier instructions. The last one is the result, but MAP and ROWS pass theirs on by STORE, KEEP and FOLD.
 * Every value has a computed dtype (dtype.h). Programs touch memory only through accesses, whose views cover the
 * program's domain: all dims for a body or the points of a row, the out dims for an epilogue or once a row.
 *
 * Owns: the arrays within programs and one reference on each view (dropped by tg_kernel_clear,
 * under the graph lock). */
#ifndef TG_SCHED_KERNEL_H
#define TG_SCHED_KERNEL_H

#include "graph/dtype.h"
#include "graph/ops.h"
#include "graph/view.h"

typedef enum tg_icode {
  TG_I_LOAD,     /* access[arg], converted from stored to computed dtype, 0 where invalid */
  TG_I_CONST,    /* value, everywhere */
  TG_I_POSITION, /* int64 or int32: the position that access[arg]'s view computes (its slot is unused) */
  TG_I_VALID,    /* bool: whether access[arg]'s view is valid there (its slot is unused) */
  TG_I_ACC,      /* the reduce result; first instruction of an epilogue only */
  TG_I_OP,       /* graph op `op` on the sources; CMPLT gives bool, WHERE takes a bool condition */
  TG_I_CAST,     /* converted to stored dtype `arg`, held as its computed dtype (float16: a float32
                    that float16 can hold) */
  TG_I_RANDOM,   /* uniform floats from int64 positions, key in value.u */
  TG_I_INDEX,    /* an int64 index into value.i elements: negative counts from the end, outside is an error */
  TG_I_GATHER,   /* the element of access[arg]'s slot at the position of its view plus an int64 */
  TG_I_STORE,    /* the source written through access[arg], converted to its stored dtype; no value, as the next two: */
  TG_I_KEEP,     /* the source kept in local `arg`, an element a point of the program */
  TG_I_FOLD,     /* the source reduced over each row by `op` into local `arg`, an element a row */
  TG_I_LOCAL,    /* local `arg`, as it was kept */
  TG_I_SPREAD,   /* local `arg`, of an element a row, at every point of the row */
} tg_icode;

typedef struct tg_instr {
  uint8_t code;  /* tg_icode */
  uint8_t op;    /* tg_op, for TG_I_OP and TG_I_FOLD */
  uint8_t dtype; /* computed dtype of the result */
  int32_t arg;   /* access or local index, or tg_dtype for TG_I_CAST */
  int32_t src[3];
  tg_scalar value;
} tg_instr;

int tg_instr_arity(const tg_instr *in);   /* how many of src it reads */
bool tg_instr_effect(const tg_instr *in); /* STORE, KEEP, FOLD: run for what it writes */
bool tg_instr_access(const tg_instr *in); /* whether arg is an access */

typedef struct tg_access {
  int slot; /* index into the kernel's buffers */
  tg_dtype dtype;
  bool streamed; /* STORE: past the cache, being large and read by no kernel of this schedule */
  tg_view *view;
} tg_access;

typedef struct tg_program {
  tg_instr *instr;
  tg_access *access;
  int ninstr, naccess;
} tg_program;

typedef enum tg_kernel_kind {
  TG_KERNEL_MAP,
  TG_KERNEL_ROWS,
  TG_KERNEL_REDUCE,
  TG_KERNEL_CONTRACT,
  TG_KERNEL_SCAN,
  TG_KERNEL_SORT,
  TG_KERNEL_SCATTER,
} tg_kernel_kind;

typedef struct tg_phase {
  tg_program rows, points; /* in this order; either may be empty */
} tg_phase;

/* What a ROWS kernel passes from program to program. */
typedef struct tg_local {
  tg_dtype dtype; /* computed */
  bool row;       /* an element a row, else an element a point */
} tg_local;

/* A factor of a contraction that is read where the whole product is masked to zero: harmless unless it holds an
 * infinity or NaN. */
typedef struct tg_unmasked {
  int slot;
  tg_dtype dtype;
  int64_t elements; /* of its buffer; 0: the factor kept its masks */
} tg_unmasked;

typedef struct tg_kernel {
  tg_kernel_kind kind;
  int nout, nred;
  int nbatch, nm, nn; /* CONTRACT: nbatch + nm + nn == nout */
  int64_t shape[TG_MAX_DIMS];
  bool reduced_first; /* REDUCE, ROWS, SCAN: the views over all dims have the reduced dims in front of the out dims */
  tg_op reduce;       /* TG_OP_REDUCE_SUM, _MAX or _PROD */
  tg_dtype reduced;   /* computed dtype of the accumulator; CONTRACT: F32 or F64; SORT: of the body */
  bool descending;    /* SORT */
  tg_program body;    /* unused by CONTRACT and ROWS */
  tg_phase *phases;   /* ROWS only, as is: */
  tg_local *locals;
  int nphase, nlocal;
  tg_access a, b; /* CONTRACT only; views over the whole domain */
  tg_unmasked unmasked[2];
  struct tg_kernel *exact; /* CONTRACT with an unmasked factor: the REDUCE to run if that is not finite; owned */
  tg_program epilogue;     /* REDUCE and CONTRACT; at least TG_I_ACC */
  tg_program target;       /* SCATTER: int64, added to the position of out's view */
  int64_t scattered;       /* SCATTER: elements of the output */
  tg_access out;           /* view over the out dims (SCAN, SORT: all dims): where it is valid, a bijection onto the
                          buffer's elements; SCATTER: over the domain; unused by MAP and ROWS but for slot and dtype */
} tg_kernel;

extern const char *const tg_kernel_kind_name[];

/* All programs of the kernel one after the other: the i-th, or NULL past the last. */
const tg_program *tg_kernel_program(const tg_kernel *k, int i);

/* How many leading out dims a kernel can be run in parts along: of a CONTRACT batch and m, of MAP and ROWS all. 0: it
 * can't. */
int tg_kernel_row_dims(const tg_kernel *k);
/* Their points; 0 also if the kernel computes nothing. */
int64_t tg_kernel_rows(const tg_kernel *k);

void tg_program_clear(tg_program *p); /* safe on a zeroed struct, as is: */
void tg_kernel_clear(tg_kernel *k);

#endif

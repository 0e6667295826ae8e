/* The block machine: evaluates a program on blocks of at most TG_BLOCK consecutive points of its
 * domain, one SIMD loop an instruction, registers in L1.
 *
 * Leading dims are fixed by index, trailing ones swept in C order (exec/walk.h).
 * Owns: the compiled form: prepared walks, register assignment, function pointers. */
#ifndef TG_EXEC_VM_H
#define TG_EXEC_VM_H

#include <stddef.h>
#include "exec/walk.h"
#include "sched/kernel.h"

#define TG_BLOCK 1024 /* elements; 4 KiB of float32: a dozen registers fit L1 */

typedef struct tg_vm tg_vm;

/* The program is borrowed and must outlive the vm. nfixed leading dims of its ndim are fixed. */
tg_status tg_vm_compile(const tg_program *program, int nfixed, tg_vm **out) TG_MUST_CHECK;
/* The same with no dims fixed, swept in tiles (tg_walk_init_tiled), which the vm needs to compile only. */
tg_status tg_vm_compile_tiled(const tg_program *program, const tg_tiling *tiling, tg_vm **out) TG_MUST_CHECK;
/* The same for the dims before `ndim`, the others at index 0. */
tg_status tg_vm_compile_leading(const tg_program *program, int ndim, tg_vm **out) TG_MUST_CHECK;
void tg_vm_free(tg_vm *vm); /* NULL-safe */

/* Of a program that displaces the positions of `view`: the number of dims before a row, the inner dims along which the
 * program's value is the same and the positions are consecutive. All dims if such rows are too short to matter. */
int tg_vm_row_dims(const tg_program *program, const tg_view *view);

/* Bytes of register memory a worker needs, aligned to TG_ALIGN by the caller (tg_block_alloc),
 * and its one-time preparation (constants are written once). */
size_t tg_vm_scratch_size(const tg_vm *vm);
void tg_vm_prepare(const tg_vm *vm, void *scratch);

/* How many points an evaluation may cover: TG_BLOCK, or any number where all it does is point into memory. */
int64_t tg_vm_span(const tg_vm *vm);

/* Evaluates points [start, start + n), n <= tg_vm_span, with the leading dims at fixed[].
 * slots: the kernel's buffers. acc: n elements of the reduce result (epilogues), else NULL.
 * Returns n elements of the last instruction's computed dtype: in `scratch`, in memory, or `acc`.
 * The result may be overwritten by the caller until the next call only if it is not in memory. */
const void *tg_vm_eval(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start,
                       int64_t n, const void *acc);

/* What the locals of a ROWS kernel are to one block of a program. */
typedef struct tg_tile {
  void *const *local; /* their memory */
  int64_t offset;     /* of the block's first point in locals of an element a point */
  int64_t row;        /* points of a row; a block is a part of one, or whole rows */
  bool columns;       /* instead, a block is the same point of each of n rows */
} tg_tile;

/* Runs a program for what it stores, keeps and folds. A FOLD in columns combines with what its local holds; else it
 * writes an element a row, or for a part of a row element offset / TG_BLOCK. tile may be NULL if there is none. Ends
 * early when interrupted. */
void tg_vm_run(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start, int64_t n,
               const tg_tile *tile);

/* Asks for the lines that dense loads of these points, with no dims fixed, will read. */
void tg_vm_prefetch(const tg_vm *vm, void *const *slots, int64_t start, int64_t n);

/* Each task ends with this, after its last run: others may then see what it stored. */
void tg_vm_finish(const tg_vm *vm);

/* As tg_vm_eval, converted to the stored dtype `dtype` and written to `out`. */
void tg_vm_eval_into(const tg_vm *vm, void *scratch, void *const *slots, const int64_t *fixed, int64_t start, int64_t n,
                     const void *acc, tg_dtype dtype, void *out);

/* INDEX if an index was out of range in any evaluation so far, with the index and the size in the message. Ask when all
 * workers are done; results are meaningless then, but nothing was read out of place. */
tg_status tg_vm_status(const tg_vm *vm) TG_MUST_CHECK;

/* Rough cost of one point in simple operations, for splitting work over threads. */
int64_t tg_vm_cost(const tg_vm *vm);

#endif

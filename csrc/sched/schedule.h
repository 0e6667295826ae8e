/* A schedule: the kernels that compute some targets, and the buffers they pass on.
 *
 *   tg_schedule_build    graph -> kernels            graph lock held
 *   tg_execute           kernels -> data             no graph lock: other threads may build graphs (exec/)
 *   tg_schedule_commit   data -> nodes               graph lock held
 *   tg_schedule_free                                 graph lock held
 *
 * The engine's lock is held from build to commit: one schedule at a time. Until commit no node
 * has changed, so a failure or an interrupt leaves every tensor as it was.
 * Owns: the kernels, a reference on the nodes and buffers it touches. */
#ifndef TG_SCHED_SCHEDULE_H
#define TG_SCHED_SCHEDULE_H

#include "graph/node.h"
#include "sched/kernel.h"

/* One buffer. Written by kernel `writer` (-1: an input), last read by kernel `last`. */
typedef struct tg_slot {
  tg_node *node;
  tg_buffer *buffer; /* NULL before it is written and, unless kept, after it was last read */
  size_t bytes;
  int writer, last;
  bool keep;  /* the node outlives the schedule */
  bool local; /* written and read by one chain only, a slice at a time: it has no buffer */
  size_t at;  /* if so, where a slice's part of it is in the slice's memory */
} tg_slot;

/* Consecutive kernels that run slice by slice (chain.h). The rows of each of them (tg_kernel_rows) are cut into `units`
 * equal ranges, and what a kernel reads of the others' results lies in the unit that it computes. A slice is `slice`
 * units: part of one run of `run` units, or several whole runs. */
typedef struct tg_chain {
  int first, count; /* kernels */
  int64_t units, run, slice;
  size_t bytes; /* of a slice's memory */
} tg_chain;

/* A node that the targets need, and the kernel that computes it. */
typedef struct tg_member {
  tg_node *node;
  int64_t src[3]; /* its sources, among the members */
  int slot;       /* of its value, or -1 */
  int kernel;     /* -1: none or, unless it is an input or a constant, each that reads it */
  bool stored;    /* by that kernel */
  bool target;    /* of the schedule */
  bool required;  /* by what can read it from memory only */
} tg_member;

typedef struct tg_schedule {
  tg_kernel *kernels;
  tg_slot *slots;
  tg_chain *chains; /* in the order of their kernels */
  int nkernel, nslot, nchain;
  /* bit casts to be given their source's buffer */
  struct tg_alias {
    tg_node *node;
    int slot;
  } *aliases;
  int nalias;
  tg_member *members; /* sources first; NULL unless asked for */
  int64_t nmember;
} tg_schedule;

/* Does a contraction have the same sums if it is run in parts? What runs it knows. */
typedef bool (*tg_parts_fn)(const tg_kernel *contraction);

/* Not fused, each operation is a kernel that stores its result: the same values but for the rounding of sums. members:
 * whether they are asked for. */
tg_status tg_schedule_build(tg_node *const *targets, int ntarget, bool fused, bool members, tg_parts_fn has_parts,
                            tg_schedule **out) TG_MUST_CHECK;
void tg_schedule_commit(tg_schedule *s);
void tg_schedule_free(tg_schedule *s); /* NULL-safe */

#endif

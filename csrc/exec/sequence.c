/* Running sums and scattered additions on the block machine (see sequence.h).
 *
 * A scan keeps the sum so far of each row. Rows run along the axis, or, where memory lies the other way, many of
 * them side by side (run.c has the same choice for reductions). Rows are split over threads, never cut.
 *
 * A scatter adds in the order of its domain, on one thread: several additions may meet in one element, and
 * their order decides the last bits. float16 and bfloat16 are summed in float32 and rounded once; a scan carries
 * float32 on in float64.
 * Caller: run.c. */
#include "exec/sequence.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "exec/tasks.h"
#include "exec/vm.h"
#include "exec/walk.h"
#include "kernels/kernels.h"

/* Runs `statement` with `type` as the C type of a computed dtype; integers are unsigned and wrap. */
#define FOR_DTYPE(dtype, statement)                                                                                    \
  switch (dtype) {                                                                                                     \
  case TG_I8:                                                                                                          \
  case TG_U8: {                                                                                                        \
    typedef uint8_t type;                                                                                              \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  case TG_I16:                                                                                                         \
  case TG_U16: {                                                                                                       \
    typedef uint16_t type;                                                                                             \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  case TG_I32:                                                                                                         \
  case TG_U32: {                                                                                                       \
    typedef uint32_t type;                                                                                             \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  case TG_I64:                                                                                                         \
  case TG_U64: {                                                                                                       \
    typedef uint64_t type;                                                                                             \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  case TG_F32: {                                                                                                       \
    typedef float type;                                                                                                \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  default: {                                                                                                           \
    typedef double type;                                                                                               \
    statement;                                                                                                         \
    break;                                                                                                             \
  }                                                                                                                    \
  }

/* ---- scan ---- */

typedef struct scan_job {
  const tg_kernel *kernel;
  void *const *slots;
  tg_vm *body;
  tg_walk out;
  int64_t rows, length, per_task; /* rows, points of the axis, rows a task covers */
  size_t vm_bytes;                /* of a worker: | vm | sums | converted | */
  tg_workspace scratch;
} scan_job;

/* Rows are summed four at a time, because an addition waits for the one before it in its row. */
#define ROWS 4

/* A sum of float32 is carried on in float64, and rounded where it is stored. */
static tg_dtype carried(tg_dtype dtype) { return dtype == TG_F32 ? TG_F64 : dtype; }

/* Turns the first n elements of each of `rows` blocks into running sums, which go on from sum[] and end in it. */
static void running_sums(tg_dtype dtype, tg_element *sum, char *blocks, size_t block_bytes, int64_t rows, int64_t n) {
  if (dtype == TG_BOOL) {
    for (int64_t r = 0; r < rows; r++) {
      uint8_t *to = (uint8_t *)blocks + (size_t)r * block_bytes, any = *(uint8_t *)&sum[r];
      for (int64_t i = 0; i < n; i++) to[i] = any |= to[i];
      *(uint8_t *)&sum[r] = any;
    }
    return;
  }
  FOR_DTYPE(dtype, {
    typedef __typeof__(_Generic((type)0, float: 0.0, default: (type)0)) carry; /* as carried() says */
    type *to[ROWS];
    carry total[ROWS];
    for (int64_t r = 0; r < rows; r++) {
      to[r] = (type *)(void *)(blocks + (size_t)r * block_bytes);
      total[r] = *(carry *)(void *)&sum[r];
    }
    if (rows == ROWS) {
      for (int64_t i = 0; i < n; i++)
        for (int r = 0; r < ROWS; r++) to[r][i] = (type)(total[r] = (carry)(total[r] + to[r][i]));
    } else {
      for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) to[r][i] = (type)(total[r] = (carry)(total[r] + to[r][i]));
    }
    for (int64_t r = 0; r < rows; r++) *(carry *)(void *)&sum[r] = total[r];
  })
}

static void store_block(const scan_job *job, const int64_t *fixed, int64_t start, int64_t n, tg_dtype held,
                        const char *sums, char *converted) {
  const tg_kernel *k = job->kernel;
  if (k->out.dtype != held) {
    tgk.cast[held][k->out.dtype](converted, sums, (size_t)n);
    sums = converted;
  }
  tg_walk_write(&job->out, job->slots[k->out.slot], fixed, start, n, sums);
}

static tg_status scan_task(void *context, int64_t task, int worker) {
  const scan_job *job = context;
  const tg_kernel *k = job->kernel;
  char *vm = tg_workspace_of(&job->scratch, worker), *sums = vm + job->vm_bytes;
  char *converted = sums + ROWS * TG_BLOCK * sizeof(double);
  int64_t first = task * job->per_task, stop = tg_min(first + job->per_task, job->rows);
  tg_vm_prepare(job->body, vm);
  if (k->reduced_first) { /* the axis is the only fixed dim, rows lie side by side */
    tg_dtype carry = carried(k->reduced);
    memset(sums, 0, (size_t)(stop - first) * tg_itemsize(carry));
    for (int64_t at = 0; at < job->length && !tg_interrupted(); at++) {
      const void *block = tg_vm_eval(job->body, vm, job->slots, &at, first, stop - first, NULL);
      if (carry != k->reduced) {
        tgk.cast[k->reduced][carry](converted, block, (size_t)(stop - first));
        block = converted;
      }
      tgk.binary[TG_OP_ADD][carry](sums, sums, block, (size_t)(stop - first));
      store_block(job, &at, first, stop - first, carry, sums, converted);
    }
    return TG_OK;
  }
  /* What is stored in 16 bits is rounded once, from what is carried. */
  tg_dtype held = k->out.dtype == k->reduced ? k->reduced : carried(k->reduced);
  size_t block_bytes = TG_BLOCK * tg_itemsize(held);
  for (int64_t row = first, rows; row < stop; row += rows) {
    int64_t idx[ROWS][TG_MAX_DIMS];
    tg_element sum[ROWS] = {{0}};
    rows = tg_min(ROWS, stop - row);
    for (int64_t r = 0; r < rows; r++) tg_unflatten(row + r, k->shape, k->nout, idx[r]);
    for (int64_t at = 0; at < job->length && !tg_interrupted(); at += TG_BLOCK) {
      int64_t n = tg_min(TG_BLOCK, job->length - at);
      for (int64_t r = 0; r < rows; r++)
        tgk.cast[k->reduced][held](sums + (size_t)r * block_bytes,
                                   tg_vm_eval(job->body, vm, job->slots, idx[r], at, n, NULL), (size_t)n);
      running_sums(held, sum, sums, block_bytes, rows, n);
      for (int64_t r = 0; r < rows; r++)
        store_block(job, idx[r], at, n, held, sums + (size_t)r * block_bytes, converted);
    }
  }
  return TG_OK;
}

tg_status tg_scan_run(const tg_kernel *k, void *const *slots) {
  scan_job job = {.kernel = k, .slots = slots, .rows = tg_product(k->shape, k->nout), .length = k->shape[k->nout]};
  int nfixed = k->reduced_first ? 1 : k->nout;
  if (!job.rows || !job.length) return TG_OK;
  tg_status status = tg_vm_compile(&k->body, nfixed, &job.body);
  if (!status) status = tg_walk_init(&job.out, k->out.view, nfixed, k->out.dtype);
  if (status) goto done;
  job.per_task = k->reduced_first ? TG_BLOCK : tg_round_up(1 + TG_BLOCK * 16 / job.length, ROWS);
  job.vm_bytes = tg_aligned(tg_vm_scratch_size(job.body));
  status = tg_workspace_init(&job.scratch, tg_pool_size(), job.vm_bytes + (ROWS + 1) * TG_BLOCK * sizeof(double));
  if (!status) status = tg_pool_run(scan_task, &job, tg_ceil_div(job.rows, job.per_task));
  if (!status) status = tg_vm_status(job.body);
done:
  tg_workspace_free(&job.scratch);
  tg_walk_clear(&job.out);
  tg_vm_free(job.body);
  return status;
}

/* ---- scatter ---- */

#define PART ((size_t)1 << 20) /* of what is cleared and converted between two looks for an interrupt */

static void add_at(tg_dtype dtype, void *to, const int64_t *position, const void *from, int64_t n) {
  if (dtype == TG_BOOL) {
    for (int64_t i = 0; i < n; i++) ((uint8_t *)to)[position[i]] |= ((const uint8_t *)from)[i];
    return;
  }
  FOR_DTYPE(dtype, {
    for (int64_t i = 0; i < n; i++) {
      type *element = (type *)to + position[i];
      *element = (type)(*element + ((const type *)from)[i]);
    }
  })
}

/* Adds the points [at, at + n) of the domain in rows of `row` points, with one target each. */
static void add_rows(const tg_kernel *k, char *sums, const int64_t *position, const char *from, int64_t at, int64_t n,
                     int64_t row) {
  size_t itemsize = tg_itemsize(k->reduced);
  for (int64_t skip = at % row, length; n > 0; n -= length, skip = 0, position++, from += (size_t)length * itemsize) {
    char *to = sums + (size_t)(*position + skip) * itemsize;
    length = tg_min(row - skip, n);
    tgk.binary[TG_OP_ADD][k->reduced](to, to, from, (size_t)length);
  }
}

/* ndim: the number of dims before the rows that are added as such, or all. */
static tg_status scatter_blocks(const tg_kernel *k, void *const *slots, const tg_vm *body, const tg_vm *target,
                                const tg_walk *base, int ndim, void *sums) {
  size_t body_bytes = tg_aligned(tg_vm_scratch_size(body)), bytes = body_bytes + tg_vm_scratch_size(target);
  char *scratch = tg_block_alloc(bytes);
  if (!scratch) return tg_fail_memory(bytes);
  int64_t none = 0, points = tg_product(k->shape, k->nout), row = tg_product(k->shape + ndim, k->nout - ndim);
  int64_t position[TG_BLOCK];
  tg_vm_prepare(body, scratch);
  tg_vm_prepare(target, scratch + body_bytes);
  for (int64_t at = 0; at < points && !tg_interrupted(); at += TG_BLOCK) {
    int64_t n = tg_min(TG_BLOCK, points - at);
    int64_t first = at / row, rows = tg_ceil_div(at + n, row) - first;
    const int64_t *displaced = tg_vm_eval(target, scratch + body_bytes, slots, &none, first, rows, NULL);
    tg_walk_positions(base, NULL, first, rows, TG_I64, position);
    for (int64_t i = 0; i < rows; i++) position[i] += displaced[i];
    const void *from = tg_vm_eval(body, scratch, slots, &none, at, n, NULL);
    if (row == 1) add_at(k->reduced, sums, position, from, n);
    else add_rows(k, sums, position, from, at, n, row);
  }
  tg_block_free(scratch, bytes);
  tg_status status = tg_vm_status(target);
  return status ? status : tg_vm_status(body);
}

tg_status tg_scatter_run(const tg_kernel *k, void *const *slots) {
  tg_vm *body = NULL, *target = NULL;
  tg_walk base = {0};
  int ndim = tg_vm_row_dims(&k->target, k->out.view);
  char *out = slots[k->out.slot], *sums = out;
  bool narrow = k->out.dtype != k->reduced;
  size_t count = (size_t)k->scattered, bytes = count * tg_itemsize(k->reduced);
  if (narrow && !(sums = tg_block_alloc(bytes))) return tg_fail_memory(bytes);
  for (size_t at = 0; at < bytes && !tg_interrupted(); at += PART)
    memset(sums + at, 0, bytes - at < PART ? bytes - at : PART);
  tg_status status = tg_vm_compile(&k->body, 0, &body);
  if (!status) status = tg_vm_compile_leading(&k->target, ndim, &target);
  if (!status) status = tg_walk_init_leading(&base, k->out.view, 0, ndim, k->out.dtype);
  if (!status) status = scatter_blocks(k, slots, body, target, &base, ndim, sums);
  for (size_t at = 0; at < count && narrow && !status && !tg_interrupted(); at += PART)
    tgk.cast[k->reduced][k->out.dtype](out + at * tg_itemsize(k->out.dtype), sums + at * tg_itemsize(k->reduced),
                                       count - at < PART ? count - at : PART);
  if (narrow) tg_block_free(sums, bytes);
  tg_walk_clear(&base);
  tg_vm_free(target);
  tg_vm_free(body);
  return status;
}

/* The order of rows: the indices of their elements, sorted by value (see sort.h).
 *
 * A value becomes a key, an unsigned number of the same order: the sign bit of integers is inverted, floats are brought
 * into the order of their bits (-0 as 0, every NaN as the largest), and all bits are inverted for a descending order.
 * Keys of up to 32 bits stand above their index in one number, so that equal values keep their order by themselves;
 * wider keys stand beside it. Short rows are sorted by merging, long ones digit by digit from the lowest (a digit that
 * all share is left out), both of which keep the order of equal keys. Where only the first elements are asked for, the
 * digits from the highest on tell first which can be among them.
 *
 * Rows are split over threads, never cut; a long one looks for an interrupt between its passes and parts of them.
 * Owns: a worker's memory for two copies of a row. Caller: run.c. */
#include "exec/sort.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "exec/tasks.h"
#include "exec/vm.h"
#include "exec/walk.h"

#define DIGIT 8
#define BUCKETS (1 << DIGIT)
#define DIGIT_OF(key, d) ((key) >> (DIGIT * (d)) & (BUCKETS - 1))
#define SHORT_ROW 256  /* elements that merging sorts sooner */
#define RUN 16         /* of them that are put in order one by one */
#define PART (1 << 16) /* elements between two looks for an interrupt */
#define COST 64        /* of an element, about, in simple operations */

typedef struct wide {
  uint64_t key, index;
} wide;

typedef uint64_t narrow; /* key << 32 | index */

typedef struct sort_job {
  const tg_kernel *kernel;
  void *const *slots;
  tg_vm *body;
  tg_walk out;
  int64_t rows, length, kept, per_task;
  bool wide;
  size_t vm_bytes, item_bytes; /* of a worker: | vm | items | items | indices | */
  tg_workspace scratch;
} sort_job;

/* ---- keys ---- */

static uint32_t f32_key(float x) {
  uint32_t bits;
  if (x != x) return UINT32_MAX;
  x += 0.0f; /* -0 */
  memcpy(&bits, &x, sizeof bits);
  return bits ^ (bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31);
}

static uint64_t f64_key(double x) {
  uint64_t bits;
  if (x != x) return UINT64_MAX;
  x += 0.0;
  memcpy(&bits, &x, sizeof bits);
  return bits ^ (bits >> 63 ? UINT64_MAX : UINT64_C(1) << 63);
}

/* The keys of n elements of a computed dtype. */
static void make_keys(tg_dtype dtype, const void *from, int64_t n, uint64_t *key) {
#define KEYS(enumerator, type, value)                                                                                  \
  case enumerator:                                                                                                     \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
      type x = ((const type *)from)[i];                                                                                \
      key[i] = value;                                                                                                  \
    }                                                                                                                  \
    break;
  switch (dtype) {
    KEYS(TG_BOOL, uint8_t, x)
    KEYS(TG_U8, uint8_t, x)
    KEYS(TG_U16, uint16_t, x)
    KEYS(TG_U32, uint32_t, x)
    KEYS(TG_U64, uint64_t, x)
    KEYS(TG_I8, int8_t, (uint32_t)x ^ UINT32_C(1) << 31)
    KEYS(TG_I16, int16_t, (uint32_t)x ^ UINT32_C(1) << 31)
    KEYS(TG_I32, int32_t, (uint32_t)x ^ UINT32_C(1) << 31)
    KEYS(TG_I64, int64_t, (uint64_t)x ^ UINT64_C(1) << 63)
    KEYS(TG_F32, float, f32_key(x))
    KEYS(TG_F64, double, f64_key(x))
  default: break; /* is computed in float32 */
  }
#undef KEYS
}

/* ---- sorting ---- */

#define KEY_NARROW(item) ((item) >> 32)
#define KEY_WIDE(item) ((item).key)
#define INDEX_NARROW(item) ((item) & UINT32_MAX)
#define INDEX_WIDE(item) ((item).index)
#define LESS_NARROW(a, b) ((a) < (b))
#define LESS_WIDE(a, b) ((a).key < (b).key)

#define EXCHANGE(type, a, b)                                                                                           \
  do {                                                                                                                 \
    type *swap = a;                                                                                                    \
    a = b;                                                                                                             \
    b = swap;                                                                                                          \
  } while (0)

/* A loop that ends early if the computation is to stop: what comes after it must bear that. */
#define IN_PARTS(i, n)                                                                                                 \
  for (int64_t part = 0; part < (n) && !tg_interrupted(); part += PART)                                                \
    for (int64_t i = part, stop = tg_min(part + PART, n); i < stop; i++)

/* For items of one type:
 *   insert_    puts a few in order
 *   merge_     sorts n of them, with `other` for a second place; returns in which of the two they end, as radix_ does
 *   radix_     the same by digits
 *   select_    drops items that are not among the first `kept`, keeping their order; returns how many are left */
#define SORTING(type, KEY, LESS, DIGITS)                                                                               \
  static void insert_##type(type *items, int64_t n) {                                                                  \
    for (int64_t i = 1; i < n; i++) {                                                                                  \
      type item = items[i];                                                                                            \
      int64_t at = i;                                                                                                  \
      for (; at > 0 && LESS(item, items[at - 1]); at--) items[at] = items[at - 1];                                     \
      items[at] = item;                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  static type *merge_##type(type *items, type *other, int64_t n) {                                                     \
    for (int64_t i = 0; i < n; i += RUN) insert_##type(items + i, tg_min(RUN, n - i));                                 \
    for (int64_t run = RUN; run < n; run *= 2) {                                                                       \
      for (int64_t i = 0; i < n; i += 2 * run) {                                                                       \
        const type *a = items + i, *b = items + tg_min(i + run, n), *a_end = b,                                        \
                   *b_end = items + tg_min(i + 2 * run, n);                                                            \
        type *to = other + i;                                                                                          \
        while (a < a_end && b < b_end) {                                                                               \
          bool right = LESS(*b, *a);                                                                                   \
          *to++ = right ? *b : *a;                                                                                     \
          b += right;                                                                                                  \
          a += !right;                                                                                                 \
        }                                                                                                              \
        memcpy(to, a, (size_t)(a_end - a) * sizeof *to);                                                               \
        memcpy(to + (a_end - a), b, (size_t)(b_end - b) * sizeof *to);                                                 \
      }                                                                                                                \
      EXCHANGE(type, items, other);                                                                                    \
    }                                                                                                                  \
    return items;                                                                                                      \
  }                                                                                                                    \
  static type *radix_##type(type *items, type *other, int64_t n) {                                                     \
    int64_t count[DIGITS][BUCKETS] = {{0}};                                                                            \
    IN_PARTS(i, n) {                                                                                                   \
      for (int d = 0; d < DIGITS; d++) count[d][DIGIT_OF(KEY(items[i]), d)]++;                                         \
    }                                                                                                                  \
    for (int d = 0; d < DIGITS && !tg_interrupted(); d++) {                                                            \
      int64_t *at = count[d], sum = 0;                                                                                 \
      if (at[DIGIT_OF(KEY(items[0]), d)] == n) continue;                                                               \
      for (int i = 0; i < BUCKETS; i++) {                                                                              \
        int64_t here = at[i];                                                                                          \
        at[i] = sum;                                                                                                   \
        sum += here;                                                                                                   \
      }                                                                                                                \
      IN_PARTS(i, n) other[at[DIGIT_OF(KEY(items[i]), d)]++] = items[i];                                               \
      EXCHANGE(type, items, other);                                                                                    \
    }                                                                                                                  \
    return items;                                                                                                      \
  }                                                                                                                    \
  static int64_t select_##type(type *items, int64_t n, int64_t kept) {                                                 \
    uint64_t prefix = 0; /* of the last key that is kept, down to digit d */                                           \
    for (int d = DIGITS - 1; d >= 0 && n > kept + kept / 2 + RUN && !tg_interrupted(); d--) {                          \
      int64_t count[BUCKETS] = {0}, below = 0, left = 0;                                                               \
      unsigned digit = 0;                                                                                              \
      IN_PARTS(i, n) {                                                                                                 \
        uint64_t high = KEY(items[i]) >> (DIGIT * d);                                                                  \
        count[high & (BUCKETS - 1)] += high >> DIGIT == prefix;                                                        \
        below += high >> DIGIT < prefix;                                                                               \
      }                                                                                                                \
      while (below + count[digit] < kept && digit < BUCKETS - 1) below += count[digit++];                              \
      prefix = prefix << DIGIT | digit;                                                                                \
      IN_PARTS(i, n) {                                                                                                 \
        items[left] = items[i];                                                                                        \
        left += KEY(items[i]) >> (DIGIT * d) <= prefix;                                                                \
      }                                                                                                                \
      n = left;                                                                                                        \
    }                                                                                                                  \
    return n;                                                                                                          \
  }
SORTING(narrow, KEY_NARROW, LESS_NARROW, 4)
SORTING(wide, KEY_WIDE, LESS_WIDE, 8)

/* Writes the indices of a row's first elements. */
#define SORT_ROW(type, INDEX)                                                                                          \
  do {                                                                                                                 \
    int64_t n = job->kept < job->length ? select_##type((type *)items, job->length, job->kept) : job->length;          \
    const type *sorted = (n < SHORT_ROW ? merge_##type : radix_##type)((type *)items, (type *)other, n);               \
    for (int64_t at = 0; at < job->kept && !tg_interrupted(); at += TG_BLOCK) {                                        \
      int64_t count = tg_min(TG_BLOCK, job->kept - at);                                                                \
      for (int64_t i = 0; i < count; i++) index[i] = (int64_t)INDEX(sorted[at + i]);                                   \
      tg_walk_write(&job->out, job->slots[k->out.slot], idx, at, count, index);                                        \
    }                                                                                                                  \
  } while (0)

static tg_status sort_task(void *context, int64_t task, int worker) {
  const sort_job *job = context;
  const tg_kernel *k = job->kernel;
  char *vm = tg_workspace_of(&job->scratch, worker);
  void *items = vm + job->vm_bytes, *other = vm + job->vm_bytes + job->item_bytes;
  int64_t *index = (int64_t *)(void *)(vm + job->vm_bytes + 2 * job->item_bytes);
  uint64_t *key = (uint64_t *)index, flip = !k->descending ? 0 : job->wide ? UINT64_MAX : UINT32_MAX;
  tg_vm_prepare(job->body, vm);
  for (int64_t row = task * job->per_task; row < tg_min((task + 1) * job->per_task, job->rows); row++) {
    int64_t idx[TG_MAX_DIMS];
    tg_unflatten(row, k->shape, k->nout, idx);
    for (int64_t at = 0; at < job->length && !tg_interrupted(); at += TG_BLOCK) {
      int64_t n = tg_min(TG_BLOCK, job->length - at);
      make_keys(k->reduced, tg_vm_eval(job->body, vm, job->slots, idx, at, n, NULL), n, key);
      if (job->wide)
        for (int64_t i = 0; i < n; i++) ((wide *)items)[at + i] = (wide){key[i] ^ flip, (uint64_t)(at + i)};
      else
        for (int64_t i = 0; i < n; i++) ((narrow *)items)[at + i] = (key[i] ^ flip) << 32 | (uint64_t)(at + i);
    }
    if (tg_interrupted()) break;
    if (job->wide) SORT_ROW(wide, INDEX_WIDE);
    else SORT_ROW(narrow, INDEX_NARROW);
  }
  return TG_OK;
}

tg_status tg_sort_run(const tg_kernel *k, void *const *slots) {
  sort_job job = {.kernel = k, .slots = slots, .rows = tg_product(k->shape, k->nout), .length = k->shape[k->nout]};
  size_t items;
  job.kept = k->out.view->shape[k->nout];
  job.wide = tg_itemsize(k->reduced) > 4 || job.length > UINT32_MAX;
  if (!job.rows || !job.kept) return TG_OK;
  if (__builtin_mul_overflow((size_t)job.length, 4 * (job.wide ? sizeof(wide) : sizeof(narrow)), &items))
    return tg_fail_memory(SIZE_MAX);
  tg_status status = tg_vm_compile(&k->body, k->nout, &job.body);
  if (!status) status = tg_walk_init(&job.out, k->out.view, k->nout, k->out.dtype);
  if (status) goto done;
  job.per_task = tg_task_points(job.rows, 1, COST * tg_min(job.length, INT32_MAX));
  int64_t tasks = tg_ceil_div(job.rows, job.per_task);
  job.vm_bytes = tg_aligned(tg_vm_scratch_size(job.body));
  job.item_bytes = tg_aligned(items / 4);
  status = tg_workspace_init(&job.scratch, tasks == 1 ? 1 : tg_pool_size(),
                             job.vm_bytes + 2 * job.item_bytes + TG_BLOCK * sizeof(int64_t));
  if (!status) status = tg_pool_run(sort_task, &job, tasks);
  if (!status) status = tg_vm_status(job.body);
done:
  tg_vm_free(job.body);
  tg_walk_clear(&job.out);
  tg_workspace_free(&job.scratch);
  return status;
}

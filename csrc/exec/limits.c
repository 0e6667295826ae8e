/* The probe of memory bandwidth and arithmetic (see limits.h). Both run the loops that kernels are made of, on all
 * threads, and take the best round. The arithmetic is the tile of the matrix product with its panels in L1: it does
 * little but multiply-adds, enough of them at a time to hide their latency. Callers: py/. */
#include "exec/limits.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/integers.h"
#include "base/pool.h"
#include "kernels/kernels.h"

#define STREAM_BYTES ((int64_t)96 << 20) /* several times a last-level cache, and not kept by the allocator */
#define STREAM_TASK ((int64_t)1 << 20)
#define ROUNDS 5 /* at least, and as many as fit PROBE_SECONDS: other programs may have taken a CPU */
#define PROBE_SECONDS 0.03
#define GEMM_K 128     /* panels of a and b fit L1 together */
#define GEMM_TILES 150 /* a task: about 0.1 ms, 100 times a hand-over */
#define TASKS_A_WORKER 4

typedef struct probe {
  char *memory;
  tg_dtype dtype;
  size_t each; /* bytes of a worker */
} probe;

static tg_status touch_task(void *context, int64_t task, int worker) {
  const probe *p = context;
  (void)worker;
  memset(p->memory + task * STREAM_TASK, 0, (size_t)STREAM_TASK);
  return TG_OK;
}

static tg_status read_task(void *context, int64_t task, int worker) {
  const probe *p = context;
  const int64_t at = task * STREAM_TASK / (int64_t)sizeof(float);
  float sum = 0;
  (void)worker;
  tgk.sum[TG_F32].rows(&sum, p->memory, &at, 1, (size_t)STREAM_TASK / sizeof sum);
  return TG_OK;
}

/* From the first half to the second. */
static tg_status copy_task(void *context, int64_t task, int worker) {
  const probe *p = context;
  char *from = p->memory + task * STREAM_TASK;
  (void)worker;
  tgk.cast[TG_F32][TG_F32](from + STREAM_BYTES / 2, from, (size_t)STREAM_TASK / sizeof(float));
  return TG_OK;
}

static int64_t columns(const tgk_gemm *g) { return (int64_t)TGK_GEMM_VECTORS * g->lanes; }

static tg_status gemm_task(void *context, int64_t task, int worker) {
  const probe *p = context;
  const tgk_gemm *g = &tgk.gemm[p->dtype];
  size_t item = tg_itemsize(p->dtype);
  char *a = p->memory + (size_t)worker * p->each, *b = a + (size_t)g->mr * GEMM_K * item;
  char *c = b + (size_t)columns(g) * GEMM_K * item;
  int64_t at[GEMM_K];
  (void)task;
  for (int k = 0; k < GEMM_K; k++) at[k] = k * columns(g);
  for (int i = 0; i < GEMM_TILES; i++) g->run[TGK_GEMM_VECTORS - 1](GEMM_K, a, b, at, c, columns(g), 0);
  return TG_OK;
}

/* The seconds of the fastest round; 0 if it failed, which is left in *status. */
static double fastest(tg_task_fn fn, probe *p, int64_t ntask, tg_status *status) {
  double best = 0, begin = tg_clock();
  for (int round = 0; (round < ROUNDS || tg_clock() - begin < PROBE_SECONDS) && !*status; round++) {
    double start = tg_clock();
    *status = tg_pool_run(fn, p, ntask);
    double seconds = tg_clock() - start;
    if (!round || seconds < best) best = seconds;
  }
  return *status ? 0 : best;
}

/* 0 for a clock that did not move. */
static double rate(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

static tg_status measure_bytes(double *bytes) {
  probe p = {.memory = tg_block_alloc(STREAM_BYTES)};
  if (!p.memory) return tg_fail_memory(STREAM_BYTES);
  int64_t ntask = STREAM_BYTES / STREAM_TASK;
  tg_status status = tg_pool_run(touch_task, &p, ntask);
  double read = rate(STREAM_BYTES, fastest(read_task, &p, ntask, &status));
  double copied = rate(STREAM_BYTES, fastest(copy_task, &p, ntask / 2, &status));
  *bytes = read > copied ? read : copied;
  tg_block_free(p.memory, STREAM_BYTES);
  return status;
}

static tg_status measure_flops(tg_dtype dtype, double *flops) {
  const tgk_gemm *g = &tgk.gemm[dtype];
  double tile = 2.0 * g->mr * (double)columns(g) * GEMM_K;
  size_t elements = (size_t)(g->mr + columns(g)) * GEMM_K + (size_t)(g->mr * columns(g));
  probe p = {.dtype = dtype, .each = (size_t)tg_round_up((int64_t)(elements * tg_itemsize(dtype)), TG_ALIGN)};
  size_t total = p.each * (size_t)tg_pool_size();
  int64_t ntask = (int64_t)tg_pool_size() * TASKS_A_WORKER;
  tg_status status = TG_OK;
  if (!(p.memory = tg_block_alloc(total))) return tg_fail_memory(total);
  memset(p.memory, 0, total);
  *flops = rate(tile * GEMM_TILES * (double)ntask, fastest(gemm_task, &p, ntask, &status));
  tg_block_free(p.memory, total);
  return status;
}

tg_status tg_limits_get(tg_limits *out) {
  static tg_limits known;
  static tg_isa isa;
  static int threads; /* 0: nothing known */
  tg_limits found;
  if (threads != tg_pool_size() || isa != tgk_isa()) {
    tg_status status = measure_bytes(&found.bytes);
    if (!status) status = measure_flops(TG_F32, &found.flops_f32);
    if (!status) status = measure_flops(TG_F64, &found.flops_f64);
    if (status) return status;
    known = found;
    isa = tgk_isa();
    threads = tg_pool_size();
  }
  *out = known;
  return TG_OK;
}

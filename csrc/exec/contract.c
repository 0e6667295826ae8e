/* The contraction (see contract.h): a blocked, packed matrix product over strided, masked views.
 *
 *   out[batch, m, n] = epilogue(sum over k of a[batch, m, k] * b[batch, n, k])
 *
 * An item is one block of mc x nc outputs. Its sums run over blocks of kc: panels of a and b are
 * packed, register tiles multiply them into the worker's copy of the block, and after the last one
 * the block goes through the epilogue while it is hot:
 *
 *      panels of a          panels of b              block of c
 *      [mc/mr][kc][mr]      [nc/nr][kc][nr]          [mc][nc], later the rows of out
 *
 * Rows and columns past the edge are zeros in the panels, so every tile is a full one; the last
 * panel of b is only as many vectors wide as it must be. `m` and `n` are called lanes below: a panel
 * interleaves the lanes of an operand. An operand is read in rows, either along its lanes (one row
 * a k) or along k (one row a lane), whichever its view makes cheaper.
 *
 * Few outputs of a long sum are cut along k into chunks: each item is computed once per chunk,
 * and a second pass adds the chunks. kc, chunks and the order of every sum depend on the shape alone;
 * only mc and nc, which no sum sees, also depend on the number of threads.
 *
 * Owns: scratch memory of the workers and the partial sums while a kernel runs. Caller: run.c.
 * Runs without the graph lock, so it makes no views with tg_view_*: it lays out its own. */
#include "exec/contract.h"

#include <string.h>

#include "base/alloc.h"
#include "base/integers.h"
#include "base/pool.h"
#include "exec/vm.h"
#include "exec/walk.h"
#include "kernels/kernels.h"

#define BLOCK_K 256                /* a panel of a stays in L1, one of b in L2 */
#define BLOCK_AB_BYTES (512 << 10) /* a packed block: that of a stays in L2 */
#define BLOCK_C_BYTES (1 << 20)    /* a block of sums */
#define MAX_BLOCK_M 512
#define MAX_BLOCK_N 2048
#define READ_POINTS 2048       /* short rows are read together, about as many elements at once */
#define READ_ROWS 32           /* and at most so many rows */
#define CHUNK_K 1024           /* shortest chunk of k */
#define MAX_CHUNKS 64          /* of all batches together */
#define MAX_PARTIALS (1 << 19) /* elements: 2 MiB */
#define MIN_TASK_WORK 500e3    /* multiplications: about 10 us */

/* Dims [first, first + count) of the kernel's domain, `size` points. */
typedef struct dims {
  int first, count;
  int64_t size;
} dims;

/* One factor. Its walk is a sequence of rows: along_k one a lane, of k elements, else one a k, of all
 * lanes; with several batches, one batch after the other. */
typedef struct operand {
  const void *memory;
  tg_view *view; /* dims (batch, k, lanes) or, if along_k, (batch, lanes, k) */
  tg_walk walk;
  tgk_unary_fn cast; /* from the stored dtype, or NULL */
  size_t stored;     /* its itemsize */
  bool along_k;
  int64_t lanes, k;    /* sizes */
  int64_t width, unit; /* lanes of a panel; what the last one's are a multiple of */
} operand;

/* Lanes [lane, lane + lanes) by k [k0, k0 + k) of a batch: what is packed as one block. */
typedef struct piece {
  int64_t batch, lane, lanes, k0, k;
} piece;

/* A worker's memory, one part after the other. */
enum {
  PART_A, /* packed blocks */
  PART_B,
  PART_C,   /* the block of sums, unless they are partial */
  PART_RAW, /* rows as they are read, and converted */
  PART_ROWS,
  PART_ZEROS, /* kc of them: the row of a lane past the edge */
  PART_LINE,  /* a result of the epilogue, and its registers */
  PART_REGISTERS,
  PARTS
};

typedef struct worker {
  char *memory;         /* made by the first task */
  int64_t has_a, has_b; /* what the packed blocks hold, see pack */
} worker;

typedef struct job {
  const tg_kernel *kernel;
  void *const *slots;
  const tgk_gemm *gemm;
  size_t itemsize;        /* of the sums */
  int64_t batch, m, n, k; /* sizes */
  int64_t mc, nc, kc;     /* of a block, in whole tiles */
  int64_t mblocks, nblocks, items;
  int64_t chunk, nchunk; /* k of a chunk, a multiple of kc */
  operand a, b;
  tg_walk out;
  tg_vm *epilogue;         /* NULL: the sums are the result */
  char *partial;           /* [nchunk][items][mc][nc] if nchunk > 1 */
  int64_t per_task, bands; /* items a task covers; tasks an item has in the second pass */
  size_t at[PARTS + 1];
  worker workers[TG_MAX_THREADS];
} job;

/* Where an item lies. */
typedef struct item {
  int64_t batch, m0, m, n0, n;
} item;

static char *part(const job *j, const worker *w, int which) { return w->memory + j->at[which]; }

/* ---- operands ---- */

/* A view of the listed groups of v's dims alone, in that order, in one allocation (tg_free); NULL
 * without memory. It borrows what is beneath v. Dims left out must not matter to v. */
static tg_view *view_of_groups(const tg_view *v, const dims *group, int ngroup) {
  int ndim = 0, source[TG_MAX_DIMS];
  for (int g = 0; g < ngroup; g++)
    for (int i = 0; i < group[g].count; i++) source[ndim++] = group[g].first + i;
  size_t nbound = (size_t)v->nbound, row = (size_t)ndim * sizeof(int64_t);
  tg_view *made = tg_malloc(sizeof *made + nbound * sizeof(tg_bound) + (2 + nbound) * row);
  if (!made) return NULL;
  tg_bound *bound = (tg_bound *)(made + 1);
  int64_t *shape = (int64_t *)(bound + nbound), *stride = shape + ndim, *coef = stride + ndim;
  *made = (tg_view){.refs = 1, .ndim = ndim, .nbound = v->nbound, .size = 1, .below = v->below, .offset = v->offset};
  made->shape = shape;
  made->stride = stride;
  made->bound = bound;
  for (int i = 0; i < ndim; i++) {
    shape[i] = v->shape[source[i]];
    stride[i] = v->stride[source[i]];
    made->size *= shape[i];
  }
  for (size_t k = 0; k < nbound; k++, coef += ndim) {
    bound[k] = (tg_bound){v->bound[k].offset, v->bound[k].size, coef};
    for (int i = 0; i < ndim; i++) coef[i] = v->bound[k].coef[source[i]];
  }
  return made;
}

/* Rough nanoseconds an element takes to be read in rows of `length` and packed. */
static double read_cost(const tg_walk *w, int64_t length, bool along_k) {
  double cost = 30.0 / (double)length + (along_k ? 0.3 : 0.1);
  if (w->kind == TG_WALK_RUNS) {
    int64_t step = w->stride[w->nswept - 1], run = tg_min(w->shape[w->nswept - 1], length);
    cost += 10.0 / (double)run + (step >= -1 && step <= 1 ? 0.1 : 0.8);
  }
  return cost;
}

/* Chooses how to read the operand, which must not be empty, and prepares that. */
static tg_status operand_init(operand *o, const tg_access *access, void *const *slots, dims batch, dims lanes, dims k,
                              tg_dtype summed) {
  o->memory = slots[access->slot];
  o->stored = tg_itemsize(access->dtype);
  if (access->dtype != summed) o->cast = tgk.cast[access->dtype][summed];
  tg_view *view[2] = {NULL, NULL};
  tg_walk walk[2] = {{0}, {0}};
  double cost[2];
  tg_status status = TG_OK;
  for (int along_k = 0; along_k < 2 && !status; along_k++) {
    dims order[3] = {batch, along_k ? lanes : k, along_k ? k : lanes};
    int64_t length = tg_min(order[2].size, along_k ? BLOCK_K : MAX_BLOCK_N);
    if (length == order[2].size) length = tg_max(length, tg_min(length * order[1].size, READ_POINTS));
    view[along_k] = view_of_groups(access->view, order, 3);
    if (!view[along_k]) status = tg_fail_memory(sizeof(tg_view));
    else status = tg_walk_init(&walk[along_k], view[along_k], 0, access->dtype);
    if (!status) cost[along_k] = read_cost(&walk[along_k], length, along_k);
  }
  int chosen = !status && cost[1] < cost[0];
  if (!status) {
    o->along_k = chosen;
    o->view = view[chosen];
    o->walk = walk[chosen];
  }
  for (int i = 0; i < 2; i++) {
    if (!status && i == chosen) continue;
    tg_walk_clear(&walk[i]);
    tg_free(view[i]);
  }
  return status;
}

static void operand_clear(operand *o) {
  tg_walk_clear(&o->walk);
  tg_free(o->view);
}

/* ---- packing ---- */

/* Elements [start, start + n) of `count` rows from row `first` on into rows[]: where they lie in
 * memory if they can be used there, else read, and converted, into the worker's memory. */
static void read_rows(const job *j, const worker *w, const operand *o, int64_t first, int64_t count, int64_t start,
                      int64_t n, const void **rows) {
  int64_t length = o->along_k ? o->k : o->lanes;
  int64_t together = n == length ? count : 1; /* whole rows are one run of the walk */
  for (int64_t i = 0; i < count; i += together) {
    const char *row = tg_walk_read(&o->walk, o->memory, NULL, (first + i) * length + start, together * n,
                                   part(j, w, PART_RAW) + (size_t)(i * n) * o->stored);
    if (o->cast) {
      char *converted = part(j, w, PART_ROWS) + (size_t)(i * n) * j->itemsize;
      o->cast(converted, row, (size_t)(together * n));
      row = converted;
    }
    for (int64_t r = 0; r < together; r++) rows[i + r] = row + (size_t)(r * n) * j->itemsize;
  }
}

/* How many rows of n elements, of a whole length `length`, to read at once: a multiple of 4. */
static int64_t rows_at_once(int64_t n, int64_t length) {
  return n == length ? tg_min(tg_max(READ_POINTS / n / 4, 1) * 4, READ_ROWS) : 4;
}

static void pack_along_k(const job *j, const worker *w, const operand *o, const piece *p, char *to) {
  const void *rows[READ_ROWS];
  int64_t padded = tg_round_up(p->lanes, o->unit), most = rows_at_once(p->k, o->k), group = tg_min(4, o->unit);
  for (int64_t lane = 0; lane < padded; lane += most) {
    int64_t count = tg_min(most, padded - lane), real = tg_max(0, tg_min(count, p->lanes - lane));
    if (real) read_rows(j, w, o, p->batch * o->lanes + p->lane + lane, real, p->k0, p->k, rows);
    for (int64_t i = real; i < count; i++) rows[i] = part(j, w, PART_ZEROS);
    for (int64_t i = 0; i < count; i += group) {
      int64_t panel = (lane + i) / o->width * o->width, width = tg_min(o->width, padded - panel);
      char *at = to + (size_t)(panel * p->k + lane + i - panel) * j->itemsize;
      j->gemm->interleave(at, width, rows + i, (int)group, p->k);
    }
  }
}

static void pack_along_lanes(const job *j, const worker *w, const operand *o, const piece *p, char *to) {
  const void *rows[READ_ROWS];
  size_t size = j->itemsize;
  int64_t padded = tg_round_up(p->lanes, o->unit), most = rows_at_once(p->lanes, o->lanes);
  for (int64_t k = 0; k < p->k; k += most) {
    int64_t count = tg_min(most, p->k - k);
    read_rows(j, w, o, p->batch * o->k + p->k0 + k, count, p->lane, p->lanes, rows);
    for (int64_t panel = 0; panel < padded; panel += o->width) {
      int64_t width = tg_min(o->width, padded - panel), real = tg_min(width, p->lanes - panel);
      char *at = to + (size_t)(panel * p->k + k * width) * size;
      for (int64_t i = 0; i < count; i++, at += (size_t)width * size) {
        memcpy(at, (const char *)rows[i] + (size_t)panel * size, (size_t)real * size);
        if (real < width) memset(at + (size_t)real * size, 0, (size_t)(width - real) * size);
      }
    }
  }
}

/* Packs the piece into `to` unless it is what *has says is there. */
static void pack(const job *j, const worker *w, const operand *o, const piece *p, int64_t *has, char *to) {
  int64_t key = (p->batch * o->lanes + p->lane) * o->k + p->k0;
  if (*has == key) return;
  *has = key;
  if (o->along_k) pack_along_k(j, w, o, p, to);
  else pack_along_lanes(j, w, o, p, to);
}

/* ---- items ---- */

static item item_at(const job *j, int64_t index) {
  int64_t m0 = index % j->mblocks * j->mc, n0 = index / j->mblocks % j->nblocks * j->nc;
  return (item){index / (j->mblocks * j->nblocks), m0, tg_min(j->mc, j->m - m0), n0, tg_min(j->nc, j->n - n0)};
}

/* Bytes of a block of sums. */
static size_t block_bytes(const job *j) { return (size_t)(j->mc * j->nc) * j->itemsize; }

/* Packed blocks times each other, into or onto c. */
static void multiply(const job *j, const item *it, int64_t nk, const char *a, const char *b, char *c, bool accumulate) {
  const tgk_gemm *g = j->gemm;
  int64_t width = j->b.width, padded = tg_round_up(it->n, g->lanes);
  for (int64_t n = 0; n < padded; n += width) {
    tgk_gemm_fn tile = g->run[tg_min(width, padded - n) / g->lanes - 1];
    for (int64_t m = 0; m < it->m; m += g->mr)
      tile(nk, a + (size_t)(m * nk) * j->itemsize, b + (size_t)(n * nk) * j->itemsize,
           c + (size_t)(m * j->nc + n) * j->itemsize, j->nc, accumulate);
  }
}

/* Rows [m0, m0 + m) of an item's sums, at c, become results. Clobbers c. */
static void finish(const job *j, const worker *w, const item *it, int64_t m0, int64_t m, char *c) {
  const tg_access *out = &j->kernel->out;
  char *memory = j->slots[out->slot];
  size_t row = (size_t)j->nc * j->itemsize, used = (size_t)it->n * j->itemsize;
  int64_t lines = m, length = it->n;
  if (length == j->n) { /* whole rows follow each other in out: one long line */
    for (int64_t i = 1; i < m && used < row; i++) memmove(c + (size_t)i * used, c + (size_t)i * row, used);
    length *= m;
    lines = 1;
  }
  for (int64_t i = 0; i < lines; i++) {
    const char *sums = c + (size_t)i * row;
    int64_t start = (it->batch * j->m + it->m0 + m0 + i) * j->n + it->n0;
    if (!j->epilogue) {
      tg_walk_write(&j->out, memory, NULL, start, length, sums);
      continue;
    }
    for (int64_t done = 0; done < length; done += TG_BLOCK) {
      int64_t count = tg_min(TG_BLOCK, length - done);
      char *line = part(j, w, PART_LINE);
      tg_vm_eval_into(j->epilogue, part(j, w, PART_REGISTERS), j->slots, NULL, start + done, count,
                      sums + (size_t)done * j->itemsize, out->dtype, line);
      tg_walk_write(&j->out, memory, NULL, start + done, count, line);
    }
  }
}

static void run_item(const job *j, worker *w, int64_t index, int64_t chunk) {
  item it = item_at(j, index);
  char *a = part(j, w, PART_A), *b = part(j, w, PART_B), *c = part(j, w, PART_C);
  if (j->nchunk > 1) c = j->partial + (size_t)(chunk * j->items + index) * block_bytes(j);
  int64_t first = chunk * j->chunk, last = tg_min(first + j->chunk, j->k);
  if (first == last) memset(c, 0, block_bytes(j));
  for (int64_t k0 = first; k0 < last; k0 += j->kc) {
    int64_t nk = tg_min(j->kc, last - k0);
    pack(j, w, &j->a, &(piece){it.batch, it.m0, it.m, k0, nk}, &w->has_a, a);
    pack(j, w, &j->b, &(piece){it.batch, it.n0, it.n, k0, nk}, &w->has_b, b);
    multiply(j, &it, nk, a, b, c, k0 > first);
  }
  if (j->nchunk == 1) finish(j, w, &it, 0, it.m, c);
}

/* Gives the worker its memory, once. */
static tg_status prepare(const job *j, worker *w) {
  if (w->memory) return TG_OK;
  w->memory = tg_block_alloc(j->at[PARTS]);
  if (!w->memory) return tg_fail_memory(j->at[PARTS]);
  w->has_a = w->has_b = -1;
  memset(part(j, w, PART_ZEROS), 0, (size_t)j->kc * j->itemsize);
  if (j->epilogue) tg_vm_prepare(j->epilogue, part(j, w, PART_REGISTERS));
  return TG_OK;
}

static tg_status item_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  tg_status status = prepare(j, w);
  if (status) return status;
  int64_t stop = tg_min((task + 1) * j->per_task, j->items * j->nchunk);
  for (int64_t i = task * j->per_task; i < stop; i++) run_item(j, w, i % j->items, i / j->items);
  return TG_OK;
}

/* The second pass: chunks are added in order onto the first one, a band of an item's rows a task. */
static tg_status band_task(void *context, int64_t task, int index) {
  job *j = context;
  worker *w = &j->workers[index];
  tg_status status = prepare(j, w);
  if (status) return status;
  item it = item_at(j, task / j->bands);
  int64_t rows = tg_ceil_div(it.m, j->bands), m0 = task % j->bands * rows, m = tg_min(rows, it.m - m0);
  if (m <= 0) return TG_OK;
  char *sums = j->partial + (size_t)(task / j->bands) * block_bytes(j) + (size_t)(m0 * j->nc) * j->itemsize;
  for (int64_t chunk = 1; chunk < j->nchunk; chunk++)
    tgk.binary[TG_OP_ADD][j->kernel->reduced](sums, sums, sums + (size_t)(chunk * j->items) * block_bytes(j),
                                              (size_t)(m * j->nc));
  finish(j, w, &it, m0, m, sums);
  return TG_OK;
}

/* ---- planning ---- */

/* kc and the chunks: by the shape alone. */
static void plan_sums(job *j) {
  int64_t outputs = j->batch * tg_round_up(j->m, 8) * tg_round_up(j->n, 16);
  int64_t want = tg_min(tg_min(j->k / CHUNK_K, MAX_CHUNKS / j->batch), MAX_PARTIALS / outputs);
  j->chunk = tg_max(j->k, 1);
  if (want > 1) j->chunk = tg_round_up(tg_ceil_div(j->k, want), BLOCK_K);
  j->nchunk = tg_max(tg_ceil_div(j->k, j->chunk), 1);
  j->kc = tg_ceil_div(j->chunk, tg_ceil_div(j->chunk, BLOCK_K));
}

/* mc and nc: as large as the caches like, smaller if the workers would run out of items. */
static void plan_blocks(job *j) {
  const tgk_gemm *g = j->gemm;
  int64_t size = (int64_t)j->itemsize * j->kc;
  int64_t most_m = tg_min(MAX_BLOCK_M, BLOCK_AB_BYTES / size), mblocks = tg_ceil_div(j->m, most_m);
  int64_t rows = tg_min(j->m, most_m);
  int64_t most_n = tg_min(tg_min(MAX_BLOCK_N, BLOCK_AB_BYTES / size), BLOCK_C_BYTES / ((int64_t)j->itemsize * rows));
  int64_t nblocks = tg_ceil_div(j->n, most_n);
  double work = (double)j->batch * (double)j->m * (double)j->n * (double)j->k;
  double want = tg_pool_size() == 1 ? 1 : tg_pool_size() * 4;
  if (want > work / (4 * MIN_TASK_WORK)) want = work / (4 * MIN_TASK_WORK);
  while ((double)(j->batch * mblocks * nblocks * j->nchunk) < want) {
    /* one more block along n packs a once more, and the other way round */
    bool can_m = mblocks * 2 * j->a.width <= j->m, can_n = nblocks * 2 * j->b.width <= j->n;
    if (can_m && (!can_n || j->n * mblocks < j->m * nblocks)) mblocks *= 2;
    else if (can_n) nblocks *= 2;
    else break;
  }
  j->mc = tg_round_up(tg_ceil_div(j->m, mblocks), g->mr);
  j->nc = tg_round_up(tg_ceil_div(j->n, nblocks), g->lanes);
  j->mblocks = tg_ceil_div(j->m, j->mc);
  j->nblocks = tg_ceil_div(j->n, j->nc);
  j->items = j->batch * j->mblocks * j->nblocks;
  /* a task is several items if they are small: multiplying, packing and finishing all count */
  double mc = (double)j->mc, nc = (double)j->nc;
  double item_work = (mc * nc + 16 * (mc + nc)) * (double)tg_min(j->k, j->chunk) + 16 * mc * nc;
  j->per_task = tg_max(1, (int64_t)(MIN_TASK_WORK / item_work));
  j->bands = tg_min(j->mc, tg_ceil_div(j->mc * j->nc * j->nchunk, 1 << 16));
}

static void plan_scratch(job *j) {
  int64_t length = tg_max(tg_max(j->mc, j->nc), j->kc);
  int64_t points = tg_max(4 * length, tg_min(READ_POINTS, tg_max(j->mc, j->nc) * j->kc));
  size_t size = j->itemsize;
  size_t bytes[PARTS] = {
      [PART_A] = (size_t)(j->mc * j->kc) * size,
      [PART_B] = (size_t)(j->nc * j->kc) * size,
      [PART_C] = j->nchunk == 1 ? block_bytes(j) : 0,
      [PART_RAW] = (size_t)points * size,
      [PART_ROWS] = j->a.cast || j->b.cast ? (size_t)points * size : 0,
      [PART_ZEROS] = (size_t)j->kc * size,
      [PART_LINE] = TG_BLOCK * sizeof(double),
      [PART_REGISTERS] = j->epilogue ? tg_vm_scratch_size(j->epilogue) : 0,
  };
  for (int i = 0; i < PARTS; i++) j->at[i + 1] = (j->at[i] + bytes[i] + TG_ALIGN - 1) / TG_ALIGN * TG_ALIGN;
}

static dims dims_of(const tg_kernel *kernel, int first, int count) {
  dims d = {first, count, 1};
  for (int i = 0; i < count; i++) d.size *= kernel->shape[first + i];
  return d;
}

tg_status tg_contract_run(const tg_kernel *kernel, void *const *slots) {
  tg_status status = TG_OK;
  size_t partial_bytes = 0;
  const tg_access *a = &kernel->a, *b = &kernel->b;
  const tg_program *epilogue = &kernel->epilogue;
  dims batch = dims_of(kernel, 0, kernel->nbatch), k = dims_of(kernel, kernel->nout, kernel->nred);
  dims m = dims_of(kernel, kernel->nbatch, kernel->nm), n = dims_of(kernel, kernel->nbatch + kernel->nm, kernel->nn);
  if (batch.size * m.size * n.size == 0) return TG_OK;
  if (n.size == 1) { /* a column would waste the vectors, and is a row as well */
    dims column = m;
    m = n;
    n = column;
    a = &kernel->b;
    b = &kernel->a;
  }
  job *j = tg_calloc(1, sizeof *j);
  if (!j) return tg_fail_memory(sizeof *j);
  j->kernel = kernel;
  j->slots = slots;
  j->gemm = &tgk.gemm[kernel->reduced];
  j->itemsize = tg_itemsize(kernel->reduced);
  j->batch = batch.size;
  j->m = m.size;
  j->n = n.size;
  j->k = k.size;
  j->a = (operand){.lanes = m.size, .k = k.size, .width = j->gemm->mr, .unit = j->gemm->mr};
  j->b = (operand){.lanes = n.size, .k = k.size, .width = j->gemm->lanes * TGK_GEMM_VECTORS, .unit = j->gemm->lanes};
  plan_sums(j);
  plan_blocks(j);
  if (k.size > 0) {
    if ((status = operand_init(&j->a, a, slots, batch, m, k, kernel->reduced))) goto done;
    if ((status = operand_init(&j->b, b, slots, batch, n, k, kernel->reduced))) goto done;
  }
  if ((status = tg_walk_init(&j->out, kernel->out.view, 0, kernel->out.dtype))) goto done;
  if (epilogue->ninstr > 1 || kernel->out.dtype != kernel->reduced)
    if ((status = tg_vm_compile(epilogue, 0, &j->epilogue))) goto done;
  plan_scratch(j);
  if (j->nchunk > 1) {
    partial_bytes = (size_t)(j->nchunk * j->items) * block_bytes(j);
    if (!(j->partial = tg_block_alloc(partial_bytes))) {
      status = tg_fail_memory(partial_bytes);
      goto done;
    }
  }
  status = tg_pool_run(item_task, j, tg_ceil_div(j->items * j->nchunk, j->per_task));
  if (!status && j->nchunk > 1) status = tg_pool_run(band_task, j, j->items * j->bands);
  if (!status && j->epilogue) status = tg_vm_status(j->epilogue);
done:
  for (int i = 0; i < tg_pool_size(); i++) tg_block_free(j->workers[i].memory, j->at[PARTS]);
  tg_block_free(j->partial, partial_bytes);
  tg_vm_free(j->epilogue);
  tg_walk_clear(&j->out);
  operand_clear(&j->a);
  operand_clear(&j->b);
  tg_free(j);
  return status;
}

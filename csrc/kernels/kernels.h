/* The seam between the portable engine and code for one instruction set: a struct of pointers.
 *
 * Each kernel body is written once (k_*.inc), compiled for every instruction set (isa_*.c) and
 * chosen when the module loads (dispatch.c). The table starts filled with the baseline, so no
 * pointer that the comments below promise is NULL.
 *
 * Registers of the block machine hold n elements of a *computed* dtype: bool as uint8 0/1, the
 * integers, float32, float64. float16 and bfloat16 exist only in storage: loads and stores convert.
 * All pointers are aligned to the element, not to a vector. dst may equal a source exactly (in
 * place; a cast only between types of one size, strided only with step 1) but not overlap it
 * otherwise. n may be 0. Kernels never fail, allocate or lock.
 *
 * Owns: the struct and the chosen table. */
#ifndef TG_KERNELS_KERNELS_H
#define TG_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include "base/cpu.h"
#include "graph/dtype.h"
#include "graph/ops.h"

typedef void (*tgk_unary_fn)(void *dst, const void *a, size_t n);
typedef void (*tgk_binary_fn)(void *dst, const void *a, const void *b, size_t n);
typedef void (*tgk_where_fn)(void *dst, const void *cond, const void *a, const void *b, size_t n);
/* The order in which n floats are combined, whoever does it. A block of up to TGK_FOLD_BLOCK of them is taken in
 * TGK_FOLD_LANES lanes, element i in lane i mod 16; then lanes i and i + 8 are combined, and on in halves, until one is
 * left. A block of fewer elements than lanes is taken one after the other. Blocks meet in pairs like the carries of a
 * binary counter:
 *
 *     block:   0   1   2   3   4 ...
 *               \ /     \ /    |
 *     level 1:  01      23     |
 *                 \____/       |
 *     level 2:    0123         4
 *
 * So the error of a sum is at most that of 20 + log2(n / 256) additions in a row, and its bits hang on n alone (those
 * of NaN aside). */
#define TGK_FOLD_BLOCK 256
#define TGK_FOLD_LANES 16
#define TGK_FOLD_LEVELS 48 /* of the counter, whatever n */
/* acc[i] = acc[i] (+) row[0] (+) ... (+) row[n-1] for i < count, where row is a + at[i], in elements. */
typedef void (*tgk_fold_fn)(void *acc, const void *a, const int64_t *at, size_t count, size_t n);
/* The same in the same order for the products of two rows, each rounded. */
typedef void (*tgk_fold_products_fn)(void *acc, const void *a, const int64_t *a_at, const void *b, const int64_t *b_at,
                                     size_t count, size_t n);
/* One row, or the products of two. They lie in runs of `run` elements at a + a_at[i], and begin with element `first` of
 * the first one. */
typedef void (*tgk_fold_runs_fn)(void *acc, const void *a, const int64_t *a_at, const void *b, const int64_t *b_at,
                                 size_t first, size_t run, size_t n);
/* n blocks of `rows` elements, 16 or more, side by side: to[i] = to[i] (+) a[at[0] + i] (+) a[at[1] + i] ...
 * `lanes` has room for 16 n elements, n rounded up to whole vectors. */
typedef void (*tgk_fold_columns_fn)(void *to, void *lanes, const void *a, const int64_t *at, size_t rows, size_t n);
/* dst[i] = src[i * step], step in elements, may be negative or 0. */
typedef void (*tgk_strided_fn)(void *dst, const void *src, int64_t step, size_t n);
/* dst[i * drow + j * dstep] = src[i * srow + j * sstep] for i < rows, j < n; nothing overlaps. */
typedef void (*tgk_copy_rows_fn)(void *dst, int64_t drow, int64_t dstep, const void *src, int64_t srow, int64_t sstep,
                                 size_t rows, size_t n);
/* dst[r*n + i] = src[r*jump + i] for low <= i < high, 0 for the other i < n; r < rows. Nothing else of src is read.
 * Made for small n. */
typedef void (*tgk_rows_fn)(void *dst, const void *src, int64_t jump, int64_t n, int64_t low, int64_t high,
                            int64_t rows);
/* Copies past the cache, for what nobody reads soon. Others see it only after stream_end in the same thread. */
typedef void (*tgk_stream_fn)(void *dst, const void *src, size_t bytes);
typedef void (*tgk_stream_end_fn)(void);
/* dst[i] = first + i * step. */
typedef void (*tgk_number_fn)(void *dst, int64_t first, int64_t step, size_t n);
/* Uniform numbers in [0, 1) from a counter-based generator: element i is a function of key and
 * index[i] alone, the same on every instruction set. */
typedef void (*tgk_random_fn)(void *dst, const int64_t *index, uint64_t key, size_t n);
/* One register tile of a matrix product, rows of b lying anywhere:
 *   c[i*ldc + j] (+)= sum_p a[p*mr + i] * b[at[p] + j]   for i < mr, j < nr, p = 0..k-1 in order;
 * the sum replaces c unless `accumulate`. */
typedef void (*tgk_gemm_fn)(int64_t k, const void *a, const void *b, const int64_t *at, void *c, int64_t ldc,
                            int accumulate);

/* One register tile of inner products, each over several runs of k elements:
 *   c[i*ldc + j] += sum_r sum_p a[r*a_next + i*lda + p] * b[r*b_next + at[j] + p]
 *   for i < mr, j < TGK_DOT_COLUMNS, r < runs, p < k.
 * Up to a vector past the end of a run is read, but does not matter. */
#define TGK_DOT_COLUMNS 3
typedef struct tgk_dot_layout {
  int64_t runs, k, lda, a_next, b_next, ldc;
} tgk_dot_layout;
typedef void (*tgk_dot_fn)(const tgk_dot_layout *l, const void *a, const void *b, const int64_t *at, void *c);

/* Packing: to[i*width + r] = rows[r][i]   for r < count, i < n. Fast for four rows. */
typedef void (*tgk_interleave_fn)(void *to, int64_t width, const void *const *rows, int count, int64_t n);

/* Packing: to[i / width * stride + i % width] = row[i]   for i < n, and zeros up to a whole width. Fast for mr rows and
 * for the widest tile. For BF16, element i is the pair (row[i], next[i]); otherwise `next` is not looked at. */
typedef void (*tgk_spread_fn)(void *to, int64_t width, int64_t stride, const void *row, const void *next, int64_t n);

#define TGK_GEMM_VECTORS 3
#define TGK_GEMM_TILE_BYTES (8 * TGK_GEMM_VECTORS * 64) /* the largest tile */

typedef struct tgk_gemm {
  tgk_gemm_fn run[TGK_GEMM_VECTORS]; /* run[v]: a tile of mr rows by nr = (v + 1) * lanes columns */
  tgk_dot_fn dot;
  tgk_interleave_fn interleave;
  tgk_spread_fn spread;
  int mr, lanes;
} tgk_gemm;

typedef struct tgk_fold {
  tgk_fold_fn rows;
  tgk_fold_runs_fn runs;
  tgk_fold_columns_fn columns; /* NULL for integers */
} tgk_fold;

typedef struct tgk_fold_products {
  tgk_fold_products_fn rows;
  tgk_fold_runs_fn runs;
} tgk_fold_products;

typedef struct tgk_table {
  /* [op][computed dtype]; the ops of kind UNARY and BINARY in graph/ops.def, NULL where the dtype
   * has no such operation: bool NEG, SUB, MOD, FLOORDIV, SHL, SHR, operations on bits of floats (and the scheduler
   * computes integer EXP2, LOG2, SIN, SQRT, RECIP and MathOps on numbers in float64, and DIV but for 64 bits). EXP2 to
   * SIN and MathOps as C99's functions, also of infinities, NaN and -0 (k_math.inc: how close).
   * CMPLT writes uint8 0/1. Integers wrap; MOD and FLOORDIV by 0 give 0, as NumPy's; shifts by less than 0 or no less
   * than the number of bits give 0, or -1 for negative ones to the right. MAX: NaN wins from either side. ADD and MAX
   * of bool are or, MUL is and. */
  tgk_unary_fn unary[TG_OP_COUNT][TG_DTYPE_COUNT];
  tgk_binary_fn binary[TG_OP_COUNT][TG_DTYPE_COUNT];
  /* [element dtype]; cond is uint8 0/1. */
  tgk_where_fn where[TG_DTYPE_COUNT];
  /* [from][to], all pairs of stored dtypes, the diagonal a copy. As C converts: toward zero, modulo 2^n
   * (out-of-range and NaN floats give what x86 NumPy gives, on every machine, without undefined
   * behaviour; where NumPy's answer depends on the position in the array, for uint32, the low half
   * of the int64), to bool as x != 0 (NaN is true), to 16-bit floats rounded to nearest even once. */
  tgk_unary_fn cast[TG_DTYPE_COUNT][TG_DTYPE_COUNT];
  /* float32 registers rounded to what F16 / BF16 can hold, [F16] and [BF16] only. */
  tgk_unary_fn round[TG_DTYPE_COUNT];
  tgk_fold sum[TG_DTYPE_COUNT], max[TG_DTYPE_COUNT], prod[TG_DTYPE_COUNT]; /* computed dtypes */
  tgk_fold_products sum_products[TG_DTYPE_COUNT];                          /* F32 and F64 only */
  tgk_strided_fn strided[4];                                               /* [log2 of itemsize] */
  tgk_copy_rows_fn copy_rows[4];                                           /* the same, as is: */
  tgk_rows_fn rows[4];
  tgk_stream_fn stream;
  tgk_stream_end_fn stream_end;
  tgk_number_fn number[TG_DTYPE_COUNT]; /* I32 and I64 only */
  tgk_random_fn random[TG_DTYPE_COUNT]; /* F32 (24 bits) and F64 (53 bits) only */
  /* F32 and F64; of BF16, whose elements are pairs of factors side by side along k (k_bf16.inc) and whose sums are
   * float32, what the processor has an instruction for: all but dot, or nothing. */
  tgk_gemm gemm[TG_DTYPE_COUNT];
} tgk_table;

extern tgk_table tgk; /* filled by tgk_init; read-only afterwards, but for tests */

/* Fills `tgk` for the instruction set; called once at load, and by tests to switch. */
void tgk_init(tg_isa isa);
tg_isa tgk_isa(void); /* the one in force */

#endif

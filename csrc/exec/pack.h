/* Packing: blocks of a factor of a contraction, read from strided, masked memory and laid out in panels.
 *
 * The dims of a factor are (batch, lanes, k), lanes being its side of the output. A panel interleaves `width` lanes:
 *
 *      [lanes / width][k][width]
 *
 * Lanes past the edge are zeros; the last panel is only as wide, in `unit`s, as it must be. A factor is read in
 * rows, either along its lanes (one row a k) or along k (one row a lane), whichever its view makes cheaper.
 * Owns: view and walk of an operand. Callers: contract.c. */
#ifndef TG_EXEC_PACK_H
#define TG_EXEC_PACK_H

#include "exec/layout.h"
#include "exec/walk.h"
#include "kernels/kernels.h"
#include "sched/kernel.h"

#define TG_PACK_K 256 /* k of a block, at most */

/* Its walk is a sequence of rows: along_k one a lane, of k elements, else one a k, of all lanes; with several
 * batches, one batch after the other. */
typedef struct tg_operand {
  const void *memory;
  tg_view *view; /* dims (batch, k, lanes) or, if along_k, (batch, lanes, k) */
  tg_walk walk;
  tgk_unary_fn cast; /* from the stored dtype, or NULL */
  size_t stored;     /* its itemsize */
  bool along_k;
  bool pairs;          /* of bfloat16: those side by side along k are packed as one element */
  double cost;         /* rough nanoseconds an element takes to be read and packed */
  int64_t lanes, k;    /* sizes */
  int64_t width, unit; /* lanes of a panel; what the last one's are a multiple of */
} tg_operand;

/* Lanes [lane, lane + lanes) by k [k0, k0 + k) of a batch, k counting what is packed as an element: a block. */
typedef struct tg_piece {
  int64_t batch, lane, lanes, k0, k;
} tg_piece;

/* What packing needs: room for tg_pack_points elements, and as many again if there is a cast, and
 * a row of zeros as long as a block's k. */
typedef struct tg_packer {
  const tgk_gemm *gemm;
  size_t itemsize; /* summed */
  char *raw, *converted;
  const char *zeros;
} tg_packer;

/* Chooses how to read the operand, whose lanes, k, width and unit are given and which must not be empty. */
tg_status tg_operand_init(tg_operand *o, const tg_access *access, void *const *slots, tg_dims batch, tg_dims lanes,
                          tg_dims k, tg_dtype summed) TG_MUST_CHECK;
void tg_operand_clear(tg_operand *o); /* safe on a zeroed struct */

/* Elements read at once for blocks of at most so many lanes and k. */
int64_t tg_pack_points(int64_t lanes, int64_t k);

void tg_pack(const tg_packer *p, const tg_operand *o, const tg_piece *piece, char *to);

#endif

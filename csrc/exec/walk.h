/* Walks: moving runs of consecutive elements between strided, masked memory and dense blocks.
 *
 * The dimensions of a view are split into leading *fixed* ones, given by index, and trailing
 * *swept* ones, walked in C order as one flat range. Block machine and contraction both see
 * memory only this way, so a view needs no copy to be computed on.
 *
 * Owns: the prepared form of a view (merged swept dimensions, kind). Reading needs no lock. */
#ifndef TG_EXEC_WALK_H
#define TG_EXEC_WALK_H

#include "graph/dtype.h"
#include "graph/view.h"

typedef enum tg_walk_kind {
  TG_WALK_DENSE,     /* swept elements are consecutive in memory and always valid: no copy needed */
  TG_WALK_BROADCAST, /* all swept elements are the same one */
  TG_WALK_RUNS,      /* strided runs, masked by bounds */
  TG_WALK_STACKED,   /* several levels: runs of flat positions in the level below */
} tg_walk_kind;

typedef struct tg_walk_bound {
  int64_t offset, size;
  const int64_t *fixed; /* coefficients of the fixed dims */
  int64_t *swept;       /* and of the swept ones, [nswept] */
} tg_walk_bound;

typedef struct tg_walk {
  tg_walk_kind kind;
  int log2_itemsize; /* 0..3 */
  bool streamed;     /* writes go past the cache; set by the owner, who calls tgk.stream_end in the end */
  int nfixed;
  int nswept;                                      /* after merging, >= 1 */
  int nvarying, nbound;                            /* bounds that depend on swept dims, and all */
  const tg_view *view;                             /* borrowed; must outlive the walk */
  int64_t shape[TG_MAX_DIMS], stride[TG_MAX_DIMS]; /* of the swept dims, in elements */
  tg_walk_bound *bound;                            /* [nbound], the varying ones first */
  struct tg_walk *below;                           /* STACKED: the whole level below, swept in C order */
} tg_walk;

/* Sweeping in tiles: instead of in C order, a flat range goes through the dims `across` and `along` in tiles of
 * TG_TILE_ACROSS by TG_TILE_ALONG, the last ones filled up with invalid elements. For memory that is read along
 * `across`, a line of it for each element of a row, and written along `along`. */
#define TG_TILE_ACROSS 16
#define TG_TILE_ALONG 64

typedef struct tg_tiling {
  int across, along;
} tg_tiling;

/* Sweeps all dims but the nfixed first. MEMORY is the only failure. */
tg_status tg_walk_init(tg_walk *w, const tg_view *view, int nfixed, tg_dtype dtype) TG_MUST_CHECK;
/* The same for the dims before `ndim`, the others at index 0. */
tg_status tg_walk_init_leading(tg_walk *w, const tg_view *view, int nfixed, int ndim, tg_dtype dtype) TG_MUST_CHECK;
/* The same in tiles, for a view of one level and at most TG_MAX_DIMS - 2 dims, none of them fixed. */
tg_status tg_walk_init_tiled(tg_walk *w, const tg_view *view, const tg_tiling *tiling, tg_dtype dtype) TG_MUST_CHECK;
void tg_walk_clear(tg_walk *w); /* safe on a zeroed struct */

/* Elements [start, start + n) of the swept range with the leading dims at fixed[0..nfixed):
 * returns a pointer to n consecutive elements, either straight into memory or `scratch`, filled.
 * `memory` is the storage the view's positions index. Invalid elements are zero. */
const void *tg_walk_read(const tg_walk *w, const void *memory, const int64_t *fixed, int64_t start, int64_t n,
                         void *scratch);

/* Does every element have its place, one after the other, so that it can be computed right there? */
static inline bool tg_walk_has_places(const tg_walk *w) { return w->kind == TG_WALK_DENSE && !w->nbound; }

/* Where element `start` of a walk that has places lies. */
void *tg_walk_address(const tg_walk *w, void *memory, const int64_t *fixed, int64_t start);

/* The same range written from `source`; the view has one level. Invalid elements are left out. */
void tg_walk_write(const tg_walk *w, void *memory, const int64_t *fixed, int64_t start, int64_t n, const void *source);

/* The same range as positions (TG_I64 or, if they are known to fit, TG_I32), or as uint8 validity. Positions of invalid
 * elements are 0. */
void tg_walk_positions(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, tg_dtype dtype,
                       void *positions);
void tg_walk_valid(const tg_walk *w, const int64_t *fixed, int64_t start, int64_t n, uint8_t *valid);

#endif

/* Sliding windows: an operand whose elements at the points of two groups of dims, `run` and `shift`, overlap because
 * moving along a dim of one is moving along a dim of the other.
 *
 * The windows of a convolution are the example: pixel (y, x) seen from kernel position (dy, dx) is image
 * element (y + dy, x + dx). Rather than every window, the image is read once, into consecutive
 * memory, masked elements being zeros. The points of a run then lie in the same places relative to each other for
 * every point of the shift, which only moves the start:
 *
 *      image 5 wide, run of 3 x 3 points          shift (0, 0)      shift (0, 1)      shift (1, 0)
 *                                                 r r r j j         . r r r j         . . . . .
 *      r: a point of the run                      r r r j j         j r r r j         r r r j j
 *      j: between two rows, to be ignored         r r r . .         j r r r .         r r r j j ...
 *
 * Where rows begin and end in masked elements, a row's end and the beginning of the next one are the same zeros.
 *
 * Shift dims that move along none of the run's are planes of the image (input channels), what is neither
 * shift nor run numbers whole images. Where the run takes every s-th element only (a convolution with stride s), and
 * the shift moves by one, the image is read as s planes, its elements s * i + r for each r < s: then a shift of
 * s * q + r is one of q in plane r. The run's dims are the last ones of their group.
 *
 * Owns: a view and its walk. Callers: contract.c (runs are outputs), dot.c (runs are summed). */
#ifndef TG_EXEC_WINDOW_H
#define TG_EXEC_WINDOW_H

#include "exec/layout.h"
#include "exec/walk.h"
#include "kernels/kernels.h"
#include "sched/kernel.h"

/* A dim of the run as an axis of the image. */
typedef struct tg_window_axis {
  int source;
  int64_t points, size; /* of the run; of the image, without zeros shared with the next row */
  int64_t before;       /* where the run's point 0 lies */
  int64_t step;         /* elements of the image from one to the next */
  bool moved, split;    /* some shift dim moves along it; by parts of a step, and no other one does */
} tg_window_axis;

typedef struct tg_window {
  const tg_view *of; /* borrowed */
  tg_dims outer[2], shift;
  int nrun, nplane;
  tg_window_axis axis[TG_MAX_DIMS];
  int plane[TG_MAX_DIMS];    /* the shift dims that number planes */
  int moves[TG_MAX_DIMS];    /* shift dim: the axis it moves along, or -1 */
  int64_t by[TG_MAX_DIMS];   /* and how far */
  int64_t each[TG_MAX_DIMS]; /* shift dim: how many of its steps are one such move, s above; else 1 */
  int64_t images, planes;    /* how many; planes of one image */
  int64_t size;              /* elements of a whole plane */
  int64_t points, length;    /* of the run: points; elements from the first to behind the last */
  int64_t spill;             /* elements behind a plane that its last row sees and that must be zeros */
  /* after tg_window_open: */
  const void *memory;
  tg_view *view; /* dims (outer, planes, axes) */
  tg_walk walk;
  tgk_unary_fn cast;       /* from the stored dtype, or NULL */
  size_t stored, itemsize; /* as stored, and as summed */
} tg_window;

/* Plans the window with the last `nrun` of the dims `run` as its run; false if the view has none: several levels. */
bool tg_window_plan(tg_window *w, const tg_view *v, tg_dims batch, tg_dims run, int nrun, tg_dims shift);

tg_status tg_window_open(tg_window *w, const tg_access *access, void *const *slots, tg_dtype summed) TG_MUST_CHECK;
void tg_window_close(tg_window *w); /* safe on a zeroed struct */

/* Elements of a plane that the points [row, row + rows) of the run's first axis see, and those of the run between
 * the first and the last of them. */
int64_t tg_window_part(const tg_window *w, int64_t rows);
int64_t tg_window_length(const tg_window *w, int64_t rows);

/* The start of the run for each point of the shift, planes being `plane` elements apart. */
void tg_window_shifts(const tg_window *w, int64_t plane, int64_t *shifts);

/* Reads that part of the planes of `count` images into `to`, planes being `plane` elements apart. `raw` is
 * for as many elements as stored, if there is a cast. What is behind the last one is the caller's to clear, once. */
void tg_window_read(const tg_window *w, int64_t image, int64_t count, int64_t row, int64_t rows, int64_t plane,
                    char *raw, char *to);

/* The points of `rows` rows of a run, from where the first one is, moved together at `to`; returns their end. */
char *tg_window_gather(const tg_window *w, int64_t rows, const char *from, char *to);

#endif

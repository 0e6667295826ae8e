/* Inside the view algebra: one level of a view while it is being built.
 *
 * A level under construction is a tg_view with a single reference that nobody else has seen: its
 * arrays are still written, through tg_level_edit. tg_level_canonical ends construction, tg_level_over
 * puts the level over what lies beneath.
 * view_level.c has what is declared here, but for tg_level_over (view_compose.c) and what movement ops are made of
 * (view.c). Used by windows.c, too. */
#ifndef TG_GRAPH_VIEW_LEVEL_H
#define TG_GRAPH_VIEW_LEVEL_H

#include "base/integers.h"
#include "graph/view.h"

/* An affine function of a view's index: offset + sum_i coef[i] * idx[i]. */
typedef struct tg_form {
  int64_t offset, coef[TG_MAX_DIMS];
} tg_form;

/* An interval for each dimension, both ends included. */
typedef struct tg_box {
  int64_t lo[TG_MAX_DIMS], hi[TG_MAX_DIMS];
} tg_box;

static inline int64_t *tg_level_edit(const int64_t *array) { return (int64_t *)array; }

/* The text of a shape, for messages; `text` is returned. Shapes of a wrong length are cut. */
enum { TG_SHAPE_TEXT = 256 };
const char *tg_level_show(char text[TG_SHAPE_TEXT], int ndim, const int64_t *shape);

/* The product of a shape of sizes >= 0; false if it overflows. One 0 makes it 0. */
bool tg_level_count(int ndim, const int64_t *shape, int64_t *size);

/* Lexicographic order: -1, 0 or 1. */
int tg_level_compare(int n, const int64_t *a, const int64_t *b);

/* A level of this shape with strides and offset 0, nothing below and room for max_bound bounds.
 * VALUE for a negative size, too many dimensions or too many elements; MEMORY. */
tg_status tg_level_new(int ndim, const int64_t *shape, int max_bound, tg_view **out) TG_MUST_CHECK;

/* A copy of v's top level, with nothing below. */
tg_status tg_level_copy(const tg_view *v, tg_view **out) TG_MUST_CHECK;

/* Adds the bound 0 <= offset + ... < size. Its coefficients, all 0, are the caller's to set. */
int64_t *tg_level_add_bound(tg_view *level, int64_t offset, int64_t size);

/* Gives the level v's position and bounds, index[j] being v's j-th index as a function of the level's.
 * False if a coefficient overflows; the level is then of no use. */
bool tg_level_substitute(tg_view *level, const tg_view *v, const tg_form *index);

/* Brings the level into the canonical form that view_level.c describes. VALUE on overflow. */
tg_status tg_level_canonical(tg_view *level) TG_MUST_CHECK;

/* Every element invalid: the level then depends on nothing beneath. */
void tg_level_set_never(tg_view *level);
bool tg_level_is_never(const tg_view *v);

/* The least and greatest value of a form over a box. False if they, or their distance, overflow. */
bool tg_level_range(int ndim, const int64_t *coef, int64_t offset, const tg_box *box, int64_t *min, int64_t *max);

/* The only dimension a bound depends on, -1 if there are none or several. */
int tg_level_sole_axis(int ndim, const tg_bound *bound);

/* Narrows the box by what each bound leaves to one index, the others being anywhere in it. False if a bound
 * leaves nothing; the box then still holds something. */
bool tg_level_narrow(const tg_view *v, tg_box *box);

/* Puts a finished level over `below` (a view of one or more levels, or NULL), merging with as many
 * levels of it as possible. Takes the caller's reference to `level` in every case. */
tg_status tg_level_over(tg_view *level, tg_view *below, tg_view **out) TG_MUST_CHECK;

/* Every index i of `index` as itself, for a change of some dimensions. */
void tg_level_identity(int ndim, tg_form *index);

/* The view of `shape` whose element is v[index[0], index[1], ...], invalid where an index leaves v. */
tg_status tg_level_look_through(tg_view *v, int ndim, const int64_t *shape, const tg_form *index,
                                tg_view **out) TG_MUST_CHECK;

#endif

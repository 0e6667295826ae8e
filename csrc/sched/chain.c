/* Finds chains (see chain.h): from a first kernel on, as many as agree on how they can be cut, and of these the part
 * that gains most. What a result costs is estimated in nanoseconds of one worker. Caller: schedule.c. */
#include "sched/chain.h"

#include "base/alloc.h"
#include "base/integers.h"
#include "sched/builder.h"

#define MAX_LENGTH 16 /* kernels */
#define MAX_PLACES 16
#define WANTED_SLICES 32 /* some for each worker of a pool */
#define MIN_SLICES 16
#define MIN_ROWS 64                       /* of a contraction: fewer would not pay for packing its other factor */
#define SLICE_BYTES ((double)(512 << 10)) /* half of a usual L2 cache, next to what kernels hold in it themselves */
#define MAX_SLICE_BYTES ((double)(4 << 20))
#define MIN_LOCAL_BYTES ((double)(4 << 20)) /* what is smaller is found in the cache again */
#define BYTE_COST 0.1                       /* to memory or back */
#define PACK_COST 0.3                       /* an element of a factor */
#define VISIT_COST 2e3                      /* a kernel of a slice */

/* ---- slices ---- */

int64_t tg_chain_slices(const tg_chain *c) {
  if (c->slice >= c->run) return tg_ceil_div(c->units, c->slice);
  return c->units / c->run * tg_ceil_div(c->run, c->slice);
}

void tg_chain_slice(const tg_chain *c, int64_t slice, int64_t *first, int64_t *count) {
  int64_t each = tg_max(c->run, c->slice), parts = tg_ceil_div(each, c->slice), within = slice % parts * c->slice;
  *first = slice / parts * each + within;
  *count = tg_min(tg_min(c->slice, each - within), c->units - *first);
}

/* ---- what kernels read and write ---- */

typedef struct use {
  const tg_access *access; /* NULL: none here */
  int first;               /* of the view's dims: that of the kernel's out dims */
  bool store, plain;       /* plain: at the positions of the view */
} use;

/* The i-th place where a kernel may use a buffer; false past the last. */
static bool use_at(const tg_kernel *k, int i, use *u) {
  const tg_program *p;
  *u = (use){.plain = true};
  for (int j = 0; (p = tg_kernel_program(k, j)); i -= p->ninstr, j++) {
    if (i >= p->ninstr) continue;
    const tg_instr *in = &p->instr[i];
    if (in->code != TG_I_LOAD && in->code != TG_I_GATHER && in->code != TG_I_STORE) return true;
    u->access = &p->access[in->arg];
    u->store = in->code == TG_I_STORE;
    u->plain = in->code != TG_I_GATHER;
    if (k->reduced_first && u->access->view->ndim > k->nout) u->first = k->nred;
    return true;
  }
  if (k->kind != TG_KERNEL_CONTRACT || i > 2) return false;
  u->access = i == 0 ? &k->a : i == 1 ? &k->b : &k->out;
  u->store = i == 2;
  return true;
}

/* Has the kernel used that slot before its i-th place? What it reads again is in cache. */
static bool used_before(const tg_kernel *k, int i, int slot) {
  use u;
  for (int j = 0; j < i && use_at(k, j, &u); j++)
    if (u.access && u.access->slot == slot) return true;
  return false;
}

/* How a kernel stores a slot that it writes. */
static use store_of(const tg_kernel *k, int slot) {
  use u;
  for (int i = 0; use_at(k, i, &u); i++)
    if (u.access && u.store && u.access->slot == slot) break;
  return u;
}

/* The leading out dims that number `units` ranges of rows; -1 if there are none that do. */
static int unit_dims(const tg_kernel *k, int64_t units) {
  int64_t product = 1;
  for (int i = 0; i < tg_kernel_row_dims(k); i++) {
    product *= k->shape[i];
    if (product == units) return i + 1;
  }
  return -1;
}

/* Are all positions that a unit sees in its own range of the buffer's elements? */
static bool within_unit(const tg_schedule *s, const tg_kernel *k, const use *u, int64_t units) {
  const tg_view *v = u->access->view;
  int64_t elements = (int64_t)(s->slots[u->access->slot].bytes / tg_itemsize(u->access->dtype));
  int ndim = unit_dims(k, units);
  if (!u->plain || v->below || ndim < 0 || elements % units) return false;
  int64_t each = elements / units, low = v->offset, high = v->offset, stride = each;
  for (int i = u->first + ndim - 1; i >= u->first; stride *= v->shape[i--])
    if (v->shape[i] > 1 && v->stride[i] != stride) return false;
  for (int i = 0; i < v->ndim; i++) {
    if (i >= u->first && i < u->first + ndim) continue;
    low += tg_min(0, v->stride[i] * (v->shape[i] - 1));
    high += tg_max(0, v->stride[i] * (v->shape[i] - 1));
  }
  return low >= 0 && high < each;
}

/* Can `kernel` follow the kernels from `first` on if all are cut into so many units? */
static bool can_follow(const tg_schedule *s, int first, int kernel, int64_t units) {
  const tg_kernel *k = &s->kernels[kernel];
  use u;
  if (unit_dims(k, units) < 0) return false;
  for (int i = 0; use_at(k, i, &u); i++) {
    if (!u.access || u.store) continue;
    int writer = s->slots[u.access->slot].writer;
    if (writer < first || writer >= kernel) continue;
    use stored = store_of(&s->kernels[writer], u.access->slot);
    if (!within_unit(s, k, &u, units) || !within_unit(s, &s->kernels[writer], &stored, units)) return false;
  }
  return true;
}

/* ---- memory ---- */

typedef struct place {
  size_t bytes; /* of a unit */
  int last;     /* kernel that reads it */
} place;

/* Is a slot that a kernel of the chain writes read there only? */
static bool is_local(const tg_slot *slot, const tg_chain *c) {
  return !slot->keep && slot->last > slot->writer && slot->last < c->first + c->count;
}

/* The local slot that a kernel reads for the last time where it stores `slot`: element by element, and at the very end.
 * -1: none. */
static int overwritten(const tg_schedule *s, const tg_chain *c, int kernel, int slot) {
  const tg_kernel *k = &s->kernels[kernel];
  if (k->kind == TG_KERNEL_CONTRACT) return -1;
  const tg_program *last = k->nphase ? &k->phases[k->nphase - 1].points : &k->body;
  if (!last->ninstr || last->instr[last->ninstr - 1].code != TG_I_STORE) return -1;
  const tg_access *to = &last->access[last->instr[last->ninstr - 1].arg];
  use u, other;
  if (to->slot != slot) return -1;
  for (int i = 0; use_at(k, i, &u); i++) {
    if (!u.access || u.store) continue;
    const tg_slot *from = &s->slots[u.access->slot];
    if (from->writer < c->first || !is_local(from, c) || from->last != kernel) continue;
    bool same = true;
    for (int j = 0; use_at(k, j, &other); j++)
      if (other.access && other.access->slot == u.access->slot)
        same &= tg_itemsize(other.access->dtype) == tg_itemsize(to->dtype) &&
                tg_view_equal(other.access->view, to->view);
    if (same) return u.access->slot;
  }
  return -1;
}

/* Finds a place for each local slot, whose `at` will be the number of the place. False if there are too many. */
static bool assign_places(tg_schedule *s, const tg_chain *c, place *places, int *nplace) {
  *nplace = 0;
  for (int kernel = c->first; kernel < c->first + c->count; kernel++) {
    use u;
    for (int i = 0; use_at(&s->kernels[kernel], i, &u); i++) {
      if (!u.access || !u.store) continue;
      tg_slot *slot = &s->slots[u.access->slot];
      if (!is_local(slot, c)) continue;
      int source = overwritten(s, c, kernel, u.access->slot), at = 0;
      if (source >= 0) at = (int)s->slots[source].at;
      else
        while (at < *nplace && places[at].last >= kernel) at++;
      if (at == MAX_PLACES) return false;
      if (at == *nplace) places[(*nplace)++] = (place){0, 0};
      size_t bytes = slot->bytes / (size_t)c->units;
      places[at] = (place){bytes > places[at].bytes ? bytes : places[at].bytes, slot->last};
      slot->at = (size_t)at;
    }
  }
  return true;
}

static double bytes_of_unit(const place *places, int nplace) {
  double bytes = 0;
  for (int i = 0; i < nplace; i++) bytes += (double)places[i].bytes;
  return bytes;
}

/* Makes it a chain of the schedule: its local slots get their places. */
static tg_status commit(tg_schedule *s, tg_chain *c, int64_t *cap) {
  place places[MAX_PLACES];
  size_t start[MAX_PLACES];
  int nplace;
  tg_status status = tg_grow(&s->chains, s->nchain, cap, sizeof *s->chains);
  if (status) return status;
  if (!assign_places(s, c, places, &nplace)) return TG_OK;
  c->bytes = 0;
  for (int i = 0; i < nplace; i++) {
    start[i] = c->bytes;
    c->bytes += tg_aligned(places[i].bytes * (size_t)c->slice);
  }
  for (int kernel = c->first; kernel < c->first + c->count; kernel++) {
    use u;
    for (int i = 0; use_at(&s->kernels[kernel], i, &u); i++) {
      tg_slot *slot = u.access && u.store ? &s->slots[u.access->slot] : NULL;
      if (!slot || !is_local(slot, c)) continue;
      slot->local = true;
      slot->at = start[slot->at];
    }
  }
  s->chains[s->nchain++] = *c;
  return TG_OK;
}

/* ---- what it is worth ---- */

/* The runs that slices must not straddle: those of the m of contractions. False if they differ. */
static bool find_run(const tg_schedule *s, tg_chain *c) {
  c->run = 1;
  for (int kernel = c->first; kernel < c->first + c->count; kernel++) {
    const tg_kernel *k = &s->kernels[kernel];
    if (k->kind != TG_KERNEL_CONTRACT) continue;
    int64_t batch = tg_product(k->shape, k->nbatch), run = tg_max(1, c->units / batch);
    if (run > 1 && c->run > 1 && run != c->run) return false;
    c->run = tg_max(c->run, run);
  }
  return true;
}

/* How many units a slice is: what fits a cache, but not so many that there are few slices, nor fewer than contractions
 * like. False if that is too much memory. */
static bool find_slice(const tg_schedule *s, tg_chain *c, double unit) {
  int64_t fit = (int64_t)(SLICE_BYTES / tg_max(1, (int64_t)unit)), least = 1;
  for (int kernel = c->first; kernel < c->first + c->count; kernel++)
    if (s->kernels[kernel].kind == TG_KERNEL_CONTRACT)
      least = tg_max(least, tg_ceil_div(MIN_ROWS, tg_kernel_rows(&s->kernels[kernel]) / c->units));
  c->slice = tg_max(1, tg_min(fit, c->units / WANTED_SLICES));
  if (c->slice < c->run) {
    c->slice = tg_min(tg_max(c->slice, least), c->run);
    c->slice = tg_ceil_div(c->run, tg_ceil_div(c->run, c->slice)); /* of equal size */
  } else {
    c->slice -= c->slice % c->run;
  }
  return (double)c->slice * unit <= MAX_SLICE_BYTES && tg_chain_slices(c) >= MIN_SLICES;
}

/* Nanoseconds that the chain saves: traffic, less what is packed again and again. */
static double gain_of(const tg_schedule *s, const tg_chain *c) {
  double gain = 0, local = 0, slices = (double)tg_chain_slices(c);
  use u;
  for (int kernel = c->first; kernel < c->first + c->count; kernel++) {
    const tg_kernel *k = &s->kernels[kernel];
    for (int i = 0; use_at(k, i, &u); i++) {
      if (!u.access || used_before(k, i, u.access->slot)) continue;
      const tg_slot *slot = &s->slots[u.access->slot];
      if (slot->writer < c->first || slot->writer >= c->first + c->count) continue;
      if (u.store && !is_local(slot, c)) continue;
      gain += (double)slot->bytes * BYTE_COST;
      if (u.store) local += (double)slot->bytes;
    }
    gain -= slices * VISIT_COST;
    if (k->kind != TG_KERNEL_CONTRACT || c->slice >= c->run) continue;
    double batch = (double)tg_product(k->shape, k->nbatch);
    double factor = (double)tg_product(k->shape + k->nbatch + k->nm, k->nn + k->nred); /* n by k */
    if (slices > batch) gain -= (slices - batch) * factor * PACK_COST;
  }
  return local < MIN_LOCAL_BYTES ? 0 : gain;
}

/* ---- search ---- */

static bool runs_in_parts(const tg_kernel *k, tg_parts_fn has_parts) {
  return tg_kernel_rows(k) && (k->kind != TG_KERNEL_CONTRACT || has_parts(k));
}

/* The best chain from best->first on; count 0 if there is none. */
static void find_best(tg_schedule *s, tg_parts_fn has_parts, tg_chain *best) {
  const tg_kernel *k = &s->kernels[best->first];
  int64_t units[TG_MAX_DIMS], product = 1;
  int n = 0;
  double most = 0;
  if (!runs_in_parts(k, has_parts)) return;
  for (int i = 0; i < tg_kernel_row_dims(k); i++)
    if (k->shape[i] > 1) units[n++] = product *= k->shape[i];
  for (int end = best->first + 1; n && end < s->nkernel && end < best->first + MAX_LENGTH; end++) {
    int left = 0;
    if (!runs_in_parts(&s->kernels[end], has_parts)) return;
    for (int i = 0; i < n; i++)
      if (can_follow(s, best->first, end, units[i])) units[left++] = units[i];
    n = left;
    for (int i = n - 1; i >= 0; i--) { /* the finest first */
      tg_chain c = {.first = best->first, .count = end - best->first + 1, .units = units[i]};
      place places[MAX_PLACES];
      int nplace;
      if (!find_run(s, &c) || !assign_places(s, &c, places, &nplace) || !nplace) continue;
      if (!find_slice(s, &c, bytes_of_unit(places, nplace))) continue;
      double gain = gain_of(s, &c);
      if (gain > most) {
        most = gain;
        *best = c;
      }
      if (gain > 0) break;
    }
  }
}

/* Is there so much between kernels that a chain could be worth its while? Most schedules have less: no search then. */
static bool has_enough(const tg_schedule *s) {
  double bytes = 0;
  for (int i = 0; i < s->nslot; i++)
    if (s->slots[i].writer >= 0 && !s->slots[i].keep) bytes += (double)s->slots[i].bytes;
  return bytes >= MIN_LOCAL_BYTES;
}

tg_status tg_find_chains(tg_schedule *s, tg_parts_fn has_parts) {
  int64_t cap = 0;
  if (!has_enough(s)) return TG_OK;
  for (int first = 0; first < s->nkernel; first++) {
    tg_chain c = {.first = first};
    find_best(s, has_parts, &c);
    if (!c.count) continue;
    tg_status status = commit(s, &c, &cap);
    if (status) return status;
    first += c.count - 1;
  }
  return TG_OK;
}

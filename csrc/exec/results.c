/* Sums become outputs (see results.h). */
#include "exec/results.h"

#include "base/integers.h"

#define LINE_BYTES (TG_BLOCK * sizeof(double)) /* a result of the epilogue, in front of its registers */

tg_status tg_results_init(tg_results *r, const tg_kernel *kernel, void *const *slots) {
  r->kernel = kernel;
  r->slots = slots;
  const tg_program *p = &kernel->epilogue;
  tg_dtype dtype = kernel->out.dtype;
  bool converted = p->ninstr == 2 && p->instr[1].code == TG_I_CAST && p->instr[1].arg == (int32_t)dtype;
  tg_status status = tg_walk_init(&r->out, kernel->out.view, 0, dtype);
  if (status) return status;
  if (p->ninstr == 1 || converted) {
    if (dtype != kernel->reduced) r->cast = tgk.cast[kernel->reduced][dtype];
  } else status = tg_vm_compile(&kernel->epilogue, 0, &r->epilogue);
  return status;
}

void tg_results_clear(tg_results *r) {
  tg_vm_free(r->epilogue);
  tg_walk_clear(&r->out);
}

size_t tg_results_scratch_size(const tg_results *r) {
  return r->epilogue ? LINE_BYTES + tg_vm_scratch_size(r->epilogue) : r->cast ? LINE_BYTES : 0;
}

void tg_results_prepare(const tg_results *r, void *scratch) {
  if (r->epilogue) tg_vm_prepare(r->epilogue, (char *)scratch + LINE_BYTES);
}

void tg_results_write(const tg_results *r, void *scratch, int64_t start, int64_t n, const char *sums) {
  const tg_access *out = &r->kernel->out;
  void *memory = r->slots[out->slot];
  if (!r->epilogue && !r->cast) {
    tg_walk_write(&r->out, memory, NULL, start, n, sums);
    return;
  }
  size_t size = tg_itemsize(r->kernel->reduced);
  bool dense = tg_walk_has_places(&r->out);
  for (int64_t done = 0; done < n; done += TG_BLOCK) {
    int64_t count = tg_min(TG_BLOCK, n - done);
    void *to = dense ? tg_walk_address(&r->out, memory, NULL, start + done) : scratch;
    if (r->cast) r->cast(to, sums + (size_t)done * size, (size_t)count);
    else
      tg_vm_eval_into(r->epilogue, (char *)scratch + LINE_BYTES, r->slots, NULL, start + done, count,
                      sums + (size_t)done * size, out->dtype, to);
    if (!dense) tg_walk_write(&r->out, memory, NULL, start + done, count, scratch);
  }
}

/* Are the sums the results, all of them stored, in runs? */
static bool has_places(const tg_results *r) {
  return !r->epilogue && !r->cast && !r->out.nvarying && r->out.stride[r->out.nswept - 1] == 1;
}

void *tg_results_place(const tg_results *r, int64_t start, int64_t n) {
  const tg_walk *w = &r->out;
  int inner = w->nswept - 1;
  if (!has_places(r) || w->shape[inner] % n || start % n) return NULL;
  int64_t position = w->view->offset;
  for (int i = inner; i >= 0; i--) {
    position += start % w->shape[i] * w->stride[i];
    start /= w->shape[i];
  }
  return (char *)r->slots[r->kernel->out.slot] + ((size_t)position << w->log2_itemsize);
}

int64_t tg_results_pitch(const tg_results *r, int64_t rows, int64_t n) {
  const tg_walk *w = &r->out;
  int inner = w->nswept - 1;
  if (!has_places(r)) return 0;
  if (w->shape[inner] % (rows * n) == 0) return n;
  return inner > 0 && w->shape[inner] == n && w->shape[inner - 1] % rows == 0 ? w->stride[inner - 1] : 0;
}

tg_status tg_results_status(const tg_results *r) { return r->epilogue ? tg_vm_status(r->epilogue) : TG_OK; }

/* Reference-counted storage (see buffer.h). Callers: node.c, the schedule, py/. */
#include "graph/buffer.h"

#include <stdatomic.h>

#include "base/alloc.h"

tg_status tg_buffer_borrow(void *data, size_t bytes, void (*release)(void *owner), void *owner, tg_buffer **out) {
  tg_buffer *b = tg_malloc(sizeof *b);
  if (!b) return tg_fail_memory(sizeof *b);
  atomic_init(&b->refs, 1);
  b->bytes = bytes;
  b->data = data;
  b->release = release;
  b->owner = owner;
  *out = b;
  return TG_OK;
}

tg_status tg_buffer_new(size_t bytes, tg_buffer **out) {
  tg_buffer *b = NULL;
  tg_status status = tg_buffer_borrow(NULL, bytes, NULL, NULL, &b);
  if (status) return status;
  b->data = tg_block_alloc(bytes);
  if (!b->data) {
    tg_free(b);
    return tg_fail_memory(bytes);
  }
  *out = b;
  return TG_OK;
}

void tg_buffer_ref(tg_buffer *b) { atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed); }

/* Whatever a thread read or wrote comes before another one frees it. */
void tg_buffer_unref(tg_buffer *b) {
  if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1) return;
  if (b->release) b->release(b->owner);
  else tg_block_free(b->data, b->bytes);
  tg_free(b);
}

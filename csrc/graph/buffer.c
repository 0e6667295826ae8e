/* Reference-counted storage (see buffer.h). Callers: node.c, the schedule, py/. */
#include "graph/buffer.h"

#include "base/alloc.h"

tg_status tg_buffer_new(size_t bytes, tg_buffer **out) {
  tg_buffer *b = tg_malloc(sizeof *b);
  if (!b) return tg_fail_memory(sizeof *b);
  b->refs = 1;
  b->bytes = bytes;
  b->data = tg_block_alloc(bytes);
  if (!b->data) {
    tg_free(b);
    return tg_fail_memory(bytes);
  }
  *out = b;
  return TG_OK;
}

void tg_buffer_ref(tg_buffer *b) { b->refs++; }

void tg_buffer_unref(tg_buffer *b) {
  if (!b || --b->refs) return;
  tg_block_free(b->data, b->bytes);
  tg_free(b);
}

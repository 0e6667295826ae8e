/* Buffers: storage shared by the nodes that were realized into it, and by whoever it was handed out to.
 * A buffer is written once, before anybody else sees it. So it can be read from anywhere for as long as it lives, and
 * any thread may let go of it at any time: the count is atomic.
 * Owns: the data block, or what keeps another library's memory alive. */
#ifndef TG_GRAPH_BUFFER_H
#define TG_GRAPH_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct tg_buffer {
  _Atomic int64_t refs;
  size_t bytes;
  void *data;
  void (*release)(void *owner); /* ends the use of another's memory; NULL: the block is its own */
  void *owner;
} tg_buffer;

/* A buffer with a block of its own, contents undefined. */
tg_status tg_buffer_new(size_t bytes, tg_buffer **out) TG_MUST_CHECK;
/* Memory that belongs to somebody else until release(owner) is called: once, by whichever thread is the last to use it.
 * On a failure here it is not called. */
tg_status tg_buffer_borrow(void *data, size_t bytes, void (*release)(void *owner), void *owner,
                           tg_buffer **out) TG_MUST_CHECK;
void tg_buffer_ref(tg_buffer *b);
void tg_buffer_unref(tg_buffer *b); /* NULL-safe */

#endif

/* Buffers: storage shared by the nodes that were realized into it.
 * Reference counts are plain: touched only under the graph lock (the GIL).
 * Owns: the data block. */
#ifndef TG_GRAPH_BUFFER_H
#define TG_GRAPH_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct tg_buffer {
  int64_t refs;
  size_t bytes;
  void *data;
} tg_buffer;

/* A buffer with a block of its own, contents undefined. */
tg_status tg_buffer_new(size_t bytes, tg_buffer **out) TG_MUST_CHECK;
void tg_buffer_ref(tg_buffer *b);
void tg_buffer_unref(tg_buffer *b); /* NULL-safe */

#endif

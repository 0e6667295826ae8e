/* The only allocator of the core.
 *
 * Two kinds of memory:
 *  - tg_malloc and friends: small bookkeeping (nodes, views, schedules);
 *  - tg_block_alloc: data, aligned to TG_ALIGN, kept for reuse when freed (bounded cache).
 * Both are counted and both can be told to fail, so that tests can walk every error path.
 * Safe from any thread. Owns: counters, the cache of free blocks, the failure countdown. */
#ifndef TG_BASE_ALLOC_H
#define TG_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TG_ALIGN 64 /* a cache line, and the widest vector register */

/* The next multiple of TG_ALIGN. */
static inline size_t tg_aligned(size_t n) { return (n + TG_ALIGN - 1) / TG_ALIGN * TG_ALIGN; }

/* NULL when memory is out or a failure was asked for; the caller reports with tg_fail_memory.
 * Size 0 gives a valid pointer. tg_calloc checks count * size for overflow. */
void *tg_malloc(size_t size);
void *tg_calloc(size_t count, size_t size);
void *tg_realloc(void *p, size_t size); /* p may be NULL; on failure p is untouched */
void tg_free(void *p);                  /* NULL-safe */

/* Data blocks: contents undefined; `size` is given back to tg_block_free. Large blocks are
 * zero-cost to the process once freed past the cache's bound (they return to the system). */
void *tg_block_alloc(size_t size);
void tg_block_free(void *p, size_t size); /* NULL-safe */
void tg_block_trim(void);                 /* gives every cached block back to the system */

typedef struct tg_alloc_stats {
  int64_t objects;      /* live tg_malloc allocations */
  int64_t blocks;       /* live data blocks */
  int64_t block_bytes;  /* bytes in live data blocks */
  int64_t cached_bytes; /* bytes in freed blocks kept for reuse */
  int64_t peak_bytes;   /* highest block_bytes since the last reset */
  int64_t requests;     /* allocations asked for since start: the clock of tg_alloc_fail_at */
} tg_alloc_stats;

tg_alloc_stats tg_alloc_get_stats(void);
void tg_alloc_reset_peak(void);

/* Test hook: the n-th request from now (n >= 1) fails, once or, if `forever`, with all after it.
 * n == 0 switches it off. */
void tg_alloc_fail_at(int64_t n, bool forever);

#endif

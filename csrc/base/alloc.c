/* The allocator: malloc with a count, and data blocks with a cache.
 *
 * A data block belongs to a size class, four to each power of two. A freed block stays in its class,
 * ready for the next request of that class, so a training loop, which asks for the same sizes in
 * each step, maps and faults in its memory once:
 *
 *     bin[class]   ->  block -> block -> block       newest first: the next request takes it
 *     oldest ... newest, over all classes             what the bound evicts goes from the old end
 *
 * Both lists run through the free blocks themselves (struct cached). The cache holds at most
 * CACHE_BYTES, and no block above CACHE_BLOCK: what one huge temporary took goes straight back to the
 * system. Blocks from MAP_BYTES on are mappings of their own, because a freed mapping is gone from
 * the process, whereas freed heap may not be; from HUGE_PAGE on they are aligned to huge pages.
 *
 * Invariants: `mutex` guards the lists and all block counts, and is held for a few instructions
 * only, never over a system call; fork takes it too, so that a child finds both lists whole.
 * Under AddressSanitizer blocks are exact and uncached, so that it sees what runs past them.
 * Callers: everything in the core. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MADV_HUGEPAGE */
#include "base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define EXACT_BLOCKS
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define EXACT_BLOCKS
#endif
#endif

#define MIB ((size_t)1 << 20)
#define CACHE_BYTES (256 * MIB)
#define CACHE_BLOCK (64 * MIB)
#define MAP_BYTES MIB
#define HUGE_PAGE (2 * MIB) /* page faults of a fresh 16 MiB block: 8 instead of 4096 */
#define CLASSES 76          /* class_of(CACHE_BLOCK) is the last one */

typedef struct block_class {
  int index;       /* -1: blocks of this size are not cached */
  size_t capacity; /* 0: no block can be that large */
} block_class;

/* What the first bytes of a free block hold. */
typedef struct cached {
  struct cached *next, *previous; /* in the bin */
  struct cached *newer, *older;
  block_class class;
} cached;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static cached *bin[CLASSES], *oldest, *newest;
static int64_t blocks, block_bytes, cached_bytes, peak_bytes;

/* Relaxed everywhere: they are counts and order no other memory. */
static _Atomic int64_t objects, requests;
static _Atomic int64_t fail_from; /* the request that fails; 0: none */
static _Atomic bool fail_forever;

/* Counts a request; true if a test wants it to fail. */
static bool request_fails(void) {
  int64_t now = atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed) + 1;
  int64_t from = atomic_load_explicit(&fail_from, memory_order_relaxed);
  if (from == 0 || now < from) return false;
  return now == from || atomic_load_explicit(&fail_forever, memory_order_relaxed);
}

void tg_alloc_fail_at(int64_t n, bool forever) {
  int64_t now = atomic_load_explicit(&requests, memory_order_relaxed);
  atomic_store_explicit(&fail_forever, forever, memory_order_relaxed);
  atomic_store_explicit(&fail_from, n <= 0 ? 0 : n < INT64_MAX - now ? now + n : INT64_MAX, memory_order_relaxed);
}

/* Bookkeeping */

void *tg_malloc(size_t size) {
  if (request_fails()) return NULL;
  void *p = malloc(size ? size : 1);
  if (p) atomic_fetch_add_explicit(&objects, 1, memory_order_relaxed);
  return p;
}

void *tg_calloc(size_t count, size_t size) {
  if (request_fails()) return NULL;
  void *p = count && size ? calloc(count, size) : calloc(1, 1); /* checks the product itself */
  if (p) atomic_fetch_add_explicit(&objects, 1, memory_order_relaxed);
  return p;
}

void *tg_realloc(void *p, size_t size) {
  if (!p) return tg_malloc(size);
  return request_fails() ? NULL : realloc(p, size ? size : 1);
}

void tg_free(void *p) {
  if (!p) return;
  atomic_fetch_sub_explicit(&objects, 1, memory_order_relaxed);
  free(p);
}

/* Size classes */

static size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

static block_class class_of(size_t size) {
  if (size > PTRDIFF_MAX - HUGE_PAGE) return (block_class){-1, 0};
#ifdef EXACT_BLOCKS
  return (block_class){-1, size ? size : 1};
#else
  if (size > CACHE_BLOCK) return (block_class){-1, round_up(size, MIB)};
  if (size == 0) size = 1;
  /* 64 128 192 256 320 384 448 512 640 768 896 1024 1280 ...: a step of TG_ALIGN, doubling with each power of two */
  int log2_step = size <= 512 ? 6 : 61 - __builtin_clzll(size - 1);
  size_t steps = ((size - 1) >> log2_step) + 1; /* 1..8; 5..8 once the step has grown */
  return (block_class){(log2_step - 6) * 4 + (int)steps - 1, steps << log2_step};
#endif
}

/* The system's memory */

#ifdef EXACT_BLOCKS
static bool is_mapped(size_t capacity) { return (void)capacity, false; }
#else
static bool is_mapped(size_t capacity) { return capacity >= MAP_BYTES; }
#endif

static void *map_block(size_t capacity) {
  /* A mapping starts at any page. To start at a huge one, map more and cut off both ends. */
  size_t extra = capacity >= HUGE_PAGE ? HUGE_PAGE : 0;
  char *start = mmap(NULL, capacity + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  if (!extra) return start;
  size_t before = round_up((uintptr_t)start, HUGE_PAGE) - (uintptr_t)start;
  if (before) munmap(start, before);
  if (before < extra) munmap(start + before + capacity, extra - before);
  start += before;
#ifdef MADV_HUGEPAGE
  madvise(start, capacity, MADV_HUGEPAGE); /* a hint: without huge pages it fails and nothing is lost */
#endif
  return start;
}

static void *system_alloc(size_t capacity) {
  if (is_mapped(capacity)) return map_block(capacity);
  void *p = NULL;
  return posix_memalign(&p, TG_ALIGN, capacity) == 0 ? p : NULL;
}

static void system_free(void *p, size_t capacity) {
  if (is_mapped(capacity)) munmap(p, capacity);
  else free(p);
}

/* The cache */

static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) { pthread_mutex_unlock(&mutex); }
/* If it fails, only a fork at the very moment when another thread holds the mutex is at risk. */
static void register_fork_handlers(void) { (void)pthread_atfork(lock, unlock, unlock); }

static void lock_cache(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_fork_handlers);
  lock();
}

/* Needs the mutex. */
static void cache_remove(cached *c) {
  if (c->next) c->next->previous = c->previous;
  if (c->previous) c->previous->next = c->next;
  else bin[c->class.index] = c->next;
  if (c->newer) c->newer->older = c->older;
  else newest = c->older;
  if (c->older) c->older->newer = c->newer;
  else oldest = c->newer;
  cached_bytes -= (int64_t)c->class.capacity;
}

/* Needs the mutex. */
static void cache_insert(cached *c, block_class class) {
  *c = (cached){.next = bin[class.index], .older = newest, .class = class};
  if (c->next) c->next->previous = c;
  bin[class.index] = c;
  if (newest) newest->newer = c;
  else oldest = c;
  newest = c;
  cached_bytes += (int64_t)class.capacity;
}

/* Takes the oldest blocks out until at most `bound` bytes are cached; they come back as a list through
 * `next`, for the caller to free once it has let go of the mutex, which it needs here. */
static cached *cache_evict(int64_t bound) {
  cached *evicted = NULL;
  while (cached_bytes > bound) {
    cached *c = oldest;
    cache_remove(c);
    c->next = evicted;
    evicted = c;
  }
  return evicted;
}

static void free_evicted(cached *c) {
  while (c) {
    cached *next = c->next;
    system_free(c, c->class.capacity);
    c = next;
  }
}

void tg_block_trim(void) {
  lock_cache();
  cached *evicted = cache_evict(0);
  unlock();
  free_evicted(evicted);
}

/* Data blocks */

/* Needs the mutex. */
static void count_block(size_t size) {
  blocks++;
  block_bytes += (int64_t)size;
  if (block_bytes > peak_bytes) peak_bytes = block_bytes;
}

void *tg_block_alloc(size_t size) {
  block_class class = class_of(size);
  if (request_fails() || !class.capacity) return NULL;
  lock_cache();
  cached *hit = class.index >= 0 ? bin[class.index] : NULL;
  if (hit) {
    cache_remove(hit);
    count_block(size);
  }
  unlock();
  void *p = hit;
  if (!p) {
    p = system_alloc(class.capacity);
    if (!p) { /* what lies in other classes may be what is missing */
      tg_block_trim();
      p = system_alloc(class.capacity);
    }
    if (!p) return NULL;
    lock();
    count_block(size);
    unlock();
  }
#ifdef TG_DEBUG
  memset(p, 0xff, size); /* NaN or -1: what reads a block before writing it stands out */
#endif
  return p;
}

void tg_block_free(void *p, size_t size) {
  if (!p) return;
  block_class class = class_of(size);
  cached *evicted = NULL;
  lock_cache();
  blocks--;
  block_bytes -= (int64_t)size;
  if (class.index >= 0) {
    cache_insert(p, class);
    evicted = cache_evict((int64_t)CACHE_BYTES);
  }
  unlock();
  free_evicted(evicted);
  if (class.index < 0) system_free(p, class.capacity);
}

tg_alloc_stats tg_alloc_get_stats(void) {
  lock_cache();
  tg_alloc_stats stats = {
      .objects = atomic_load_explicit(&objects, memory_order_relaxed),
      .blocks = blocks,
      .block_bytes = block_bytes,
      .cached_bytes = cached_bytes,
      .peak_bytes = peak_bytes,
      .requests = atomic_load_explicit(&requests, memory_order_relaxed),
  };
  unlock();
  return stats;
}

void tg_alloc_reset_peak(void) {
  lock_cache();
  peak_bytes = block_bytes;
  unlock();
}

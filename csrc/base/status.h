/* How the core reports failure: a status code is returned, and a message waits in a
 * thread-local buffer until py/ turns both into a Python exception.
 *
 * Owns: the codes and the message buffer. Nothing in the core raises, aborts or exits. */
#ifndef TG_BASE_STATUS_H
#define TG_BASE_STATUS_H

#include <stddef.h>
#include <stdint.h>

typedef enum tg_status {
  TG_OK = 0,
  TG_ERR_MEMORY,      /* MemoryError */
  TG_ERR_VALUE,       /* ValueError */
  TG_ERR_TYPE,        /* TypeError */
  TG_ERR_INDEX,       /* IndexError */
  TG_ERR_UNSUPPORTED, /* NotImplementedError */
  TG_ERR_INTERRUPTED, /* what the signal's handler raised: KeyboardInterrupt */
  TG_ERR_INTERNAL,    /* RuntimeError: a promise of the engine's own was broken */
} tg_status;

#define TG_MESSAGE_SIZE 1024 /* longer messages are cut */

#if defined(__GNUC__)
#define TG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TG_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TG_PRINTF(fmt, args)
#define TG_MUST_CHECK
#endif

/* Store the message (cut at the buffer's end) for this thread and return `code`. */
tg_status tg_fail(tg_status code, const char *format, ...) TG_PRINTF(2, 3);

/* Shorthand for the one failure that must not allocate: "out of memory: N bytes". */
tg_status tg_fail_memory(unsigned long long bytes);

/* The message of this thread's last tg_fail, "" if there was none. */
const char *tg_status_message(void);

/* Appends "(2, 3)" to the NUL-terminated text in `text` (capacity `cap`); cuts, never overflows. */
void tg_format_shape(char *text, size_t cap, int ndim, const int64_t *shape);

#endif

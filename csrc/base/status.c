/* The message buffer behind tg_status.
 *
 * One fixed buffer a thread, so that reporting a failure never allocates and never needs a lock.
 * Called by every module that can fail; read by py/ when it raises, and by the pool when it carries a
 * worker's failure over to the caller. */
#include "base/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[TG_MESSAGE_SIZE];

tg_status tg_fail(tg_status code, const char *format, ...) {
  char text[TG_MESSAGE_SIZE]; /* the arguments may contain the present message */
  va_list args;
  va_start(args, format);
  int written = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (written < 0) text[0] = '\0';
  memcpy(message, text, sizeof message);
  return code;
}

tg_status tg_fail_memory(unsigned long long bytes) {
  return tg_fail(TG_ERR_MEMORY, "out of memory: %llu bytes", bytes);
}

const char *tg_status_message(void) { return message; }

void tg_format_shape(char *text, size_t cap, int ndim, const int64_t *shape) {
  size_t used = strlen(text);
  for (int i = 0; i <= ndim && used < cap; i++) {
    int written;
    if (i < ndim) written = snprintf(text + used, cap - used, "%s%" PRId64, i ? ", " : "(", shape[i]);
    else written = snprintf(text + used, cap - used, ndim == 0 ? "()" : ndim == 1 ? ",)" : ")");
    if (written < 0) return;
    used += (size_t)written; /* past cap when cut, which ends the loop */
  }
}

/* Stopping a computation from outside: whoever starts one may give its thread a function that is asked again and
 * again whether to go on. When it says stop, loops end where they are, on all threads, and what was computed so far is
 * dropped.
 *
 * Loops that may take longer than some milliseconds call tg_interrupted between parts of them. One that can't return a
 * status just ends: its results are never used, as the runner of the kernels looks again after each of them.
 * Owns: the answer, and each thread's function. */
#ifndef TG_BASE_INTERRUPT_H
#define TG_BASE_INTERRUPT_H

#include <stdbool.h>
#include "base/status.h"

typedef bool (*tg_interrupt_fn)(void); /* true: stop. Called often, so it has to be quick most of the time. */

/* This thread starts a computation, or ends it if `ask` is NULL; forgets the last answer. One at a time. */
void tg_interrupt_watch(tg_interrupt_fn ask);

/* Shall loops end? Asks if this thread has a function, which isn't asked again while it runs. */
bool tg_interrupted(void);

tg_status tg_interrupt_status(void); /* TG_OK, or INTERRUPTED after tg_interrupted has been true */

#endif

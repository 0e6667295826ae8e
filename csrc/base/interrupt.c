/* The answer to "go on?" (see interrupt.h). One computation runs at a time, under the engine's lock, so there is one
 * answer; only the thread that started it asks, and the pool's workers read.
 * Callers: the pool, exec/, sched/; py/ gives the function. */
#include "base/interrupt.h"

#include <stdatomic.h>
#include <stddef.h>

/* Relaxed everywhere: it is a hint to workers, and the thread that sets it is the one that acts on it. */
static _Atomic bool stopped;
static _Thread_local tg_interrupt_fn asked;

void tg_interrupt_watch(tg_interrupt_fn ask) {
  asked = ask;
  atomic_store_explicit(&stopped, false, memory_order_relaxed);
}

bool tg_interrupted(void) {
  tg_interrupt_fn ask = asked;
  if (ask && !atomic_load_explicit(&stopped, memory_order_relaxed)) { /* once a handler has raised, none may run */
    asked = NULL;
    if (ask()) atomic_store_explicit(&stopped, true, memory_order_relaxed);
    asked = ask;
  }
  return atomic_load_explicit(&stopped, memory_order_relaxed);
}

tg_status tg_interrupt_status(void) {
  return atomic_load_explicit(&stopped, memory_order_relaxed) ? tg_fail(TG_ERR_INTERRUPTED, "interrupted") : TG_OK;
}

/* The thread pool: one parallel loop at a time, the caller is worker 0.
 *
 * Workers start at the first loop that wants them, sleep between loops, and are started anew in
 * a child process after fork. Size: TEENYGRAD_THREADS, else the CPUs this process may use
 * (affinity mask, then the cgroup quota, rounded up).
 * Owns: the threads and their wake-up state. Knows nothing of tensors or Python. */
#ifndef TG_BASE_POOL_H
#define TG_BASE_POOL_H

#include <stdint.h>
#include "base/status.h"

#define TG_MAX_THREADS 256

/* Called for each task 0 <= task < ntask once, on any worker 0 <= worker < tg_pool_size().
 * A non-OK status stops further tasks from being started and becomes the loop's result (the
 * first one to be recorded; its message is carried over to the caller's thread). */
typedef tg_status (*tg_task_fn)(void *context, int64_t task, int worker);

/* Runs all tasks and returns when they are done. One task, or a pool of one, runs inline. INTERRUPTED before a task
 * once the computation is to stop (base/interrupt.h): tasks should not take longer than some 10 ms, or ask themselves.
 * Tasks are handed out in order, one by one. If threads can't be started, the caller does all the work.
 * Not reentrant: called only under the engine's lock (the executors hold it). */
tg_status tg_pool_run(tg_task_fn fn, void *context, int64_t ntask);

/* When a worker was at one loop, and with how many of its tasks. */
typedef struct tg_span {
  double start, stop; /* by tg_clock */
  int64_t tasks;
  int worker;
} tg_span;

/* From now on notes who worked on each loop, in spans[0..cap): NULL ends it. A loop that one worker does alone is not
 * noted. Returns how many there would have been since the last call. Within a loop, as what computes there may ask, it
 * changes nothing. */
int64_t tg_pool_watch(tg_span *spans, int64_t cap);

int tg_pool_size(void);               /* number of workers, the caller included; >= 1 */
tg_status tg_pool_set_size(int size); /* stops the present workers; VALUE outside 1..TG_MAX_THREADS */

/* To be called once at load: sets the size, 0 for as many as tg_cpu_count says, and registers the fork handlers. */
tg_status tg_pool_init(int size);

#endif

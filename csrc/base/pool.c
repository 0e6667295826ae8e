/* The thread pool: workers that sleep between loops and take tasks off a counter within one.
 *
 *     caller:  write the job -> open the gate -> raise the epoch, wake workers -> take tasks
 *              -> close the gate -> wait until nobody is inside
 *     worker:  await another epoch -> enter the gate -> take tasks if it was open -> leave the gate
 *
 * The gate is one word: OPEN, and the number of workers inside. A worker may read the job only
 * inside, after it found the gate open; the caller may write it only when the gate is shut and empty. So
 * the caller never waits for a worker that has not come in: a loop whose tasks are done before the
 * others wake up costs no more than waking them.
 *
 * Invariants: `mutex` guards `sleepers` and all waiting; jobs, threads and size belong to the caller
 * (one at a time, under the engine's lock). A forked child starts from an empty pool: its
 * parent's workers do not exist in it.
 * Callers: exec/ runs loops; py/ sets the size. */
#ifdef __linux__
#define _GNU_SOURCE /* pthread_setaffinity_np */
#else
#define _POSIX_C_SOURCE 200809L /* sigset_t, pthread_sigmask */
#endif
#include "base/pool.h"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/interrupt.h"

#define OPEN ((int64_t)1 << 32)
#define CACHE_LINE 64
/* Looks at a word before sleeping on it. On a 3.7 GHz Zen 4 they last about 50 microseconds, as long as waking a
 * sleeper takes: a worker stays awake from one kernel of a graph to the next. */
#define SPINS 4000

typedef struct job {
  tg_task_fn fn;
  void *context;
  int64_t ntask;
} job;

static struct {
  /* Guarded by the gate. */
  job job;
  tg_status status; /* the first failure; written by the worker that set `failed` */
  char message[TG_MESSAGE_SIZE];
  _Atomic bool failed;
  tg_span *spans; /* NULL: nobody asked */
  int64_t cap;
  _Atomic int64_t nspan;

  _Alignas(CACHE_LINE) _Atomic int64_t next_task;
  _Alignas(CACHE_LINE) _Atomic int64_t gate;
  _Alignas(CACHE_LINE) _Atomic uint64_t epoch; /* raised under the mutex, for each loop and to stop */
  _Atomic bool stop;

  _Alignas(CACHE_LINE) pthread_mutex_t mutex;
  pthread_cond_t epoch_raised, gate_empty;
  int sleepers; /* workers waiting for epoch_raised */

  _Atomic bool busy; /* a loop runs, or the process is about to end: only one of them uses what follows */
  pthread_t thread[TG_MAX_THREADS]; /* [0] is unused: worker 0 is the caller */
  int started;                      /* workers running, the caller not counted */
  int limit;                        /* of `started`: less than size - 1 once the system refused a thread */
  int size;                         /* workers wanted, the caller included */
  int avoided;                      /* the CPU that workers are kept off, or -1 */
#ifdef __linux__
  cpu_set_t cpus; /* that they may have besides: those of the thread that started the first of them */
#endif
  int spins; /* 0 if there are more workers than CPUs: spinning would keep them from working */
} pool = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .epoch_raised = PTHREAD_COND_INITIALIZER,
    .gate_empty = PTHREAD_COND_INITIALIZER,
    .size = 1,
    .avoided = -1,
};

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb"); /* yield returns at once on most cores */
#endif
}

/* The job's side */

static void record_failure(tg_status status) {
  bool was_failed = false;
  /* Relaxed: the gate orders what the winner writes before the caller's reading it. */
  if (!atomic_compare_exchange_strong_explicit(&pool.failed, &was_failed, true, memory_order_relaxed,
                                               memory_order_relaxed))
    return;
  pool.status = status;
  memcpy(pool.message, tg_status_message(), strlen(tg_status_message()) + 1);
}

/* Returns how many were done. */
static int64_t run_tasks(int worker) {
  job j = pool.job;
  for (int64_t done = 0;; done++) {
    /* Relaxed: the counter only hands out numbers; the gate orders the data. */
    int64_t task = atomic_fetch_add_explicit(&pool.next_task, 1, memory_order_relaxed);
    if (task >= j.ntask) return done;
    tg_status status = tg_interrupted() ? tg_interrupt_status() : j.fn(j.context, task, worker);
    if (status == TG_OK) continue;
    record_failure(status);
    atomic_store_explicit(&pool.next_task, j.ntask, memory_order_relaxed);
    return done;
  }
}

static void take_tasks(int worker) {
  if (!pool.spans) {
    run_tasks(worker);
    return;
  }
  double start = tg_clock();
  int64_t tasks = run_tasks(worker);
  int64_t at = tasks ? atomic_fetch_add_explicit(&pool.nspan, 1, memory_order_relaxed) : pool.cap; /* the gate orders */
  if (at < pool.cap) pool.spans[at] = (tg_span){start, tg_clock(), tasks, worker};
}

int64_t tg_pool_watch(tg_span *spans, int64_t cap) {
  if (atomic_load_explicit(&pool.busy, memory_order_relaxed)) return 0; /* by this very thread, or at the end of all */
  pool.spans = spans;
  pool.cap = cap;
  return atomic_exchange_explicit(&pool.nspan, 0, memory_order_relaxed);
}

/* The workers */

/* Waits until the epoch is not `seen` and returns it. */
static uint64_t await_epoch(uint64_t seen) {
  for (int i = 0; i < pool.spins; i++) {
    /* Acquire, here and below: pairs with the release in raise_epoch, for `stop`. */
    uint64_t now = atomic_load_explicit(&pool.epoch, memory_order_acquire);
    if (now != seen) return now;
    pause_cpu();
  }
  pthread_mutex_lock(&pool.mutex);
  pool.sleepers++;
  uint64_t now;
  while ((now = atomic_load_explicit(&pool.epoch, memory_order_acquire)) == seen)
    pthread_cond_wait(&pool.epoch_raised, &pool.mutex);
  pool.sleepers--;
  pthread_mutex_unlock(&pool.mutex);
  return now;
}

static void *worker_main(void *argument) {
  int worker = (int)(intptr_t)argument;
  uint64_t epoch = 0;
  for (;;) {
    epoch = await_epoch(epoch);
    if (atomic_load_explicit(&pool.stop, memory_order_relaxed)) return NULL;
    /* Acquire: pairs with the release that opened the gate, so that the job is seen. */
    if (atomic_fetch_add_explicit(&pool.gate, 1, memory_order_acquire) & OPEN) take_tasks(worker);
    /* Release: what the tasks wrote is seen by the caller when it finds the gate empty. */
    if (atomic_fetch_sub_explicit(&pool.gate, 1, memory_order_release) == 1) {
      pthread_mutex_lock(&pool.mutex); /* the caller has either not looked yet or sleeps */
      pthread_cond_signal(&pool.gate_empty);
      pthread_mutex_unlock(&pool.mutex);
    }
  }
}

/* Starts workers until `wanted` run, or as many as the system grants: once refused, it isn't asked again. */
static void start_workers(int wanted) {
  if (wanted > pool.limit) wanted = pool.limit;
  if (pool.started >= wanted) return;
#ifdef __linux__
  if (pool.started == 0 && sched_getaffinity(0, sizeof pool.cpus, &pool.cpus)) CPU_ZERO(&pool.cpus);
#endif
  /* Signals belong to the program's own threads; faults stay with the thread that made them. */
  sigset_t blocked, before;
  sigfillset(&blocked);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  while (pool.started < wanted) {
    int worker = pool.started + 1;
    if (pthread_create(&pool.thread[worker], NULL, worker_main, (void *)(intptr_t)worker) != 0) {
      pool.limit = pool.started;
      break;
    }
    pool.started++;
    pool.avoided = -1;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Keeps workers off the CPU that the caller is on. Linux likes to wake a thread on the CPU of the one that wakes it,
 * and may then leave both there for tens of milliseconds while another CPU is idle. */
static void avoid_caller(void) {
#ifdef __linux__
  int cpu = pool.spins ? sched_getcpu() : -1; /* with more workers than CPUs, the caller's is wanted, too */
  cpu_set_t others = pool.cpus;
  if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == pool.avoided) return;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0) return;
  for (int i = 1; i <= pool.started; i++) pthread_setaffinity_np(pool.thread[i], sizeof others, &others);
  pool.avoided = cpu;
#endif
}

/* Raises the epoch and wakes up to `wanted` workers, those that are awake already included. */
static void raise_epoch(int wanted) {
  pthread_mutex_lock(&pool.mutex);
  atomic_fetch_add_explicit(&pool.epoch, 1, memory_order_release);
  int asleep = wanted - (pool.started - pool.sleepers);
  if (asleep >= pool.sleepers) pthread_cond_broadcast(&pool.epoch_raised);
  else
    for (; asleep > 0; asleep--) pthread_cond_signal(&pool.epoch_raised);
  pthread_mutex_unlock(&pool.mutex);
}

static void stop_workers(void) {
  if (pool.started == 0) return;
  atomic_store_explicit(&pool.stop, true, memory_order_relaxed);
  raise_epoch(pool.started);
  for (; pool.started > 0; pool.started--) pthread_join(pool.thread[pool.started], NULL);
  atomic_store_explicit(&pool.stop, false, memory_order_relaxed);
}

/* At exit, and when the library is unloaded: no thread may run in code that is gone. A loop that another
 * thread still runs keeps its workers, and the process ends around them. */
__attribute__((destructor)) static void stop_at_exit(void) {
  if (!atomic_exchange_explicit(&pool.busy, true, memory_order_acquire)) stop_workers();
}

/* The caller's side */

/* Returns when the gate is shut and nobody is inside; what workers wrote is then visible. */
static void await_empty_gate(void) {
  /* Acquire: pairs with the release of each worker that left. */
  for (int i = 0; i < pool.spins; i++) {
    if (atomic_load_explicit(&pool.gate, memory_order_acquire) == 0) return;
    pause_cpu();
  }
  pthread_mutex_lock(&pool.mutex);
  while (atomic_load_explicit(&pool.gate, memory_order_acquire) != 0) pthread_cond_wait(&pool.gate_empty, &pool.mutex);
  pthread_mutex_unlock(&pool.mutex);
}

static tg_status run_inline(tg_task_fn fn, void *context, int64_t ntask) {
  tg_status status = TG_OK;
  for (int64_t task = 0; task < ntask && status == TG_OK; task++)
    status = tg_interrupted() ? tg_interrupt_status() : fn(context, task, 0);
  return status;
}

static tg_status run_shared(tg_task_fn fn, void *context, int64_t ntask, int helpers) {
  pool.job = (job){fn, context, ntask};
  atomic_store_explicit(&pool.failed, false, memory_order_relaxed);
  atomic_store_explicit(&pool.next_task, 0, memory_order_relaxed);
  atomic_fetch_or_explicit(&pool.gate, OPEN, memory_order_release); /* publishes the lines above */
  avoid_caller();
  raise_epoch(helpers);
  take_tasks(0);
  atomic_fetch_and_explicit(&pool.gate, ~OPEN, memory_order_relaxed);
  await_empty_gate();
  if (!atomic_load_explicit(&pool.failed, memory_order_relaxed)) return TG_OK;
  return tg_fail(pool.status, "%s", pool.message);
}

tg_status tg_pool_run(tg_task_fn fn, void *context, int64_t ntask) {
  int helpers = ntask < pool.size ? (int)ntask - 1 : pool.size - 1;
  /* Acquire and release: loops of different threads follow one another. */
  if (helpers <= 0 || atomic_exchange_explicit(&pool.busy, true, memory_order_acquire))
    return run_inline(fn, context, ntask);
  start_workers(helpers);
  tg_status status = pool.started ? run_shared(fn, context, ntask, helpers) : run_inline(fn, context, ntask);
  atomic_store_explicit(&pool.busy, false, memory_order_release);
  return status;
}

int tg_pool_size(void) { return pool.size; }

static void apply_size(int size) {
  int cpus = tg_cpu_count();
  pool.size = size ? size : cpus < TG_MAX_THREADS ? cpus : TG_MAX_THREADS;
  pool.limit = pool.size - 1;
  pool.spins = pool.size <= cpus ? SPINS : 0;
}

tg_status tg_pool_set_size(int size) {
  if (size < 1 || size > TG_MAX_THREADS)
    return tg_fail(TG_ERR_VALUE, "number of threads must be between 1 and %d, not %d", TG_MAX_THREADS, size);
  stop_workers();
  apply_size(size);
  return TG_OK;
}

/* Start-up and fork */

/* The child has one thread and a copy of whatever state its parent's loop was in. */
static void forget_workers(void) {
  pool.started = pool.sleepers = 0;
  pool.spans = NULL;
  pool.limit = pool.size - 1;
  atomic_store_explicit(&pool.busy, false, memory_order_relaxed);
  atomic_store_explicit(&pool.gate, 0, memory_order_relaxed);
  atomic_store_explicit(&pool.stop, false, memory_order_relaxed);
  pthread_mutex_init(&pool.mutex, NULL);
  pthread_cond_init(&pool.epoch_raised, NULL);
  pthread_cond_init(&pool.gate_empty, NULL);
}

tg_status tg_pool_init(int size) {
  apply_size(size);
  if (pthread_atfork(NULL, NULL, forget_workers) != 0) return tg_fail(TG_ERR_MEMORY, "no memory for the fork handlers");
  return TG_OK;
}

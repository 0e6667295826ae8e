/* What kernels of the block machine share in cutting their work into tasks: how much a task is, and the memory that a
 * worker has for it. */
#ifndef TG_EXEC_TASKS_H
#define TG_EXEC_TASKS_H

#include "base/status.h"

#define TG_TASK_COST (1 << 17) /* simple operations: about 10 us, several times a wake-up */
#define TG_TASK_MOST (1 << 21) /* less than 10 ms even where each of them misses the caches */

/* Points a task covers: a multiple of `unit`, worth the hand-over, leaving several tasks a worker, and over soon
 * enough for an interrupt. */
int64_t tg_task_points(int64_t points, int64_t unit, int64_t cost);

/* Scratch memory of so many workers, made before the loop starts so that tasks can't fail. */
typedef struct tg_workspace {
  char *memory;
  size_t each, total;
} tg_workspace;

tg_status tg_workspace_init(tg_workspace *w, int workers, size_t each) TG_MUST_CHECK; /* MEMORY */
void tg_workspace_free(tg_workspace *w);                                              /* safe on a zeroed struct */
char *tg_workspace_of(const tg_workspace *w, int worker);

#endif

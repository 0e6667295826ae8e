/* Tasks and the memory of workers (see tasks.h). Callers: run.c, reduce.c, rows.c, sequence.c, sort.c. */
#include "exec/tasks.h"

#include "base/alloc.h"
#include "base/integers.h"
#include "base/pool.h"

int64_t tg_task_points(int64_t points, int64_t unit, int64_t cost) {
  int64_t least = tg_round_up(tg_ceil_div(TG_TASK_COST, cost), unit);
  int64_t share = tg_round_up(tg_ceil_div(points, (int64_t)tg_pool_size() * 16), unit);
  int64_t most = tg_round_up(tg_ceil_div(TG_TASK_MOST, cost), unit);
  return tg_min(tg_max(share, least), most);
}

tg_status tg_workspace_init(tg_workspace *w, int workers, size_t each) {
  w->each = tg_aligned(each);
  if (__builtin_mul_overflow(w->each, (size_t)workers, &w->total)) return tg_fail_memory(SIZE_MAX);
  w->memory = tg_block_alloc(w->total);
  return w->memory ? TG_OK : tg_fail_memory(w->total);
}

void tg_workspace_free(tg_workspace *w) { tg_block_free(w->memory, w->total); }

char *tg_workspace_of(const tg_workspace *w, int worker) { return w->memory + (size_t)worker * w->each; }

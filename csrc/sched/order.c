/* Which groups need which, so that none has to wait for itself, and the order in which they run (see builder.h).
 *
 * Edges lead from a group to those that store what it reads. They are known as far as items have been placed, which is
 * all that counts: an item placed later is checked when its turn comes.
 * Owns: nothing; the edges are the builder's. Caller: group.c. */
#include "base/alloc.h"
#include "sched/builder.h"

#define MAX_SEARCH 512 /* groups looked at for a cycle */

tg_status tg_reading_groups(tg_builder *b, int64_t i, int64_t **list, int64_t *count) {
  int64_t *stack = NULL, *groups = NULL, depth = 0, cap_stack = 0, n = 0, cap_groups = 0, mark = ++b->searches;
  tg_status status = tg_grow(&stack, depth, &cap_stack, sizeof *stack);
  if (status) return status;
  stack[depth++] = i;
  while (depth && !status) {
    int64_t from = b->items[stack[--depth]].first_reader;
    for (int64_t e = from; e >= 0 && !status; e = b->edges[e].next) {
      item *reader = &b->items[b->edges[e].reader];
      if (reader->group >= 0 && b->groups[reader->group].mark != mark) {
        if ((status = tg_grow(&groups, n, &cap_groups, sizeof *groups))) break;
        b->groups[reader->group].mark = mark;
        groups[n++] = reader->group;
      } else if (reader->group < 0 && reader->mark != mark) {
        reader->mark = mark;
        status = tg_grow(&stack, depth, &cap_stack, sizeof *stack);
        if (!status) stack[depth++] = b->edges[e].reader;
      }
    }
  }
  tg_free(stack);
  *list = groups;
  *count = n;
  if (!status) return TG_OK;
  tg_free(groups);
  *list = NULL;
  return status;
}

tg_status tg_add_needs(tg_builder *b, const int64_t *from, int64_t n, int64_t on) {
  for (int64_t i = 0; i < n; i++) {
    if (from[i] == on) continue;
    tg_status status = tg_grow(&b->needs, b->nneed, &b->cap_need, sizeof *b->needs);
    if (status) return status;
    b->needs[b->nneed] = (need){on, b->groups[from[i]].first_need};
    b->groups[from[i]].first_need = b->nneed++;
  }
  return TG_OK;
}

bool tg_needs_any(tg_builder *b, int64_t g, const int64_t *others, int64_t n) {
  int64_t stack[MAX_SEARCH], depth = 0, seen = 0, mark = ++b->searches;
  stack[depth++] = g;
  b->groups[g].mark = mark;
  while (depth) {
    for (int64_t e = b->groups[stack[--depth]].first_need; e >= 0; e = b->needs[e].next) {
      group *next = &b->groups[b->needs[e].group];
      if (next->mark == mark) continue;
      if (++seen == MAX_SEARCH) return true;
      next->mark = mark;
      stack[depth++] = b->needs[e].group;
    }
  }
  for (int64_t i = 0; i < n; i++)
    if (others[i] != g && b->groups[others[i]].mark == mark) return true;
  return false;
}

tg_status tg_order_groups(tg_builder *b) {
  size_t bytes = (size_t)b->ngroup * sizeof *b->order;
  int64_t *stack = tg_malloc(bytes), n = 0, mark = ++b->searches;
  b->order = tg_malloc(bytes);
  if (b->ngroup && (!stack || !b->order)) {
    tg_free(stack);
    return tg_fail_memory(bytes);
  }
  for (int64_t g = b->ngroup - 1; g >= 0; g--) { /* the last one placed has the first root */
    int64_t depth = 0;
    if (b->groups[g].mark == mark) continue;
    b->groups[g].mark = mark;
    stack[depth++] = g;
    while (depth) {
      group *top = &b->groups[stack[depth - 1]];
      while (top->first_need >= 0 && b->groups[b->needs[top->first_need].group].mark == mark)
        top->first_need = b->needs[top->first_need].next;
      if (top->first_need < 0) {
        b->order[n++] = stack[--depth];
      } else {
        b->groups[b->needs[top->first_need].group].mark = mark;
        stack[depth++] = b->needs[top->first_need].group;
      }
    }
  }
  tg_free(stack);
  return TG_OK;
}

/* Chains: consecutive kernels that are run slice by slice, so that what they pass on stays in cache.
 *
 * Attention is the example: of scores (b, h, m, n), their softmax, and the product of that with the values, each m
 * needs that m alone. So a worker takes some of them through all three kernels, and scores are never stored:
 *
 *      kernel by kernel                    slice by slice
 *      CONTRACT  ========                  ==|==|==|==
 *      ROWS      ========                  ==|==|==|==     time runs down each column, then to the next one
 *      CONTRACT  ========                  ==|==|==|==
 *
 * Owns: nothing. */
#ifndef TG_SCHED_CHAIN_H
#define TG_SCHED_CHAIN_H

#include "sched/schedule.h"

/* Finds the chains of a schedule whose slots are complete, by shapes alone, where they save more than they cost. */
tg_status tg_find_chains(tg_schedule *s, tg_parts_fn has_parts) TG_MUST_CHECK;

int64_t tg_chain_slices(const tg_chain *c);
/* The units [*first, *first + *count) of a slice. */
void tg_chain_slice(const tg_chain *c, int64_t slice, int64_t *first, int64_t *count);

#endif

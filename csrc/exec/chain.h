/* Runs a chain of kernels slice by slice (sched/chain.h). */
#ifndef TG_EXEC_CHAIN_H
#define TG_EXEC_CHAIN_H

#include "exec/execute.h"

/* slots: those of the schedule; local ones are unused. If timing is not NULL, it gets how long each of the chain's
 * kernels took, its share of the whole, as if one had run after the other. Needs the engine's lock. Fails as
 * tg_run_kernel. */
tg_status tg_chain_run(const tg_schedule *s, const tg_chain *c, void *const *slots, tg_timing *timing) TG_MUST_CHECK;

#endif

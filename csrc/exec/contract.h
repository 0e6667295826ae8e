/* The contraction: SUM over MUL of two views as a blocked matrix product.
 *
 * Blocks are read straight from the strided, masked views; no operand, window or product is
 * stored whole. float16 and bfloat16 operands are converted while packing, sums are float32.
 * The order of summation depends on the shape, and for windows on how these lie in memory; never on the threads. */
#ifndef TG_EXEC_CONTRACT_H
#define TG_EXEC_CONTRACT_H

#include "sched/kernel.h"

/* As tg_run_kernel. */
tg_status tg_contract_run(const tg_kernel *kernel, void *const *slots) TG_MUST_CHECK;

/* Are its sums in parts those of the whole (a tg_parts_fn)? Those of inner products (dot.h) are not. */
bool tg_contract_has_parts(const tg_kernel *kernel);

/* A contraction that one worker computes part by part; as tg_part (run.h), its rows being the points of batch and m. */
typedef struct tg_contract tg_contract;
tg_status tg_contract_open(const tg_kernel *kernel, void *const *slots, int64_t rows, tg_contract **out) TG_MUST_CHECK;
tg_status tg_contract_run_part(tg_contract *c, int64_t first, int64_t rows) TG_MUST_CHECK;
void tg_contract_close(tg_contract *c); /* NULL-safe */

#endif

/* What the processor can do, and what the environment allows.
 * Owns: detection of the instruction set and TEENYGRAD_ISA. */
#ifndef TG_BASE_CPU_H
#define TG_BASE_CPU_H

#include <stdbool.h>

typedef enum tg_isa { TG_ISA_BASE, TG_ISA_AVX2, TG_ISA_AVX512, TG_ISA_COUNT } tg_isa;

extern const char *const tg_isa_name[TG_ISA_COUNT]; /* "base", "avx2", "avx512" */

bool tg_cpu_supports(tg_isa isa);
bool tg_cpu_multiplies_bf16(void); /* AVX-512's instructions for bfloat16 */

/* The best supported one, or what TEENYGRAD_ISA names. An unknown or unsupported name falls back
 * to the best supported one, and *ignored (may be NULL) points at the name, for a warning. */
tg_isa tg_cpu_choose(const char **ignored);

int tg_cpu_count(void); /* CPUs this process may use: affinity, then cgroup quota, >= 1 */

#endif

/* Chooses the kernels: the baseline first, then each wider instruction set up to the one asked for
 * replaces what it has a version of, so no pointer depends on a set being complete.
 * Owns: `tgk` and the name of the set in force. Called once at load, and by tests to switch. */
#include "kernels/kernels.h"

#include "kernels/isa.h"

tgk_table tgk;
static tg_isa in_force = TG_ISA_BASE;

void tgk_init(tg_isa isa) {
  tgk_table made = {0}; /* whole before it is put in place: a reader never finds an empty pointer */
  tgk_fill__base(&made);
  if (isa >= TG_ISA_AVX2) tgk_fill__avx2(&made);
  if (isa >= TG_ISA_AVX512) tgk_fill__avx512(&made);
  if (isa >= TG_ISA_AVX512 && tg_cpu_multiplies_bf16()) tgk_fill_bf16__avx512(&made);
  tgk = made;
  in_force = isa;
}

tg_isa tgk_isa(void) { return in_force; }

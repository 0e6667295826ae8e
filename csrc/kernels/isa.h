/* What dispatch.c knows of the translation units that hold kernels, one an instruction set.
 * Each fills the pointers it has a version of; on a processor family without the set, none. */
#ifndef TG_KERNELS_ISA_H
#define TG_KERNELS_ISA_H

#include "kernels/kernels.h"

void tgk_fill__base(tgk_table *t);        /* every pointer that kernels.h promises */
void tgk_fill__avx2(tgk_table *t);        /* needs AVX2, FMA, F16C */
void tgk_fill__avx512(tgk_table *t);      /* needs these and AVX-512 F, VL, BW, DQ */
void tgk_fill_bf16__avx512(tgk_table *t); /* and BF16 */

#endif

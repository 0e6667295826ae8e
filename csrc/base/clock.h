/* The clock that kernels and probes are timed with. */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

double tg_clock(void); /* seconds since some moment; never runs backwards */

double tg_clock_coarse(void); /* the same to some milliseconds, in a few nanoseconds */

#endif

/*
 * Clocks of the tools, in nanoseconds.
 *
 * Measure durations with clock_now_ns(). The wall clock dates events, and may
 * jump.
 */
#ifndef WEIR_COMMON_CLOCK_H
#define WEIR_COMMON_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);

/* Returns the time since 1970. */
uint64_t clock_wall_ns(void);

/* Returns the time since 1970 at the kernel's last tick, which is faster. */
uint64_t clock_wall_coarse_ns(void);

#endif

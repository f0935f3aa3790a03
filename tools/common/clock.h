/*
 * The clocks of the tools, in nanoseconds.
 *
 * Times between two events are differences of clock_now_ns(); the wall clock
 * says when something was, and may jump.
 */
#ifndef WEIR_COMMON_CLOCK_H
#define WEIR_COMMON_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);

/* Since 1970. */
uint64_t clock_wall_ns(void);

/* Since 1970, as of the kernel's last tick, which costs less. */
uint64_t clock_wall_coarse_ns(void);

#endif

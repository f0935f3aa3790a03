/*
 * Reads the clocks with clock_gettime(). This cannot fail for these clocks, so
 * the functions return a time and no error. With a vDSO reading a clock does
 * not enter the kernel.
 */
#include "clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t clock_wall_coarse_ns(void)
{
    return read_clock(CLOCK_REALTIME_COARSE);
}

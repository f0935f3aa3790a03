/*
 * The counters of a loop, as a value.
 *
 * A test compares one of them, or computes the difference of two sets.
 * tests/contract/stats.c tests the errors of the call.
 */
#ifndef WEIR_TESTS_STATISTICS_H
#define WEIR_TESTS_STATISTICS_H

#include "expect.h"

#include <weir/inspect.h>

static inline struct weir_loop_statistics statistics_of(const weir_loop *of)
{
    struct weir_loop_statistics now = {.size = sizeof(now)};
    expect_eq(weir_loop_get_statistics(of, &now), 0);
    return now;
}

#endif

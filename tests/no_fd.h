/*
 * A process that temporarily cannot open descriptors.
 *
 * RLIMIT_NOFILE limits the numbers of new descriptors: open descriptors stay
 * open, and no other one can be opened.
 */
#ifndef WEIR_TESTS_NO_FD_H
#define WEIR_TESTS_NO_FD_H

#include "expect.h"

#include <sys/resource.h>
#include <unistd.h>

static inline struct rlimit use_up_descriptors(void)
{
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int first_free = dup(STDERR_FILENO);
    expect_eq(close(first_free), 0);
    const struct rlimit none = {(rlim_t)first_free, before.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static inline void give_descriptors(const struct rlimit *before)
{
    expect_eq(setrlimit(RLIMIT_NOFILE, before), 0);
}

#endif

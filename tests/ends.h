/*
 * The end of what a test has made.
 *
 * A child is waited for, and its status is what a test compares. Both ends of a
 * pipe or of a connection are closed at once.
 */
#ifndef WEIR_TESTS_ENDS_H
#define WEIR_TESTS_ENDS_H

#include "expect.h"

#include <sys/wait.h>
#include <unistd.h>

/* Waits for a child: its status as of waitpid(), 0 when it has returned 0. */
static inline int end_of(pid_t child)
{
    int status = -1;
    expect_eq(waitpid(child, &status, 0), child);
    return status;
}

static inline void close_ends(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

#endif

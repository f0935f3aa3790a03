/*
 * Ends what a test has created.
 *
 * Waits for a child, whose status the test compares, or closes both ends of a
 * pipe or connection at once.
 */
#ifndef WEIR_TESTS_ENDS_H
#define WEIR_TESTS_ENDS_H

#include "expect.h"

#include <sys/wait.h>
#include <unistd.h>

/* Waits for a child. Returns its status from waitpid(). */
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

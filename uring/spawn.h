/*
 * Children: making one, signalling it, and taking its exit status.
 *
 * The third part of the seam (ring.h, sys.h): a test may replace all of it. A
 * child is named by its pidfd from its first moment on, so that no call here
 * can reach another process that got the same number. Every function returns a
 * negative errno.
 */
#ifndef WEIR_URING_SPAWN_H
#define WEIR_URING_SPAWN_H

#include "../include/weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A child's standard descriptors. */
enum { WR_STDIO_IN, WR_STDIO_OUT, WR_STDIO_ERR, WR_STDIO_COUNT };

/* The child as it is to be. All of it is borrowed. */
struct wr_spawn {
    const char *const *paths; /* of the program, tried in order; ends with NULL,
                               * and has at least one */
    const char *const *argv;
    const char *const *env;
    const char *cwd;           /* NULL: the parent's */
    int stdio[WR_STDIO_COUNT]; /* become 0, 1 and 2; -1: the parent's own */
    const int *pass_fds;       /* from 3 on, kept with their numbers */
    size_t pass_fd_count;
    bool new_session;
    bool set_group;
    pid_t group; /* 0: a new one */
    bool set_umask;
    mode_t umask;
};

/* Makes a child that runs the program; the thread sleeps until it does. An
 * error of any step, of the execve() too, leaves no child. *ret_step names the
 * step that failed, a static text. Of the parent's descriptors the child has
 * its own three and pass_fds, whatever other threads open meanwhile; its
 * signals are unblocked and have no handlers. The thread's errno is kept. */
WEIR_MUST_USE int wr_spawn(const struct wr_spawn *spawn, pid_t *ret_pid,
                           int *ret_pidfd, const char **ret_step);

/* 1 when the child has ended and was reaped here: then its number may belong to
 * another process. *ret is the exit status, or minus the signal that ended it.
 * 0 while it lives. -ECHILD when it was reaped elsewhere. */
WEIR_MUST_USE int wr_spawn_reap(int pidfd, int *ret);

/* The exit status of a child that was reaped elsewhere, as wr_spawn_reap()
 * gives it; Linux 6.15. -ENOTTY, -EINVAL or -ENODATA: it is not known. */
WEIR_MUST_USE int wr_spawn_query(int pidfd, int *ret);

/* -ESRCH once it was reaped. */
WEIR_MUST_USE int wr_spawn_signal(int pidfd, int signum);

/* Signals all processes of the group that the child leads or led, also when it
 * was reaped. -ESRCH: there is none; Linux 6.9, before it -EINVAL. */
WEIR_MUST_USE int wr_spawn_signal_group(int pidfd, int signum);

/* Sleeps until the child has ended, at most @timeout_ms. */
void wr_spawn_await(int pidfd, int timeout_ms);

#endif

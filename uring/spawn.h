/*
 * Child processes: making them, signalling them, and reading exit statuses.
 *
 * A child is identified by its pidfd from the start, so that no call can reach
 * another process with the same number. Every function returns a negative errno
 * on failure. Like ring.h and sys.h, this header may be replaced by a test.
 */
#ifndef WEIR_URING_SPAWN_H
#define WEIR_URING_SPAWN_H

#include "../include/weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WR_STDIO_IN, WR_STDIO_OUT, WR_STDIO_ERR, WR_STDIO_COUNT };

/* The settings of a child. The pointers must stay valid during wr_spawn(). */
struct wr_spawn {
    const char *const *paths; /* tried in order; at least one, then NULL */
    const char *const *argv;
    const char *const *env;
    const char *cwd; /* NULL means the parent's */
    /* become 0, 1 and 2 in the child; -1 keeps the parent's */
    int stdio[WR_STDIO_COUNT];
    const int *pass_fds; /* each is 3 or higher and keeps its number */
    size_t pass_fd_count;
    bool new_session;
    bool set_group;
    pid_t group; /* 0 makes a new group */
    bool set_umask;
    mode_t umask;
};

/* Makes a child, and sleeps until the child runs the program. If any step
 * fails, even execve(), there is no child, and *ret_step is a static string
 * that names the step. The child has only descriptors 0 to 2 and pass_fds, even
 * if other threads open files meanwhile. Its signals are unblocked and have no
 * handlers. */
WEIR_MUST_USE int wr_spawn(const struct wr_spawn *spawn, pid_t *ret_pid,
                           int *ret_pidfd, const char **ret_step);

/* Returns 1 if this call has reaped the child, whose number may then be reused.
 * *ret is the exit status, or minus the signal that ended the child. Returns 0
 * if the child runs, -ECHILD if other code has reaped it. */
WEIR_MUST_USE int wr_spawn_reap(int pidfd, int *ret);

/* Gets the exit status of a child that other code has reaped, in the format of
 * wr_spawn_reap(), since Linux 6.15. Returns -ENOTTY, -EINVAL or -ENODATA if
 * the status is unknown. */
WEIR_MUST_USE int wr_spawn_query(int pidfd, int *ret);

/* Returns -ESRCH if the child was reaped. */
WEIR_MUST_USE int wr_spawn_signal(int pidfd, int signum);

/* Signals all processes of the group that the child leads or led, even after it
 * was reaped. Returns -ESRCH if there are none, -EINVAL before Linux 6.9. */
WEIR_MUST_USE int wr_spawn_signal_group(int pidfd, int signum);

void wr_spawn_await(int pidfd, int timeout_ms);

#endif

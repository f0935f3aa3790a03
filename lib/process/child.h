/*
 * A child process and its end.
 *
 *     NONE --spawn--> SPAWNED --watch--> WATCHED --its end--> EXITED, UNKNOWN
 *                                           |                    ^
 *                                           '--leave--> LEAVING -'
 *
 * A poll waits for the child's pidfd, and the child is reaped when the pidfd
 * reports its end. No other code of the library reaps it, so a signal reaches
 * the child or is refused, and never reaches another process. State UNKNOWN is
 * the end of a child that other code has reaped, or that cannot be waited for.
 *
 * A child that leads a process group keeps its pidfd after its end, until
 * wr_child_fini(), unless the kernel cannot signal a group through it: as long
 * as a process of the group lives, the pidfd names the group.
 */
#ifndef WEIR_LIB_PROCESS_CHILD_H
#define WEIR_LIB_PROCESS_CHILD_H

#include "lib/loop/loop.h"
#include "uring/spawn.h"

enum wr_child_state {
    WR_CHILD_NONE,
    WR_CHILD_SPAWNED,
    WR_CHILD_WATCHED,
    WR_CHILD_LEAVING,
    WR_CHILD_EXITED,
    WR_CHILD_UNKNOWN,
    WR_CHILD_STATES,
};

struct wr_child {
    weir_loop *loop;
    struct wr_op op;      /* polls the pidfd */
    struct wr_timer rest; /* time until it is polled again */
    /* Called from a completion when the child has ended. */
    void (*ended)(struct wr_child *child);
    enum wr_child_state state;
    bool leads; /* set by the spawn: leads a group that can be signalled */
    pid_t pid;
    int pidfd;      /* -1 without a child, or when it has ended and leads no
                     * group */
    int returncode; /* of an EXITED child */
};

void wr_child_init(struct wr_child *child, weir_loop *loop,
                   void (*ended)(struct wr_child *child));
void wr_child_check_invariants(const struct wr_child *child);

/* Makes the child; returns like wr_spawn(). */
WEIR_MUST_USE int wr_child_spawn(struct wr_child *child,
                                 const struct wr_spawn *spawn,
                                 const char **ret_step);

void wr_child_watch(struct wr_child *child);

/* Stops waiting: ->ended is called soon. */
void wr_child_leave(struct wr_child *child);

/* The ring is closed: kills the child and reaps it. */
void wr_child_abandon(struct wr_child *child);

/* Frees a child that has ended, or was never made. */
void wr_child_fini(struct wr_child *child);

/* Returns 0, -ESRCH if the child has ended, or another error. */
WEIR_MUST_USE int wr_child_signal(const struct wr_child *child, int signum);

/* Signals the group that the child leads or led. Returns 0, -ESRCH if it is
 * empty, -EOPNOTSUPP if the kernel has no such call, or another error. */
WEIR_MUST_USE int wr_child_signal_group(const struct wr_child *child,
                                        int signum);

static inline bool wr_child_has_ended(const struct wr_child *child)
{
    return child->state >= WR_CHILD_EXITED;
}

/* Returns 0, -EAGAIN while the child lives, or WEIR_ENOSTATUS. */
WEIR_MUST_USE int wr_child_returncode(const struct wr_child *child, int *ret);

#endif

/*
 * A task's call on a descriptor of the program: its turn, and its waits.
 *
 * Calls on one descriptor are served one after the other, in each direction:
 * the first in the queue uses it, the others wait. The record of a call lies on
 * the stack of its task. There are two ways to wait. Until the descriptor is
 * ready: then nothing is taken before the task runs, and an interruption has
 * nothing to undo. Or for an operation: an interruption cancels it and waits
 * for its end, and what it brings in spite of that is the call's result.
 */
#ifndef WEIR_LIB_WATCH_FD_CALL_H
#define WEIR_LIB_WATCH_FD_CALL_H

#include "lib/task/task.h"
#include "lib/watch/descriptor.h"

struct wr_fd_call {
    struct wr_list link; /* in the queue of its descriptor and direction */
    struct wr_list *queue;
    struct wr_waiter waiter;
    struct wr_member member; /* while the operation is in flight */
    struct wr_op op;
    weir_loop *loop;
    int fd;
    enum wr_direction direction;
    const char *what; /* its operation is for, static text */
};

/* Begins a suspending call and waits for its turn. After an error it is not to
 * be ended. Errors as of wr_task_enter() and wr_descriptor_check_free(). */
WEIR_MUST_USE int wr_fd_call_begin(struct wr_fd_call *call, weir_loop *loop,
                                   int fd, enum wr_direction direction);

/* Waits until the descriptor is ready: 0, -ECANCELED, or why it cannot. */
WEIR_MUST_USE int wr_fd_call_wait(struct wr_fd_call *call);

/* The call's operation may be prepared; @what, static text, names it in dumps.
 */
void wr_fd_call_init_op(struct wr_fd_call *call, const char *what);

/* Waits for the call's operation, which was prepared: its result. */
WEIR_MUST_USE int wr_fd_call_operate(struct wr_fd_call *call);

/* The next call in the queue has its turn. */
void wr_fd_call_end(struct wr_fd_call *call);

#endif

/*
 * A task's call on a descriptor of the program: its position in a queue, and
 * its waits. Calls on one descriptor are served in order, in each direction:
 * the first in the queue uses the descriptor, the others wait. The record of a
 * call is on its task's stack.
 *
 * A call can wait until the descriptor is ready: nothing is read before the
 * task runs, so an interruption has nothing to undo. Or it can wait for an
 * operation: an interruption cancels the operation and waits for its end, and
 * if the operation succeeded nevertheless, the call returns its result.
 */
#ifndef WEIR_LIB_WATCH_FD_CALL_H
#define WEIR_LIB_WATCH_FD_CALL_H

#include "lib/task/task.h"
#include "lib/watch/descriptor.h"

struct wr_fd_call {
    struct wr_list link; /* in the queue of the descriptor, for one direction */
    struct wr_list *queue;
    struct wr_waiter waiter;
    struct wr_member member; /* object of the loop while ->op is in flight */
    struct wr_file_op op;
    weir_loop *loop;
    int fd;
    enum wr_direction direction;
    const char *what; /* name of the operation, static */
};

/* Starts a suspending call and waits for its turn. Returns 0, an error of
 * wr_task_enter() or wr_descriptor_check_free(), -ENOMEM or -ECANCELED. After
 * an error, wr_fd_call_end() must not be called. */
WEIR_MUST_USE int wr_fd_call_begin(struct wr_fd_call *call, weir_loop *loop,
                                   int fd, enum wr_direction direction);

/* Returns 0 once ready, -ECANCELED, or the error of the poll. */
WEIR_MUST_USE int wr_fd_call_wait(struct wr_fd_call *call);

/* Initialises the call's operation. @what, a static text, names it in dumps. */
void wr_fd_call_init_op(struct wr_fd_call *call, const char *what);

/* Returns the result of the operation, which must be in flight. */
WEIR_MUST_USE int wr_fd_call_operate(struct wr_fd_call *call);

/* Ends the call and wakes the next call in the queue. */
void wr_fd_call_end(struct wr_fd_call *call);

#endif

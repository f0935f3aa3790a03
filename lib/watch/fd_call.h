/*
 * A task's call on a descriptor of the program. For each descriptor and
 * direction the calls are in a queue: the first call uses the descriptor, the
 * others wait. struct wr_fd_call is on the task's stack.
 *
 * A call can wait until the descriptor is ready: nothing is read before the
 * task runs, so an interruption loses nothing. Or it can wait for an operation,
 * which an interruption cancels. If the operation succeeded nevertheless, the
 * call returns its result.
 */
#ifndef WEIR_LIB_WATCH_FD_CALL_H
#define WEIR_LIB_WATCH_FD_CALL_H

#include "lib/task/task.h"
#include "lib/watch/descriptor.h"

struct wr_fd_call {
    struct wr_list link;
    struct wr_list *queue;
    struct wr_waiter waiter;
    struct wr_member member; /* object of the loop while op is in flight */
    struct wr_file_op op;
    weir_loop *loop;
    int fd;
    enum wr_direction direction;
    const char *what;
};

/* Starts a suspending call and waits until it is the first in its queue.
 * Returns 0, an error of wr_task_enter() or wr_descriptor_check_free(), -ENOMEM
 * or -ECANCELED. After an error, wr_fd_call_end() must not be called. */
WEIR_MUST_USE int wr_fd_call_begin(struct wr_fd_call *call, weir_loop *loop,
                                   int fd, enum wr_direction direction);

/* Returns 0 if ready, -ECANCELED, or the error of the poll. */
WEIR_MUST_USE int wr_fd_call_wait(struct wr_fd_call *call);

/* @what is a static string that names the operation in dumps. */
void wr_fd_call_init_op(struct wr_fd_call *call, const char *what);

/* Returns the result of the operation, which must be in flight. */
WEIR_MUST_USE int wr_fd_call_operate(struct wr_fd_call *call);

void wr_fd_call_end(struct wr_fd_call *call);

#endif

/*
 * A task's call on a descriptor of the program; see fd_call.h. A call with an
 * operation in flight is an object of the loop, so that the loop's end cancels
 * the operation, or abandons it if the ring failed.
 */
#include "fd_call.h"

static const struct wr_wait_kind fd_call_kind = {.name = "socket"};

static bool fd_call_is_first(const struct wr_fd_call *call)
{
    wr_assert(wr_list_is_linked(&call->link));
    return call->queue->next == &call->link;
}

/* An interruption may have woken the task already. */
static void fd_call_wake(struct wr_fd_call *call, int result)
{
    const weir_task *task = call->waiter.task;

    wr_assert(task);
    if (task->waiter == &call->waiter) {
        wr_waiter_wake(&call->waiter, result);
    }
}

int wr_fd_call_begin(struct wr_fd_call *call, weir_loop *loop, int fd,
                     enum wr_direction direction)
{
    int err = wr_task_enter(loop);
    wr_require(err >= 0, err);
    err = wr_descriptor_check_free(loop, fd);
    wr_require(err >= 0, err);
    struct wr_descriptor *descriptor = wr_descriptor_make(loop, fd);
    wr_require(descriptor, -ENOMEM);

    *call = (struct wr_fd_call){.waiter.kind = &fd_call_kind,
                                .queue = &descriptor->calls[direction],
                                .loop = loop,
                                .fd = fd,
                                .direction = direction};
    wr_list_init(&call->link);
    wr_list_push_back(call->queue, &call->link);
    while (err == 0 && !fd_call_is_first(call)) {
        err = wr_task_wait(loop, &call->waiter, NULL);
    }
    if (err < 0) {
        wr_fd_call_end(call);
    }
    return err;
}

void wr_fd_call_end(struct wr_fd_call *call)
{
    const bool is_first = fd_call_is_first(call);

    wr_assert(!call->op.base.in_flight);
    wr_list_remove(&call->link);
    if (is_first && !wr_list_is_empty(call->queue)) {
        fd_call_wake(
            wr_container_of(call->queue->next, struct wr_fd_call, link), 0);
    }
}

static void fd_call_fired(struct wr_poll *poll, int err)
{
    struct wr_fd_call *call = poll->arg;

    wr_assert(fd_call_is_first(call));
    fd_call_wake(call, err);
}

int wr_fd_call_wait(struct wr_fd_call *call)
{
    struct wr_poll *poll;

    wr_assert(fd_call_is_first(call));
    int err = wr_poll_new(call->loop, call->fd, call->direction, fd_call_fired,
                          call, &poll);
    if (err < 0) {
        return err;
    }
    err = wr_task_wait(call->loop, &call->waiter, NULL);
    wr_poll_stop(poll);
    return err;
}

static void fd_call_cancel(struct wr_fd_call *call)
{
    wr_op_cancel(&call->loop->uring, &call->op.base);
}

static void fd_call_interrupt(struct wr_waiter *waiter)
{
    fd_call_cancel(wr_container_of(waiter, struct wr_fd_call, waiter));
}

static void fd_call_shutdown(struct wr_member *member)
{
    wr_assert(wr_list_is_linked(&member->link));
    fd_call_cancel(wr_container_of(member, struct wr_fd_call, member));
}

static void fd_call_abandon(struct wr_member *member)
{
    struct wr_fd_call *call =
        wr_container_of(member, struct wr_fd_call, member);

    wr_op_abandon(&call->loop->uring, &call->op.base);
}

static void fd_call_dump(const struct wr_member *member, FILE *out)
{
    const struct wr_fd_call *call =
        wr_container_of(member, const struct wr_fd_call, member);

    fprintf(out, "sock_call fd=%d %s\n", call->fd, call->what);
}

static void fd_call_check(const struct wr_member *member)
{
    const struct wr_fd_call *call =
        wr_container_of(member, const struct wr_fd_call, member);

    wr_assert(call->op.base.in_flight);
    wr_assert(fd_call_is_first(call));
}

static const struct wr_member_ops fd_call_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = fd_call_shutdown,
    .abandon = fd_call_abandon,
    .dump = fd_call_dump,
    .check = fd_call_check,
};

static void fd_call_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_fd_call *call = wr_container_of(op, struct wr_fd_call, op.base);
    (void)flags; /* always the last completion */

    wr_assert(!op->in_flight);
    wr_loop_remove_member(call->loop, &call->member);
    fd_call_wake(call, wr_op_own_result(op, res));
}

void wr_fd_call_init_op(struct wr_fd_call *call, const char *what)
{
    wr_assert(!call->op.base.in_flight);
    call->what = what;
    wr_op_init(&call->op.base, fd_call_completed);
}

int wr_fd_call_operate(struct wr_fd_call *call)
{
    static const struct wr_wait_kind kind = {.name = "socket",
                                             .interrupt = fd_call_interrupt};
    wr_assert(fd_call_is_first(call));
    wr_assert(call->op.base.in_flight);
    wr_member_init(&call->member, &fd_call_member_ops);
    wr_loop_add_member(call->loop, &call->member);
    call->waiter.kind = &kind;
    const int result = wr_task_wait(call->loop, &call->waiter, NULL);
    call->waiter.kind = &fd_call_kind;
    return result;
}

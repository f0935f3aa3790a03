/*
 * Time-outs: scopes on the stack of a task.
 *
 * When the time is over the task is interrupted as a cancellation does it, and
 * the scope remembers that it was the reason. Its end compares the number of
 * requests to cancel with that at its begin: were there others, which have not
 * been taken back, they outrank it and -ECANCELED stays; so of nested scopes
 * that are over at once the outermost one tells.
 */
#include "task.h"

/* The inside of struct weir_timeout. */
struct wr_timeout {
    struct wr_timer timer;
    weir_task *task; /* NULL: there is none, or the scope has ended */
    struct wr_timeout *outer;
    struct wr_list cause; /* in the task's causes until it is delivered */
    uint32_t cancelling;  /* of the task at the begin */
    bool is_over;
};

_Static_assert(sizeof(struct wr_timeout) <= sizeof(struct weir_timeout),
               "the public storage is large enough");
_Static_assert(_Alignof(struct wr_timeout) <= _Alignof(struct weir_timeout),
               "and aligned");

static struct wr_timeout *inside(struct weir_timeout *timeout)
{
    return (struct wr_timeout *)(void *)timeout;
}

static const struct wr_timeout *inside_const(const struct weir_timeout *timeout)
{
    return (const struct wr_timeout *)(const void *)timeout;
}

static void expire(struct wr_timer *timer)
{
    struct wr_timeout *scope = wr_container_of(timer, struct wr_timeout, timer);

    scope->is_over = true;
    wr_task_expire(scope->task, &scope->cause);
}

static void arm(struct wr_timeout *scope, uint64_t when_ns)
{
    struct wr_wheel *wheel = &scope->task->future.loop->wheel;

    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(wheel, &scope->timer);
        scope->timer.when_ns = when_ns; /* for weir_timeout_when() */
    } else {
        wr_timer_arm(wheel, &scope->timer, when_ns);
    }
}

int weir_timeout_begin_at(weir_loop *loop, struct weir_timeout *timeout,
                          uint64_t when_ns)
{
    struct wr_timeout *scope = inside(timeout);
    int err = wr_loop_check(loop);

    scope->task = NULL;
    scope->is_over = false;
    wr_timer_init(&scope->timer, expire);
    wr_list_init(&scope->cause);
    if (err < 0) {
        return err;
    }
    weir_task *task = loop->current;
    wr_require(task, WEIR_ENOTTASK);
    scope->task = task;
    scope->outer = task->scope;
    scope->cancelling = weir_task_cancelling(task);
    task->scope = scope;
    arm(scope, when_ns);
    return 0;
}

int weir_timeout_begin(weir_loop *loop, struct weir_timeout *timeout,
                       uint64_t delay_ns)
{
    return weir_timeout_begin_at(loop, timeout,
                                 wr_add_sat(weir_loop_time(loop), delay_ns));
}

int weir_timeout_reschedule(struct weir_timeout *timeout, uint64_t when_ns)
{
    struct wr_timeout *scope = inside(timeout);

    wr_require(scope->task && !scope->is_over, -ESTALE);
    int err = wr_loop_check(scope->task->future.loop);
    if (err < 0) {
        return err;
    }
    arm(scope, when_ns);
    return 0;
}

uint64_t weir_timeout_when(const struct weir_timeout *timeout)
{
    return inside_const(timeout)->timer.when_ns;
}

bool weir_timeout_expired(const struct weir_timeout *timeout)
{
    return inside_const(timeout)->is_over;
}

ssize_t weir_timeout_end(struct weir_timeout *timeout, ssize_t result)
{
    struct wr_timeout *scope = inside(timeout);
    weir_task *task = scope->task;

    if (!task) {
        return result; /* it began outside of a task, or has ended */
    }
    wr_assert(task->scope == scope); /* scopes end in the reverse order */
    scope->task = NULL;
    task->scope = scope->outer;
    wr_timer_cancel(&task->future.loop->wheel, &scope->timer);
    wr_list_remove(&scope->cause);
    if (!scope->is_over) {
        return result;
    }
    wr_task_forget_expiry(task);
    return result == -ECANCELED &&
                   weir_task_cancelling(task) <= scope->cancelling
               ? -ETIMEDOUT
               : result;
}

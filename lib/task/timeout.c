/*
 * Time-outs: scopes on the stack of a task.
 *
 * A scope that times out interrupts the task like a cancellation. The scope's
 * end turns -ECANCELED into -ETIMEDOUT, unless the task has more cancellations
 * than when the scope began. Time-outs of outer scopes count as cancellations:
 * if nested scopes expire together, the outermost scope returns -ETIMEDOUT.
 */
#include "task.h"

struct wr_timeout {
    struct wr_timer timer;
    weir_task *task; /* NULL before the start and after the end */
    struct wr_timeout *outer;
    struct wr_list cause; /* in the task's causes until a call reports it */
    uint32_t cancelling;  /* weir_task_get_cancelling() at the start */
    bool is_over;         /* set by the timer */
};

_Static_assert(sizeof(struct wr_timeout) <= sizeof(struct weir_timeout),
               "the public storage is large enough");
_Static_assert(_Alignof(struct wr_timeout) <= _Alignof(struct weir_timeout),
               "and aligned");

static struct wr_timeout *timeout_inside(struct weir_timeout *timeout)
{
    return (struct wr_timeout *)(void *)timeout;
}

static const struct wr_timeout *
timeout_inside_const(const struct weir_timeout *timeout)
{
    return (const struct wr_timeout *)(const void *)timeout;
}

static bool timeout_is_open(const struct wr_timeout *scope)
{
    const struct wr_timeout *at = scope->task->scope;

    while (at && at != scope) {
        at = at->outer;
    }
    return at;
}

static void timeout_check_invariants(const struct wr_timeout *scope)
{
    wr_assert(scope->task || !wr_timer_is_armed(&scope->timer));
    wr_assert(!scope->is_over || !wr_timer_is_armed(&scope->timer));
    wr_assert(scope->is_over || !wr_list_is_linked(&scope->cause));
    wr_debug_assert(!scope->task || timeout_is_open(scope));
    wr_debug_assert(!scope->task || !scope->is_over ||
                    scope->task->expired > 0);
}

static void timeout_expire(struct wr_timer *timer)
{
    struct wr_timeout *scope = wr_container_of(timer, struct wr_timeout, timer);

    timeout_check_invariants(scope);
    wr_assert(scope->task);
    wr_assert(!scope->is_over);
    scope->is_over = true;
    wr_task_expire(scope->task, &scope->cause);
}

static void timeout_arm(struct wr_timeout *scope, uint64_t when_ns)
{
    struct wr_wheel *wheel = &scope->task->future.loop->wheel;

    wr_assert(!scope->is_over);
    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(wheel, &scope->timer);
        scope->timer.when_ns = when_ns; /* for weir_timeout_get_when() */
    } else {
        wr_timer_arm(wheel, &scope->timer, when_ns);
    }
}

int weir_timeout_begin_at(weir_loop *loop, struct weir_timeout *timeout,
                          uint64_t when_ns)
{
    struct wr_timeout *scope = timeout_inside(timeout);
    int err = wr_loop_check(loop);

    scope->task = NULL;
    scope->is_over = false;
    wr_timer_init(&scope->timer, timeout_expire);
    wr_list_init(&scope->cause);
    if (err < 0) {
        return err;
    }
    weir_task *task = loop->current;
    wr_require(task, WEIR_ENOTTASK);
    scope->task = task;
    scope->outer = task->scope;
    scope->cancelling = weir_task_get_cancelling(task);
    task->scope = scope;
    timeout_arm(scope, when_ns);
    timeout_check_invariants(scope);
    return 0;
}

int weir_timeout_begin(weir_loop *loop, struct weir_timeout *timeout,
                       uint64_t delay_ns)
{
    return weir_timeout_begin_at(
        loop, timeout, wr_add_sat(weir_loop_get_time(loop), delay_ns));
}

int weir_timeout_reschedule(struct weir_timeout *timeout, uint64_t when_ns)
{
    struct wr_timeout *scope = timeout_inside(timeout);

    wr_require(scope->task && !scope->is_over, -ESTALE);
    int err = wr_loop_check(scope->task->future.loop);
    wr_require(err >= 0, err);
    wr_require(!wr_task_has_ended(scope->task), -ESTALE); /* was parked */
    timeout_check_invariants(scope);
    timeout_arm(scope, when_ns);
    return 0;
}

uint64_t weir_timeout_get_when(const struct weir_timeout *timeout)
{
    return timeout_inside_const(timeout)->timer.when_ns;
}

bool weir_timeout_is_expired(const struct weir_timeout *timeout)
{
    return timeout_inside_const(timeout)->is_over;
}

ssize_t weir_timeout_end(struct weir_timeout *timeout, ssize_t result)
{
    struct wr_timeout *scope = timeout_inside(timeout);
    weir_task *task = scope->task;

    if (!task) {
        return result;
    }
    timeout_check_invariants(scope);
    if (WR_UNLIKELY(task->state != WR_TASK_RUNNING)) {
        wr_check_misused(task->name, "has a time-out that it did not end "
                                     "itself: weir_timeout_end() was called "
                                     "elsewhere");
    }
    if (WR_UNLIKELY(task->scope != scope)) {
        wr_check_misused(task->name, "ended a time-out before one that began "
                                     "inside it");
    }
    scope->task = NULL;
    task->scope = scope->outer;
    wr_timer_cancel(&task->future.loop->wheel, &scope->timer);
    wr_list_remove(&scope->cause);
    if (!scope->is_over) {
        return result;
    }
    wr_task_forget_expiry(task);
    return result == -ECANCELED &&
                   weir_task_get_cancelling(task) <= scope->cancelling
               ? -ETIMEDOUT
               : result;
}

int weir_wait_for(weir_future *future, uint64_t timeout_ns, int *ret)
{
    struct weir_timeout limit;
    int err = weir_timeout_begin(future->loop, &limit, timeout_ns);
    if (err == 0) {
        err = weir_future_await(future, ret);
    }
    return (int)weir_timeout_end(&limit, err);
}

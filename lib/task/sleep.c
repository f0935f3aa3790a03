/*
 * Sleeping and yielding: a task lets others run, for a time or until the next
 * iteration of its loop. A sleeper is a waiter in no queue, with a timer that
 * wakes it.
 */
#include "task.h"

int weir_yield(weir_loop *loop)
{
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    wr_task_yield(loop);
    wr_debug_assert(loop->current->state == WR_TASK_RUNNING);
    /* The task may have been interrupted while others ran. */
    return wr_task_is_interrupted(loop->current) ? wr_task_tell(loop) : 0;
}

struct sleeper {
    struct wr_waiter waiter;
    struct wr_timer timer;
};

static void sleep_wake(struct wr_timer *timer)
{
    struct sleeper *sleeper = wr_container_of(timer, struct sleeper, timer);

    wr_assert(!wr_list_is_linked(&sleeper->waiter.link));
    /* An interruption may have woken the task, which has not run yet. */
    if (sleeper->waiter.task->waiter == &sleeper->waiter) {
        wr_waiter_wake(&sleeper->waiter, 0);
    }
}

static __attribute__((noinline)) int sleep_until_later(weir_loop *loop,
                                                       uint64_t when_ns)
{
    static const struct wr_wait_kind kind = {.name = "sleep"};
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    struct sleeper sleeper = {.waiter = {.kind = &kind}};
    wr_timer_init(&sleeper.timer, sleep_wake);
    wr_timer_arm(&loop->wheel, &sleeper.timer, when_ns);
    err = wr_task_wait(loop, &sleeper.waiter, NULL);
    wr_assert(err < 0 || !wr_timer_is_armed(&sleeper.timer));
    wr_timer_cancel(&loop->wheel, &sleeper.timer);
    return err;
}

int weir_sleep_until(weir_loop *loop, uint64_t when_ns)
{
    return when_ns <= loop->now_ns ? weir_yield(loop)
                                   : sleep_until_later(loop, when_ns);
}

int weir_sleep(weir_loop *loop, uint64_t delay_ns)
{
    return weir_sleep_until(loop,
                            wr_add_sat(weir_loop_get_time(loop), delay_ns));
}

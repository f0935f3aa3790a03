/*
 * Waiting for a future: weir_future_await(), weir_future_shield() and
 * weir_wait_for(), and who wins when results, cancellations and time-outs come
 * in the same turn.
 */
#include "future.h"

static int await_done(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    weir_future *future = done_with(-EPIPE);
    uint64_t switches = rig_statistics().task_switches;
    int result = 0;

    cr_assert_eq(weir_future_await(future, &result), 0);
    cr_assert_eq(result, -EPIPE, "an error of the future is its result");
    cr_assert_eq(weir_future_shield(future, NULL), 0);
    cr_assert_eq(weir_wait_for(future, 0, NULL), 0);
    cr_assert_eq(rig_statistics().task_switches, switches);
    weir_future_unref(future);
    return 0;
}

UNIT(future, that_is_done_is_returned_without_suspending)
{
    cr_assert_eq(rig_run(await_done, NULL), 0);
}

static int await_and_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(slow.asked, 1);
    cr_assert_eq(weir_sleep(on, S), 0);
    cr_assert_eq(waiter.returns, 0, "the wait goes on until its end");
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(slow.asked, 2, "each interruption cancels it");
    cr_assert_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);
    cr_assert_eq(waiter.result, -ECANCELED, "what the future came to");
    cr_assert_eq(waiter.next, 0, "it was delivered once");
    weir_future_unref(slow.future);
    return 0;
}

UNIT(future, is_cancelled_with_the_task_that_awaits_it)
{
    cr_assert_eq(rig_run(await_and_cancel, NULL), 0);
}

static int await_and_swallow(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(weir_future_set_result(slow.future, 8), 0);
    finish(&waiter);
    cr_assert_eq(waiter.err, 0);
    cr_assert_eq(waiter.result, 8);
    cr_assert_eq(waiter.next, -ECANCELED, "the next call tells");
    weir_future_unref(slow.future);
    return 0;
}

UNIT(future, that_has_another_result_after_its_cancellation_returns_it)
{
    cr_assert_eq(rig_run(await_and_swallow, NULL), 0);
}

static int cancelled_by_itself(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future = pending();
    struct waiter waiter = {.name = "w"};

    start(&waiter, future);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_future_cancel(future));
    finish(&waiter);
    cr_assert_eq(waiter.err, 0, "the task was not cancelled");
    cr_assert_eq(waiter.result, -ECANCELED);
    weir_future_unref(future);
    return 0;
}

UNIT(future, that_was_cancelled_does_not_cancel_who_awaits_it)
{
    cr_assert_eq(rig_run(cancelled_by_itself, NULL), 0);
}

static int resolve_then_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    const bool shields = arg != NULL;
    weir_future *future = pending();
    struct waiter waiter = {.shields = shields};

    start(&waiter, future);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_eq(weir_future_set_result(future, 3), 0);
    cr_assert(weir_task_cancel(waiter.task));
    finish(&waiter);
    cr_assert_eq(waiter.err, 0);
    cr_assert_eq(waiter.result, 3, "the result was there first");
    cr_assert_eq(waiter.next, -ECANCELED, "the next call is cancelled");
    weir_future_unref(future);
    return 0;
}

UNIT(future, keeps_a_result_that_was_there_before_the_cancellation)
{
    cr_assert_eq(rig_run(resolve_then_cancel, NULL), 0);
    cr_assert_eq(rig_run(resolve_then_cancel, events), 0);
}

static int cancel_then_resolve(weir_loop *on, void *arg)
{
    (void)arg;
    const bool shields = arg != NULL;
    weir_future *future = pending();
    struct waiter waiter = {.shields = shields};

    start(&waiter, future);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(weir_future_set_result(future, 3), shields ? 0 : -ESTALE);
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);
    cr_assert_eq(waiter.next, 0);
    weir_future_unref(future);
    return 0;
}

UNIT(future, comes_too_late_after_the_cancellation_in_the_same_turn)
{
    cr_assert_eq(rig_run(cancel_then_resolve, NULL), 0);
    cr_assert_eq(rig_run(cancel_then_resolve, events), 0);
}

static int cancel_twice_in_a_turn(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future = pending();
    struct waiter plain = {.name = "w"};
    struct waiter shield = {.shields = true};

    start(&plain, future);
    start(&shield, future);
    cr_assert_eq(weir_yield(on), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(weir_task_cancel(shield.task));
        cr_assert(weir_task_cancel(plain.task));
    }
    finish(&plain);
    finish(&shield);
    cr_assert_eq(plain.err, -ECANCELED);
    cr_assert_eq(plain.next, 0, "the two were delivered as one");
    cr_assert_eq(shield.err, -ECANCELED);
    cr_assert_eq(shield.next, 0);
    weir_future_unref(future);
    return 0;
}

UNIT(future, delivers_two_cancellations_of_one_turn_as_one)
{
    cr_assert_eq(rig_run(cancel_twice_in_a_turn, NULL), 0);
}

static int cancel_after_end(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    cr_assert(weir_task_cancel(waiter.task), "it has not heard of the first");
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);
    cr_assert_eq(waiter.next, 0);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(future, delivers_a_second_cancellation_with_the_first_until_it_is_heard)
{
    cr_assert_eq(rig_run(cancel_after_end, NULL), 0);
}

static int await_after_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    weir_task *self = weir_task_current(on);
    weir_future *done = done_with(5);
    weir_future *future = pending();
    int result = 0;

    cr_assert(weir_task_cancel(self));
    cr_assert_eq(weir_future_await(done, &result), -ECANCELED);
    cr_assert_eq(result, 5, "a result that is there is not lost");
    cr_assert_eq(weir_yield(on), 0, "it was delivered once");

    cr_assert(weir_task_cancel(self));
    cr_assert_eq(weir_future_await(future, &result), -ECANCELED);
    cr_assert_eq(result_of(future), -ECANCELED);
    cr_assert_eq(weir_yield(on), 0, "it was delivered once");

    weir_future_unref(future);
    future = pending();
    cr_assert(weir_task_cancel(self));
    cr_assert_eq(weir_future_shield(future, &result), -ECANCELED);
    cr_assert_not(weir_future_is_done(future));
    cr_assert_eq(weir_yield(on), 0);
    weir_future_unref(future);
    weir_future_unref(done);
    return 0;
}

UNIT(future, takes_a_cancellation_that_was_not_delivered_yet)
{
    cr_assert_eq(rig_run(await_after_cancel, NULL), 0);
}

static void unref_on_cancel(void *arg, weir_future *future)
{
    (void)arg;
    cr_assert_eq(weir_future_set_result(future, -ECANCELED), 0);
    weir_future_unref(future);
}

static int freed_by_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future;
    struct waiter waiter = {.name = "w"};

    cr_assert_eq(weir_future_new(on, unref_on_cancel, NULL, &future), 0);
    start(&waiter, future);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);

    cr_assert_eq(weir_future_new(on, unref_on_cancel, NULL, &future), 0);
    cr_assert(weir_task_cancel(weir_task_current(on)));
    cr_assert_eq(weir_future_await(future, NULL), -ECANCELED);
    return 0;
}

UNIT(future, may_be_freed_by_its_own_cancellation)
{
    cr_assert_eq(rig_run(freed_by_cancel, NULL), 0);
}

static int shield_and_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = -ECANCELED};
    struct waiter waiter = {.shields = true};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);
    cr_assert_eq(slow.asked, 0, "the future goes on");
    cr_assert_eq(weir_future_set_result(slow.future, 1), 0);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(future, that_is_shielded_goes_on_when_the_task_is_cancelled)
{
    cr_assert_eq(rig_run(shield_and_cancel, NULL), 0);
}

static int lone_holder(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    struct waiter waiter = {.name = "w"};
    weir_future *future = done_with(0);

    for (int i = 0; i < 300; i++) {
        if (i == 100) {
            start(&waiter, future);
        }
        cr_assert_eq(weir_future_await(future, NULL), 0);
    }
    cr_assert_eq(waiter.returns, 1, "others ran meanwhile");
    finish(&waiter);
    weir_future_unref(future);
    return 0;
}

UNIT(future, that_is_done_lets_other_tasks_run_now_and_then)
{
    cr_assert_eq(rig_run(lone_holder, NULL), 0);
}

/* ---- weir_wait_for ---- */

static int wait_for_times(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = -ECANCELED};
    uint64_t began = weir_loop_time(on);
    int result = 77;

    cr_assert_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result),
                 -ETIMEDOUT);
    cr_assert_geq(weir_loop_time(on) - began, 3 * MS);
    cr_assert_lt(weir_loop_time(on) - began, 5 * MS);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(slow.asked, 1);
    cr_assert_eq(result_of(slow.future), -ECANCELED);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    cr_assert_eq(weir_yield(on), 0);
    weir_future_unref(slow.future);

    weir_future *future = pending();
    cr_assert_eq(weir_wait_for(future, 0, NULL), -ETIMEDOUT);
    cr_assert_eq(result_of(future), -ECANCELED);
    weir_future_unref(future);
    return 0;
}

UNIT(wait_for, cancels_the_future_when_the_time_is_over)
{
    cr_assert_eq(rig_run(wait_for_times, NULL), 0);
}

static void give_slowly(void *arg)
{
    struct slow *slow = arg;
    cr_assert_eq(weir_future_set_result(slow->future, 21), 0);
}

static int wait_for_stubborn(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    int result = 0;

    cr_assert_eq(weir_loop_call_later(on, 9 * MS, give_slowly, &slow, NULL), 0);
    cr_assert_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result), 0);
    cr_assert_eq(result, 21, "its end was waited for");
    cr_assert_eq(slow.asked, 1);
    cr_assert_eq(weir_yield(on), 0);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(wait_for, returns_what_a_stubborn_future_came_to)
{
    cr_assert_eq(rig_run(wait_for_stubborn, NULL), 0);
}

static int wait_for_in_time(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    int result = 0;

    cr_assert_eq(weir_loop_call_later(on, 2 * MS, give_slowly, &slow, NULL), 0);
    cr_assert_eq(weir_wait_for(slow_future(&slow), UINT64_MAX, &result), 0);
    cr_assert_eq(result, 21);
    weir_future_unref(slow.future);
    cr_assert_eq(weir_loop_call_later(on, 2 * MS, give_slowly, &slow, NULL), 0);
    cr_assert_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result), 0);
    cr_assert_eq(weir_sleep(on, 5 * MS), 0, "the time-out has gone");
    cr_assert_eq(slow.asked, 0);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(wait_for, returns_a_result_that_comes_in_time)
{
    cr_assert_eq(rig_run(wait_for_in_time, NULL), 0);
}

static int cancel_then_timeout(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.timeout_ns = 5 * MS};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_sleep(on, 2 * MS), 0);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(weir_sleep(on, 8 * MS), 0);
    cr_assert_eq(slow.asked, 2);
    cr_assert_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(wait_for, is_cancelled_when_the_time_is_over_after_a_cancellation)
{
    cr_assert_eq(rig_run(cancel_then_timeout, NULL), 0);
}

static int timeout_then_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.timeout_ns = 5 * MS};

    start(&waiter, slow_future(&slow));
    cr_assert_eq(weir_sleep(on, 8 * MS), 0);
    cr_assert_eq(slow.asked, 1);
    cr_assert(weir_task_cancel(waiter.task));
    cr_assert_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    finish(&waiter);
    cr_assert_eq(waiter.err, -ECANCELED, "the cancellation outranks it");
    weir_future_unref(slow.future);
    return 0;
}

UNIT(wait_for, is_cancelled_when_a_cancellation_follows_the_time_out)
{
    cr_assert_eq(rig_run(timeout_then_cancel, NULL), 0);
}

/*
 * Waiting for a future: weir_future_await(), weir_future_shield() and
 * weir_wait_for(), and who wins when results, cancellations and time-outs come
 * in the same turn.
 */
#include "future_rig.h"

TASK(future_wait, that_is_done_is_returned_without_suspending)
{
    weir_future *future = done_with(-EPIPE);
    uint64_t switches = rig_statistics().task_switches;
    int result = 0;

    expect_eq(weir_future_await(future, &result), 0);
    expect_eq(result, -EPIPE, "an error of the future is its result");
    expect_eq(weir_future_shield(future, NULL), 0);
    expect_eq(weir_wait_for(future, 0, NULL), 0);
    expect_eq(rig_statistics().task_switches, switches);
    weir_future_unref(future);
}

TASK(future_wait, is_cancelled_with_the_task_that_awaits_it)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(slow.asked, 1);
    expect_eq(weir_sleep(loop, S), 0);
    expect_eq(waiter.returns, 0, "the wait lasts until the future is done");
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(slow.asked, 2, "each interruption cancels it");
    expect_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    expect_eq(waiter.result, -ECANCELED, "the future's own result");
    expect_eq(waiter.next, 0, "it was delivered once");
    weir_future_unref(slow.future);
}

TASK(future_wait, that_has_another_result_after_its_cancellation_returns_it)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(weir_future_set_result(slow.future, 8), 0);
    waiter_finish(&waiter);
    expect_eq(waiter.err, 0);
    expect_eq(waiter.result, 8);
    expect_eq(waiter.next, -ECANCELED,
              "the next call tells of the cancellation");
    weir_future_unref(slow.future);
}

TASK(future_wait, that_was_cancelled_does_not_cancel_who_awaits_it)
{
    weir_future *future = pending();
    struct waiter waiter = {.name = "w"};

    waiter_start(&waiter, future);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_future_cancel(future));
    waiter_finish(&waiter);
    expect_eq(waiter.err, 0, "the task was not cancelled");
    expect_eq(waiter.result, -ECANCELED);
    weir_future_unref(future);
}

static int resolve_then_cancel(weir_loop *on, void *arg)
{
    const bool shields = arg != NULL;
    weir_future *future = pending();
    struct waiter waiter = {.shields = shields};

    waiter_start(&waiter, future);
    expect_eq(weir_yield(on), 0);
    expect_eq(weir_future_set_result(future, 3), 0);
    cr_assert(weir_task_cancel(waiter.task));
    waiter_finish(&waiter);
    expect_eq(waiter.err, 0);
    expect_eq(waiter.result, 3, "the result was there first");
    expect_eq(waiter.next, -ECANCELED, "the next call is cancelled");
    weir_future_unref(future);
    return 0;
}

UNIT(future_wait, keeps_a_result_that_was_there_before_the_cancellation)
{
    expect_eq(rig_run(resolve_then_cancel, NULL), 0);
    expect_eq(rig_run(resolve_then_cancel, notes), 0);
}

static int cancel_then_resolve(weir_loop *on, void *arg)
{
    const bool shields = arg != NULL;
    weir_future *future = pending();
    struct waiter waiter = {.shields = shields};

    waiter_start(&waiter, future);
    expect_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(weir_future_set_result(future, 3), shields ? 0 : -ESTALE);
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    expect_eq(waiter.next, 0);
    weir_future_unref(future);
    return 0;
}

UNIT(future_wait, comes_too_late_after_the_cancellation_in_the_same_turn)
{
    expect_eq(rig_run(cancel_then_resolve, NULL), 0);
    expect_eq(rig_run(cancel_then_resolve, notes), 0);
}

TASK(future_wait, delivers_two_cancellations_of_one_turn_as_one)
{
    weir_future *future = pending();
    struct waiter plain = {.name = "w"};
    struct waiter shield = {.shields = true};

    waiter_start(&plain, future);
    waiter_start(&shield, future);
    expect_eq(weir_yield(loop), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(weir_task_cancel(shield.task));
        cr_assert(weir_task_cancel(plain.task));
    }
    waiter_finish(&plain);
    waiter_finish(&shield);
    expect_eq(plain.err, -ECANCELED);
    expect_eq(plain.next, 0, "the two were delivered as one");
    expect_eq(shield.err, -ECANCELED);
    expect_eq(shield.next, 0);
    weir_future_unref(future);
}

TASK(future_wait,
     delivers_a_second_cancellation_with_the_first_until_it_is_heard)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(weir_yield(loop), 0);
    expect_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    cr_assert(weir_task_cancel(waiter.task),
              "the first cancellation was not told yet");
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    expect_eq(waiter.next, 0);
    weir_future_unref(slow.future);
}

TASK(future_wait, takes_a_cancellation_that_was_not_delivered_yet)
{
    weir_task *self = weir_task_get_current(loop);
    weir_future *done = done_with(5);
    weir_future *future = pending();
    int result = 0;

    cr_assert(weir_task_cancel(self));
    expect_eq(weir_future_await(done, &result), -ECANCELED);
    expect_eq(result, 5, "a result that was there before is given");
    expect_eq(weir_yield(loop), 0, "it was delivered once");

    cr_assert(weir_task_cancel(self));
    expect_eq(weir_future_await(future, &result), -ECANCELED);
    expect_eq(result_of(future), -ECANCELED);
    expect_eq(weir_yield(loop), 0, "it was delivered once");

    weir_future_unref(future);
    future = pending();
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_future_shield(future, &result), -ECANCELED);
    cr_assert_not(weir_future_is_done(future));
    expect_eq(weir_yield(loop), 0);
    weir_future_unref(future);
    weir_future_unref(done);
}

static void unref_on_cancel(void *arg, weir_future *future)
{
    expect_eq(weir_future_set_result(future, -ECANCELED), 0);
    weir_future_unref(future);
}

TASK(future_wait, may_be_freed_by_its_own_cancellation)
{
    weir_future *future;
    struct waiter waiter = {.name = "w"};

    expect_eq(weir_future_new(loop, unref_on_cancel, NULL, &future), 0);
    waiter_start(&waiter, future);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);

    expect_eq(weir_future_new(loop, unref_on_cancel, NULL, &future), 0);
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    expect_eq(weir_future_await(future, NULL), -ECANCELED);
}

TASK(future_wait, that_is_shielded_goes_on_when_the_task_is_cancelled)
{
    struct slow slow = {.gives = -ECANCELED};
    struct waiter waiter = {.shields = true};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    expect_eq(slow.asked, 0, "the future is not cancelled");
    expect_eq(weir_future_set_result(slow.future, 1), 0);
    weir_future_unref(slow.future);
}

TASK(future_wait, that_is_done_lets_other_tasks_run_now_and_then)
{
    struct waiter waiter = {.name = "w"};
    weir_future *future = done_with(0);

    for (int i = 0; i < 3000; i++) {
        if (i == 100) {
            waiter_start(&waiter, future);
        }
        expect_eq(weir_future_await(future, NULL), 0);
    }
    expect_eq(waiter.returns, 1, "another task ran during the wait");
    waiter_finish(&waiter);
    weir_future_unref(future);
}

/* ---- weir_wait_for ---- */

TASK(wait_for, cancels_the_future_when_the_time_is_over)
{
    struct slow slow = {.gives = -ECANCELED};
    uint64_t began = weir_loop_get_time(loop);
    int result = 77;

    expect_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result), -ETIMEDOUT);
    expect_geq(weir_loop_get_time(loop) - began, 3 * MS);
    expect_lt(weir_loop_get_time(loop) - began, 5 * MS);
    expect_eq(result, -ECANCELED);
    expect_eq(slow.asked, 1);
    expect_eq(result_of(slow.future), -ECANCELED);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    expect_eq(weir_yield(loop), 0);
    weir_future_unref(slow.future);

    weir_future *future = pending();
    expect_eq(weir_wait_for(future, 0, NULL), -ETIMEDOUT);
    expect_eq(result_of(future), -ECANCELED);
    weir_future_unref(future);
}

static void give_slowly(void *arg)
{
    struct slow *slow = arg;
    expect_eq(weir_future_set_result(slow->future, 21), 0);
}

TASK(wait_for, returns_what_a_stubborn_future_came_to)
{
    struct slow slow = {.gives = 0};
    int result = 0;

    expect_eq(weir_loop_call_later(loop, 9 * MS, give_slowly, &slow, NULL), 0);
    expect_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result), 0);
    expect_eq(result, 21, "the future's end is waited for");
    expect_eq(slow.asked, 1);
    expect_eq(weir_yield(loop), 0);
    weir_future_unref(slow.future);
}

TASK(wait_for, returns_a_result_that_comes_in_time)
{
    struct slow slow = {.gives = 0};
    int result = 0;

    expect_eq(weir_loop_call_later(loop, 2 * MS, give_slowly, &slow, NULL), 0);
    expect_eq(weir_wait_for(slow_future(&slow), UINT64_MAX, &result), 0);
    expect_eq(result, 21);
    weir_future_unref(slow.future);
    expect_eq(weir_loop_call_later(loop, 2 * MS, give_slowly, &slow, NULL), 0);
    expect_eq(weir_wait_for(slow_future(&slow), 3 * MS, &result), 0);
    expect_eq(weir_sleep(loop, 5 * MS), 0, "the time-out has gone");
    expect_eq(slow.asked, 0);
    weir_future_unref(slow.future);
}

TASK(wait_for, is_cancelled_when_the_time_is_over_after_a_cancellation)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.timeout_ns = 5 * MS};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(weir_sleep(loop, 8 * MS), 0);
    expect_eq(slow.asked, 2);
    expect_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    weir_future_unref(slow.future);
}

TASK(wait_for, is_cancelled_when_a_cancellation_follows_the_time_out)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.timeout_ns = 5 * MS};

    waiter_start(&waiter, slow_future(&slow));
    expect_eq(weir_sleep(loop, 8 * MS), 0);
    expect_eq(slow.asked, 1);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED, "the cancellation outranks it");
    weir_future_unref(slow.future);
}

/*
 * Events: what weir/sync.h promises about them.
 *
 * Setting wakes all tasks that wait then and no later one; a wait that fails
 * has a reason, and one that was answered stays so.
 */
#define TASK_RUN with_event
#include "sync.h"

#include <weir/sync.h>

static weir_event *event;

static int wait_event(void *object)
{
    return weir_event_wait(object);
}

static void with_event(void (*body)(void))
{
    expect_eq(weir_event_new(loop, &event), 0);
    body();
    weir_event_free(event);
}

TASK(event, set_wakes_all_who_wait_in_their_order)
{
    struct worker workers[3];
    cr_assert_not(weir_event_is_set(event));
    start_each(workers, 3, wait_event, event);
    expect_str_eq(notes, "");

    weir_event_set(event);
    cr_assert(weir_event_is_set(event));
    expect_str_eq(notes, "", "nobody runs inside the call");
    settle();

    expect_str_eq(notes, "abc");
    for (int i = 0; i < 3; i++) {
        expect_eq(finish(&workers[i]), 0);
    }
}

TASK(event, that_is_set_is_not_waited_for)
{
    weir_event_set(event);
    weir_event_set(event);
    const uint64_t turns = rig_statistics().turns;
    expect_eq(weir_event_wait(event), 0);
    expect_eq(rig_statistics().turns, turns, "without suspending");
}

TASK(event, cleared_after_set_lets_the_woken_go_on_and_stops_the_next)
{
    start_first(wait_event, event);

    weir_event_set(event);
    weir_event_clear(event);
    cr_assert_not(weir_event_is_set(event));
    start(&second, "b", wait_event, event);
    settle();

    expect_str_eq(notes, "a");
    expect_eq(finish(&first), 0);
    weir_event_set(event);
    expect_eq(finish(&second), 0);
}

TASK(event, cancelled_before_it_is_set_returns_that)
{
    start_both(wait_event, event);

    cr_assert(weir_task_cancel(first.task));
    weir_event_set(event);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(first.next, 0, "it is delivered once");
    expect_eq(finish(&second), 0);
}

TASK(event, cancelled_after_it_is_set_cancels_the_next_call)
{
    start_first(wait_event, event);

    weir_event_set(event);
    cr_assert(weir_task_cancel(first.task));

    expect_end(&first, 0, -ECANCELED);
}

TASK(event, waited_for_too_long_times_out)
{
    must_time_out(wait_event, event);
}

UNIT_IN(event, freed_wakes_who_waits, rig_run_body, void)
{
    expect_eq(weir_event_new(loop, &event), 0);
    start_both(wait_event, event);

    weir_event_free(event);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
    weir_event_free(NULL);
}

static int count_waits;

static int wait_until_it_fails(void *object)
{
    int err = 0;
    while (err == 0) {
        err = weir_event_wait(object);
        count_waits++;
    }
    return err;
}

/* Now and then the worker lets others run, from within a call. */
UNIT_IN(event, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
        rig_run_body, void)
{
    expect_eq(weir_event_new(loop, &event), 0);
    weir_event_set(event);
    start(&first, "a", wait_until_it_fails, event);
    expect_eq(weir_yield(loop), 0);
    expect_gt(count_waits, 1);
    cr_assert_not(first.is_back);

    weir_event_free(event);

    expect_eq(finish(&first), -ECANCELED);
}

static int set_event(void *object)
{
    weir_event_set(object);
    return 0;
}

static int new_event(void *object)
{
    weir_event *result;
    return weir_event_new(object, &result);
}

TASK(event, in_the_wrong_place_is_an_error)
{
    expect_eq(weir_event_new(loop, NULL), -EINVAL);
    expect_eq(in_callback(wait_event, event), WEIR_ENOTTASK);
    expect_eq(elsewhere(wait_event, event), -EPERM);
    expect_eq(elsewhere(new_event, loop), -EPERM);
    weir_event_set(event);
    cr_assert(weir_event_is_set(event));
    expect_eq(weir_event_wait(event), 0);
}

TASK(event, can_be_set_in_a_callback)
{
    start_first(wait_event, event);
    expect_eq(in_callback(set_event, event), 0);
    expect_eq(finish(&first), 0);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    expect_eq(weir_event_new(on, &event), 0);
    start(&left, "a", wait_event, event);
    settle();
    weir_task_unref(left.task);
    return 0;
}

UNIT(event, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_leave(leave_waiting, NULL);
    cr_assert(left.is_back);
    expect_eq(left.result, -ECANCELED);
    weir_event_set(event);
    expect_eq(weir_event_wait(event), WEIR_ENOTTASK);
    weir_event_free(event);
    fake_stop();
}

UNIT(event, without_memory_is_not_made)
{
    expect_eq(without_memory(new_event), -ENOMEM);
}

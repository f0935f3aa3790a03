/*
 * Events: what weir/sync.h promises about them.
 *
 * Setting wakes all who wait then and nobody later; a wait that fails has a
 * reason, and one that was answered stays so.
 */
#include "sync.h"

static weir_event *event;

static int wait_event(void *object)
{
    return weir_event_wait(object);
}

static int wake_all(weir_loop *on, void *arg)
{
    struct worker workers[3];
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    cr_assert_not(weir_event_is_set(event));
    start(&workers[0], "a", wait_event, event);
    start(&workers[1], "b", wait_event, event);
    start(&workers[2], "c", wait_event, event);
    settle();
    cr_assert_str_eq(notes, "");

    weir_event_set(event);
    cr_assert(weir_event_is_set(event));
    cr_assert_str_eq(notes, "", "nobody runs inside the call");
    settle();

    cr_assert_str_eq(notes, "abc");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(finish(&workers[i]), 0);
    }
    weir_event_free(event);
    return 0;
}

UNIT(event, set_wakes_all_who_wait_in_their_order)
{
    cr_assert_eq(rig_run(wake_all, NULL), 0);
}

static int wait_for_set(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    weir_event_set(event);
    weir_event_set(event);
    const uint64_t turns = rig_statistics().turns;
    cr_assert_eq(weir_event_wait(event), 0);
    cr_assert_eq(rig_statistics().turns, turns, "without suspending");
    weir_event_free(event);
    return 0;
}

UNIT(event, that_is_set_is_not_waited_for)
{
    cr_assert_eq(rig_run(wait_for_set, NULL), 0);
}

static int clear_at_once(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&first, "a", wait_event, event);
    settle();

    weir_event_set(event);
    weir_event_clear(event);
    cr_assert_not(weir_event_is_set(event));
    start(&second, "b", wait_event, event);
    settle();

    cr_assert_str_eq(notes, "a");
    cr_assert_eq(finish(&first), 0);
    weir_event_set(event);
    cr_assert_eq(finish(&second), 0);
    weir_event_free(event);
    return 0;
}

UNIT(event, cleared_after_set_lets_the_woken_go_on_and_stops_the_next)
{
    cr_assert_eq(rig_run(clear_at_once, NULL), 0);
}

static int cancel_before(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&first, "a", wait_event, event);
    start(&second, "b", wait_event, event);
    settle();

    cr_assert(weir_task_cancel(first.task));
    weir_event_set(event);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0, "it is delivered once");
    cr_assert_eq(finish(&second), 0);
    weir_event_free(event);
    return 0;
}

UNIT(event, cancelled_before_it_is_set_returns_that)
{
    cr_assert_eq(rig_run(cancel_before, NULL), 0);
}

static int cancel_after(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&worker, "a", wait_event, event);
    settle();

    weir_event_set(event);
    cr_assert(weir_task_cancel(worker.task));

    cr_assert_eq(finish(&worker), 0);
    cr_assert_eq(worker.next, -ECANCELED);
    weir_event_free(event);
    return 0;
}

UNIT(event, cancelled_after_it_is_set_cancels_the_next_call)
{
    cr_assert_eq(rig_run(cancel_after, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    must_time_out(wait_event, event);
    weir_event_free(event);
    return 0;
}

UNIT(event, waited_for_too_long_times_out)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&first, "a", wait_event, event);
    start(&second, "b", wait_event, event);
    settle();

    weir_event_free(event);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0, "the task was not cancelled");
    weir_event_free(NULL);
    return 0;
}

UNIT(event, freed_wakes_who_waits)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
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

/* Every so many calls the worker lets others run, from within a call. */
static int free_busy(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    weir_event_set(event);
    start(&worker, "a", wait_until_it_fails, event);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_gt(count_waits, 1);
    cr_assert_not(worker.is_back);

    weir_event_free(event);

    cr_assert_eq(finish(&worker), -ECANCELED);
    return 0;
}

UNIT(event, freed_inside_a_call_that_lets_others_run_is_not_touched_again)
{
    cr_assert_eq(rig_run(free_busy, NULL), 0);
}

static int set_event(void *object)
{
    weir_event_set(object);
    return 0;
}

static int clear_event(void *object)
{
    weir_event_clear(object);
    return 0;
}

static int free_event(void *object)
{
    weir_event_free(object);
    return 0;
}

static int new_event(void *object)
{
    weir_event *result;
    return weir_event_new(object, &result);
}

static int use_wrongly(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_event_new(on, NULL), -EINVAL);
    cr_assert_eq(weir_event_new(on, &event), 0);
    cr_assert_eq(in_callback(wait_event, event), WEIR_ENOTTASK);
    cr_assert_eq(elsewhere(wait_event, event), -EPERM);
    cr_assert_eq(elsewhere(new_event, on), -EPERM);
    cr_assert_eq(elsewhere(set_event, event), 0);
    cr_assert_not(weir_event_is_set(event), "nothing is done elsewhere");
    weir_event_set(event);
    cr_assert_eq(elsewhere(clear_event, event), 0);
    cr_assert(weir_event_is_set(event));
    cr_assert_eq(elsewhere(free_event, event), 0);
    cr_assert_eq(weir_event_wait(event), 0);
    weir_event_free(event);
    return 0;
}

UNIT(event, in_the_wrong_place_is_an_error)
{
    cr_assert_eq(rig_run(use_wrongly, NULL), 0);
}

static int set_in_callback(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&worker, "a", wait_event, event);
    settle();
    cr_assert_eq(in_callback(set_event, event), 0);
    cr_assert_eq(finish(&worker), 0);
    weir_event_free(event);
    return 0;
}

UNIT(event, can_be_set_in_a_callback)
{
    cr_assert_eq(rig_run(set_in_callback, NULL), 0);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_event_new(on, &event), 0);
    start(&left, "a", wait_event, event);
    settle();
    weir_task_detach(left.task);
    return 0;
}

UNIT(event, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_start();
    cr_assert_eq(rig_main(leave_waiting, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert(left.is_back);
    cr_assert_eq(left.result, -ECANCELED);
    weir_event_set(event);
    cr_assert_eq(weir_event_wait(event), WEIR_ENOTTASK);
    weir_event_free(event);
    fake_stop();
}

UNIT(event, without_memory_is_not_made)
{
    cr_assert_eq(without_memory(new_event), -ENOMEM);
}

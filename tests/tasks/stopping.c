/*
 * The announcement of a graceful stop: weir_loop_announce_stop(), by the
 * program or by a signal, and weir_waitable_stop(), which tasks wait for.
 * That stops of threads announce it is tested in tests/contract/threads.c.
 */
#include "sync.h"

#include <signal.h>
#include <weir/waitable.h>

static int wait_for_stop(void *object)
{
    struct weir_waitable what = weir_waitable_stop(object);
    what.result = 7;
    const int index = weir_wait_first(loop, &what, 1);
    return index < 0 ? index : what.result;
}

TASK(stopping, an_announcement_wakes_all_who_wait_in_their_order)
{
    struct worker workers[3];
    cr_assert_not(weir_loop_is_stopping(loop));
    start_each(workers, 3, wait_for_stop, loop);
    weir_loop_announce_stop(loop);
    cr_assert(weir_loop_is_stopping(loop));
    expect_str_eq(notes, "", "no task runs inside the call");
    expect_settled("abc");
    for (int i = 0; i < 3; i++) {
        expect_end(&workers[i], 0, 0);
    }
}

TASK(stopping, a_stop_that_was_announced_is_not_waited_for)
{
    weir_loop_announce_stop(loop);
    weir_loop_announce_stop(loop);
    const uint64_t switches = rig_statistics().task_switches;
    expect_eq(wait_for_stop(loop), 0);
    expect_eq(wait_for_stop(loop), 0, "and it stays so");
    expect_eq(rig_statistics().task_switches, switches);
}

TASK(stopping, an_announcement_ends_nothing)
{
    weir_loop_announce_stop(loop);
    expect_eq(weir_sleep(loop, MS), 0);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
}

TASK(stopping, a_cancelled_task_does_not_wait_any_more)
{
    start_both(wait_for_stop, loop);
    expect_eq(cancel(&first), -ECANCELED);
    weir_loop_announce_stop(loop);
    expect_eq(finish(&second), 0);
}

TASK(stopping, waited_for_too_long_times_out)
{
    must_time_out(wait_for_stop, loop);
}

TASK(stopping, no_loop_is_refused)
{
    struct weir_waitable what = weir_waitable_stop(NULL);
    expect_eq(weir_wait_first(loop, &what, 1), -EINVAL);
}

/* ---- signals ---- */

static int note_the_stop(weir_loop *on, void *arg)
{
    struct weir_waitable what = weir_waitable_stop(on);
    int first_index = weir_wait_first(on, &what, 1);
    expect_eq(first_index, 0);
    note("t");
    return weir_sleep(on, 0); /* it may go on */
}

static int serve_till_cancelled(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(note_the_stop, NULL);
    cr_assert_not(weir_loop_is_stopping(on), "a new main task");
    expect_eq(weir_sleep(on, 10 * S), -ECANCELED);
    note("m");
    cr_assert(weir_loop_is_stopping(on));
    return rig_join(task);
}

static void raise_sigterm(void *arg)
{
    expect_eq(raise(SIGTERM), 0);
}

UNIT(stopping, a_signal_announces_it_before_the_main_task_is_cancelled)
{
    int result = 1;
    rig_start();
    for (int i = 0; i < 2; i++) {
        fake_at(weir_loop_get_time(loop) + MS, raise_sigterm, NULL);
        expect_ok(
            weir_loop_run_task(loop, serve_till_cancelled, NULL, &result));
        expect_eq(result, 0);
    }
    expect_str_eq(notes, "tmtm", "who waits for it runs first");
    rig_stop();
}

/* ---- the end of the loop ---- */

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    start(&left, "a", wait_for_stop, on);
    settle();
    weir_task_detach(left.task);
    return 0;
}

UNIT(stopping, the_end_of_the_loop_ends_the_wait)
{
    rig_leave(leave_waiting, NULL);
    cr_assert(left.is_back);
    expect_eq(left.result, -ECANCELED);
    fake_stop();
}

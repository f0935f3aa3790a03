/*
 * call_soon, call_later, call_at, cancel and reschedule: what runs when.
 *
 * The rules are asyncio's: first come, first served; never inside the call;
 * callbacks queued by timers and completions run in the same iteration,
 * callbacks queued by ready callbacks in the next; a late cancellation does no
 * harm.
 */
#define UNIT_RUN with_loop

#include "tests/contract/loop_rig.h"
#include "tests/unit/random.h"

UNIT(callback, call_soon_never_calls_at_once)
{
    soon(note_number, number(1));

    expect_eq(event_count, 0);
    one_turn();
    expect_eq(event_count, 1);
    one_turn();
    expect_eq(event_count, 1, "called again");
}

UNIT(callback, first_come_first_served_however_many_there_are)
{
    for (int i = 0; i < 20000; i++) { /* more than one iteration runs */
        soon(note_number, number(i));
    }
    soon(stop_loop, NULL);

    run_until_stopped();

    expect_eq(event_count, 20000);
    for (int i = 0; i < 20000; i++) {
        expect_eq(events[i].number, i);
    }
}

static void add_one(void *arg)
{
    note_number(arg);
    soon(note_number, number(10000));
}

UNIT(callback, callbacks_left_by_a_bounded_turn_come_before_new_ones)
{
    soon(add_one, number(0));
    for (int i = 1; i < 10000; i++) {
        soon(note_number, number(i));
    }
    soon(stop_loop, NULL);

    run_until_stopped();
    one_turn();

    expect_eq(event_count, 10001);
    for (int i = 0; i <= 10000; i++) {
        expect_eq(events[i].number, i);
    }
}

static void add_next(void *arg)
{
    note_number(arg);
    soon(note_number, number(2));
    later(0, note_number, number(3));
    soon(note_number, number(4));
}

UNIT(callback, callbacks_of_a_ready_callback_run_in_the_next_turn)
{
    soon(add_next, number(1));

    one_turn();
    expect_eq(event_count, 1);
    one_turn();

    expect_eq(event_count, 4);
    expect_eq(events[1].turn, events[0].turn + 1);
    expect_eq(events[1].turn, events[3].turn);
    expect_eq(events[1].number, 3, "timers come before the ready queue");
    expect_eq(events[2].number, 2);
    expect_eq(events[3].number, 4);
}

static int note_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    add_one(user);
    soon(stop_loop, NULL);
    return 0;
}

/* Repeats until the loop ends, when no call is accepted. */
static void again(void *arg)
{
    (*(int *)arg)++;
    int err = weir_loop_call_soon(loop, again, arg, NULL);
    cr_assert(err == 0 || err == -ESHUTDOWN);
}

UNIT_IN(callback, callbacks_that_add_themselves_starve_neither_timers_nor_peers,
        unit_alone, void)
{
    static CALLBACKS(protocol, STREAM, .data_received = note_data);
    int count = 0;
    open_loop(NULL);
    soon(again, &count);
    later(2 * MS, stop_loop, NULL);
    run_until_stopped();
    expect_gt(count, 0);
    const int peer = adopt_pair(&protocol, number(1));
    expect_eq(write(peer, "x", 1), 1);

    run_until_stopped();

    expect_eq(events[0].number, 1);
    expect_eq(weir_loop_free(loop), 1);
    close(peer);
}

struct due {
    uint64_t when_ns;
    uint64_t ran_ns;
};

static int dues_left;

static void note_due(void *arg)
{
    struct due *due = arg;
    due->ran_ns = weir_loop_get_time(loop);
    if (--dues_left == 0) {
        weir_loop_stop(loop);
    }
}

UNIT_IN(callback, timers_run_in_order_and_never_early, unit_alone, void)
{
    static struct due dues[2000];
    struct unit_random random;
    unit_random_seed(&random);
    open_loop(NULL);
    const uint64_t start_ns = weir_loop_get_time(loop);
    dues_left = 2000;
    for (int i = 0; i < 2000; i++) {
        dues[i].when_ns = start_ns + unit_random_below(&random, 50 * MS);
        expect_ok(
            weir_loop_call_at(loop, dues[i].when_ns, note_due, &dues[i], NULL));
    }

    run_until_stopped();

    for (int i = 0; i < 2000; i++) {
        expect_geq(dues[i].ran_ns, dues[i].when_ns);
    }
    for (int i = 1; i < 2000; i++) {
        const struct due *a = &dues[i - 1];
        const struct due *b = &dues[i];
        cr_assert(a->when_ns + 1024 > b->when_ns || a->ran_ns <= b->ran_ns);
        cr_assert(b->when_ns + 1024 > a->when_ns || b->ran_ns <= a->ran_ns);
    }
    close_loop();
}

UNIT(callback, times_that_differ_by_more_than_a_tick_run_in_order)
{
    enum { COUNT = 500 };
    const uint64_t start_ns = weir_loop_get_time(loop);
    for (int i = 0; i < COUNT; i++) {
        const int place = i * 7 % COUNT;
        expect_ok(weir_loop_call_at(loop, start_ns + (uint64_t)place * 1025,
                                    note_number, number(place), NULL));
    }
    later(5 * MS, stop_loop, NULL);

    run_until_stopped();

    expect_eq(event_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        expect_eq(events[i].number, i);
    }
}

UNIT(callback, a_time_in_the_past_is_due_at_once_but_not_inside_the_call)
{
    expect_eq(weir_loop_call_at(loop, 0, note_number, number(1), NULL), 0);
    expect_ok(weir_loop_call_at(loop, weir_loop_get_time(loop) - 1, note_number,
                                number(2), NULL));
    expect_eq(event_count, 0);

    one_turn();

    expect_eq(event_count, 2);
}

UNIT(callback, the_end_of_time_never_comes)
{
    later(UINT64_MAX, note_number, number(1));
    expect_ok(
        weir_loop_call_at(loop, UINT64_MAX, note_number, number(2), NULL));
    later(2 * MS, stop_loop, NULL);

    run_until_stopped();

    expect_eq(event_count, 0);
    expect_eq(statistics().timers, 2);
}

static void rearm(void *arg)
{
    int *left = arg;
    note(*left);
    if (--*left > 0) {
        later(0, rearm, arg);
    } else {
        weir_loop_stop(loop);
    }
}

UNIT(callback, a_timer_that_arms_itself_runs_once_a_turn)
{
    int left = 50;
    later(0, rearm, &left);

    run_until_stopped();

    expect_eq(event_count, 50);
    for (int i = 1; i < 50; i++) {
        expect_gt(events[i].turn, events[i - 1].turn);
    }
}

UNIT(callback, a_cancelled_callback_does_not_run)
{
    struct weir_handle handles[3];
    expect_ok(weir_loop_call_soon(loop, note_number, number(1), &handles[0]));
    expect_ok(
        weir_loop_call_later(loop, 0, note_number, number(2), &handles[1]));
    expect_ok(weir_loop_call_at(loop, 0, note_number, number(3), &handles[2]));

    for (int i = 0; i < 3; i++) {
        cr_assert(weir_handle_cancel(loop, handles[i]));
    }

    one_turn();
    one_turn();
    expect_eq(event_count, 0);
}

UNIT(callback, cancelling_again_or_late_is_harmless)
{
    struct weir_handle cancelled;
    struct weir_handle ran;
    struct weir_handle other;
    expect_eq(weir_loop_call_soon(loop, note_number, number(1), &cancelled), 0);
    cr_assert(weir_handle_cancel(loop, cancelled));
    expect_eq(weir_loop_call_soon(loop, note_number, number(2), &ran), 0);
    one_turn();
    expect_eq(weir_loop_call_soon(loop, note_number, number(3), &other), 0);

    cr_assert_not(weir_handle_cancel(loop, cancelled));
    cr_assert_not(weir_handle_cancel(loop, ran));

    one_turn();
    expect_eq(event_count, 2);
    expect_eq(events[1].number, 3, "a stale handle cancelled another");
    cr_assert_not(weir_handle_cancel(loop, other));
}

UNIT(callback, handles_that_name_nothing_cancel_nothing)
{
    static const struct weir_handle none[] = {
        {0, 0}, {5, 1}, {1u << 20, 1}, {UINT32_MAX, 1}, {0, UINT32_MAX}};
    for (int i = 0; i < 5; i++) {
        cr_assert_not(weir_handle_cancel(loop, none[i]));
    }
    soon(note_number, number(1));

    for (int i = 0; i < 5; i++) {
        cr_assert_not(weir_handle_cancel(loop, none[i]));
        cr_assert_not(weir_handle_reschedule(loop, none[i], 0));
    }

    one_turn();
    expect_eq(event_count, 1);
}

static struct weir_handle victim;

static void cancel_victim(void *arg)
{
    note_number(arg);
    cr_assert(weir_handle_cancel(loop, victim));
}

UNIT(callback, a_callback_of_the_same_turn_can_be_cancelled)
{
    soon(cancel_victim, number(1));
    expect_eq(weir_loop_call_soon(loop, note_number, number(2), &victim), 0);
    soon(note_number, number(3));

    one_turn();

    expect_eq(event_count, 2);
    expect_eq(events[1].number, 3);
}

UNIT(callback, a_timer_that_is_due_already_can_be_cancelled)
{
    const uint64_t now_ns = weir_loop_get_time(loop);
    expect_ok(weir_loop_call_at(loop, now_ns - 10000, cancel_victim, number(1),
                                NULL));
    expect_ok(weir_loop_call_at(loop, now_ns, note_number, number(2), &victim));
    later(2 * MS, stop_loop, NULL);

    run_until_stopped();

    expect_eq(event_count, 1);
    expect_eq(statistics().timers, 0);
}

static void cancel_itself(void *arg)
{
    note_number(arg);
    cr_assert_not(weir_handle_cancel(loop, victim), "it runs already");
}

UNIT(callback, a_running_callback_cannot_be_cancelled)
{
    expect_eq(weir_loop_call_soon(loop, cancel_itself, number(1), &victim), 0);

    one_turn();

    expect_eq(event_count, 1);
}

UNIT(callback, reschedule_moves_a_timer_and_keeps_its_handle)
{
    struct weir_handle handle;
    expect_ok(weir_loop_call_later(loop, UINT64_MAX, note_number, number(1),
                                   &handle));

    cr_assert(weir_handle_reschedule(loop, handle, 0));
    cr_assert(weir_handle_reschedule(loop, handle, UINT64_MAX));
    one_turn();
    expect_eq(event_count, 0);
    cr_assert(weir_handle_reschedule(loop, handle, 0));
    one_turn();

    expect_eq(event_count, 1);
    cr_assert_not(weir_handle_reschedule(loop, handle, 0), "it ran");
    cr_assert_not(weir_handle_cancel(loop, handle));
}

UNIT(callback, reschedule_takes_neither_call_soon_nor_what_was_cancelled)
{
    struct weir_handle handle;
    expect_eq(weir_loop_call_soon(loop, note_number, number(1), &handle), 0);
    cr_assert_not(weir_handle_reschedule(loop, handle, UINT64_MAX));
    one_turn();
    expect_eq(event_count, 1);
    expect_ok(weir_loop_call_later(loop, 0, note_number, number(2), &handle));
    cr_assert(weir_handle_cancel(loop, handle));

    cr_assert_not(weir_handle_reschedule(loop, handle, 0));

    one_turn();
    expect_eq(event_count, 1);
}

UNIT(callback, no_function_is_refused)
{
    expect_eq(weir_loop_call_soon(loop, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_loop_call_later(loop, 1, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_loop_call_at(loop, 1, NULL, NULL, NULL), -EINVAL);
}

UNIT_IN(callback, without_memory_nothing_is_called_and_the_handle_is_untouched,
        unit_alone, void)
{
    struct test_allocator allocator;
    struct weir_handle handle = {7, 7};
    open_loop_from(&allocator);
    for (uint64_t i = 1; i <= 2; i++) { /* the table, then its first chunk */
        allocator.fail_at = allocator.calls + i;
        expect_eq(weir_loop_call_soon(loop, note_number, number(1), &handle),
                  -ENOMEM);
        allocator.fail_at = allocator.calls + 1;
        expect_eq(
            weir_loop_call_later(loop, 0, note_number, number(1), &handle),
            -ENOMEM);
    }
    expect_eq(handle.index, 7);
    allocator.fail_at = 0;

    soon(note_number, number(2));
    one_turn();

    expect_eq(event_count, 1);
    expect_eq(events[0].number, 2);
    close_loop();
    allocator_check(&allocator);
}

UNIT_IN(callback, a_steady_stream_of_callbacks_allocates_nothing, unit_alone,
        void)
{
    struct test_allocator allocator;
    int count = 0;
    open_loop_from(&allocator);
    soon(again, &count);
    later(1 * MS, stop_loop, NULL);
    expect_eq(weir_loop_run(loop), 0);
    const uint64_t calls = allocator.calls;

    for (int i = 0; i < 1000; i++) {
        struct weir_handle handle;
        expect_ok(
            weir_loop_call_later(loop, MS, note_number, number(1), &handle));
        one_turn();
        weir_handle_cancel(loop, handle);
    }

    expect_eq(allocator.calls, calls);
    close_loop();
    allocator_check(&allocator);
}

UNIT_IN(callback, callbacks_pending_when_the_loop_ends_are_dropped, unit_alone,
        void)
{
    open_loop(NULL);
    soon(note_number, number(1));
    later(0, note_number, number(2));
    later(UINT64_MAX, note_number, number(3));

    close_loop();

    expect_eq(event_count, 0);
}

UNIT_IN(callback, callbacks_pending_are_dropped_also_when_connections_end_too,
        unit_alone, void)
{
    static CALLBACKS(protocol, STREAM);
    open_loop(NULL);
    const int peer = adopt_pair(&protocol, NULL);
    one_turn();
    one_turn();
    soon(note_number, number(1));
    later(0, note_number, number(2));

    expect_eq(weir_loop_free(loop), 1);

    expect_eq(event_count, 0);
    close(peer);
}

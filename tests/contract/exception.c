/*
 * The exception hook: errors and slow callbacks that cannot be reported to a
 * caller.
 *
 * These tests have slow callbacks, and reports by the program.
 */
#include "tests/contract/loop_rig.h"

static struct weir_exception told;
static int told_count;

static void hook(void *arg, weir_loop *of, const struct weir_exception *what)
{
    expect_eq(of, loop);
    expect_eq(arg, &told);
    if (what->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    told = *what;
    told_count++;
}

static int spin_count;

static void spin_2_ms(void *arg)
{
    spin_count++;
    spin(2 * MS);
}

static void open_loop_with_limit(uint64_t slow_callback_ns)
{
    const struct weir_loop_options options = {
        .size = sizeof(options), .slow_callback_ns = slow_callback_ns};
    open_loop(&options);
    weir_loop_set_exception_handler(loop, hook, &told);
}

UNIT(exception, a_slow_callback_is_reported_with_its_time)
{
    open_loop_with_limit(1 * MS);
    soon(spin_2_ms, NULL);

    one_turn();

    expect_eq(told_count, 1);
    expect_eq(told.err, 0);
    expect_eq(told.notice, WEIR_NOTICE_SLOW);
    cr_assert_not_null(told.message);
    expect_geq(told.duration_ns, 2 * MS);
    cr_assert_null(told.transport);
    expect_str_eq(told.callback, "call_soon");
    close_loop();
}

UNIT(exception, a_slow_timer_and_a_slow_post_are_reported_by_name)
{
    open_loop_with_limit(1 * MS);
    later(0, spin_2_ms, NULL);
    one_turn();
    expect_eq(told_count, 1);
    expect_str_eq(told.callback, "call_later");

    expect_eq(weir_loop_call_soon_threadsafe(loop, spin_2_ms, NULL, NULL), 0);
    later(FAILSAFE_S * 1000 * MS, fail_late, NULL);
    while (told_count < 2) {
        one_turn();
    }

    expect_str_eq(told.callback, "call_soon_threadsafe");
    close_loop();
}

static int receive_slowly(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    told_count = 0; /* a busy machine may have delayed an earlier one */
    spin(2 * MS);
    weir_loop_stop(loop);
    return 0;
}

UNIT(exception, a_slow_protocol_callback_is_reported_by_name)
{
    static CALLBACKS(slow, STREAM, .connection_made = keep_connection,
                     .data_received = receive_slowly);
    open_loop_with_limit(1 * MS);
    const int peer = adopt_pair(&slow, NULL);
    expect_eq(write(peer, "x", 1), 1);

    run_until_stopped();

    expect_eq(told_count, 1);
    expect_str_eq(told.callback, "data_received");
    expect_eq(told.transport, connection);
    expect_geq(told.duration_ns, 2 * MS);
    expect_eq(weir_loop_free(loop), 1);
    close(peer);
}

UNIT(exception, quick_callbacks_and_loops_without_a_limit_report_nothing)
{
    open_loop_with_limit(FAILSAFE_S * 1000 * MS);
    soon(spin_2_ms, NULL);
    one_turn();
    close_loop();
    open_loop_with_limit(0);
    soon(spin_2_ms, NULL);

    one_turn();

    expect_eq(told_count, 0);
    close_loop();
}

UNIT(exception, without_a_hook_slow_callbacks_run_and_nothing_is_called)
{
    open_loop_with_limit(1 * MS);
    weir_loop_set_exception_handler(loop, NULL, NULL);
    soon(spin_2_ms, NULL);
    soon(spin_2_ms, NULL);

    one_turn();

    expect_eq(spin_count, 2);
    expect_eq(told_count, 0);
    weir_loop_set_exception_handler(loop, hook, &told);
    soon(spin_2_ms, NULL);
    one_turn();
    expect_eq(told_count, 1);
    close_loop();
}

UNIT(exception, the_program_may_report_to_the_hook_itself)
{
    const struct weir_exception own = {
        .size = sizeof(own), .message = "own", .err = -EIO};
    open_loop_with_limit(0);

    const struct weir_exception sizeless = {.err = -EIO};

    expect_eq(weir_loop_call_exception_handler(loop, &sizeless),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_loop_call_exception_handler(loop, NULL), -EINVAL);
    expect_eq(weir_loop_call_exception_handler(loop, &own), 0);

    expect_eq(told_count, 1);
    expect_eq(told.size, sizeof(told));
    expect_str_eq(told.message, "own");
    expect_eq(told.notice, WEIR_NOTICE_NONE);
    expect_eq(told.err, -EIO);
    close_loop();
}

/*
 * How a loop waits for its timers: with its enters while few of them end early,
 * and with one operation for all of them once many do. On the fake machine a
 * wait that can never end is a failure.
 */
#define UNIT_RUN with_subject
#include "subject.h"
#include "tests/statistics.h"

enum { RANDOM_TIMERS = 40 };

static uint64_t busy_until_ns;
static uint64_t fired_ns;
static uint64_t random_seed;

static uint64_t since_start(void)
{
    return fake_now() - FAKE_START_NS;
}

static void note_time(void *arg)
{
    fired_ns = since_start();
}

static void note_time_and_stop(void *arg)
{
    note_time(arg);
    weir_loop_stop(loop);
}

/* The peer wakes the loop every millisecond. */
static void beat(void *arg)
{
    if (fake_now() <= busy_until_ns) {
        expect_eq(fake_peer_write(peer, "x", 1), 1);
        fake_at(fake_now() + MS, beat, arg);
    }
}

/* A byte wakes the loop, so that it sees that it is stopped. */
static void wake_and_stop(void *arg)
{
    expect_eq(fake_peer_write(peer, "x", 1), 1);
    weir_loop_stop(loop);
}

static void stay_busy_for(uint64_t time_ns)
{
    busy_until_ns = fake_now() + time_ns;
    fake_at(fake_now() + MS, beat, NULL);
}

static struct weir_handle later(uint64_t delay_ns, weir_callback_fn *cb)
{
    struct weir_handle handle;

    expect_eq(weir_loop_call_later(loop, delay_ns, cb, NULL, &handle), 0);
    return handle;
}

static void stop_at(uint64_t when_ns)
{
    fake_at(FAKE_START_NS + when_ns, wake_and_stop, NULL);
    expect_eq(weir_loop_run(loop), 0);
}

static void start(const struct fake_options *options)
{
    fired_ns = 0;
    subject_open(options, NULL, &noting, NULL);
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    cr_assert_not_null(transport);
}

static void stop(void)
{
    busy_until_ns = 0;
    subject_stop(1);
}

static void with_subject(void (*body)(void))
{
    start(&(struct fake_options){.seed = 1});
    body();
    stop();
}

UNIT(alarm, a_busy_loop_waits_for_a_timer_by_one_operation)
{
    const uint64_t ops = statistics_of(loop).ops_in_flight;
    stay_busy_for(5000 * MS);
    later(4000 * MS, note_time_and_stop);

    stop_at(3000 * MS);
    expect_eq(fake_stats()->timeouts, 1);
    expect_eq(statistics_of(loop).ops_in_flight, ops, "it is the loop's own");
    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 4000);
    expect_eq(fake_stats()->timeouts, 1);
    expect_eq(fake_stats()->cancels, 0);
}

UNIT(alarm, a_quiet_loop_needs_none)
{
    for (uint64_t i = 1; i <= 100; i++) {
        later(i * 50 * MS, i < 100 ? note_time : note_time_and_stop);
    }

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 5000);
    expect_eq(fake_stats()->timeouts, 0);
}

UNIT(alarm, it_is_moved_to_an_earlier_deadline)
{
    stay_busy_for(3000 * MS);
    later(60000 * MS, note_time);
    stop_at(1000 * MS);
    expect_eq(fake_stats()->timeouts, 1);
    later(1000 * MS, note_time_and_stop);

    stop_at(1500 * MS);
    expect_eq(fake_stats()->timeouts, 2);
    expect_eq(fake_stats()->cancels, 1);
    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 2000);
}

UNIT(alarm, a_deadline_that_moves_on_leaves_it_as_it_is)
{
    stay_busy_for(1000 * MS);
    struct weir_handle handle = later(2000 * MS, note_time_and_stop);
    stop_at(900 * MS);
    cr_assert(weir_handle_reschedule(loop, handle, FAKE_START_NS + 9000 * MS));
    stop_at(1100 * MS);
    const uint64_t turns = statistics_of(loop).turns;

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 9000);
    expect_eq(fake_stats()->timeouts, 1);
    expect_leq(statistics_of(loop).turns - turns, 3,
               "the alarm, the timer, the stop");
}

UNIT(alarm, outlives_a_run_and_serves_the_next)
{
    stay_busy_for(100 * MS);
    later(1000 * MS, note_time_and_stop);
    stop_at(200 * MS);
    fake_spend(300 * MS);

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 1000);
    expect_eq(fake_stats()->timeouts, 1);
}

UNIT_IN(alarm, the_end_of_the_loop_does_not_wait_for_it, unit_alone, void)
{
    start(&(struct fake_options){.seed = 1});
    stay_busy_for(100 * MS);
    later(60000 * MS, note_time);
    stop_at(200 * MS);
    expect_eq(fake_stats()->timeouts, 1);

    stop();

    expect_lt(fake_now() - FAKE_START_NS, 1000 * MS);
}

UNIT(alarm, ends_with_a_ring_that_breaks)
{
    stay_busy_for(100 * MS);
    later(60000 * MS, note_time);
    stop_at(50 * MS);
    expect_eq(fake_stats()->timeouts, 1);
    fake_break_ring(-EBADFD);

    expect_eq(weir_loop_run(loop), -EBADFD);
}

UNIT_IN(alarm, without_memory_for_it_the_enters_wait_by_themselves, unit_alone,
        void)
{
    struct fake_options options = {.seed = 1};
    options.permille[FAKE_NO_TIMEOUT] = 1000;
    start(&options);
    stay_busy_for(900 * MS);
    later(1000 * MS, note_time_and_stop);

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(fired_ns / MS, 1000);
    expect_gt(fake_stats()->timeouts, 10, "it is tried again");
    expect_leq(fake_stats()->timeouts, 900 / 8, "but not in each turn");
    stop();
}

static uint64_t deadlines_ns[RANDOM_TIMERS];
static int fired_count;

static void note_lateness(void *arg)
{
    const uint64_t deadline_ns = *(uint64_t *)arg;

    expect_geq(fake_now(), deadline_ns, "seed %llu",
               (unsigned long long)random_seed);
    expect_leq(fake_now(), deadline_ns + MS, "seed %llu",
               (unsigned long long)random_seed);
    fired_count++;
}

static void add_timer(uint64_t *ret_deadline_ns)
{
    struct weir_handle handle;

    *ret_deadline_ns = fake_now() + (1 + fake_random(500)) * MS;
    expect_ok(weir_loop_call_at(loop, *ret_deadline_ns, note_lateness,
                                ret_deadline_ns, &handle));
}

UNIT_IN(alarm, no_timer_is_missed_whatever_happens_to_it, unit_alone, void)
{
    uint64_t alarms = 0;

    for (random_seed = 1; random_seed <= 50; random_seed++) {
        struct fake_options options = {.seed = random_seed};
        options.permille[FAKE_DELAY] = 300;
        options.permille[FAKE_REORDER] = 300;
        options.permille[FAKE_INTERRUPT] = 100;
        options.permille[FAKE_CANCEL_RACE] = 500;
        options.permille[FAKE_NO_TIMEOUT] = 100;
        start(&options);
        stay_busy_for(RANDOM_TIMERS * 40 * MS);
        fired_count = 0;
        for (int i = 0; i < RANDOM_TIMERS; i++) {
            add_timer(&deadlines_ns[i]);
            stop_at(since_start() + (1 + fake_random(40)) * MS);
        }
        stop_at(since_start() + 600 * MS);
        expect_eq(fired_count, RANDOM_TIMERS);
        alarms += fake_stats()->timeouts;
        stop();
    }
    expect_gt(alarms, 50 * RANDOM_TIMERS / 4, "most waits had one");
}

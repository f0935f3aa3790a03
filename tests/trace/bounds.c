/*
 * An iteration of the loop, observed from outside and with the fake clock.
 *
 * Because time passes only while the loop waits, the tests know exactly how
 * late a timer is, how often the kernel is entered, and how much an iteration
 * does at most. tests/contract/callback.c tests the order on a real kernel.
 */
#define UNIT_RUN with_loop
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/unit/random.h"

#include <errno.h>
#include <weir/loop.h>

#define TICK_NS UINT64_C(1024)
#define US      UINT64_C(1000)
#define HOUR    (UINT64_C(3600) * 1000 * 1000 * US)
/* The most that one turn does of each. */
#define TIMERS_MAX 4096
#define READY_MAX  4096
/* Posts that wait at most, where the loop's options do not say. */
#define POST_LIMIT 65536

static weir_loop *loop;
static int count;
static int count_goal;

static void with_loop(void (*body)(void))
{
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    count = 0;
    body();
    expect_eq(weir_loop_free(loop), 0);
    fake_stop();
}

static void stop_loop(void *arg)
{
    weir_loop_stop(loop);
}

struct alarm {
    uint64_t when_ns;
    uint64_t rang_ns;
};

static void ring_alarm(void *arg)
{
    struct alarm *alarm = arg;
    alarm->rang_ns = weir_loop_get_time(loop);
    expect_eq(alarm->rang_ns, fake_now());
    if (++count == count_goal) {
        weir_loop_stop(loop);
    }
}

UNIT(bounds, a_timer_is_at_most_one_tick_late_and_never_early)
{
    static const uint64_t spans[] = {100 * US, 100000 * US, HOUR, 1000 * HOUR};
    static struct alarm alarms[4000];
    struct unit_random random = unit_random_new();
    count_goal = 4000;
    for (int i = 0; i < count_goal; i++) {
        alarms[i].when_ns =
            fake_now() + unit_random_below(&random, spans[i % 4]);
        expect_ok(weir_loop_call_at(loop, alarms[i].when_ns, ring_alarm,
                                    &alarms[i], NULL));
    }

    expect_eq(weir_loop_run(loop), 0);

    for (int i = 0; i < count_goal; i++) {
        expect_geq(alarms[i].rang_ns, alarms[i].when_ns);
        expect_lt(alarms[i].rang_ns - alarms[i].when_ns, TICK_NS);
    }
}

UNIT(bounds, a_single_timer_far_away_costs_no_turns_on_the_way)
{
    expect_ok(weir_loop_call_later(loop, 10000 * HOUR, stop_loop, NULL, NULL));

    expect_eq(weir_loop_run(loop), 0);

    expect_geq(fake_now(), FAKE_START_NS + 10000 * HOUR);
    expect_leq(statistics_of(loop).turns, 3);
}

UNIT(bounds, a_turn_enters_the_kernel_once)
{
    struct alarm alarm;
    const uint64_t before = fake_stats()->enters;
    for (uint64_t i = 1; i <= 100; i++) {
        expect_ok(weir_loop_call_later(loop, i * 1000 * US,
                                       i == 100 ? stop_loop : ring_alarm,
                                       &alarm, NULL));
    }
    count_goal = -1;

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(statistics_of(loop).turns, 100);
    /* And once more, for what the last turn has written. */
    expect_eq(fake_stats()->enters - before, statistics_of(loop).turns + 1);
}

static uint64_t first_turn;
static uint64_t last_turn;

static void count_turns(void *arg)
{
    last_turn = statistics_of(loop).turns;
    if (count++ == 0) {
        first_turn = last_turn;
    }
    if (count == count_goal) {
        weir_loop_stop(loop);
    }
}

UNIT(bounds, many_timers_that_are_due_take_several_turns)
{
    count_goal = 3 * TIMERS_MAX;
    for (int i = 0; i < count_goal; i++) {
        expect_ok(weir_loop_call_later(loop, 10 * US, count_turns, NULL, NULL));
    }

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(count, count_goal);
    expect_eq(last_turn - first_turn, 2);
}

UNIT(bounds, many_ready_callbacks_take_several_turns)
{
    count_goal = 3 * READY_MAX;
    for (int i = 0; i < count_goal; i++) {
        expect_eq(weir_loop_call_soon(loop, count_turns, NULL, NULL), 0);
    }

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(count, count_goal);
    expect_eq(last_turn - first_turn, 2);
}

UNIT(bounds, many_posts_take_several_turns)
{
    count_goal = 3 * READY_MAX;
    for (int i = 0; i < count_goal; i++) {
        expect_ok(
            weir_loop_call_soon_threadsafe(loop, count_turns, NULL, NULL));
    }

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(count, count_goal);
    expect_eq(last_turn - first_turn, 2);
}

static int count_at_alarm;

static void note_count(void *arg)
{
    count_at_alarm = count;
}

static void start_alarm(void *arg)
{
    expect_eq(weir_loop_call_at(loop, 0, note_count, NULL, NULL), 0);
    count_turns(arg);
}

UNIT(bounds, a_full_mailbox_holds_a_timer_up_by_the_posts_of_one_turn)
{
    count_goal = POST_LIMIT;
    expect_eq(weir_loop_call_soon_threadsafe(loop, start_alarm, NULL, NULL), 0);
    for (int i = 1; i < count_goal; i++) {
        expect_ok(
            weir_loop_call_soon_threadsafe(loop, count_turns, NULL, NULL));
    }
    expect_eq(weir_loop_call_soon_threadsafe(loop, count_turns, NULL, NULL),
              -ENOBUFS, "a mailbox has an end");

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(count, count_goal);
    expect_eq(count_at_alarm, READY_MAX);
}

/* A callback that is ready comes in the turn after the first of the timers,
 * however many more of those are due. */
UNIT(bounds, timers_that_are_due_do_not_keep_callbacks_waiting)
{
    count_goal = 3 * TIMERS_MAX;
    for (int i = 0; i < count_goal; i++) {
        expect_eq(weir_loop_call_at(loop, 0, count_turns, NULL, NULL), 0);
    }
    expect_eq(weir_loop_call_soon(loop, stop_loop, NULL, NULL), 0);

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(count, TIMERS_MAX);
    expect_eq(statistics_of(loop).turns, 1);
}

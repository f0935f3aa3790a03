/*
 * Clocks without a connection: which time limit ends a connection, when, and
 * with which error.
 *
 * The transport is a table whose results the test sets; its loop is only a
 * wheel of timers and a time that the test advances.
 */
#define UNIT_RUN with_clock
#include "lib/transport/connection.h"

#include "tests/allocator.h"
#include "tests/unit.h"

#include <errno.h>

#define START_NS UINT64_C(1000000000)
#define MS_NS    UINT64_C(1000000)

static weir_loop loop;
static struct test_allocator memory; /* memory of limits */
static struct wr_connection owner;   /* writes nothing */
static weir_transport *const t = &owner.t;
static struct wr_clock clock_of_test;
static struct wr_clock *const timed = &clock_of_test;

/* Results of the transport, and the calls to it. */
static struct wr_clock_view stands;
static bool has_unread;
static bool has_taken_all;
static uint64_t depth_bytes;
static uint64_t next_look_ns;
static bool look_ends;
static int look_count;
static int doom_count;
static int expired_count;
static struct wr_deadline expired_by;

static bool is_reading(const weir_transport *of)
{
    return of == t && stands.is_reading;
}

static bool tell_unread(const weir_transport *of)
{
    return of == t && has_unread;
}

static bool tell_taken(const weir_transport *of)
{
    return of == t && has_taken_all;
}

static uint64_t tell_depth(const weir_transport *of)
{
    expect_eq(of, t);
    return depth_bytes;
}

static void doom(weir_transport *of)
{
    expect_eq(of, t);
    doom_count++;
}

static void view(const weir_transport *of, struct wr_clock_view *ret)
{
    expect_eq(of, t);
    *ret = stands;
}

static void expired(weir_transport *of, const struct wr_deadline *over)
{
    expect_eq(of, t);
    expired_count++;
    expired_by = *over;
}

static uint64_t tell_next_look(const weir_transport *of)
{
    expect_eq(of, t);
    return next_look_ns;
}

static bool look(weir_transport *of)
{
    expect_eq(of, t);
    look_count++;
    next_look_ns = UINT64_MAX;
    return look_ends;
}

static const struct wr_transport_ops clock_ops = {
    .name = "unit",
    .size = sizeof(struct wr_connection),
    .is_reading = is_reading,
    .has_unread = tell_unread,
    .has_taken_all = tell_taken,
    .get_depth = tell_depth,
    .doom = doom,
    .view_time = view,
    .time_expired = expired,
};

static const struct wr_transport_ops looking_ops = {
    .name = "unit",
    .size = sizeof(struct wr_connection),
    .is_reading = is_reading,
    .has_unread = tell_unread,
    .has_taken_all = tell_taken,
    .get_depth = tell_depth,
    .doom = doom,
    .view_time = view,
    .time_expired = expired,
    .next_look_ns = tell_next_look,
    .look_at_queue = look,
};

static void step(struct wr_ready *ready)
{
    wr_ignore(ready);
}

static void setup(const struct wr_transport_ops *ops)
{
    memset(&loop, 0, sizeof(loop));
    memset(&owner, 0, sizeof(owner));
    loop.state = WR_LOOP_RUNNING;
    loop.now_ns = START_NS;
    wr_wheel_init(&loop.wheel, START_NS);
    allocator_init(&memory);
    loop.counting = memory.hooks;
    wr_list_init(&loop.clock_limits);
    t->loop = &loop;
    t->ops = ops;
    wr_ready_init(&t->step, step);
    wr_list_init(&loop.ready);
    stands =
        (struct wr_clock_view){.is_open = true, .own = {.when_ns = UINT64_MAX}};
    has_unread = has_taken_all = look_ends = false;
    depth_bytes = 0;
    next_look_ns = UINT64_MAX;
    look_count = doom_count = expired_count = 0;
    expired_by = (struct wr_deadline){.err = 0};
    wr_clock_init(timed, t);
}

/* Sets the loop's time to @ms after the start, and runs its timers. */
static void at_ms(uint64_t ms)
{
    loop.now_ns = START_NS + ms * MS_NS;
    wr_ignore(wr_wheel_expire(&loop.wheel, loop.now_ns, UINT32_MAX) > 0);
}

/* Expects that no limit has expired then. */
static void none_by_ms(uint64_t ms)
{
    at_ms(ms);
    expect_eq(expired_count, 0);
}

static void limit(struct weir_timeouts limits)
{
    limits.size = sizeof(limits);
    expect_eq(wr_clock_set_limits(timed, &limits), 0);
}

static void expect_ended_by(int err, const char *where)
{
    expect_eq(expired_count, 1);
    expect_eq(expired_by.err, err);
    expect_eq(strcmp(expired_by.where, where), 0);
    expect_eq(doom_count, 0); /* the owner handles that */
}

static void with_clock(void (*body)(void))
{
    setup(&clock_ops);
    body();
    wr_clock_fini(timed);
    expect_eq(memory.live_count, 0);
}

UNIT(clock, without_limits_no_timer_runs)
{
    stands.is_reading = stands.is_sending = true;

    limit((struct weir_timeouts){.idle_ns = 0});

    cr_assert(!wr_timeouts_are_set(wr_clock_get_limits(timed)));
    cr_assert(!wr_timer_is_armed(&timed->timer));
    expect_eq(wr_clock_next(timed).when_ns, UINT64_MAX);
}

UNIT(clock, the_limit_that_is_over_first_ends_the_connection)
{
    stands.is_reading = true;
    limit((struct weir_timeouts){.idle_ns = 300 * MS_NS,
                                 .read_ns = 200 * MS_NS,
                                 .write_stall_ns = 100 * MS_NS});

    none_by_ms(150); /* nothing is to be sent */
    at_ms(250);

    expect_ended_by(WEIR_EREADTIMEOUT, "receive");
}

UNIT(clock, bytes_only_note_the_time)
{
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});
    const uint64_t armed_ns = timed->timer.when_ns;

    at_ms(60);
    wr_clock_note_received(timed);
    expect_eq(timed->timer.when_ns, armed_ns);
    none_by_ms(120); /* the timer fires and is armed again */
    wr_clock_note_sent(timed);
    none_by_ms(190);
    at_ms(230);

    expect_ended_by(WEIR_EIDLE, "connection");
}

UNIT(clock, a_stall_counts_while_bytes_wait_and_not_while_a_file_is_read)
{
    stands.is_sending = stands.awaits_file = true;
    limit((struct weir_timeouts){.write_stall_ns = 100 * MS_NS});

    none_by_ms(150);
    stands.awaits_file = false;
    at_ms(300);

    expect_ended_by(WEIR_EWRITESTALL, "send");
}

UNIT(clock, the_limit_of_a_close_begins_with_it)
{
    limit((struct weir_timeouts){.close_ns = 100 * MS_NS});
    cr_assert(!wr_timer_is_armed(&timed->timer));

    at_ms(500);
    stands.is_open = false;
    wr_clock_close(timed);
    none_by_ms(590);
    at_ms(610);

    expect_ended_by(WEIR_ECLOSETIMEOUT, "close");
}

UNIT(clock, a_limit_of_the_kind_of_transport_stands_beside_the_others)
{
    stands.own = (struct wr_deadline){START_NS + 100 * MS_NS, 0, "linger"};
    limit((struct weir_timeouts){.idle_ns = 200 * MS_NS});

    at_ms(110);

    expect_ended_by(0, "linger");
}

UNIT(clock, none_is_in_force_once_the_end_is_decided)
{
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});
    stands.is_over = true;

    at_ms(200);

    expect_eq(expired_count, 0);
    cr_assert(!wr_timer_is_armed(&timed->timer));
}

UNIT(clock, a_stopped_one_ends_nothing)
{
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});

    wr_clock_stop(timed);
    at_ms(200);

    expect_eq(expired_count, 0);
}

UNIT(clock, connections_with_the_same_limits_share_their_memory)
{
    struct wr_clock others[2];
    struct weir_timeouts limits = {.size = sizeof(limits), .close_ns = MS_NS};

    limit(limits);
    for (int i = 0; i < 2; i++) {
        wr_clock_init(&others[i], t);
        expect_eq(wr_clock_set_limits(&others[i], &limits), 0);
        expect_eq(memory.live_count, 1);
    }
    limits.close_ns = 2 * MS_NS;
    expect_eq(wr_clock_set_limits(&others[0], &limits), 0);
    expect_eq(memory.live_count, 2);
    expect_eq(wr_clock_get_limits(timed)->close_ns, MS_NS);
    expect_eq(wr_clock_get_limits(&others[0])->close_ns, 2 * MS_NS);
    wr_clock_fini(&others[0]);
    wr_clock_fini(&others[1]);
    expect_eq(memory.live_count, 1);
}

UNIT_IN(clock, limits_that_are_used_again_stay_shared, with_clock, void)
{
    struct weir_timeouts limits = {.size = sizeof(limits)};
    struct wr_clock others[10];

    for (uint64_t i = 0; i < 10; i++) {
        wr_clock_init(&others[i], t);
        limits.close_ns = i % 2 == 0 ? MS_NS : (1 + i) * MS_NS;
        expect_eq(wr_clock_set_limits(&others[i], &limits), 0);
    }
    expect_eq(memory.live_count, 1 + 5);
    memory.size_limit = 0;
    limit((struct weir_timeouts){.close_ns = MS_NS});
    limit((struct weir_timeouts){.close_ns = 0});
    for (int i = 0; i < 10; i++) {
        wr_clock_fini(&others[i]);
    }
}

UNIT(clock, limits_without_memory_leave_those_of_before)
{
    struct weir_timeouts limits = {.size = sizeof(limits), .read_ns = MS_NS};

    memory.size_limit = 0;
    expect_eq(wr_clock_set_limits(timed, &limits), -ENOMEM);
    expect_eq(wr_clock_get_limits(timed)->read_ns, 0);
    cr_assert(!wr_timer_is_armed(&timed->timer));
}

UNIT(clock, bytes_that_wait_in_the_kernel_count_as_received)
{
    stands.is_reading = true;
    limit((struct weir_timeouts){.read_ns = 100 * MS_NS});

    has_unread = true;
    none_by_ms(150);
    has_unread = false;
    none_by_ms(240);
    at_ms(260);

    expect_ended_by(WEIR_EREADTIMEOUT, "receive");
}

UNIT(clock, a_connection_whose_own_bytes_wait_may_be_idle_beside_unread_ones)
{
    stands.is_reading = true;
    has_unread = true;
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});

    none_by_ms(150);
    depth_bytes = 1;
    at_ms(300);

    expect_ended_by(WEIR_EIDLE, "connection");
}

UNIT(clock, a_peer_that_took_all_while_the_loop_was_held_up_has_not_stalled)
{
    stands.is_sending = true;
    limit((struct weir_timeouts){.write_stall_ns = 100 * MS_NS});

    has_taken_all = true;
    none_by_ms(110);
    has_taken_all = false;
    at_ms(220);

    expect_ended_by(WEIR_EWRITESTALL, "send");
}

UNIT(clock, a_loop_that_was_on_time_blames_the_peer)
{
    limit((struct weir_timeouts){.close_ns = 100 * MS_NS});
    wr_clock_close(timed);
    has_taken_all = true;

    /* The wheel has ticks: it may fire a little later than the limit. */
    for (loop.now_ns = timed->timer.when_ns; expired_count == 0;
         loop.now_ns += MS_NS / 100) {
        cr_assert_lt(loop.now_ns, START_NS + 102 * MS_NS);
        wr_ignore(wr_wheel_expire(&loop.wheel, loop.now_ns, UINT32_MAX) > 0);
    }

    expect_ended_by(WEIR_ECLOSETIMEOUT, "close");
}

UNIT(clock, a_close_whose_bytes_were_taken_meanwhile_gets_its_limit_anew)
{
    limit((struct weir_timeouts){.close_ns = 100 * MS_NS});
    stands.is_open = false;
    wr_clock_close(timed);

    has_taken_all = true;
    none_by_ms(150); /* the loop was blocked for 50 */
    expect_eq(timed->closing_ns, START_NS + 150 * MS_NS);
    has_taken_all = false;
    none_by_ms(240);
    at_ms(260);

    expect_ended_by(WEIR_ECLOSETIMEOUT, "close");
}

UNIT(clock, a_close_that_waits_for_its_step_alone_gets_its_limit_anew)
{
    limit((struct weir_timeouts){.close_ns = 100 * MS_NS});
    stands.is_open = false;
    wr_clock_close(timed);
    wr_ready_push(&loop.ready, &t->step);

    none_by_ms(150);
    depth_bytes = 1; /* waiting for the peer */
    at_ms(260);

    expect_ended_by(WEIR_ECLOSETIMEOUT, "close");
}

UNIT(clock, two_limits_that_are_over_and_unfair_begin_anew_together)
{
    stands.is_reading = stands.is_sending = true;
    limit((struct weir_timeouts){.read_ns = 100 * MS_NS,
                                 .write_stall_ns = 120 * MS_NS});

    has_unread = has_taken_all = true;
    none_by_ms(200);
    expect_eq(timed->received_ns, START_NS + 200 * MS_NS);
    expect_eq(timed->sent_ns, START_NS + 200 * MS_NS);
    has_unread = has_taken_all = false;
    none_by_ms(290);
    at_ms(310);

    expect_ended_by(WEIR_EREADTIMEOUT, "receive");
}

UNIT(clock, of_two_limits_that_are_over_the_one_that_is_fair_ends_it)
{
    stands.is_reading = stands.is_sending = true;
    limit((struct weir_timeouts){.read_ns = 100 * MS_NS,
                                 .write_stall_ns = 120 * MS_NS});

    has_unread = true; /* but the peer does not read */
    at_ms(200);

    expect_ended_by(WEIR_EWRITESTALL, "send");
}

UNIT(clock, a_look_comes_before_the_limit_and_may_end_the_connection)
{
    setup(&looking_ops);
    next_look_ns = START_NS + 50 * MS_NS;
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});

    at_ms(60);
    expect_eq(look_count, 1);
    expect_eq(doom_count, 0);
    next_look_ns = START_NS + 80 * MS_NS;
    look_ends = true;
    wr_clock_changed(timed);
    at_ms(90);

    expect_eq(look_count, 2);
    expect_eq(doom_count, 1);
    expect_eq(expired_count, 0);
}

UNIT(clock, after_a_look_that_ends_nothing_the_limit_is_still_in_force)
{
    setup(&looking_ops);
    next_look_ns = START_NS + 50 * MS_NS;
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});

    at_ms(60);
    expect_eq(look_count, 1);
    cr_assert(wr_timer_is_armed(&timed->timer));
    at_ms(110);

    expect_ended_by(WEIR_EIDLE, "connection");
    expect_eq(look_count, 1);
}

UNIT(clock, a_look_and_a_limit_that_come_at_once_are_both_seen)
{
    setup(&looking_ops);
    next_look_ns = START_NS + 90 * MS_NS;
    limit((struct weir_timeouts){.idle_ns = 100 * MS_NS});

    at_ms(150); /* the loop was blocked */

    expect_eq(look_count, 1);
    expect_ended_by(WEIR_EIDLE, "connection");
}

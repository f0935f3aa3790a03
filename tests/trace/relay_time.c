/*
 * The time limits of a relay, on the fake clock.
 *
 * Two connections of the fake machine are relayed, and the test plays both
 * peers. Deadlines end at their time and not before; a rate is computed from
 * the bytes that arrive after a given time.
 */
#define UNIT_RUN ending
#include "adopt.h"
#include "clock.h"
#include "tests/bind.h"

#include <errno.h>
#include <string.h>
#include <weir/inspect.h>
#include <weir/relay.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define KIB 1024u
#define MIB (1024u * KIB)

#define ENDLESS UINT64_MAX

static weir_loop *loop;
static bool traces;
static weir_transport *sides[2];
static struct fake_peer *peers[2];
static uint64_t peer_read[2];
static weir_pending *pending;
static struct weir_relay_record record;
static int done_count;
static uint64_t done_ns;

static void made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = made);

static void done(void *arg, int err, const struct weir_relay_record *ret)
{
    (void)arg;
    expect_eq(ret->err, err);
    done_count++;
    done_ns = fake_now();
    record = *ret;
}

static void open_sides(void)
{
    fake_start(&(struct fake_options){.seed = 1, .trace = traces});
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    done_count = 0;
    for (int i = 0; i < 2; i++) {
        peer_read[i] = 0;
        adopt(loop, &protocol, &sides[i], NULL, &peers[i]);
    }
    clock_run_for(loop, MS);
}

static void begin(const struct weir_relay_options *options)
{
    expect_eq(weir_relay(sides[0], sides[1], options, done, NULL, &pending), 0);
}

static void start(const struct weir_relay_options *options)
{
    open_sides();
    begin(options);
}

static void end(void)
{
    const int alive = done_count == 0 ? 2 : 0;
    expect_eq(weir_loop_free(loop), alive);
    expect_eq(done_count, 1);
    fake_peer_close(peers[0]);
    fake_peer_close(peers[1]);
    fake_stop();
}

static void peer_send(int side, size_t len)
{
    static const uint8_t bytes[64 * KIB];
    while (len > 0) {
        const size_t part = len < sizeof(bytes) ? len : sizeof(bytes);
        expect_eq(fake_peer_write(peers[side], bytes, part), (ssize_t)part);
        len -= part;
    }
}

/* Reads what has come; returns how it ends, or -EAGAIN. */
static int peer_take(int side)
{
    static uint8_t bytes[64 * KIB];
    ssize_t len;
    while ((len = fake_peer_read(peers[side], bytes, sizeof(bytes))) > 0) {
        peer_read[side] += (uint64_t)len;
    }
    return (int)len;
}

static void expect_end(enum weir_relay_cause cause, int err)
{
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_LIMIT);
    expect_eq(record.cause, cause);
    expect_eq(record.err, err);
    expect_eq(record.end_ns, done_ns);
}

/* Nothing moves any more: the relay ends after the limit, or a quarter later.
 */
static void expect_idle(uint64_t limit_ns, enum weir_relay_cause cause)
{
    clock_run_for(loop, limit_ns - MS);
    expect_eq(done_count, 0);
    clock_run_for(loop, limit_ns / 4 + 2 * MS);
    expect_end(cause, WEIR_EIDLE);
    expect_eq(peer_take(0), -ECONNRESET);
    expect_eq(peer_take(1), -ECONNRESET);
}

static void ending(void (*body)(void))
{
    body();
    end();
}

UNIT(relay_time, an_idle_relay_ends_after_its_limit_and_resets_both)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .idle_ns = S};
    start(&options);
    for (int i = 0; i < 20; i++) {
        clock_run_for(loop, 900 * MS);
        peer_send(i % 2, 100);
    }
    expect_idle(S, WEIR_RELAY_IDLE);
}

/* The queue leaves slowly, and nothing is received meanwhile. */
UNIT(relay_time, bytes_that_leave_are_a_sign_of_life)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .idle_ns = S};
    static uint8_t some[24 * KIB];
    start(&options);
    for (int i = 0; i < 4; i++) { /* more than the queues of the machine */
        peer_send(0, 48 * KIB);
        clock_run_for(loop, MS);
    }
    expect_gt(weir_transport_get_write_buffer_size(sides[1]), 0);
    for (int i = 0; i < 3; i++) {
        expect_eq(fake_peer_read(peers[1], some, sizeof(some)), sizeof(some));
        clock_run_for(loop, 800 * MS);
        expect_eq(done_count, 0);
    }
    clock_run_for(loop, 2 * S);
    expect_end(WEIR_RELAY_IDLE, WEIR_EIDLE);
}

static void idle_half_closed(int side)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .idle_ns = 100 * S, .half_closed_ns = 2 * S};
    start(&options);
    clock_run_for(loop, 50 * S);
    fake_peer_shutdown(peers[side]);
    for (int i = 0; i < 10; i++) { /* the other direction moves */
        clock_run_for(loop, 1500 * MS);
        peer_send(!side, 10);
    }
    clock_run_for(loop, 1999 * MS);
    expect_eq(done_count, 0);
    clock_run_for(loop, 502 * MS);
    expect_end(WEIR_RELAY_HALF_CLOSED, WEIR_EIDLE);
    expect_eq(peer_take(side), -ECONNRESET);
    end();
}

UNIT_IN(relay_time, half_closed_it_may_idle_for_less, unit_alone, void)
{
    idle_half_closed(0);
    idle_half_closed(1);
}

UNIT(relay_time, the_limit_of_half_closed_ones_begins_with_the_end)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .half_closed_ns = 2 * S};
    start(&options);
    clock_run_for(loop, 50 * S);
    fake_peer_shutdown(peers[1]);
    clock_run_for(loop, 1999 * MS);
    expect_eq(done_count, 0);
    clock_run_for(loop, 502 * MS);
    expect_end(WEIR_RELAY_HALF_CLOSED, WEIR_EIDLE);
}

static uint64_t turns_of_half_closing(uint64_t half_closed_ns)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .half_closed_ns = half_closed_ns};
    struct weir_loop_statistics before = {.size = sizeof(before)};
    struct weir_loop_statistics after = {.size = sizeof(after)};

    start(&options);
    clock_run_for(loop, S);
    expect_eq(weir_loop_get_statistics(loop, &before), 0);
    fake_peer_shutdown(peers[1]);
    clock_run_for(loop, MS);
    expect_eq(weir_loop_get_statistics(loop, &after), 0);
    end();
    return after.turns - before.turns;
}

UNIT_IN(relay_time, the_first_end_makes_no_turn_for_its_limit, unit_alone, void)
{
    expect_eq(turns_of_half_closing(2 * S), turns_of_half_closing(0));
}

UNIT(relay_time, the_limit_of_half_closed_ones_may_be_a_nanosecond)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .half_closed_ns = 1};
    start(&options);
    clock_run_for(loop, S);
    expect_eq(done_count, 0);
    fake_peer_shutdown(peers[0]);
    clock_run_for(loop, MS);
    expect_end(WEIR_RELAY_HALF_CLOSED, WEIR_EIDLE);
}

UNIT(relay_time, of_two_limits_at_one_moment_the_lifetime_is_told)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .idle_ns = S, .lifetime_ns = S};
    start(&options);
    clock_run_for(loop, S + MS);
    expect_end(WEIR_RELAY_LIFETIME, -ETIMEDOUT);
}

UNIT(relay_time, a_lifetime_ends_a_busy_relay)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .idle_ns = S, .lifetime_ns = 10 * S};
    start(&options);
    for (int i = 0; i < 99; i++) {
        clock_run_for(loop, 100 * MS);
        peer_send(i % 2, 10);
    }
    expect_eq(done_count, 0);
    clock_run_for(loop, 200 * MS);
    expect_end(WEIR_RELAY_LIFETIME, -ETIMEDOUT);
    expect_geq(record.end_ns - record.start_ns, 10 * S);
    expect_leq(record.end_ns - record.start_ns, 10 * S + MS);
}

/* The losses of the two sides come when the relay's limit is over. */
UNIT(relay_time, a_relay_that_was_cancelled_has_no_limits_any_more)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .lifetime_ns = S};
    start(&options);
    clock_run_for(loop, S - MS / 100);
    fake_set_fault(FAKE_DELAY, 1000);
    weir_pending_cancel(pending);
    clock_run_for(loop, MS / 50);
    expect_eq(done_count, 0);
    fake_set_fault(FAKE_DELAY, 0);
    clock_run_for(loop, MS);
    expect_eq(done_count, 1);
    expect_eq(record.cause, WEIR_RELAY_CANCELED);
}

/* A shutdown goes before the close of no side that has ended. */
UNIT(relay_time, the_close_passes_the_last_end_on_behind_the_bytes)
{
    traces = true;
    start(NULL);
    peer_send(0, 10);
    fake_peer_shutdown(peers[0]);
    clock_run_for(loop, MS);
    expect_eq(peer_take(1), 0);
    expect_eq(done_count, 0);
    cr_assert_not_null(strstr(fake_text(), "shutdown fd="));
    fake_text_clear();

    peer_send(1, 64 * KIB);
    fake_peer_shutdown(peers[1]);
    clock_run_for(loop, MS);
    expect_eq(peer_take(0), 0);

    expect_eq(peer_read[1], 10);
    expect_eq(peer_read[0], 64 * KIB);
    expect_eq(done_count, 1);
    expect_eq(record.cause, WEIR_RELAY_EOF);
    cr_assert_null(strstr(fake_text(), "shutdown fd="), "this happened:\n%s",
                   fake_text());
}

/* A message that passes arms no timer: there is one for both directions. */
UNIT(relay_time, messages_arm_no_timer)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .idle_ns = S, .lifetime_ns = 100 * S};
    struct weir_loop_statistics stats = {.size = sizeof(stats)};
    start(&options);
    for (int i = 0; i < 50; i++) {
        peer_send(i % 2, 10);
        clock_run_for(loop, MS / 10);
    }
    expect_eq(weir_loop_get_statistics(loop, &stats), 0);
    expect_eq(stats.timers, 1);
}

UNIT(relay_time, the_record_has_the_time_of_the_first_byte)
{
    start(NULL);
    clock_run_for(loop, S);
    peer_send(0, 10);
    clock_run_for(loop, S);
    peer_send(0, 10);
    clock_run_for(loop, S);
    weir_pending_cancel(pending);
    clock_run_for(loop, MS);
    expect_geq(record.a_first_ns, record.start_ns + S);
    expect_leq(record.a_first_ns, record.start_ns + S + MS);
    expect_eq(record.b_first_ns, 0);
}

UNIT(relay_time, a_time_out_of_one_side_resets_the_other)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .read_ns = S};
    start(NULL);
    expect_eq(weir_transport_set_timeouts(sides[1], &timeouts), 0);
    clock_run_for(loop, 2 * S);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    expect_eq(record.cause, WEIR_RELAY_TIMEOUT);
    expect_eq(record.err, WEIR_EREADTIMEOUT);
    expect_eq(peer_take(0), -ECONNRESET);
}

/* A's peer sends without end, and B's @of_b bytes. B's reads nothing, and A's
 * @most bytes of each 10 ms, until B's write-stall limit has ended the relay.
 */
static void stall_b(const struct weir_relay_options *options, uint64_t of_b,
                    size_t most, enum weir_relay_cause cause)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .write_stall_ns = S};
    static uint8_t bytes[64 * KIB];
    uint64_t unsent[2] = {ENDLESS, of_b};

    start(options);
    expect_eq(weir_transport_set_timeouts(sides[1], &timeouts), 0);
    for (int i = 0; i < 1000 && done_count == 0; i++) {
        for (int side = 0; side < 2; side++) {
            ssize_t len = 1;
            while (len > 0 && unsent[side] > 0) {
                const uint64_t left = unsent[side];
                len = fake_peer_write(peers[side], bytes,
                                      left < sizeof(bytes) ? left
                                                           : sizeof(bytes));
                unsent[side] -= len > 0 ? (uint64_t)len : 0;
            }
        }
        clock_run_for(loop, 10 * MS);
        for (size_t left = most; left > 0;) {
            const ssize_t len = fake_peer_read(
                peers[0], bytes, left < sizeof(bytes) ? left : sizeof(bytes));
            left -= len > 0 ? (size_t)len : left;
        }
    }
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    expect_eq(record.err, WEIR_EWRITESTALL);
    expect_eq(record.cause, cause);
}

UNIT(relay_time, a_side_whose_bytes_have_arrived_stalls_by_itself)
{
    stall_b(NULL, 10 * KIB, 0, WEIR_RELAY_TIMEOUT);
}

/* A's kernel has them all, and A's peer's has room for 64 KiB. */
UNIT(relay_time, a_side_whose_bytes_wait_in_the_kernel_is_held_up)
{
    stall_b(NULL, 100 * KIB, 0, WEIR_RELAY_HELD_UP);
}

UNIT(relay_time, a_side_whose_bytes_the_other_takes_slowly_is_held_up)
{
    stall_b(NULL, ENDLESS, KIB, WEIR_RELAY_HELD_UP);
}

UNIT(relay_time, a_side_whose_bytes_the_other_does_not_take_is_held_up)
{
    stall_b(NULL, ENDLESS, 0, WEIR_RELAY_HELD_UP);
}

UNIT(relay_time, a_side_whose_bytes_wait_for_their_rate_is_held_up)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .b_rate_bytes = KIB};
    stall_b(&options, ENDLESS, 16 * MIB, WEIR_RELAY_HELD_UP);
}

/* The peer sends as much as it can; the other one takes all that comes. */
static void flood(int from, uint64_t time_ns)
{
    static const uint8_t bytes[64 * KIB];
    const uint64_t until_ns = fake_now() + time_ns;

    while (fake_now() < until_ns) {
        while (fake_peer_write(peers[from], bytes, sizeof(bytes)) > 0) {
        }
        clock_run_for(loop, 5 * MS);
        peer_take(!from);
    }
}

UNIT(relay_time, a_rate_bounds_the_bytes_of_its_direction)
{
    const uint64_t rate = MIB;
    const struct weir_relay_options options = {
        .size = sizeof(options), .idle_ns = 100 * S, .a_rate_bytes = rate};
    start(&options);
    for (uint64_t seconds = 1; seconds <= 10; seconds++) {
        flood(0, S);
        expect_leq(peer_read[1], rate / 8 + seconds * rate + 64 * KIB);
        expect_geq(peer_read[1], seconds * rate - rate / 8);
    }
    flood(1, S);
    expect_gt(peer_read[0], 4 * rate, "the other direction has none");
}

UNIT(relay_time, a_small_rate_pays_for_a_large_receive)
{
    const uint64_t rate = 10000;
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .b_rate_bytes = rate};
    start(&options);
    flood(1, 100 * S);
    expect_leq(peer_read[0], 100 * rate + 4096 + 64 * KIB);
    expect_geq(peer_read[0], 100 * rate - 64 * KIB);
}

/* Half a burst is there when it goes on: 2048 bytes are 62.5 ms. */
UNIT(relay_time, a_rate_that_is_used_up_lets_bytes_wait_for_half_a_burst)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .a_rate_bytes = 32 * KIB};
    start(&options);
    peer_send(0, 4 * KIB);
    clock_run_for(loop, MS);
    peer_send(0, 100);
    clock_run_for(loop, 60 * MS);
    expect_eq(peer_take(1), -EAGAIN);
    expect_eq(peer_read[1], 4 * KIB);
    clock_run_for(loop, 3 * MS);
    expect_eq(peer_take(1), -EAGAIN);
    expect_eq(peer_read[1], 4 * KIB + 100);
}

/* The time in which nothing came is not saved up. */
UNIT(relay_time, a_rate_allows_one_burst)
{
    const uint64_t rate = MIB;
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .a_rate_bytes = rate};
    start(&options);
    clock_run_for(loop, 100 * S);
    flood(0, S);
    expect_leq(peer_read[1], rate / 8 + rate + 64 * KIB);
}

UNIT(relay_time, a_slow_reader_is_bounded_in_memory)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .buffer_bytes = 32 * KIB};
    static const uint8_t bytes[64 * KIB];
    struct weir_loop_statistics stats = {.size = sizeof(stats)};
    uint64_t given = 0;
    start(&options);
    for (int i = 0; i < 100; i++) {
        const ssize_t len = fake_peer_write(peers[0], bytes, sizeof(bytes));
        given += len > 0 ? (uint64_t)len : 0;
        clock_run_for(loop, MS);
        expect_eq(weir_loop_get_statistics(loop, &stats), 0);
        expect_leq(stats.held_bytes, 32 * KIB);
        expect_leq(weir_transport_get_write_buffer_size(sides[1]), 32 * KIB);
    }
    expect_gt(given, 128 * KIB);
    for (int i = 0; i < 1000 && peer_read[1] < given; i++) {
        peer_take(1);
        clock_run_for(loop, MS);
    }
    expect_eq(peer_read[1], given);
}

/* Pieces that are copied are not charged to the side that received them. */
UNIT(relay_time, a_slow_reader_of_small_pieces_is_bounded_as_well)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .buffer_bytes = 32 * KIB};
    static const uint8_t bytes[100];
    start(&options);
    for (int i = 0; i < 3000; i++) {
        fake_peer_write(peers[0], bytes, sizeof(bytes));
        clock_run_for(loop, MS);
        expect_leq(weir_transport_get_write_buffer_size(sides[1]) +
                       weir_transport_get_read_buffer_size(sides[0]),
                   64 * KIB);
    }
}

/* Fills the queue to a side whose peer does not read. */
static void fill(int from)
{
    static const uint8_t bytes[16 * KIB];
    for (int i = 0; i < 50; i++) {
        fake_peer_write(peers[from], bytes, sizeof(bytes));
        clock_run_for(loop, MS);
    }
    expect_gt(weir_transport_get_write_buffer_size(sides[!from]), 0);
}

/* The kernel has less room than twice of the buffer, so the bound stays narrow,
 * and nothing more is received while the kernel refuses bytes. */
UNIT(relay_time, a_reader_that_takes_nothing_holds_half_of_the_buffer)
{
    start(NULL);
    fill(0);
    expect_leq(weir_transport_get_write_buffer_size(sides[1]) +
                   weir_transport_get_read_buffer_size(sides[0]) / 2,
               32 * KIB);
    expect_eq(weir_transport_get_write_buffer_limits(sides[1]).high_bytes,
              64 * KIB);
    weir_pending_cancel(pending);
    clock_run_for(loop, MS);
}

/* Two reasons for which A is not read: the end of one leaves the other. */
UNIT(relay_time, initial_bytes_for_a_side_that_is_full_go_before_all_others)
{
    static const uint8_t much[512 * KIB];
    const struct weir_buf initial = {.data = (const uint8_t *)"x", .len = 1};
    const struct weir_relay_options options = {
        .size = sizeof(options), .a_initial = &initial, .a_initial_count = 1};
    open_sides();
    expect_eq(weir_transport_write(sides[1], much, sizeof(much)), 0);
    clock_run_for(loop, MS);
    begin(&options);
    peer_send(0, 1000);
    for (int i = 0; i < 100; i++) {
        clock_run_for(loop, MS);
        peer_take(1);
    }
    expect_eq(peer_read[1], sizeof(much) + 1 + 1000);
}

/* The bytes that it sent before wait for half a minute; see relay_drain.c. */
UNIT(relay_time, a_side_that_broke_behind_a_full_queue_ends_it)
{
    start(NULL);
    fill(1);
    fake_peer_reset(peers[1]);
    clock_run_for(loop, S);
    peer_send(0, 100);
    clock_run_for(loop, 29 * S - MS);
    expect_eq(done_count, 0);
    clock_run_for(loop, 2 * MS);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    expect_eq(record.err, -ECONNRESET);
}

/* All that the other side has sent waits to be sent, and no more comes. */
UNIT(relay_time, a_side_that_broke_with_full_queues_ends_it)
{
    static const uint8_t much[512 * KIB];
    open_sides();
    expect_eq(weir_transport_write(sides[1], much, sizeof(much)), 0);
    clock_run_for(loop, MS);
    begin(NULL);
    fill(1);
    expect_gt(weir_transport_get_write_buffer_size(sides[1]), 64 * KIB);
    expect_eq(weir_transport_get_read_buffer_size(sides[0]), 0);
    fake_peer_reset(peers[1]);
    clock_run_for(loop, 29 * S);
    expect_eq(done_count, 0);
    clock_run_for(loop, 2 * S);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    expect_eq(record.err, -ECONNRESET);
}

/* Bytes that wait for the reader are its own matter, whatever the rate. */
UNIT(relay_time, a_reader_that_takes_nothing_is_not_excused_by_the_rate)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .buffer_bytes = 4 * KIB, .a_rate_bytes = 50};
    static const uint8_t before[120 * KIB];
    open_sides();
    expect_eq(weir_transport_write(sides[1], before, sizeof(before)), 0);
    clock_run_for(loop, MS);
    begin(&options);
    peer_send(0, 7 * KIB);
    clock_run_for(loop, MS);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, 29 * S);
    expect_eq(done_count, 0);
    clock_run_for(loop, 2 * S);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
}

/* The loss of the side that broke waits for the rate. */
UNIT(relay_time, a_close_of_the_side_that_drains_ends_it)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .a_rate_bytes = 50};
    start(&options);
    peer_send(0, 7 * KIB);
    clock_run_for(loop, MS);
    peer_send(0, 7 * KIB);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, MS);
    expect_eq(done_count, 0);
    weir_transport_close(sides[1]);
    peer_take(1);
    fake_peer_shutdown(peers[1]);
    clock_run_for(loop, MS);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.err, -ECONNRESET);
}

/* Both losses wait, one for the reader and one for the rate. */
UNIT(relay_time, an_error_of_the_side_that_drains_ends_it_at_once)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .b_rate_bytes = 50};
    start(&options);
    fill(0);
    for (int i = 0; i < 2; i++) {
        peer_send(1, 7 * KIB);
        clock_run_for(loop, MS);
    }
    fake_peer_reset(peers[0]);
    clock_run_for(loop, MS);
    expect_eq(done_count, 0);
    fake_peer_reset(peers[1]);
    clock_run_for(loop, MS);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.err, -ECONNRESET);
}

UNIT_IN(relay_time, the_end_of_the_loop_cancels_a_relay, unit_alone, void)
{
    start(NULL);
    peer_send(0, 100);
    clock_run_for(loop, MS);
    end();
    expect_eq(record.err, -ECANCELED);
    expect_eq(record.ended_by, WEIR_RELAY_PROGRAM);
    expect_eq(record.cause, WEIR_RELAY_CANCELED);
}

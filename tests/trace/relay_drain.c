/*
 * Relays of which one side breaks, on the fake clock.
 *
 * Two connections of the fake machine are relayed, and the test plays both
 * peers. Side A sends and then resets the connection; the peer of side B reads
 * at once, slowly or not at all. The tests know exactly how many bytes it gets,
 * and when it is reset.
 */
#define UNIT_RUN ending
#include "adopt.h"
#include "clock.h"
#include "tests/allocator.h"
#include "tests/bind.h"
#include "uring/op.h"

#include <errno.h>
#include <string.h>
#include <weir/relay.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define KIB 1024u

/* More than the queues of the machine for one direction: some of it waits in
 * the relay. */
#define MUCH (160u * KIB)

static struct test_allocator memory;
static weir_loop *loop;
static weir_transport *sides[2];
static struct fake_peer *peers[2];
static uint64_t sent;  /* by A's peer */
static uint64_t taken; /* by B's peer */
static weir_pending *pending;
static struct weir_relay_record record;
static int done_count;

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
    record = *ret;
    pending = NULL;
}

static void start(const struct weir_relay_options *options)
{
    for (int i = 0; i < 2; i++) {
        adopt(loop, &protocol, &sides[i], NULL, &peers[i]);
    }
    clock_run_for(loop, MS);
    expect_eq(weir_relay(sides[0], sides[1], options, done, NULL, &pending), 0);
}

static void ending(void (*body)(void))
{
    fake_start(&(struct fake_options){.seed = 1});
    allocator_init(&memory);
    const struct weir_loop_options options = allocator_options(&memory);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
    sent = taken = 0;
    done_count = 0;
    body();
    expect_eq(weir_loop_free(loop), done_count == 0 ? 2 : 0);
    expect_eq(done_count, 1);
    fake_peer_close(peers[0]);
    fake_peer_close(peers[1]);
    fake_stop();
}

/* A's peer sends bytes that tell their place, until all have arrived. */
static void send_all(size_t len)
{
    static uint8_t bytes[8 * KIB];

    while (len > 0) {
        const size_t most = len < sizeof(bytes) ? len : sizeof(bytes);
        for (size_t i = 0; i < most; i++) {
            bytes[i] = (uint8_t)((sent + i) * 31 + (sent + i) / 256);
        }
        const ssize_t ret = fake_peer_write(peers[0], bytes, most);
        cr_assert(ret > 0 || ret == -EAGAIN);
        sent += ret > 0 ? (uint64_t)ret : 0;
        len -= ret > 0 ? (size_t)ret : 0;
        clock_run_for(loop, MS);
    }
    expect_eq(fake_peer_unacked(peers[0]), 0);
}

/* B's peer reads at most @len bytes; 0 after bytes, or how it ends. */
static int take(size_t len)
{
    static uint8_t bytes[8 * KIB];
    ssize_t ret = 1;

    while (len > 0 && ret > 0) {
        ret = fake_peer_read(peers[1], bytes,
                             len < sizeof(bytes) ? len : sizeof(bytes));
        for (ssize_t i = 0; i < ret; i++, taken++) {
            expect_eq(bytes[i], (uint8_t)(taken * 31 + taken / 256));
        }
        len -= ret > 0 ? (size_t)ret : 0;
    }
    return ret > 0 ? 0 : (int)ret;
}

static void expect_reset_by_a(void)
{
    clock_run_for(loop, MS);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.cause, WEIR_RELAY_RESET);
    expect_eq(record.err, -ECONNRESET);
}

/* B's peer has all bytes, and then a reset. */
static void expect_all(void)
{
    expect_eq(take(MUCH), -ECONNRESET);
    expect_eq(taken, sent);
    expect_reset_by_a();
    expect_eq(record.a_bytes, sent);
}

UNIT(relay_drain, a_reader_gets_all_bytes_that_came_before_the_reset)
{
    start(NULL);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, S);
    expect_eq(done_count, 0);
    for (size_t i = 0; i < 1000 && taken < sent; i++) {
        const size_t left = (size_t)(sent - taken);
        cr_assert(take(left < 1000 ? left : 100 * (1 + i % 7)) <= 0);
        clock_run_for(loop, 10 * MS);
    }
    clock_run_for(loop, S);
    expect_all();
}

UNIT(relay_drain, a_reader_that_has_all_bytes_gets_the_reset_soon)
{
    start(NULL);
    send_all(10 * KIB);
    expect_eq(take(10 * KIB), 0);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, 10 * MS);
    expect_all();
}

UNIT(relay_drain, without_memory_to_wait_the_reader_is_reset_at_once)
{
    start(NULL);
    send_all(MUCH);
    memory.size_limit = 0;
    fake_peer_reset(peers[0]);
    expect_reset_by_a();
    expect_geq(memory.failed, 1);
    expect_eq(take(MUCH), -ECONNRESET);
    memory.size_limit = SIZE_MAX;
}

/* The kernel names a buffer that is none. */
UNIT(relay_drain, a_failed_receive_is_an_error_like_a_reset)
{
    start(NULL);
    send_all(100 * KIB);
    fake_spoil_receive(200u << WR_CQE_BUFFER_SHIFT);
    fake_peer_write(peers[0], "x", 1);
    clock_run_for(loop, S);
    expect_eq(done_count, 0);
    for (int i = 0; i < 100 && done_count == 0; i++) {
        cr_assert(take(KIB) <= 0);
        clock_run_for(loop, 100 * MS);
    }
    expect_eq(take(MUCH), -ECONNRESET);
    expect_eq(taken, sent);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.err, WEIR_EBADBUFFER);
}

/* What waits to be sent to the side that broke has no place to go. */
UNIT(relay_drain, an_end_and_then_a_reset_come_in_this_order)
{
    start(NULL);
    send_all(MUCH);
    fake_peer_shutdown(peers[0]);
    clock_run_for(loop, MS);
    fake_peer_reset(peers[0]);
    fake_peer_write(peers[1], "x", 1); /* so that the reset is noticed */
    clock_run_for(loop, S);
    expect_eq(take(MUCH - 1), -EAGAIN);
    for (int i = 0; i < 100; i++) {
        clock_run_for(loop, 10 * MS);
        cr_assert(take(MUCH) <= 0);
    }
    expect_eq(taken, sent);
    expect_eq(done_count, 1);
    expect_eq(record.err, -EPIPE); /* as the kernel has it */
}

/* A peer that writes all before it reads is not held. */
UNIT(relay_drain, bytes_for_the_side_that_broke_are_read_and_dropped)
{
    static const uint8_t bytes[64 * KIB];
    size_t written = 0;

    start(NULL);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    for (int i = 0; i < 1000 && written < 10 * sizeof(bytes); i++) {
        const ssize_t ret = fake_peer_write(peers[1], bytes, sizeof(bytes));
        written += ret > 0 ? (size_t)ret : 0;
        clock_run_for(loop, MS);
    }
    expect_geq(written, 10 * sizeof(bytes));
    expect_eq(record.b_bytes, 0);
    for (int i = 0; i < 100 && taken < sent; i++) {
        take((size_t)(sent - taken)); /* leaves the reset */
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, S);
    expect_all();
}

/* Bytes of B's peer, which A's peer does not read. */
static void send_back(size_t len)
{
    static const uint8_t bytes[8 * KIB];

    for (size_t i = 0; i < len / sizeof(bytes); i++) {
        expect_eq(fake_peer_write(peers[1], bytes, sizeof(bytes)),
                  sizeof(bytes));
        clock_run_for(loop, MS);
    }
}

/* It had been held, as A's peer reads nothing. */
UNIT(relay_drain, a_peer_that_was_held_is_read_on_when_the_other_side_breaks)
{
    static const uint8_t bytes[8 * KIB];
    size_t written = 0;

    start(NULL);
    while (weir_transport_is_reading(sides[1])) {
        expect_eq(fake_peer_write(peers[1], bytes, 100), 100);
        clock_run_for(loop, MS);
    }
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, MS);
    for (int i = 0; i < 100; i++) {
        const ssize_t ret = fake_peer_write(peers[1], bytes, sizeof(bytes));
        written += ret > 0 ? (size_t)ret : 0;
        clock_run_for(loop, MS);
    }
    expect_geq(written, 4 * MUCH);
    for (int i = 0; i < 100 && taken < sent; i++) {
        take(MUCH);
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, S);
    expect_eq(taken, sent);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
}

/* Both streams have ended, and both sides still send. */
UNIT(relay_drain, an_error_in_the_close_of_one_side_lets_the_other_send_on)
{
    start(NULL);
    send_back(MUCH);
    send_all(MUCH);
    fake_peer_shutdown(peers[0]);
    fake_peer_shutdown(peers[1]);
    clock_run_for(loop, MS);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, S);
    expect_eq(done_count, 0);
    for (int i = 0; i < 1000 && taken < sent; i++) {
        cr_assert(take(KIB) != -ECONNRESET);
        clock_run_for(loop, 10 * MS);
    }
    clock_run_for(loop, S);
    expect_eq(taken, sent);
    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_lt(record.err, 0);
}

/* The relay ends @limit_ns after now, or within the time of its first look. */
static void expect_end_after(uint64_t limit_ns)
{
    clock_run_for(loop, limit_ns - 100 * MS);
    expect_eq(done_count, 0);
    clock_run_for(loop, 100 * MS);
    expect_reset_by_a();
}

UNIT(relay_drain, a_reader_that_stopped_is_reset_after_thirty_seconds)
{
    start(NULL);
    send_all(MUCH);
    const uint64_t before = fake_stats()->looks;
    fake_peer_reset(peers[0]);
    expect_end_after(30 * S);
    expect_eq(take(MUCH), -ECONNRESET);
    expect_eq(taken, 64 * KIB); /* what its kernel had */
    expect_leq(fake_stats()->looks, before + 100);
}

UNIT(relay_drain, each_byte_that_is_taken_begins_the_thirty_seconds_anew)
{
    start(NULL);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    for (int i = 0; i < 9; i++) {
        clock_run_for(loop, 28 * S);
        expect_eq(done_count, 0);
        expect_eq(take(2 * KIB), 0);
    }
    clock_run_for(loop, 29 * S);
    expect_eq(done_count, 0);
    clock_run_for(loop, 2 * S); /* a look may come a second later */
    expect_reset_by_a();
}

/* A reader of a few bytes now and then has this time, and no more. */
static void expect_trickle_ends_after(uint64_t whole_ns)
{
    const uint64_t until_ns = fake_now() + whole_ns - 100 * MS;

    fake_peer_reset(peers[0]);
    while (fake_now() < until_ns) {
        const uint64_t left_ns = until_ns - fake_now();
        clock_run_for(loop, left_ns < 29 * S ? left_ns : 29 * S);
        expect_eq(done_count, 0);
        expect_eq(take(1500), 0);
    }
    clock_run_for(loop, 101 * MS);
    expect_reset_by_a();
    expect_lt(taken + KIB, sent);
}

UNIT(relay_drain, a_reader_that_trickles_has_as_long_as_a_close)
{
    start(NULL);
    send_all(MUCH);
    expect_trickle_ends_after(300 * S);
}

static void set_limits(int side, const struct weir_timeouts *limits)
{
    expect_eq(weir_transport_set_timeouts(sides[side], limits), 0);
}

UNIT(relay_drain, or_as_long_as_its_limit_to_a_close)
{
    start(NULL);
    set_limits(0, &(struct weir_timeouts){.size = sizeof(struct weir_timeouts),
                                          .close_ns = S});
    set_limits(1, &(struct weir_timeouts){.size = sizeof(struct weir_timeouts),
                                          .close_ns = 100 * S});
    send_all(MUCH);
    expect_trickle_ends_after(100 * S);
}

UNIT(relay_drain, a_longer_limit_to_a_close_counts_as_well)
{
    start(NULL);
    set_limits(1, &(struct weir_timeouts){.size = sizeof(struct weir_timeouts),
                                          .close_ns = 900 * S});
    send_all(MUCH);
    expect_trickle_ends_after(900 * S);
}

static void set_stall(uint64_t stall_ns)
{
    set_limits(1, &(struct weir_timeouts){.size = sizeof(struct weir_timeouts),
                                          .write_stall_ns = stall_ns});
}

/* Here all bytes have left the relay, and the kernel has them. */
UNIT(relay_drain, a_stall_limit_replaces_the_thirty_seconds)
{
    start(NULL);
    set_stall(2 * S);
    send_all(100 * KIB);
    expect_eq(weir_transport_get_write_buffer_size(sides[1]), 0);
    fake_peer_reset(peers[0]);
    expect_end_after(2 * S);
}

UNIT(relay_drain, the_least_stall_limit_counts_as_well)
{
    start(NULL);
    set_stall(1);
    send_all(100 * KIB);
    fake_peer_reset(peers[0]);
    expect_reset_by_a();
}

UNIT(relay_drain, a_longer_stall_limit_counts_as_well)
{
    start(NULL);
    set_stall(100 * S);
    send_all(100 * KIB);
    fake_peer_reset(peers[0]);
    expect_end_after(100 * S);
}

UNIT(relay_drain, a_cancellation_ends_the_wait_at_once)
{
    start(NULL);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, S);
    weir_pending_cancel(pending);
    expect_reset_by_a();
    expect_lt(taken + 64 * KIB, sent);
}

UNIT(relay_drain, an_error_of_the_reader_ends_the_wait_at_once)
{
    start(NULL);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, S);
    fake_peer_reset(peers[1]);
    expect_reset_by_a();
}

UNIT(relay_drain, the_lifetime_of_a_relay_ends_the_wait)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .lifetime_ns = 5 * S};
    start(&options);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, 4 * S);
    expect_eq(done_count, 0);
    clock_run_for(loop, S);
    expect_reset_by_a();
}

/* A reader that takes bytes is not idle, even if they come from the kernel. */
UNIT(relay_drain, the_limit_to_idleness_ends_the_wait_of_an_idle_reader)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .idle_ns = 4 * S};
    start(&options);
    send_all(100 * KIB);
    fake_peer_reset(peers[0]);
    for (int i = 0; i < 20; i++) {
        clock_run_for(loop, 2 * S);
        expect_eq(done_count, 0);
        expect_eq(take(KIB), 0);
    }
    clock_run_for(loop, 3 * S);
    expect_eq(done_count, 0);
    clock_run_for(loop, 4 * S);
    expect_reset_by_a();
}

/* B's peer writes as much as it can for @seconds. */
static uint64_t pour_back(uint64_t seconds)
{
    static const uint8_t bytes[64 * KIB];
    uint64_t written = 0;

    for (uint64_t i = 0; i < seconds * 100; i++) {
        const ssize_t ret = fake_peer_write(peers[1], bytes, sizeof(bytes));
        written += ret > 0 ? (uint64_t)ret : 0;
        clock_run_for(loop, 10 * MS);
    }
    return written;
}

/* The queues of the machine and of the relay take some as well. */
static void expect_rate(uint64_t rate)
{
    const uint64_t written = pour_back(20);

    expect_eq(done_count, 0);
    expect_leq(written, 20 * rate + 256 * KIB);
    expect_geq(written, 20 * rate - 64 * KIB);
    weir_pending_cancel(pending);
    expect_reset_by_a();
}

UNIT(relay_drain, dropped_bytes_are_read_no_faster_than_their_rate)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .b_rate_bytes = 64 * KIB};
    start(&options);
    send_all(MUCH);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, 10 * MS);
    expect_rate(64 * KIB);
}

/* The rate holds the direction when the relay begins to drain. */
UNIT(relay_drain, a_rate_that_is_used_up_holds_dropped_bytes_as_well)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .b_rate_bytes = 64 * KIB};
    static const uint8_t bytes[64 * KIB];
    start(&options);
    send_all(MUCH);
    for (int i = 0; i < 3; i++) {
        fake_peer_write(peers[1], bytes, sizeof(bytes));
        clock_run_for(loop, MS);
    }
    fake_peer_reset(peers[0]);
    clock_run_for(loop, 10 * MS);
    expect_rate(64 * KIB);
}

/* The reader takes all at once, and waits for the rate. */
UNIT(relay_drain, a_reader_that_waits_for_the_rate_owes_nothing)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .buffer_bytes = 4 * KIB, .a_rate_bytes = 50};
    start(&options);
    send_all(7 * KIB);
    fake_peer_reset(peers[0]);
    int end = 0;
    for (int i = 0; i < 290 && end != -ECONNRESET; i++) {
        clock_run_for(loop, S);
        end = take(MUCH);
    }
    expect_eq(end, -ECONNRESET);
    expect_eq(taken, sent);
    expect_reset_by_a();
}

UNIT(relay_drain, a_limit_of_the_relay_resets_both_at_once)
{
    const struct weir_relay_options options = {.size = sizeof(options),
                                               .lifetime_ns = S};
    start(&options);
    send_all(MUCH);
    clock_run_for(loop, S);
    expect_eq(done_count, 1);
    expect_eq(record.cause, WEIR_RELAY_LIFETIME);
    expect_eq(take(MUCH), -ECONNRESET);
    expect_eq(taken, 64 * KIB);
}

UNIT(relay_drain, a_time_out_of_a_side_resets_both_at_once)
{
    const struct weir_timeouts limits = {.size = sizeof(limits), .read_ns = S};
    start(NULL);
    expect_eq(weir_transport_set_timeouts(sides[0], &limits), 0);
    send_all(100 * KIB);
    clock_run_for(loop, S + MS);
    expect_eq(done_count, 1);
    expect_eq(record.cause, WEIR_RELAY_TIMEOUT);
    expect_eq(record.err, WEIR_EREADTIMEOUT);
    expect_eq(take(MUCH), -ECONNRESET);
    expect_eq(taken, 64 * KIB);
}

UNIT(relay_drain, only_a_broken_side_makes_the_relay_ask_the_kernel)
{
    start(NULL);
    send_all(10 * KIB);
    expect_eq(take(10 * KIB), 0);
    const uint64_t before = fake_stats()->looks;
    for (int i = 0; i < 100; i++) {
        send_all(100);
        expect_eq(take(100), 0);
    }
    expect_eq(fake_stats()->looks, before);
    fake_peer_reset(peers[0]);
    clock_run_for(loop, MS);
    expect_eq(fake_stats()->looks, before + 2);
    expect_reset_by_a();
}

/* The first look tells when a reader at this pace will have all, and the next
 * one comes then: neither many looks nor a late end. */
UNIT(relay_drain, a_steady_reader_is_looked_at_when_it_is_likely_to_have_all)
{
    start(NULL);
    send_all(100 * KIB);
    const uint64_t before = fake_stats()->looks;
    fake_peer_reset(peers[0]);
    while (taken < sent) {
        const size_t left = (size_t)(sent - taken);
        cr_assert(take(left < 400 ? left : 400) <= 0);
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, 50 * MS);
    expect_leq(fake_stats()->looks, before + 20);
    expect_all();
}

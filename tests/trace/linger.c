/*
 * Closes that wait until the peer has received everything.
 *
 * The fake connections have a queue at each end, and bytes in the sender's
 * queue are not acknowledged. The test counts how often the kernel is queried.
 */
#define UNIT_RUN with_subject

#include "subject.h"
#include "uring/feature.h"

#define S UINT64_C(1000000000)

enum { ROOM = 4096, MUCH = 3 * ROOM };

static void write_and_close(size_t len)
{
    static const uint8_t bytes[MUCH];
    expect_eq(weir_transport_write(transport, bytes, len), 0);
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, 10 * MS);
}

/* Reads at most @len bytes; returns how many there were. */
static size_t peer_reads(size_t len)
{
    static uint8_t bytes[MUCH];
    const ssize_t got = fake_peer_read(peer, bytes, len);
    return got > 0 ? (size_t)got : 0;
}

static void expect_end(int err)
{
    uint8_t byte;
    expect_eq(fake_peer_read(peer, &byte, 1), err);
}

static bool pours;

/* The peer sends what there is room for, before each turn. */
static void pour(void *arg)
{
    static const uint8_t bytes[64 * ROOM];

    if (pours) {
        fake_spend(MS / 10);
        fake_peer_write(peer, bytes, sizeof(bytes));
    }
}

static void start_on(struct fake_options *machine)
{
    machine->recv_size = ROOM;
    machine->entered = pour;
    keeps_open = true;
    pours = false;
    subject_start(machine, NULL, &noting, NULL);
}

static void start(void)
{
    start_on(&(struct fake_options){.seed = 1});
}

static void with_subject(void (*body)(void))
{
    start();
    body();
    subject_stop(0);
}

UNIT(linger, nothing_is_asked_where_nothing_was_written)
{
    const uint64_t before = fake_stats()->looks;
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, MS);

    expect_lost(0);
    expect_eq(fake_stats()->looks, before);
}

UNIT(linger, nor_after_the_peers_end)
{
    const uint64_t before = fake_stats()->looks;
    fake_peer_shutdown(peer);
    clock_run_for(loop, MS);
    write_and_close(MUCH);

    expect_lost(0);
    expect_eq(fake_stats()->looks, before);
}

UNIT(linger, a_close_whose_bytes_have_arrived_asks_once)
{
    const uint64_t before = fake_stats()->looks;
    write_and_close(100);

    expect_lost(0);
    expect_eq(fake_stats()->looks, before + 1);
    expect_eq(fake_stats()->timeouts, 0);
}

UNIT(linger, one_that_does_not_read_asks_for_both_queues)
{
    expect_eq(weir_transport_pause_reading(transport), 0);
    expect_eq(fake_peer_write(peer, "unread", 6), 6);
    clock_run_for(loop, MS);
    const uint64_t before = fake_stats()->looks;
    write_and_close(100);

    expect_lost(0);
    expect_eq(peer_reads(MUCH), 100);
    expect_end(0);
    expect_eq(fake_stats()->looks <= before + 5, true);
}

UNIT(linger, one_that_does_not_read_ends_at_once_where_nothing_is_unread)
{
    expect_eq(weir_transport_pause_reading(transport), 0);
    clock_run_for(loop, MS);
    const uint64_t since_ns = fake_now();
    write_and_close(100);

    expect_lost(0);
    expect_lt(lost_ns - since_ns, MS);
}

UNIT(linger, it_ends_once_the_peer_has_all)
{
    write_and_close(MUCH);
    expect_eq(lost_count, 0);
    expect_eq(fake_peer_write(peer, "late", 4), 4);
    clock_run_for(loop, 5 * S);
    expect_eq(lost_count, 0);

    size_t got = peer_reads(MUCH);
    got += peer_reads(MUCH);
    got += peer_reads(MUCH);
    clock_run_for(loop, 2 * S);

    expect_eq(got, MUCH);
    expect_end(0);
    expect_lost(0);
}

UNIT(linger, a_peer_that_ends_has_all_it_wants)
{
    write_and_close(MUCH);
    fake_peer_shutdown(peer);
    clock_run_for(loop, MS);

    expect_lost(0);
}

/* There is always a byte that was not read. */
UNIT(linger, a_peer_that_has_all_and_sends_on_is_read_for_a_moment_more)
{
    pours = true;
    write_and_close(100);
    clock_run_for(loop, 3 * S);
    pours = false;

    expect_lost(0);
    expect_eq(peer_reads(MUCH), 100);
}

/* A peer that has all sends on, and a receive takes a part of it. */
static void expect_a_mib_of_parts(uint32_t missing)
{
    start_on(&(struct fake_options){.seed = 1, .missing = missing});
    expect_eq(weir_transport_pause_reading(transport), 0);
    clock_run_for(loop, MS);
    pours = true;
    const uint64_t before = fake_stats()->received_bytes;
    write_and_close(100);
    clock_run_for(loop, 1900 * MS); /* 2 s would end it as well */
    pours = false;
    const uint64_t dropped = fake_stats()->received_bytes - before;

    expect_lost(0);
    expect_geq(dropped, 1u << 20);
    expect_leq(dropped, 2u << 20);
    subject_stop(0);
}

UNIT_IN(linger, the_bytes_of_a_close_are_counted_and_not_its_receives,
        unit_alone, void)
{
    expect_a_mib_of_parts(0);
    expect_a_mib_of_parts(1u << WR_FEATURE_RECV_CREDIT);
}

/* Bytes are still unsent. */
UNIT(linger, a_peer_that_only_sends_is_read_for_a_bounded_number_of_bytes)
{
    static const uint8_t bytes[64 * ROOM];

    expect_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);
    clock_run_for(loop, MS);
    pours = true;
    const uint64_t before = fake_stats()->received_bytes;
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, 30 * S);
    const uint64_t dropped = fake_stats()->received_bytes - before;
    pours = false;

    expect_eq(lost_count, 0);
    expect_geq(dropped, 1u << 20);
    expect_leq(dropped, 128u << 20);
    weir_transport_abort(transport);
    clock_run_for(loop, MS);
    expect_lost(0);
}

UNIT(linger, a_peer_that_takes_nothing_is_given_up_and_told)
{
    const uint64_t since_ns = fake_now();
    write_and_close(MUCH);
    clock_run_for(loop, 100 * S);

    expect_lost(WEIR_ECLOSETIMEOUT);
    expect_eq(lost_ns - since_ns > 29 * S, true);
    expect_eq(lost_ns - since_ns < 32 * S, true);
}

UNIT(linger, a_peer_that_takes_a_little_is_waited_for)
{
    write_and_close(MUCH);
    size_t got = 0;
    while (got < MUCH) {
        expect_eq(lost_count, got >= MUCH - ROOM);
        got += peer_reads(ROOM / 4);
        clock_run_for(loop, 25 * S);
    }

    expect_lost(0);
}

/* Reads a little each 29 s until the loss; returns when that was. */
static uint64_t peer_drips(uint64_t limit_ns)
{
    const uint64_t since_ns = fake_now();
    while (lost_count == 0 && fake_now() - since_ns < limit_ns) {
        peer_reads(1);
        clock_run_for(loop, 29 * S);
    }
    return lost_ns - since_ns;
}

UNIT(linger, a_peer_that_takes_a_little_for_ever_is_given_up_and_told)
{
    write_and_close(MUCH);

    const uint64_t took_ns = peer_drips(1000 * S);

    expect_lost(WEIR_ECLOSETIMEOUT);
    expect_eq(took_ns > 299 * S, true);
    expect_eq(took_ns < 302 * S, true);
}

UNIT(linger, or_waited_for_as_long_as_a_close_may_take)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .close_ns = 900 * S};
    expect_eq(weir_transport_set_timeouts(transport, &limits), 0);
    write_and_close(MUCH);

    const uint64_t took_ns = peer_drips(1000 * S);

    expect_lost(WEIR_ECLOSETIMEOUT);
    expect_eq(took_ns > 898 * S, true);
    expect_eq(took_ns < 902 * S, true);
}

UNIT(linger, the_time_of_a_close_bounds_it)
{
    const struct weir_timeouts limits = {.size = sizeof(limits), .close_ns = S};
    expect_eq(weir_transport_set_timeouts(transport, &limits), 0);
    write_and_close(MUCH);
    clock_run_for(loop, S);

    expect_lost(WEIR_ECLOSETIMEOUT);
}

UNIT(linger, a_time_to_linger_that_was_not_enough_is_told)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .linger_ns = S};
    expect_eq(weir_transport_set_timeouts(transport, &limits), 0);
    write_and_close(MUCH);
    clock_run_for(loop, S);

    expect_lost(WEIR_ECLOSETIMEOUT);
}

UNIT(linger, a_reset_before_the_peer_has_all_is_told)
{
    write_and_close(MUCH);
    fake_peer_reset(peer);
    clock_run_for(loop, MS);

    expect_lost(-ECONNRESET);
}

/* The FIN has not arrived, but all bytes have. */
UNIT(linger, a_reset_by_a_peer_that_has_all_is_no_loss)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .linger_ns = 100 * S};
    expect_eq(weir_transport_set_timeouts(transport, &limits), 0);
    write_and_close(100);
    expect_eq(lost_count, 0);
    fake_peer_reset(peer);
    clock_run_for(loop, MS);

    expect_lost(0);
}

UNIT(linger, an_abort_resets)
{
    write_and_close(MUCH);
    expect_eq(weir_transport_abort(transport), 0);
    clock_run_for(loop, MS);

    expect_lost(0);
    expect_eq(peer_reads(ROOM), ROOM);
    expect_end(-ECONNRESET);
}

/* The kernel sends on, as it does for a program that has ended. */
UNIT_IN(linger, the_end_of_the_loop_leaves_the_rest_to_the_kernel, unit_alone,
        void)
{
    start();
    write_and_close(MUCH);
    expect_eq(weir_loop_free(loop), 1);

    expect_lost(0);
    expect_eq(peer_reads(MUCH) + peer_reads(MUCH) + peer_reads(MUCH), MUCH);
    expect_end(0);
    fake_peer_close(peer);
    fake_stop();
}

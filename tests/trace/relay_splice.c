/*
 * Bulk transfers that a relay splices, on the fake machine: what is moved when,
 * and what happens to bytes that the other side does not take.
 *
 * Two connections are relayed, and the test plays both peers. The machine
 * aborts if bytes stay in a pipe, or if an operation is in flight on a spliced
 * socket.
 */
#define UNIT_RUN ending
#include "adopt.h"
#include "clock.h"
#include "tests/bind.h"
#include "tests/walk.h"

#include <errno.h>
#include <string.h>
#include <weir/embed.h>
#include <weir/inspect.h>
#include <weir/relay.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

enum { KIB = 1024, MIB = KIB * KIB, QUEUE = 2 * MIB };

static struct {
    struct test_allocator memory;
    weir_loop *loop;
    weir_transport *sides[2];
    struct fake_peer *peers[2];
    int fds[2];
    uint64_t written;
    uint64_t read;
    uint64_t received; /* by the first protocol of A */
    weir_pending *pending;
    struct weir_relay_record record;
    int done_count;
} test;

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 7 + (at >> 16) * 11);
}

static void made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    test.received += buf->len;
    return 0;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = received);

static void done(void *arg, int err, const struct weir_relay_record *record)
{
    test.done_count++;
    test.record = *record;
    test.pending = NULL;
}

static void open_sides(uint32_t send_size)
{
    const struct fake_options machine = {
        .seed = 1, .recv_size = QUEUE, .send_size = send_size};
    const struct weir_loop_options options = allocator_options(&test.memory);

    fake_start(&machine);
    test.written = test.read = test.received = 0;
    test.done_count = 0;
    expect_eq(weir_loop_new(&options, &test.loop), 0);
    for (int i = 0; i < 2; i++) {
        test.fds[i] =
            adopt(test.loop, &protocol, &test.sides[i], NULL, &test.peers[i]);
    }
    clock_run_for(test.loop, MS);
}

static int begin_as(const struct weir_relay_options *options)
{
    return weir_relay(test.sides[0], test.sides[1], options, done, NULL,
                      &test.pending);
}

static int begin(bool closes)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .close_at_first_end = closes, .splice = true};
    return begin_as(&options);
}

static void start(void)
{
    allocator_init(&test.memory);
    open_sides(QUEUE);
    expect_eq(begin(false), 0);
}

static void close_sides(void)
{
    const int alive = weir_loop_free(test.loop);
    expect_geq(alive, 0);
    fake_peer_close(test.peers[0]);
    fake_peer_close(test.peers[1]);
    fake_stop();
}

static void ending(void (*body)(void))
{
    body();
    close_sides();
    expect_eq(test.done_count, 1);
}

/* A's peer sends all of @len bytes at once. */
static void give(size_t len)
{
    static uint8_t bytes[64 * KIB];

    while (len > 0) {
        const size_t part = len < sizeof(bytes) ? len : sizeof(bytes);
        for (size_t i = 0; i < part; i++) {
            bytes[i] = byte_at(test.written + i);
        }
        expect_eq(fake_peer_write(test.peers[0], bytes, part), (ssize_t)part);
        test.written += part;
        len -= part;
    }
}

/* B's peer reads what has come; returns how it ends, or -EAGAIN. */
static int take(void)
{
    static uint8_t bytes[64 * KIB];
    ssize_t len;

    while ((len = fake_peer_read(test.peers[1], bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            expect_eq(bytes[i], byte_at(test.read + (uint64_t)i));
        }
        test.read += (uint64_t)len;
    }
    return (int)len;
}

/* All of @len bytes come through; returns how many of them were spliced. */
static uint64_t pass(size_t len)
{
    const uint64_t before = fake_stats()->spliced_bytes;

    give(len);
    for (int i = 0; i < 100 && test.read < test.written; i++) {
        clock_run_for(test.loop, MS);
        expect_eq(take(), -EAGAIN);
    }
    expect_eq(test.read, test.written);
    return fake_stats()->spliced_bytes - before;
}

/* What one receive may take is copied first, unless the last bytes were
 * spliced. */
UNIT(relay_splice_trace, deep_queues_are_spliced_and_others_are_not)
{
    start();
    expect_gt(pass(2 * MIB), MIB);
    expect_eq(pass(100), 0);
    expect_eq(pass(191 * KIB), 0);
    expect_eq(pass(192 * KIB), 128 * KIB);
    expect_eq(pass(100), 0);
    weir_pending_cancel(test.pending);
}

/* Four pieces of 256 KiB go at once. */
UNIT(relay_splice_trace, sockets_are_prepared_once_for_many_pieces)
{
    start();
    pass(2 * MIB);
    const uint64_t before = fake_stats()->splices_prepared;

    expect_eq(pass(2 * MIB), 2 * MIB);

    expect_eq(fake_stats()->splices_prepared - before, 2);
    weir_pending_cancel(test.pending);
}

/* A receive that may take so many is not made first. */
UNIT(relay_splice_trace, deep_queues_are_spliced_at_once_by_large_buffers)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .splice = true, .buffer_bytes = MIB};
    allocator_init(&test.memory);
    open_sides(QUEUE);
    expect_eq(begin_as(&options), 0);
    pass(2 * MIB);
    expect_eq(pass(100), 0);
    expect_eq(pass(300 * KIB), 300 * KIB);
    weir_pending_cancel(test.pending);
}

/* Once many bytes have waited fewer will do, until they are too few. */
UNIT(relay_splice_trace, bytes_that_go_on_coming_are_spliced_in_smaller_pieces)
{
    start();
    pass(2 * MIB);
    expect_eq(pass(128 * KIB), 128 * KIB);
    expect_eq(pass(64 * KIB), 64 * KIB);
    expect_eq(pass(63 * KIB), 0);
    expect_eq(pass(64 * KIB), 0);
    weir_pending_cancel(test.pending);
}

UNIT(relay_splice_trace, the_record_and_the_statistics_count_them)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};
    start();
    const uint64_t spliced = pass(2 * MIB);
    expect_eq(weir_loop_get_statistics(test.loop, &statistics), 0);
    expect_eq(statistics.received_bytes, 2 * MIB);
    expect_eq(statistics.sent_bytes, 2 * MIB);
    weir_pending_cancel(test.pending);
    clock_run_for(test.loop, MS);
    expect_eq(test.record.a_bytes, 2 * MIB);
    expect_eq(test.record.a_spliced_bytes, spliced);
    expect_eq(test.record.b_spliced_bytes, 0);
}

/* No byte moves for longer than the limit, then bulk does for as long. */
UNIT(relay_splice_trace, spliced_bytes_are_a_sign_of_life)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .splice = true, .idle_ns = S};
    allocator_init(&test.memory);
    open_sides(QUEUE);
    expect_eq(begin_as(&options), 0);
    pass(2 * MIB);
    for (int i = 0; i < 20; i++) {
        expect_eq(pass(128 * KIB), 128 * KIB);
        clock_run_for(test.loop, 700 * MS);
        expect_eq(test.done_count, 0);
    }
    clock_run_for(test.loop, 2 * S);
    expect_eq(test.record.cause, WEIR_RELAY_IDLE);
}

UNIT(relay_splice_trace, bytes_that_are_not_taken_are_sent_in_their_place)
{
    start();
    pass(2 * MIB);
    fake_set_fault(FAKE_SHORT_SEND, 500);
    for (int i = 0; i < 20; i++) {
        pass(MIB);
    }
    expect_gt(fake_stats()->splices_short, 5);
    weir_pending_cancel(test.pending);
}

UNIT(relay_splice_trace, a_side_without_room_is_not_spliced_to)
{
    start();
    pass(2 * MIB);
    const uint64_t before = fake_stats()->splices_short;
    for (int i = 0; i < 8; i++) { /* nothing is read */
        give(fake_waiting_bytes(test.fds[0]) < MIB ? 900 * KIB : 0);
        clock_run_for(test.loop, MS);
    }
    expect_leq(weir_transport_get_write_buffer_size(test.sides[1]), 128 * KIB);
    expect_eq(fake_stats()->splices_short, before);
    pass(0);
    weir_pending_cancel(test.pending);
}

UNIT(relay_splice_trace, a_reset_of_the_side_that_takes_bulk_is_told)
{
    start();
    pass(2 * MIB);
    give(MIB);
    fake_peer_reset(test.peers[1]);
    clock_run_for(test.loop, MS);
    expect_eq(test.done_count, 1);
    expect_eq(test.record.err, -ECONNRESET);
    expect_eq(test.record.ended_by, WEIR_RELAY_B);
}

/* The error is told once, to the splice. */
UNIT(relay_splice_trace, an_error_that_a_splice_meets_is_kept)
{
    start();
    pass(2 * MIB);
    give(4 * MIB);
    const uint64_t before = fake_stats()->spliced_bytes;
    while (fake_stats()->spliced_bytes == before) {
        expect_eq(weir_loop_run_once(test.loop), 0);
    }
    fake_set_fault(FAKE_DELAY, 1000); /* no completion comes first */
    fake_peer_reset(test.peers[1]);
    expect_eq(weir_loop_run_once(test.loop), 0);
    fake_set_fault(FAKE_DELAY, 0);
    clock_run_for(test.loop, S);
    expect_eq(test.done_count, 1);
    expect_eq(test.record.err, -ECONNRESET);
    expect_eq(test.record.ended_by, WEIR_RELAY_B);
}

/* B has sent nothing but spliced bytes. They are with its peer before it is
 * closed. */
UNIT(relay_splice_trace, a_close_waits_for_spliced_bytes)
{
    allocator_init(&test.memory);
    open_sides(8 * MIB);
    give(MIB);
    clock_run_for(test.loop, MS); /* A moves bulk from now on */
    expect_eq(test.received, MIB);
    test.read = MIB;
    weir_transport_pause_reading(test.sides[0]);
    give(4 * MIB);
    fake_peer_shutdown(test.peers[0]);
    expect_eq(begin(true), 0);
    clock_run_for(test.loop, 100 * MS);
    /* 32 KiB, and then 64, are received to begin with. */
    expect_eq(fake_stats()->spliced_bytes, 4 * MIB - 96 * KIB);
    expect_eq(test.done_count, 0);
    expect_eq(take(), 0);
    expect_eq(test.read, 5 * MIB);
    fake_peer_shutdown(test.peers[1]);
    clock_run_for(test.loop, S);
    expect_eq(test.done_count, 1);
    expect_eq(test.record.err, 0);
}

UNIT(relay_splice_trace, without_descriptors_bytes_are_copied)
{
    start();
    fake_set_fd_limit(fake_fd_count() + 1);
    expect_eq(pass(2 * MIB), 0);
    fake_set_fd_limit(0);
    /* The first bytes are copied, as those before them were. */
    expect_eq(pass(MIB), MIB - 64 * KIB);
    weir_pending_cancel(test.pending);
}

/* Each allocation fails once: all bytes come, or the relay tells. */
static void pass_without(void *spliced)
{
    uint8_t bytes[KIB];
    const struct weir_buf initial = {.data = bytes, .len = sizeof(bytes)};
    const struct weir_relay_options options = {
        .size = sizeof(options),
        .splice = true,
        .a_initial = &initial,
        .a_initial_count = 1,
        .b_initial = &initial,
        .b_initial_count = 1,
    };

    open_sides(QUEUE);
    for (test.written = 0; test.written < sizeof(bytes); test.written++) {
        bytes[test.written] = byte_at(test.written);
    }
    walk_begin(&test.memory);
    const int err = begin_as(&options);
    if (err == 0) {
        give(2 * MIB);
        fake_set_fault(FAKE_SHORT_SEND, 300);
        int end = -EAGAIN;
        for (int i = 0; i < 100 && test.read < test.written && end == -EAGAIN;
             i++) {
            clock_run_for(test.loop, MS);
            end = take();
        }
        expect_eq(end, test.done_count == 0 ? -EAGAIN : -ECONNRESET);
        expect_eq(test.read == test.written, test.done_count == 0);
        *(uint64_t *)spliced += fake_stats()->spliced_bytes;
    } else {
        expect_eq(err, -ENOMEM);
    }
    walk_end(&test.memory);
    close_sides();
    expect_eq(test.done_count, err == 0);
}

UNIT_IN(relay_splice_trace, without_memory_no_byte_is_lost, unit_alone, void)
{
    uint64_t spliced = 0;

    memset(&test.memory, 0, sizeof(test.memory));
    expect_geq(walk_allocations(&test.memory, pass_without, &spliced), 5);
    expect_gt(spliced, 5 * MIB);
}

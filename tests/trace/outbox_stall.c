/*
 * A peer that does not read, and the receive buffers of its bytes.
 *
 * The protocol sends received bytes back with their lease. While the socket has
 * no space for them, they keep no buffer of which they use less than half, and
 * they arrive unchanged.
 */
#include "lib/loop/loop_impl.h"
#include "lib/transport/transport.h"
#include "subject.h"
#include "uring/lease.h"

enum { KIB = 1024, PIECE = 8 * KIB, ROOM = 256 * KIB };

static uint64_t written;
static uint64_t read_back;
static weir_lease *shared; /* kept by the protocol, too */
static bool shares;

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 7 + (at >> 16) * 11);
}

static int send_back(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct weir_buf piece = *buf;

    if (shares && !shared) {
        expect_eq(weir_buf_ref(&piece), 0);
        shared = piece.lease;
    }
    received_bytes += buf->len;
    return weir_transport_write_buf(t, &piece);
}

static const struct weir_protocol sending_back = {
    .size = sizeof(sending_back),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = note_made,
    .data_received = send_back,
    .connection_lost = note_lost,
};

static void give(size_t len)
{
    static uint8_t bytes[ROOM];

    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(written + i);
    }
    expect_eq(fake_peer_write(peer, bytes, len), (ssize_t)len);
    written += len;
    clock_run_for(loop, MS);
    expect_eq(received_bytes, written);
}

/* A connection to a peer that has no room for another byte. */
static void start(uint32_t missing)
{
    const struct fake_options machine = {.seed = 1,
                                         .missing = missing,
                                         .send_size = ROOM / 2,
                                         .recv_size = ROOM / 2};

    written = read_back = received_bytes = 0;
    shared = NULL;
    shares = false;
    subject_start(&machine, NULL, &sending_back, NULL);
    while (written < ROOM) {
        give(PIECE);
    }
    expect_eq(loop->budget.queued_bytes, 0);
}

/* The peer reads what has come back, and compares it; more may come then. */
static void take(void)
{
    uint8_t bytes[PIECE];
    const ssize_t len = fake_peer_read(peer, bytes, sizeof(bytes));

    for (ssize_t at = 0; at < len; at++) {
        expect_eq(bytes[at], byte_at(read_back + (uint64_t)at));
    }
    read_back += len > 0 ? (uint64_t)len : 0;
    clock_run_for(loop, MS);
}

static void take_all(void)
{
    for (int i = 0; i < 1000 && read_back < written; i++) {
        take();
    }
    expect_eq(read_back, written);
}

/* The peer takes all and goes. */
static void stop(void)
{
    take_all();
    if (shared) {
        wr_lease_unref(shared);
    }
    expect_eq(transport->demand.account.lease_count, 0);
    weir_transport_abort(transport);
    clock_run_for(loop, MS);
    expect_lost(0);
    subject_stop(0);
}

/* Leases that point into receive buffers. */
static uint32_t pin_count(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < loop->pool.buf_count; i++) {
        count += loop->pool.bufs[i]->refs;
    }
    return count;
}

/* No byte that waits is in a receive buffer: all are overwritten. */
static void expect_no_pin(void)
{
    expect_eq(pin_count(), 0);
    for (uint32_t i = 0; i < loop->pool.buf_count; i++) {
        memset(loop->pool.bufs[i]->data, 0xee, loop->pool.buf_size);
    }
}

/* All that was not sent is charged. */
static void expect_waiting(uint64_t bytes)
{
    expect_eq(loop->budget.queued_bytes, bytes);
    expect_eq(transport->demand.account.held_bytes, bytes);
}

UNIT(outbox_stall, bytes_that_wait_before_it_leave_their_buffer)
{
    start(0);
    give(30 * KIB);

    expect_no_pin();
    expect_waiting(30 * KIB);
    expect_eq(loop->pool.copied_bytes, 30 * KIB);

    stop();
}

UNIT(outbox_stall, bytes_that_are_queued_meanwhile_pin_none)
{
    start(0);
    give(30 * KIB);
    const uint64_t copied_bytes = loop->pool.copied_bytes;
    for (int i = 0; i < 10; i++) {
        give(KIB + 1);
        expect_no_pin();
    }

    expect_waiting(40 * KIB + 10);
    expect_eq(loop->pool.copied_bytes - copied_bytes, 10 * KIB + 10);

    stop();
}

UNIT(outbox_stall, bytes_are_moved_once_however_often_the_peer_reads_a_little)
{
    start(0);
    give(40 * KIB);
    for (int i = 0; i < 5; i++) {
        take();
    }

    expect_no_pin();
    expect_eq(loop->pool.copied_bytes, 40 * KIB);

    stop();
}

UNIT(outbox_stall, bytes_pin_a_buffer_again_when_the_peer_reads)
{
    start(0);
    give(30 * KIB);
    take_all();
    const uint64_t copied_bytes = loop->pool.copied_bytes;
    give(KIB); /* there is room for it */

    expect_eq(loop->pool.copied_bytes, copied_bytes);

    stop();
}

UNIT(outbox_stall, half_of_a_buffer_stays_where_it_is)
{
    start(0);
    give(200 * KIB);

    expect_eq(pin_count(), 1);
    expect_leq(loop->pool.copied_bytes, 72 * KIB); /* in the rest of another */

    stop();
}

UNIT(outbox_stall, bytes_that_the_protocol_keeps_stay_where_they_are)
{
    start(0);
    shares = true;
    give(20 * KIB);
    expect_eq(pin_count(), 1);
    give(20 * KIB);
    expect_eq(pin_count(), 1);

    stop();
}

/* A buffer of 16 KiB holds one receive. */
UNIT(outbox_stall, plain_buffers_are_left_by_small_pieces)
{
    start(1u << WR_FEATURE_BUF_INC);
    give(12 * KIB);
    expect_eq(pin_count(), 1);
    for (int i = 0; i < 10; i++) {
        give(KIB);
        expect_eq(pin_count(), 1);
    }

    stop();
}

UNIT(outbox_stall, a_ring_that_breaks_meanwhile_gives_all_back)
{
    start(0);
    give(30 * KIB);
    fake_break_ring(-EBADFD);
    expect_eq(weir_loop_run(loop), -EBADFD);

    subject_stop(1);
    expect_eq(lost_count, 1);
}

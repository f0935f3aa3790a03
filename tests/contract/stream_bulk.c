/*
 * Streams over every kind of connection with large transfers: memory while the
 * consumer is slow, and copies while a relay passes bytes on.
 *
 * WEIR_STREAM_MEGABYTES is the size of each transfer.
 */
#include "tests/contract/stream_side.h"
#include "tests/marks.h"

#include <poll.h>

#define MIB           (UINT64_C(1) << 20)
#define MEGABYTES     64
#define PUSH_MAX      (256u << 10)
#define READ_PIECE    (8u << 10)
#define LIMIT         ((uint64_t)WEIR_STREAM_LIMIT)
#define RECEIVE_BYTES MIB /* the most that a connection may hold */

static uint64_t transfer_bytes(void)
{
    const char *text = getenv("WEIR_STREAM_MEGABYTES");
    const uint64_t count = text ? strtoull(text, NULL, 10) : MEGABYTES;
    return (count > 0 ? count : 1) * MIB;
}

static void push(struct rig *rig, uint64_t total)
{
    static uint8_t buf[PUSH_MAX];
    const uint64_t left = total - rig->peer_sent;
    const size_t part = left < sizeof(buf) ? (size_t)left : sizeof(buf);

    struct pollfd pollfd = {.fd = rig->peer, .events = POLLOUT};
    if (part == 0 || poll(&pollfd, 1, 0) == 0) {
        return;
    }
    rig_pattern(buf, rig->peer_sent, part);
    ssize_t sent = send(rig->peer, buf, part, MSG_NOSIGNAL);
    expect(sent > 0 || (sent < 0 && errno == EAGAIN));
    rig->peer_sent += sent > 0 ? (uint64_t)sent : 0;
}

static struct {
    uint64_t read;
    uint64_t buffered;
    uint64_t held;
    uint64_t memory;
} most;

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void look(weir_loop *loop, const weir_reader *reader)
{
    struct weir_loop_statistics now = statistics_of(loop);
    most.buffered = larger(most.buffered, weir_reader_get_buffer_size(reader));
    most.held = larger(most.held, now.held_bytes);
    most.memory = larger(most.memory, now.memory_bytes);
}

static int read_slowly(void *arg, weir_reader *reader, weir_writer *writer)
{
    static uint8_t piece[READ_PIECE];
    weir_loop *loop =
        weir_transport_get_loop(weir_writer_get_transport(writer));
    ssize_t len;
    do {
        look(loop, reader);
        len = weir_reader_read(reader, piece, sizeof(piece));
        if (len > 0) {
            expect(rig_is_pattern(piece, most.read, (size_t)len));
            most.read += (uint64_t)len;
            look(loop, reader);
            len = weir_yield(loop) < 0 ? -ECANCELED : len;
        }
    } while (len > 0);
    return (int)len;
}

UNIT(stream_bulk, memory_is_flat_at_two_limits_and_a_receive)
{
    const uint64_t total = transfer_bytes();
    struct rig rig = {.round = 0};
    while (side_next(&rig, read_slowly)) {
        memset(&most, 0, sizeof(most));
        const uint64_t memory = rig_statistics(&rig).memory_bytes;
        while (rig.peer_sent < total) {
            push(&rig, total);
            rig_turn(&rig);
        }
        expect(most.buffered >
               LIMIT); /* it was too slow, otherwise this shows nothing */
        rig_peer_shutdown(&rig);
        expect_eq(side_wait(&rig), 0);
        expect_eq(most.read, total);
        expect(most.buffered <= 2 * LIMIT + RECEIVE_BYTES);
        /* Below a TLS transport ciphertext is held, too. */
        const uint64_t below = rig_can(&rig, RIG_IS_TLS) ? RECEIVE_BYTES : 0;
        expect(most.held <= 2 * LIMIT + RECEIVE_BYTES + below);
        expect(most.memory <= memory + 2 * LIMIT + 3 * RECEIVE_BYTES + below);
        rig_wait_lost(&rig);
    }
}

static struct side *far_side;

static int relay(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf buf;
    ssize_t len = 0;
    int err = 0;
    while (err == 0 && (len = weir_reader_take(reader, SIZE_MAX, &buf)) > 0) {
        err = weir_writer_write_buf(far_side->writer, &buf);
        weir_buf_unref(buf.lease);
        err = err < 0 ? err : weir_writer_drain(far_side->writer);
    }
    err = err < 0 ? err : (int)len;
    return err < 0 ? err : weir_writer_write_eof(far_side->writer);
}

static void open_far(struct rig *far, const struct rig *rig)
{
    memset(far, 0, sizeof(*far));
    far->loop = rig->loop;
    far->maker = rig->maker;
    far->protocol = &side_protocol;
    far->peer = -1;
    side_handler = NULL;
    far->maker->open(far);
    set_nonblocking(far->peer);
    RUN_UNTIL(far->loop, far->made_count > 0);
    far_side = side_of(far);
}

static struct weir_loop_statistics run_relay(struct rig *rig, int64_t high)
{
    const uint64_t total = transfer_bytes();
    const uint64_t until_ns = rig_now_ns() + 3 * RIG_WAIT_NS;
    struct rig far;

    open_far(&far, rig);
    expect_eq(set_marks(far.t, high, WEIR_DEFAULT), 0);
    while (far.peer_received < total) {
        push(rig, total);
        rig_turn(rig);
        static uint8_t buf[PUSH_MAX];
        ssize_t got;
        while ((got = recv(far.peer, buf, sizeof(buf), 0)) > 0) {
            expect(rig_is_pattern(buf, far.peer_received, (size_t)got));
            far.peer_received += (uint64_t)got;
        }
        expect(got == 0 || errno == EAGAIN);
        expect(rig_now_ns() < until_ns);
    }
    rig_peer_shutdown(rig);
    expect_eq(side_wait(rig), 0);
    expect_eq(rig_peer_read_end(&far), 0);

    const struct weir_loop_statistics stats = rig_statistics(rig);
    expect_eq(stats.received_bytes, total);
    expect_eq(stats.sent_bytes, total);
    expect_eq(stats.copied_by_write, 0);
    expect_eq(stats.copied_by_view, 0);
    expect_eq(stats.copied_to_protocol, 0);
    weir_writer_close(far_side->writer);
    rig_wait_lost(&far);
    rig_peer_close(&far);
    weir_transport_unref(far.t);
    weir_server_free(far.server);
    return stats;
}

/* The far side accepts everything, so nothing is left at the end of an
 * iteration. */
UNIT(stream_bulk, a_relay_by_take_and_write_buf_copies_tiny_tails_only)
{
    struct rig rig = {.round = 0};
    while (side_next(&rig, relay)) {
        if (!rig_can(&rig, RIG_IS_PLAIN)) {
            continue; /* bytes are decrypted, which copies all */
        }
        const struct weir_loop_statistics stats = run_relay(&rig, 4 * MIB);
        expect(stats.copied_by_compaction <= stats.sent_bytes / 1000);
    }
}

/* Bytes that the relay leaves in the reader while it waits are moved if they
 * are less than 4 KiB, so that they do not pin a large buffer. */
UNIT(stream_bulk, a_relay_that_drains_copies_small_remainders_only)
{
    struct rig rig = {.round = 0};
    while (side_next(&rig, relay)) {
        if (!rig_can(&rig, RIG_IS_PLAIN)) {
            continue; /* bytes are decrypted, which copies all */
        }
        const struct weir_loop_statistics stats = run_relay(&rig, WEIR_DEFAULT);
        expect(stats.copied_by_compaction <= transfer_bytes() / 200);
    }
}

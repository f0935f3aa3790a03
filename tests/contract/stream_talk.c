/*
 * Streams over every kind of connection: exchanging data, half-closing, waiting
 * for a slow peer, and the end (a reset, an abort, a close), which is reported
 * to tasks in drain and wait_closed.
 */
#include "tests/contract/stream_side.h"

#define BULK (1u << 20)

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf buf;
    ssize_t len;
    while ((len = weir_reader_read_view(reader, SIZE_MAX, &buf)) > 0) {
        int err = weir_writer_write(writer, buf.data, buf.len);
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

UNIT(stream_talk, an_echo_gives_every_byte_back_and_closes_at_the_end)
{
    static const size_t sizes[] = {1, 127, 4096, 10000, 65536};
    struct rig rig = {.round = 0};
    while (side_next(&rig, echo)) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            rig_peer_send(&rig, sizes[i]);
            rig_peer_read(&rig, sizes[i]);
        }
        rig_peer_shutdown(&rig);
        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(side_wait(&rig), 0);
        rig_expect_lost(&rig, 0);
        expect_eq(weir_transport_get_end(rig.t), WEIR_END_CLOSED);
    }
}

static int answer_the_end(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf all;
    ssize_t len = weir_reader_read_to_end(reader, 4 * BULK, &all);
    if (len > 0) {
        int err = weir_writer_write_buf(writer, &all);
        weir_buf_unref(all.lease);
        return err;
    }
    return (int)len;
}

UNIT(stream_talk, an_answer_to_the_end_of_stream_arrives)
{
    struct rig rig = {.round = 0};
    while (side_next(&rig, answer_the_end)) {
        rig_peer_send(&rig, 300000);
        rig_peer_shutdown(&rig);
        rig_peer_read(&rig, 300000);
        expect_eq(rig_peer_read_end(&rig), 0);
        rig_wait_lost(&rig);
        expect_eq(side_wait(&rig), 0);
    }
}

static int ask_and_read(void *arg, weir_reader *reader, weir_writer *writer)
{
    uint8_t bytes[1000];
    rig_pattern(bytes, 0, sizeof(bytes));
    expect(weir_writer_can_write_eof(writer));
    expect_eq(weir_writer_write(writer, bytes, sizeof(bytes)), 0);
    expect_eq(weir_writer_write_eof(writer), 0);
    ssize_t len = weir_reader_readexactly(reader, bytes, sizeof(bytes));
    return len < 0 ? (int)len
                   : (int)weir_reader_read(reader, bytes, sizeof(bytes));
}

UNIT(stream_talk, reading_goes_on_after_write_eof)
{
    struct rig rig = {.round = 0};
    while (side_next(&rig, ask_and_read)) {
        rig_peer_read(&rig, 1000);
        expect_eq(rig_peer_read_end(&rig), 0);
        rig_peer_send(&rig, 1000);
        rig_peer_shutdown(&rig);
        expect_eq(side_wait(&rig), 0);
        rig_wait_lost(&rig);
    }
}

static uint64_t drained_at;
static bool is_flushed;

static int write_bulk(void *arg, weir_reader *reader, weir_writer *writer)
{
    uint8_t *bytes = test_pages(4 * BULK);
    rig_pattern(bytes, 0, 4 * BULK);
    int err = weir_writer_write(writer, bytes, 4 * BULK);
    if (err == 0) {
        err = weir_writer_drain(writer);
        drained_at = weir_writer_get_write_buffer_size(writer);
    }
    if (err == 0) {
        err = weir_writer_flush(writer);
        is_flushed = weir_writer_get_write_buffer_size(writer) == 0;
    }
    return err;
}

UNIT(stream_talk, drain_and_flush_wait_for_a_peer_that_reads_slowly)
{
    struct rig rig = {.small_buffers = true};
    while (side_next(&rig, write_bulk)) {
        drained_at = UINT64_MAX;
        is_flushed = false;
        rig_turn_for(&rig, 50 * RIG_MS);
        expect_eq(drained_at, UINT64_MAX);
        uint64_t left = 4 * BULK;
        while (left > 0) {
            const uint64_t depth = rig_pending(&rig);
            rig_turn(&rig); /* a task that was woken continues in the next
                               iteration */
            expect(drained_at != UINT64_MAX || depth > 16384);
            expect(is_flushed || depth > 0);
            const uint64_t part = left < 100000 ? left : 100000;
            rig_peer_read(&rig, part);
            rig_turn(&rig);
            left -= part;
        }
        expect_eq(side_wait(&rig), 0);
        expect(drained_at <= 16384);
        expect(is_flushed);
        expect_eq(rig_peer_read_end(&rig), 0);
        rig_wait_lost(&rig);
    }
}

static int drain_result;

static int wait_for_the_end(void *arg, weir_reader *reader, weir_writer *writer)
{
    uint8_t *bytes = test_pages(4 * BULK);
    rig_pattern(bytes, 0, 4 * BULK);
    expect_eq(weir_writer_write(writer, bytes, 4 * BULK), 0);
    drain_result = weir_writer_drain(writer);
    return weir_writer_wait_closed(writer);
}

UNIT(stream_talk, a_reset_is_told_to_who_drains_and_who_waits)
{
    struct rig rig = {.small_buffers = true};
    while (side_next(&rig, wait_for_the_end)) {
        rig_turn_for(&rig, 20 * RIG_MS);
        expect(!side_of(&rig)->is_done);
        if (rig_can(&rig, RIG_CAN_RESET)) {
            rig_peer_reset(&rig);
            expect_eq(side_wait(&rig), -ECONNRESET);
        } else {
            rig_peer_close(&rig); /* with bytes that it has not read */
            expect(side_wait(&rig) < 0);
        }
        expect_eq(drain_result, side_of(&rig)->result);
        expect_eq(rig.lost_err, drain_result);
        expect_eq(weir_reader_get_exception(side_of(&rig)->reader),
                  drain_result);
        expect_eq(weir_writer_write(side_of(&rig)->writer, "x", 1), -EPIPE);
    }
}

UNIT(stream_talk, an_abort_is_told_to_who_drains_and_who_waits)
{
    struct rig rig = {.small_buffers = true};
    while (side_next(&rig, wait_for_the_end)) {
        rig_turn_for(&rig, 20 * RIG_MS);
        weir_writer_abort(side_of(&rig)->writer);
        expect_eq(side_wait(&rig), -ECONNABORTED);
        expect_eq(drain_result, -ECONNABORTED);
        expect_eq(rig.lost_err, 0);
        expect_eq(weir_reader_get_exception(side_of(&rig)->reader),
                  -ECONNABORTED);
    }
}

UNIT(stream_talk, a_close_sends_everything_before_it_is_told)
{
    struct rig rig = {.small_buffers = true};
    while (side_next(&rig, wait_for_the_end)) {
        rig_turn_for(&rig, 20 * RIG_MS);
        weir_writer_close(side_of(&rig)->writer);
        rig_turn_for(&rig, 20 * RIG_MS);
        expect(!side_of(&rig)->is_done);
        rig_peer_read(&rig, 4 * BULK);
        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(side_wait(&rig), 0);
        expect_eq(drain_result, 0);
    }
}

/*
 * weir_reader_readexactly() of many bytes: one copy, and nothing lost by a
 * failed call.
 *
 * Bytes that the call has moved to its caller's memory must be readable again
 * after a cancellation, a timeout, an error or an early end of stream, in order
 * and before later bytes. The stream is a pattern in which each byte depends on
 * its position.
 */
#include "pair.h"
#include "tests/unit/random.h"

#include <weir/reader.h>

#define LARGE (8 * MIB)

static uint8_t memory[LARGE];

static void expect_pattern(const uint8_t *bytes, size_t len, uint64_t offset)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != pair_byte(offset + i)) {
            cr_assert_fail("byte %llu of the stream is wrong",
                           (unsigned long long)(offset + i));
        }
    }
}

/* The peer sends @len bytes of the pattern while other tasks run. */
struct sending {
    struct pair *p;
    uint64_t offset;
    size_t len;
};

static int send_all(weir_loop *on, void *arg)
{
    static uint8_t bytes[64 * KIB];
    struct sending *sending = arg;
    while (sending->len > 0) {
        size_t len =
            sending->len < sizeof(bytes) ? sending->len : sizeof(bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = pair_byte(sending->offset + i);
        }
        ssize_t sent = fake_peer_write(sending->p->peer, bytes, len);
        if (sent <= 0) {
            expect_eq(weir_sleep(on, 10 * US), 0);
            continue;
        }
        sending->offset += (uint64_t)sent;
        sending->len -= (size_t)sent;
    }
    return 0;
}

static void start_sending(struct sending *sending, struct pair *p, size_t len)
{
    sending->p = p;
    sending->len = len;
    weir_task_unref(rig_spawn(send_all, sending));
}

static void expect_read(weir_reader *reader, uint64_t offset, size_t len)
{
    expect_eq(weir_reader_readexactly(reader, memory, len), (ssize_t)len);
    expect_pattern(memory, len, offset);
}

UNIT_IN(reader_exact, a_large_read_is_copied_once_and_takes_no_more_memory,
        pair_test, struct pair *p)
{
    struct sending sending = {.offset = 0};
    const struct weir_loop_statistics before = rig_statistics();
    start_sending(&sending, p, LARGE);
    expect_read(p->reader, 0, LARGE);
    const struct weir_loop_statistics after = rig_statistics();

    expect_eq(after.copied_to_protocol - before.copied_to_protocol, LARGE);
    expect_eq(
        after.copied_by_view - before.copied_by_view, 0,
        "%llu bytes were copied twice",
        (unsigned long long)(after.copied_by_view - before.copied_by_view));
    expect_eq(after.copied_by_compaction - before.copied_by_compaction, 0,
              "%llu bytes were moved first",
              (unsigned long long)(after.copied_by_compaction -
                                   before.copied_by_compaction));
    expect_leq(after.memory_bytes, before.memory_bytes + 1280 * KIB,
               "no second place for more bytes than one receive brings");
}

UNIT_IN(reader_exact, bytes_before_an_early_end_stay_readable, pair_test,
        struct pair *p)
{
    struct sending sending = {.offset = 0};
    start_sending(&sending, p, 300 * KIB);
    nap();
    fake_peer_shutdown(p->peer);
    expect_eq(weir_reader_readexactly(p->reader, memory, MIB),
              WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_expected(p->reader), MIB);
    expect_eq(weir_reader_get_buffer_size(p->reader), 300 * KIB);
    cr_assert_not(weir_reader_at_eof(p->reader));
    memset(memory, 0, MIB);
    expect_read(p->reader, 0, 300 * KIB);
    cr_assert(weir_reader_at_eof(p->reader));
}

struct reading {
    weir_reader *reader;
    size_t len;
    ssize_t result;
};

static int read_much(weir_loop *on, void *arg)
{
    struct reading *reading = arg;
    reading->result =
        weir_reader_readexactly(reading->reader, memory, reading->len);
    return 0;
}

UNIT_IN(reader_exact, bytes_of_a_cancelled_call_are_read_before_later_ones,
        pair_test, struct pair *p)
{
    struct sending sending = {.offset = 0};
    struct reading reading = {.reader = p->reader, .len = MIB};
    weir_task *task = rig_spawn(read_much, &reading);
    start_sending(&sending, p, 200 * KIB);
    nap();
    nap();
    expect_eq(weir_reader_get_buffer_size(p->reader), 200 * KIB,
              "bytes of a call in progress are counted");
    expect_eq(weir_reader_consume(p->reader, 1), -EBUSY);
    weir_task_cancel(task);
    expect_eq(weir_reader_consume(p->reader, 1), -EBUSY,
              "the bytes are not back yet");
    expect_eq(rig_join(task), 0);
    expect_eq(reading.result, -ECANCELED);
    expect_eq(weir_reader_get_buffer_size(p->reader), 200 * KIB);

    memset(memory, 0, MIB);
    start_sending(&sending, p, 100 * KIB);
    expect_read(p->reader, 0, 300 * KIB);
}

TASK(reader_exact, a_reader_may_be_freed_under_a_call_that_has_some)
{
    weir_reader *reader;
    static const uint8_t bytes[100 * KIB];
    for (int fed = 0; fed < 2; fed++) {
        expect_eq(weir_reader_new(loop, WEIR_STREAM_LIMIT, &reader), 0);
        struct reading reading = {.reader = reader, .len = MIB};
        weir_task *task = rig_spawn(read_much, &reading);
        nap();
        if (fed) {
            expect_eq(weir_reader_feed_data(reader, bytes, sizeof(bytes)), 0);
            nap();
        }
        weir_task_cancel(task);
        weir_reader_free(reader);
        expect_eq(rig_join(task), 0);
        expect_eq(reading.result, -ECANCELED);
    }
}

/* All allocations fail after the end of the stream, so that the call cannot
 * put its bytes back. */
static int end_without_memory(weir_loop *on, void *arg)
{
    static const uint8_t bytes[200 * KIB];
    weir_reader *reader;
    expect_eq(weir_reader_new(on, WEIR_STREAM_LIMIT, &reader), 0);
    struct reading reading = {.reader = reader, .len = MIB};
    weir_task *task = rig_spawn(read_much, &reading);
    nap();
    expect_eq(weir_reader_feed_data(reader, bytes, sizeof(bytes)), 0);
    nap();
    expect_eq(weir_reader_get_buffer_size(reader), sizeof(bytes));
    rig_memory.size_limit = 0;
    weir_reader_feed_eof(reader);
    expect_eq(rig_join(task), 0);
    rig_memory.size_limit = SIZE_MAX;

    expect_eq(reading.result, WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_buffer_size(reader), 0);
    expect_eq(weir_reader_read(reader, memory, 1), -ENOMEM, "no clean end");
    weir_reader_free(reader);
    return 0;
}

UNIT(reader_exact, bytes_that_cannot_be_put_back_end_the_stream_with_an_error)
{
    expect_eq(rig_run_counted(end_without_memory, NULL), 0);
}

static struct unit_random chance;

/* Makes a call with a time-out. */
static uint64_t try_to_read(struct pair *p, uint64_t offset, uint64_t left)
{
    struct weir_timeout timeout;
    size_t len = 1 + (size_t)unit_random_below(&chance, 400 * KIB);
    len = len < left ? len : (size_t)left;
    weir_timeout_begin(loop, &timeout, unit_random_below(&chance, 300) * US);
    ssize_t got = weir_reader_readexactly(p->reader, memory, len);
    ssize_t err = weir_timeout_end(&timeout, got);
    if (got < 0) {
        expect_eq(got, -ECANCELED, "%zd", got);
        expect_eq(err, -ETIMEDOUT, "%zd", err);
        return offset;
    }
    expect_eq(got, (ssize_t)len);
    expect_pattern(memory, len, offset);
    return offset + len;
}

/* Reads in another way between the calls. */
static uint64_t look_otherwise(struct pair *p, uint64_t offset, uint64_t left)
{
    const size_t there = weir_reader_get_buffer_size(p->reader);
    struct weir_buf buf;
    if (there == 0 || left == 0) {
        return offset;
    }
    expect_gt(weir_reader_peek(p->reader, 0, &buf), 0);
    expect_pattern(buf.data, buf.len, offset);
    ssize_t len = weir_reader_read(p->reader, memory, 5000);
    expect_gt(len, 0);
    expect_pattern(memory, (size_t)len, offset);
    return offset + (uint64_t)len;
}

static int read_at_random(weir_loop *on, void *arg)
{
    const uint64_t total = 6 * MIB;
    struct sending sending = {.offset = 0};
    struct pair p;
    uint64_t offset = 0;
    pair_open(&p);
    start_sending(&sending, &p, total);
    while (offset < total) {
        offset = try_to_read(&p, offset, total - offset);
        if (unit_random_below(&chance, 4) == 0) {
            offset = look_otherwise(&p, offset, total - offset);
        }
    }
    expect_eq(offset, total);
    pair_close(&p);
    return 0;
}

UNIT(reader_exact, calls_that_are_interrupted_at_random_lose_nothing)
{
    unit_random_seed(&chance);
    for (int round = 0; round < 5; round++) {
        expect_eq(rig_run(read_at_random, NULL), 0);
    }
}

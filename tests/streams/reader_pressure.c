/*
 * Readers and the memory of their bytes: when the transport is paused and reads
 * again, what is copied and what is not, and that no reader ever waits for its
 * own bytes, however small the budget (reader_budget.c).
 */
#define TASK_RUN close_after
#include "tests/streams/reader_pair.h"

#include <weir/reader.h>
#include <weir/writer.h>

TASK(reader_pressure, r27__reading_pauses_above_two_limits_and_resumes_at_one)
{
    char buf[32];
    open_limited(&p, 10, 0);
    peer_writes(&p, 20);
    cr_assert(weir_transport_is_reading(p.t));

    peer_writes(&p, 1);
    cr_assert_not(weir_transport_is_reading(p.t), "more than two limits");

    expect_eq(weir_reader_read(p.reader, buf, 10), 10);
    cr_assert_not(weir_transport_is_reading(p.t), "more than one limit");
    expect_eq(weir_reader_read(p.reader, buf, 1), 1);
    cr_assert(weir_transport_is_reading(p.t));
}

TASK(reader_pressure, complaint_27__a_reader_that_has_to_wait_resumes_reading)
{
    char buf[64];
    open_limited(&p, 10, 0);
    peer_writes(&p, 25);
    cr_assert_not(weir_transport_is_reading(p.t));
    struct sender sender;
    weir_task *task = start_sender(&sender, &p, 39, 5);

    expect_eq(weir_reader_readexactly(p.reader, buf, 64), 64);

    expect_eq(rig_join(task), 0);
    cr_assert(weir_transport_is_reading(p.t));
}

TASK(reader_pressure, reading_pauses_again_when_the_one_who_waited_has_gone)
{
    struct weir_timeout limit;
    char buf[64];
    open_limited(&p, 10, 0);
    peer_writes(&p, 25);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    const ssize_t result = weir_reader_readexactly(p.reader, buf, 64);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);

    peer_writes(&p, 1);

    cr_assert_not(weir_transport_is_reading(p.t), "no task waits any more");
    expect_eq(weir_reader_get_buffer_size(p.reader), 26);
}

TASK(reader_pressure, complaint_28__a_flood_is_kept_within_limits_and_a_receive)
{
    struct sender sender;
    open_limited(&p, 64 * KIB, 0);
    weir_task *task = start_sender(&sender, &p, 16 * MIB, 64 * KIB);
    expect_eq(weir_sleep(loop, S), 0);

    const size_t kept = weir_reader_get_buffer_size(p.reader);
    expect_gt(kept, 128 * KIB);
    expect_leq(kept, 128 * KIB + MIB, "two limits and one receive");
    expect_eq(rig_cancel(task), -ECANCELED);
}

TASK(reader_pressure, complaint_24__many_single_bytes_cost_about_their_bytes)
{
    const size_t count = 100000;
    struct weir_buf view;
    open_limited(&p, MIB, 0);
    peer_writes(&p, 1);
    const uint64_t before = rig_statistics().memory_bytes;
    for (size_t i = 1; i < count; i++) {
        expect_eq(fake_peer_write(p.peer, "", 1), 1);
        while (weir_reader_get_buffer_size(p.reader) <= i) {
            expect_eq(weir_yield(loop), 0);
        }
    }
    expect_eq(weir_sleep(loop, 20 * MS), 0);

    expect_leq(rig_statistics().memory_bytes, before + 2 * count + 64 * KIB);
    expect_eq(weir_transport_get_read_buffer_size(p.t), 0,
              "nothing is charged for them");
    expect_eq(weir_reader_readexactly_view(p.reader, count, &view),
              (ssize_t)count);
}

static int finds_no_memory(weir_loop *on, void *arg)
{
    struct sender sender;
    struct weir_buf view;
    open_limited(&p, 10, 4096);
    weir_task *task = start_sender(&sender, &p, 200000, 1000);
    while (weir_reader_get_buffer_size(p.reader) == 0) {
        expect_eq(weir_yield(loop), 0);
    }
    rig_memory.size_limit = 0;

    const ssize_t result =
        weir_reader_readexactly_view(p.reader, 200000, &view);
    expect_eq(result, -ENOMEM, "%zd", result);

    rig_memory.size_limit = SIZE_MAX;
    expect_gt(weir_reader_get_buffer_size(p.reader), 0);
    expect_eq(weir_reader_readexactly_view(p.reader, 200000, &view), 200000);
    check_pattern(view.data, view.len, 0);
    expect_eq(rig_join(task), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, without_memory_to_keep_the_bytes_a_wait_fails)
{
    expect_eq(rig_run_counted(finds_no_memory, NULL), 0);
}

static uint64_t copied_bytes(void)
{
    const struct weir_loop_statistics now = rig_statistics();
    return now.copied_by_view + now.copied_to_protocol +
           now.copied_by_compaction + now.copied_by_write;
}

TASK(reader_pressure, complaint_24__views_of_what_came_together_copy_nothing)
{
    struct weir_buf view;
    char message[301] = {0};
    char echoed[400]; /* the peer reads, because queued bytes would be copied */
    memset(message, 'm', 300); /* fewer than 256 bytes would be copied */
    pair_open(&p);
    for (int i = 0; i < 500; i++) {
        pair_peer_write(&p, message);
        expect_eq(weir_reader_read_view(p.reader, 1000, &view), 300);
        expect_eq(weir_writer_write_buf(p.writer, &view), 0);
        pair_peer_write(&p, "another");
        expect_eq(weir_reader_readexactly_view(p.reader, 7, &view), 7);
        pair_peer_write(&p, "a line\nand more\n");
        expect_eq(weir_reader_readline_view(p.reader, &view), 7);
        expect_eq(weir_reader_readline_view(p.reader, &view), 9);
        expect_eq(weir_yield(loop), 0);
        expect_eq(fake_peer_read(p.peer, echoed, sizeof(echoed)), 300);
    }
    expect_eq(copied_bytes(), 0);
}

TASK(reader_pressure, complaint_24__a_relay_by_take_copies_tiny_tails_only)
{
    static struct pair to;
    uint64_t sum = 0;
    struct sender sender;
    open_limited(&p, MIB, 0); /* never paused */
    pair_open(&to);
    weir_task *task = start_sender(&sender, &p, 4 * MIB, 10000);
    while (sum < 4 * MIB) {
        struct weir_buf buf;
        const ssize_t len = weir_reader_take(p.reader, 7000, &buf);
        expect_gt(len, 0);
        sum += (uint64_t)len;
        expect_eq(weir_writer_write_buf(to.writer, &buf), 0);
        weir_buf_unref(buf.lease);
        while (weir_writer_get_write_buffer_size(to.writer) > 0) {
            expect_eq(weir_yield(loop), 0);
            pair_peer_read(&to, MIB);
        }
    }
    pair_peer_read_all(&to);
    expect_eq(to.peer_read, 4 * MIB);
    /* Tails were not packed, but tiny ones are copied when they are taken. */
    expect_leq(copied_bytes(), 4 * MIB / 1000);
    expect_eq(rig_join(task), 0);
    pair_close(&to);
}

TASK(reader_pressure, a_taken_lease_counts_until_it_is_given_back)
{
    struct weir_buf buf;
    pair_open(&p);
    peer_writes(&p, 7000);
    expect_eq(weir_reader_take(p.reader, 6000, &buf), 6000);
    expect_eq(weir_reader_consume(p.reader, 1000), 0);
    expect_eq(weir_transport_get_read_buffer_size(p.t), 6000);

    weir_buf_unref(buf.lease);

    expect_eq(weir_transport_get_read_buffer_size(p.t), 0);
}

TASK(reader_pressure, complaint_21__what_came_before_a_reset_is_read_first)
{
    char buf[64];
    pair_open(&p);
    pair_peer_says(&p, "last words");
    fake_peer_reset(p.peer);
    nap();
    pair_expect_read(&p, "last words");
    for (int i = 0; i < 3; i++) {
        expect_eq(weir_reader_read(p.reader, buf, 64), -ECONNRESET);
    }
}

TASK(reader_pressure, a_reader_has_one_transport_at_a_time)
{
    static struct pair other;
    pair_open(&p);
    pair_open(&other);
    expect_eq(weir_reader_set_transport(p.reader, p.t), 0);
    expect_eq(weir_reader_set_transport(p.reader, other.t), -EBUSY);
    expect_eq(weir_reader_set_transport(p.reader, NULL), 0);
    expect_eq(weir_reader_set_transport(p.reader, p.t), 0);
    pair_close(&other);
}

TASK(reader_pressure,
     complaint_24__a_small_rest_pins_a_large_buffer_for_a_while)
{
    struct weir_buf view;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    expect_eq(weir_reader_read_view(p.reader, 8900, &view), 8900);
    expect_eq(weir_sleep(loop, 5 * MS), 0);
    expect_eq(rig_statistics().copied_by_compaction, 0,
              "nothing is packed at once");
    expect_geq(weir_transport_get_read_buffer_size(p.t), 9000);
    expect_eq(weir_reader_read_view(p.reader, 50, &view), 50);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    /* Bytes in a view stay in the reader; the next call returns the rest. */
    expect_eq(weir_reader_get_buffer_size(p.reader), 50);
    expect_eq(weir_reader_read_view(p.reader, 10, &view), 10);
    expect_eq(weir_reader_read_view(p.reader, 10, &view), 10);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    expect_eq(weir_reader_peek(p.reader, 0, &view), 30);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    expect_eq(weir_reader_read_view(p.reader, 30, &view), 30);
}

TASK(reader_pressure, complaint_24__a_small_rest_that_stays_is_packed)
{
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    expect_eq(weir_reader_consume(p.reader, 8900), 0);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    expect_eq(rig_statistics().copied_by_compaction, 100);
    expect_geq(rig_statistics().kept_bytes, 100);
    expect_eq(weir_transport_get_read_buffer_size(p.t), 0);
    expect_eq(weir_reader_get_buffer_size(p.reader), 100);
}

TASK(reader_pressure, bytes_that_were_peeked_at_stay_where_they_are)
{
    struct weir_buf first;
    struct weir_buf again;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 100);
    expect_eq(weir_reader_fill(p.reader, 100), 100);
    expect_eq(weir_reader_peek(p.reader, 10, &first), 90);
    peer_writes(&p, 100);
    expect_eq(weir_sleep(loop, 50 * MS), 0);
    peer_writes(&p, 100);
    expect_eq(first.data[89], 0, "the view is still valid");
    expect_eq(weir_reader_peek(p.reader, 10, &again), 90);
    expect_eq(again.data, first.data, "the bytes were not moved");
    expect_eq(weir_reader_consume(p.reader, 300), 0);
}

TASK(reader_pressure, bytes_that_were_waited_for_and_not_read_are_packed_too)
{
    open_limited(&p, 64 * KIB, MIB);
    expect_eq(fake_peer_write(p.peer, "a", 1), 1);
    expect_eq(weir_reader_fill(p.reader, 1), 1);
    expect_eq(weir_transport_get_read_buffer_size(p.t), 1);
    expect_eq(weir_sleep(loop, 50 * MS), 0);
    expect_eq(weir_transport_get_read_buffer_size(p.t), 0);
    expect_eq(weir_reader_get_buffer_size(p.reader), 1);
}

TASK(reader_pressure, complaint_24__a_rest_that_is_being_read_is_not_packed)
{
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    expect_eq(weir_reader_consume(p.reader, 8900), 0);
    for (int i = 0; i < 5; i++) {
        expect_eq(weir_sleep(loop, 6 * MS), 0);
        expect_eq(weir_reader_consume(p.reader, 10), 0);
        expect_eq(rig_statistics().copied_by_compaction, 0);
    }
    expect_eq(weir_sleep(loop, 30 * MS), 0);
    expect_eq(rig_statistics().copied_by_compaction, 50);
}

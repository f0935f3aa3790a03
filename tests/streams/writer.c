/*
 * Writers: what weir/stream.h promises about writing, draining and flushing on
 * an open connection. writer_end.c tests the ends.
 *
 * The end of a wait is compared with what the kernel has taken, which is known
 * from completions and not from weir.
 */
#define UNIT_RUN   pair_test
#define UNIT_TAKES struct pair *p
#include "pair.h"
#include "tests/marks.h"

#include <weir/reader.h>
#include <weir/writer.h>

struct marks {
    int64_t high;
    int64_t low;
};

/* The peer reads step by step. Each wait ends exactly with the completion that
 * lowers the depth to its mark. */
static void drain_and_flush_with(const struct marks *marks)
{
    struct writer_call drain;
    struct writer_call flush;
    struct pair p;
    pair_open(&p);
    expect_eq(set_marks(p.t, marks->high, marks->low), 0);
    const uint64_t low =
        (uint64_t)weir_transport_get_write_buffer_limits(p.t).low_bytes;
    expect_eq(pair_write(&p, MIB), 0);
    call_start(&drain, &p, weir_writer_drain);
    call_start(&flush, &p, weir_writer_flush);

    expect_eq(weir_sleep(loop, 100 * S), 0);
    const uint64_t stalled_sends = fake_stats()->sends;
    const uint64_t stalled_bytes = fake_taken_bytes(p.fd);
    expect_lt(stalled_bytes, MIB, "the peer does not read");
    expect_eq(weir_sleep(loop, 100 * S), 0);
    expect_eq(fake_taken_bytes(p.fd), stalled_bytes);
    cr_assert_not(drain.is_done);
    cr_assert_not(flush.is_done);

    for (uint64_t depth = MIB; depth > 0;) {
        expect_gt(pair_peer_read(&p, 1000), 0);
        nap();
        depth = MIB - fake_taken_bytes(p.fd);
        expect_eq(weir_writer_get_write_buffer_size(p.writer), depth);
        expect_eq(drain.is_done, depth <= low);
        expect_eq(flush.is_done, depth == 0);
    }
    expect_leq(drain.depth, low);
    expect_eq(drain.taken, MIB - drain.depth);
    expect_eq(flush.taken, MIB);
    expect_geq(drain.sends,
               stalled_sends + (MIB - low - stalled_bytes) / (256 * KIB));
    expect_geq(flush.sends, drain.sends);
    expect_eq(call_end(&drain), 0);
    expect_eq(call_end(&flush), 0);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    pair_close(&p);
}

TASK(writer, drain_waits_for_the_low_mark_and_flush_for_zero_by_completions)
{
    static const struct marks marks[] = {
        {WEIR_DEFAULT, WEIR_DEFAULT}, {0, 0}, {1, 1}, {100000, 0}, {5000, 5000},
    };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        drain_and_flush_with(&marks[i]);
    }
}

UNIT(writer, drain_below_the_high_mark_yields_once_in_2048_calls_only)
{
    expect_eq(pair_write(p, 64 * KIB), 0,
              "a depth at the high mark does not pause");
    const uint64_t switches = rig_statistics().task_switches;
    for (int i = 0; i < 2000; i++) {
        expect_eq(weir_writer_drain(p->writer), 0);
    }
    expect_eq(rig_statistics().task_switches, switches);
    for (int i = 0; i < 100; i++) {
        expect_eq(weir_writer_drain(p->writer), 0);
    }
    expect_eq(rig_statistics().task_switches, switches + 1);
}

UNIT(writer, flush_waits_for_every_byte_but_not_for_none)
{
    const uint64_t switches = rig_statistics().task_switches;
    expect_eq(weir_writer_flush(p->writer), 0);
    expect_eq(rig_statistics().task_switches, switches);
    expect_eq(pair_write(p, 1), 0);
    expect_eq(weir_writer_flush(p->writer), 0);
    expect_eq(rig_statistics().task_switches, switches + 1);
    expect_eq(fake_taken_bytes(p->fd), 1);
}

enum { MANY = 100 };

UNIT(writer, any_number_of_tasks_drain_and_flush_at_once)
{
    static struct writer_call drains[MANY];
    static struct writer_call flushes[MANY];
    expect_eq(pair_write(p, MIB), 0);
    for (int i = 0; i < MANY; i++) {
        call_start(&drains[i], p, weir_writer_drain);
        call_start(&flushes[i], p, weir_writer_flush);
    }
    nap();
    for (int i = 0; i < MANY; i++) {
        cr_assert_not(drains[i].is_done);
        cr_assert_not(flushes[i].is_done);
    }
    pair_peer_read_all(p);
    for (int i = 0; i < MANY; i++) {
        expect_eq(call_end(&drains[i]), 0);
        expect_eq(call_end(&flushes[i]), 0);
    }
}

static int write_after_drain(weir_writer *writer)
{
    static uint8_t bytes[MIB];
    int err = weir_writer_drain(writer);
    expect_eq(weir_writer_write(writer, bytes, sizeof(bytes)), 0);
    return err;
}

UNIT(writer, a_drain_that_is_woken_looks_again)
{
    static uint8_t rest[64 * KIB];
    struct writer_call first;
    struct writer_call second;
    expect_eq(pair_write(p, MIB), 0);
    call_start(&first, p, write_after_drain);
    call_start(&second, p, weir_writer_drain);
    nap();
    while (!first.is_done) {
        expect_gt(pair_peer_read(p, 64 * KIB), 0);
        nap();
    }
    cr_assert_not(second.is_done, "the first has filled it up again");
    while (!second.is_done) {
        expect_gt(fake_peer_read(p->peer, rest, sizeof(rest)), 0);
        nap();
    }
    expect_leq(second.depth, 16 * KIB);
    expect_eq(call_end(&first), 0);
    expect_eq(call_end(&second), 0);
}

static weir_task *victim;

static int write_and_cancel(weir_writer *writer)
{
    int err = write_after_drain(writer);
    weir_task_cancel(victim);
    return err;
}

UNIT(writer, a_drain_that_would_wait_again_can_be_cancelled_before_it_does)
{
    struct writer_call first;
    struct writer_call second;
    expect_eq(pair_write(p, MIB), 0);
    call_start(&first, p, write_and_cancel);
    call_start(&second, p, weir_writer_drain);
    victim = second.task;
    nap();
    while (!first.is_done) {
        expect_gt(pair_peer_read(p, 64 * KIB), 0);
        nap();
    }
    expect_eq(call_end(&second), -ECANCELED);
    expect_eq(call_end(&first), 0);
}

static void cancel_one(int (*fn)(weir_writer *writer))
{
    struct writer_call calls[3];
    struct pair p;
    pair_open(&p);
    expect_eq(pair_write(&p, MIB), 0);
    for (int i = 0; i < 3; i++) {
        call_start(&calls[i], &p, fn);
    }
    nap();
    cr_assert(weir_task_cancel(calls[1].task));
    nap();
    expect_eq(call_end(&calls[1]), -ECANCELED);
    cr_assert_not(calls[0].is_done);
    cr_assert_not(calls[2].is_done);

    weir_writer_close(p.writer);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB, "nothing was lost");
    expect_eq(call_end(&calls[0]), 0);
    expect_eq(call_end(&calls[2]), 0);
    pair_close(&p);
}

TASK(writer, a_cancelled_wait_ends_alone_and_loses_nothing)
{
    cancel_one(weir_writer_drain);
    cancel_one(weir_writer_flush);
    cancel_one(weir_writer_wait_closed);
}

UNIT(writer, a_drain_in_a_time_out_ends_with_it)
{
    struct weir_timeout limit;
    expect_eq(pair_write(p, MIB), 0);
    const uint64_t before_ns = weir_loop_get_time(loop);

    expect_eq(weir_timeout_begin(loop, &limit, 5 * S), 0);
    int64_t err = weir_timeout_end(&limit, weir_writer_drain(p->writer));

    expect_eq(err, -ETIMEDOUT);
    expect_eq((weir_loop_get_time(loop) - before_ns) / S, 5);
    pair_peer_read_all(p);
    expect_eq(p->peer_read, MIB);
    expect_eq(weir_writer_drain(p->writer), 0);
}

static void count_release(void *arg)
{
    ++*(int *)arg;
}

TASK(writer, every_way_of_writing_arrives_in_order_as_one_send)
{
    char text[32] = "";
    char head[] = "copied ";
    const struct iovec pieces[] = {
        {(char[]){"in "}, 3}, {NULL, 0}, {(char[]){"pieces "}, 7}};
    struct weir_buf buf;
    int released = 0;
    struct pair p;
    pair_open(&p);
    pair_peer_write(&p, "leased");
    expect_eq(weir_reader_take(p.reader, 64, &buf), 6);

    expect_eq(weir_writer_write(p.writer, head, 7), 0);
    memset(head, 'x', sizeof(head));
    expect_eq(weir_writer_writelines(p.writer, pieces, 3), 0);
    expect_ok(weir_writer_write_ref(p.writer, "by ref ", 7, count_release,
                                    &released));
    expect_eq(weir_writer_write_buf(p.writer, &buf), 0);
    weir_buf_unref(buf.lease);
    expect_eq(released, 0);
    expect_eq(weir_writer_get_write_buffer_size(p.writer), 30);
    expect_eq(weir_writer_flush(p.writer), 0);
    expect_eq(released, 1);
    expect_eq(weir_writer_get_write_buffer_size(p.writer), 0);

    expect_eq(fake_peer_read(p.peer, text, sizeof(text)), 30);
    expect_str_eq(text, "copied in pieces by ref leased");
    expect_eq(fake_stats()->sends, 1, "what is written together leaves so");
    pair_close(&p);
}

UNIT(writer, the_size_counts_bytes_that_are_in_flight)
{
    expect_eq(pair_write(p, MIB), 0);
    nap();
    expect_eq(weir_writer_get_write_buffer_size(p->writer),
              MIB - fake_taken_bytes(p->fd));
}

UNIT(writer, write_eof_ends_the_writing_side_after_what_waits)
{
    char byte;
    cr_assert(weir_writer_can_write_eof(p->writer));
    expect_eq(pair_write(p, MIB), 0);
    expect_eq(weir_writer_write_eof(p->writer), 0);
    expect_eq(weir_writer_write_eof(p->writer), 0, "a second write_eof");
    expect_eq(pair_write(p, 1), -ESHUTDOWN);
    cr_assert_not(fake_has_shut(p->fd), "a megabyte waits");
    cr_assert_not(weir_writer_is_closing(p->writer));

    pair_peer_read_all(p);
    expect_eq(p->peer_read, MIB);
    expect_eq(fake_peer_read(p->peer, &byte, 1), 0, "the end of the stream");
    pair_peer_write(p, "still");
    pair_expect_read(p, "still");
    expect_eq(weir_writer_drain(p->writer), 0);
    expect_eq(weir_writer_flush(p->writer), 0);
    fake_peer_shutdown(p->peer);
    expect_eq(weir_reader_read(p->reader, &byte, 1), 0);
}

TASK(writer, getters_answer_before_and_after_the_loss)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    struct pair p;
    pair_open(&p);
    for (int round = 0; round < 2;
         round++) { /* with a connection, then after its loss */
        expect_eq(weir_writer_get_extra_info(p.writer, "peername", &info), 0);
        expect_gt(info.address.len, 0);
        expect_eq(weir_writer_get_extra_info(p.writer, "sockname", &info), 0);
        expect_gt(info.address.len, 0);
        expect_eq(weir_writer_get_extra_info(p.writer, "colour", &info),
                  -ENOENT);
        expect_eq(weir_writer_get_transport(p.writer), p.t);
        expect_eq(weir_transport_get_loop(p.t), loop);
        expect_eq(weir_writer_is_closing(p.writer), round == 1);
        weir_writer_close(p.writer);
        expect_eq(weir_writer_wait_closed(p.writer), 0);
    }
    pair_close(&p);
}

static int write_ref_of(weir_writer *writer, const void *data, size_t len)
{
    return weir_writer_write_ref(writer, data, len, NULL, NULL);
}

static int write_line_of(weir_writer *writer, const void *data, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)data, len};
    return weir_writer_writelines(writer, &iov, 1);
}

/* Received bytes, for writes of each length up to their length. */
static struct weir_buf received;

static int write_buf_of(weir_writer *writer, const void *data, size_t len)
{
    struct weir_buf part = received;
    expect_leq(len, received.len);
    part.len = len;
    return weir_writer_write_buf(writer, &part);
}

static int (*const kinds[])(weir_writer *writer, const void *data,
                            size_t len) = {weir_writer_write, write_line_of,
                                           write_ref_of, write_buf_of};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const uint8_t middle[101];

/* Writes a header, a middle that is refused, and a trailer, and ignores the
 * results. */
static void write_in_three(struct pair *p, size_t kind)
{
    expect_eq(weir_transport_set_write_hard_limit(p->t, 100), 0);
    expect_eq(weir_writer_write(p->writer, "header", 6), 0);
    int refused = kinds[kind](p->writer, middle, sizeof(middle));
    expect_eq(refused, -ENOBUFS);
    for (size_t i = 0; i < KINDS; i++) {
        expect_eq(kinds[i](p->writer, "trailer", 7), -ENOBUFS,
                  "kind %zu after kind %zu", i, kind);
    }
    expect_eq(weir_writer_write_eof(p->writer), -ENOBUFS);
}

static void expect_told_by(int (*tell)(weir_writer *writer), size_t kind)
{
    struct pair p;
    char text[16] = "";
    pair_open(&p);
    write_in_three(&p, kind);

    expect_eq(tell(p.writer), -ENOBUFS, "the first call tells");
    expect_eq(tell(p.writer), 0, "the error is told once");
    expect_eq(weir_writer_write(p.writer, "whole", 5), 0);
    expect_eq(weir_writer_flush(p.writer), 0);
    expect_eq(fake_peer_read(p.peer, text, sizeof(text)), 11);
    expect_str_eq(text, "headerwhole");
    pair_close(&p);
}

static void expect_broken_off(size_t kind)
{
    struct pair p;
    pair_open(&p);
    write_in_three(&p, kind);

    expect_eq(weir_writer_close(p.writer), -ENOBUFS);
    expect_eq(weir_writer_wait_closed(p.writer), -ENOBUFS);
    expect_eq(weir_writer_drain(p.writer), -ENOBUFS,
              "drain tells the error each time");
    pair_close(&p);
}

static void receive_some(struct pair *p)
{
    static const uint8_t bytes[sizeof(middle)];
    pair_open(p);
    expect_eq(fake_peer_write(p->peer, bytes, sizeof(bytes)), sizeof(bytes));
    nap();
    expect_eq(weir_reader_take(p->reader, sizeof(bytes), &received),
              sizeof(bytes));
}

TASK(writer, nothing_follows_a_write_that_was_refused_before_that_was_told)
{
    struct pair source;
    receive_some(&source);
    for (size_t kind = 0; kind < KINDS; kind++) {
        expect_told_by(weir_writer_drain, kind);
        expect_told_by(weir_writer_flush, kind);
        expect_broken_off(kind);
    }
    weir_buf_unref(received.lease);
    pair_close(&source);
}

static weir_writer *shared;

static void call_outside(void *arg)
{
    int *count = arg;
    expect_eq(weir_writer_drain(shared), WEIR_ENOTTASK);
    expect_eq(weir_writer_flush(shared), WEIR_ENOTTASK);
    expect_eq(weir_writer_wait_closed(shared), WEIR_ENOTTASK);
    ++*count;
}

UNIT(writer, waiting_outside_a_task_is_an_error)
{
    int count = 0;
    shared = p->writer;
    expect_eq(weir_loop_call_soon(loop, call_outside, &count, NULL), 0);
    nap();
    expect_eq(count, 1);
}

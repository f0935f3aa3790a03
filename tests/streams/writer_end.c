/*
 * Writers: how a stream ends, and what each caller is told.
 *
 * The four ends are distinguished (closed here, aborted here, the peer's end,
 * an error), the first cause is kept, and no task waits for a connection that
 * cannot send any more.
 */
#define UNIT_RUN   pair_test
#define UNIT_TAKES struct pair *p
#include "lib/transport/transport.h"
#include "pair.h"
#include "tests/bind.h"

#include <weir/connect.h>
#include <weir/stream.h>

/* The three kinds of waits, on a stream whose peer does not read. */
struct waits {
    struct writer_call drain;
    struct writer_call flush;
    struct writer_call closed;
};

static void waits_start(struct waits *waits, struct pair *p)
{
    expect_eq(pair_write(p, MIB), 0);
    call_start(&waits->drain, p, weir_writer_drain);
    call_start(&waits->flush, p, weir_writer_flush);
    call_start(&waits->closed, p, weir_writer_wait_closed);
    nap();
    cr_assert_not(waits->drain.is_done);
    cr_assert_not(waits->flush.is_done);
    cr_assert_not(waits->closed.is_done);
}

static void waits_expect(struct waits *waits, int err)
{
    expect_eq(call_end(&waits->drain), err);
    expect_eq(call_end(&waits->flush), err);
    expect_eq(call_end(&waits->closed), err);
}

/* Expects these results of the three calls, also when they are repeated. */
static void expect_ended(struct pair *p, int drain, int flush, int closed)
{
    for (int i = 0; i < 3; i++) {
        expect_eq(weir_writer_drain(p->writer), drain);
        expect_eq(weir_writer_flush(p->writer), flush);
        expect_eq(weir_writer_wait_closed(p->writer), closed);
        cr_assert(weir_writer_is_closing(p->writer));
        expect_eq(weir_writer_close(p->writer), 0, "it changes nothing");
        weir_writer_abort(p->writer);
    }
}

static void count_release(void *arg)
{
    ++*(int *)arg;
}

static void expect_no_writes(struct pair *p, int err)
{
    const struct iovec piece = {(char[]){"x"}, 1};
    int released = 0;
    expect_eq(weir_writer_write(p->writer, "x", 1), err);
    expect_eq(weir_writer_writelines(p->writer, &piece, 1), err);
    expect_eq(
        weir_writer_write_ref(p->writer, "x", 1, count_release, &released),
        err);
    expect_eq(released, 1);
}

UNIT(writer_end, a_reset_wakes_all_who_wait_and_is_told_every_time)
{
    struct waits waits;
    char byte;
    waits_start(&waits, p);

    fake_peer_reset(p->peer);
    nap();

    waits_expect(&waits, -ECONNRESET);
    expect_eq(weir_transport_get_end(p->t), WEIR_END_BROKEN);
    expect_eq(weir_reader_read(p->reader, &byte, 1), -ECONNRESET);
    expect_no_writes(p, -EPIPE);
    expect_ended(p, -ECONNRESET, -ECONNRESET, -ECONNRESET);
    expect_eq(weir_writer_get_write_buffer_size(p->writer), 0);
}

/* The peer sends until the stream receives no more. Returns the number of
 * bytes. */
static uint64_t fill_the_reader(struct pair *p)
{
    static uint8_t bytes[64 * KIB];
    uint64_t sent = 0;
    ssize_t len;
    do {
        len = fake_peer_write(p->peer, bytes, sizeof(bytes));
        sent += len > 0 ? (uint64_t)len : 0;
        nap();
    } while (len > 0);
    expect_gt(sent, 128 * KIB);
    return sent;
}

UNIT(writer_end, a_task_that_writes_does_not_wait_for_a_reader)
{
    static uint8_t bytes[64 * KIB];
    struct waits waits;
    fill_the_reader(p);
    waits_start(&waits, p);

    fake_peer_reset(p->peer);
    nap();

    expect_eq(call_end(&waits.drain), -ECONNRESET);
    expect_eq(call_end(&waits.flush), -ECONNRESET);
    cr_assert_not(waits.closed.is_done, "the loss waits for the reader");
    expect_eq(weir_writer_drain(p->writer), -ECONNRESET);
    expect_eq(weir_writer_flush(p->writer), -ECONNRESET);
    expect_no_writes(p, -EPIPE);

    uint64_t got = 0;
    ssize_t len;
    while ((len = weir_reader_read(p->reader, bytes, sizeof(bytes))) > 0) {
        got += (uint64_t)len;
    }
    expect_eq(len, -ECONNRESET);
    expect_gt(got, 128 * KIB, "data first, then the error");
    nap();
    expect_eq(call_end(&waits.closed), -ECONNRESET);
}

UNIT(writer_end, a_reset_is_told_before_the_loss_to_who_has_nothing_to_send)
{
    fill_the_reader(p);
    fake_peer_reset(p->peer);
    nap();
    expect_eq(weir_transport_get_end(p->t), WEIR_END_BROKEN);
    expect_eq(rig_statistics().connections, 1, "it is not lost yet");
    expect_eq(weir_writer_drain(p->writer), -ECONNRESET);
    expect_eq(weir_writer_flush(p->writer), -ECONNRESET);
    weir_writer_close(p->writer);
    const size_t buffered = weir_reader_get_buffer_size(p->reader);
    expect_eq(weir_reader_consume(p->reader, buffered), 0);
    cr_assert_not(weir_reader_at_eof(p->reader), "this is no clean end");
    expect_eq(weir_writer_wait_closed(p->writer), -ECONNRESET);
}

static int read_once(weir_writer *writer)
{
    char byte;
    return (int)weir_reader_read(weir_writer_get_reader(writer), &byte, 1);
}

UNIT(writer_end, close_sends_what_waits_and_ends_reads_at_once)
{
    struct waits waits;
    struct writer_call read;
    waits_start(&waits, p);
    call_start(&read, p, read_once);
    nap();

    weir_writer_close(p->writer);
    cr_assert(weir_writer_is_closing(p->writer));
    expect_no_writes(p, -ESHUTDOWN);
    nap();
    expect_eq(call_end(&read), 0, "a reader waits for no writer");
    cr_assert_not(waits.drain.is_done);
    cr_assert_not(waits.flush.is_done);
    cr_assert_not(waits.closed.is_done);
    pair_peer_read_all(p);

    expect_eq(p->peer_read, MIB);
    waits_expect(&waits, 0);
    expect_eq(waits.flush.depth, 0);
    expect_leq(waits.drain.depth, 16 * KIB);
    expect_no_writes(p, -ESHUTDOWN);
    expect_ended(p, -ESHUTDOWN, 0, 0);
    expect_eq(weir_transport_get_end(p->t), WEIR_END_CLOSED);
}

UNIT(writer_end, buffered_bytes_can_be_read_after_close)
{
    char byte;
    pair_peer_says(p, "before");
    weir_writer_close(p->writer);
    expect_eq(weir_writer_wait_closed(p->writer), 0);
    pair_expect_read(p, "before");
    expect_eq(weir_reader_read(p->reader, &byte, 1), 0);
    cr_assert(weir_reader_at_eof(p->reader));
}

UNIT(writer_end, a_close_that_is_cut_short_is_not_told_as_a_good_end)
{
    struct waits waits;
    waits_start(&waits, p);
    weir_writer_close(p->writer);
    weir_writer_abort(p->writer);
    nap();
    waits_expect(&waits, -ECONNABORTED);
    expect_ended(p, -ECONNABORTED, -ECONNABORTED, -ECONNABORTED);
    expect_eq(weir_transport_get_end(p->t), WEIR_END_CLOSED, "the first cause");
}

UNIT(writer_end, a_reset_during_close_is_told)
{
    struct waits waits;
    waits_start(&waits, p);
    weir_writer_close(p->writer);
    nap();
    fake_peer_reset(p->peer);
    nap();
    waits_expect(&waits, -ECONNRESET);
    expect_ended(p, -ECONNRESET, -ECONNRESET, -ECONNRESET);
}

static int wait_closed(weir_loop *on, void *arg)
{
    return weir_writer_wait_closed(arg);
}

TASK(writer_end, a_task_that_waits_keeps_the_stream)
{
    struct pair p;
    pair_open(&p);
    weir_task *task = rig_spawn(wait_closed, p.writer);
    nap();
    weir_writer_unref(p.writer);
    nap();
    cr_assert_not(fake_peer_is_alone(p.peer), "a waiting task has a reference");
    fake_peer_reset(p.peer);
    expect_eq(rig_join(task), -ECONNRESET);
    fake_peer_close(p.peer);
}

TASK(writer_end, the_last_reference_closes_in_the_background)
{
    struct pair p;
    pair_open(&p);
    expect_eq(weir_writer_ref(p.writer), p.writer);
    expect_eq(pair_write(&p, MIB), 0);
    weir_writer_unref(p.writer);
    nap();
    cr_assert_not(weir_writer_is_closing(p.writer), "one reference is left");
    weir_writer_unref(p.writer);
    weir_writer_unref(NULL);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    cr_assert(fake_peer_is_alone(p.peer));
    expect_eq(rig_statistics().connections, 0);
    fake_peer_close(p.peer);
}

UNIT(writer_end, abort_is_an_end_of_its_own)
{
    struct waits waits;
    char byte;
    pair_peer_write(p, "before");
    waits_start(&waits, p);

    weir_writer_abort(p->writer);
    expect_eq(weir_writer_drain(p->writer), -ECONNABORTED,
              "an abort is told at once");
    expect_eq(weir_writer_flush(p->writer), -ECONNABORTED);
    nap();

    waits_expect(&waits, -ECONNABORTED);
    pair_expect_read(p, "before");
    expect_eq(weir_reader_read(p->reader, &byte, 1), -ECONNABORTED);
    expect_eq(weir_reader_get_exception(p->reader), -ECONNABORTED);
    expect_no_writes(p, -ESHUTDOWN);
    expect_ended(p, -ECONNABORTED, -ECONNABORTED, -ECONNABORTED);
    expect_lt(pair_peer_read(p, 2 * MIB), MIB, "the rest was dropped");
}

UNIT(writer_end, an_abort_is_told_at_once_to_who_has_nothing_to_send)
{
    weir_writer_abort(p->writer);
    expect_ended(p, -ECONNABORTED, -ECONNABORTED, -ECONNABORTED);
}

UNIT(writer_end, the_peers_end_keeps_the_writing_side)
{
    char byte;
    pair_peer_write(p, "last");
    fake_peer_shutdown(p->peer);
    nap();
    pair_expect_read(p, "last");
    expect_eq(weir_reader_read(p->reader, &byte, 1), 0);
    cr_assert_not(weir_writer_is_closing(p->writer),
                  "the writing side is left");
    expect_eq(pair_write(p, MIB), 0);
    pair_peer_read_all(p);
    expect_eq(p->peer_read, MIB);
    expect_eq(weir_writer_drain(p->writer), 0);
    expect_eq(weir_writer_flush(p->writer), 0);
    weir_writer_close(p->writer);
    expect_eq(weir_writer_wait_closed(p->writer), 0);
}

/* A kind of transport that cannot end only its writing side. */
static struct wr_transport_ops whole_ops;

struct whole {
    struct weir_protocol_binding binding;
    bool is_done;
};

static int create_whole(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    const struct whole *whole = arg;
    whole_ops = *t->ops;
    whole_ops.can_write_eof = false;
    t->ops = &whole_ops;
    *ret = whole->binding;
    return 0;
}

static void whole_done(void *arg, int err, weir_transport *t)
{
    struct whole *whole = arg;
    expect_eq(err, 0);
    cr_assert_not_null(t);
    whole->is_done = true;
}

static void whole_open(struct pair *p)
{
    struct whole whole = {.is_done = false};
    const struct weir_factory factory = {create_whole, &whole};
    memset(p, 0, sizeof(*p));
    p->fd = fake_connected_fd(&p->peer);
    expect_ok(weir_stream_protocol_new(loop, NULL, &whole.binding, &p->writer));
    expect_ok(weir_create_connection_at(loop, &factory, weir_endpoint_fd(p->fd),
                                        NULL, whole_done, &whole, NULL));
    nap();
    cr_assert(whole.is_done);
    p->reader = weir_writer_get_reader(p->writer);
    p->t = weir_writer_get_transport(p->writer);
}

TASK(writer_end, the_peers_end_is_the_end_where_there_are_no_halves)
{
    struct pair p;
    whole_open(&p);
    cr_assert_not(weir_writer_can_write_eof(p.writer));
    expect_eq(weir_writer_write_eof(p.writer), -EOPNOTSUPP);
    expect_eq(pair_write(&p, 10), 0);
    fake_peer_shutdown(p.peer);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, 10);
    expect_no_writes(&p, -ESHUTDOWN);
    expect_ended(&p, WEIR_EPEERCLOSED, WEIR_EPEERCLOSED, WEIR_EPEERCLOSED);
    expect_eq(weir_transport_get_end(p.t), WEIR_END_EOF);
    pair_close(&p);
}

TASK(writer_end, before_the_connection_everything_says_so)
{
    struct weir_protocol_binding binding;
    struct weir_extra_info info = {.size = sizeof(info)};
    struct weir_buf buf = {.data = NULL};
    struct pair p = {.peer = NULL};
    expect_eq(weir_stream_protocol_new(loop, NULL, &binding, &p.writer), 0);
    expect_no_writes(&p, -ENOTCONN);
    expect_eq(weir_writer_write_buf(p.writer, &buf), -ENOTCONN);
    expect_eq(weir_writer_write_eof(p.writer), -ENOTCONN);
    cr_assert_not(weir_writer_can_write_eof(p.writer));
    cr_assert_not(weir_writer_is_closing(p.writer));
    expect_eq(weir_writer_drain(p.writer), -ENOTCONN);
    expect_eq(weir_writer_flush(p.writer), -ENOTCONN);
    expect_eq(weir_writer_wait_closed(p.writer), -ENOTCONN);
    expect_eq(weir_writer_get_write_buffer_size(p.writer), 0);
    cr_assert_null(weir_writer_get_transport(p.writer));
    expect_eq(weir_writer_get_extra_info(p.writer, "peername", &info),
              -ENOTCONN);
    expect_eq(weir_writer_close(p.writer), -ENOTCONN);
    weir_writer_abort(p.writer);
    cr_assert_not(weir_writer_is_closing(p.writer));
    weir_writer_unref(p.writer);
}

static int note_bytes(void *user, weir_transport *t, const struct weir_buf *buf)
{
    uint64_t *count = user;
    *count += buf->len;
    return 0;
}

TASK(writer_end, a_connection_that_was_handed_on_is_not_closed)
{
    static CALLBACKS(counter, STREAM, .data_received = note_bytes);
    uint64_t count = 0;
    const struct weir_protocol_binding binding = {&counter, &count};
    struct writer_call flush;
    struct pair p;
    pair_open(&p);
    pair_peer_says(&p, "greeting");
    pair_expect_read(&p, "greeting");
    expect_eq(pair_write(&p, MIB), 0);
    call_start(&flush, &p, weir_writer_flush);
    nap();
    weir_task_cancel(flush.task);
    nap();
    expect_eq(call_end(&flush), -ECANCELED);
    const struct weir_protocol_binding old = weir_transport_get_protocol(p.t);
    expect_eq(weir_transport_set_protocol(p.t, &binding, NULL, 0), 0);
    old.protocol->connection_lost(old.user, p.t, 0);
    expect_eq(weir_writer_drain(p.writer), -ESHUTDOWN);
    weir_writer_close(p.writer);
    weir_writer_abort(p.writer);
    weir_writer_unref(p.writer);
    pair_peer_says(&p, "the rest");
    pair_peer_read_all(&p); /* no call has reported that all was sent */
    expect_eq(p.peer_read, MIB);
    expect_eq(count, 8);
    cr_assert_not(fake_peer_is_alone(p.peer), "the connection lives");
    weir_transport_abort(p.t);
    nap();
    fake_peer_close(p.peer);
}

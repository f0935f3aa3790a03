/*
 * weir_stream_detach(): a connection leaves its stream for another protocol.
 *
 * The other protocol counts what it is given, so that no byte of the peer's is
 * lost or told twice.
 */
#include "handler.h"
#include "tests/bind.h"

static struct {
    char bytes[64];
    size_t len;
    int lost_count;
    int lost_err;
} next;

static int next_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    cr_assert_leq(next.len + buf->len, sizeof(next.bytes));
    memcpy(next.bytes + next.len, buf->data, buf->len);
    next.len += buf->len;
    return 0;
}

static void next_lost(void *user, weir_transport *t, int err)
{
    next.lost_count++;
    next.lost_err = err;
}

static CALLBACKS(next_protocol, STREAM, .data_received = next_data,
                 .connection_lost = next_lost);
static const struct weir_protocol_binding binding = {&next_protocol, NULL};

static void open_pair(struct pair *p)
{
    memset(&next, 0, sizeof(next));
    pair_open(p);
}

/* Ends a connection of the other protocol. */
static void end(struct pair *p)
{
    expect_eq(weir_transport_abort(p->t), 0);
    nap();
    expect_eq(next.lost_count, 1);
    fake_peer_close(p->peer);
}

static void expect_next(const char *text)
{
    nap();
    expect_eq(next.len, strlen(text));
    expect_eq(memcmp(next.bytes, text, next.len), 0);
}

TASK(stream_detach, unread_bytes_are_delivered_before_later_ones)
{
    struct pair p;
    char line[8];
    open_pair(&p);
    pair_peer_says(&p, "line\nunread ");
    expect_eq(weir_reader_readline(p.reader, line, sizeof(line)), 5);
    expect_eq(weir_stream_detach(p.writer, &binding), 0);
    expect_eq(next.len, 0, "not from inside the call");
    expect_eq(weir_reader_read(p.reader, line, 1), 0, "the reader has none");
    weir_writer_unref(p.writer);
    pair_peer_write(&p, "and later");
    expect_next("unread and later");
    end(&p);
}

TASK(stream_detach, the_stream_has_no_connection_and_the_connection_lives)
{
    struct pair p;
    char byte;
    open_pair(&p);
    expect_eq(weir_stream_detach(p.writer, &binding), 0);
    expect_eq(weir_reader_read(p.reader, &byte, 1), 0);
    expect_eq(weir_writer_write(p.writer, "stray", 5), -ENOTCONN);
    expect_eq(weir_writer_write_eof(p.writer), -ENOTCONN);
    expect_eq(weir_writer_drain(p.writer), -ENOTCONN);
    expect_eq(weir_writer_flush(p.writer), -ENOTCONN);
    expect_eq(weir_writer_wait_closed(p.writer), -ENOTCONN);
    cr_assert_null(weir_writer_get_transport(p.writer));
    expect_eq(weir_stream_detach(p.writer, &binding), -ENOTCONN);
    weir_writer_close(p.writer);
    weir_writer_abort(p.writer);
    weir_writer_unref(p.writer);
    nap();
    cr_assert_not(fake_peer_is_alone(p.peer), "the connection lives");
    expect_eq(fake_peer_readable(p.peer), 0, "nothing was written");
    end(&p);
}

TASK(stream_detach, bytes_that_were_written_are_still_sent)
{
    struct pair p;
    open_pair(&p);
    expect_eq(pair_write(&p, MIB), 0);
    expect_eq(weir_stream_detach(p.writer, &binding), 0);
    weir_writer_unref(p.writer);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    end(&p);
}

TASK(stream_detach, while_a_task_waits_for_the_writer_it_is_refused)
{
    int (*const calls[])(weir_writer *) = {weir_writer_flush, weir_writer_drain,
                                           weir_writer_wait_closed};
    struct writer_call call;
    struct pair p;
    open_pair(&p);
    expect_eq(pair_write(&p, MIB), 0);
    for (int i = 0; i < 3; i++) {
        call_start(&call, &p, calls[i]);
        expect_eq(weir_yield(loop), 0);
        expect_eq(weir_stream_detach(p.writer, &binding), -EBUSY, "%d", i);
        weir_task_cancel(call.task);
        nap();
        expect_eq(call_end(&call), -ECANCELED);
    }
    expect_eq(weir_stream_detach(p.writer, &binding), 0);
    weir_writer_unref(p.writer);
    end(&p);
}

TASK(stream_detach, a_stream_that_was_closed_here_says_so)
{
    struct pair p;
    open_pair(&p);
    weir_writer_close(p.writer);
    expect_eq(weir_stream_detach(p.writer, &binding), -ESHUTDOWN);
    pair_close(&p);
}

TASK(stream_detach, a_refusal_loses_no_byte)
{
    struct weir_protocol_binding wrong = binding;
    struct pair p;
    open_pair(&p);
    pair_peer_says(&p, "unread");
    wrong.protocol = NULL;
    expect_eq(weir_stream_detach(p.writer, &wrong), -EINVAL);
    pair_expect_read(&p, "unread");
    pair_close(&p);
}

TASK(stream_detach, a_reader_that_had_paused_the_connection_resumes_it)
{
    const struct weir_open_options options = {.size = sizeof(options),
                                              .limit_bytes = 4};
    struct pair p = {.peer = NULL};
    memset(&next, 0, sizeof(next));
    expect_ok(weir_open_connection_at(
        loop, weir_endpoint_fd(fake_connected_fd(&p.peer)), &options, &p.reader,
        &p.writer));
    p.t = weir_writer_get_transport(p.writer);
    pair_peer_says(&p, "more than twice the limit");
    cr_assert_not(weir_transport_is_reading(p.t));
    expect_eq(weir_stream_detach(p.writer, &binding), 0);
    weir_writer_unref(p.writer);
    cr_assert(weir_transport_is_reading(p.t));
    pair_peer_write(&p, ", and more");
    expect_next("more than twice the limit, and more");
    end(&p);
}

static int read_byte(weir_loop *on, void *arg)
{
    struct pair *p = arg;
    char byte;
    return (int)weir_reader_read(p->reader, &byte, 1);
}

TASK(stream_detach, while_a_task_reads_it_is_refused)
{
    struct pair p;
    open_pair(&p);
    weir_task *task = rig_spawn(read_byte, &p);
    nap();
    expect_eq(weir_stream_detach(p.writer, &binding), -EBUSY);
    pair_peer_write(&p, "x");
    expect_eq(rig_join(task), 1);
    expect_eq(weir_stream_detach(p.writer, NULL), -EINVAL);
    pair_close(&p);
}

TASK(stream_detach, after_the_peers_end_it_is_refused)
{
    struct pair p;
    open_pair(&p);
    fake_peer_shutdown(p.peer);
    nap();
    expect_eq(weir_stream_detach(p.writer, &binding), WEIR_EPEERCLOSED);
    pair_close(&p);
}

TASK(stream_detach, a_stream_without_a_connection_has_none_to_give)
{
    struct weir_protocol_binding own;
    weir_writer *writer;
    expect_eq(weir_stream_protocol_new(loop, NULL, &own, &writer), 0);
    expect_eq(weir_stream_detach(writer, &binding), -ENOTCONN);
    weir_writer_unref(writer);
}

static int detach_and_return(void *arg, weir_reader *reader,
                             weir_writer *writer)
{
    char line[16];
    expect_eq(weir_reader_readline(reader, line, sizeof(line)), 8);
    seen.calls++;
    return weir_stream_detach(writer, &binding);
}

TASK(stream_detach, a_handler_may_give_its_connection_away_and_return)
{
    const struct weir_stream_options options = {
        .size = sizeof(options), .client_connected = detach_and_return};
    struct weir_protocol_binding own;
    struct pair p;
    memset(&p, 0, sizeof(p));
    memset(&next, 0, sizeof(next));
    memset(&seen, 0, sizeof(seen));
    expect_eq(weir_stream_protocol_new(loop, &options, &own, NULL), 0);
    expect_eq(adopt(&p, &own), 0);
    nap();
    pair_peer_says(&p, "upgrade\nthe rest");
    expect_eq(seen.calls, 1);
    expect_next("the rest");
    cr_assert_not(fake_peer_is_alone(p.peer), "the handler closed nothing");
    fake_peer_close(p.peer);
    nap();
    expect_eq(next.lost_count, 1);
    expect_eq(next.lost_err, 0);
}

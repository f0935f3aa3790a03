/*
 * Table 2.3: callbacks that fail.
 *
 * A negative result of data_received, eof_received, get_buffer or
 * buffer_updated aborts the connection with that error, which connection_lost
 * is told and the exception hook once. connection_made, connection_lost,
 * pause_writing and resume_writing return nothing and so cannot fail.
 */
#include "tests/contract/buffered_rig.h"

#include <weir/connect.h>

static void expect_aborted(struct rig *rig, int err, const char *callback)
{
    rig_expect_lost(rig, err);
    expect_eq(weir_transport_get_error(rig->t), err);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 1);
    expect_eq(rig->exception_count, 1);
    expect_eq(rig->exception_err, err);
    expect(strcmp(rig->exception_callback, callback) == 0);
}

static int fail_data(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(++rig->count, 1);
    return -EPROTO;
}

PAIRS(callback_errors, an_error_of_data_received_aborts_the_connection, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = fail_data})
{
    rig_peer_send(rig, 100);

    expect_aborted(rig, -EPROTO, "data_received");
    expect_events(rig, "made data lost");
    expect(rig_peer_read_end(rig) <= 0);
}

PAIRS(callback_errors, an_error_of_data_received_drops_what_waits, rig,
      .hooks = {.data_received = fail_data}, .small_buffers = true)
{
    rig_clog(rig);
    rig_peer_send(rig, 100);

    expect_aborted(rig, -EPROTO, "data_received");
    expect_eq(rig_pending(rig), 0);
    expect(rig_peer_read_end(rig) <= 0);
    expect(rig->peer_received < rig->written);
}

static int keep_and_fail_later(struct rig *rig, const struct weir_buf *buf)
{
    return rig->received > 50000 ? WEIR_EIDLE : 0; /* any negative code */
}

PAIRS(callback_errors, an_error_in_mid_stream_stops_the_data, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = keep_and_fail_later})
{
    rig_peer_send(rig, 60000);

    expect_aborted(rig, WEIR_EIDLE, "data_received");
    expect_events(rig, "made data lost");
}

PAIRS(callback_errors, an_error_of_eof_received_aborts_the_connection, rig,
      .needs = RIG_RECEIVES, .eof_result = -EBADMSG)
{
    rig_peer_shutdown(rig);

    expect_aborted(rig, -EBADMSG, "eof_received");
    expect_events(rig, "made eof lost");
}

UNIT(callback_errors, an_error_of_get_buffer_aborts_the_connection)
{
    const struct weir_protocol protocol = make_buffered(false);
    struct rig rig = {.protocol = &protocol};
    reset_buffered(&rig, sizeof(buffered.memory));
    buffered.get_result = -ENOSR;
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 100);

        expect_aborted(&rig, -ENOSR, "get_buffer");
        expect_events(&rig, "made lost");
    }
}

UNIT(callback_errors, a_get_buffer_without_memory_aborts_the_connection)
{
    const struct weir_protocol protocol = make_buffered(false);
    struct rig rig = {.protocol = &protocol};
    while (rig_next(&rig)) {
        reset_buffered(&rig, 0);
        rig_peer_send(&rig, 100);

        expect_aborted(&rig, WEIR_ENOBUFFER, "get_buffer");
        expect_events(&rig, "made lost");
    }
}

UNIT(callback_errors, an_error_of_buffer_updated_aborts_the_connection)
{
    const struct weir_protocol protocol = make_buffered(false);
    struct rig rig = {.protocol = &protocol};
    while (rig_next(&rig)) {
        reset_buffered(&rig, 10);
        buffered.updated_result = -EILSEQ;
        rig_peer_send(&rig, 100);

        expect_aborted(&rig, -EILSEQ, "buffer_updated");
        expect_eq(buffered.updated_count, 1);
        expect_events(&rig, "made data lost");
    }
}

UNIT(callback_errors, errors_of_a_protocol_that_keeps_its_memory_abort_too)
{
    const struct weir_protocol protocol = make_buffered(true);
    struct rig rig = {.protocol = &protocol};
    reset_buffered(&rig, sizeof(buffered.memory));
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        reset_buffered(&rig, sizeof(buffered.memory));
        buffered.updated_result = -EILSEQ;
        /* It is reading already, into the memory that it had to offer when
         * the connection was made; that was before the reset just now. */
        buffered.out = true;
        rig_peer_send(&rig, 100);

        expect_aborted(&rig, -EILSEQ, "buffer_updated");
        expect_eq(buffered.updated_count, 1);
    }
}

static int refuse_again(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_close(rig->t), 0);
    return -EPROTO;
}

PAIRS(callback_errors, an_error_after_close_is_told_once_too, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = refuse_again})
{
    rig_peer_send(rig, 100);
    rig_wait_lost(rig);

    rig_turns(rig, 3);

    expect_events(rig, "made data lost");
    expect_eq(rig->exception_count, 1);
    expect_eq(rig->lost_count, 1);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

/* ---- factories ---- */

struct attempt {
    int result; /* of the factory */
    const struct weir_protocol *protocol;
    bool done;
    int err;
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct attempt *attempt = arg;
    ret->protocol = attempt->protocol;
    ret->user = NULL; /* a callback that is called would crash */
    return attempt->result;
}

static void note_done(void *arg, int err, weir_transport *t)
{
    struct attempt *attempt = arg;
    expect(t == NULL);
    attempt->done = true;
    attempt->err = err;
}

/* The error that done is told; the peer must see the descriptor closed. */
static int try_factory(struct attempt *attempt)
{
    const struct weir_factory factory = {.create = create, .arg = attempt};
    weir_loop *loop;
    char byte;
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_ok(weir_create_connection_at(loop, &factory,
                                        weir_endpoint_fd(fds[1]), NULL,
                                        note_done, attempt, NULL));
    RUN_UNTIL(loop, attempt->done);
    expect_eq(recv(fds[0], &byte, 1, 0), 0);
    expect_eq(weir_loop_free(loop), 0);
    close(fds[0]);
    return attempt->err;
}

UNIT(callback_errors, an_error_of_the_factory_reaches_the_makers_callback)
{
    struct attempt attempt = {.result = -EACCES, .protocol = &rig_protocol};

    expect_eq(try_factory(&attempt), -EACCES);
}

UNIT(callback_errors, a_factory_that_gives_no_table_is_refused)
{
    struct attempt attempt = {0};

    expect_eq(try_factory(&attempt), -EINVAL);
}

UNIT(callback_errors, a_table_without_its_size_is_refused)
{
    struct weir_protocol protocol = rig_protocol;
    struct attempt attempt = {.protocol = &protocol};
    protocol.size = 0;

    expect_eq(try_factory(&attempt), -EINVAL);
}

UNIT(callback_errors, a_buffered_table_without_get_buffer_is_refused)
{
    struct weir_protocol protocol = rig_protocol;
    struct attempt attempt = {.protocol = &protocol};
    protocol.kind = WEIR_PROTOCOL_BUFFERED;

    expect_eq(try_factory(&attempt), -EINVAL);
}

/*
 * Streams: the protocol that puts a reader and a writer on a connection. The
 * handler, if any, runs in a task that connection_made starts, or with
 * `no_task` in connection_made itself.
 */
#include "writer.h"

#include "lib/base/options.h"
#include "weir/address.h"

#include <string.h>
#include <weir/error.h>

#define NAME_PREFIX "stream "

int wr_stream_check(const struct weir_stream_options *options)
{
    wr_require(options->limit_bytes <= INT64_MAX, -EINVAL);
    wr_require(wr_options_is_stack_size(options->stack_size_bytes), -EINVAL);
    return 0;
}

static void stream_report(weir_writer *writer, const char *message, int err)
{
    wr_assert(err < 0);
    const struct weir_exception exception = {
        .message = message,
        .err = err,
        .callback = "client_connected",
        .transport = writer->transport,
        .task = writer->loop->current,
    };
    wr_loop_report(writer->loop, &exception);
}

static bool stream_is_known(const weir_writer *writer, int err)
{
    const weir_transport *t = writer->transport;

    wr_assert(err < 0);
    if (err == -ECANCELED || (t && err == t->error)) {
        return true;
    }
    if (!t) {
        return false;
    }
    if (err == -EPIPE) { /* the error of writes on a broken connection */
        return t->end == WEIR_END_BROKEN;
    }
    if (err == WEIR_EPEERCLOSED) {
        return t->end == WEIR_END_EOF;
    }
    return (err == -ESHUTDOWN || err == -ECONNABORTED) &&
           weir_transport_is_closing(t);
}

static int stream_call_handler(weir_writer *writer)
{
    wr_assert(writer->refs > 0);
    int err = writer->client_connected(writer->arg, &writer->reader, writer);
    if (err < 0 && !stream_is_known(writer, err)) {
        stream_report(writer, "client_connected failed", err);
    }
    return err;
}

/* Called when the handler has returned or its task was parked. */
static void stream_end_handler(void *arg)
{
    weir_writer *writer = arg;

    wr_assert(writer->task != NULL);
    wr_assert(writer->state != WRITER_UNBOUND);
    weir_writer_close(writer);
    if (writer->set) {
        /* The connection may have another handler by now. */
        struct wr_connection_set *set = writer->set;
        weir_transport *t = writer->transport;

        if (t && t->handler == &writer->handler) {
            t->handler = NULL;
        }
        writer->set = NULL;
        set->ops->remove_handler(set, &writer->handler);
        wr_assert(!wr_list_is_linked(&writer->handler.link));
    }
    writer->task = NULL;
    weir_writer_unref(writer);
}

/* The task holds a reference. */
static int stream_serve(weir_loop *loop, void *arg)
{
    weir_writer *writer = arg;

    wr_assert(loop == writer->loop);
    wr_assert(loop->current == writer->task);
    stream_call_handler(writer);
    stream_end_handler(writer);
    return 0;
}

static void stream_cancel_handler(struct wr_handler *handler)
{
    weir_writer *writer = wr_container_of(handler, weir_writer, handler);

    wr_assert(writer->task != NULL);
    weir_task_cancel(writer->task);
}

static bool stream_is_handler_idle(struct wr_handler *handler)
{
    weir_writer *writer = wr_container_of(handler, weir_writer, handler);
    weir_transport *t = writer->transport;

    wr_assert(writer->set != NULL);
    return wr_reader_is_idle(&writer->reader) &&
           !(t->ops->has_unread && t->ops->has_unread(t));
}

static const struct wr_handler_ops stream_handler_ops = {
    .cancel = stream_cancel_handler, .is_idle = stream_is_handler_idle};

static void stream_spawn_handler(weir_writer *writer)
{
    static const struct wr_task_hooks hooks = {.parked = stream_end_handler};
    struct weir_address peername;
    char name[sizeof(NAME_PREFIX) + WEIR_ADDRESS_TEXT_SIZE] = NAME_PREFIX;
    const size_t prefix_len = sizeof(NAME_PREFIX) - 1;
    const struct weir_task_options options = {
        .size = sizeof(options),
        .name = name,
        .stack_size_bytes = writer->stack_size_bytes,
    };
    weir_transport_get_peername(writer->transport, &peername);
    weir_address_format(&peername, name + prefix_len,
                        sizeof(name) - prefix_len);
    wr_assert(!writer->task);
    wr_assert(!writer->set);
    int err = weir_task_spawn(writer->loop, stream_serve, writer, &options,
                              &writer->task);
    if (err < 0) {
        if (err != -ESHUTDOWN) {
            stream_report(writer, "a connection got no task", err);
        }
        weir_writer_abort(writer);
        weir_writer_unref(writer);
        return;
    }
    writer->task->hooks = &hooks;
    weir_task_unref(writer->task); /* the loop frees it at its end */
    writer->set = writer->transport->set;
    if (writer->set) {
        writer->transport->handler = &writer->handler;
        writer->set->ops->add_handler(writer->set, &writer->handler);
    }
}

static void stream_connection_made(void *user, weir_transport *t)
{
    weir_writer *writer = user;

    wr_writer_check_invariants(writer);
    if (writer->state != WRITER_UNBOUND) {
        const struct weir_exception exception = {
            .message = "a stream protocol was used for two connections",
            .err = -EBUSY,
            .callback = "connection_made",
            .transport = t,
        };
        wr_loop_report(writer->loop, &exception);
        weir_transport_abort(t);
        return;
    }
    wr_assert(writer->refs > 0 || writer->client_connected);
    writer->transport = weir_transport_ref(t);
    wr_writer_set_state(writer, WRITER_BOUND);
    weir_reader_set_transport(&writer->reader, t);
    if (!writer->client_connected) {
        return;
    }
    writer->refs++;
    if (writer->no_task) {
        /* This may run on a task's stack. */
        wr_assert(writer->no_task);
        weir_task *task = wr_loop_begin_callback(writer->loop);
        int err = stream_call_handler(writer);
        wr_loop_end_callback(writer->loop, task);
        if (err < 0) {
            weir_writer_close(writer);
        }
        weir_writer_unref(writer);
    } else {
        stream_spawn_handler(writer);
    }
}

static void stream_end_reader(weir_writer *writer, const weir_transport *t,
                              int err)
{
    wr_assert(writer->state == WRITER_LOST);
    if (err == 0 && t->end == WEIR_END_ABORTED) {
        err = -ECONNABORTED;
    }
    if (err < 0) {
        weir_reader_set_exception(&writer->reader, err);
    } else {
        weir_reader_feed_eof(&writer->reader);
    }
}

static bool stream_is_own(const weir_writer *writer, const weir_transport *t)
{
    while (t && t != writer->transport) {
        t = t->ops->get_below ? t->ops->get_below(t) : NULL;
    }
    return t != NULL;
}

static void stream_connection_lost(void *user, weir_transport *t, int err)
{
    weir_writer *writer = user;

    if (writer->state != WRITER_BOUND || !stream_is_own(writer, t)) {
        return; /* refused, or ended by the program before */
    }
    wr_writer_check_invariants(writer);
    wr_writer_set_state(writer, WRITER_LOST);
    weir_reader_set_transport(&writer->reader, NULL);
    stream_end_reader(writer, t, err);
    wr_writer_lost(writer);
    if (writer->refs == 0) {
        wr_stream_free(writer);
    }
}

static int stream_data_received(void *user, weir_transport *t,
                                const struct weir_buf *buf)
{
    weir_writer *writer = user;
    (void)t;
    wr_writer_debug_check(writer);
    return wr_reader_feed(&writer->reader, buf);
}

static int stream_fds_received(void *user, weir_transport *t, const int *fds,
                               size_t count, bool lost)
{
    weir_writer *writer = user;
    wr_writer_check_invariants(writer);
    wr_reader_feed_fds(&writer->reader, t, fds, count, lost);
    return 0;
}

/* Keeps the writing side open if the transport can half-close. */
static int stream_eof_received(void *user, weir_transport *t)
{
    weir_writer *writer = user;

    wr_writer_check_invariants(writer);
    weir_reader_feed_eof(&writer->reader);
    return weir_transport_can_write_eof(t) ? 1 : 0;
}

static void stream_resume_writing(void *user, weir_transport *t)
{
    (void)t;
    wr_writer_resumed(user);
}

/* No pause_writing, because a drain queries the transport. */
static const struct weir_protocol stream_protocol = {
    .size = sizeof(stream_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = stream_connection_made,
    .connection_lost = stream_connection_lost,
    .resume_writing = stream_resume_writing,
    .data_received = stream_data_received,
    .eof_received = stream_eof_received,
    .fds_received = stream_fds_received,
};

int weir_stream_protocol_new(weir_loop *loop,
                             const struct weir_stream_options *options,
                             struct weir_protocol_binding *ret,
                             weir_writer **ret_writer)
{
    struct weir_stream_options known;
    weir_writer *writer;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(ret, -EINVAL);
    wr_require(known.client_connected || ret_writer, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    err = wr_stream_check(&known);
    wr_require(err >= 0, err);
    err = wr_stream_make(loop, &known, &stream_handler_ops, &writer);
    wr_require(err >= 0, err);
    *ret = (struct weir_protocol_binding){.protocol = &stream_protocol,
                                          .user = writer};
    if (ret_writer) {
        writer->refs = 1;
        *ret_writer = writer;
    }
    return 0;
}

void wr_stream_leave(weir_writer *writer)
{
    weir_transport *t = writer->transport;
    weir_reader *reader = &writer->reader;

    wr_assert(writer->refs > 0);
    wr_assert(!wr_reader_is_busy(reader));
    wr_reader_discard(reader);
    wr_reader_resume(reader);
    weir_reader_set_transport(reader, NULL);
    weir_reader_feed_eof(reader);
    wr_transport_on_flushed(t, NULL);
    wr_writer_set_state(writer, WRITER_DETACHED);
    writer->transport = NULL;
    wr_writer_check_invariants(writer);
    if (t->handler ==
        /* From now on the protocol reports when it is idle. */
        &writer->handler) {
        t->handler = NULL;
        wr_transport_note_idle(t);
    }
    wr_transport_unref(t);
}

int wr_stream_may_leave(const weir_writer *writer)
{
    wr_writer_check_invariants(writer);
    wr_require(writer->transport, -ENOTCONN);
    wr_require(!weir_transport_is_closing(writer->transport), -ESHUTDOWN);
    wr_require(!wr_reader_is_busy(&writer->reader) &&
                   !wr_writer_is_busy(writer),
               -EBUSY);
    return 0;
}

int wr_stream_gather(weir_writer *writer, struct weir_buf *ret)
{
    wr_assert(wr_stream_may_leave(writer) == 0);
    const int err = wr_reader_gather(&writer->reader, ret);
    wr_require(err >= 0, err);
    /* The unread bytes, the cause of any pause, leave the reader next. */
    wr_reader_resume(&writer->reader);
    return 0;
}

int weir_stream_detach(weir_writer *writer,
                       const struct weir_protocol_binding *binding)
{
    weir_reader *reader = &writer->reader;
    struct weir_buf unread;

    int err = wr_loop_check(writer->loop);
    wr_require(err >= 0, err);
    err = wr_stream_may_leave(writer);
    wr_require(err >= 0, err);
    wr_require(binding, -EINVAL);
    wr_require(!reader->is_eof, WEIR_EPEERCLOSED);
    err = wr_reader_gather(reader, &unread);
    wr_require(err >= 0, err);
    wr_assert(unread.len == reader->queue.total);
    err = weir_transport_set_protocol(writer->transport, binding, &unread,
                                      unread.len > 0);
    if (err < 0) {
        wr_reader_note_left(reader);
        return err;
    }
    wr_stream_leave(writer);
    return 0;
}

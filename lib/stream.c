/*
 * Streams: the protocol that puts a reader and a writer on a connection.
 *
 *     made by its maker --connection_made--> bound --connection_lost--> over
 *
 * What arrives is fed to the reader, what ends the connection ends the reader
 * too, and the handler, if there is one, runs in a task from connection_made
 * on. Nothing here knows what kind of transport it is. The memory of all
 * streams of a loop is made when the first one is.
 */
#include "writer.h"

#include "../include/weir/address.h"
#include "../uring/slab.h"
#include "options.h"
#include "stack.h"

#include <string.h>

#define NAME_PREFIX "stream "

struct wr_streams {
    struct wr_part part;
    weir_loop *loop;
    struct wr_slab slab;
};

static const struct wr_holder_ops holder_ops;

static void close_streams(struct wr_part *part)
{
    struct wr_streams *memory = wr_container_of(part, struct wr_streams, part);
    weir_loop *loop = memory->loop;

    wr_slab_fini(&memory->slab);
    wr_free(&loop->counting, memory, sizeof(*memory));
    loop->stream_memory = NULL;
}

static uint64_t trim_streams(struct wr_part *part)
{
    return wr_slab_trim(&wr_container_of(part, struct wr_streams, part)->slab);
}

static const struct wr_part_ops part_ops = {.trim = trim_streams,
                                            .close = close_streams};

static struct wr_streams *open_streams(weir_loop *loop)
{
    if (!loop->stream_memory) {
        struct wr_streams *memory = wr_alloc(&loop->counting, sizeof(*memory));
        if (!memory) {
            return NULL;
        }
        wr_slab_init(&memory->slab, &loop->counting, sizeof(weir_writer));
        memory->loop = loop;
        loop->stream_memory = memory;
        wr_loop_add_part(loop, &memory->part, &part_ops);
    }
    return loop->stream_memory;
}

int wr_stream_check(const struct weir_stream_protocol_options *options)
{
    wr_require(options->limit_bytes >= 0, -EINVAL);
    wr_require(options->stack_size_bytes == 0 ||
                   (options->stack_size_bytes >= WR_STACK_MIN &&
                    options->stack_size_bytes <= WR_STACK_MAX),
               -EINVAL);
    return 0;
}

/* Of options that are complete and checked; without a reference. */
static int make_stream(weir_loop *loop,
                       const struct weir_stream_protocol_options *options,
                       weir_writer **ret)
{
    const int64_t limit_bytes =
        options->limit_bytes > 0 ? options->limit_bytes : WEIR_STREAM_LIMIT;
    struct wr_streams *memory = open_streams(loop);
    weir_writer *writer = memory ? wr_slab_take(&memory->slab) : NULL;
    if (!writer) {
        return -ENOMEM;
    }
    writer->loop = loop;
    writer->client_connected = options->client_connected;
    writer->arg = options->arg;
    writer->no_task = options->no_task;
    writer->stack_size_bytes = options->stack_size_bytes;
    wr_list_init(&writer->holder.link);
    writer->holder.ops = &holder_ops;
    wr_list_init(&writer->drainers);
    wr_list_init(&writer->flushers);
    wr_list_init(&writer->closers);
    wr_reader_init(&writer->reader, loop, (size_t)limit_bytes);
    loop->pinned_count++;
    *ret = writer;
    return 0;
}

void wr_stream_free(weir_writer *writer)
{
    weir_loop *loop = writer->loop;

    wr_assert(writer->refs == 0);
    wr_assert(wr_list_is_empty(&writer->drainers)); /* they borrow it */
    wr_assert(wr_list_is_empty(&writer->flushers));
    wr_assert(wr_list_is_empty(&writer->closers));
    wr_reader_fini(&writer->reader);
    weir_transport_unref(writer->transport);
    wr_slab_give(&loop->stream_memory->slab, writer);
    wr_assert(loop->pinned_count > 0);
    loop->pinned_count--;
    wr_loop_release(loop);
}

/* ---- the handler ---- */

static void report(weir_writer *writer, const char *message, int err)
{
    const struct weir_exception exception = {
        .message = message,
        .err = err,
        .callback = "client_connected",
        .transport = writer->transport,
        .task = writer->loop->current,
    };
    wr_loop_report(writer->loop, &exception);
}

/* Is it what the connection has come to, and no failure of the handler? */
static bool is_known(const weir_writer *writer, int err)
{
    const weir_transport *t = writer->transport;

    if (err == -ECANCELED || err == t->error) {
        return true;
    }
    if (err == -EPIPE) { /* what writes say of a broken connection */
        return t->end == WEIR_END_BROKEN;
    }
    if (err == WEIR_EPEERCLOSED) {
        return t->end == WEIR_END_EOF;
    }
    return (err == -ESHUTDOWN || err == -ECONNABORTED) &&
           weir_transport_is_closing(t);
}

static int call_handler(weir_writer *writer)
{
    int err = writer->client_connected(writer->arg, &writer->reader, writer);
    if (err < 0 && !is_known(writer, err)) {
        report(writer, "client_connected failed", err);
    }
    return err;
}

/* The handler serves the connection no more, which may be another's by now. */
static void let_go(weir_writer *writer)
{
    weir_transport *t = writer->transport;

    if (t->holder == &writer->holder) {
        t->holder = NULL;
    }
    writer->owner->ops->let_go(writer->owner, &writer->holder);
}

/* The handler has returned, or never will. */
static void end_handler(void *arg)
{
    weir_writer *writer = arg;

    weir_writer_close(writer);
    if (writer->owner) {
        let_go(writer);
    }
    weir_writer_unref(writer);
}

/* The task of a connection; it has a reference. */
static int serve(weir_loop *loop, void *arg)
{
    weir_writer *writer = arg;

    wr_assert(loop == writer->loop);
    wr_ignore(call_handler(writer) < 0); /* it has been reported */
    end_handler(writer);
    return 0;
}

/* Inside connection_made, which may be called on a task's stack. */
static void serve_here(weir_writer *writer)
{
    weir_task *task = wr_loop_forbid(writer->loop);
    int err = call_handler(writer);
    wr_loop_allow(writer->loop, task);
    if (err < 0) {
        weir_writer_close(writer);
    }
    weir_writer_unref(writer);
}

static void cancel_handler(struct wr_holder *holder)
{
    weir_writer *writer = wr_container_of(holder, weir_writer, holder);
    wr_ignore(weir_task_cancel(writer->task)); /* it has not ended */
}

static bool is_handler_idle(struct wr_holder *holder)
{
    weir_writer *writer = wr_container_of(holder, weir_writer, holder);
    weir_transport *t = writer->transport;
    return wr_reader_is_idle(&writer->reader) && !t->ops->has_unread(t);
}

static const struct wr_holder_ops holder_ops = {.cancel = cancel_handler,
                                                .is_idle = is_handler_idle};

static void spawn_handler(weir_writer *writer)
{
    char name[sizeof(NAME_PREFIX) + WEIR_ADDRESS_TEXT_SIZE] = NAME_PREFIX;
    const size_t prefix_len = sizeof(NAME_PREFIX) - 1;
    const struct weir_task_options options = {
        .size = sizeof(options),
        .name = name,
        .stack_size_bytes = writer->stack_size_bytes,
    };
    wr_ignore(weir_address_format(&writer->transport->peername,
                                  name + prefix_len,
                                  sizeof(name) - prefix_len) == NULL);
    int err =
        weir_task_spawn(writer->loop, serve, writer, &options, &writer->task);
    if (err < 0) {
        if (err != -ESHUTDOWN) {
            report(writer, "a connection got no task", err);
        }
        weir_writer_abort(writer);
        weir_writer_unref(writer);
        return;
    }
    writer->task->parked = end_handler;
    weir_task_detach(writer->task); /* it lives until it lets go */
    writer->owner = writer->transport->owner;
    if (writer->owner) {
        writer->transport->holder = &writer->holder;
        writer->owner->ops->hold(writer->owner, &writer->holder);
    }
}

/* ---- the protocol ---- */

static void connection_made(void *user, weir_transport *t)
{
    weir_writer *writer = user;

    if (writer->transport) { /* one connection has used it up */
        const struct weir_exception exception = {
            .message = "a stream protocol was used for two connections",
            .err = -EBUSY,
            .callback = "connection_made",
            .transport = t,
        };
        wr_loop_report(writer->loop, &exception);
        wr_ignore(weir_transport_abort(t)); /* right thread: cannot fail */
        return;
    }
    writer->transport = weir_transport_ref(t);
    writer->is_bound = true;
    wr_ignore(weir_reader_set_transport(&writer->reader, t)); /* its first */
    if (!writer->client_connected) {
        return;
    }
    writer->refs++; /* the handler's */
    if (writer->no_task) {
        serve_here(writer);
    } else {
        spawn_handler(writer);
    }
}

/* What the reader is told of the end. */
static void end_reader(weir_writer *writer, const weir_transport *t, int err)
{
    if (err == 0 && t->end == WEIR_END_ABORTED) {
        err = -ECONNABORTED;
    }
    if (err < 0) {
        weir_reader_set_exception(&writer->reader, err);
    } else {
        weir_reader_feed_eof(&writer->reader);
    }
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    weir_writer *writer = user;

    if (t != writer->transport) {
        return;
    }
    writer->is_bound = false;
    wr_ignore(weir_reader_set_transport(&writer->reader, NULL));
    end_reader(writer, t, err);
    wr_writer_lost(writer);
    if (writer->refs == 0) {
        wr_stream_free(writer);
    }
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    weir_writer *writer = user;
    (void)t;
    return wr_reader_feed(&writer->reader, buf);
}

/* The writing side stays, where there is one of its own. */
static int eof_received(void *user, weir_transport *t)
{
    weir_writer *writer = user;

    weir_reader_feed_eof(&writer->reader);
    return weir_transport_can_write_eof(t) ? 1 : 0;
}

static void resume_writing(void *user, weir_transport *t)
{
    (void)t;
    wr_writer_resumed(user);
}

/* That writing is paused the transport knows; drain asks it. */
static const struct weir_protocol stream_protocol = {
    .size = sizeof(stream_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .resume_writing = resume_writing,
    .data_received = data_received,
    .eof_received = eof_received,
};

int weir_stream_protocol_new(weir_loop *loop,
                             const struct weir_stream_protocol_options *options,
                             struct weir_protocol_binding *ret,
                             weir_writer **ret_writer)
{
    struct weir_stream_protocol_options known;
    weir_writer *writer;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(ret, -EINVAL);
    wr_require(known.client_connected || ret_writer, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    err = wr_stream_check(&known);
    wr_require(err >= 0, err);
    err = make_stream(loop, &known, &writer);
    wr_require(err >= 0, err);
    *ret = (struct weir_protocol_binding){.protocol = &stream_protocol,
                                          .user = writer};
    if (ret_writer) {
        writer->refs = 1;
        *ret_writer = writer;
    }
    return 0;
}

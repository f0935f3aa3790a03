/*
 * Writers: the sending side of a stream.
 *
 * Writes go straight to the transport, which has the queue, the marks and the
 * status of every write; what is added here is waiting. Drainers wait for the
 * transport to resume, flushers for an empty queue, closers for the loss, and
 * each of them asks the transport again when it is woken: the transport's first
 * error and first cause of the end are the only memory of what happened.
 *
 * A broken connection may live on while bytes that came before the error are
 * unread. Nobody who writes waits for that: whoever waits has asked to be told
 * when the queue is empty, which it is as soon as it was dropped.
 */
#include "writer.h"

/* What came of a connection that is over, or will be without sending more. */
static int end_of(const weir_transport *t)
{
    if (t->error < 0) {
        return t->error;
    }
    switch (t->end) {
    case WEIR_END_EOF:
        return WEIR_EPEERCLOSED;
    case WEIR_END_ABORTED:
        return -ECONNABORTED;
    case WEIR_END_CLOSED:
    case WEIR_END_NONE:
    case WEIR_END_BROKEN:
        break;
    }
    return t->has_dropped ? -ECONNABORTED : 0;
}

/* Is there no hope that more is sent? */
static bool has_failed(const weir_transport *t)
{
    return t->error < 0 || t->end == WEIR_END_ABORTED;
}

void wr_writer_resumed(void *arg)
{
    weir_writer *writer = arg;
    const bool failed = has_failed(writer->transport);

    wr_waiters_wake_all(&writer->drainers, failed ? 0 : 1);
    if (failed) {
        wr_waiters_wake_all(&writer->flushers, 0);
    } else if (writer->transport->ops->depth(writer->transport) == 0) {
        wr_waiters_wake_all(&writer->flushers, 1);
    }
}

void wr_writer_lost(weir_writer *writer)
{
    wr_transport_on_flushed(writer->transport, NULL, NULL);
    wr_waiters_wake_all(&writer->drainers, 0);
    wr_waiters_wake_all(&writer->flushers, 0);
    wr_waiters_wake_all(&writer->closers, 0);
}

/* Begins a call that waits for the connection. */
static int enter(const weir_writer *writer)
{
    int err = wr_task_enter(writer->loop);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    return WR_LIKELY(writer->transport != NULL) ? 0 : -ENOTCONN;
}

/* Suspends until the queue has changed. */
static int wait_for_queue(weir_writer *writer, struct wr_list *waiters)
{
    struct wr_waiter waiter = {.interrupt = NULL};

    wr_transport_on_flushed(writer->transport, wr_writer_resumed, writer);
    return wr_task_wait(writer->loop, &waiter, waiters);
}

/* Without a connection. */
static int refuse(const weir_writer *writer)
{
    int err = wr_loop_check(writer->loop);
    return err < 0 ? err : -ENOTCONN;
}

/* After the loss, of which nobody is to blame. */
static int refuse_drain(const weir_transport *t)
{
    int err = end_of(t);
    return err < 0 ? err : -ESHUTDOWN;
}

int weir_writer_write(weir_writer *writer, const void *data, size_t len)
{
    if (WR_UNLIKELY(!writer->transport)) {
        return refuse(writer);
    }
    return weir_transport_write(writer->transport, data, len);
}

int weir_writer_writelines(weir_writer *writer, const struct iovec *iov,
                           size_t count)
{
    if (WR_UNLIKELY(!writer->transport)) {
        return refuse(writer);
    }
    return weir_transport_writelines(writer->transport, iov, count);
}

int weir_writer_write_ref(weir_writer *writer, const void *data, size_t len,
                          weir_release_fn *release, void *arg)
{
    if (WR_UNLIKELY(!writer->transport)) {
        int err = refuse(writer);
        if (release) {
            release(arg);
        }
        return err;
    }
    return weir_transport_write_ref(writer->transport, data, len, release, arg);
}

int weir_writer_write_buf(weir_writer *writer, const struct weir_buf *buf)
{
    if (WR_UNLIKELY(!writer->transport)) {
        return refuse(writer);
    }
    return weir_transport_write_buf(writer->transport, buf);
}

int weir_writer_write_eof(weir_writer *writer)
{
    if (!writer->transport) {
        return refuse(writer);
    }
    return weir_transport_write_eof(writer->transport);
}

bool weir_writer_can_write_eof(const weir_writer *writer)
{
    return writer->transport && weir_transport_can_write_eof(writer->transport);
}

/* Somebody else may give the last reference back while a task waits. */
static __attribute__((noinline)) int while_held(weir_writer *writer,
                                                int (*wait)(weir_writer *))
{
    int err = wr_loop_check(writer->loop);
    if (err < 0) {
        return err;
    }
    writer->refs++;
    int ret = wait(writer);
    weir_writer_unref(writer);
    return ret;
}

static inline bool must_drain(const weir_writer *writer)
{
    const weir_transport *t = writer->transport;
    return WR_UNLIKELY(t->writing_paused) && writer->is_bound &&
           !has_failed(t) && t->write_error == 0;
}

/* Who was woken with 1 was let go on, unless others have filled the queue
 * since; then it waits anew. */
static int drain(weir_writer *writer)
{
    int ret = enter(writer);

    while (ret >= 0 && must_drain(writer)) {
        ret = wait_for_queue(writer, &writer->drainers);
    }
    if (WR_UNLIKELY(ret < 0)) {
        return ret;
    }
    if (WR_UNLIKELY(has_failed(writer->transport))) {
        return end_of(writer->transport);
    }
    if (WR_UNLIKELY(writer->transport->write_error)) {
        return wr_transport_take_write_error(writer->transport);
    }
    return WR_LIKELY(writer->is_bound || ret > 0)
               ? 0
               : refuse_drain(writer->transport);
}

int weir_writer_drain(weir_writer *writer)
{
    const weir_transport *t = writer->transport;

    if (WR_LIKELY(writer->is_bound && !t->writing_paused &&
                  wr_transport_can_write(t) && t->end != WEIR_END_ABORTED &&
                  wr_task_try_enter(writer->loop))) {
        return 0;
    }
    return while_held(writer, drain);
}

static bool must_flush(const weir_writer *writer)
{
    const weir_transport *t = writer->transport;
    return writer->is_bound && !has_failed(t) && t->write_error == 0 &&
           t->ops->depth(t) > 0;
}

/* Who was woken with 1 has seen the queue empty, whatever came since. */
static int flush(weir_writer *writer)
{
    int ret = enter(writer);

    while (ret == 0 && must_flush(writer)) {
        ret = wait_for_queue(writer, &writer->flushers);
    }
    if (ret < 0) {
        return ret;
    }
    weir_transport *t = writer->transport;
    if (ret == 0 && (has_failed(t) || !writer->is_bound)) {
        return end_of(t);
    }
    return wr_transport_take_write_error(t);
}

int weir_writer_flush(weir_writer *writer)
{
    return while_held(writer, flush);
}

struct weir_depth weir_writer_get_depth(const weir_writer *writer)
{
    struct weir_depth depth = {.bytes = 0};
    const weir_transport *t = writer->transport;

    if (t) {
        depth.bytes = t->ops->depth(t);
        depth.operations = t->ops->send_count(t);
    }
    return depth;
}

/* Nothing more will be received: a reader need not wait for the rest to be
 * sent. What broke the connection comes with the loss. */
void weir_writer_close(weir_writer *writer)
{
    weir_transport *t = writer->transport;

    if (!writer->is_bound || weir_transport_close(t) < 0) {
        return;
    }
    if (t->end == WEIR_END_CLOSED && t->error == 0) {
        weir_reader_feed_eof(&writer->reader);
    }
}

void weir_writer_abort(weir_writer *writer)
{
    if (writer->is_bound) {
        wr_ignore(weir_transport_abort(writer->transport)); /* other thread */
    }
}

bool weir_writer_is_closing(const weir_writer *writer)
{
    return writer->transport && weir_transport_is_closing(writer->transport);
}

static int wait_closed(weir_writer *writer)
{
    int err = enter(writer);
    if (err == 0 && writer->is_bound) {
        struct wr_waiter waiter = {.interrupt = NULL};
        err = wr_task_wait(writer->loop, &waiter, &writer->closers);
    }
    return err < 0 ? err : end_of(writer->transport);
}

int weir_writer_wait_closed(weir_writer *writer)
{
    return while_held(writer, wait_closed);
}

weir_loop *weir_writer_get_loop(const weir_writer *writer)
{
    return writer->loop;
}

weir_transport *weir_writer_get_transport(const weir_writer *writer)
{
    return writer->transport;
}

int weir_writer_get_extra_info(const weir_writer *writer, const char *name,
                               struct weir_extra_info *ret)
{
    wr_require(writer->transport, -ENOTCONN);
    return weir_transport_get_extra_info(writer->transport, name, ret);
}

weir_reader *weir_writer_get_reader(const weir_writer *writer)
{
    return (weir_reader *)(uintptr_t)&writer->reader;
}

weir_writer *weir_writer_ref(weir_writer *writer)
{
    wr_assert(writer->refs > 0 || writer->is_bound);
    writer->refs++;
    return writer;
}

void weir_writer_unref(weir_writer *writer)
{
    if (!writer) {
        return;
    }
    wr_assert(writer->refs > 0);
    if (--writer->refs > 0) {
        return;
    }
    if (writer->is_bound) {
        weir_writer_close(writer); /* the loss frees */
    } else {
        wr_stream_free(writer);
    }
}

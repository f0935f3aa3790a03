/*
 * Writers: the sending side of a stream. Writes go directly to the transport,
 * which has the queue, the marks and the errors; this file adds waiting.
 * Drainers wait for the transport to resume, flushers for an empty queue,
 * closers for the loss. A woken task queries the transport again.
 *
 * A broken connection stays open while bytes that arrived before the error are
 * unread. Draining and flushing tasks do not wait for its end, because an error
 * empties the queue.
 */
#include "writer.h"

#include "weir/unix.h"

#define EDGE(state) (1u << (state))

static const uint8_t writer_edges[] = {
    [WRITER_UNBOUND] = EDGE(WRITER_BOUND),
    [WRITER_BOUND] = EDGE(WRITER_LOST) | EDGE(WRITER_DETACHED),
    [WRITER_LOST] = 0,
    [WRITER_DETACHED] = 0,
};

void wr_writer_set_state(weir_writer *writer, enum writer_state state)
{
    wr_assert(writer_edges[writer->state] & EDGE(state));
    writer->state = state;
}

void wr_writer_check_invariants(const weir_writer *writer)
{
    wr_assert(
        (writer->transport == NULL) ==
        (writer->state == WRITER_UNBOUND || writer->state == WRITER_DETACHED));
    wr_assert(writer->refs > 0 || writer->state == WRITER_UNBOUND ||
              writer->state == WRITER_BOUND);
    if (wr_writer_is_busy(writer)) {
        wr_assert(writer->state == WRITER_BOUND);
        wr_assert(writer->refs > 0);
    }
    wr_assert(wr_list_is_linked(&writer->handler.link) ==
              (writer->set != NULL));
    if (writer->task) {
        wr_assert(!writer->no_task);
        wr_assert(writer->refs > 0);
    }
    wr_assert(!writer->set || writer->task);
    wr_reader_check_invariants(&writer->reader);
}

/* Returns the error of a connection that sends nothing more, or 0 if it was
 * closed here and everything was sent. */
static int writer_end_of(const weir_transport *t)
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
    case WEIR_END_MOVED:
        break;
    }
    return t->has_dropped ? -ECONNABORTED : 0;
}

static bool writer_has_failed(const weir_transport *t)
{
    return t->error < 0 || t->end == WEIR_END_ABORTED;
}

void wr_writer_resumed(void *arg)
{
    weir_writer *writer = arg;
    const bool failed = writer_has_failed(writer->transport);

    wr_writer_check_invariants(writer);
    wr_waiters_wake_all(&writer->drainers, failed ? 0 : 1);
    if (failed) {
        wr_waiters_wake_all(&writer->flushers, 0);
    } else if (weir_transport_get_write_buffer_size(writer->transport) == 0) {
        wr_waiters_wake_all(&writer->flushers, 1);
    }
}

void wr_writer_lost(weir_writer *writer)
{
    wr_assert(writer->state == WRITER_LOST);
    wr_transport_on_flushed(writer->transport, NULL);
    wr_waiters_wake_all(&writer->drainers, 0);
    wr_waiters_wake_all(&writer->flushers, 0);
    wr_waiters_wake_all(&writer->closers, 0);
}

static int writer_enter(const weir_writer *writer)
{
    int err = wr_task_enter(writer->loop);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    return WR_LIKELY(writer->transport != NULL) ? 0 : -ENOTCONN;
}

static void writer_flushed(struct wr_flush *flush)
{
    wr_writer_resumed(wr_container_of(flush, weir_writer, flush));
}

static int writer_wait_for_queue(weir_writer *writer, struct wr_list *waiters)
{
    static const struct wr_wait_kind kind = {.name = "write"};
    struct wr_waiter waiter = {.kind = &kind};

    wr_assert(writer->refs > 0);
    wr_assert(writer->state == WRITER_BOUND);
    writer->flush.flushed = writer_flushed;
    wr_transport_on_flushed(writer->transport, &writer->flush);
    return wr_task_wait(writer->loop, &waiter, waiters);
}

static int writer_refuse(const weir_writer *writer)
{
    int err = wr_loop_check(writer->loop);
    if (err < 0) {
        return err;
    }
    wr_assert(!writer->transport);
    return -ENOTCONN;
}

int weir_writer_write(weir_writer *writer, const void *data, size_t len)
{
    wr_writer_debug_check(writer);
    if (WR_UNLIKELY(!writer->transport)) {
        return writer_refuse(writer);
    }
    return weir_transport_write(writer->transport, data, len);
}

int weir_writer_writelines(weir_writer *writer, const struct iovec *iov,
                           size_t count)
{
    wr_writer_debug_check(writer);
    if (WR_UNLIKELY(!writer->transport)) {
        return writer_refuse(writer);
    }
    return weir_transport_writelines(writer->transport, iov, count);
}

int weir_writer_write_ref(weir_writer *writer, const void *data, size_t len,
                          weir_release_fn *release, void *arg)
{
    wr_writer_debug_check(writer);
    if (WR_UNLIKELY(!writer->transport)) {
        int err = writer_refuse(writer);
        if (release) {
            release(arg);
        }
        return err;
    }
    return weir_transport_write_ref(writer->transport, data, len, release, arg);
}

int weir_writer_write_buf(weir_writer *writer, const struct weir_buf *buf)
{
    wr_writer_debug_check(writer);
    if (WR_UNLIKELY(!writer->transport)) {
        return writer_refuse(writer);
    }
    return weir_transport_write_buf(writer->transport, buf);
}

int weir_writer_send_fds(weir_writer *writer, const void *data, size_t len,
                         const int *fds, size_t count)
{
    wr_writer_debug_check(writer);
    if (!writer->transport) {
        return writer_refuse(writer);
    }
    return weir_transport_send_fds(writer->transport, data, len, fds, count);
}

int weir_writer_write_eof(weir_writer *writer)
{
    wr_writer_debug_check(writer);
    if (!writer->transport) {
        return writer_refuse(writer);
    }
    return weir_transport_write_eof(writer->transport);
}

bool weir_writer_can_write_eof(const weir_writer *writer)
{
    return writer->transport && weir_transport_can_write_eof(writer->transport);
}

/* Holds a reference, because another task may drop the program's last one. */
static __attribute__((noinline)) int
writer_while_held(weir_writer *writer, int (*wait)(weir_writer *))
{
    int err = wr_loop_check(writer->loop);
    if (err < 0) {
        return err;
    }
    wr_writer_check_invariants(writer);
    writer->refs++;
    int ret = wait(writer);
    wr_writer_check_invariants(writer);
    weir_writer_unref(writer);
    return ret;
}

static inline bool writer_must_drain(const weir_writer *writer)
{
    const weir_transport *t = writer->transport;
    return WR_UNLIKELY(t->writing_paused) && writer->state == WRITER_BOUND &&
           !writer_has_failed(t) && t->write_error == 0 &&
           !wr_transport_may_join(t);
}

/* A wake with 1 means that the low mark was reached: the task returns, unless
 * other tasks have filled the queue since. */
static int writer_drain(weir_writer *writer)
{
    int ret = writer_enter(writer);

    while (ret >= 0 && writer_must_drain(writer)) {
        ret = writer_wait_for_queue(writer, &writer->drainers);
    }
    if (WR_UNLIKELY(ret < 0)) {
        return ret;
    }
    wr_assert(ret <= 1);
    if (WR_UNLIKELY(writer_has_failed(writer->transport))) {
        return writer_end_of(writer->transport);
    }
    if (WR_UNLIKELY(writer->transport->write_error)) {
        return wr_transport_take_write_error(writer->transport);
    }
    if (WR_LIKELY(writer->state == WRITER_BOUND || ret > 0)) {
        return 0;
    }
    ret = writer_end_of(writer->transport); /* after connection_lost */
    return ret < 0 ? ret : -ESHUTDOWN;
}

int weir_writer_drain(weir_writer *writer)
{
    const weir_transport *t = writer->transport;

    wr_writer_debug_check(writer);
    if (WR_LIKELY(writer->state == WRITER_BOUND && !t->writing_paused &&
                  wr_transport_can_write(t) && t->end != WEIR_END_ABORTED &&
                  wr_task_try_enter(writer->loop))) {
        return 0;
    }
    return writer_while_held(writer, writer_drain);
}

static bool writer_must_flush(const weir_writer *writer)
{
    const weir_transport *t = writer->transport;
    return writer->state == WRITER_BOUND && !writer_has_failed(t) &&
           t->write_error == 0 && weir_transport_get_write_buffer_size(t) > 0;
}

/* A wake with 1 means that the queue was empty, even if it is not now. */
static int writer_flush(weir_writer *writer)
{
    int ret = writer_enter(writer);

    while (ret == 0 && writer_must_flush(writer)) {
        ret = writer_wait_for_queue(writer, &writer->flushers);
    }
    if (ret < 0) {
        return ret;
    }
    wr_assert(ret <= 1);
    weir_transport *t = writer->transport;
    if (ret == 0 && (writer_has_failed(t) || writer->state != WRITER_BOUND)) {
        return writer_end_of(t);
    }
    return wr_transport_take_write_error(t);
}

int weir_writer_flush(weir_writer *writer)
{
    return writer_while_held(writer, writer_flush);
}

uint64_t weir_writer_get_write_buffer_size(const weir_writer *writer)
{
    return writer->transport
               ? weir_transport_get_write_buffer_size(writer->transport)
               : 0;
}

/* Ends the reader at once, because nothing more will be received.
 * connection_lost reports an error of the connection to the reader. */
int weir_writer_close(weir_writer *writer)
{
    weir_transport *t = writer->transport;

    wr_require_loop(writer->loop);
    wr_writer_debug_check(writer);
    if (writer->state != WRITER_BOUND) {
        return t ? 0 : -ENOTCONN;
    }
    int err = weir_transport_close(t);
    if (err == 0 && t->end == WEIR_END_CLOSED && t->error == 0) {
        weir_reader_feed_eof(&writer->reader);
    }
    return err;
}

void weir_writer_abort(weir_writer *writer)
{
    if (!wr_loop_admits(writer->loop)) {
        return;
    }
    wr_writer_debug_check(writer);
    if (writer->state == WRITER_BOUND) {
        weir_transport_abort(writer->transport);
    }
}

bool weir_writer_is_closing(const weir_writer *writer)
{
    return writer->transport && weir_transport_is_closing(writer->transport);
}

static int writer_wait_closed(weir_writer *writer)
{
    static const struct wr_wait_kind kind = {.name = "stream end"};
    int err = writer_enter(writer);
    if (err == 0 && writer->state == WRITER_BOUND) {
        struct wr_waiter waiter = {.kind = &kind};
        err = wr_task_wait(writer->loop, &waiter, &writer->closers);
        wr_assert(err < 0 || writer->state == WRITER_LOST);
    }
    return err < 0 ? err : writer_end_of(writer->transport);
}

int weir_writer_wait_closed(weir_writer *writer)
{
    return writer_while_held(writer, writer_wait_closed);
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
    wr_assert(writer->refs > 0 || writer->state == WRITER_BOUND);
    wr_assert(writer->refs < UINT32_MAX);
    writer->refs++;
    return writer;
}

void weir_writer_unref(weir_writer *writer)
{
    if (!writer || !wr_loop_admits(writer->loop)) {
        return;
    }
    wr_writer_debug_check(writer);
    wr_assert(writer->refs > 0);
    if (--writer->refs > 0) {
        return;
    }
    if (writer->state == WRITER_BOUND) {
        weir_writer_close(writer);
    } else {
        wr_stream_free(writer);
    }
}

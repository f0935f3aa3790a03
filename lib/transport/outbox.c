/*
 * The outbox of a connection: accepts or refuses writes, queues bytes, checks
 * the water marks, and sends files between written bytes. outbox.h explains the
 * states.
 */
#include "connection.h"

static void outbox_set_state(struct wr_outbox *o, enum wr_outbox_state state)
{
    static const uint8_t allowed[WR_OUTBOX_STATES] = {
        [WR_OUTBOX_NEW] = 1u << WR_OUTBOX_OPEN | 1u << WR_OUTBOX_SHUT,
        [WR_OUTBOX_OPEN] = 1u << WR_OUTBOX_ENDED | 1u << WR_OUTBOX_CLOSING |
                           1u << WR_OUTBOX_MOVING | 1u << WR_OUTBOX_GONE |
                           1u << WR_OUTBOX_SHUT,
        [WR_OUTBOX_ENDED] = 1u << WR_OUTBOX_CLOSED | 1u << WR_OUTBOX_MOVING |
                            1u << WR_OUTBOX_GONE | 1u << WR_OUTBOX_SHUT,
        [WR_OUTBOX_MOVING] = 1u << WR_OUTBOX_OPEN | 1u << WR_OUTBOX_ENDED,
        [WR_OUTBOX_CLOSING] = 1u << WR_OUTBOX_GONE | 1u << WR_OUTBOX_SHUT,
        [WR_OUTBOX_CLOSED] = 1u << WR_OUTBOX_GONE | 1u << WR_OUTBOX_SHUT,
    };
    wr_assert(state < WR_OUTBOX_STATES);
    wr_assert(allowed[o->state] >> state & 1u);
    o->state = state;
}

void wr_outbox_open(struct wr_outbox *o)
{
    wr_assert(!o->sender && o->passed_bytes == 0);
    wr_assert(wr_sendq_is_empty(&o->queue));
    outbox_set_state(o, WR_OUTBOX_OPEN);
}

void wr_outbox_end(struct wr_outbox *o)
{
    wr_assert(o->state < WR_OUTBOX_STATES);
    if (o->state == WR_OUTBOX_OPEN) {
        outbox_set_state(o, WR_OUTBOX_ENDED);
    }
}

void wr_outbox_close(struct wr_outbox *o)
{
    wr_assert(o->state != WR_OUTBOX_NEW);
    wr_assert(o->state != WR_OUTBOX_CLOSING && o->state != WR_OUTBOX_CLOSED);
    if (!wr_outbox_is_over(o)) {
        outbox_set_state(o, o->state == WR_OUTBOX_ENDED ? WR_OUTBOX_CLOSED
                                                        : WR_OUTBOX_CLOSING);
    }
}

void wr_outbox_begin_leaving(struct wr_outbox *o)
{
    wr_assert(!o->sender);
    wr_assert(o->passed_bytes == 0);
    outbox_set_state(o, WR_OUTBOX_MOVING);
}

void wr_outbox_come_back(struct wr_outbox *o, bool has_ended)
{
    wr_assert(o->state == WR_OUTBOX_MOVING);
    outbox_set_state(o, has_ended ? WR_OUTBOX_ENDED : WR_OUTBOX_OPEN);
}

void wr_outbox_lose_peer(struct wr_outbox *o)
{
    wr_assert(!wr_outbox_is_over(o));
    outbox_set_state(o, WR_OUTBOX_GONE);
}

void wr_outbox_shut(struct wr_outbox *o)
{
    if (!wr_outbox_is_over(o)) {
        outbox_set_state(o, WR_OUTBOX_SHUT);
    }
}

static void outbox_break(weir_transport *t, int err, const char *what)
{
    const struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(err < 0);
    wr_assert(t->ops->doom);
    if ((o->state == WR_OUTBOX_CLOSING || o->state == WR_OUTBOX_CLOSED) &&
        t->error == 0) {
        t->has_dropped = true;
        wr_transport_set_error(t, err, what);
        t->ops->doom(t);
    }
}

static int outbox_refuse(weir_transport *t, int err)
{
    wr_assert(err == -ENOBUFS || err == -ENOMEM);
    wr_assert(wr_outbox_of(t)->state != WR_OUTBOX_ENDED);
    err = wr_transport_refuse(t, err);
    outbox_break(t, err, "write");
    return err;
}

int wr_outbox_check(weir_transport *t, size_t len)
{
    const struct wr_outbox *o = wr_outbox_of(t);
    const uint64_t depth = wr_outbox_depth(o);

    wr_outbox_check_invariants(o);
    wr_require(t->error == 0 && o->state != WR_OUTBOX_GONE, -EPIPE);
    wr_require(t->state != WR_LIFE_MOVING, -EBUSY);
    wr_require(o->state == WR_OUTBOX_OPEN ||
                   (o->state == WR_OUTBOX_CLOSING && o->in_resume),
               -ESHUTDOWN);
    wr_require(!o->sender, -EBUSY);
    wr_require(t->write_error == 0, t->write_error);
    if (len > 0 && wr_transport_lacks_room(t, depth, len)) {
        return outbox_refuse(t, -ENOBUFS);
    }
    return 0;
}

static inline int outbox_check(weir_transport *t, const struct wr_outbox *o,
                               size_t len)
{
    return WR_LIKELY(wr_outbox_has_room(t, o, wr_outbox_depth(o), len))
               ? 0
               : wr_outbox_check(t, len);
}

static inline void outbox_note_queued(weir_transport *t,
                                      const struct wr_outbox *o, size_t len)
{
    wr_assert(len > 0 && len <= o->queue.bytes);
    wr_budget_queue(&t->loop->budget, len);
    t->ops->queued(t, len);
}

static inline void outbox_queued(weir_transport *t, const struct wr_outbox *o,
                                 size_t len)
{
    outbox_note_queued(t, o, len);
    const uint64_t depth = wr_outbox_depth(o);
    if (WR_UNLIKELY(depth > t->check_bytes)) {
        wr_transport_check_high(t, depth);
    }
}

int wr_outbox_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total)
{
    struct wr_outbox *o = wr_outbox_of(t);
    int err = outbox_check(t, o, total);

    if (err < 0 || total == 0) {
        return err;
    }
    err = wr_sendq_copy(&o->queue, &t->loop->send_memory, iov, count, total);
    if (err < 0) {
        return outbox_refuse(t, err);
    }
    t->loop->counts.copied_by_write += total;
    outbox_queued(t, o, total);
    return 0;
}

int wr_outbox_write(weir_transport *t, const void *data, size_t len)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    return wr_outbox_writelines(t, &piece, 1, len);
}

int wr_outbox_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg)
{
    struct wr_outbox *o = wr_outbox_of(t);
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    int err = outbox_check(t, o, len);

    if (err < 0 || len == 0) {
        return err;
    }
    err = wr_sendq_ref(&o->queue, &t->loop->send_memory, &piece, release, arg);
    if (err < 0) {
        return outbox_refuse(t, err);
    }
    outbox_queued(t, o, len);
    return 0;
}

static int outbox_queue_apart(weir_transport *t, struct wr_sendq *queue,
                              const struct weir_buf *buf)
{
    const weir_lease *lease = buf->lease;
    weir_lease *copy =
        wr_lease_copy(lease->pool, lease->account, buf->data, buf->len);

    wr_require(copy, -ENOMEM);
    const struct weir_buf apart = {
        .data = copy->data, .len = buf->len, .lease = copy};
    const int err = wr_sendq_lease(queue, &t->loop->send_memory, &apart);
    wr_lease_unref(copy);
    return err;
}

/* Queues a lease, or copies its bytes if receive buffers are short, or if few
 * bytes would pin a large buffer while the peer takes nothing. */
static int outbox_queue_lease(weir_transport *t, struct wr_outbox *o,
                              const struct weir_buf *buf)
{
    const struct wr_sendq_memory *memory = &t->loop->send_memory;
    struct wr_pool *pool = &t->loop->pool;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)buf->data,
                                .iov_len = buf->len};

    wr_assert(buf->lease->refs > 0 && buf->len >= WR_LEASE_LEAST);
    if (WR_UNLIKELY(o->is_stalled) && wr_lease_wastes(buf->lease, buf->len)) {
        return outbox_queue_apart(t, &o->queue, buf);
    }
    if (!(wr_pool_is_short(pool) && buf->lease->buf)) {
        return wr_sendq_lease(&o->queue, memory, buf);
    }
    const int err = wr_sendq_copy(&o->queue, memory, &piece, 1, buf->len);
    pool->copied_bytes += err == 0 ? buf->len : 0;
    return err;
}

int wr_outbox_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    struct wr_outbox *o = wr_outbox_of(t);

    if (buf->len < WR_LEASE_LEAST) {
        /* A small piece takes less memory than its chunk, and the peer decides
         * how many pieces there are. So it is copied, and counted as a copy by
         * the pool. */
        const int err = t->ops->write(t, buf->data, buf->len);

        if (WR_LIKELY(err == 0)) {
            t->loop->counts.copied_by_write -= buf->len;
            t->loop->pool.copied_bytes += buf->len;
        }
        return err;
    }
    int err = outbox_check(t, o, buf->len);
    if (err < 0) {
        return err;
    }
    err = outbox_queue_lease(t, o, buf);
    if (err < 0) {
        return outbox_refuse(t, err);
    }
    outbox_queued(t, o, buf->len);
    return 0;
}

void wr_outbox_limits_changed(weir_transport *t)
{
    const struct wr_outbox *o = wr_outbox_of(t);

    wr_outbox_check_invariants(o);
    if (t->error == 0) { /* else no byte will be sent */
        wr_transport_check_high(t, wr_outbox_depth(o));
    }
}

void wr_outbox_queue_file(weir_transport *t, struct wr_chunk *chunk, size_t len)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(o->sender);
    wr_assert(len > 0);
    wr_sendq_append_chunk(&o->queue, chunk, len);
    outbox_note_queued(t, o, len);
}

void wr_outbox_end_file(weir_transport *t, int err)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(err <= 0);
    wr_assert(o->sender);
    if (err < 0) {
        outbox_break(t, err, "sendfile");
    }
    t->ops->file_ended(t);
    o->sender = NULL;
}

int wr_outbox_sendfile(weir_transport *t, const struct wr_sendfile *file)
{
    struct wr_outbox *o = wr_outbox_of(t);

    /* During a close resume_writing may write bytes, but not send a file. */
    wr_require(o->state != WR_OUTBOX_CLOSING || t->error != 0, -ESHUTDOWN);
    const int err = wr_outbox_check(t, 0);
    wr_require(err == 0, err);
    wr_assert(o->state == WR_OUTBOX_OPEN);
    o->sender = wr_sender_new(t, file);
    wr_require(o->sender, -ENOMEM);
    t->ops->file_begins(t);
    wr_sender_join(o->sender);
    return 0;
}

void wr_outbox_cancel_sendfile(weir_transport *t)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_outbox_check_invariants(o);
    if (o->sender) {
        wr_sender_cancel(o->sender);
    }
}

void wr_outbox_abandon(weir_transport *t)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(t->state < WR_LIFE_LOST);
    if (o->sender) {
        wr_sender_abandon(o->sender);
    }
}

void wr_outbox_stall(weir_transport *t)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(!o->is_stalled);
    o->is_stalled = true;
    wr_sendq_move_out(&o->queue);
    if (!t->is_relayed || wr_outbox_is_over(o) || t->error != 0) {
        return;
    }
    wr_loop_trim_later(t->loop); /* frees the receive buffers */
    if (!t->writing_paused && !wr_sendq_is_empty(&o->queue)) {
        wr_transport_pause(t);
    }
}

void wr_outbox_consume(weir_transport *t, uint64_t bytes)
{
    struct wr_outbox *o = wr_outbox_of(t);
    weir_loop *loop = t->loop;

    wr_check(bytes <= o->queue.bytes);
    wr_assert(!o->in_resume);
    wr_budget_unqueue(&loop->budget, bytes);
    wr_sendq_consume(&o->queue, &loop->send_memory, bytes);
    wr_loop_end_if_forked(loop); /* a release callback may have forked */
}

void wr_outbox_notify(weir_transport *t)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(!o->in_resume);
    if (!t->must_notify || wr_outbox_is_over(o) || t->error) {
        return;
    }
    o->in_resume = true;
    wr_transport_check_low(t, wr_outbox_depth(o));
    o->in_resume = false;
}

void wr_outbox_drop(weir_transport *t)
{
    struct wr_outbox *o = wr_outbox_of(t);

    wr_assert(wr_outbox_is_over(o) || t->error);
    wr_assert(t->loop->budget.queued_bytes >= o->queue.bytes);
    if (o->sender && o->sender->state < WR_SENDER_DONE) {
        wr_ignore(wr_sender_take_back(o->sender, o->queue.bytes) > 0);
    }
    t->has_dropped |= o->queue.bytes > 0;
    wr_budget_unqueue(&t->loop->budget, o->queue.bytes);
    wr_sendq_clear(&o->queue, &t->loop->send_memory);
    wr_loop_end_if_forked(t->loop);
}

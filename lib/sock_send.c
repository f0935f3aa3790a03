/*
 * Stream sockets: sending.
 *
 * Writes go to the queue, and the socket to the loop's list of senders; at the
 * end of the turn everything queued leaves as one send. Only one is in flight:
 * two sends on a stream may be reordered as soon as the first has to wait. A
 * send is bounded, so that progress is seen while a slow peer takes megabytes,
 * and what a short one left over is sent again with what came meanwhile.
 *
 *     idle --flush--> sending --taken, failed--> idle
 *                        \--no room--> waiting --room, error--> idle
 *
 * A send takes what there is room for and never waits itself: the peer decides
 * how it would (see SEND_FLAGS in op.c). A poll does, with the same operation,
 * so that at most one of the two is in flight.
 */
#include "sock_impl.h"

#include <poll.h>
#include <string.h>

#define SEND_BYTES_MIN (256u << 10)

static wr_op_complete_fn send_completed;
static wr_op_complete_fn wait_completed;

static inline void make_dirty(struct wr_sock *s)
{
    if (!s->send_op.in_flight && !wr_list_is_linked(&s->sender.link)) {
        wr_list_push_back(&s->t.loop->dirty, &s->sender.link);
    }
}

static __attribute__((noinline)) void send_pieces(struct wr_sock *s,
                                                  uint64_t most)
{
    struct iovec iov[WR_IOV_MAX];
    const uint32_t count = wr_sendq_gather(&s->sendq, iov, WR_IOV_MAX, most);

    wr_prep_sendv(&s->t.loop->uring, &s->send_op, s->fd, iov, count);
}

static void flush(struct wr_sender *sender)
{
    struct wr_sock *s = wr_container_of(sender, struct wr_sock, sender);
    const struct wr_chunk *head = s->sendq.head;

    if (WR_UNLIKELY(s->send_op.in_flight || s->t.error ||
                    s->state >= WR_SOCK_LINGERING || !head)) {
        return;
    }
    wr_assert(s->send_op.complete == send_completed);
    if (WR_LIKELY(head->len <= SEND_BYTES_MIN && !head->next)) {
        wr_prep_send(&s->t.loop->uring, &s->send_op, s->fd, head->data,
                     head->len);
    } else {
        send_pieces(s, wr_max_u64(s->t.high_bytes, SEND_BYTES_MIN));
    }
}

void wr_sock_shut_when_sent(struct wr_sock *s)
{
    if (!s->write_eof || s->write_shut || !wr_sendq_is_empty(&s->sendq)) {
        return;
    }
    s->write_shut = true;
    int err = wr_sys_shutdown(s->fd, SHUT_WR);
    /* A peer that is gone already is found out by the receive. */
    if (err < 0 && err != -ENOTCONN) {
        wr_sock_fail(s, err, "shutdown");
        wr_sock_end(s);
    }
}

static void took(struct wr_sock *s, uint32_t bytes)
{
    weir_loop *loop = s->t.loop;

    loop->pool.budget.queued_bytes -= bytes;
    loop->counts.sent_bytes += bytes;
    wr_sock_note_sent(s);
    wr_sendq_consume(&s->sendq, &s->t.loop->send_memory, bytes);
    wr_loop_leave_if_forked(loop); /* by a release callback */
    if (WR_LIKELY(s->t.tell_depth < 0) || s->state >= WR_SOCK_ENDING ||
        s->t.error) {
        return; /* a release callback may have ended it */
    }
    s->in_resume = true;
    wr_transport_check_low(&s->t, s->sendq.bytes);
    s->in_resume = false;
}

static enum wr_send_state send_state(const struct wr_sock *s)
{
    if (!s->send_op.in_flight) {
        return WR_SEND_IDLE;
    }
    return s->send_op.complete == wait_completed ? WR_SEND_WAITING
                                                 : WR_SEND_SENDING;
}

const char *wr_sock_send_state_name(const struct wr_sock *s)
{
    static const char *const names[WR_SEND_STATES] = {"idle", "sending",
                                                      "waiting"};
    return names[send_state(s)];
}

/* A single poll sees room that is there already. After the peer's FIN it would
 * end at once for that alone: then a multishot one waits, and is cancelled. */
static void wait_for_room(struct wr_sock *s)
{
    wr_assert(send_state(s) == WR_SEND_IDLE);
    wr_assert(s->state < WR_SOCK_ENDING);
    wr_assert(!wr_sendq_is_empty(&s->sendq));
    wr_op_init(&s->send_op, wait_completed);
    wr_prep_poll(&s->t.loop->uring, &s->send_op, s->fd, POLLOUT, s->fin_seen);
}

static __attribute__((noinline)) void send_ended(struct wr_sock *s, int32_t res)
{
    wr_assert(send_state(s) == WR_SEND_IDLE);
    wr_assert(s->send_op.complete == send_completed);
    if (res >= 0) {
        if (s->state < WR_SOCK_ENDING) {
            took(s, (uint32_t)res);
        }
    } else if (s->state < WR_SOCK_ENDING && res != -EINTR && res != -EAGAIN &&
               res != -ECANCELED) {
        wr_sock_fail(s, res, "send");
        /* What arrived before can still be read, and then the end. */
        wr_ignore(wr_sys_shutdown(s->fd, SHUT_RDWR) < 0);
    }
    if (s->t.error) {
        wr_sock_drop_broken_queue(s);
    } else if (s->state < WR_SOCK_ENDING) {
        if (res == -EAGAIN) {
            wait_for_room(s);
        } else if (!wr_sendq_is_empty(&s->sendq)) {
            make_dirty(s);
        } else if (WR_UNLIKELY(s->write_eof)) {
            wr_sock_shut_when_sent(s);
        }
    }
    wr_sock_sent_some(s);
    wr_sock_settle(s);
}

/* Mostly everything was sent, and nobody waits for that. */
static void send_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    weir_loop *loop = s->t.loop;
    (void)flags;

    if (WR_LIKELY(res > 0 && s->t.tell_depth < 0 && !s->write_eof &&
                  wr_sock_is_settled(s) &&
                  wr_sendq_consume_all(&s->sendq, &loop->send_memory,
                                       (uint32_t)res))) {
        loop->pool.budget.queued_bytes -= (uint32_t)res;
        loop->counts.sent_bytes += (uint32_t)res;
        wr_sock_note_sent(s);
        return;
    }
    send_ended(s, res);
}

/* There is room, or something that the next send will tell. */
static void wait_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    const bool is_over =
        res < 0 || ((uint32_t)res & (POLLOUT | POLLERR | POLLHUP)) != 0;
    (void)flags;

    if (op->in_flight) {
        wr_assert(s->fin_seen);
        if (is_over) {
            wr_op_cancel(&s->t.loop->uring, op);
        }
        return;
    }
    wr_op_init(op, send_completed);
    if (!is_over && s->state < WR_SOCK_ENDING && s->t.error == 0) {
        s->fin_seen = true;
        wait_for_room(s);
        return;
    }
    send_ended(s, res < 0 ? res : -EINTR); /* nothing was sent: once more */
}

void wr_sock_send_init(struct wr_sock *s)
{
    wr_op_init(&s->send_op, send_completed);
    wr_sendq_init(&s->sendq);
    wr_list_init(&s->sender.link);
    s->sender.flush = flush;
}

/* There is no room for bytes that could be written. A close that has begun
 * must not come to a clean end without them. */
static __attribute__((noinline)) int refuse_bytes(struct wr_sock *s, int err)
{
    err = wr_transport_refuse(&s->t, err);
    if (s->state == WR_SOCK_CLOSING) {
        s->t.has_dropped = true;
        wr_sock_fail(s, err, "write");
    }
    return err;
}

static __attribute__((noinline)) int refuse_write(struct wr_sock *s, size_t len)
{
    wr_require(s->t.error == 0, -EPIPE);
    wr_require(s->state == WR_SOCK_OPEN ||
                   (s->state == WR_SOCK_CLOSING && s->in_resume),
               -ESHUTDOWN);
    wr_require(!s->write_eof, -ESHUTDOWN);
    wr_require(s->t.write_error == 0, s->t.write_error);
    if (len > 0 && (len > s->t.hard_limit_bytes ||
                    s->sendq.bytes > s->t.hard_limit_bytes - len)) {
        return refuse_bytes(s, -ENOBUFS);
    }
    return 0;
}

/* Is nothing against writing @len more bytes? */
static inline bool has_room(const struct wr_sock *s, size_t len)
{
    return s->state == WR_SOCK_OPEN && wr_transport_can_write(&s->t) &&
           !s->write_eof && len <= s->t.hard_limit_bytes &&
           s->sendq.bytes <= s->t.hard_limit_bytes - len;
}

/* May @len more bytes be written? */
static inline int check_write(struct wr_sock *s, size_t len)
{
    return WR_LIKELY(has_room(s, len)) ? 0 : refuse_write(s, len);
}

static inline void queue_for_sending(struct wr_sock *s, weir_loop *loop,
                                     size_t len)
{
    loop->pool.budget.queued_bytes += len;
    if (WR_UNLIKELY(s->times != NULL) && s->sendq.bytes == len) {
        wr_sock_note_sent(s); /* the stall clock starts with the first byte */
        wr_sock_times_changed(s);
    }
    make_dirty(s);
}

/* More is queued than anybody may have at any time: the protocol is asked to
 * pause when it is more than this one may have now. One that goes on is not
 * received from any more, while its peer does not read what it has. */
static __attribute__((noinline)) void queued_much(struct wr_sock *s)
{
    const struct wr_budget *budget = &s->t.loop->pool.budget;

    if (WR_UNLIKELY(wr_sock_stuck_bytes(s) > wr_budget_queued_share(budget))) {
        wr_sock_cancel_recv(s);
    }
    wr_transport_check_high(&s->t, s->sendq.bytes);
}

static inline void check_queue(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->sendq.bytes > s->t.check_bytes)) {
        queued_much(s);
    }
}

static inline void queued(struct wr_sock *s, size_t len)
{
    queue_for_sending(s, s->t.loop, len);
    check_queue(s);
}

/* What the last block has no room for. */
static __attribute__((noinline)) int write_more(struct wr_sock *s,
                                                const void *data, size_t len)
{
    weir_loop *loop = s->t.loop;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    int err = wr_sendq_copy(&s->sendq, &loop->send_memory, &piece, 1, len);
    if (WR_UNLIKELY(err < 0)) {
        return refuse_bytes(s, err);
    }
    loop->counts.copied_by_write += len;
    queued(s, len);
    return 0;
}

/* Nothing, or what may be refused; seldom while a close sends what waits. */
static __attribute__((noinline)) int write_anyway(struct wr_sock *s,
                                                  const void *data, size_t len)
{
    int err = check_write(s, len);
    return err < 0 || len == 0 ? err : write_more(s, data, len);
}

int wr_sock_write(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;
    if (WR_UNLIKELY(len == 0 || !has_room(s, len))) {
        return write_anyway(s, data, len);
    }
    void *room = wr_sendq_extend(&s->sendq, &loop->send_memory, len);
    if (WR_UNLIKELY(!room)) {
        return write_more(s, data, len);
    }
    loop->counts.copied_by_write += len;
    queue_for_sending(s, loop, len);
    memcpy(room, data, len); /* last: nothing has to be kept across it */
    check_queue(s);
    return 0;
}

int wr_sock_writelines(weir_transport *t, const struct iovec *iov, size_t count,
                       size_t total)
{
    struct wr_sock *s = wr_sock_of(t);
    int err = check_write(s, total);
    if (err < 0 || total == 0) {
        return err;
    }
    err = wr_sendq_copy(&s->sendq, &t->loop->send_memory, iov, count, total);
    if (err < 0) {
        return refuse_bytes(s, err);
    }
    t->loop->counts.copied_by_write += total;
    queued(s, total);
    return 0;
}

int wr_sock_write_ref(weir_transport *t, const void *data, size_t len,
                      weir_release_fn *release, void *arg)
{
    struct wr_sock *s = wr_sock_of(t);
    int err = check_write(s, len);
    if (err < 0 || len == 0) {
        return err;
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    err =
        wr_sendq_ref(&s->sendq, &s->t.loop->send_memory, &piece, release, arg);
    if (err < 0) {
        return refuse_bytes(s, err);
    }
    queued(s, len);
    return 0;
}

/* Few bytes are copied: to keep account of where they lie takes more memory,
 * and the peer decides how many such pieces there are. So are any where buffers
 * are short, rather than pin one. */
static bool must_copy(const struct wr_sock *s, const struct weir_buf *buf)
{
    return buf->len < WR_LEASE_LEAST ||
           (wr_pool_is_short(&s->t.loop->pool) && buf->lease->buf);
}

static int queue_lease(struct wr_sock *s, const struct weir_buf *buf)
{
    const struct wr_sendq_memory *memory = &s->t.loop->send_memory;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)buf->data,
                                .iov_len = buf->len};

    if (WR_LIKELY(!must_copy(s, buf))) {
        return wr_sendq_lease(&s->sendq, memory, buf);
    }
    int err = wr_sendq_copy(&s->sendq, memory, &piece, 1, buf->len);
    s->t.loop->pool.copied_bytes += err == 0 ? buf->len : 0;
    return err;
}

int wr_sock_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    struct wr_sock *s = wr_sock_of(t);
    int err = check_write(s, buf->len);
    if (err < 0 || buf->len == 0) {
        return err;
    }
    err = queue_lease(s, buf);
    if (err < 0) {
        return refuse_bytes(s, err);
    }
    queued(s, buf->len);
    return 0;
}

void wr_sock_write_eof(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state != WR_SOCK_OPEN || t->error || s->write_eof) {
        return;
    }
    s->write_eof = true;
    if (wr_sendq_is_empty(&s->sendq)) {
        wr_sock_shut_when_sent(s);
        if (t->error) {
            wr_ready_push(&t->loop->ready, &s->step);
        }
    }
}

void wr_sock_limits_changed(weir_transport *t)
{
    wr_transport_check_high(t, wr_sock_of(t)->sendq.bytes);
}

/* The descriptor is not closed before the operation has ended: a peer that is
 * to see a reset is told now. A Unix socket has no resets. */
static void reset_now(struct wr_sock *s)
{
    struct weir_address own;

    /* Remembers it while there is one. */
    s->t.ops->get_sockname(&s->t, &own);
    if (wr_sys_disconnect(s->fd) < 0) {
        wr_ignore(wr_sys_shutdown(s->fd, SHUT_RDWR) < 0);
    }
}

bool wr_sock_end_send(struct wr_sock *s)
{
    wr_list_remove(&s->sender.link);
    wr_op_cancel(&s->t.loop->uring, &s->send_op);
    if (s->send_op.in_flight && s->resets) {
        reset_now(s);
    }
    return !s->send_op.in_flight;
}

void wr_sock_drop_queue(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    s->t.has_dropped |= s->sendq.bytes > 0;
    s->t.loop->pool.budget.queued_bytes -= s->sendq.bytes;
    wr_sendq_clear(&s->sendq, &s->t.loop->send_memory);
    wr_loop_leave_if_forked(s->t.loop); /* by a release callback */
}

void wr_sock_drop_broken_queue(struct wr_sock *s)
{
    wr_sock_drop_queue(s);
    if (s->state == WR_SOCK_OPEN && (s->paused || s->t.flushed)) {
        /* A protocol that reads no more while it may not write would wait
         * for ever, and so would what was kept for it. */
        wr_transport_check_low(&s->t, s->sendq.bytes);
    }
}

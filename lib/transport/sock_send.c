/*
 * Stream sockets: sending.
 *
 * Writes go to the queue, and at the end of the turn the whole queue leaves as
 * one send. Only one is in flight: two sends on a stream may be reordered as
 * soon as the first has to wait. A send is bounded, so that progress is seen
 * while a slow peer takes megabytes; the next one takes the rest of a short
 * one.
 *
 *     idle --flush--> sending --taken, failed--> idle
 *                        \--no room--> waiting --room, error--> idle
 *
 * A send takes what the socket has room for and never waits: the peer would say
 * for how long (see SEND_FLAGS in op.c). A poll waits, with the same operation.
 *
 * While a file is being sent writes are refused, so that an operation that is
 * in flight over an empty queue is the file's.
 */
#include "sock_impl.h"

#include <poll.h>
#include <string.h>

#define SEND_BYTES_MIN (256u << 10)
#define SEND_SHORT     (64u << 10) /* longer ones have a budget in each turn */

static inline void sock_send_make_dirty(struct wr_sock *s)
{
    wr_debug_assert(!wr_sendq_is_empty(&s->sendq));
    wr_debug_assert(!wr_sock_is_over(s));
    if (!s->send_op.in_flight) {
        wr_loop_at_turn_end(s->t.loop, &s->turn_end);
    }
}

/* Other long sends have used up the turn's budget. The peer's time begins with
 * the send. */
static void sock_send_postpone(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    wr_sock_note_sent(s);
    wr_loop_at_turn_end(s->t.loop, &s->turn_end);
}

static __attribute__((noinline)) void sock_send_pieces(struct wr_sock *s)
{
    struct wr_budget *budget = &s->t.loop->budget;
    struct iovec iov[WR_IOV_MAX];
    uint64_t bytes = 0;

    if (s->sendq.bytes > SEND_SHORT && !wr_budget_may_send(budget)) {
        sock_send_postpone(s);
        return;
    }
    const uint32_t count =
        wr_sendq_gather(&s->sendq, iov, WR_IOV_MAX,
                        wr_max_u64(s->t.high_bytes, SEND_BYTES_MIN));
    wr_assert(count > 0);
    wr_assert(iov[0].iov_len > 0);
    for (uint32_t i = 0; i < count; i++) {
        bytes += iov[i].iov_len;
    }
    if (bytes > SEND_SHORT) {
        wr_budget_send(budget, bytes);
    }
    wr_prep_sendv(&s->t.loop->uring, &s->send_op, s->fd, iov, count);
}

static void sock_send_flush(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    const struct wr_chunk *head = s->sendq.head;

    wr_debug_assert(!s->send_op.in_flight);
    wr_debug_assert(!s->polls_for_room);
    if (WR_UNLIKELY(s->t.error || s->state >= WR_SOCK_LINGERING)) {
        return;
    }
    if (WR_LIKELY(head->len <= SEND_SHORT && !head->next)) {
        wr_prep_send(&s->t.loop->uring, &s->send_op, s->fd, head->data,
                     head->len);
    } else {
        sock_send_pieces(s);
    }
}

void wr_sock_shut_when_sent(struct wr_sock *s)
{
    if (!s->write_eof || s->write_shut || wr_sock_has_unsent(s)) {
        return;
    }
    wr_assert(!s->send_op.in_flight);
    s->write_shut = true;
    int err = wr_sys_shutdown(s->fd, SHUT_WR);
    /* A peer that is gone already is found out by the receive. */
    if (err < 0 && err != -ENOTCONN) {
        wr_transport_set_error(&s->t, err, "shutdown");
        wr_sock_doom(s);
    }
}

static void sock_send_took(struct wr_sock *s, uint32_t bytes)
{
    weir_loop *loop = s->t.loop;

    wr_check(bytes <= s->sendq.bytes);
    wr_assert(!s->in_resume);
    wr_budget_unqueue(&loop->budget, bytes);
    loop->counts.sent_bytes += bytes;
    wr_sock_note_sent(s);
    wr_sendq_consume(&s->sendq, &s->t.loop->send_memory, bytes);
    wr_loop_leave_if_forked(loop); /* by a release callback */
    if (WR_LIKELY(s->t.notify_depth < 0) || wr_sock_is_over(s) || s->t.error) {
        return; /* a release callback may have ended it */
    }
    s->in_resume = true;
    wr_transport_check_low(&s->t, s->sendq.bytes);
    s->in_resume = false;
}

/* A single poll sees room that is there already. After the peer's FIN it would
 * end at once for that alone: then a multishot one waits, and is cancelled. */
static void sock_send_wait_for_room(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    wr_assert(!wr_list_is_linked(&s->turn_end.link));
    wr_assert(!wr_sock_is_over(s));
    wr_assert(wr_sock_has_unsent(s));
    s->polls_for_room = true;
    wr_prep_poll(&s->t.loop->uring, &s->send_op, s->fd, POLLOUT, s->fin_seen);
}

static void sock_send_failed(struct wr_sock *s, int err)
{
    wr_assert(err < 0);
    wr_assert(!wr_sock_is_over(s));
    if (err == -EINTR || err == -EAGAIN || err == -ECANCELED) {
        return;
    }
    wr_transport_set_error(&s->t, err, "send");
    /* Bytes that arrived before can still be read, and then the end. */
    wr_ignore(wr_sys_shutdown(s->fd, SHUT_RDWR) < 0);
}

/* The file has made a step, or its socket is broken. */
static void sock_send_file_went(struct wr_sock *s, enum wr_file_step step,
                                int err)
{
    if (wr_sock_is_over(s)) {
        return;
    }
    if (step == WR_FILE_BREAKS) {
        sock_send_failed(s, err);
    }
    if (s->t.error) {
        wr_sock_file_stop(s, s->t.error);
        wr_sock_push_step(s);
        return;
    }
    switch (step) {
    case WR_FILE_GOES_ON:
        wr_ready_push(&s->t.loop->ready, &s->file->ready);
        break;
    case WR_FILE_LACKS_ROOM:
        sock_send_wait_for_room(s);
        break;
    case WR_FILE_WAITS:
    case WR_FILE_BREAKS:
        break;
    }
}

/* Stands in for sock_send_flush(), which knows no empty queue. The file may
 * have ended since, and bytes may have been written behind it. */
static void sock_send_flush_file(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    int err = 0;

    s->turn_end.run = sock_send_flush;
    if (!wr_sendq_is_empty(&s->sendq)) {
        sock_send_flush(turn_end);
        return;
    }
    if (s->t.error == 0 && s->state < WR_SOCK_LINGERING &&
        wr_sock_file_is_next(s)) {
        const enum wr_file_step step = wr_sock_file_move(s, &err);
        sock_send_file_went(s, step, err);
    }
}

void wr_sock_send_file_later(struct wr_sock *s)
{
    wr_assert(s->sends_file);
    s->turn_end.run =
        wr_sendq_is_empty(&s->sendq) ? sock_send_flush_file : sock_send_flush;
    wr_loop_at_turn_end(s->t.loop, &s->turn_end);
}

/* A poll for room has completed: there is room, or something that the next send
 * will tell. False: the wait goes on. */
static bool sock_send_has_waited(struct wr_sock *s, int32_t res)
{
    const bool is_over =
        res < 0 || ((uint32_t)res & (POLLOUT | POLLERR | POLLHUP)) != 0;

    if (s->send_op.in_flight) {
        wr_assert(s->fin_seen);
        if (is_over) {
            wr_op_cancel(&s->t.loop->uring, &s->send_op);
        }
        return false;
    }
    s->polls_for_room = false;
    if (is_over || wr_sock_is_over(s) || s->t.error ||
        (s->sends_file && s->file->state == WR_FILE_STOPPING)) {
        return true;
    }
    s->fin_seen = true;
    sock_send_wait_for_room(s);
    return false;
}

/* Sends the rest of the queue, waits for room, or ends the writing side. */
static void sock_send_go_on(struct wr_sock *s, int32_t res)
{
    wr_assert(!s->send_op.in_flight);
    wr_assert(!s->polls_for_room);
    if (s->t.error) {
        wr_sock_drop_broken_queue(s);
    } else if (wr_sock_is_over(s)) {
        return;
    } else if (res == -EAGAIN) {
        sock_send_wait_for_room(s);
    } else if (!wr_sendq_is_empty(&s->sendq)) {
        sock_send_make_dirty(s);
    } else if (WR_UNLIKELY(s->sends_file)) {
        wr_sock_send_file_later(s);
    } else if (WR_UNLIKELY(s->write_eof)) {
        wr_sock_shut_when_sent(s);
    }
}

bool wr_sock_send_ended(struct wr_sock *s, int32_t res)
{
    if (s->polls_for_room) {
        if (!sock_send_has_waited(s, res)) {
            return false;
        }
        res = res < 0 ? res : -EINTR; /* nothing was sent: once more */
    }
    wr_assert(!s->send_op.in_flight);
    if (WR_UNLIKELY(wr_sendq_is_empty(&s->sendq))) {
        sock_send_file_went(s, wr_sock_file_sent(s, res), res);
        return true;
    }
    s->sent_short = s->sendq.bytes > (res > 0 ? (uint32_t)res : 0);
    if (!wr_sock_is_over(s)) {
        if (res >= 0) {
            sock_send_took(s, (uint32_t)res);
        } else {
            sock_send_failed(s, res);
        }
    }
    sock_send_go_on(s, res);
    return true;
}

void wr_sock_send_init(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_UNBORN);
    wr_sendq_init(&s->sendq);
    wr_list_init(&s->turn_end.link);
    s->turn_end.run = sock_send_flush;
}

/* There is no room for bytes that could be written. A close that has begun
 * must not come to a clean end without them. */
static __attribute__((noinline)) int sock_send_refuse_bytes(struct wr_sock *s,
                                                            int err)
{
    wr_assert(err == -ENOBUFS || err == -ENOMEM);
    err = wr_transport_refuse(&s->t, err);
    if (s->state == WR_SOCK_CLOSING) {
        s->t.has_dropped = true;
        wr_transport_set_error(&s->t, err, "write");
    }
    return err;
}

static __attribute__((noinline)) int sock_send_refuse_write(struct wr_sock *s,
                                                            size_t len)
{
    wr_require(s->t.error == 0, -EPIPE);
    wr_require(s->state == WR_SOCK_OPEN ||
                   (s->state == WR_SOCK_CLOSING && s->in_resume),
               -ESHUTDOWN);
    wr_require(!s->write_eof, -ESHUTDOWN);
    wr_require(!s->sends_file, -EBUSY);
    wr_require(s->t.write_error == 0, s->t.write_error);
    if (len > 0 && (len > s->t.hard_limit_bytes ||
                    s->sendq.bytes > s->t.hard_limit_bytes - len)) {
        return sock_send_refuse_bytes(s, -ENOBUFS);
    }
    return 0;
}

/* True when @len more bytes may be written. */
static inline bool sock_send_has_room(const struct wr_sock *s, size_t len)
{
    if (s->write_eof || s->sends_file) {
        return false;
    }
    return s->state == WR_SOCK_OPEN && wr_transport_can_write(&s->t) &&
           len <= s->t.hard_limit_bytes &&
           s->sendq.bytes <= s->t.hard_limit_bytes - len;
}

/* 0 when @len more bytes may be written, or why not. */
static inline int sock_send_check_write(struct wr_sock *s, size_t len)
{
    return WR_LIKELY(sock_send_has_room(s, len))
               ? 0
               : sock_send_refuse_write(s, len);
}

static inline void sock_send_queue_for_sending(struct wr_sock *s,
                                               weir_loop *loop, size_t len)
{
    wr_debug_assert(len > 0 && len <= s->sendq.bytes);
    wr_budget_queue(&loop->budget, len);
    if (WR_UNLIKELY(s->times != NULL) && s->sendq.bytes == len) {
        wr_sock_note_sent(s); /* the stall clock starts with the first byte */
        wr_sock_times_changed(s);
    }
    sock_send_make_dirty(s);
}

/* More is queued than the least share: the protocol is asked to pause when it
 * is more than its share now. A connection that goes on writing is not received
 * from any more, while its peer does not read what is queued. */
static __attribute__((noinline)) void sock_send_queued_much(struct wr_sock *s)
{
    const struct wr_budget *budget = &s->t.loop->budget;

    wr_assert(s->sendq.bytes > s->t.check_bytes);
    if (WR_UNLIKELY(wr_sock_stuck_bytes(s) > wr_budget_queued_share(budget))) {
        wr_sock_recv_revoke(s);
    }
    wr_transport_check_high(&s->t, s->sendq.bytes);
}

static inline void sock_send_check_queue(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->sendq.bytes > s->t.check_bytes)) {
        sock_send_queued_much(s);
    }
}

static inline void sock_send_queued(struct wr_sock *s, size_t len)
{
    sock_send_queue_for_sending(s, s->t.loop, len);
    sock_send_check_queue(s);
}

/* Writes bytes for which the last block of the queue has no room. */
static __attribute__((noinline)) int
sock_send_write_more(struct wr_sock *s, const void *data, size_t len)
{
    weir_loop *loop = s->t.loop;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    int err = wr_sendq_copy(&s->sendq, &loop->send_memory, &piece, 1, len);
    if (WR_UNLIKELY(err < 0)) {
        return sock_send_refuse_bytes(s, err);
    }
    loop->counts.copied_by_write += len;
    sock_send_queued(s, len);
    return 0;
}

/* Writes nothing, or bytes that may be refused; the others seldom, while a
 * close sends the queue. */
static __attribute__((noinline)) int
sock_send_write_anyway(struct wr_sock *s, const void *data, size_t len)
{
    int err = sock_send_check_write(s, len);
    return err < 0 || len == 0 ? err : sock_send_write_more(s, data, len);
}

int wr_sock_write(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_sock_debug_check(s);
    if (WR_UNLIKELY(len == 0 || !sock_send_has_room(s, len))) {
        return sock_send_write_anyway(s, data, len);
    }
    void *room = wr_sendq_extend(&s->sendq, &loop->send_memory, len);
    if (WR_UNLIKELY(!room)) {
        return sock_send_write_more(s, data, len);
    }
    loop->counts.copied_by_write += len;
    sock_send_queue_for_sending(s, loop, len);
    memcpy(room, data, len); /* last: nothing has to be kept across it */
    sock_send_check_queue(s);
    return 0;
}

int wr_sock_writelines(weir_transport *t, const struct iovec *iov, size_t count,
                       size_t total)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    int err = sock_send_check_write(s, total);
    if (err < 0 || total == 0) {
        return err;
    }
    err = wr_sendq_copy(&s->sendq, &t->loop->send_memory, iov, count, total);
    if (err < 0) {
        return sock_send_refuse_bytes(s, err);
    }
    t->loop->counts.copied_by_write += total;
    sock_send_queued(s, total);
    return 0;
}

int wr_sock_write_ref(weir_transport *t, const void *data, size_t len,
                      weir_release_fn *release, void *arg)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    int err = sock_send_check_write(s, len);
    if (err < 0 || len == 0) {
        return err;
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    err =
        wr_sendq_ref(&s->sendq, &s->t.loop->send_memory, &piece, release, arg);
    if (err < 0) {
        return sock_send_refuse_bytes(s, err);
    }
    sock_send_queued(s, len);
    return 0;
}

/* Few bytes are copied: to keep account of where they lie takes more memory,
 * and the peer decides how many such pieces there are. So are any where buffers
 * are short, rather than pin one. */
static bool sock_send_must_copy(const struct wr_sock *s,
                                const struct weir_buf *buf)
{
    return buf->len < WR_LEASE_LEAST ||
           (wr_pool_is_short(&s->t.loop->pool) && buf->lease->buf);
}

static int sock_send_queue_lease(struct wr_sock *s, const struct weir_buf *buf)
{
    const struct wr_sendq_memory *memory = &s->t.loop->send_memory;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)buf->data,
                                .iov_len = buf->len};

    if (WR_LIKELY(!sock_send_must_copy(s, buf))) {
        return wr_sendq_lease(&s->sendq, memory, buf);
    }
    int err = wr_sendq_copy(&s->sendq, memory, &piece, 1, buf->len);
    s->t.loop->pool.copied_bytes += err == 0 ? buf->len : 0;
    return err;
}

int wr_sock_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    wr_assert(buf->len == 0 || buf->lease->refs > 0);
    int err = sock_send_check_write(s, buf->len);
    if (err < 0 || buf->len == 0) {
        return err;
    }
    err = sock_send_queue_lease(s, buf);
    if (err < 0) {
        return sock_send_refuse_bytes(s, err);
    }
    sock_send_queued(s, buf->len);
    return 0;
}

void wr_sock_write_eof(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state != WR_SOCK_OPEN || t->error || s->write_eof) {
        return;
    }
    s->write_eof = true;
    wr_sock_shut_when_sent(s);
    wr_sock_check_invariants(s);
}

void wr_sock_limits_changed(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_check_invariants(s);
    wr_transport_check_high(t, s->sendq.bytes);
}

/* The descriptor is not closed before the operation has ended: a peer that is
 * to see a reset is told now. A Unix socket has no resets. */
static void sock_send_reset_now(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_ENDING);
    wr_sock_remember_names(s); /* while there are some */
    if (wr_sys_disconnect(s->fd) < 0) {
        wr_ignore(wr_sys_shutdown(s->fd, SHUT_RDWR) < 0);
    }
}

void wr_sock_end_send(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_ENDING);
    wr_list_remove(&s->turn_end.link);
    wr_op_cancel(&s->t.loop->uring, &s->send_op);
    if (s->send_op.in_flight && s->resets) {
        sock_send_reset_now(s);
    }
}

void wr_sock_drop_queue(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    wr_assert(s->t.error || s->state == WR_SOCK_ENDING);
    s->t.has_dropped |= s->sendq.bytes > 0;
    wr_budget_unqueue(&s->t.loop->budget, s->sendq.bytes);
    wr_sendq_clear(&s->sendq, &s->t.loop->send_memory);
    wr_loop_leave_if_forked(s->t.loop); /* by a release callback */
}

void wr_sock_drop_broken_queue(struct wr_sock *s)
{
    wr_assert(s->t.error);
    wr_sock_drop_queue(s);
    wr_sock_file_stop(s, s->t.error);
    if (wr_sock_awaits_drop(s)) {
        wr_transport_notify(&s->t, s->sendq.bytes);
    }
}

/*
 * Stream sockets: sending. Writes are queued, and at the end of the loop
 * iteration one send covers the whole queue. Only one send is in flight: if it
 * took only its first bytes, a second send would overtake the others. A send is
 * bounded, so that progress is seen while a slow peer takes megabytes.
 *
 *     idle --flush--> sending --taken, failed--> idle
 *                        \--no space--> waiting --space, error--> idle
 *
 * A send never waits in the kernel, because the peer would decide for how long
 * (see SEND_FLAGS in op.c). A poll waits, with the same operation.
 *
 * A file is sent in pieces, each at the end of an iteration, when the queue is
 * empty and the kernel has space: from the page cache, or from a chunk that the
 * ring has read (sender.c). Writes are refused meanwhile, so an operation in
 * flight over an empty queue belongs to the file. A short file is copied to the
 * queue, and removed if the file is cancelled before the kernel has taken it.
 */
#include "sock_impl.h"

#include <poll.h>
#include <string.h>

#define SEND_SHORT (64u << 10) /* longer sends share a budget per iteration */

/* ---- the first send, which connects ----
 *
 * With TCP_FASTOPEN_CONNECT, connect() has sent nothing, because the kernel has
 * a cookie of the server. The first send takes the first bytes of the queue
 * along with the SYN, at the end of the loop iteration in which the socket was
 * made. If the queue is empty, the SYN is sent one iteration later, even
 * without bytes: the protocol may wait for its peer to speak, and TLS may start
 * in a task.
 *
 *     SYN to be sent --end of the iteration--> waiting --answer--> opened
 *
 * Then a poll waits for the answer. Until then the outbox reports unsent data,
 * and write_eof and close wait: in SYN_SENT, shutdown() and close() drop the
 * connection and its bytes (inet_shutdown()). */

static void sock_send_opening(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    const struct wr_chunk *head = s->c.outbox.queue.head;

    wr_assert(s->c.outbox.is_opening && !s->has_sent);
    wr_assert(!s->send_op.in_flight);
    if (s->c.t.error || s->c.t.state >= WR_LIFE_LINGERING) {
        return;
    }
    wr_sock_note_sent(s);
    wr_connection_time_changed(&s->c);
    wr_prep_send(&s->c.t.loop->uring, &s->send_op, s->c.t.fd,
                 head ? head->data : (const void *)"", head ? head->len : 0);
}

static void sock_send_first_open(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);

    wr_assert(s->c.outbox.is_opening && !s->has_sent);
    s->turn_end.run = sock_send_opening;
    if (wr_sendq_is_empty(&s->c.outbox.queue)) {
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    } else {
        sock_send_opening(turn_end);
    }
}

void wr_sock_opening_begin(struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_NEW);
    s->sent_short = true; /* the end of a send takes the slow path */
    s->c.outbox.is_opening = true;
    s->turn_end.run = sock_send_first_open;
}

/* @events are the answer to the SYN. Returns 0, or the error of connecting. */
WEIR_MUST_USE static int sock_send_opening_ended(struct wr_sock *s,
                                                 uint32_t events)
{
    int err = 0;
    socklen_t len = sizeof(err);

    wr_assert(s->c.outbox.is_opening && s->has_sent && events != 0);
    s->c.outbox.is_opening = false;
    if (!(events & (POLLERR | POLLHUP)) || wr_life_is_over(&s->c.t) ||
        s->c.t.error) {
        return 0;
    }
    /* If SO_ERROR is 0, a receive has taken the error and reports it. */
    wr_ignore(wr_sys_getsockopt(s->c.t.fd, SOL_SOCKET, SO_ERROR, &err, &len));
    return -err;
}

static __attribute__((noinline)) void sock_send_pieces(struct wr_sock *s,
                                                       uint64_t most)
{
    struct wr_budget *budget = &s->c.t.loop->budget;
    struct iovec iov[WR_IOV_MAX];
    uint64_t bytes = 0;

    if (s->c.outbox.queue.bytes > SEND_SHORT && !wr_budget_may_send(budget)) {
        /* Other long sends have used up this iteration's budget. */
        wr_assert(!s->send_op.in_flight);
        wr_sock_note_sent(s);
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
        return;
    }
    const uint32_t count = wr_sendq_gather(
        &s->c.outbox.queue, iov, WR_IOV_MAX,
        wr_min_u64(most, wr_max_u64(s->c.t.high_bytes, WR_SEND_BYTES_MIN)));
    wr_assert(count > 0);
    wr_assert(iov[0].iov_len > 0);
    for (uint32_t i = 0; i < count; i++) {
        bytes += iov[i].iov_len;
    }
    if (bytes > SEND_SHORT) {
        wr_budget_send(budget, bytes);
    }
    wr_prep_sendv(&s->c.t.loop->uring, &s->send_op, s->c.t.fd, iov, count);
}

static void sock_send_flush(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    const struct wr_chunk *head = s->c.outbox.queue.head;

    wr_debug_assert(!s->send_op.in_flight);
    wr_debug_assert(!s->c.outbox.is_stalled);
    if (WR_UNLIKELY(s->c.t.error || s->c.t.state >= WR_LIFE_LINGERING)) {
        return;
    }
    if (WR_LIKELY(head->len <= SEND_SHORT && !head->next)) {
        wr_prep_send(&s->c.t.loop->uring, &s->send_op, s->c.t.fd, head->data,
                     head->len);
    } else {
        sock_send_pieces(s, UINT64_MAX);
    }
}

static void sock_send_flush_first(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);

    wr_assert(!s->has_sent);
    s->has_sent = true;
    turn_end->run = sock_send_flush;
    sock_send_flush(turn_end);
}

/* Replaces sock_send_flush() while descriptors wait. A send carries them with
 * its first byte, or ends before their byte. */
static void sock_send_flush_fds(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    struct iovec piece;

    if (!s->sends_fds) {
        s->turn_end.run = sock_send_flush;
        sock_send_flush(turn_end);
        return;
    }
    wr_assert(!s->send_op.in_flight);
    if (s->c.t.error || s->c.t.state >= WR_LIFE_LINGERING) {
        return;
    }
    const uint64_t most = wr_sock_fds_reach(s);
    if (!wr_sock_fds_are_next(s)) {
        sock_send_pieces(s, most);
        return;
    }
    const uint32_t count = wr_sendq_gather(&s->c.outbox.queue, &piece, 1,
                                           wr_min_u64(most, SEND_SHORT));
    wr_assert(count == 1);
    wr_sock_fds_send(s, &piece);
}

static void sock_send_took(struct wr_sock *s, uint32_t bytes)
{
    wr_check(bytes <= s->c.outbox.queue.bytes);
    wr_transport_count_sent(&s->c.t, bytes);
    wr_sock_note_sent(s);
    wr_outbox_forget_dropped(&s->c.outbox);
    if (WR_UNLIKELY(s->sends_fds)) {
        wr_sock_fds_took(s, bytes); /* A release callback may send more. */
    }
    wr_outbox_consume(&s->c.t, bytes);
    if (WR_UNLIKELY(s->c.t.must_notify)) {
        wr_outbox_notify(&s->c.t);
    }
}

/* A single-shot POLLOUT also reports existing space. But it completes at once
 * without space after the peer's FIN. Then an edge-triggered multishot poll is
 * used, and cancelled. */
static void sock_send_wait_for_room(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    wr_assert(!wr_list_is_linked(&s->turn_end.link));
    wr_assert(!wr_life_is_over(&s->c.t));
    wr_assert(wr_outbox_has_unsent(&s->c.outbox));
    wr_outbox_stall(&s->c.t);
    s->has_waited = true;
    wr_prep_poll(&s->c.t.loop->uring, &s->send_op, s->c.t.fd, POLLOUT,
                 s->fin_seen);
}

void wr_sock_send_failed(struct wr_sock *s, int err)
{
    wr_assert(err < 0);
    wr_assert(!wr_life_is_over(&s->c.t));
    if (wr_res_is_transient(err)) {
        return;
    }
    wr_transport_set_error(&s->c.t, err, "send");
    /* Bytes that have arrived can still be read, and then the end. */
    wr_ignore(wr_sys_shutdown(s->c.t.fd, SHUT_RDWR) < 0);
}

/* Replaces sock_send_flush(), which needs queued bytes. Bytes may have been
 * written since the end of the file. */
static void sock_send_flush_file(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);

    s->turn_end.run = sock_send_flush_fds;
    if (!wr_sendq_is_empty(&s->c.outbox.queue)) {
        sock_send_flush_fds(turn_end);
        return;
    }
    if (s->c.t.error == 0 && s->c.t.state < WR_LIFE_LINGERING &&
        s->sends_file) {
        wr_sender_go_on(s->c.outbox.sender);
    }
}

static void sock_send_file_later(struct wr_sock *s)
{
    wr_assert(s->sends_file);
    s->has_sent = true;
    if (wr_sendq_is_empty(&s->c.outbox.queue)) {
        s->turn_end.run = sock_send_flush_file;
        wr_loop_move_later(s->c.t.loop, &s->turn_end);
    } else {
        s->turn_end.run = sock_send_flush_fds;
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    }
}

/* False if the wait continues. The next send returns an error of @res. */
static __attribute__((noinline)) bool sock_send_has_waited(struct wr_sock *s,
                                                           int32_t res)
{
    const bool is_over =
        res < 0 || ((uint32_t)res & (POLLOUT | POLLERR | POLLHUP)) != 0;

    if (s->send_op.in_flight) {
        wr_assert(s->fin_seen);
        if (is_over) {
            wr_op_cancel(&s->c.t.loop->uring, &s->send_op);
        }
        return false;
    }
    wr_outbox_go_on(&s->c.outbox);
    if (WR_UNLIKELY(s->c.outbox.is_opening) && res > 0) {
        const int err = sock_send_opening_ended(s, (uint32_t)res);
        if (err < 0) {
            wr_sock_send_failed(s, err);
        }
    }
    if (is_over || wr_life_is_over(&s->c.t) || s->c.t.error ||
        s->c.t.state == WR_LIFE_MOVING ||
        (s->sends_file && s->c.outbox.sender->state == WR_SENDER_STOPPING)) {
        return true;
    }
    s->fin_seen = true;
    sock_send_wait_for_room(s);
    return false;
}

static void sock_send_go_on(struct wr_sock *s, int32_t res)
{
    wr_assert(!s->send_op.in_flight);
    wr_assert(!s->c.outbox.is_stalled);
    if (s->c.t.error) {
        wr_connection_drop_queue(&s->c);
    } else if (wr_life_is_over(&s->c.t) || s->c.t.state == WR_LIFE_MOVING) {
        return;
    } else if (!wr_sendq_is_empty(&s->c.outbox.queue)) {
        if (res == -EAGAIN) {
            sock_send_wait_for_room(s);
        } else {
            wr_sock_make_dirty(s);
        }
    } else if (WR_UNLIKELY(s->sends_file)) {
        wr_assert(wr_sendq_is_empty(&s->c.outbox.queue));
        if (s->c.outbox.sender->file.left == 0) {
            wr_sender_go_on(s->c.outbox.sender);
        } else {
            sock_send_file_later(s);
        }
    } else {
        wr_connection_shut_when_sent(&s->c);
    }
}

/* Removes the file's bytes among the last @waiting bytes of the queue, unless
 * the whole queue will be dropped. */
static void sock_send_no_more_of_file(struct wr_sock *s, uint64_t waiting)
{
    struct wr_sendq *queue = &s->c.outbox.queue;
    const uint64_t lost = wr_sender_take_back(s->c.outbox.sender, waiting);

    wr_assert(!s->send_op.in_flight);
    if (lost > 0 && !wr_life_is_over(&s->c.t)) {
        wr_assert(queue->tail->len == lost);
        wr_budget_unqueue(&s->c.t.loop->budget, lost);
        wr_sendq_drop_last(queue, &s->c.t.loop->send_memory);
    }
}

/* Ends a stopping file after a send of the queue. @took bytes were sent but are
 * still in the queue, if the connection's end was decided before. */
static void sock_send_ended_before_file(struct wr_sock *s, uint32_t took)
{
    struct wr_sender *file = s->c.outbox.sender;
    const bool stops = file->state == WR_SENDER_STOPPING;

    wr_assert(!file->read_op.base.in_flight);
    wr_check(took <= s->c.outbox.queue.bytes);
    if (stops || (wr_life_is_over(&s->c.t) && file->state != WR_SENDER_DONE)) {
        sock_send_no_more_of_file(s, s->c.outbox.queue.bytes - took);
    }
    if (stops) {
        wr_sender_stopped(file);
    }
}

/* Removes the sent bytes from the queue. Returns true, and leaves them there,
 * if the connection's end was already decided. */
static bool sock_send_account(struct wr_sock *s, int32_t res)
{
    if (wr_life_is_over(&s->c.t)) {
        return true;
    }
    if (res >= 0) {
        sock_send_took(s, (uint32_t)res);
    } else {
        wr_sock_send_failed(s, res);
    }
    return false;
}

bool wr_sock_send_ended_opening(struct wr_sock *s, int32_t res)
{
    if (!s->c.outbox.is_stalled) {
        /* A SYN without bytes counts as -EINTR. With -EINPROGRESS the cookie
         * had become invalid, and the bytes must be sent again. */
        const bool is_alone = res == 0 || res == -EINPROGRESS;

        wr_assert(s->c.outbox.is_opening && !s->send_op.in_flight);
        if ((res > 0 || is_alone) && !wr_life_is_over(&s->c.t)) {
            wr_sock_send_go_on_from(s);
        }
        res = is_alone ? -EINTR : res;
    } else if (!sock_send_has_waited(s, res)) {
        return false;
    } else {
        res = res < 0 ? res : -EINTR;
    }
    s->sent_short =
        s->c.outbox.is_opening || !wr_sendq_is_empty(&s->c.outbox.queue);
    const bool was_over = sock_send_account(s, res);
    if (s->sends_file) {
        sock_send_ended_before_file(s, was_over && res > 0 ? (uint32_t)res : 0);
    }
    if (s->c.outbox.is_opening && s->c.t.error == 0 &&
        !wr_life_is_over(&s->c.t)) {
        /* An interrupted SYN is sent in the next loop iteration. */
        if (s->has_sent) {
            wr_list_remove(&s->turn_end.link); /* bytes were written since */
            sock_send_wait_for_room(s);
        } else {
            wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
        }
    } else {
        sock_send_go_on(s, res);
    }
    return true;
}

bool wr_sock_send_ended(struct wr_sock *s, int32_t res)
{
    wr_debug_assert(!s->c.outbox.is_opening);
    if (s->c.outbox.is_stalled) {
        if (!sock_send_has_waited(s, res)) {
            return false;
        }
        res = res < 0 ? res : -EINTR;
    }
    wr_assert(!s->send_op.in_flight);
    if (WR_UNLIKELY(wr_sendq_is_empty(&s->c.outbox.queue))) {
        /* A send or a poll of the file has ended. */
        wr_assert(s->sends_file);
        if (res > 0) {
            wr_transport_count_sent(&s->c.t, (uint32_t)res);
        }
        wr_sender_sent(s->c.outbox.sender, res);
        return true;
    }
    s->sent_short = s->c.outbox.queue.bytes > (res > 0 ? (uint32_t)res : 0);
    const bool was_over = sock_send_account(s, res);
    if (WR_UNLIKELY(s->sends_file)) {
        sock_send_ended_before_file(s, was_over && res > 0 ? (uint32_t)res : 0);
    }
    sock_send_go_on(s, res);
    return true;
}

void wr_sock_send_init(struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_NEW);
    wr_list_init(&s->turn_end.link);
    s->turn_end.run = sock_send_flush_first;
}

void wr_sock_send_go_on_from(struct wr_sock *s)
{
    wr_assert(!wr_list_is_linked(&s->turn_end.link));
    s->has_sent = true;
    s->turn_end.run = sock_send_flush;
}

const struct wr_sendq *wr_sock_get_unoffered(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->send_op.in_flight ? NULL : &s->c.outbox.queue;
}

/* Offers @len cached bytes of the file. The socket stays non-blocking for
 * further pieces until it is full, the loop iteration returns to the host, or a
 * receive will be submitted, which would not wait on a non-blocking socket. */
static int64_t sock_send_offer(struct wr_sock *s, struct wr_sendfile *file,
                               size_t len)
{
    weir_loop *loop = s->c.t.loop;

    int err = wr_moves_hold_signals(loop);
    wr_require(err >= 0, err);
    if (file->flags < 0) {
        file->flags = wr_sys_begin_nonblock(s->c.t.fd);
        wr_require(file->flags >= 0, file->flags);
    }
    const int64_t res =
        wr_sys_sendfile_bare(s->c.t.fd, file->fd, file->offset, len);
    /* SIGPIPE may be pending even after a part was sent. */
    loop->moves.may_be_raised |=
        res == -EPIPE || (res >= 0 && res < (int64_t)len);
    if (res < (int64_t)len || loop->never_waits ||
        wr_ring_unsubmitted(loop->uring.ring) > 0) {
        wr_sendfile_end_burst(file, s->c.t.fd);
    }
    return res;
}

int64_t wr_sock_splice_file(weir_transport *t, struct wr_sendfile *file)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_assert(!s->send_op.in_flight);
    if (!wr_budget_may_send(&loop->budget)) {
        wr_sock_note_sent(s);
        if (loop->never_waits || wr_ring_unsubmitted(loop->uring.ring) > 0) {
            wr_sendfile_end_burst(file, s->c.t.fd);
        }
        return -EINTR;
    }
    const size_t len = wr_sendfile_cached_bytes(file, loop);
    if (len == 0) {
        wr_sendfile_end_burst(file, s->c.t.fd);
        return 0;
    }
    const int64_t res =
        wr_sendfile_offered(file, loop, len, sock_send_offer(s, file, len));
    if (res > 0) {
        wr_transport_count_sent(t, (uint64_t)res);
        wr_sock_note_sent(s);
    }
    return res;
}

int wr_sock_send_part(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(!s->send_op.in_flight);
    wr_sock_note_sent(s);
    if (wr_life_is_over(&s->c.t) || t->error) {
        return t->error ? t->error : -ECONNABORTED;
    }
    wr_prep_send(&t->loop->uring, &s->send_op, s->c.t.fd, data, len);
    return 0;
}

void wr_sock_file_went(weir_transport *t, int err)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->sends_file);
    if (wr_life_is_over(&s->c.t)) {
        return;
    }
    if (err < 0 && err != -EAGAIN) {
        wr_sock_send_failed(s, err);
    }
    if (t->error) {
        wr_sender_break(s->c.outbox.sender);
        wr_connection_push(&s->c);
    } else if (err < 0) {
        sock_send_wait_for_room(s);
    } else {
        sock_send_file_later(s);
    }
}

bool wr_sock_withdraw_file(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    const struct wr_sendq *queue = &s->c.outbox.queue;

    if (!wr_sendq_is_empty(queue) && s->c.outbox.sender->queued_bytes == 0) {
        return true; /* the file waits after written bytes */
    }
    if (s->send_op.in_flight) {
        wr_op_cancel(&t->loop->uring, &s->send_op);
        return false;
    }
    sock_send_no_more_of_file(s, queue->bytes);
    if (wr_sendq_is_empty(queue) && !s->c.outbox.is_opening) {
        wr_list_remove(&s->turn_end.link);
    }
    return true;
}

void wr_sock_file_begins(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.outbox.sender && !s->sends_file);
    s->sends_file = true;
    wr_sock_note_sent(s);
    wr_connection_time_changed(&s->c);
    if (!s->send_op.in_flight && !s->c.outbox.is_opening) {
        sock_send_file_later(s);
    }
}

/* Schedules the step, because write_eof or close may have waited for the file.
 * The step runs after `done`, in which the program may abort if the file
 * failed, so that the peer sees no clean end. */
void wr_sock_file_ended(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->sends_file);
    wr_sendfile_end_burst(&s->c.outbox.sender->file, s->c.t.fd);
    wr_outbox_notify(t); /* bytes of the file may have left the queue */
    s->sends_file = false;
    wr_connection_push(&s->c);
}

/* ---- the fast path of writes: few bytes, copied to the end of a block ---- */

/* If the kernel has had no space for more bytes than the connection's share,
 * the peer does not read. Then nothing is received from the peer, because its
 * bytes may make the program write even more. */
static __attribute__((noinline)) void sock_send_check_stuck(struct wr_sock *s)
{
    const struct wr_budget *budget = &s->c.t.loop->budget;

    wr_assert(s->c.outbox.queue.bytes > s->c.t.check_bytes);
    /* Limited to 32 bits like the argument of wr_demand_set_stuck(). */
    if (wr_min_u64(wr_sock_stuck_bytes(s), UINT32_MAX) >
        wr_budget_queued_share(budget)) {
        wr_sock_recv_revoke(s);
    }
}

static inline void sock_send_note_written(struct wr_sock *s, size_t len)
{
    wr_debug_assert(len > 0 && len <= s->c.outbox.queue.bytes);
    if (WR_UNLIKELY(s->c.clock != NULL) && s->c.outbox.queue.bytes == len) {
        wr_sock_clock_of(s)->looked_bytes = 0;
        wr_clock_begin_sending(s->c.clock);
    }
    wr_sock_make_dirty(s);
}

void wr_sock_queued(weir_transport *t, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(s->sends_fds)) {
        s->has_sent = true;
        s->turn_end.run = sock_send_flush_fds;
    }
    sock_send_note_written(s, len);
    if (s->c.outbox.queue.bytes > t->check_bytes) {
        sock_send_check_stuck(s);
    }
}

int wr_sock_write(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(len == 0 ||
                    !wr_outbox_has_room(t, &s->c.outbox,
                                        s->c.outbox.queue.bytes, len))) {
        return wr_outbox_write(t, data, len);
    }
    void *room = wr_sendq_extend(&s->c.outbox.queue, &loop->send_memory, len);
    if (WR_UNLIKELY(!room)) {
        return wr_outbox_write(t, data, len);
    }
    loop->counts.copied_by_write += len;
    wr_budget_queue(&loop->budget, len);
    sock_send_note_written(s, len);
    /* Last, so that no register is saved across the call. */
    memcpy(room, data, len);
    if (WR_UNLIKELY(s->c.outbox.queue.bytes > t->check_bytes)) {
        sock_send_check_stuck(s);
        wr_transport_check_high(t, s->c.outbox.queue.bytes);
    }
    return 0;
}

int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count)
{
    struct wr_sock *s = wr_sock_of(t);
    int err = wr_outbox_check(t, len);

    wr_connection_debug_check(&s->c);
    wr_require(err == 0, err);
    wr_assert(len > 0);
    err = wr_sock_fds_push(s, fds, count);
    wr_require(err == 0, err);
    err = wr_outbox_write(t, data, len);
    if (err < 0) {
        wr_sock_fds_take_back(s);
    }
    return err;
}

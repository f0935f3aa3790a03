/*
 * Stream sockets: the device of a connection. Every completion ends in this
 * file: other files note what happened, and then the socket continues to
 * receive, or its step does the rest. A socket is lost only after its last
 * operation has ended: until then the kernel may write to its memory, and the
 * number of its descriptor must not be reused.
 */
#include "sock_impl.h"

#include "weir/error.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

_Static_assert(WR_KEEP_ALIVE_MAX_NS / WEIR_SECONDS(1) <= INT32_MAX, "an int");

struct sock_option {
    int level;
    int name;
    int value; /* 0 leaves the option unchanged */
};

enum { SOCK_OPTIONS = 6 };

static inline bool sock_is_settled(const struct wr_sock *s)
{
    return s->c.t.state == WR_LIFE_OPEN && s->c.t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
}

/* A connection whose end is decided may have waited only for this completion.
 * An open, intact socket receives again without a step. */
static __attribute__((noinline)) void sock_go_on(struct wr_sock *s)
{
    if (wr_life_is_over(&s->c.t)) {
        wr_connection_advance(&s->c);
    } else if (s->c.t.state != WR_LIFE_OPEN || s->c.t.error) {
        wr_connection_push(&s->c);
    } else if (!wr_ready_is_pending(&s->c.t.step)) {
        wr_sock_update_recv(&s->c);
    }
}

static inline void sock_settle(struct wr_sock *s)
{
    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(!sock_is_settled(s))) {
        sock_go_on(s);
    }
}

#define BULK_LEAST (64 << 10)

static void sock_recv_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, recv_op);

    wr_debug_assert(s->c.t.state > WR_LIFE_NEW && s->c.t.state < WR_LIFE_LOST);
    wr_debug_assert(s->recv_state == WR_RECV_ARMED ||
                    s->recv_state == WR_RECV_CANCELLING);
    if (WR_UNLIKELY(!(flags & WR_CQE_MORE))) {
        wr_sock_recv_ended(s);
        if (WR_UNLIKELY(s->polls_bytes)) {
            wr_sock_bulk_polled(s, res);
            sock_settle(s);
            return;
        }
        /* Bulk starts at BULK_LEAST, or at half of the bytes that the
         * connection may hold, but never with a receive into a plain buffer. */
        wr_debug_assert(s->recv_state == WR_RECV_IDLE);
        if (WR_UNLIKELY(res > (int32_t)WR_POOL_PLAIN_SIZE) &&
            (res >= BULK_LEAST ||
             (uint64_t)res >= s->c.t.demand.account.limit_bytes / 2)) {
            wr_sock_begin_bulk(s);
        }
    }
    wr_connection_debug_check(&s->c);
    if (WR_LIKELY(flags & WR_CQE_BUFFER && res > 0)) {
        weir_lease *lease = wr_pool_borrow(&s->c.t.loop->pool,
                                           &s->c.t.demand.account, res, flags);
        if (WR_LIKELY(lease != NULL)) {
            wr_sock_received(s, lease);
        } else {
            wr_delivery_lose_bytes(
                &s->c.t, wr_pool_lost_error(&s->c.t.loop->pool, flags));
        }
    } else {
        wr_sock_recv_other(s, res, flags);
    }
    if (WR_UNLIKELY(s->extra != NULL) && !op->in_flight) {
        wr_sock_return_lent(s);
    }
    sock_settle(s);
}

/* Called when the budget lets the socket receive (DUE) or request again. */
static void sock_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->recv_state == WR_RECV_IDLE);
    wr_assert(!s->rests);
    if (queue == WR_DEMAND_DUE && wr_sock_recv_may_fill(s)) {
        wr_sock_bulk_receive(s);
    }
    sock_settle(s);
}

static void sock_poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, poll_op);
    (void)flags;

    wr_connection_check_invariants(&s->c);
    /* An error alone is not the peer's end: it stays in the socket's error
     * queue, and every poll would report it. */
    if (res > 0 && ((uint32_t)res & (POLLHUP | POLLRDHUP)) != 0 &&
        s->c.t.loop->host.misses_ends) {
        /* An armed receive may miss the remaining bytes. */
        wr_sock_recv_by_polls(s);
    }
    wr_sock_watched(s, res);
    sock_settle(s);
}

static void sock_send_settle(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->eof_doubted)) {
        wr_sock_confirm_eof(s);
    }
    if (WR_UNLIKELY(s->c.t.demand.state == WR_DEMAND_STUCK)) {
        wr_intake_leave(&s->c.t); /* the wait may have been for this send */
    }
    /* Most closes wait only for a send. A pending step advances the connection
     * in the same loop iteration, unless the end is decided. */
    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(!sock_is_settled(s)) &&
        (wr_life_is_over(&s->c.t) || !wr_ready_is_pending(&s->c.t.step))) {
        wr_connection_advance(&s->c);
    }
}

typedef bool sock_consume_fn(struct wr_sendq *q,
                             const struct wr_sendq_memory *memory,
                             uint64_t bytes);

/* Handles the common end of a send: the send took the whole queue of an intact
 * connection, @consume accepts the only chunk, and nothing but a close waits
 * for the end of the send. Otherwise has no effect and returns false. */
static inline bool sock_took(struct wr_sock *s, int32_t res,
                             sock_consume_fn *consume)
{
    weir_loop *loop = s->c.t.loop;

    wr_debug_assert(s->c.t.state <= WR_LIFE_CLOSING && s->c.t.error == 0);
    if (WR_UNLIKELY(
            res <= 0 || s->c.t.must_notify || s->sends_file || s->sends_fds ||
            s->sent_short ||
            !consume(&s->c.outbox.queue, &loop->send_memory, (uint32_t)res))) {
        return false;
    }
    wr_budget_unqueue(&loop->budget, (uint32_t)res);
    wr_transport_count_sent(&s->c.t, (uint32_t)res);
    wr_sock_note_sent(s);
    return true;
}

/* Like sock_is_settled(); an open outbox implies state OPEN. */
static inline bool sock_may_send_on(const struct wr_sock *s)
{
    wr_debug_assert(s->c.outbox.state != WR_OUTBOX_OPEN ||
                    s->c.t.state == WR_LIFE_OPEN);
    return s->c.outbox.state == WR_OUTBOX_OPEN && s->c.t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
}

static __attribute__((noinline)) void sock_send_went(struct wr_sock *s,
                                                     int32_t res)
{
    const bool took_all = s->c.t.state == WR_LIFE_CLOSING &&
                          s->c.t.error == 0 &&
                          sock_took(s, res, wr_sendq_consume_all);

    if (took_all || wr_sock_send_ended(s, res)) {
        sock_send_settle(s);
    }
}

static __attribute__((noinline)) void
sock_send_went_unreleased(struct wr_sock *s, int32_t res)
{
    wr_debug_assert(wr_sendq_starts_unreleased(&s->c.outbox.queue));
    if (!sock_took(s, res, wr_sendq_consume_ref)) {
        sock_send_went(s, res);
    }
}

static void sock_send_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    (void)flags;

    wr_debug_assert(s->c.t.state > WR_LIFE_NEW && s->c.t.state < WR_LIFE_LOST);
    wr_debug_assert(wr_outbox_has_unsent(&s->c.outbox));
    if (WR_UNLIKELY(!sock_may_send_on(s))) {
        sock_send_went(s, res);
    } else if (WR_UNLIKELY(!sock_took(s, res, wr_sendq_consume_all))) {
        if (wr_sendq_starts_unreleased(&s->c.outbox.queue)) {
            sock_send_went_unreleased(s, res);
        } else {
            sock_send_went(s, res);
        }
    }
}

static void sock_opening_completed(struct wr_op *op, int32_t res,
                                   uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    (void)flags;

    wr_assert(s->c.outbox.is_opening);
    const bool is_end = wr_sock_send_ended_opening(s, res);
    if (!s->c.outbox.is_opening) {
        op->complete = sock_send_completed;
    }
    if (is_end) {
        sock_send_settle(s);
    }
}

/* ---- addresses and the peer's credentials ----
 *
 * Most programs query no address, so none is stored until the kernel is about
 * to forget it: before a reset from this side, before a move to another loop,
 * and at the loss of a connection that has other references. */

static const struct wr_sock_names *sock_names_of(const struct wr_sock *s)
{
    return s->extra ? s->extra->names : NULL;
}

static void sock_get_peername(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);
    const struct wr_sock_names *names = sock_names_of(s);

    if (WR_UNLIKELY(names != NULL)) {
        *ret = names->peername;
    } else {
        wr_ignore(wr_socket_ask_peername(s->c.t.fd, ret));
    }
}

static void sock_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);
    const struct wr_sock_names *names = sock_names_of(s);

    if (WR_UNLIKELY(names != NULL)) {
        *ret = names->sockname;
    } else {
        wr_ignore(wr_socket_ask_sockname(s->c.t.fd, ret));
    }
}

static void sock_ask_peercred(const struct wr_sock *s,
                              struct weir_peercred *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    *ret = (struct weir_peercred){.pid = 0};
    wr_assert(s->c.t.fd >= 0);
    if (wr_sock_is_unix(&s->c.t) &&
        wr_sys_getsockopt(s->c.t.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) >=
            0) {
        *ret = (struct weir_peercred){
            .pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    }
}

void wr_sock_remember_names(struct wr_sock *s)
{
    wr_assert(s->c.t.fd >= 0);
    if (sock_names_of(s) || wr_sock_make_extra(s) < 0) {
        return;
    }
    struct wr_sock_names *names =
        wr_alloc(&s->c.t.loop->counting, sizeof(*names));
    if (names) {
        wr_ignore(wr_socket_ask_peername(s->c.t.fd, &names->peername));
        wr_ignore(wr_socket_ask_sockname(s->c.t.fd, &names->sockname));
        sock_ask_peercred(s, &names->peercred);
        s->extra->names = names;
    }
}

static int sock_get_socket(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);
    /* After connection_lost, sock_close() has linked ->turn_end. */
    const bool is_closing =
        t->state == WR_LIFE_LOST && wr_list_is_linked(&s->turn_end.link);

    wr_assert(!s->c.leaving || t->state == WR_LIFE_MOVING);
    return s->c.t.fd >= 0 && !s->c.leaving && !is_closing ? s->c.t.fd : -EBADF;
}

int weir_transport_get_peercred(const weir_transport *t,
                                struct weir_peercred *ret)
{
    struct weir_peercred cred = {.pid = 0};

    wr_require(wr_sock_is_unix(t), -EOPNOTSUPP);
    const struct wr_sock *s = wr_sock_of(t);
    if (s->c.t.fd >= 0) {
        sock_ask_peercred(s, &cred);
    } else if (sock_names_of(s)) {
        cred = sock_names_of(s)->peercred;
    }
    wr_require(cred.pid != 0, -ENODATA);
    *ret = cred;
    return 0;
}

static int sock_get_unix_info(const weir_transport *t, const char *name,
                              struct weir_extra_info *ret)
{
    wr_assert(wr_sock_is_unix(t));
    return strcmp(name, "peercred") == 0
               ? weir_transport_get_peercred(t, &ret->peercred)
               : -ENOENT;
}

static void sock_shut(struct wr_connection *c)
{
    wr_assert(c->t.end_sent);
    wr_sock_shut(wr_sock_of(&c->t));
}

static void sock_reset_on_close(struct wr_sock *s)
{
    wr_assert(s->c.t.fd >= 0);
    s->resets = true;
    wr_socket_reset_on_close(s->c.t.fd);
}

static void sock_reset(struct wr_connection *c)
{
    wr_assert(!wr_life_is_over(&c->t));
    /* If a lingering socket's loop is closed, the kernel continues to send. */
    if (c->t.state != WR_LIFE_LINGERING || !wr_loop_is_closing(c->t.loop)) {
        sock_reset_on_close(wr_sock_of(&c->t));
    }
}

/* The peer must not take a part of the file for the whole. */
static __attribute__((noinline)) void sock_stop_file(struct wr_sock *s)
{
    /* The program may not know of a failure in this iteration yet. */
    const struct wr_sender *file = s->c.outbox.sender;
    const bool was_cancelled = file->err == -ECANCELED && s->c.t.error == 0;
    if (wr_sender_is_active(file) || (file->err < 0 && !was_cancelled)) {
        sock_reset_on_close(s);
    }
    wr_sender_break(s->c.outbox.sender);
}

static void sock_stop(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);

    wr_debug_assert(c->t.state == WR_LIFE_ENDING);
    if (WR_UNLIKELY(c->t.has_dropped || !wr_sendq_is_empty(&c->outbox.queue))) {
        sock_reset_on_close(s);
    }
    wr_sock_end_recv(s);
    if (WR_UNLIKELY(s->sends_file)) {
        sock_stop_file(s);
    }
    wr_assert(s->c.t.state == WR_LIFE_ENDING);
    wr_list_remove(&s->turn_end.link);
    wr_op_cancel(&s->c.t.loop->uring, &s->send_op);
    if (s->send_op.in_flight && s->resets) {
        /* Resets the connection now: the descriptor is closed only after the
         * operation has ended. A Unix socket has no resets and is shut down. */
        wr_sock_remember_names(s);
        if (wr_sys_disconnect(s->c.t.fd) < 0) {
            wr_ignore(wr_sys_shutdown(s->c.t.fd, SHUT_RDWR) < 0);
        }
    }
}

static void sock_drop(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);

    wr_debug_assert(!s->send_op.in_flight);
    if (WR_UNLIKELY(s->sends_fds)) {
        wr_sock_fds_drop(s);
    }
    if (WR_UNLIKELY(s->extra != NULL) && c->t.state == WR_LIFE_ENDING &&
        !s->recv_op.in_flight) {
        wr_sock_drop_lent(s);
    }
}

static void sock_close_fd(struct wr_sock *s)
{
    weir_loop *loop = s->c.t.loop;

    wr_debug_assert(s->c.t.state == WR_LIFE_LOST && s->c.t.fd >= 0);
    wr_owned_remove(&loop->owned, s->c.t.fd);
    if (WR_UNLIKELY(s->fd_limit > 0)) {
        wr_sock_fds_close_own(s);
    } else {
        wr_prep_close(&loop->uring, s->c.t.fd);
    }
    s->c.t.fd = -1;
    if (WR_UNLIKELY(wr_sock_fds_of(s) != NULL)) {
        wr_sock_fds_free(s);
    }
}

/* Runs at the end of the next iteration, or earlier if none is near. */
static void sock_close_last(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);

    if (s->c.t.refs > 1) {
        wr_sock_remember_names(s);
    }
    sock_close_fd(s);
    wr_transport_unref(&s->c.t);
}

static void sock_close_late(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    weir_loop *loop = s->c.t.loop;

    if (s->c.t.refs == 1 || loop->never_waits || wr_loop_is_closing(loop)) {
        sock_close_last(turn_end);
        return;
    }
    turn_end->run = sock_close_last;
    wr_loop_at_turn_end(loop, turn_end);
}

/* Closes a lost socket. If there are other references, its addresses are kept
 * for the getters. A side of a relay, and a socket below TLS, usually lose
 * these references in the next loop iteration, so the close waits for it; but a
 * loop in a host may make no further iteration. */
static void sock_close(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    weir_loop *loop = c->t.loop;

    wr_debug_assert(!wr_list_is_linked(&s->turn_end.link));
    if (c->t.refs == 1) {
        sock_close_fd(s);
    } else if ((c->t.is_part || c->t.is_below) && !loop->never_waits &&
               !wr_loop_is_closing(loop)) {
        weir_transport_ref(&c->t);
        s->turn_end.run = sock_close_late;
        wr_loop_at_turn_end(loop, &s->turn_end);
    } else {
        wr_sock_remember_names(s);
        sock_close_fd(s);
    }
}

static bool sock_has_arrived(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    wr_assert(s->c.t.fd >= 0);
    return !s->rests && (wr_sock_has_kept(s) || wr_sys_inq(s->c.t.fd) > 0);
}

bool wr_sock_holds_queue(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    wr_debug_assert(!s->c.outbox.is_stalled || s->send_op.in_flight);
    return s->send_op.in_flight;
}

bool wr_sock_is_in_flight(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    return s->recv_op.in_flight || s->poll_op.in_flight || s->send_op.in_flight;
}

bool wr_sock_has_delivered_all(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    wr_assert(c->t.error);
    return wr_sock_has_read_all(s) && !s->recv_op.in_flight &&
           !wr_sock_has_kept(s) && !wr_delivery_has_end(&c->delivery);
}

_Static_assert(sizeof(struct wr_sock_clock) <= WR_CLOCK_SIZE, "fits");

static void sock_free(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.t.fd < 0 || t->state == WR_LIFE_NEW);
    if (s->extra) {
        const struct weir_allocator *memory = &s->c.t.loop->counting;

        wr_assert(s->c.t.state == WR_LIFE_LOST && !s->extra->fds);
        wr_free(memory, s->extra->names, sizeof(*s->extra->names));
        wr_free(memory, s->extra, sizeof(*s->extra));
        s->extra = NULL;
    }
    wr_slab_give(&t->loop->socks, s);
}

static void sock_get_handover(const weir_transport *t, struct wr_handover *ret)
{
    wr_assert(t->state != WR_LIFE_NEW);
    wr_connection_get_handover(t, ret);
    ret->has_ended = ret->has_ended && !wr_sock_of(t)->eof_doubted;
}

static void sock_abandon(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    struct wr_uring *uring = &t->loop->uring;

    weir_transport_ref(t); /* the end of the send may free it */
    wr_outbox_abandon(t);
    wr_op_abandon(uring, &s->send_op);
    wr_op_abandon(uring, &s->recv_op);
    wr_op_abandon(uring, &s->poll_op);
    wr_transport_unref(t);
}

static uint64_t sock_get_depth(const weir_transport *t)
{
    return wr_sock_of(t)->c.outbox.queue.bytes;
}

static bool sock_has_taken_all(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return !wr_life_is_over(&s->c.t) && wr_outbox_has_unsent(&s->c.outbox) &&
           !s->c.outbox.is_opening && wr_sys_outq(s->c.t.fd) == 0;
}

static void sock_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_connection_check_invariants(&s->c);
    if (bytes < t->demand.account.limit_bytes) {
        wr_sock_recv_revoke(s);
    }
    wr_intake_set_limit(t, bytes);
}

static const struct wr_transport_ops sock_ops = {
    .name = "tcp",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .can_write_eof = true,
    .size = sizeof(struct wr_sock),

    .write = wr_sock_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .write_eof = wr_connection_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .pause_reading = wr_connection_pause_reading,
    .resume_reading = wr_connection_resume_reading,
    .is_reading = wr_connection_is_reading,
    .is_closing = wr_life_is_closing,
    .get_depth = sock_get_depth,
    .get_unoffered = wr_sock_get_unoffered,
    .get_handover = sock_get_handover,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = sock_has_taken_all,
    .get_unacknowledged = wr_sock_get_unacknowledged,
    .limits_changed = wr_outbox_limits_changed,
    .set_read_limit = sock_set_read_limit,
    .fed = sock_fed,
    .splice_to = wr_sock_splice_to,
    .set_timeouts = wr_connection_set_timeouts,
    .set_protocol = wr_intake_set_protocol,
    .close = wr_connection_close,
    .abort = wr_connection_abort,
    .doom = wr_connection_fail,
    .get_peername = sock_get_peername,
    .get_sockname = sock_get_sockname,
    .get_socket = sock_get_socket,
    .abandon = sock_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = sock_free,

    .queued = wr_sock_queued,
    .deliver = wr_sock_deliver_held,
    .receive = wr_sock_update_recv,
    .stop_receiving = wr_sock_recv_stop,
    .shut = sock_shut,
    .linger = wr_sock_linger,
    .reset = sock_reset,
    .stop = sock_stop,
    .drop = sock_drop,
    .close_device = sock_close,
    .holds_queue = wr_sock_holds_queue,
    .is_in_flight = wr_sock_is_in_flight,
    .has_read_all = wr_sock_has_delivered_all,
    .has_arrived = sock_has_arrived,
    .check_device = wr_sock_check_invariants,
    .check_progress = wr_sock_check_progress,
    .dump_device = wr_sock_dump,

    .part_bytes = WR_SENDFILE_READ,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_sock_file_begins,
    .file_ended = wr_sock_file_ended,
    .splice = wr_sock_splice_file,
    .send_part = wr_sock_send_part,
    .file_went = wr_sock_file_went,
    .withdraw = wr_sock_withdraw_file,

    .view_time = wr_sock_view_time,
    .time_expired = wr_sock_time_expired,
    .next_look_ns = wr_sock_next_look_ns,
    .look_at_queue = wr_sock_look_at_queue,
};

static const struct wr_transport_ops sock_unix_ops = {
    .name = "unix",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .can_write_eof = true,
    .size = sizeof(struct wr_sock),

    .write = wr_sock_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .discard_fds = wr_sock_fds_discard,
    .send_fds = wr_sock_send_fds,
    .write_eof = wr_connection_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .pause_reading = wr_connection_pause_reading,
    .resume_reading = wr_connection_resume_reading,
    .is_reading = wr_connection_is_reading,
    .is_closing = wr_life_is_closing,
    .get_depth = sock_get_depth,
    .get_unoffered = wr_sock_get_unoffered,
    .get_handover = sock_get_handover,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = sock_has_taken_all,
    .get_unacknowledged = wr_sock_get_unacknowledged,
    .limits_changed = wr_outbox_limits_changed,
    .set_read_limit = sock_set_read_limit,
    .fed = sock_fed,
    .splice_to = wr_sock_splice_to,
    .set_timeouts = wr_connection_set_timeouts,
    .set_protocol = wr_intake_set_protocol,
    .close = wr_connection_close,
    .abort = wr_connection_abort,
    .doom = wr_connection_fail,
    .get_peername = sock_get_peername,
    .get_sockname = sock_get_sockname,
    .get_socket = sock_get_socket,
    .get_extra_info = sock_get_unix_info,
    .abandon = sock_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = sock_free,

    .queued = wr_sock_queued,
    .deliver = wr_sock_deliver_held,
    .receive = wr_sock_update_recv,
    .stop_receiving = wr_sock_recv_stop,
    .shut = sock_shut,
    .linger = wr_sock_linger,
    .reset = sock_reset,
    .stop = sock_stop,
    .drop = sock_drop,
    .close_device = sock_close,
    .holds_queue = wr_sock_holds_queue,
    .is_in_flight = wr_sock_is_in_flight,
    .has_read_all = wr_sock_has_delivered_all,
    .has_arrived = sock_has_arrived,
    .check_device = wr_sock_check_invariants,
    .check_progress = wr_sock_check_progress,
    .dump_device = wr_sock_dump,

    .part_bytes = WR_SENDFILE_READ,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_sock_file_begins,
    .file_ended = wr_sock_file_ended,
    .splice = wr_sock_splice_file,
    .send_part = wr_sock_send_part,
    .file_went = wr_sock_file_went,
    .withdraw = wr_sock_withdraw_file,

    .view_time = wr_sock_view_time,
    .time_expired = wr_sock_time_expired,
    .next_look_ns = wr_sock_next_look_ns,
    .look_at_queue = wr_sock_look_at_queue,
};

bool wr_sock_is_kind(const weir_transport *t)
{
    return t->ops->receive == wr_sock_update_recv;
}

_Static_assert(sizeof(struct wr_sock) <= 432, "an idle connection is small");

static const struct wr_demand_ops sock_intake_ops =
    WR_INTAKE_OPS(wr_sock_account_over);

struct wr_sock *wr_sock_make(weir_loop *loop, int fd,
                             const struct wr_sock_options *options)
{
    if (loop->socks.object_size == 0) {
        wr_slab_init(&loop->socks, &loop->counting, sizeof(struct wr_sock));
    }
    struct wr_sock *s =
        wr_owned_make_room(&loop->owned, &loop->counting, fd) == 0
            ? wr_slab_take(&loop->socks)
            : NULL;
    if (!s) {
        return NULL;
    }
    wr_assert(s->c.t.state == WR_LIFE_NEW);
    wr_connection_init(&s->c, loop,
                       options->family == AF_UNIX ? &sock_unix_ops : &sock_ops);
    s->c.t.fd = fd;
    s->c.t.set = options->set;
    wr_op_init(&s->recv_op, sock_recv_completed);
    wr_op_init(&s->poll_op, sock_poll_completed);
    wr_op_init(&s->send_op, sock_send_completed);
    s->c.t.demand.account.ops = &sock_intake_ops.account;
    wr_sock_send_init(s);
    return s;
}

static void sock_begin(struct wr_sock *s)
{
    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    wr_owned_add(&s->c.t.loop->owned, s->c.t.fd);
    wr_connection_begin(&s->c);
    if (WR_UNLIKELY(s->c.outbox.is_opening)) { /* even if nothing is written */
        s->send_op.complete = sock_opening_completed;
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    }
    wr_connection_tell_made(&s->c);
    if (s->c.t.state == WR_LIFE_OPEN) {
        wr_sock_update_recv(&s->c);
    }
    wr_connection_debug_check(&s->c);
}

static int sock_set_option(int fd, int level, int name, int value)
{
    return wr_sys_setsockopt(fd, level, name, &value, sizeof(value));
}

static int sock_round_up(uint64_t time_ns)
{
    wr_assert(time_ns <= WR_KEEP_ALIVE_MAX_NS);
    return time_ns == 0 ? 0 : (int)((time_ns - 1) / WEIR_SECONDS(1) + 1);
}

/* @connection is NULL for the defaults. */
static void sock_list(const struct weir_connection_options *connection,
                      struct sock_option ret[SOCK_OPTIONS])
{
    static const struct weir_connection_options defaults;
    const struct weir_connection_options *wanted =
        connection ? connection : &defaults;
    const struct sock_option options[] = {
        {IPPROTO_TCP, TCP_NODELAY, !wanted->no_nodelay},
        {SOL_SOCKET, SO_KEEPALIVE, wanted->keep_alive},
        {IPPROTO_TCP, TCP_KEEPIDLE, sock_round_up(wanted->keep_alive_idle_ns)},
        {IPPROTO_TCP, TCP_KEEPINTVL,
         sock_round_up(wanted->keep_alive_interval_ns)},
        {IPPROTO_TCP, TCP_KEEPCNT, (int)wanted->keep_alive_count},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)wanted->notsent_lowat_bytes},
    };

    _Static_assert(sizeof(options) == SOCK_OPTIONS * sizeof(*ret), "all");
    wr_assert(wanted->keep_alive || wanted->keep_alive_idle_ns == 0);
    wr_assert(wanted->keep_alive || wanted->keep_alive_interval_ns == 0);
    wr_assert(wanted->keep_alive_count <= WR_KEEP_ALIVE_MAX_COUNT);
    memcpy(ret, options, sizeof(options));
}

int wr_sock_configure(const weir_loop *loop, int fd, int family,
                      const struct weir_connection_options *connection)
{
    struct sock_option options[SOCK_OPTIONS];
    int err = 0;

    wr_assert(fd >= 0);
    if (family == AF_UNIX) {
        wr_socket_set_passrights(loop, fd,
                                 connection && connection->fd_limit > 0);
    }
    if (family != AF_INET && family != AF_INET6) {
        return 0;
    }
    sock_list(connection, options);
    for (int i = 0; err == 0 && i < SOCK_OPTIONS; i++) {
        if (options[i].value != 0) {
            err = sock_set_option(fd, options[i].level, options[i].name,
                                  options[i].value);
        }
    }
    return err;
}

static bool sock_has_option(int fd, const struct sock_option *option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    wr_assert(option->value != 0);
    return wr_sys_getsockopt(fd, option->level, option->name, &value, &len) >=
               0 &&
           value == option->value;
}

bool wr_sock_is_configured(int fd, int family,
                           const struct weir_connection_options *connection)
{
    struct sock_option options[SOCK_OPTIONS];
    bool has_all = family == AF_INET || family == AF_INET6;

    sock_list(connection, options);
    for (int i = 0; has_all && i < SOCK_OPTIONS; i++) {
        has_all = options[i].value == 0 || sock_has_option(fd, &options[i]);
    }
    return has_all;
}

/* True if connecting has succeeded without a packet; see sock_send.c. */
static bool sock_is_pending(int fd)
{
    uint8_t state = 0;
    socklen_t len = sizeof(state);

    _Static_assert(offsetof(struct tcp_info, tcpi_state) == 0, "is first");
    return wr_sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) >= 0 &&
           state == TCP_SYN_SENT;
}

void wr_sock_refuse(weir_loop *loop, int fd,
                    const struct wr_sock_options *options)
{
    wr_assert(fd >= 0);
    if (options->set) {
        wr_socket_turn_away(loop, fd, options->family);
    } else {
        wr_socket_close(loop, fd, options->family);
    }
}

int wr_sock_open(weir_loop *loop, int fd, const struct weir_factory *factory,
                 const struct wr_sock_options *options, weir_transport **ret)
{
    struct wr_sock *s = wr_sock_make(loop, fd, options);
    if (!s) {
        wr_sock_refuse(loop, fd, options);
        return -ENOMEM;
    }
    if (WR_UNLIKELY(options->family == AF_UNIX && options->connection &&
                    options->connection->fd_limit > 0)) {
        /* Without SO_OOBINLINE a receive would skip an urgent byte, and the
         * kernel would close its descriptors on the receiving thread. A kernel
         * without urgent bytes on Unix sockets ignores the option. */
        wr_assert(options->connection->fd_limit <= WEIR_FDS_MAX);
        s->fd_limit = (uint8_t)options->connection->fd_limit;
        wr_sock_recv_by_polls(s);
        wr_ignore(sock_set_option(s->c.t.fd, SOL_SOCKET, SO_OOBINLINE, 1) < 0);
    }
    int err = options->connection
                  ? wr_connection_apply(&s->c, options->connection)
                  : 0;
    if (err == 0) {
        err = wr_protocol_find(&s->c.t, factory);
    }
    if (err < 0) {
        wr_connection_discard(&s->c);
        wr_sock_refuse(loop, fd, options);
        return err;
    }
    if (WR_UNLIKELY(options->may_open) && sock_is_pending(fd)) {
        wr_sock_opening_begin(s);
    }
    sock_begin(s);
    *ret = &s->c.t;
    return 0;
}

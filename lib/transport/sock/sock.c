/*
 * Stream sockets: their life.
 *
 * Every completion ends here, and so does the step, which calls of the program
 * push onto the ready queue. The files below note what happened, then
 * wr_sock_next_step() decides what comes next, and sock_advance() does it. A
 * connection is lost only after its last operation has ended: until then the
 * kernel may write to its memory, and the number of its descriptor must not be
 * reused.
 */
#include "sock_impl.h"

#include "weir/error.h"

static void sock_free(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->fd < 0);
    wr_sock_forget_names(s);
    wr_slab_give(&t->loop->socks, s);
}

static void sock_lose(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_assert(!s->recv_op.in_flight && !s->poll_op.in_flight);
    wr_assert(!s->send_op.in_flight && !s->sends_file);
    wr_sock_times_free(s);
    if (WR_UNLIKELY(!wr_sendq_is_empty(&s->outbox.queue))) {
        wr_sock_drop_queue(s);
    }
    wr_sock_free_into(s);
    wr_life_lose(&s->t);
    wr_protocol_lost(&s->t);
    if (s->t.refs > 1) {
        wr_sock_remember_names(s); /* the getters must work after the loss */
    }
    wr_owned_remove(&loop->owned, s->fd);
    if (WR_UNLIKELY(s->takes_fds)) {
        wr_sock_fds_close_own(s);
    } else {
        wr_prep_close(&loop->uring, s->fd);
    }
    s->fd = -1;
    if (WR_UNLIKELY(s->fds != NULL)) {
        wr_sock_fds_free(s);
    }
    wr_life_leave(&s->t);
}

/* Makes the peer see a reset instead of an end of the stream, which would look
 * like a complete stream. Unix sockets ignore the option. */
static void sock_reset_on_close(struct wr_sock *s)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    wr_assert(s->fd >= 0);
    s->resets = true;
    wr_ignore(wr_sys_setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger,
                                sizeof(linger)) < 0);
}

/* Resets if the file was sent in part, so that the peer does not take the part
 * for the whole. */
static __attribute__((noinline)) void sock_end_file(struct wr_sock *s)
{
    if (wr_sock_file_is_torn(s)) {
        sock_reset_on_close(s);
    }
    wr_sender_break(s->outbox.sender);
}

static void sock_end(struct wr_sock *s)
{
    wr_life_set_state(&s->t, WR_LIFE_ENDING);
    if (WR_UNLIKELY(s->t.has_dropped || !wr_sendq_is_empty(&s->outbox.queue))) {
        sock_reset_on_close(s);
    }
    wr_sock_times_stop(s);
    wr_sock_end_recv(s);
    if (WR_UNLIKELY(s->sends_file)) {
        sock_end_file(s);
    }
    wr_sock_end_send(s);
}

/* Lingers if closing now might destroy sent bytes. */
static void sock_linger(struct wr_sock *s)
{
    wr_assert(!s->eof_seen);
    wr_assert(!s->send_op.in_flight && !s->outbox.in_resume);
    if (!wr_sock_linger_is_due(s)) {
        wr_life_set_state(&s->t, WR_LIFE_DOOMED);
        return;
    }
    const int err = wr_sock_times_make(s);
    if (err < 0) {
        wr_transport_set_error(&s->t, err, "close"); /* bytes may be lost */
        return;
    }
    wr_life_set_state(&s->t, WR_LIFE_LINGERING);
    wr_sock_linger_begin(s, s->t.loop->now_ns);
    s->write_eof = true;
    wr_sock_shut_when_sent(s);
    wr_sock_times_changed(s);
}

/* Makes all changes of state that are possible now. Every handler calls it
 * last, because the socket may be freed. */
static void sock_advance(struct wr_sock *s)
{
    for (;;) {
        switch (wr_sock_next_step(s)) {
        case WR_SOCK_WAIT:
            return;
        case WR_SOCK_RECEIVE:
            wr_sock_update_recv(s);
            wr_sock_check_invariants(s);
            return;
        case WR_SOCK_DROP_QUEUE:
            wr_sock_drop_broken_queue(s);
            break;
        case WR_SOCK_LINGER:
            sock_linger(s);
            break;
        case WR_SOCK_DOOM:
            wr_life_set_state(&s->t, WR_LIFE_DOOMED); /* no step is needed */
            break;
        case WR_SOCK_END:
            sock_end(s);
            break;
        case WR_SOCK_LOSE:
            sock_lose(s);
            return;
        }
    }
}

/* sock_advance() after a completion, with a fast path. A pending step will
 * advance the socket in this turn, unless the end is decided. */
static inline void sock_settle(struct wr_sock *s)
{
    wr_sock_debug_check(s);
    if (WR_UNLIKELY(!wr_sock_is_settled(s)) &&
        (wr_life_is_over(&s->t) || !wr_ready_is_pending(&s->t.step))) {
        sock_advance(s);
    }
}

static void sock_step(struct wr_ready *ready)
{
    struct wr_sock *s = wr_container_of(ready, struct wr_sock, t.step);

    wr_sock_debug_check(s); /* the end of the step checks it */
    wr_assert(s->t.state != WR_LIFE_NEW);
    wr_assert(s->t.state != WR_LIFE_LOST);
    wr_sock_deliver_held(s);
    sock_advance(s);
}

static void sock_recv_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, recv_op);

    wr_debug_assert(s->t.state > WR_LIFE_NEW && s->t.state < WR_LIFE_LOST);
    wr_debug_assert(s->recv_state == WR_RECV_ARMED ||
                    s->recv_state == WR_RECV_CANCELLING);
    if (WR_UNLIKELY(!(flags & WR_CQE_MORE))) {
        wr_sock_recv_ended(s);
        if (WR_UNLIKELY(s->polls_bytes)) {
            wr_sock_bulk_polled(s, res);
            sock_settle(s);
            return;
        }
        wr_sock_bulk_look(s, res);
    }
    wr_sock_debug_check(s);
    if (WR_LIKELY(flags & WR_CQE_BUFFER && res > 0)) {
        weir_lease *lease =
            wr_pool_borrow(&s->t.loop->pool, &s->t.demand.account, res, flags);
        if (WR_LIKELY(lease != NULL)) {
            wr_sock_received(s, lease);
        } else {
            wr_delivery_lose_bytes(&s->t,
                                   wr_pool_lost_error(&s->t.loop->pool, flags));
        }
    } else {
        wr_sock_recv_other(s, res, flags);
    }
    if (WR_UNLIKELY(s->into != NULL) && !op->in_flight) {
        wr_sock_return_into(s);
    }
    sock_settle(s);
}

/* The budget feeds it: there is credit and a buffer, or its turn has come. */
static void sock_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->recv_state == WR_RECV_IDLE);
    wr_assert(!s->rests);
    if (queue == WR_DEMAND_DUE && wr_sock_recv_may_fill(s)) {
        wr_sock_bulk_receive(s);
    }
    sock_advance(s);
}

static void sock_poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, poll_op);
    (void)flags;

    wr_sock_check_invariants(s);
    wr_sock_recv_watched(s, res);
    sock_advance(s);
}

/* The slow half of a send's end: the queue is not empty, or something waits for
 * the end of the send. */
static __attribute__((noinline)) void sock_send_went(struct wr_sock *s,
                                                     int32_t res)
{
    const bool took_all = s->t.state == WR_LIFE_CLOSING && s->t.error == 0 &&
                          wr_sock_send_took_all(s, res);

    if (took_all || wr_sock_send_ended(s, res)) {
        if (WR_UNLIKELY(s->eof_doubted)) {
            wr_sock_confirm_eof(s);
        }
        if (WR_UNLIKELY(s->t.demand.state == WR_DEMAND_STUCK)) {
            wr_intake_leave(&s->t); /* credit may have waited for the send */
        }
        sock_settle(s);
    }
}

static void sock_send_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    (void)flags;

    wr_debug_assert(s->t.state > WR_LIFE_NEW && s->t.state < WR_LIFE_LOST);
    wr_debug_assert(wr_sock_has_unsent(s));
    if (WR_UNLIKELY(!wr_sock_is_settled(s) || !wr_sock_send_took_all(s, res))) {
        sock_send_went(s, res);
    }
}

static void sock_close(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    if (!wr_life_close(t)) {
        return;
    }
    if (s->times) {
        wr_clock_close(&s->times->clock);
    }
    wr_sock_recv_stop(s); /* a cancel is submitted with the last send */
    wr_sock_debug_check(s);
}

static void sock_abort(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_check_invariants(s);
    if (s->t.state == WR_LIFE_NEW || wr_life_is_over(&s->t)) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    if (s->t.state != WR_LIFE_LINGERING || !wr_loop_is_closing(t->loop)) {
        sock_reset_on_close(s);
    } /* else the kernel sends its buffer on */
    wr_life_doom(&s->t);
    sock_end(s); /* the cancels are submitted with this turn's sends */
    wr_life_push_step(&s->t); /* if nothing is in flight, no completion comes */
    wr_sock_check_invariants(s);
}

static void sock_abandon(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    struct wr_uring *uring = &t->loop->uring;

    weir_transport_ref(t); /* the last one may lose and free it */
    wr_outbox_abandon(t);
    wr_op_abandon(uring, &s->send_op);
    wr_op_abandon(uring, &s->recv_op);
    wr_op_abandon(uring, &s->poll_op);
    weir_transport_unref(t);
}

static bool sock_is_reading(const weir_transport *t)
{
    return wr_sock_is_reading(wr_sock_of(t));
}

static struct weir_depth sock_get_depth(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return (struct weir_depth){.bytes = s->outbox.queue.bytes,
                               .operations = s->send_op.in_flight};
}

static bool sock_has_unread(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->t.state == WR_LIFE_OPEN && !s->rests &&
           (wr_sock_has_kept(s) || wr_sys_inq(s->fd) > 0);
}

static bool sock_has_taken_all(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return !wr_life_is_over(&s->t) && wr_sock_has_unsent(s) &&
           wr_sys_outq(s->fd) == 0;
}

static void sock_check(const weir_transport *t)
{
    wr_sock_check_progress(wr_sock_of(t));
}

/* Fields of the tables of all stream sockets. */
#define SOCK_OPS_FIELDS                                                        \
    .protocol_kinds = WR_PROTOCOL_STREAMS,                                     \
    .delivery_offset = offsetof(struct wr_sock, delivery),                     \
    .outbox = &wr_sock_outbox_ops, .write = wr_sock_write, WR_OUTBOX_OPS,      \
    .write_eof = wr_sock_write_eof, .pause_reading = wr_sock_pause_reading,    \
    .resume_reading = wr_sock_resume_reading, .is_reading = sock_is_reading,   \
    .is_closing = wr_life_is_closing, .get_depth = sock_get_depth,             \
    .get_unoffered = wr_sock_get_unoffered, .has_unread = sock_has_unread,     \
    .has_taken_all = sock_has_taken_all, .get_handover = wr_sock_get_handover, \
    .set_read_limit = wr_sock_set_read_limit, .fed = sock_fed,                 \
    .set_timeouts = wr_sock_set_timeouts,                                      \
    .set_protocol = wr_intake_set_protocol, .close = sock_close,               \
    .abort = sock_abort, .doom = wr_life_doom, .abandon = sock_abandon,        \
    .get_peername = wr_sock_get_peername,                                      \
    .get_sockname = wr_sock_get_sockname, .get_socket = wr_sock_get_socket,    \
    .dump = wr_sock_dump, .check = sock_check, .free = sock_free

static const struct wr_transport_ops sock_ops = {.name = "tcp",
                                                 SOCK_OPS_FIELDS};

static const struct wr_transport_ops sock_unix_ops = {
    .name = "unix",
    .get_extra_info = wr_unix_get_extra_info,
    .send_fds = wr_sock_send_fds,
    .discard_fds = wr_sock_fds_discard,
    SOCK_OPS_FIELDS};

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
    wr_assert(s->t.state == WR_LIFE_NEW);
    wr_transport_init(&s->t, loop,
                      options->family == AF_UNIX ? &sock_unix_ops : &sock_ops);
    s->fd = fd;
    s->t.set = options->set;
    wr_ready_init(&s->t.step, sock_step);
    wr_op_init(&s->recv_op, sock_recv_completed);
    wr_op_init(&s->poll_op, sock_poll_completed);
    wr_op_init(&s->send_op, sock_send_completed);
    wr_sock_recv_init(s);
    wr_sock_send_init(s);
    return s;
}

void wr_sock_discard(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_assert(s->t.state == WR_LIFE_NEW);
    wr_assert(s->t.demand.account.lease_count == 0);
    wr_sock_times_free(s);
    wr_slab_give(&loop->socks, s);
}

void wr_sock_begin(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_life_begin(&s->t, WR_LIFE_OPEN);
    wr_sock_times_changed(s);
    wr_owned_add(&loop->owned, s->fd);
    wr_loop_add_member(loop, &s->t.member);
    if (s->t.set) {
        s->t.set->ops->adopt(s->t.set, &s->t);
    }
    wr_protocol_made(&s->t);
    if (s->t.state == WR_LIFE_OPEN) {
        wr_sock_update_recv(s);
    }
    wr_sock_debug_check(s);
}

/*
 * Stream sockets: the device of a connection.
 *
 * Every completion ends here: the files below note what happened, and then the
 * connection advances, unless it is in the common state. A socket is lost only
 * after its last operation has ended: until then the kernel may write to its
 * memory, and the number of its descriptor must not be reused.
 */
#include "sock_impl.h"

#include "weir/error.h"

/* wr_connection_advance() after a completion, with a fast path. A pending step
 * will advance the socket in this turn, unless the end is decided. */
static inline void sock_settle(struct wr_sock *s)
{
    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(!wr_sock_is_settled(s)) &&
        (wr_life_is_over(&s->c.t) || !wr_ready_is_pending(&s->c.t.step))) {
        wr_connection_advance(&s->c);
    }
}

/* ---- completions ---- */

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
        wr_sock_bulk_look(s, res);
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
    wr_connection_advance(&s->c);
}

static void sock_poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, poll_op);
    (void)flags;

    wr_connection_check_invariants(&s->c);
    if (res > 0 && s->c.t.loop->host.misses_ends) {
        wr_sock_recv_revoke(s);
    }
    wr_sock_watched(s, res);
    wr_connection_advance(&s->c);
}

/* Goes on with what had to wait for the end of a send. */
static void sock_send_settle(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->eof_doubted)) {
        wr_sock_confirm_eof(s);
    }
    if (WR_UNLIKELY(s->c.t.demand.state == WR_DEMAND_STUCK)) {
        wr_intake_leave(&s->c.t); /* credit may have waited for the send */
    }
    sock_settle(s);
}

/* The slow half of a send's end: the queue is not empty, or something waits for
 * the end of the send. */
static __attribute__((noinline)) void sock_send_went(struct wr_sock *s,
                                                     int32_t res)
{
    const bool took_all = s->c.t.state == WR_LIFE_CLOSING &&
                          s->c.t.error == 0 && wr_sock_send_took_all(s, res);

    if (took_all || wr_sock_send_ended(s, res)) {
        sock_send_settle(s);
    }
}

/* wr_sock_is_settled() of a socket that may be written to, thus OPEN. */
static inline bool sock_may_send_on(const struct wr_sock *s)
{
    wr_debug_assert(s->c.outbox.state != WR_OUTBOX_OPEN ||
                    s->c.t.state == WR_LIFE_OPEN);
    return s->c.outbox.state == WR_OUTBOX_OPEN && s->c.t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
}

static void sock_send_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, send_op);
    (void)flags;

    wr_debug_assert(s->c.t.state > WR_LIFE_NEW && s->c.t.state < WR_LIFE_LOST);
    wr_debug_assert(wr_outbox_has_unsent(&s->c.outbox));
    if (WR_UNLIKELY(!sock_may_send_on(s) || !wr_sock_send_took_all(s, res))) {
        sock_send_went(s, res);
    }
}

/* In place of sock_send_completed() until the peer has answered the SYN. */
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

/* ---- the device ---- */

static void sock_shut(struct wr_connection *c)
{
    wr_assert(c->end_sent);
    wr_sock_shut(wr_sock_of(&c->t));
}

static void sock_reset_on_close(struct wr_sock *s)
{
    wr_assert(s->c.fd >= 0);
    s->resets = true;
    wr_socket_reset_on_close(s->c.fd);
}

static void sock_reset(struct wr_connection *c)
{
    wr_assert(!wr_life_is_over(&c->t));
    if (c->t.state != WR_LIFE_LINGERING || !wr_loop_is_closing(c->t.loop)) {
        sock_reset_on_close(wr_sock_of(&c->t));
    } /* else the kernel sends its buffer on */
}

/* True if a loss now would cut off a file that the program did not cancel. The
 * file may have failed in this turn, before the program knows. */
static bool sock_is_file_torn(const struct wr_sock *s)
{
    const struct wr_sender *file = s->c.outbox.sender;
    const bool was_cancelled = file->err == -ECANCELED && s->c.t.error == 0;

    return wr_sender_is_active(file) || (file->err < 0 && !was_cancelled);
}

/* Resets if the file was sent in part, so that the peer does not take the part
 * for the whole. */
static __attribute__((noinline)) void sock_stop_file(struct wr_sock *s)
{
    if (sock_is_file_torn(s)) {
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
    wr_sock_end_send(s);
}

static void sock_drop(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);

    wr_debug_assert(!s->send_op.in_flight);
    if (WR_UNLIKELY(s->sends_fds)) {
        wr_sock_fds_drop(s);
    }
    if (WR_UNLIKELY(s->into != NULL) && c->t.state == WR_LIFE_ENDING &&
        !s->recv_op.in_flight) {
        wr_sock_free_into(s);
    }
}

static void sock_close(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    weir_loop *loop = c->t.loop;

    wr_debug_assert(c->t.state == WR_LIFE_LOST && s->c.fd >= 0);
    if (c->t.refs > 1) {
        wr_sock_remember_names(s); /* the getters must work after the loss */
    }
    wr_owned_remove(&loop->owned, s->c.fd);
    if (WR_UNLIKELY(s->takes_fds)) {
        wr_sock_fds_close_own(s);
    } else {
        wr_prep_close(&loop->uring, s->c.fd);
    }
    s->c.fd = -1;
    if (WR_UNLIKELY(s->fds != NULL)) {
        wr_sock_fds_free(s);
    }
}

static bool sock_has_arrived(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    wr_assert(s->c.fd >= 0);
    return !s->rests && (wr_sock_has_kept(s) || wr_sys_inq(s->c.fd) > 0);
}

_Static_assert(sizeof(struct wr_sock_clock) <= WR_CLOCK_SIZE, "fits");

static const struct wr_device sock_device = {
    .size = sizeof(struct wr_sock),
    .clock = &wr_sock_clock_ops,
    .deliver = wr_sock_deliver_held,
    .receive = wr_sock_update_recv,
    .stop_receiving = wr_sock_recv_stop,
    .shut = sock_shut,
    .linger = wr_sock_linger,
    .reset = sock_reset,
    .stop = sock_stop,
    .drop = sock_drop,
    .close = sock_close,
    .holds_queue = wr_sock_holds_queue,
    .is_in_flight = wr_sock_is_in_flight,
    .has_read_all = wr_sock_has_delivered_all,
    .has_arrived = sock_has_arrived,
    .check = wr_sock_check_invariants,
    .check_progress = wr_sock_check_progress,
    .dump = wr_sock_dump,
};

/* ---- entries of the tables ---- */

static void sock_free(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.fd < 0 || t->state == WR_LIFE_NEW);
    wr_sock_forget_names(s);
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

    weir_transport_ref(t); /* the last one may lose and free it */
    wr_outbox_abandon(t);
    wr_op_abandon(uring, &s->send_op);
    wr_op_abandon(uring, &s->recv_op);
    wr_op_abandon(uring, &s->poll_op);
    wr_transport_unref(t);
}

static struct weir_depth sock_get_depth(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return (struct weir_depth){.bytes = s->c.outbox.queue.bytes,
                               .operations = s->send_op.in_flight};
}

static bool sock_has_taken_all(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return !wr_life_is_over(&s->c.t) && wr_outbox_has_unsent(&s->c.outbox) &&
           !s->c.outbox.is_opening && wr_sys_outq(s->c.fd) == 0;
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

/* Fields of the tables of all stream sockets. */
#define SOCK_OPS_FIELDS                                                        \
    .device = &sock_device, .outbox = &wr_sock_outbox_ops,                     \
    .write = wr_sock_write, .write_eof = wr_connection_write_eof,              \
    .get_depth = sock_get_depth, .get_unoffered = wr_sock_get_unoffered,       \
    .get_handover = sock_get_handover, .has_taken_all = sock_has_taken_all,    \
    .get_unacknowledged = wr_sock_get_unacknowledged,                          \
    .set_read_limit = sock_set_read_limit, .fed = sock_fed,                    \
    .splice_to = wr_sock_splice_to, .abandon = sock_abandon,                   \
    .get_peername = wr_sock_get_peername,                                      \
    .get_sockname = wr_sock_get_sockname, .get_socket = wr_sock_get_socket,    \
    .free = sock_free, WR_OUTBOX_OPS, WR_CONNECTION_READ_OPS,                  \
    WR_CONNECTION_OPS

static const struct wr_transport_ops sock_ops = {.name = "tcp",
                                                 SOCK_OPS_FIELDS};

static const struct wr_transport_ops sock_unix_ops = {
    .name = "unix",
    .get_extra_info = wr_unix_get_extra_info,
    .send_fds = wr_sock_send_fds,
    .discard_fds = wr_sock_fds_discard,
    SOCK_OPS_FIELDS};

bool wr_sock_is_kind(const weir_transport *t)
{
    return t->ops->device == &sock_device;
}

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
    s->c.fd = fd;
    s->c.t.set = options->set;
    wr_op_init(&s->recv_op, sock_recv_completed);
    wr_op_init(&s->poll_op, sock_poll_completed);
    wr_op_init(&s->send_op, sock_send_completed);
    s->c.t.demand.account.over = wr_sock_account_over;
    wr_sock_send_init(s);
    return s;
}

void wr_sock_begin(struct wr_sock *s)
{
    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    wr_owned_add(&s->c.t.loop->owned, s->c.fd);
    wr_connection_begin(&s->c);
    if (WR_UNLIKELY(s->c.outbox.is_opening)) { /* whatever is written */
        s->send_op.complete = sock_opening_completed;
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    }
    wr_connection_tell_made(&s->c);
    if (s->c.t.state == WR_LIFE_OPEN) {
        wr_sock_update_recv(&s->c);
    }
    wr_connection_debug_check(&s->c);
}

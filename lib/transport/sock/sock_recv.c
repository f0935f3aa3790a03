/*
 * Stream sockets: receiving, and delivering received bytes. One operation
 * receives, limited by the receive window: the kernel ends it when that many
 * bytes have arrived. For bulk and descriptors it is a poll instead
 * (sock_bulk.c). The next action depends on the operation's state and the
 * stream's:
 *
 *                 open  held  lent    paused  kept    eof     closing
 *     idle        arm   -     -       watch   watch   watch   -
 *     armed       -     -     cancel  -       cancel  -       cancel
 *     cancelling  -     -     -       -       -       -       -
 *     queued      -     -     -       leave   leave   leave   leave
 *
 * Held: older bytes, or bytes in lent memory, are delivered first. Lent: both
 * exist, and the older bytes wait until the memory is returned. Paused: an
 * armed receive stays until bytes arrive. Then they are kept and the receive is
 * cancelled; its last completion may bring more bytes, and none is lost.
 * Queued: an idle socket is in a queue of the budget (intake.h). Leave: leaves
 * the queue, and the table is applied again.
 *
 * Bytes received into memory that a buffered protocol has lent are delivered
 * after held bytes, and before the end of the stream.
 *
 * A receive notices the peer's end. While nothing is received, a poll watches
 * the peer: at once while the protocol has paused, or some time after the
 * peer's end of stream, because most connections end soon. If receives may miss
 * the end (ring_kernel.c), a TCP socket is watched from its first receive. When
 * the poll reports the end, polls and system calls receive the remaining bytes.
 */
#include "sock_impl.h"

#include <poll.h>
#include <string.h>

/* Doubts after which a loop changes the kind of its first receives; see
 * sock_recv_note_first(). Doubts about receives that stay are less certain. */
#define DOUBTS_OF_STAYING 16u
#define DOUBTS_OF_ENDING  4u

enum flow {
    FLOW_OPEN,
    FLOW_HELD,
    FLOW_LENT,
    FLOW_PAUSED,
    FLOW_KEPT,
    FLOW_EOF,
    FLOW_CLOSING,
    FLOW_STATES,
};

enum action {
    ACTION_NONE,
    ACTION_ARM,
    ACTION_WATCH,
    ACTION_WATCH_LATER,
    ACTION_CANCEL,
    ACTION_LEAVE,
};

#define ROW_QUEUED WR_RECV_STATES

static const uint8_t sock_recv_actions[WR_RECV_STATES + 1][FLOW_STATES] = {
    [WR_RECV_IDLE] = {[FLOW_OPEN] = ACTION_ARM,
                      [FLOW_PAUSED] = ACTION_WATCH,
                      [FLOW_KEPT] = ACTION_WATCH,
                      [FLOW_EOF] = ACTION_WATCH_LATER},
    [WR_RECV_ARMED] = {[FLOW_LENT] = ACTION_CANCEL,
                       [FLOW_KEPT] = ACTION_CANCEL,
                       [FLOW_CLOSING] = ACTION_CANCEL},
    [ROW_QUEUED] = {[FLOW_PAUSED] = ACTION_LEAVE,
                    [FLOW_KEPT] = ACTION_LEAVE,
                    [FLOW_EOF] = ACTION_LEAVE,
                    [FLOW_CLOSING] = ACTION_LEAVE},
};

#define WATCH_AFTER_NS UINT64_C(20000000)

/* Reports the bytes in lent memory to the protocol, or returns the memory. A
 * protocol that was bound meanwhile gets a copy of the bytes. */
static void sock_recv_deliver_into(struct wr_sock *s)
{
    struct wr_sock_extra *extra = s->extra;
    const struct weir_protocol_binding from = extra->binding;
    void *buf = extra->buf;
    const size_t len = extra->len;

    wr_assert(!s->recv_op.in_flight);
    wr_assert(buf);
    extra->buf = NULL;
    extra->len = 0;
    if (len == 0 || s->c.t.state != WR_LIFE_OPEN) {
        wr_protocol_give_back(&s->c.t, &from, buf);
        return;
    }
    if (wr_protocol_is_bound(&s->c.t, &from)) {
        int err = wr_protocol_updated(&s->c.t, len);
        if (err < 0) {
            wr_delivery_fail(&s->c.t, err, "buffer_updated");
        }
        return;
    }
    weir_lease *lease =
        wr_lease_copy(&s->c.t.loop->pool, &s->c.t.demand.account, buf, len);
    wr_protocol_give_back(&s->c.t, &from, buf);
    if (!lease) {
        wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
        return;
    }
    /* If release_buffer has paused, resuming will push the step. */
    wr_ignore(wr_delivery_given(&s->c.t, &s->c.delivery, lease));
}

/* False while older bytes are held or reading is paused. */
static bool sock_recv_may_deliver_into(const struct wr_sock *s)
{
    return wr_delivery_is_shut(&s->c.delivery) ||
           wr_delivery_is_free(&s->c.delivery);
}

bool wr_sock_take_back_lent(struct wr_sock *s)
{
    struct wr_sock_extra *extra = s->extra;
    weir_lease *lease = NULL;
    if (WR_LIKELY(!wr_sock_has_lent(s))) {
        return true;
    }
    if (s->recv_op.in_flight) {
        return false;
    }
    if (extra->len > 0) {
        lease = wr_lease_copy(&s->c.t.loop->pool, &s->c.t.demand.account,
                              extra->buf, extra->len);
        if (!lease) {
            wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
            return false;
        }
        wr_delivery_hold(&s->c.delivery, lease);
    }
    extra->len = 0;
    sock_recv_deliver_into(s);
    return true;
}

void wr_sock_deliver_held(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    struct wr_delivery *d = &c->delivery;

    while (wr_delivery_has_held(d) && wr_delivery_may_show(d) &&
           wr_sock_take_back_lent(s)) {
        if (!wr_delivery_may_show(d)) {
            break;
        }
        wr_delivery_show_first(&c->t, d);
    }
    if (wr_sock_has_lent(s) && !s->recv_op.in_flight &&
        sock_recv_may_deliver_into(s)) {
        sock_recv_deliver_into(s);
    }
}

static __attribute__((noinline)) void sock_recv_deliver_later(struct wr_sock *s,
                                                              weir_lease *lease)
{
    if (wr_delivery_is_shut(&s->c.delivery)) {
        wr_sock_note_dropped(s, lease->len);
    }
    if (wr_delivery_borrowed(&s->c.t, &s->c.delivery, lease)) {
        wr_connection_push(&s->c);
    }
}

void wr_sock_received(struct wr_sock *s, weir_lease *lease)
{
    s->has_received = true;
    wr_connection_note_received(&s->c, lease->len);
    if (WR_UNLIKELY(!wr_delivery_is_free(&s->c.delivery))) {
        sock_recv_deliver_later(s, lease);
        return;
    }
    wr_delivery_show(&s->c.t, &s->c.delivery, lease);
    wr_lease_end_borrow(lease);
}

void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(lease->block && lease->refs == 1);
    s->has_received = true;
    wr_connection_note_received(&s->c, lease->len);
    if (s->c.t.state == WR_LIFE_OPEN) {
        wr_delivery_hold(&s->c.delivery, lease);
        wr_connection_push(&s->c);
    } else {
        wr_sock_note_dropped(s, lease->len);
        wr_lease_unref(lease);
    }
}

/* Handles a receive that returned 0. The kernel reports an error once, to a
 * send or to a receive, and later receives return 0. So if a send is in flight,
 * the end of the stream is in doubt until the send has ended, which is soon. */
static void sock_recv_eof(struct wr_sock *s)
{
    wr_assert(!s->c.t.eof_seen);
    s->c.t.eof_seen = true;
    if (s->c.t.error) {
        return;
    }
    if (s->send_op.in_flight && !s->c.outbox.is_stalled) {
        s->eof_doubted = true;
        return;
    }
    wr_connection_deliver_end(&s->c);
}

void wr_sock_confirm_eof(struct wr_sock *s)
{
    wr_assert(s->c.t.eof_seen && s->eof_doubted);
    s->eof_doubted = false;
    if (s->c.t.error == 0 || s->c.t.error == -EPIPE) {
        wr_connection_deliver_end(&s->c);
    }
}

void wr_sock_return_lent(struct wr_sock *s)
{
    wr_assert(!s->recv_op.in_flight);
    if (wr_sock_has_lent(s) && s->extra->len == 0) {
        sock_recv_deliver_into(s);
    }
    if (wr_delivery_has_held(&s->c.delivery) && s->c.t.state == WR_LIFE_OPEN) {
        wr_connection_push(&s->c);
    }
}

void wr_sock_drop_lent(struct wr_sock *s)
{
    wr_assert(wr_life_is_over(&s->c.t));
    s->extra->len = 0;
    wr_sock_return_lent(s);
}

/* Without memory for a clock, watches the peer at once. */
static void sock_recv_watch_later(struct wr_sock *s)
{
    if (s->poll_op.in_flight || s->hup_seen) {
        return;
    }
    if (wr_connection_make_clock(&s->c) < 0) {
        wr_sock_watch(s);
        return;
    }
    struct wr_sock_clock *clock = wr_sock_clock_of(s);
    if (clock->watch_ns == 0) {
        clock->watch_ns = wr_add_sat(s->c.t.loop->now_ns, WATCH_AFTER_NS);
        wr_clock_changed(s->c.clock);
    }
}

static int sock_recv_pending_error(const struct wr_sock *s)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = wr_sys_getsockopt(s->c.t.fd, SOL_SOCKET, SO_ERROR, &value, &len);
    wr_check(value >= 0);
    return err < 0 ? err : -value;
}

void wr_sock_watched(struct wr_sock *s, int32_t res)
{
    wr_assert(s->c.t.state != WR_LIFE_NEW && s->c.t.state != WR_LIFE_LOST);
    if (res <= 0 || s->c.t.state != WR_LIFE_OPEN ||
        !((uint32_t)res & (POLLERR | POLLHUP))) {
        return;
    }
    s->hup_seen = true;
    int err = sock_recv_pending_error(s);
    if (err < 0) {
        wr_transport_set_error(&s->c.t, err, "connection");
    }
}

static void sock_recv_set_state(struct wr_sock *s, enum wr_recv_state state)
{
    static const uint8_t allowed[WR_RECV_STATES] = {
        [WR_RECV_IDLE] = 1u << WR_RECV_ARMED,
        [WR_RECV_ARMED] = 1u << WR_RECV_IDLE | 1u << WR_RECV_CANCELLING,
        [WR_RECV_CANCELLING] = 1u << WR_RECV_IDLE,
    };
    wr_assert(state < WR_RECV_STATES);
    wr_assert(allowed[s->recv_state] >> state & 1u);
    s->recv_state = state;
}

/* True if a socket that is not OPEN receives, and drops the bytes: it lingers,
 * or its own bytes had to wait for space. Then the peer may be closing and
 * waiting for space, too; if neither side read, both would wait for ever. */
static inline bool sock_recv_drops(const struct wr_sock *s)
{
    return wr_sock_lingers(s) ||
           (s->c.t.state == WR_LIFE_CLOSING && s->has_waited &&
            s->c.outbox.dropped_bytes < WR_END_DROP_BYTES);
}

static enum flow sock_recv_flow_of(const struct wr_sock *s)
{
    wr_debug_assert(s->c.t.state != WR_LIFE_NEW);
    wr_debug_assert(s->c.t.state != WR_LIFE_LOST);
    if (WR_UNLIKELY(s->c.t.error != 0 && wr_sock_has_read_all(s))) {
        return FLOW_CLOSING;
    }
    if (WR_UNLIKELY(s->c.t.state != WR_LIFE_OPEN)) {
        if (!sock_recv_drops(s) || s->c.t.eof_seen) {
            return FLOW_CLOSING;
        }
        return wr_sock_has_lent(s) ? FLOW_HELD : FLOW_OPEN;
    }
    if (s->c.t.eof_seen) {
        return FLOW_EOF;
    }
    if (wr_delivery_is_paused(&s->c.delivery)) {
        return wr_sock_has_kept(s) ? FLOW_KEPT : FLOW_PAUSED;
    }
    if (wr_sock_has_lent(s)) {
        return wr_delivery_has_held(&s->c.delivery) ? FLOW_LENT : FLOW_HELD;
    }
    return wr_delivery_has_held(&s->c.delivery) ? FLOW_HELD : FLOW_OPEN;
}

static __attribute__((noinline)) enum action
sock_recv_queued_action(const struct wr_sock *s)
{
    return s->c.t.state != WR_LIFE_OPEN &&
                   s->c.t.demand.state == WR_DEMAND_STUCK
               ? ACTION_LEAVE
               : (enum action)
                     sock_recv_actions[ROW_QUEUED][sock_recv_flow_of(s)];
}

static enum action sock_recv_next_action(const struct wr_sock *s)
{
    if (WR_UNLIKELY(s->c.t.error != 0) && s->recv_state == WR_RECV_ARMED &&
        !s->armed_once) {
        /* A multishot receive that its poll has started waits for an edge, and
         * the edge of a reset may be over (Linux 6.18). So receives that end
         * with their first bytes read the rest. */
        return ACTION_CANCEL;
    }
    if (WR_UNLIKELY(wr_intake_is_queued(&s->c.t))) {
        return sock_recv_queued_action(s);
    }
    return (enum action)sock_recv_actions[s->recv_state][sock_recv_flow_of(s)];
}

static __attribute__((noinline)) void sock_recv_hold_back(struct wr_sock *s)
{
    wr_assert(s->c.t.held_back && s->recv_state == WR_RECV_IDLE);
    wr_sock_watch(s);
    if (WR_UNLIKELY(s->c.t.error) && !s->send_op.in_flight &&
        wr_intake_awaits_drop(&s->c.t)) {
        wr_connection_push(&s->c); /* the step drops the queue */
    }
}

static void sock_recv_starve(struct wr_sock *s)
{
    wr_intake_starve(&s->c.t);
    sock_recv_hold_back(s);
}

static void sock_recv_note_armed(struct wr_sock *s, bool once)
{
    wr_debug_assert(!s->recv_op.in_flight);
    wr_assert(!s->c.t.eof_seen && !s->recv_failed);
    wr_assert(!wr_life_is_over(&s->c.t));
    wr_debug_assert(!wr_intake_is_queued(&s->c.t));
    sock_recv_set_state(s, WR_RECV_ARMED);
    s->armed_once = once;
    if (WR_UNLIKELY(s->c.t.held_back)) {
        wr_connection_goes_on(&s->c);
    }
}

static bool sock_recv_receives_into(const struct wr_sock *s)
{
    return s->c.t.state == WR_LIFE_OPEN &&
           s->c.t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED &&
           s->c.t.binding.protocol->release_buffer && s->fd_limit == 0;
}

static void sock_recv_arm_into(struct wr_sock *s)
{
    weir_loop *loop = s->c.t.loop;
    void *buf;
    size_t size;

    wr_assert(wr_delivery_is_free(&s->c.delivery));
    wr_assert(!wr_sock_has_lent(s));
    if (wr_sock_make_extra(s) < 0) {
        wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
        return;
    }
    const struct weir_protocol_binding from = s->c.t.binding;
    int err = wr_protocol_get_buffer(&s->c.t, 0, &buf, &size);
    if (err < 0) {
        wr_delivery_fail(&s->c.t, err, "get_buffer");
        return;
    }
    if (WR_UNLIKELY(wr_loop_is_forked(loop))) {
        return; /* a task of the child has resumed reading */
    }
    if (sock_recv_flow_of(s) != FLOW_OPEN || s->recv_state != WR_RECV_IDLE ||
        !wr_protocol_is_bound(&s->c.t, &from)) {
        /* get_buffer has paused, closed or replaced the protocol. */
        wr_protocol_give_back(&s->c.t, &from, buf);
        wr_connection_push(&s->c);
        return;
    }
    s->extra->binding = from;
    s->extra->buf = buf;
    s->extra->len = 0;
    s->extra->splicing = NULL; /* its protocol is not bound any more */
    sock_recv_note_armed(s, true);
    wr_prep_recv_into(&loop->uring, &s->recv_op, s->c.t.fd, buf, size);
}

/* Learns which kind of first receive suits the loop's connections. A receive
 * that stays armed costs a cancel if the program closes at the first bytes. A
 * receive that ends with the first bytes costs another submission if the
 * connection continues.
 *
 * @suits is false if the present kind was wrong for a connection, which adds a
 * doubt; true removes one. A receive that ends is wrong if a second receive is
 * armed, and right if the program closes before. A receive that stays is right
 * if the peer ends the stream, and wrong if the program closes. A late close
 * also counts as wrong, although any receive would need a cancel then; the
 * doubts about receives that end correct this. */
static void sock_recv_note_first(weir_loop *loop, bool suits)
{
    const unsigned int most =
        loop->first_stays ? DOUBTS_OF_STAYING : DOUBTS_OF_ENDING;

    wr_assert(loop->first_doubts < most);
    if (!suits) {
        loop->first_doubts++;
    } else if (loop->first_doubts > 0) {
        loop->first_doubts--;
    }
    if (loop->first_doubts == most) {
        loop->first_stays = !loop->first_stays;
        loop->first_doubts = 0;
    }
}

static inline uint32_t sock_recv_ask(struct wr_sock *s)
{
    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    wr_demand_set_stuck(&s->c.t.demand, wr_sock_stuck_bytes(s));
    const uint32_t credit = wr_intake_ask(&s->c.t);
    if (WR_UNLIKELY(credit == 0)) {
        sock_recv_hold_back(s);
    }
    return credit;
}

uint32_t wr_sock_recv_ask(struct wr_sock *s)
{
    return sock_recv_ask(s);
}

static __attribute__((noinline)) void sock_recv_arm_poll(struct wr_sock *s)
{
    if (s->fd_limit > 0 && wr_sock_fds_rest(s)) {
        wr_sock_watch(s);
        return;
    }
    wr_demand_set_stuck(&s->c.t.demand, wr_sock_stuck_bytes(s));
    if (WR_UNLIKELY(!wr_intake_may_poll(&s->c.t))) {
        sock_recv_hold_back(s);
        return;
    }
    if (s->expects_bytes) {
        wr_connection_goes_on(&s->c);
        wr_intake_make_due(&s->c.t);
        return;
    }
    sock_recv_note_armed(s, true);
    s->polls_bytes = true;
    wr_prep_poll(&s->c.t.loop->uring, &s->recv_op, s->c.t.fd, POLLIN, false);
}

static __attribute__((noinline)) void sock_recv_arm_lent(struct wr_sock *s)
{
    wr_demand_set_stuck(&s->c.t.demand, wr_sock_stuck_bytes(s));
    if (s->c.t.demand.stuck_bytes >
        wr_budget_queued_share(&s->c.t.loop->budget)) {
        wr_intake_wait(&s->c.t, WR_SHORTAGE_STUCK);
        sock_recv_hold_back(s);
    } else {
        sock_recv_arm_into(s);
    }
}

/* True if this is the first receive and must end with the first bytes. A second
 * receive adds a doubt about such a first receive. */
static inline bool sock_recv_ends_first(const struct wr_sock *s)
{
    if (s->c.t.loop->first_stays) {
        return false;
    }
    if (s->has_received && s->armed_once) {
        sock_recv_note_first(s->c.t.loop, false);
    }
    return !s->has_received;
}

static __attribute__((noinline)) void sock_recv_arm(struct wr_sock *s)
{
    const struct wr_pool *pool = &s->c.t.loop->pool;

    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    wr_assert(!wr_delivery_has_held(&s->c.delivery) && !wr_sock_has_lent(s));
    if (WR_UNLIKELY(sock_recv_receives_into(s))) {
        sock_recv_arm_lent(s);
        return;
    }
    if (WR_UNLIKELY(s->moves_bulk) && (s->c.t.error == 0 || s->always_polls)) {
        sock_recv_arm_poll(s);
        return;
    }
    const uint32_t credit = sock_recv_ask(s);
    if (WR_UNLIKELY(credit == 0)) {
        return;
    }
    if (WR_UNLIKELY(!wr_pool_has_posted(pool))) {
        sock_recv_starve(s);
        return;
    }
    wr_debug_assert(credit > 1);
    /* An armed receive of TCP may miss the end of the stream. */
    if (WR_UNLIKELY(s->c.t.loop->host.misses_ends) && !s->c.t.ops->send_fds) {
        wr_sock_watch(s);
    }
    const struct wr_recv_limits limits = {
        .credit = credit,
        .buf_size = pool->buf_size,
        .once = sock_recv_ends_first(s) || s->c.t.error != 0 || s->hup_seen,
    };
    sock_recv_note_armed(s, limits.once || !wr_has(&s->c.t.loop->uring.features,
                                                   WR_FEATURE_RECV_CREDIT));
    wr_prep_recv(&s->c.t.loop->uring, &s->recv_op, s->c.t.fd, &limits);
}

static void sock_recv_cancel(struct wr_sock *s)
{
    if (s->recv_state == WR_RECV_ARMED) {
        sock_recv_set_state(s, WR_RECV_CANCELLING);
        wr_op_cancel(&s->c.t.loop->uring, &s->recv_op);
    }
}

void wr_sock_update_recv(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    enum action action = sock_recv_next_action(s);

    if (action == ACTION_LEAVE) {
        wr_intake_leave(&s->c.t);
        action = sock_recv_next_action(s);
    }
    switch (action) {
    case ACTION_ARM:
        sock_recv_arm(s);
        break;
    case ACTION_WATCH:
        wr_sock_watch(s);
        break;
    case ACTION_WATCH_LATER:
        sock_recv_watch_later(s);
        break;
    case ACTION_CANCEL:
        sock_recv_cancel(s);
        break;
    case ACTION_NONE:
    case ACTION_LEAVE:
        break;
    }
}

static inline bool sock_recv_is_busy(const struct wr_sock *s)
{
    return s->recv_state != WR_RECV_IDLE || wr_intake_is_queued(&s->c.t);
}

/* Out of line, because an immediate close has nothing to stop. */
static __attribute__((noinline)) void sock_recv_stop_slowly(struct wr_sock *s)
{
    const bool is_busy = sock_recv_is_busy(s);

    if (s->has_received && !s->c.t.eof_seen &&
        s->c.t.loop->first_stays == is_busy) {
        sock_recv_note_first(s->c.t.loop, !is_busy);
    }
    if (is_busy) {
        wr_sock_update_recv(&s->c);
    } else if (s->c.clock && wr_sock_clock_of(s)->watch_ns != 0) {
        /* No poll watches the peer after its end of stream yet. If it has sent
         * a reset since, only the kernel knows. */
        const int err = s->c.t.error == 0 ? sock_recv_pending_error(s) : 0;

        wr_assert(s->c.t.eof_seen);
        if (err < 0) {
            wr_transport_set_error(&s->c.t, err, "connection");
        }
    }
}

void wr_sock_recv_stop(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);

    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    if (sock_recv_is_busy(s) || c->t.eof_seen ||
        WR_UNLIKELY(c->t.loop->first_doubts > 0)) {
        sock_recv_stop_slowly(s);
    }
}

void wr_sock_recv_failed(struct wr_sock *s, int err)
{
    wr_assert(err < 0);
    wr_check(!s->recv_op.in_flight);
    if (wr_res_is_transient(err)) {
        if (s->sends_file) {
            /* A file made the socket non-blocking; the receive did not wait. */
            wr_sendfile_end_burst(&s->c.outbox.sender->file, s->c.t.fd);
        }
        return;
    }
    switch (err) {
    case -ENOBUFS:
        s->c.t.loop->budget.starved_count++;
        if (sock_recv_flow_of(s) == FLOW_OPEN) {
            sock_recv_starve(s);
        }
        break;
    default:
        s->recv_failed = true;
        if (s->c.t.state == WR_LIFE_LINGERING && !wr_sock_linger_owes(s)) {
            /* The peer has received everything, so its reset is no error. */
            s->c.t.eof_seen = true;
        } else if (!s->resets) { /* else this side has reset */
            wr_transport_set_error(&s->c.t, err, "receive");
        }
    }
}

void wr_sock_recv_other(struct wr_sock *s, int32_t res, uint32_t flags)
{
    struct wr_pool *pool = &s->c.t.loop->pool;

    wr_assert(!(flags & WR_CQE_BUFFER) || res <= 0);
    if (flags & WR_CQE_BUFFER) {
        wr_ignore(wr_pool_receive(pool, &s->c.t.demand.account, 0, flags) !=
                  NULL);
        if (wr_pool_lost_error(pool, flags) == WEIR_EBADBUFFER) {
            wr_delivery_lose_bytes(&s->c.t, WEIR_EBADBUFFER);
            return;
        }
    }
    if (res > 0 && !wr_sock_has_lent(s)) {
        /* The bytes are in unknown memory. */
        wr_delivery_lose_bytes(&s->c.t, WEIR_EBADBUFFER);
    } else if (res > 0) {
        const size_t len = (size_t)res;
        wr_assert(s->extra->len == 0);
        wr_assert(!s->recv_op.in_flight);
        wr_connection_note_received(&s->c, len);
        s->extra->len = len;
        if (sock_recv_may_deliver_into(s)) {
            sock_recv_deliver_into(s);
        }
    } else if (res == 0) {
        if (s->c.t.state == WR_LIFE_OPEN && s->has_received &&
            s->c.t.loop->first_stays) {
            sock_recv_note_first(s->c.t.loop, true);
        }
        sock_recv_eof(s);
    } else {
        wr_sock_recv_failed(s, res);
    }
}

void wr_sock_recv_ended(struct wr_sock *s)
{
    wr_assert(!s->recv_op.in_flight);
    sock_recv_set_state(s, WR_RECV_IDLE);
}

/* Receives into lent memory and polls take no memory of the pool. */
void wr_sock_recv_revoke(struct wr_sock *s)
{
    wr_assert(s->c.t.state != WR_LIFE_NEW || s->recv_state == WR_RECV_IDLE);
    if (!wr_sock_has_lent(s) && !s->polls_bytes) {
        sock_recv_cancel(s);
    }
}

void wr_sock_recv_by_polls(struct wr_sock *s)
{
    wr_assert(s->c.t.state < WR_LIFE_LOST);
    s->always_polls = true;
    wr_sock_begin_bulk(s);
    wr_sock_recv_revoke(s);
}

void wr_sock_account_over(struct wr_account *account)
{
    wr_sock_recv_revoke(
        wr_container_of(account, struct wr_sock, c.t.demand.account));
}

bool wr_sock_recv_may_fill(const struct wr_sock *s)
{
    return sock_recv_flow_of(s) == FLOW_OPEN && !sock_recv_receives_into(s);
}

void wr_sock_end_recv(struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_ENDING);
    if (sock_recv_is_busy(s)) {
        wr_sock_update_recv(&s->c);
    }
    wr_assert(s->recv_state != WR_RECV_ARMED);
    wr_debug_assert(!wr_intake_is_queued(&s->c.t));
    wr_op_cancel(&s->c.t.loop->uring, &s->poll_op);
}

/*
 * Stream sockets: receiving.
 *
 * One operation, governed by credit: each arm says how many bytes may arrive
 * in all, and the kernel ends it by itself when they have. What to do follows
 * from two facts, where the operation stands and what the stream wants, and
 * the table below is the whole of it.
 *
 *                 open       paused      eof        closing
 *     idle        arm        watch       watch      -
 *     armed       -          -           -          cancel
 *     cancelling  -          -           -          -
 *     starved     -          leave       leave      leave
 *
 * "Paused" lets an armed receive be until bytes do arrive; then it is
 * cancelled, and what came is kept. "Watch" is a poll that notices a peer that
 * goes while nothing is read. "Leave" leaves the queue of the starved.
 * Cancelling loses nothing: the operation's last completion says what came.
 */
#include "sock_impl.h"

#include <poll.h>
#include <string.h>

enum flow {
    FLOW_OPEN,
    FLOW_PAUSED,
    FLOW_EOF,
    FLOW_CLOSING,
    FLOW_STATES,
};

enum action {
    ACTION_NONE,
    ACTION_ARM,
    ACTION_WATCH,
    ACTION_CANCEL,
    ACTION_LEAVE,
};

static const uint8_t actions[WR_RECV_STATES][FLOW_STATES] = {
    [WR_RECV_IDLE] = {[FLOW_OPEN] = ACTION_ARM,
                      [FLOW_PAUSED] = ACTION_WATCH,
                      [FLOW_EOF] = ACTION_WATCH},
    [WR_RECV_ARMED] = {[FLOW_CLOSING] = ACTION_CANCEL},
    [WR_RECV_STARVED] = {[FLOW_PAUSED] = ACTION_LEAVE,
                         [FLOW_EOF] = ACTION_LEAVE,
                         [FLOW_CLOSING] = ACTION_LEAVE},
};

const char *wr_sock_recv_state_name(const struct wr_sock *s)
{
    static const char *const names[WR_RECV_STATES] = {"idle", "armed",
                                                      "cancelling", "starved"};
    return names[s->recv_state];
}

static enum flow flow_of(const struct wr_sock *s)
{
    if (WR_UNLIKELY(s->t.error != 0 && wr_sock_has_read_all(s))) {
        return FLOW_CLOSING;
    }
    if (WR_UNLIKELY(s->state != WR_SOCK_OPEN)) {
        /* Lingering reads on and drops what comes. */
        return wr_sock_lingers(s) && !s->eof_seen ? FLOW_OPEN : FLOW_CLOSING;
    }
    if (s->eof_seen) {
        return FLOW_EOF;
    }
    return s->paused ? FLOW_PAUSED : FLOW_OPEN;
}

/* It stays when reading goes on: there will be a next time. */
static void watch(struct wr_sock *s)
{
    if (!s->poll_op.in_flight && !s->hup_seen) {
        wr_prep_poll(&s->t.loop->uring, &s->poll_op, s->fd, 0, true);
    }
}

/* Our own limits keep it from receiving: the peer's time does not run. */
static void hold_back(struct wr_sock *s)
{
    s->held_back = true;
    watch(s);
}

static void starve(struct wr_sock *s)
{
    s->recv_state = WR_RECV_STARVED;
    wr_pool_starve(&s->t.loop->pool, &s->account);
    hold_back(s);
}

static void leave_starved(struct wr_sock *s)
{
    wr_assert(s->recv_state == WR_RECV_STARVED);
    wr_pool_unstarve(&s->account);
    s->waits_unstuck = false;
    s->recv_state = WR_RECV_IDLE;
}

void wr_sock_sent_some(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->waits_unstuck)) {
        leave_starved(s);
    }
}

static bool receives_into(const struct wr_sock *s)
{
    return s->state == WR_SOCK_OPEN &&
           s->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED &&
           s->t.binding.protocol->release_buffer;
}

/* Into the protocol's own memory, which it promised to keep. */
static void arm_into(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;
    void *buf;
    size_t size;

    if (!s->into) {
        s->into = wr_alloc(&loop->counting, sizeof(*s->into));
        if (!s->into) {
            wr_sock_lose_bytes(s, -ENOMEM); /* nothing would try again */
            return;
        }
        memset(s->into, 0, sizeof(*s->into));
    }
    const struct weir_protocol_binding from = s->t.binding;
    int err = wr_protocol_get_buffer(&s->t, 0, &buf, &size);
    if (err < 0) {
        wr_sock_fail_callback(s, err, "get_buffer");
        return;
    }
    if (WR_UNLIKELY(wr_loop_is_forked(loop))) {
        return; /* a task of the child has resumed reading */
    }
    if (flow_of(s) != FLOW_OPEN || s->recv_state != WR_RECV_IDLE ||
        !wr_sock_is_bound_to(s, &from)) {
        /* Paused, closed or switched by get_buffer itself. */
        wr_sock_give_buffer_back(s, &from, buf);
        wr_ready_push(&loop->ready, &s->step);
        return;
    }
    s->into->binding = from;
    s->into->buf = buf;
    s->into->len = 0;
    s->recv_state = WR_RECV_ARMED;
    s->armed_once = true;
    wr_prep_recv_into(&loop->uring, &s->recv_op, s->fd, buf, size);
}

/* There is none now: waits for what can change that. */
static void wait_for_credit(struct wr_sock *s, enum wr_verdict verdict)
{
    if (s->account.held_bytes > 0) {
        s->wants_credit = true; /* what it gives back will do ... */
        s->account.tell_released = true;
    }
    switch (verdict) {
    case WR_VERDICT_HOLDS_SHARE:
        starve(s); /* ... and what others give back */
        break;
    case WR_VERDICT_IS_STUCK:
        s->recv_state = WR_RECV_STARVED;
        s->waits_unstuck = true;
        wr_pool_wait_unstuck(&s->t.loop->pool, &s->account);
        hold_back(s);
        break;
    case WR_VERDICT_HOLDS_LIMIT:
    case WR_VERDICT_CREDIT:
        hold_back(s);
        break;
    }
}

static void arm(struct wr_sock *s)
{
    struct wr_pool *pool = &s->t.loop->pool;
    uint32_t credit;

    s->account.stuck_bytes = wr_sock_stuck_bytes(s);
    if (WR_UNLIKELY(receives_into(s))) {
        if (s->account.stuck_bytes > wr_budget_queued_share(&pool->budget)) {
            wait_for_credit(s, WR_VERDICT_IS_STUCK);
        } else {
            arm_into(s);
        }
        return;
    }
    const enum wr_verdict verdict = wr_pool_ask(pool, &s->account, &credit);
    if (WR_UNLIKELY(verdict != WR_VERDICT_CREDIT)) {
        wait_for_credit(s, verdict);
        return;
    }
    if (WR_UNLIKELY(!wr_pool_has_posted(pool))) {
        starve(s);
        return;
    }
    s->recv_state = WR_RECV_ARMED;
    if (WR_UNLIKELY(s->held_back)) {
        s->held_back = false;
        wr_sock_note_received(s); /* the read time-out starts anew */
        wr_sock_times_changed(s);
    }
    const struct wr_recv_limits limits = {
        .credit = credit,
        .buf_size = pool->buf_size,
        .once = !s->has_received || s->t.error != 0 || s->hup_seen,
    };
    s->armed_once = limits.once ||
                    !wr_has(&s->t.loop->uring.features, WR_FEATURE_RECV_CREDIT);
    wr_prep_recv(&s->t.loop->uring, &s->recv_op, s->fd, &limits);
}

void wr_sock_cancel_recv(struct wr_sock *s)
{
    if (s->recv_state == WR_RECV_ARMED) {
        s->recv_state = WR_RECV_CANCELLING;
        wr_op_cancel(&s->t.loop->uring, &s->recv_op);
    }
}

void wr_sock_update_recv(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->t.error != 0) && !s->armed_once) {
        /* A multishot receive that its poll started takes what is there and
         * waits for an edge, and that of a reset may have been (Linux 6.18):
         * on a broken connection the rest is read by receives that end with
         * the first bytes. */
        wr_sock_cancel_recv(s);
    }
    switch ((enum action)actions[s->recv_state][flow_of(s)]) {
    case ACTION_NONE:
        break;
    case ACTION_ARM:
        if (!s->held_head && !(s->into && s->into->buf)) {
            arm(s); /* what was kept goes first */
        }
        break;
    case ACTION_WATCH:
        watch(s);
        break;
    case ACTION_CANCEL:
        wr_sock_cancel_recv(s);
        break;
    case ACTION_LEAVE:
        leave_starved(s);
        if (flow_of(s) != FLOW_CLOSING) {
            watch(s);
        }
        break;
    }
}

static void recv_failed(struct wr_sock *s, int err)
{
    switch (err) {
    case -ENOBUFS:
        s->t.loop->pool.starved_count++;
        if (flow_of(s) == FLOW_OPEN) {
            starve(s);
        }
        break;
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN:
        break; /* the table says what next */
    default:
        s->recv_failed = true;
        if (!s->resets) { /* or it may be that reset */
            wr_sock_fail(s, err, "receive");
        }
    }
}

/* What a completion without bytes in the pool says. */
static void received_other(struct wr_sock *s, int32_t res, uint32_t flags)
{
    struct wr_pool *pool = &s->t.loop->pool;

    if (flags & WR_CQE_BUFFER) { /* used up with nothing in it */
        wr_ignore(wr_pool_receive(pool, &s->account, 0, flags) != NULL);
        if (wr_pool_lost_error(pool, flags) == WEIR_EBADBUFFER) {
            wr_sock_lose_bytes(s, WEIR_EBADBUFFER);
            return;
        }
    }
    if (res > 0 && !(s->into && s->into->buf)) {
        wr_sock_lose_bytes(s, WEIR_EBADBUFFER); /* bytes, and no place */
    } else if (res > 0) {
        wr_sock_received_into(s, (size_t)res);
    } else if (res == 0) {
        wr_sock_received_eof(s);
    } else {
        recv_failed(s, res);
    }
}

static void recv_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, recv_op);

    if (WR_UNLIKELY(!(flags & WR_CQE_MORE))) {
        s->recv_state = WR_RECV_IDLE;
    }
    if (WR_LIKELY(flags & WR_CQE_BUFFER && res > 0)) {
        weir_lease *lease =
            wr_pool_borrow(&s->t.loop->pool, &s->account, res, flags);
        if (WR_LIKELY(lease != NULL)) {
            wr_sock_received(s, lease);
        } else {
            wr_sock_lose_bytes(s, wr_pool_lost_error(&s->t.loop->pool, flags));
        }
    } else {
        received_other(s, res, flags);
    }
    if (WR_UNLIKELY(s->into != NULL) && !op->in_flight) {
        wr_sock_return_into(s);
    }
    wr_sock_settle(s);
}

/* What the socket says when asked; 0 when there is no error. */
static int socket_error(const struct wr_sock *s)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = wr_sys_getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &value, &len);
    return err < 0 ? err : -value;
}

static void poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sock *s = wr_container_of(op, struct wr_sock, poll_op);
    (void)flags;

    if (res > 0 && s->state == WR_SOCK_OPEN) {
        const uint32_t events = (uint32_t)res;
        if (events & (POLLERR | POLLHUP)) {
            s->hup_seen = true;
            int err = socket_error(s);
            if (err < 0) {
                wr_sock_fail(s, err, "connection");
            }
        }
    }
    wr_sock_advance(s);
}

/* Something that stopped an arm has changed: tries again, from the loop. */
static void seek_credit(struct wr_sock *s)
{
    if (!s->wants_credit) {
        return;
    }
    s->wants_credit = false;
    s->account.tell_released = false;
    if (s->recv_state == WR_RECV_STARVED) {
        leave_starved(s);
    }
    wr_ready_push(&s->t.loop->ready, &s->step);
}

static void account_released(struct wr_account *account)
{
    struct wr_sock *s = wr_container_of(account, struct wr_sock, account);

    if (WR_UNLIKELY(s->state == WR_SOCK_LOST)) {
        wr_sock_free_if_unused(s);
    } else {
        seek_credit(s);
    }
}

/* Where it receives into the protocol's memory nothing more is kept. */
static void stop_receiving(struct wr_sock *s)
{
    if (!(s->into && s->into->buf)) {
        wr_sock_cancel_recv(s);
    }
}

static void account_over(struct wr_account *account)
{
    stop_receiving(wr_container_of(account, struct wr_sock, account));
}

static void account_feed(struct wr_account *account)
{
    struct wr_sock *s = wr_container_of(account, struct wr_sock, account);

    leave_starved(s); /* the pool has taken it out already */
    wr_sock_update_recv(s);
}

void wr_sock_recv_init(struct wr_sock *s)
{
    wr_op_init(&s->recv_op, recv_completed);
    wr_op_init(&s->poll_op, poll_completed);
    wr_list_init(&s->account.starved_link);
    s->account.limit_bytes = WR_READ_LIMIT_DEFAULT;
    s->account.released = account_released;
    s->account.feed = account_feed;
    s->account.over = account_over;
}

bool wr_sock_end_recv(struct wr_sock *s)
{
    struct wr_uring *uring = &s->t.loop->uring;

    wr_sock_update_recv(s);
    wr_op_cancel(uring, &s->poll_op);
    return !s->recv_op.in_flight && !s->poll_op.in_flight;
}

void wr_sock_pause_reading(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state != WR_SOCK_OPEN || s->paused) {
        return;
    }
    s->paused = true;
    wr_ready_push(&t->loop->ready, &s->step);
}

void wr_sock_resume_reading(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state != WR_SOCK_OPEN || !s->paused) {
        return;
    }
    s->paused = false;
    wr_sock_note_received(s); /* the read time-out starts anew */
    wr_sock_times_changed(s);
    wr_ready_push(&t->loop->ready, &s->step);
}

bool wr_sock_is_reading(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->state == WR_SOCK_OPEN && !s->paused && !s->eof_seen &&
           t->error == 0;
}

void wr_sock_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_sock *s = wr_sock_of(t);

    if (bytes < s->account.limit_bytes) {
        stop_receiving(s); /* it was armed with more credit */
    }
    s->account.limit_bytes = bytes;
    if (s->state != WR_SOCK_LOST) {
        seek_credit(s);
    }
}

/*
 * The life of a byte stream on any device. Public calls and completions note
 * what happened; wr_connection_next_step() then decides what to do, and
 * wr_connection_advance() does it. After an error, unsent bytes are dropped,
 * and bytes that arrived before the error are delivered.
 *
 *     OPEN --begin_leaving--> MOVING --leave--> gone
 *       ^--- come back, recall ---/
 *
 * In MOVING no byte is delivered or sent and no time limit runs, so the
 * connection can come back until the other loop has it (lib/net/move.c).
 */
#include "connection.h"

#include "intake.h"
#include "lib/base/options.h"
#include "life.h"
#include "socket.h"
#include "uring/guard.h"
#include "weir/unix.h"

#include <string.h>

/* A device with ->splice continues a file itself, when the socket has space. */
static bool connection_sends_file(const struct wr_connection *c)
{
    return c->outbox.sender && c->t.error == 0 &&
           !wr_outbox_is_over(&c->outbox) && !c->t.ops->splice;
}

static int
connection_check_keep_alive(const struct weir_connection_options *connection)
{
    const uint64_t idle_ns = connection->keep_alive_idle_ns;
    const uint64_t interval_ns = connection->keep_alive_interval_ns;
    const uint32_t count = connection->keep_alive_count;

    wr_require(connection->keep_alive ||
                   (idle_ns == 0 && interval_ns == 0 && count == 0),
               -EINVAL);
    wr_require(idle_ns <= WR_KEEP_ALIVE_MAX_NS, -EINVAL);
    wr_require(interval_ns <= WR_KEEP_ALIVE_MAX_NS, -EINVAL);
    wr_require(count <= WR_KEEP_ALIVE_MAX_COUNT, -EINVAL);
    return 0;
}

int wr_connection_options_read(const void *outer,
                               struct weir_connection_options *connection)
{
    int err = wr_options_read_inner(outer, connection, sizeof(*connection));

    wr_require(err >= 0, err);
    err = wr_options_read_inner(connection, &connection->timeouts,
                                sizeof(connection->timeouts));
    wr_require(err >= 0, err);
    wr_require(connection->read_limit_bytes == 0 ||
                   connection->read_limit_bytes >= WR_CREDIT_MIN,
               -EINVAL);
    wr_require(connection->fd_limit <= WEIR_FDS_MAX, -EINVAL);
    return connection_check_keep_alive(connection);
}

int wr_connection_options_read_all(void *known, size_t size,
                                   const void *options,
                                   struct weir_connection_options *connection,
                                   int fd)
{
    int err = wr_options_read(known, size, options);

    if (err >= 0) {
        err = wr_connection_options_read(known, connection);
    }
    if (err < 0) {
        wr_socket_refuse(fd);
    }
    return err;
}

/* ---- the clock, made on first use: most connections have no limits ---- */

void wr_connection_view_time(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;
    const bool is_empty = wr_sendq_is_empty(&c->outbox.queue);

    wr_assert(c->clock);
    ret->is_over = wr_life_is_over(t) || t->state == WR_LIFE_MOVING;
    ret->is_open = t->state == WR_LIFE_OPEN;
    ret->is_reading =
        t->ops->is_reading && wr_connection_is_reading(t) && !t->held_back;
    ret->is_sending = wr_outbox_has_unsent(&c->outbox);
    /* A read may have ended the file and set state DONE just now. */
    ret->awaits_file =
        is_empty && file &&
        (file->state == WR_SENDER_READING || file->state == WR_SENDER_DONE);
}

int wr_connection_make_clock(struct wr_connection *c)
{
    weir_loop *loop = c->t.loop;

    wr_assert(!wr_life_is_over(&c->t));
    if (c->clock) {
        return 0;
    }
    if (loop->clocks.object_size == 0) {
        wr_slab_init(&loop->clocks, &loop->counting, WR_CLOCK_SIZE);
        wr_list_init(&loop->clock_limits);
    }
    c->clock = wr_slab_take(&loop->clocks);
    wr_require(c->clock, -ENOMEM);
    wr_clock_init(c->clock, &c->t);
    if (c->t.state > WR_LIFE_OPEN) {
        c->clock->closing_ns = weir_loop_get_time(loop);
    }
    return 0;
}

static void connection_free_clock(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW || c->t.state == WR_LIFE_ENDING);
    if (c->clock) {
        wr_assert(c->clock->t == &c->t);
        wr_clock_fini(c->clock);
        wr_slab_give(&c->t.loop->clocks, c->clock);
        c->clock = NULL;
    }
}

int wr_connection_set_limits(struct wr_connection *c,
                             const struct weir_timeouts *timeouts)
{
    struct weir_timeouts limits = *timeouts;
    const int err = wr_connection_make_clock(c);

    wr_require(err == 0, err);
    if (!c->t.ops->linger) {
        limits.linger_ns = 0; /* such a close only waits until all is sent */
    }
    return wr_clock_set_limits(c->clock, &limits);
}

int wr_connection_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_check_invariants(c);
    return t->state == WR_LIFE_NEW || wr_life_is_over(t)
               ? 0
               : wr_connection_set_limits(c, timeouts);
}

void wr_connection_goes_on(struct wr_connection *c)
{
    wr_assert(!wr_life_is_over(&c->t));
    if (wr_intake_goes_on(&c->t) && c->clock) {
        wr_clock_note_received(c->clock);
        wr_clock_changed(c->clock);
    }
}

uint32_t wr_connection_ask(struct wr_connection *c, uint64_t stuck_bytes)
{
    wr_assert(wr_connection_wants(c));
    if (wr_intake_waits(&c->t)) {
        return 0;
    }
    wr_demand_set_stuck(&c->t.demand, stuck_bytes);
    const uint32_t credit = wr_intake_ask(&c->t);
    if (credit > 0) {
        wr_connection_goes_on(c);
    }
    return credit;
}

void wr_connection_received(struct wr_connection *c, const void *data,
                            size_t len)
{
    weir_transport *t = &c->t;
    weir_lease *lease =
        wr_lease_copy(&t->loop->pool, &t->demand.account, data, len);

    wr_assert(len > 0 && t->state < WR_LIFE_LOST);
    if (!lease) {
        wr_delivery_lose_bytes(t, -ENOMEM);
        return;
    }
    wr_connection_note_received(c, len);
    if (wr_delivery_given(t, &c->delivery, lease)) {
        wr_connection_push(c);
    }
}

void wr_connection_deliver_end(struct wr_connection *c)
{
    wr_assert(c->t.eof_seen);
    if (c->t.state == WR_LIFE_OPEN || c->t.state == WR_LIFE_MOVING) {
        wr_delivery_end(&c->delivery);
        wr_connection_push(c);
    }
}

void wr_connection_received_end(struct wr_connection *c)
{
    wr_assert(!c->t.eof_seen && c->t.state < WR_LIFE_LOST);
    c->t.eof_seen = true;
    wr_connection_time_changed(c);
    wr_connection_deliver_end(c);
}

void wr_connection_sent(struct wr_connection *c, uint64_t bytes)
{
    weir_transport *t = &c->t;

    wr_assert(bytes > 0 && t->state < WR_LIFE_LOST);
    wr_transport_count_sent(t, bytes);
    if (c->clock) {
        wr_clock_note_sent(c->clock);
    }
    wr_outbox_consume(t, bytes);
    wr_outbox_notify(t);
    if (t->demand.state == WR_DEMAND_STUCK) {
        wr_intake_look_anew(t);
    }
    if (c->outbox.sender || (wr_sendq_is_empty(&c->outbox.queue) &&
                             wr_outbox_is_ending(&c->outbox))) {
        wr_connection_push(c); /* a file or the end waits for an empty queue */
    }
}

void wr_connection_end_sending(struct wr_connection *c)
{
    wr_assert(!c->t.end_sent && !wr_outbox_has_unsent(&c->outbox));
    c->t.end_sent = true;
    wr_connection_time_changed(c);
    if (c->t.ops->shut) {
        c->t.ops->shut(c);
    }
}

void wr_connection_drop_queue(struct wr_connection *c)
{
    wr_assert(c->t.error);
    if (c->t.ops->drop) {
        c->t.ops->drop(c);
    }
    wr_outbox_drop(&c->t);
    if (c->outbox.sender) {
        wr_sender_break(c->outbox.sender);
    }
    wr_intake_tell_drop(&c->t);
}

/* ---- the next step: decided from facts, without side effects ---- */

static bool connection_may_drop(const struct wr_connection *c)
{
    wr_debug_assert(c->t.error < 0);
    return (!wr_sendq_is_empty(&c->outbox.queue) ||
            wr_sender_is_active(c->outbox.sender) ||
            wr_intake_awaits_drop(&c->t)) &&
           !c->t.ops->holds_queue(c);
}

/* True if all bytes that arrived before the error were delivered. */
static bool connection_has_delivered(const struct wr_connection *c)
{
    const struct wr_transport_ops *ops = c->t.ops;

    wr_debug_assert(c->t.state <= WR_LIFE_OPEN);
    return !wr_delivery_has_held(&c->delivery) &&
           (!ops->has_read_all || ops->has_read_all(c));
}

static enum wr_connection_next
connection_next_of_broken(const struct wr_connection *c)
{
    if (connection_may_drop(c)) {
        /* Frees memory that the next receive may need. */
        return WR_CONNECTION_DROP_QUEUE;
    }
    if (c->t.state <= WR_LIFE_OPEN && !connection_has_delivered(c)) {
        return WR_CONNECTION_RECEIVE;
    }
    return WR_CONNECTION_END;
}

static __attribute__((noinline)) enum wr_connection_next
connection_next_of_sent(const struct wr_connection *c)
{
    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    return c->t.ops->is_sending(c) ? WR_CONNECTION_RECEIVE
                                   : WR_CONNECTION_LINGER;
}

static bool connection_is_in_flight(const struct wr_connection *c)
{
    wr_debug_assert(c->t.state == WR_LIFE_ENDING);
    return c->outbox.sender || c->t.ops->is_in_flight(c);
}

enum wr_connection_next wr_connection_next_step(const struct wr_connection *c)
{
    switch (c->t.state) {
    case WR_LIFE_HANDSHAKING:
    case WR_LIFE_OPEN:
        return c->t.error ? connection_next_of_broken(c)
                          : WR_CONNECTION_RECEIVE;
    case WR_LIFE_CLOSING:
        if (c->t.error) {
            return connection_next_of_broken(c);
        }
        if (wr_outbox_has_unsent(&c->outbox)) {
            return WR_CONNECTION_RECEIVE;
        }
        return c->t.ops->is_sending ? connection_next_of_sent(c)
                                    : WR_CONNECTION_LINGER;
    case WR_LIFE_LINGERING:
        return c->t.error || c->t.eof_seen ? WR_CONNECTION_END
                                           : WR_CONNECTION_RECEIVE;
    case WR_LIFE_DOOMED:
        return WR_CONNECTION_END;
    case WR_LIFE_ENDING:
        return connection_is_in_flight(c) ? WR_CONNECTION_WAIT
                                          : WR_CONNECTION_LOSE;
    /* A move waits for operations, and for the thread of the other loop. */
    case WR_LIFE_MOVING:
        return c->leaving->is_away || c->t.ops->is_in_flight(c)
                   ? WR_CONNECTION_WAIT
                   : WR_CONNECTION_HAND_OVER;
    case WR_LIFE_NEW:
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return WR_CONNECTION_WAIT;
}

static void connection_end(struct wr_connection *c)
{
    wr_debug_assert(c->t.ops->stop);
    wr_life_set_state(&c->t, WR_LIFE_ENDING);
    wr_intake_leave(&c->t);
    if (WR_UNLIKELY(c->clock != NULL)) {
        wr_clock_stop(c->clock);
    }
    c->t.ops->stop(c);
}

static __attribute__((noinline)) void connection_doom(struct wr_connection *c)
{
    wr_debug_assert(c->t.state > WR_LIFE_NEW && c->t.state < WR_LIFE_ENDING);
    if (!wr_life_is_over(&c->t)) {
        wr_life_set_state(&c->t, WR_LIFE_DOOMED);
    }
    connection_end(c);
}

static void connection_linger(struct wr_connection *c)
{
    const struct wr_transport_ops *ops = c->t.ops;

    wr_assert(!c->outbox.in_resume);
    const bool lingers = !c->t.eof_seen && ops->linger && ops->linger(c);
    c->t.end_sent = true;
    if (lingers) {
        wr_life_set_state(&c->t, WR_LIFE_LINGERING);
        wr_connection_time_changed(c);
    } else {
        connection_doom(c);
    }
}

static void connection_lose(struct wr_connection *c)
{
    const struct wr_transport_ops *ops = c->t.ops;

    wr_assert(!c->outbox.sender);
    if (WR_UNLIKELY(c->clock != NULL)) {
        connection_free_clock(c);
    }
    if (ops->drop) {
        ops->drop(c);
    }
    if (!wr_sendq_is_empty(&c->outbox.queue)) {
        wr_outbox_drop(&c->t);
    }
    wr_life_lose(&c->t);
    wr_protocol_lost(&c->t);
    if (ops->close_device) {
        ops->close_device(c);
    }
    wr_life_leave(&c->t);
}

void wr_connection_advance(struct wr_connection *c)
{
    wr_debug_assert(c->t.state > WR_LIFE_NEW && c->t.state < WR_LIFE_LOST);
    for (;;) {
        switch (wr_connection_next_step(c)) {
        case WR_CONNECTION_WAIT:
            /* Breaks the file once no byte of it is in the kernel. */
            wr_debug_assert(c->t.state == WR_LIFE_ENDING ||
                            c->t.state == WR_LIFE_MOVING);
            if (c->outbox.sender && !c->t.ops->holds_queue(c)) {
                wr_sender_break(c->outbox.sender);
            }
            return;
        case WR_CONNECTION_RECEIVE:
            c->t.ops->receive(c);
            wr_connection_check_invariants(c);
            return;
        case WR_CONNECTION_DROP_QUEUE:
            wr_connection_drop_queue(c);
            break;
        case WR_CONNECTION_LINGER:
            connection_linger(c);
            break;
        case WR_CONNECTION_END:
            connection_doom(c);
            break;
        case WR_CONNECTION_LOSE:
            connection_lose(c);
            return;
        case WR_CONNECTION_HAND_OVER:
            c->leaving->ops->settled(c->leaving);
            return;
        }
    }
}

/* Calls eof_received. Then closes the connection, unless the result is positive
 * and the device is two-way. */
static void connection_end_stream(struct wr_connection *c)
{
    weir_transport *t = &c->t;

    wr_assert(c->t.eof_seen);
    const int ret = wr_delivery_tell_end(t, &c->delivery);
    if (wr_delivery_is_shut(&c->delivery) || (ret > 0 && !t->ops->is_one_way)) {
        return;
    }
    if (t->write_error == 0) {
        wr_transport_set_end(t, WEIR_END_EOF);
    }
    weir_transport_close(t);
}

static void connection_step(struct wr_ready *ready)
{
    struct wr_connection *c =
        wr_container_of(ready, struct wr_connection, t.step);
    const struct wr_transport_ops *ops = c->t.ops;

    wr_connection_debug_check(c);
    if (WR_UNLIKELY(!c->t.is_made) && c->t.binding.protocol) {
        wr_assert(!c->t.is_made);
        wr_connection_tell_made(c);
        if (!wr_life_is_over(&c->t) && !wr_sendq_is_empty(&c->outbox.queue)) {
            c->t.ops->queued(&c->t, c->outbox.queue.bytes);
        }
    }
    if (ops->deliver) {
        ops->deliver(c);
    } else {
        wr_delivery_show_held(&c->t, &c->delivery);
    }
    if (wr_delivery_end_is_due(&c->delivery)) {
        connection_end_stream(c);
    }
    if (connection_sends_file(c)) {
        wr_sender_go_on(c->outbox.sender);
    }
    if (ops->look && !wr_life_is_over(&c->t)) {
        const int err = c->t.error == 0 ? c->t.ops->look(c) : 0;

        wr_assert(err <= 0);
        if (err < 0) {
            wr_transport_set_error(&c->t, err, "write");
        }
    }
    wr_connection_shut_when_sent(c);
    wr_connection_advance(c);
}

void wr_connection_init(struct wr_connection *c, weir_loop *loop,
                        const struct wr_transport_ops *ops)
{
    wr_debug_assert(c->t.state == WR_LIFE_NEW && ops->receive);
    wr_transport_init(&c->t, loop, ops);
    wr_ready_init(&c->t.step, connection_step);
    wr_intake_init(&c->t);
    wr_sendq_init(&c->outbox.queue);
}

struct wr_connection *
wr_connection_make(weir_loop *loop, const struct wr_transport_ops *ops,
                   const struct weir_connection_options *options)
{
    struct wr_connection *c = wr_guard_alloc(&loop->counting, ops->size);

    wr_assert(ops->size >= sizeof(*c));
    if (!c) {
        return NULL;
    }
    memset(c, 0, ops->size);
    wr_connection_init(c, loop, ops);
    if (wr_connection_apply(c, options) < 0) {
        wr_connection_discard(c);
        return NULL;
    }
    return c;
}

void wr_connection_discard(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW);
    wr_assert(c->t.demand.account.lease_count == 0);
    connection_free_clock(c);
    c->t.ops->free(&c->t);
}

void wr_connection_begin(struct wr_connection *c)
{
    weir_transport *t = &c->t;

    wr_debug_assert(!c->t.is_made && wr_protocol_fits(t, &t->binding));
    wr_life_begin(t, WR_LIFE_OPEN);
    wr_connection_time_changed(c);
    wr_loop_add_member(t->loop, &t->member);
    if (t->set) {
        t->set->ops->adopt(t->set, t);
    }
}

void wr_connection_begin_on(struct wr_connection *c, weir_transport *below)
{
    wr_assert(c->t.ops->get_below(&c->t) == below);
    wr_transport_take_place(&c->t, below);
    wr_life_begin(&c->t, c->t.is_made ? WR_LIFE_OPEN : WR_LIFE_HANDSHAKING);
    wr_connection_time_changed(c);
    wr_connection_push(c);
}

void wr_connection_open(struct wr_connection *c)
{
    wr_assert(wr_protocol_fits(&c->t, &c->t.binding));
    wr_life_set_state(&c->t, WR_LIFE_OPEN);
    wr_connection_tell_made(c);
}

void wr_connection_free(weir_transport *t)
{
    wr_assert(!wr_connection_of(t)->clock);
    wr_guard_free(&t->loop->counting, wr_connection_of(t), t->ops->size);
}

WEIR_MUST_USE static bool connection_recall(struct wr_connection *c,
                                            int (*wish)(weir_transport *t))
{
    wr_assert((c->leaving != NULL) == (c->t.state == WR_LIFE_MOVING));
    return c->leaving && c->leaving->ops->recall(c->leaving, wish);
}

static inline void connection_begin_close(struct wr_connection *c)
{
    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    if (c->clock) {
        wr_clock_close(c->clock);
    }
    if (c->t.ops->stop_receiving) {
        c->t.ops->stop_receiving(c);
    } else {
        wr_intake_leave(&c->t);
    }
    wr_connection_debug_check(c);
}

void wr_connection_close(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_debug_check(c);
    if (wr_life_close(t) ||
        (connection_recall(c, weir_transport_close) && wr_life_close(t))) {
        connection_begin_close(c);
    }
}

void wr_connection_close_unasked(struct wr_connection *c)
{
    wr_assert(c->t.error == 0);
    wr_life_set_state(&c->t, WR_LIFE_CLOSING);
    connection_begin_close(c);
}

void wr_connection_abort(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_check_invariants(c);
    if (t->state == WR_LIFE_NEW || wr_life_is_over(t) ||
        (t->state == WR_LIFE_MOVING &&
         !connection_recall(c, weir_transport_abort))) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    if (c->t.ops->reset) {
        c->t.ops->reset(c);
    }
    wr_life_doom(t);   /* its step runs even if nothing is in flight */
    connection_end(c); /* submits the cancels with this iteration's sends */
    wr_connection_check_invariants(c);
}

void wr_connection_write_eof(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_debug_check(c);
    wr_assert(c->outbox.state != WR_OUTBOX_NEW || t->state < WR_LIFE_OPEN);
    if (t->state == WR_LIFE_OPEN && t->error == 0 &&
        c->outbox.state == WR_OUTBOX_OPEN) {
        wr_outbox_end(&c->outbox);
        wr_connection_shut_when_sent(c);
        wr_connection_check_invariants(c);
    }
}

void wr_connection_pause_reading(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_check_invariants(c);
    if ((t->state == WR_LIFE_OPEN || t->state == WR_LIFE_MOVING) &&
        !wr_delivery_is_paused(&c->delivery)) {
        wr_delivery_pause(&c->delivery);
        wr_debug_assert(!wr_connection_wants(c));
        wr_connection_push(c);
    }
}

void wr_connection_resume_reading(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_check_invariants(c);
    if ((t->state != WR_LIFE_OPEN && t->state != WR_LIFE_MOVING) ||
        !wr_delivery_is_paused(&c->delivery)) {
        return;
    }
    wr_delivery_resume(&c->delivery);
    if (c->clock) {
        wr_clock_note_received(c->clock);
        wr_clock_changed(c->clock);
    }
    wr_connection_push(c);
}

void wr_connection_begin_leaving(struct wr_connection *c,
                                 struct wr_leaving *leaving)
{
    wr_assert(c->t.error == 0 && c->t.is_made && !c->leaving);
    wr_assert(!c->outbox.sender && !leaving->is_away);
    leaving->has_ended = wr_outbox_has_ended(&c->outbox);
    c->leaving = leaving;
    wr_life_set_state(&c->t, WR_LIFE_MOVING);
    wr_outbox_begin_leaving(&c->outbox);
    wr_delivery_set_away(&c->delivery, true);
    if (c->clock) {
        wr_clock_stop(c->clock);
    }
    wr_connection_push(c);
}

/* Time limits start again, because the move is not the peer's fault. */
void wr_connection_come_back(struct wr_connection *c)
{
    wr_assert(!c->leaving->is_away);
    wr_outbox_come_back(&c->outbox, c->leaving->has_ended);
    wr_delivery_set_away(&c->delivery, false);
    c->leaving = NULL;
    wr_life_set_state(&c->t, WR_LIFE_OPEN);
    if (c->clock) {
        wr_clock_note_received(c->clock);
        wr_clock_note_sent(c->clock);
        wr_clock_changed(c->clock);
    }
    wr_connection_push(c);
}

void wr_connection_leave(struct wr_connection *c)
{
    weir_transport *t = &c->t;

    wr_assert(c->leaving && c->t.fd < 0);
    c->leaving = NULL;
    wr_transport_set_end(t, WEIR_END_MOVED);
    wr_life_set_state(t, WR_LIFE_DOOMED);
    wr_life_set_state(t, WR_LIFE_ENDING);
    wr_intake_leave(t);
    connection_free_clock(c);
    wr_budget_unqueue(&t->loop->budget, c->outbox.queue.bytes);
    wr_sendq_clear(&c->outbox.queue, &t->loop->send_memory);
    wr_loop_end_if_forked(t->loop);
    wr_life_lose(t);
    wr_protocol_moved(t);
    wr_life_leave(t);
}

void wr_connection_fail(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->state != WR_LIFE_NEW);
    if (!c->leaving || connection_recall(c, weir_transport_abort)) {
        wr_life_doom(t);
    }
}

bool wr_connection_is_reading(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    return t->state == WR_LIFE_OPEN && wr_delivery_may_show(&c->delivery) &&
           !c->t.eof_seen && t->error == 0;
}

void wr_connection_get_handover(const weir_transport *t,
                                struct wr_handover *ret)
{
    const struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->state != WR_LIFE_NEW);
    *ret = (struct wr_handover){
        .is_paused = wr_delivery_is_paused(&c->delivery),
        .has_ended = c->t.eof_seen && !wr_delivery_has_end(&c->delivery),
        .is_new = !c->t.is_made,
    };
    if (c->clock) {
        ret->timeouts = *wr_clock_get_limits(c->clock);
    }
}

bool wr_connection_has_unread(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->ops->is_reading);
    return t->state == WR_LIFE_OPEN &&
           (wr_delivery_has_held(&c->delivery) || t->ops->has_arrived(c));
}

void wr_connection_dump(const weir_transport *t, FILE *out)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;
    const weir_transport *below =
        t->ops->get_below ? t->ops->get_below(t) : NULL;

    wr_assert(t->state != WR_LIFE_NEW);
    fprintf(out, "%s state=%s", t->ops->name, wr_life_state_name(t));
    if (t->ops->dump_device) {
        t->ops->dump_device(c, out);
    }
    fprintf(out,
            " wait=%s%s%s held=%llu leases=%u queued=%llu file=%s left=%llu"
            "%s%s error=%s",
            t->demand.account.notify_released ? "held-back"
                                              : wr_intake_queue_name(t),
            wr_delivery_is_paused(&c->delivery) ? " paused" : "",
            c->t.eof_seen ? " eof" : "",
            (unsigned long long)t->demand.account.held_bytes,
            t->demand.account.lease_count,
            (unsigned long long)c->outbox.queue.bytes,
            wr_sender_state_name(file),
            (unsigned long long)(file ? file->file.left : 0),
            t->writing_paused ? " writing-paused" : "",
            wr_outbox_is_ending(&c->outbox) ? " ending" : "",
            t->error ? weir_err_name(t->error) : "none");
    if (below && below->state != WR_LIFE_LOST) {
        fputs(" over ", out);
        below->ops->dump(below, out);
    } else {
        fputc('\n', out);
    }
}

void wr_connection_fed(weir_transport *t, enum wr_demand_state queue)
{
    wr_assert(queue != WR_DEMAND_IDLE && t->step.run == connection_step);
    wr_life_push_step(t);
}

void wr_connection_file_changed(weir_transport *t)
{
    wr_assert(wr_connection_of(t)->outbox.sender);
    wr_life_push_step(t);
}

void wr_connection_check_invariants(const struct wr_connection *c)
{
    const weir_transport *t = &c->t;

    wr_transport_check_invariants(t);
    wr_intake_check_invariants(t);
    wr_debug_check(wr_outbox_check_invariants(&c->outbox));
    wr_delivery_check_invariants(&c->delivery);
    wr_assert(wr_delivery_is_shut(&c->delivery) == (t->state > WR_LIFE_OPEN));
    wr_debug_assert((c->leaving != NULL) == (t->state == WR_LIFE_MOVING));
    wr_debug_assert(!wr_delivery_has_end(&c->delivery) || c->t.eof_seen);
    wr_debug_assert(!c->t.end_sent || !wr_outbox_has_unsent(&c->outbox));
    wr_debug_assert(wr_outbox_is_over(&c->outbox) || !wr_life_is_over(t));
    wr_debug_assert(t->state != WR_LIFE_LINGERING || c->t.end_sent);
    wr_debug_check(c->outbox.sender
                       ? wr_sender_check_invariants(c->outbox.sender)
                       : (void)0);
    if (c->clock) {
        const struct wr_clock *clock = c->clock;

        wr_assert(clock->t == &c->t && c->t.state < WR_LIFE_LOST);
        wr_assert(clock->closing_ns == 0 || c->t.state >= WR_LIFE_CLOSING);
        wr_debug_assert(!wr_timer_is_armed(&clock->timer) ||
                        c->t.state <= WR_LIFE_DOOMED || c->t.ops->get_below);
    }
    t->ops->check_device(c);
}

void wr_connection_check(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;

    wr_connection_check_invariants(c);
    wr_assert(t->loop->budget.queued_bytes >= c->outbox.queue.bytes);
    if (wr_ready_is_pending(&t->step)) {
        return;
    }
    wr_assert(c->t.is_made || !t->binding.protocol);
    wr_assert(t->state != WR_LIFE_DOOMED);
    wr_assert(t->state != WR_LIFE_ENDING || connection_is_in_flight(c));
    wr_assert(!file || file->state != WR_SENDER_DONE ||
              wr_ready_is_pending(&file->ready));
    wr_assert(t->ops->deliver || !wr_connection_is_reading(t) ||
              !wr_delivery_has_held(&c->delivery));
    t->ops->check_progress(c);
    if (connection_sends_file(c)) {
        wr_sender_check_progress(file);
    }
}

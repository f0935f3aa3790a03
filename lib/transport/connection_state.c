/*
 * Connections: the next step of a life, and what must always hold.
 *
 * This file decides the next step, from facts that the connection's parts and
 * its device have noted, and changes nothing; connection.c carries the step
 * out. A part that finds the connection at its end dooms it: nothing is sent or
 * delivered from then on, and connection.c ends it later.
 */
#include "connection.h"

/* ---- the next step ---- */

/* True if the queue of a broken connection can be dropped. */
static bool connection_state_may_drop(const struct wr_connection *c)
{
    wr_debug_assert(c->t.error < 0);
    return (!wr_sendq_is_empty(&c->outbox.queue) ||
            wr_sender_is_active(c->outbox.sender) ||
            wr_intake_awaits_drop(&c->t)) &&
           !c->t.ops->device->holds_queue(c);
}

/* True if a broken connection has delivered all bytes that arrived before. The
 * end of the stream alone does not end a connection. */
static bool connection_state_has_delivered(const struct wr_connection *c)
{
    const struct wr_device *device = c->t.ops->device;

    wr_debug_assert(c->t.state <= WR_LIFE_OPEN);
    return !wr_delivery_has_held(&c->delivery) &&
           (!device->has_read_all || device->has_read_all(c));
}

static enum wr_connection_next
connection_state_next_of_broken(const struct wr_connection *c)
{
    if (connection_state_may_drop(c)) {
        return WR_CONNECTION_DROP_QUEUE; /* the receive may need its memory */
    }
    if (c->t.state <= WR_LIFE_OPEN && !connection_state_has_delivered(c)) {
        return WR_CONNECTION_RECEIVE;
    }
    return WR_CONNECTION_END;
}

/* The queue of a closing connection is empty; its device may have more. */
static __attribute__((noinline)) enum wr_connection_next
connection_state_next_of_sent(const struct wr_connection *c)
{
    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    return c->t.ops->device->is_sending(c) ? WR_CONNECTION_RECEIVE
                                           : WR_CONNECTION_LINGER;
}

/* A file is in flight until its done was called. */
static bool connection_state_is_in_flight(const struct wr_connection *c)
{
    wr_debug_assert(c->t.state == WR_LIFE_ENDING);
    return c->outbox.sender || c->t.ops->device->is_in_flight(c);
}

/* Another thread, or an operation, may use memory of the connection. */
static bool connection_state_is_leaving(const struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_MOVING && c->leaving);
    return c->leaving->is_away || c->t.ops->device->is_in_flight(c);
}

enum wr_connection_next wr_connection_next_step(const struct wr_connection *c)
{
    switch (c->t.state) {
    case WR_LIFE_HANDSHAKING:
    case WR_LIFE_OPEN:
        return c->t.error ? connection_state_next_of_broken(c)
                          : WR_CONNECTION_RECEIVE;
    case WR_LIFE_CLOSING:
        if (c->t.error) {
            return connection_state_next_of_broken(c);
        }
        if (wr_outbox_has_unsent(&c->outbox)) {
            return WR_CONNECTION_RECEIVE;
        }
        return c->t.ops->device->is_sending ? connection_state_next_of_sent(c)
                                            : WR_CONNECTION_LINGER;
    case WR_LIFE_LINGERING:
        return c->t.error || c->eof_seen ? WR_CONNECTION_END
                                         : WR_CONNECTION_RECEIVE;
    case WR_LIFE_DOOMED:
        return WR_CONNECTION_END;
    case WR_LIFE_ENDING:
        return connection_state_is_in_flight(c) ? WR_CONNECTION_WAIT
                                                : WR_CONNECTION_LOSE;
    case WR_LIFE_MOVING:
        return connection_state_is_leaving(c) ? WR_CONNECTION_WAIT
                                              : WR_CONNECTION_HAND_OVER;
    case WR_LIFE_NEW:
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return WR_CONNECTION_WAIT;
}

/* ---- what must hold ---- */

static void connection_state_check_clock(const struct wr_connection *c)
{
    const struct wr_clock *clock = c->clock;

    wr_assert(clock->t == &c->t && c->t.state < WR_LIFE_LOST);
    wr_assert(clock->closing_ns == 0 || c->t.state >= WR_LIFE_CLOSING);
    wr_debug_assert(!wr_timer_is_armed(&clock->timer) ||
                    c->t.state <= WR_LIFE_DOOMED || c->t.ops->get_below);
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
    wr_debug_assert(!wr_delivery_has_end(&c->delivery) || c->eof_seen);
    wr_debug_assert(!c->end_sent || !wr_outbox_has_unsent(&c->outbox));
    wr_debug_assert(wr_outbox_is_over(&c->outbox) || !wr_life_is_over(t));
    wr_debug_assert(t->state != WR_LIFE_LINGERING || c->end_sent);
    wr_debug_check(c->outbox.sender
                       ? wr_sender_check_invariants(c->outbox.sender)
                       : (void)0);
    if (c->clock) {
        connection_state_check_clock(c);
    }
    t->ops->device->check(c);
}

/* Something will continue the connection: a step, an operation or a wait. */
void wr_connection_check(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;

    wr_connection_check_invariants(c);
    wr_assert(t->loop->budget.queued_bytes >= c->outbox.queue.bytes);
    if (wr_ready_is_pending(&t->step)) {
        return; /* the step handles everything */
    }
    wr_assert(c->is_made || !t->binding.protocol);
    wr_assert(t->state != WR_LIFE_DOOMED);
    wr_assert(t->state != WR_LIFE_ENDING || connection_state_is_in_flight(c));
    wr_assert(!file || file->state != WR_SENDER_DONE ||
              wr_ready_is_pending(&file->ready));
    wr_assert(t->ops->device->deliver || !wr_connection_is_reading(t) ||
              !wr_delivery_has_held(&c->delivery));
    t->ops->device->check_progress(c);
    if (wr_connection_sends_file(c)) {
        wr_sender_check_progress(file);
    }
}

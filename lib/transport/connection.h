/*
 * Connections: the common part of byte-stream transports. A device moves the
 * bytes; it is a table of functions and a struct that begins with the
 * connection.
 *
 *     step: held bytes -> end of the stream -> file -> look -> advance
 *
 * Every event schedules the step, which the loop runs, or advances the
 * connection as the last act of a completion. A connection is lost only when it
 * has no operation in flight.
 */
#ifndef WEIR_LIB_TRANSPORT_CONNECTION_H
#define WEIR_LIB_TRANSPORT_CONNECTION_H

#include "clock.h"
#include "outbox.h"
#include "transport.h"
#include "uring/lease.h"
#include "weir/connect_options.h"

/*
 * The delivery of a connection: received bytes on their way to the protocol.
 * The protocol gets bytes at once, unless it has paused or older bytes are
 * held; then they are held, too. Small held pieces are copied together, so that
 * they neither pin a large buffer nor cost a block each. A buffered protocol
 * gets copies. If a callback pauses, closes, fails or replaces the protocol,
 * the remaining bytes are held, dropped, or go to the new protocol.
 *
 * A struct wr_delivery starts zeroed. It is shut when no byte may be delivered
 * any more. If a callback fails or bytes are lost, ->doom() ends the transport.
 */

enum wr_delivery_fact {
    WR_DELIVERY_SHUT = 1u << 0, /* for ever; never with HELD or END */
    WR_DELIVERY_PAUSED = 1u << 1,
    WR_DELIVERY_HELD = 1u << 2,
    /* The end of the stream has arrived, and the protocol was not notified. */
    WR_DELIVERY_END = 1u << 3,
    WR_DELIVERY_AWAY = 1u << 4, /* the connection moves to another loop */
};

struct wr_delivery {
    weir_lease *held_head; /* not delivered, oldest first */
    weir_lease *held_tail;
    uint8_t facts;
    /* Leases at the head with a new protocol's initial bytes. The rest of a
     * lease that a buffered protocol is being shown follows them. */
    uint32_t given_count;
};

static inline void wr_delivery_check_invariants(const struct wr_delivery *d)
{
    wr_assert(!d->held_head == !(d->facts & WR_DELIVERY_HELD));
    wr_debug_assert(!(d->facts & WR_DELIVERY_SHUT) ||
                    !(d->facts & (WR_DELIVERY_HELD | WR_DELIVERY_END)));
    wr_debug_assert(!d->held_tail == !d->held_head);
    wr_debug_assert(!d->held_tail || !d->held_tail->next);
}

static inline bool wr_delivery_is_free(const struct wr_delivery *d)
{
    return !(d->facts & (WR_DELIVERY_SHUT | WR_DELIVERY_PAUSED |
                         WR_DELIVERY_HELD | WR_DELIVERY_AWAY));
}

static inline bool wr_delivery_may_show(const struct wr_delivery *d)
{
    return !(d->facts &
             (WR_DELIVERY_SHUT | WR_DELIVERY_PAUSED | WR_DELIVERY_AWAY));
}

static inline bool wr_delivery_is_shut(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_SHUT;
}

static inline bool wr_delivery_is_paused(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_PAUSED;
}

static inline bool wr_delivery_has_held(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_HELD;
}

static inline bool wr_delivery_has_end(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_END;
}

void wr_delivery_drop_held(struct wr_delivery *d);

/* Delivers nothing from now on: drops held bytes and a pending end. */
static inline void wr_delivery_shut(struct wr_delivery *d)
{
    d->facts = (uint8_t)((d->facts & ~WR_DELIVERY_END) | WR_DELIVERY_SHUT);
    if (WR_UNLIKELY(wr_delivery_has_held(d))) {
        wr_delivery_drop_held(d);
    }
}

static inline void wr_delivery_pause(struct wr_delivery *d)
{
    d->facts |= WR_DELIVERY_PAUSED;
}

static inline void wr_delivery_resume(struct wr_delivery *d)
{
    d->facts &= (uint8_t)~WR_DELIVERY_PAUSED;
}

static inline void wr_delivery_set_away(struct wr_delivery *d, bool is_away)
{
    d->facts = (uint8_t)(is_away ? d->facts | WR_DELIVERY_AWAY
                                 : d->facts & ~WR_DELIVERY_AWAY);
}

/* Calls ->doom(): bytes are lost, and none after them may be delivered. */
void wr_delivery_lose_bytes(weir_transport *t, int err);

/* Reports a callback's error and calls ->doom(). */
void wr_delivery_fail(weir_transport *t, int err, const char *callback);

/* Appends a lease to the held bytes. Takes its only reference. */
void wr_delivery_hold(struct wr_delivery *d, weir_lease *lease);

void wr_delivery_show_buffered(weir_transport *t, struct wr_delivery *d,
                               weir_lease *lease);

/* Shows bytes that precede all held bytes. The caller keeps its reference. */
static inline void wr_delivery_show(weir_transport *t, struct wr_delivery *d,
                                    weir_lease *lease)
{
    wr_debug_assert(wr_delivery_may_show(d));
    wr_debug_assert(lease->refs > 0 && lease->len > 0);
    if (WR_UNLIKELY(t->binding.protocol->kind == WEIR_PROTOCOL_BUFFERED)) {
        wr_delivery_show_buffered(t, d, lease);
        return;
    }
    const struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};
    const int ret = wr_protocol_data(t, &buf);
    if (WR_UNLIKELY(ret < 0)) {
        wr_delivery_fail(t, ret, "data_received");
    }
}

/* Shows, holds or drops bytes that the pool has lent, and ends the loan.
 * Returns true if they are held: the owner must schedule its step. */
WEIR_MUST_USE static inline bool wr_delivery_borrowed(weir_transport *t,
                                                      struct wr_delivery *d,
                                                      weir_lease *lease)
{
    if (WR_LIKELY(wr_delivery_is_free(d))) {
        wr_delivery_show(t, d, lease);
        wr_lease_end_borrow(lease);
        return false;
    }
    if (wr_delivery_is_shut(d)) {
        wr_lease_end_borrow(lease);
        return false;
    }
    wr_lease_ref(lease);
    wr_lease_end_borrow(lease);
    if (t->is_relayed && wr_lease_wastes(lease, lease->len)) {
        /* The relay's other peer decides how long the bytes are held. */
        wr_lease_move_out(lease, lease->data, lease->len);
    }
    wr_delivery_hold(d, lease);
    return true;
}

/* Like wr_delivery_borrowed(), but takes the only reference to @lease. */
WEIR_MUST_USE bool wr_delivery_given(weir_transport *t, struct wr_delivery *d,
                                     weir_lease *lease);

void wr_delivery_show_first(weir_transport *t, struct wr_delivery *d);

void wr_delivery_show_held(weir_transport *t, struct wr_delivery *d);

static inline void wr_delivery_end(struct wr_delivery *d)
{
    wr_assert(!wr_delivery_has_end(d));
    d->facts |= WR_DELIVERY_END;
}

static inline bool wr_delivery_end_is_due(const struct wr_delivery *d)
{
    return d->facts == WR_DELIVERY_END;
}

/* Calls eof_received. If its result is negative, calls ->doom(), too. */
WEIR_MUST_USE static inline int wr_delivery_tell_end(weir_transport *t,
                                                     struct wr_delivery *d)
{
    wr_assert(wr_delivery_end_is_due(d));
    d->facts = 0;
    const int ret = wr_protocol_eof(t);
    if (WR_UNLIKELY(ret < 0)) {
        wr_delivery_fail(t, ret, "eof_received");
    }
    return ret;
}

/* Binds another protocol, which gets the @initial bytes before all other held
 * bytes. Returns 0, -EINVAL if a part of @initial has no lease, or -ENOMEM. */
WEIR_MUST_USE int
wr_delivery_set_protocol(weir_transport *t, struct wr_delivery *d,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count);

struct wr_leaving;

struct wr_leaving_ops {
    /* Called when nothing of the connection is in flight any more, except
     * operations that schedule the step when they end. May end the move. */
    void (*settled)(struct wr_leaving *leaving);
    /* Cancels the move, because the connection closes or fails. Returns false
     * if the other loop has the connection or is taking it. If the connection
     * returns after all, @wish is called then. */
    bool (*recall)(struct wr_leaving *leaving, int (*wish)(weir_transport *t));
};

/* A connection's move to another loop. */
struct wr_leaving {
    const struct wr_leaving_ops *ops;
    bool is_away;   /* another thread has the descriptor */
    bool has_ended; /* write_eof was called before the move */
};

struct wr_connection {
    weir_transport t;
    struct wr_outbox outbox;
    struct wr_delivery delivery; /* shut from state CLOSING on */
    struct wr_clock *clock;      /* NULL until a limit or the device needs it */
    struct wr_leaving *leaving;  /* set in state MOVING */
};

static inline struct wr_connection *wr_connection_of(const weir_transport *t)
{
    wr_debug_assert(wr_transport_is_connection(t));
    return (struct wr_connection *)(uintptr_t)t;
}

static inline struct wr_outbox *wr_outbox_of(const weir_transport *t)
{
    return &wr_connection_of(t)->outbox;
}

static inline struct wr_delivery *wr_delivery_of(const weir_transport *t)
{
    return &wr_connection_of(t)->delivery;
}

WEIR_MUST_USE struct wr_connection *
wr_connection_make(weir_loop *loop, const struct wr_transport_ops *ops,
                   const struct weir_connection_options *options);
void wr_connection_init(struct wr_connection *c, weir_loop *loop,
                        const struct wr_transport_ops *ops);
WEIR_MUST_USE int wr_connection_set_limits(struct wr_connection *c,
                                           const struct weir_timeouts *limits);

WEIR_MUST_USE static inline int
wr_connection_apply(struct wr_connection *c,
                    const struct weir_connection_options *options)
{
    wr_debug_assert(c->t.state == WR_LIFE_NEW);
    wr_transport_set_limits(&c->t, options->read_limit_bytes,
                            options->write_hard_limit_bytes);
    return wr_timeouts_are_set(&options->timeouts)
               ? wr_connection_set_limits(c, &options->timeouts)
               : 0;
}

/* Frees a connection whose protocol was never called. */
void wr_connection_discard(struct wr_connection *c);
/* Adds a connection with a bound protocol to the loop and to the server's set.
 * Its first step calls connection_made, unless the caller does. */
void wr_connection_begin(struct wr_connection *c);
/* Starts a connection on top of @below, which it replaces: with a handshake,
 * unless connection_made was called before. */
void wr_connection_begin_on(struct wr_connection *c, weir_transport *below);
void wr_connection_open(struct wr_connection *c);

static inline void wr_connection_tell_made(struct wr_connection *c)
{
    wr_debug_assert(!c->t.is_made);
    c->t.is_made = true;
    wr_protocol_made(&c->t);
}

static inline void wr_connection_push(struct wr_connection *c)
{
    wr_ready_push(&c->t.loop->ready, &c->t.step);
}

static inline bool wr_connection_wants(const struct wr_connection *c)
{
    return c->t.state == WR_LIFE_OPEN && wr_delivery_is_free(&c->delivery) &&
           !c->t.eof_seen && c->t.error == 0;
}

/* Returns the receive window, or 0 if the connection waits for one. */
WEIR_MUST_USE uint32_t wr_connection_ask(struct wr_connection *c,
                                         uint64_t stuck_bytes);
/* Notes that receiving continues. Resumes the peer's read time-out. */
void wr_connection_goes_on(struct wr_connection *c);
void wr_connection_received(struct wr_connection *c, const void *data,
                            size_t len);
/* Called once, at the end of the peer's stream. The step calls eof_received. */
void wr_connection_received_end(struct wr_connection *c);
/* For a device that has set eof_seen itself, perhaps before it was certain. */
void wr_connection_deliver_end(struct wr_connection *c);
/* Closes a connection whose device has ended; sends written bytes first. */
void wr_connection_close_unasked(struct wr_connection *c);
/* Called after a send of @bytes. Callbacks may write, close or abort. */
void wr_connection_sent(struct wr_connection *c, uint64_t bytes);
void wr_connection_end_sending(struct wr_connection *c);

/* Calls ->shut, once, if write_eof was called and everything is sent. */
static inline void wr_connection_shut_when_sent(struct wr_connection *c)
{
    if (WR_UNLIKELY(wr_outbox_has_ended(&c->outbox)) && !c->t.end_sent &&
        c->t.error == 0 && !wr_outbox_has_unsent(&c->outbox)) {
        wr_connection_end_sending(c);
    }
}

/* Drops the queue of a broken connection; see wr_intake_awaits_drop(). */
void wr_connection_drop_queue(struct wr_connection *c);

WEIR_MUST_USE int wr_connection_make_clock(struct wr_connection *c);

static inline void wr_connection_time_changed(struct wr_connection *c)
{
    if (WR_UNLIKELY(c->clock != NULL)) {
        wr_clock_changed(c->clock);
    }
}

static inline void wr_connection_note_received(struct wr_connection *c,
                                               uint64_t bytes)
{
    wr_transport_count_received(&c->t, bytes);
    if (WR_UNLIKELY(c->clock != NULL)) {
        wr_clock_note_received(c->clock);
    }
}

void wr_connection_view_time(const weir_transport *t,
                             struct wr_clock_view *ret);

/* Called after @len bytes were queued; may start the write-stall limit. */
static inline void wr_connection_note_queued(struct wr_connection *c,
                                             size_t len)
{
    wr_debug_assert(len > 0);
    if (WR_UNLIKELY(c->clock != NULL) && c->outbox.queue.bytes == len) {
        wr_clock_begin_sending(c->clock);
    }
}

/* Enters MOVING. The device then cancels its operations and starts no
 * others. */
void wr_connection_begin_leaving(struct wr_connection *c,
                                 struct wr_leaving *leaving);
/* Enters OPEN again, because the connection did not leave. */
void wr_connection_come_back(struct wr_connection *c);
/* Removes a connection that another loop has. The device must have released the
 * descriptor and have nothing in flight. */
void wr_connection_leave(struct wr_connection *c);
/* ->doom of a table: ends a connection that has failed, perhaps in MOVING. */
void wr_connection_fail(weir_transport *t);

enum wr_connection_next {
    WR_CONNECTION_WAIT,
    WR_CONNECTION_RECEIVE,    /* state unchanged: receive, or stop receiving */
    WR_CONNECTION_DROP_QUEUE, /* queued bytes will never be sent */
    WR_CONNECTION_LINGER,     /* everything is sent: linger if needed */
    WR_CONNECTION_END,
    WR_CONNECTION_LOSE,      /* nothing is in flight: call connection_lost */
    WR_CONNECTION_HAND_OVER, /* nothing is in flight: continue the move */
};

enum wr_connection_next wr_connection_next_step(const struct wr_connection *c);
/* Makes all changes of state that are possible now. May free the connection, so
 * in a device it is the last act of a completion. */
void wr_connection_advance(struct wr_connection *c);
void wr_connection_check_invariants(const struct wr_connection *c);

static inline void wr_connection_debug_check(const struct wr_connection *c)
{
#ifdef WR_INVARIANTS
    wr_connection_check_invariants(c);
#else
    (void)c;
#endif
}

bool wr_connection_is_reading(const weir_transport *t);
void wr_connection_get_handover(const weir_transport *t,
                                struct wr_handover *ret);
bool wr_connection_has_unread(const weir_transport *t);
void wr_connection_write_eof(weir_transport *t);
void wr_connection_pause_reading(weir_transport *t);
void wr_connection_resume_reading(weir_transport *t);
void wr_connection_fed(weir_transport *t, enum wr_demand_state queue);
int wr_connection_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts);
void wr_connection_close(weir_transport *t);
void wr_connection_abort(weir_transport *t);
void wr_connection_dump(const weir_transport *t, FILE *out);
void wr_connection_check(const weir_transport *t);
void wr_connection_free(weir_transport *t);
void wr_connection_file_changed(weir_transport *t);

#endif

/*
 * Deliveries: received bytes on their way to the protocol. Bytes are shown at
 * once, unless the protocol has paused or older bytes are held; then they are
 * held, too. Small held pieces are copied together, so that they neither pin a
 * large buffer nor cost a block each. A buffered protocol gets copies. If a
 * callback pauses, closes, fails or switches the protocol before the end of the
 * bytes, the remaining bytes are held, dropped, or shown to the new protocol.
 *
 * A delivery is a zeroed part of a connection and does not know the source of
 * the bytes. life.h shuts it when no byte may be delivered any more. If a
 * callback fails, or memory runs out and bytes are lost, it dooms the
 * transport.
 */
#ifndef WEIR_LIB_TRANSPORT_DELIVERY_H
#define WEIR_LIB_TRANSPORT_DELIVERY_H

#include "transport.h"
#include "uring/lease.h"

enum wr_delivery_fact {
    /* SHUT, PAUSED and HELD keep bytes from the protocol. */
    WR_DELIVERY_SHUT = 1u << 0,   /* for ever; no other bit is set */
    WR_DELIVERY_PAUSED = 1u << 1, /* by pause_reading */
    WR_DELIVERY_HELD = 1u << 2,   /* older bytes go first */
    /* The end of the stream has arrived; the protocol was not notified yet. */
    WR_DELIVERY_END = 1u << 3,
    /* The connection is moving; this keeps bytes from the protocol, too. */
    WR_DELIVERY_AWAY = 1u << 4,
};

struct wr_delivery {
    weir_lease *held_head; /* received and not delivered, oldest first */
    weir_lease *held_tail;
    uint8_t facts; /* sum of wr_delivery_fact */
    /* Number of held leases with the initial bytes of new protocols. They
     * precede the remainder of the lease that a buffered protocol is being
     * shown. */
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

/* True if new bytes may be shown at once. */
static inline bool wr_delivery_is_free(const struct wr_delivery *d)
{
    return !(d->facts & (WR_DELIVERY_SHUT | WR_DELIVERY_PAUSED |
                         WR_DELIVERY_HELD | WR_DELIVERY_AWAY));
}

/* True if the protocol may be called with bytes, held bytes first. */
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

/* True while the end has arrived and the protocol was not notified. */
static inline bool wr_delivery_has_end(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_END;
}

/* Drops the held bytes; at least one lease is held. */
void wr_delivery_drop_held(struct wr_delivery *d);

/* Shows nothing from now on: drops held bytes and a pending end. */
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

/* Notes the resume; wr_delivery_show_held() shows held bytes later. */
static inline void wr_delivery_resume(struct wr_delivery *d)
{
    d->facts &= (uint8_t)~WR_DELIVERY_PAUSED;
}

static inline void wr_delivery_set_away(struct wr_delivery *d, bool is_away)
{
    d->facts = (uint8_t)(is_away ? d->facts | WR_DELIVERY_AWAY
                                 : d->facts & ~WR_DELIVERY_AWAY);
}

/* Dooms the transport because received bytes are lost or uncertain: no byte
 * after the gap may be delivered. */
void wr_delivery_lose_bytes(weir_transport *t, int err);

/* Reports a callback's error and dooms the transport. */
void wr_delivery_fail(weir_transport *t, int err, const char *callback);

/* Holds bytes after the others. Takes the lease and its only reference. */
void wr_delivery_hold(struct wr_delivery *d, weir_lease *lease);

/* wr_delivery_show() for a buffered protocol. */
void wr_delivery_show_buffered(weir_transport *t, struct wr_delivery *d,
                               weir_lease *lease);

/* Shows bytes that precede all held bytes, as long as the protocol may be
 * called. The caller keeps the lease: the protocol takes its own references,
 * and the delivery takes one if bytes remain. */
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

/* Handles bytes that the pool has lent: shows, holds or drops them, and ends
 * the borrow. Returns true if they are held: the owner must push its step. */
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
        /* The other side's peer decides how long they are held. */
        wr_lease_move_out(lease, lease->data, lease->len);
    }
    wr_delivery_hold(d, lease);
    return true;
}

/* Handles bytes from elsewhere: shows, holds or drops them, and takes the
 * lease; there must be no other reference to it. Returns true if they are held:
 * the owner must push its step. */
WEIR_MUST_USE bool wr_delivery_given(weir_transport *t, struct wr_delivery *d,
                                     weir_lease *lease);

void wr_delivery_show_first(weir_transport *t, struct wr_delivery *d);

void wr_delivery_show_held(weir_transport *t, struct wr_delivery *d);

static inline void wr_delivery_end(struct wr_delivery *d)
{
    wr_assert(!wr_delivery_has_end(d));
    d->facts |= WR_DELIVERY_END;
}

/* True if eof_received must be called now: all bytes were shown. */
static inline bool wr_delivery_end_is_due(const struct wr_delivery *d)
{
    return d->facts == WR_DELIVERY_END;
}

/* Calls eof_received. Returns its result, on which the owner acts. If negative,
 * the callback has failed and the transport is doomed. */
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

/* Binds another protocol, to which the @initial bytes are delivered before all
 * other held bytes. Returns 0, -EINVAL if a part of @initial has no lease, or
 * -ENOMEM. After an error nothing has changed. */
WEIR_MUST_USE int
wr_delivery_set_protocol(weir_transport *t, struct wr_delivery *d,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count);

#endif

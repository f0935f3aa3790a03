/*
 * Deliveries: received bytes on their way to the protocol of a transport.
 *
 * Bytes go to the protocol at once, unless it has paused or older bytes are
 * still held; then they are held too, small ones copied out, one behind the
 * other, so that they neither pin a large buffer nor cost a block each. A
 * buffered protocol is fed by copying. A callback may pause, close, fail or
 * switch the protocol half-way through the bytes: the rest is held, dropped, or
 * shown to the other protocol. The end of the stream comes after the last byte.
 *
 * A delivery knows the transport and its protocol, and nothing of where the
 * bytes come from. Its owner embeds one, zeroed, says where by
 * `delivery_offset` of its table, and tells it when the protocol pauses; it is
 * shut, and gives up what it has, in the change of state after which no byte
 * may be delivered (life.h).
 * When a callback fails, or bytes are lost for want of memory, the delivery
 * dooms the transport by `doom` of its table.
 */
#ifndef WEIR_LIB_TRANSPORT_DELIVERY_H
#define WEIR_LIB_TRANSPORT_DELIVERY_H

#include "transport.h"
#include "uring/lease.h"

enum wr_delivery_fact {
    /* These keep bytes from going to the protocol at once. */
    WR_DELIVERY_SHUT = 1u << 0,   /* for good, and alone */
    WR_DELIVERY_PAUSED = 1u << 1, /* by pause_reading */
    WR_DELIVERY_HELD = 1u << 2,   /* older bytes go first */
    /* The end of the stream has arrived and was not told. */
    WR_DELIVERY_END = 1u << 3,
};

struct wr_delivery {
    weir_lease *held_head; /* received and not delivered, oldest first */
    weir_lease *held_tail;
    uint8_t facts; /* sum of wr_delivery_fact */
    /* Leases that came along with new protocols, and are held before the rest
     * of the one that is being shown to a buffered protocol. */
    uint32_t given_count;
};

/* Holds wherever code of the user may run; pure. */
static inline void wr_delivery_check_invariants(const struct wr_delivery *d)
{
    wr_assert(!d->held_head == !(d->facts & WR_DELIVERY_HELD));
    wr_debug_assert(!(d->facts & WR_DELIVERY_SHUT) ||
                    !(d->facts & (WR_DELIVERY_HELD | WR_DELIVERY_END)));
    wr_debug_assert(!d->held_tail == !d->held_head);
    wr_debug_assert(!d->held_tail || !d->held_tail->next);
}

/* True when nothing stands between new bytes and the protocol. */
static inline bool wr_delivery_is_free(const struct wr_delivery *d)
{
    return !(d->facts &
             (WR_DELIVERY_SHUT | WR_DELIVERY_PAUSED | WR_DELIVERY_HELD));
}

/* True when the protocol may be called with bytes, held ones first. */
static inline bool wr_delivery_may_show(const struct wr_delivery *d)
{
    return !(d->facts & (WR_DELIVERY_SHUT | WR_DELIVERY_PAUSED));
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

/* True while the protocol is to be told of the end, sooner or later. */
static inline bool wr_delivery_has_end(const struct wr_delivery *d)
{
    return d->facts & WR_DELIVERY_END;
}

/* Gives up held bytes, of which there are some. */
void wr_delivery_drop_held(struct wr_delivery *d);

/* Nothing is shown from now on: gives up what is held, and the end that is
 * pending. */
static inline void wr_delivery_shut(struct wr_delivery *d)
{
    d->facts = (uint8_t)((d->facts & ~WR_DELIVERY_END) | WR_DELIVERY_SHUT);
    if (WR_UNLIKELY(wr_delivery_has_held(d))) {
        wr_delivery_drop_held(d);
    }
}

/* Of a transport that has one. */
static inline struct wr_delivery *wr_delivery_of(const weir_transport *t)
{
    wr_debug_assert(t->ops->delivery_offset > 0);
    return (struct wr_delivery *)((uintptr_t)t + t->ops->delivery_offset);
}

static inline void wr_delivery_pause(struct wr_delivery *d)
{
    d->facts |= WR_DELIVERY_PAUSED;
}

/* Held bytes stay held until wr_delivery_show_held(). */
static inline void wr_delivery_resume(struct wr_delivery *d)
{
    d->facts &= (uint8_t)~WR_DELIVERY_PAUSED;
}

/* Received bytes are lost, or not known for sure: none that come after the gap
 * may be delivered. */
void wr_delivery_lose_bytes(weir_transport *t, int err);

/* A callback returned an error: reports it and dooms the transport. */
void wr_delivery_fail(weir_transport *t, int err, const char *callback);

/* Holds bytes behind the others: a lease to which only the caller refers. Its
 * reference is taken. */
void wr_delivery_hold(struct wr_delivery *d, weir_lease *lease);

/* Feeds a buffered protocol, see wr_delivery_show(). */
void wr_delivery_show_buffered(weir_transport *t, struct wr_delivery *d,
                               weir_lease *lease);

/* Shows bytes that come before all that is held, while that may be. The lease
 * stays the caller's: the protocol takes references of its own, and so does the
 * delivery of bytes that are not taken. */
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

/* The way of bytes that the pool has lent: shows, holds or drops them, and ends
 * the borrow. True when they are held: a step of the owner is due. */
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
    wr_delivery_hold(d, lease);
    return true;
}

/* The way of any other bytes, in a lease to which only the caller refers:
 * shows, holds or drops them, and takes the reference. True as above. */
WEIR_MUST_USE bool wr_delivery_given(weir_transport *t, struct wr_delivery *d,
                                     weir_lease *lease);

/* Shows the oldest held bytes, which there must be. */
void wr_delivery_show_first(weir_transport *t, struct wr_delivery *d);

/* Shows held bytes as far as the protocol takes them. */
void wr_delivery_show_held(weir_transport *t, struct wr_delivery *d);

/* The end of the stream has arrived; once. */
static inline void wr_delivery_end(struct wr_delivery *d)
{
    wr_assert(!wr_delivery_has_end(d));
    d->facts |= WR_DELIVERY_END;
}

/* True when the protocol is to be told of the end now: after the last byte. */
static inline bool wr_delivery_end_is_due(const struct wr_delivery *d)
{
    return d->facts == WR_DELIVERY_END;
}

/* Calls eof_received. Negative: it failed, and the transport is doomed.
 * Otherwise its result, on which the owner acts. */
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

/* Tells it, and closes the transport when the protocol does not keep it. */
static inline void wr_delivery_end_stream(weir_transport *t,
                                          struct wr_delivery *d)
{
    if (wr_delivery_tell_end(t, d) == 0 && !wr_delivery_is_shut(d)) {
        if (t->write_error == 0) {
            wr_transport_set_end(t, WEIR_END_EOF);
        }
        weir_transport_close(t); /* the loss tells of a failure */
    }
}

/* Binds another protocol, and holds @initial before all other bytes. 0, -EINVAL
 * for bytes without a lease, or -ENOMEM; then nothing was changed. */
WEIR_MUST_USE int
wr_delivery_set_protocol(weir_transport *t, struct wr_delivery *d,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count);

#endif

/*
 * Stream sockets: received bytes on their way to the protocol.
 *
 * The delivery shows most bytes. In addition, the kernel may receive directly
 * into memory that a buffered protocol has lent. These bytes come after held
 * bytes, and before the end of the stream.
 */
#include "sock_impl.h"

#include <string.h>

int wr_sock_make_into(struct wr_sock *s)
{
    wr_assert(!wr_life_is_over(&s->c.t));
    if (!s->into) {
        s->into = wr_alloc(&s->c.t.loop->counting, sizeof(*s->into));
        wr_require(s->into, -ENOMEM);
        memset(s->into, 0, sizeof(*s->into));
    }
    return 0;
}

/* Tells the protocol of the bytes in its lent memory, or gives the memory back.
 * A protocol that was bound meanwhile gets a copy of the bytes. */
static void sock_deliver_into(struct wr_sock *s)
{
    struct wr_sock_into *into = s->into;
    const struct weir_protocol_binding from = into->binding;
    void *buf = into->buf;
    const size_t len = into->len;

    wr_assert(!s->recv_op.in_flight);
    wr_assert(buf);
    into->buf = NULL;
    into->len = 0;
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
    /* If release_buffer has paused, they are held; resuming pushes the step. */
    wr_ignore(wr_delivery_given(&s->c.t, &s->c.delivery, lease));
}

/* True if the protocol may be told of the bytes in its lent memory, or must get
 * the memory back unused. False while older bytes are held. */
static bool sock_deliver_may_into(const struct wr_sock *s)
{
    return wr_delivery_is_shut(&s->c.delivery) ||
           wr_delivery_is_free(&s->c.delivery);
}

bool wr_sock_take_back_lent(struct wr_sock *s)
{
    struct wr_sock_into *into = s->into;
    weir_lease *lease = NULL;
    if (WR_LIKELY(!wr_sock_has_lent(s))) {
        return true;
    }
    if (s->recv_op.in_flight) {
        return false; /* being cancelled, see FLOW_LENT */
    }
    if (into->len > 0) {
        lease = wr_lease_copy(&s->c.t.loop->pool, &s->c.t.demand.account,
                              into->buf, into->len);
        if (!lease) {
            wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
            return false;
        }
        wr_delivery_hold(&s->c.delivery, lease);
    }
    into->len = 0;
    sock_deliver_into(s); /* gives the memory back without bytes */
    return true;
}

void wr_sock_deliver_held(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    struct wr_delivery *d = &c->delivery;

    while (wr_delivery_has_held(d) && wr_delivery_may_show(d) &&
           wr_sock_take_back_lent(s)) {
        if (!wr_delivery_may_show(d)) {
            break; /* release_buffer has paused or closed */
        }
        wr_delivery_show_first(&c->t, d);
    }
    if (wr_sock_has_lent(s) && !s->recv_op.in_flight &&
        sock_deliver_may_into(s)) {
        sock_deliver_into(s);
    }
}

/* Holds or drops bytes. */
static __attribute__((noinline)) void sock_deliver_later(struct wr_sock *s,
                                                         weir_lease *lease)
{
    if (wr_delivery_is_shut(&s->c.delivery)) {
        wr_sock_note_dropped(s, lease->len);
    }
    if (wr_delivery_borrowed(&s->c.t, &s->c.delivery, lease)) {
        wr_connection_push(&s->c); /* the receive may end, see FLOW_KEPT */
    }
}

void wr_sock_received(struct wr_sock *s, weir_lease *lease)
{
    s->has_received = true;
    wr_connection_note_received(&s->c, lease->len);
    if (WR_UNLIKELY(!wr_delivery_is_free(&s->c.delivery))) {
        sock_deliver_later(s, lease);
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

void wr_sock_received_into(struct wr_sock *s, size_t len)
{
    wr_assert(len > 0);
    wr_assert(s->into->len == 0);
    wr_assert(!s->recv_op.in_flight); /* such a receive completes once */
    wr_connection_note_received(&s->c, len);
    s->into->len = len;
    if (sock_deliver_may_into(s)) {
        sock_deliver_into(s);
    }
}

/* Ends the stream: tells the protocol after the last byte. */
static void sock_deliver_end(struct wr_sock *s)
{
    wr_delivery_end(&s->c.delivery);
    if (wr_delivery_end_is_due(&s->c.delivery) && !wr_sock_has_kept(s)) {
        wr_connection_end_stream(&s->c);
    }
}

/* True if the protocol is to be told of an end, here or on another loop. */
static bool sock_deliver_may_end(const struct wr_sock *s)
{
    wr_assert(s->c.eof_seen);
    return s->c.t.state == WR_LIFE_OPEN || s->c.t.state == WR_LIFE_MOVING;
}

/* The kernel reports an error once, to a send or to a receive; later receives
 * see an end of the stream. So a send in flight may have got the error, and its
 * completion is not handled yet: the end is doubted until then. That is soon,
 * because a send never waits. */
void wr_sock_received_eof(struct wr_sock *s)
{
    wr_assert(!s->c.eof_seen);
    s->c.eof_seen = true;
    if (!sock_deliver_may_end(s) || s->c.t.error) {
        return;
    }
    if (s->send_op.in_flight && !s->c.outbox.is_stalled) {
        s->eof_doubted = true;
        return;
    }
    sock_deliver_end(s);
}

/* The send has ended: the end of the stream is real unless the send got an
 * error. -EPIPE is consistent with a real end: the socket had no error, or one
 * that came after the peer's FIN. */
void wr_sock_confirm_eof(struct wr_sock *s)
{
    wr_assert(s->c.eof_seen && s->eof_doubted);
    s->eof_doubted = false;
    if (sock_deliver_may_end(s) &&
        (s->c.t.error == 0 || s->c.t.error == -EPIPE)) {
        sock_deliver_end(s);
    }
}

void wr_sock_return_into(struct wr_sock *s)
{
    wr_assert(!s->recv_op.in_flight);
    if (wr_sock_has_lent(s) && s->into->len == 0) {
        sock_deliver_into(s);
    }
    if (wr_delivery_has_held(&s->c.delivery) && s->c.t.state == WR_LIFE_OPEN) {
        wr_connection_push(&s->c); /* held bytes waited for the memory */
    }
}

void wr_sock_free_into(struct wr_sock *s)
{
    wr_assert(wr_life_is_over(&s->c.t));
    if (s->into) {
        s->into->len = 0;
        wr_sock_return_into(s);
        wr_free(&s->c.t.loop->counting, s->into, sizeof(*s->into));
        s->into = NULL;
    }
}

/*
 * Stream sockets: from received bytes to the protocol.
 *
 * Bytes go to the protocol at once, unless it has paused or older bytes are
 * still kept; then they are kept too, small ones copied out, one behind the
 * other, so that they neither pin a large buffer nor cost a block each. A
 * buffered protocol is fed by copying, or has received into its own memory
 * already. The end of the stream comes after the last byte.
 */
#include "sock_impl.h"

#include <string.h>

void wr_sock_give_buffer_back(struct wr_sock *s,
                              const struct weir_protocol_binding *from,
                              void *buf)
{
    wr_assert(buf);
    wr_assert(!wr_sock_has_lent(s)); /* it may be asked for anew */
    if (from->protocol->release_buffer) {
        from->protocol->release_buffer(from->user, buf);
        wr_loop_leave_if_forked(s->t.loop);
    }
}

/* A buffered protocol is fed by copying when bytes are in the pool. Returns how
 * many it was given: fewer than all when it paused, closed or was switched
 * half-way. */
static size_t sock_deliver_feed_buffered(struct wr_sock *s, const uint8_t *data,
                                         size_t len)
{
    size_t fed = 0;

    wr_assert(len > 0);
    while (fed < len && s->state == WR_SOCK_OPEN && !s->paused &&
           s->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const struct weir_protocol_binding from = s->t.binding;
        void *buf;
        size_t size;
        int err = wr_protocol_get_buffer(&s->t, len - fed, &buf, &size);
        if (err < 0) {
            wr_sock_fail_callback(s, err, "get_buffer");
            break;
        }
        if (s->state != WR_SOCK_OPEN || s->paused ||
            !wr_sock_is_bound_to(s, &from)) { /* by get_buffer itself */
            wr_sock_give_buffer_back(s, &from, buf);
            continue;
        }
        const size_t part = len - fed < size ? len - fed : size;
        memcpy(buf, data + fed, part);
        s->t.loop->counts.copied_to_protocol += part;
        fed += part;
        err = wr_protocol_updated(&s->t, part);
        if (err < 0) {
            wr_sock_fail_callback(s, err, "buffer_updated");
            break;
        }
    }
    return fed;
}

static void sock_deliver_keep_first(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(lease->refs == 1);
    wr_assert(s->state == WR_SOCK_OPEN);
    lease->next = s->held_head;
    s->held_head = lease;
    if (!s->held_tail) {
        s->held_tail = lease;
    }
}

/* Keeps the rest of a lease of which a buffered protocol took @fed bytes. */
static void sock_deliver_keep_rest(struct wr_sock *s, weir_lease *lease,
                                   size_t fed)
{
    wr_assert(fed < lease->len);
    const struct weir_buf rest = {
        .data = lease->data + fed, .len = lease->len - fed, .lease = lease};
    weir_lease *kept = wr_lease_keep_apart(&rest);
    if (!kept) {
        wr_sock_lose_bytes(s, -ENOMEM);
        return;
    }
    sock_deliver_keep_first(s, kept);
}

static void sock_deliver_show_buffered(struct wr_sock *s, weir_lease *lease)
{
    struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};
    const size_t fed = sock_deliver_feed_buffered(s, buf.data, buf.len);

    buf.data += fed;
    buf.len -= fed;
    if (buf.len == 0 || s->state != WR_SOCK_OPEN) {
        return;
    }
    if (s->paused) {
        sock_deliver_keep_rest(s, lease, fed);
        return;
    }
    int ret = wr_protocol_data(&s->t, &buf); /* it has been switched */
    if (ret < 0) {
        wr_sock_fail_callback(s, ret, "data_received");
    }
}

/* Shows the bytes of a lease to the protocol, which may keep the lease. */
static inline void sock_deliver_show(struct wr_sock *s, weir_lease *lease)
{
    wr_debug_assert(s->state == WR_SOCK_OPEN && !s->paused);
    wr_debug_assert(lease->refs > 0 && lease->len > 0);
    if (WR_UNLIKELY(s->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED)) {
        sock_deliver_show_buffered(s, lease);
        return;
    }
    const struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};
    int ret = wr_protocol_data(&s->t, &buf);
    if (WR_UNLIKELY(ret < 0)) {
        wr_sock_fail_callback(s, ret, "data_received");
    }
}

static void sock_deliver_keep(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(s->state == WR_SOCK_OPEN);
    wr_assert(lease->len > 0);
    if (s->held_tail && wr_lease_pack(s->held_tail, lease)) {
        return;
    }
    wr_lease_compact(lease);
    lease->next = NULL;
    if (s->held_tail) {
        s->held_tail->next = lease;
    } else {
        s->held_head = lease;
    }
    s->held_tail = lease;
}

static weir_lease *sock_deliver_pop_held(struct wr_sock *s)
{
    weir_lease *lease = s->held_head;
    if (lease) {
        s->held_head = lease->next;
        if (!s->held_head) {
            s->held_tail = NULL;
        }
        lease->next = NULL;
    }
    return lease;
}

static void sock_deliver_eof(struct wr_sock *s)
{
    wr_assert(s->eof_seen);
    wr_assert(!wr_sock_has_kept(s)); /* the end comes after the last byte */
    wr_assert(s->state == WR_SOCK_OPEN && !s->paused);
    s->eof_pending = false;
    int ret = wr_protocol_eof(&s->t);
    if (ret < 0) {
        wr_sock_fail_callback(s, ret, "eof_received");
    } else if (ret == 0 && s->state == WR_SOCK_OPEN) {
        if (s->t.write_error == 0) {
            wr_transport_set_end(&s->t, WEIR_END_EOF);
        }
        weir_transport_close(&s->t); /* the loss tells of a failure */
    }
}

/* Tells the protocol of the bytes in the memory that it lent, or gives the
 * memory back. A protocol that was bound meanwhile gets a copy of the bytes. */
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
    if (len == 0 || s->state != WR_SOCK_OPEN) {
        wr_sock_give_buffer_back(s, &from, buf);
        return;
    }
    if (wr_sock_is_bound_to(s, &from)) {
        int err = wr_protocol_updated(&s->t, len);
        if (err < 0) {
            wr_sock_fail_callback(s, err, "buffer_updated");
        }
        return;
    }
    weir_lease *lease =
        wr_lease_copy(&s->t.loop->pool, &s->demand.account, buf, len);
    wr_sock_give_buffer_back(s, &from, buf);
    if (!lease) {
        wr_sock_lose_bytes(s, -ENOMEM);
        return;
    }
    if (s->state == WR_SOCK_OPEN && (s->paused || s->held_head)) {
        sock_deliver_keep(s, lease); /* release_buffer has paused */
        return;
    }
    if (s->state == WR_SOCK_OPEN) {
        sock_deliver_show(s, lease);
    }
    wr_lease_unref(lease);
}

/* True when the protocol may be told of the bytes in the memory that it lent,
 * or must get the memory back unused. Bytes that are held came before them. */
static bool sock_deliver_may_into(const struct wr_sock *s)
{
    return s->state != WR_SOCK_OPEN || (!s->paused && !s->held_head);
}

/* Takes lent memory back, and keeps a copy of its bytes behind those that are
 * held: a protocol lends one piece of memory at a time, and to deliver the held
 * bytes may take another. False: the memory is still in use. */
static bool sock_deliver_take_back_lent(struct wr_sock *s)
{
    struct wr_sock_into *into = s->into;
    weir_lease *lease = NULL;
    if (WR_LIKELY(!wr_sock_has_lent(s))) {
        return true;
    }
    if (s->recv_op.in_flight) {
        return false; /* it is being cancelled, see FLOW_LENT */
    }
    if (into->len > 0) {
        lease = wr_lease_copy(&s->t.loop->pool, &s->demand.account, into->buf,
                              into->len);
        if (!lease) {
            wr_sock_lose_bytes(s, -ENOMEM);
            return false;
        }
        sock_deliver_keep(s, lease);
    }
    into->len = 0;
    sock_deliver_into(s); /* without bytes: gives it back */
    return true;
}

void wr_sock_deliver_held(struct wr_sock *s)
{
    while (s->held_head && s->state == WR_SOCK_OPEN && !s->paused &&
           sock_deliver_take_back_lent(s)) {
        if (s->paused || s->state != WR_SOCK_OPEN) {
            break; /* release_buffer has paused or closed */
        }
        weir_lease *lease = sock_deliver_pop_held(s);
        sock_deliver_show(s, lease);
        wr_lease_unref(lease);
    }
    if (wr_sock_has_lent(s) && !s->recv_op.in_flight &&
        sock_deliver_may_into(s)) {
        sock_deliver_into(s);
    }
    if (s->eof_pending && !s->held_head && s->state == WR_SOCK_OPEN &&
        !s->paused) {
        sock_deliver_eof(s);
    }
}

void wr_sock_drop_held(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_OPEN || s->state == WR_SOCK_ENDING);
    weir_lease *lease;
    while ((lease = sock_deliver_pop_held(s))) {
        wr_lease_unref(lease);
    }
    s->eof_pending = false;
}

void wr_sock_received(struct wr_sock *s, weir_lease *lease)
{
    s->has_received = true;
    s->t.loop->counts.received_bytes += lease->len;
    wr_sock_note_received(s);
    if (WR_LIKELY(s->state == WR_SOCK_OPEN && !s->paused && !s->held_head)) {
        sock_deliver_show(s, lease);
        wr_lease_end_borrow(lease);
        return;
    }
    if (s->state != WR_SOCK_OPEN) {
        wr_lease_end_borrow(lease);
        return;
    }
    wr_lease_ref(lease);
    wr_lease_end_borrow(lease);
    sock_deliver_keep(s, lease);
    wr_sock_push_step(s); /* the receive may have to end, see FLOW_KEPT */
}

void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(lease->block && lease->refs == 1);
    s->has_received = true;
    s->t.loop->counts.received_bytes += lease->len;
    wr_sock_note_received(s);
    if (s->state == WR_SOCK_OPEN) {
        sock_deliver_keep(s, lease);
        wr_sock_push_step(s);
    } else {
        wr_lease_unref(lease);
    }
}

void wr_sock_received_into(struct wr_sock *s, size_t len)
{
    wr_assert(len > 0);
    wr_assert(s->into->len == 0);
    wr_assert(!s->recv_op.in_flight); /* such a receive completes once */
    s->t.loop->counts.received_bytes += len;
    wr_sock_note_received(s);
    s->into->len = len;
    if (sock_deliver_may_into(s)) {
        sock_deliver_into(s);
    }
}

void wr_sock_received_eof(struct wr_sock *s)
{
    wr_assert(!s->eof_seen);
    wr_assert(!s->eof_pending);
    s->eof_seen = true;
    if (s->state != WR_SOCK_OPEN || s->t.error) {
        return; /* the kernel tells an error once, and then the end */
    }
    if (s->paused || wr_sock_has_kept(s)) {
        s->eof_pending = true;
    } else {
        sock_deliver_eof(s);
    }
}

static void sock_deliver_drop_list(weir_lease *first)
{
    while (first) {
        weir_lease *next = first->next;
        wr_lease_unref(first);
        first = next;
    }
}

/* Keeps the given bytes, in order; -ENOMEM without memory. */
static int sock_deliver_keep_initial(const struct weir_buf *initial,
                                     size_t count, weir_lease **ret_first,
                                     weir_lease **ret_last)
{
    weir_lease *first = NULL;
    weir_lease *last = NULL;

    for (size_t i = 0; i < count; i++) {
        if (initial[i].len == 0) {
            continue; /* nothing was left over */
        }
        wr_assert(initial[i].data);
        weir_lease *lease = wr_lease_keep_apart(&initial[i]);
        if (!lease) {
            sock_deliver_drop_list(first);
            return -ENOMEM;
        }
        if (last) {
            last->next = lease;
        } else {
            first = lease;
        }
        last = lease;
    }
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int wr_sock_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_lease *first = NULL;
    weir_lease *last = NULL;

    wr_sock_check_invariants(s);
    wr_require(s->state == WR_SOCK_OPEN && t->error == 0, -ESHUTDOWN);
    for (size_t i = 0; i < count; i++) {
        wr_require(initial[i].len == 0 || initial[i].lease, -EINVAL);
    }
    int err = sock_deliver_keep_initial(initial, count, &first, &last);
    if (err < 0) {
        return err;
    }
    t->binding = *binding;
    wr_protocol_bound(t);
    if (first) {
        last->next = s->held_head;
        s->held_head = first;
        if (!s->held_tail) {
            s->held_tail = last;
        }
        wr_sock_push_step(s);
    }
    wr_sock_check_invariants(s);
    return 0;
}

void wr_sock_return_into(struct wr_sock *s)
{
    wr_assert(!s->recv_op.in_flight);
    if (wr_sock_has_lent(s) && s->into->len == 0) {
        sock_deliver_into(s);
    }
    if (s->held_head && s->state == WR_SOCK_OPEN) {
        wr_sock_push_step(s); /* it waited for that */
    }
}

void wr_sock_free_into(struct wr_sock *s)
{
    wr_assert(wr_sock_is_over(s));
    if (s->into) {
        s->into->len = 0;
        wr_sock_return_into(s);
        wr_free(&s->t.loop->counting, s->into, sizeof(*s->into));
        s->into = NULL;
    }
}

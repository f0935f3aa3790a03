/*
 * TLS filters: from plaintext to the protocol.
 *
 * Plaintext is opened into a block that the loop's filters share. Many bytes
 * are delivered in that block, and the filters take another block; few bytes
 * are copied to a block that fits, so that a lease on them pins no more. From
 * there bytes go by the delivery. It holds bytes only where a protocol paused
 * or was switched half-way through them, and where the program gave some along
 * with a new protocol.
 *
 * A connection whose protocol holds as much as it may opens no more until
 * leases end; its ciphertext waits, and the transport below stops reading.
 */
#include "filter_impl.h"

/* ---- credit ---- */

uint32_t wr_filter_ask_credit(struct wr_filter *f)
{
    wr_assert(f->t.state == WR_LIFE_OPEN);
    if (wr_intake_waits(&f->t)) {
        return 0;
    }
    if (f->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        return WR_CREDIT_MAX; /* it keeps no leases */
    }
    return wr_intake_ask_uncounted(&f->t);
}

/* ---- plaintext ---- */

/* The first @len bytes of the scratch under a lease; NULL without memory. */
static weir_lease *filter_deliver_lease(struct wr_filter *f, size_t len)
{
    struct wr_pool *pool = &f->t.loop->pool;
    const struct wr_block *scratch = f->shared->scratch;

    wr_assert(len > 0 && len <= scratch->capacity);
    if (len < scratch->capacity / 2) {
        return wr_lease_copy(pool, &f->t.demand.account, scratch->data, len);
    }
    return wr_lease_block(pool, &f->t.demand.account, wr_filter_take_scratch(f),
                          len);
}

void wr_filter_deliver(struct wr_filter *f, size_t len)
{
    wr_assert(!wr_delivery_has_held(&f->delivery));
    weir_lease *lease = filter_deliver_lease(f, len);
    if (!lease) {
        wr_delivery_lose_bytes(&f->t, -ENOMEM);
        return;
    }
    if (wr_delivery_given(&f->t, &f->delivery, lease)) {
        wr_life_push_step(&f->t);
    }
}

void wr_filter_deliver_eof(struct wr_filter *f)
{
    wr_assert(f->t.state == WR_LIFE_OPEN && !f->eof_seen);
    f->eof_seen = true;
    wr_delivery_end(&f->delivery);
    if (wr_delivery_end_is_due(&f->delivery)) {
        wr_delivery_end_stream(&f->t, &f->delivery);
    }
}

/* ---- another protocol ---- */

int wr_filter_set_protocol(weir_transport *t,
                           const struct weir_protocol_binding *binding,
                           const struct weir_buf *initial, size_t count)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    wr_require(wr_filter_is_usable(f) && t->error == 0 && !f->below_lost,
               -ESHUTDOWN);
    wr_require(f->t.state == WR_LIFE_OPEN, -EBUSY);
    return wr_intake_set_protocol(t, binding, initial, count);
}

/*
 * TLS filters: from plaintext to the protocol.
 *
 * Plaintext is opened into memory that the loop's filters share. Many bytes are
 * shown where they are, and the memory is theirs then; few are copied to a
 * block that fits, so that who keeps them pins no more than that. From there
 * they go by the delivery, which holds bytes only where a protocol paused or
 * was switched half-way through them, and where the program gave some along
 * with a new protocol.
 *
 * A connection whose protocol keeps as much as it may opens no more before it
 * gives some back; its ciphertext waits, and below it stops reading.
 */
#include "filter_impl.h"

void wr_filter_deliver_init(struct wr_filter *f, wr_demand_feed_fn *feed,
                            wr_account_released_fn *released)
{
    wr_demand_init(&f->demand, WR_READ_LIMIT_DEFAULT, feed);
    f->demand.account.released = released;
}

/* ---- credit ---- */

void wr_filter_leave_budget(struct wr_filter *f)
{
    wr_assert(f->demand.state <= WR_DEMAND_STARVED);
    if (f->demand.state != WR_DEMAND_IDLE) {
        wr_budget_leave(&f->demand);
    }
    f->held_back = false;
}

uint32_t wr_filter_ask_credit(struct wr_filter *f)
{
    struct wr_budget *budget = &f->t.loop->budget;
    uint32_t credit;

    if (f->held_back) {
        return 0;
    }
    if (f->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        return WR_CREDIT_MAX; /* it keeps no leases */
    }
    const enum wr_verdict verdict =
        wr_budget_judge(budget, &f->demand, &credit);
    if (verdict == WR_VERDICT_CREDIT) {
        return credit;
    }
    wr_assert(verdict != WR_VERDICT_IS_STUCK);
    f->held_back = true;
    if (f->demand.account.held_bytes > 0) {
        f->demand.account.notify_released = true;
    }
    if (verdict == WR_VERDICT_HOLDS_SHARE) {
        wr_budget_starve(budget, &f->demand); /* others may give back too */
    }
    wr_assert(f->demand.account.notify_released ||
              f->demand.state == WR_DEMAND_STARVED);
    return 0;
}

void wr_filter_seek_credit(struct wr_filter *f)
{
    wr_assert(f->t.state != WR_LIFE_LOST);
    if (f->demand.account.notify_released) {
        f->demand.account.notify_released = false;
        wr_filter_leave_budget(f);
        wr_life_push_step(&f->t);
    }
}

/* ---- plaintext ---- */

/* The first @len bytes of the scratch under a lease; NULL without memory. */
static weir_lease *filter_deliver_lease(struct wr_filter *f, size_t len)
{
    struct wr_pool *pool = &f->t.loop->pool;
    const struct wr_block *scratch = f->shared->scratch;

    wr_assert(len > 0 && len <= scratch->capacity);
    if (len < scratch->capacity / 2) {
        return wr_lease_copy(pool, &f->demand.account, scratch->data, len);
    }
    return wr_lease_block(pool, &f->demand.account, wr_filter_take_scratch(f),
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
    int err =
        wr_delivery_set_protocol(t, &f->delivery, binding, initial, count);
    wr_require(err == 0, err);
    wr_filter_leave_budget(f); /* this one may need no credit */
    wr_life_push_step(&f->t);
    return 0;
}

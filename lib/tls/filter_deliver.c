/*
 * TLS filters: from plaintext to the protocol.
 *
 * Plaintext is opened into memory that the loop's filters share. Many bytes are
 * shown where they are, and the memory is theirs then; few are copied to a
 * block that fits, so that who keeps them pins no more than that. Bytes are
 * held only where a protocol paused or was switched half-way through them, and
 * where the program gave some along with a new protocol.
 *
 * A connection whose protocol keeps as much as it may opens no more before it
 * gives some back; its ciphertext waits, and below it stops reading.
 */
#include "filter_impl.h"

#include <string.h>

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
    wr_assert(f->state != WR_FILTER_LOST);
    if (f->demand.account.notify_released) {
        f->demand.account.notify_released = false;
        wr_filter_leave_budget(f);
        wr_filter_push_step(f);
    }
}

/* ---- held bytes ---- */

/* True when the protocol may be called with plaintext. */
static bool filter_deliver_may_show(const struct wr_filter *f)
{
    return f->state == WR_FILTER_OPEN && !f->paused && !f->is_hard;
}

static void filter_deliver_keep_first(struct wr_filter *f, weir_lease *lease)
{
    wr_assert(lease->refs == 1);
    wr_assert(f->state == WR_FILTER_OPEN);
    lease->next = f->held_head;
    f->held_head = lease;
    if (!f->held_tail) {
        f->held_tail = lease;
    }
}

static weir_lease *filter_deliver_pop_held(struct wr_filter *f)
{
    weir_lease *lease = f->held_head;

    if (lease) {
        f->held_head = lease->next;
        if (!f->held_head) {
            f->held_tail = NULL;
        }
        lease->next = NULL;
    }
    return lease;
}

void wr_filter_drop_held(struct wr_filter *f)
{
    weir_lease *lease;

    while ((lease = filter_deliver_pop_held(f))) {
        wr_lease_unref(lease);
    }
}

/* Bytes are lost for want of memory. */
static void filter_deliver_lose_bytes(struct wr_filter *f)
{
    wr_assert(f->made);
    wr_transport_set_error(&f->t, -ENOMEM, "receive");
    f->is_hard = true;
}

/* ---- showing ---- */

static void filter_deliver_give_buffer_back(
    struct wr_filter *f, const struct weir_protocol_binding *from, void *buf)
{
    if (from->protocol->release_buffer) {
        from->protocol->release_buffer(from->user, buf);
        wr_loop_leave_if_forked(f->t.loop);
    }
}

/* Copies bytes to the memory of a buffered protocol. Returns how many it was
 * given: fewer than all when it paused, closed or was switched half-way. */
static size_t filter_deliver_feed(struct wr_filter *f, const uint8_t *data,
                                  size_t len)
{
    size_t fed = 0;

    wr_assert(len > 0);
    while (fed < len && filter_deliver_may_show(f) &&
           f->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const struct weir_protocol_binding from = f->t.binding;
        void *buf;
        size_t size;
        int err = wr_protocol_get_buffer(&f->t, len - fed, &buf, &size);
        if (err < 0) {
            wr_filter_fail_callback(f, err, "get_buffer");
            break;
        }
        if (!filter_deliver_may_show(f) || !wr_filter_is_bound_to(f, &from)) {
            filter_deliver_give_buffer_back(f, &from, buf);
            continue; /* get_buffer itself has paused, closed or switched */
        }
        const size_t part = len - fed < size ? len - fed : size;
        memcpy(buf, data + fed, part);
        f->t.loop->counts.copied_to_protocol += part;
        fed += part;
        err = wr_protocol_updated(&f->t, part);
        if (err < 0) {
            wr_filter_fail_callback(f, err, "buffer_updated");
            break;
        }
    }
    return fed;
}

/* Shows the bytes to the protocol, and holds those that it does not take, as
 * the first. */
static void filter_deliver_show(struct wr_filter *f, weir_lease *lease)
{
    struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};

    wr_assert(filter_deliver_may_show(f));
    if (f->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const size_t fed = filter_deliver_feed(f, buf.data, buf.len);
        buf.data += fed;
        buf.len -= fed;
        if (buf.len == 0 || f->state != WR_FILTER_OPEN || f->is_hard) {
            return;
        }
        if (f->paused) {
            weir_lease *rest = wr_lease_keep_apart(&buf);
            if (rest) {
                filter_deliver_keep_first(f, rest);
            } else {
                filter_deliver_lose_bytes(f);
            }
            return;
        }
    }
    const int ret = wr_protocol_data(&f->t, &buf);
    if (ret < 0) {
        wr_filter_fail_callback(f, ret, "data_received");
    }
}

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
    wr_assert(!f->held_head);
    weir_lease *lease = filter_deliver_lease(f, len);
    if (!lease) {
        filter_deliver_lose_bytes(f);
        return;
    }
    filter_deliver_show(f, lease);
    wr_lease_unref(lease);
}

void wr_filter_hold(struct wr_filter *f, size_t len)
{
    wr_assert(f->paused && !f->held_head);
    weir_lease *lease = filter_deliver_lease(f, len);
    if (lease) {
        filter_deliver_keep_first(f, lease);
    } else {
        filter_deliver_lose_bytes(f);
    }
}

void wr_filter_deliver_eof(struct wr_filter *f)
{
    wr_assert(f->state == WR_FILTER_OPEN && !f->paused);
    wr_assert(!f->held_head && !f->eof_seen);
    f->eof_seen = true;
    const int ret = wr_protocol_eof(&f->t);
    if (ret < 0) {
        wr_filter_fail_callback(f, ret, "eof_received");
    } else if (ret == 0 && f->state == WR_FILTER_OPEN) {
        if (f->t.write_error == 0) {
            wr_transport_set_end(&f->t, WEIR_END_EOF);
        }
        weir_transport_close(&f->t); /* the loss tells of a failure */
    }
}

void wr_filter_deliver_held(struct wr_filter *f)
{
    while (f->held_head && filter_deliver_may_show(f)) {
        weir_lease *lease = filter_deliver_pop_held(f);
        filter_deliver_show(f, lease);
        wr_lease_unref(lease);
    }
}

/* ---- another protocol ---- */

static void filter_deliver_drop_list(weir_lease *first)
{
    while (first) {
        weir_lease *next = first->next;
        wr_lease_unref(first);
        first = next;
    }
}

/* Keeps the given bytes in a list, the last ones first; -ENOMEM without memory.
 */
static int filter_deliver_keep_initial(const struct weir_buf *initial,
                                       size_t count, weir_lease **ret)
{
    weir_lease *first = NULL;

    for (size_t i = 0; i < count; i++) {
        if (initial[i].len == 0) {
            continue; /* nothing was left over */
        }
        weir_lease *lease = wr_lease_keep_apart(&initial[i]);
        if (!lease) {
            filter_deliver_drop_list(first);
            return -ENOMEM;
        }
        lease->next = first;
        first = lease;
    }
    *ret = first;
    return 0;
}

int wr_filter_set_protocol(weir_transport *t,
                           const struct weir_protocol_binding *binding,
                           const struct weir_buf *initial, size_t count)
{
    struct wr_filter *f = wr_filter_of(t);
    weir_lease *list;

    wr_filter_check_invariants(f);
    wr_require(f->state == WR_FILTER_OPEN && t->error == 0 && !f->below_lost,
               -ESHUTDOWN);
    for (size_t i = 0; i < count; i++) {
        wr_require(initial[i].len == 0 || initial[i].lease, -EINVAL);
    }
    int err = filter_deliver_keep_initial(initial, count, &list);
    wr_require(err == 0, err);
    t->binding = *binding;
    wr_protocol_bound(t);
    while (list) {
        weir_lease *next = list->next;
        filter_deliver_keep_first(f, list);
        list = next;
    }
    wr_filter_leave_budget(f); /* this one may need no credit */
    wr_filter_push_step(f);
    return 0;
}

/*
 * Delivers received bytes that were held, serves buffered protocols, and
 * changes the protocol. connection.h explains deliveries and has the fast path,
 * in which the protocol gets bytes at once.
 */
#include "connection.h"
#include "weir/error.h"

#include <string.h>

void wr_delivery_lose_bytes(weir_transport *t, int err)
{
    wr_assert(err == -ENOMEM || err == WEIR_EBADBUFFER);
    wr_transport_set_error(t, err, "receive");
    t->ops->doom(t);
}

void wr_delivery_fail(weir_transport *t, int err, const char *callback)
{
    const struct weir_exception failed = {
        .message = "protocol callback failed: connection aborted",
        .err = err,
        .callback = callback,
        .transport = t,
    };
    wr_assert(err < 0);
    wr_assert(t->ops->doom);
    wr_transport_set_error(t, err, callback);
    wr_loop_report(t->loop, &failed);
    t->ops->doom(t);
}

static void delivery_hold_before(struct wr_delivery *d, weir_lease *first,
                                 weir_lease *last)
{
    wr_assert(!wr_delivery_is_shut(d));
    wr_assert(first->refs > 0 && last->refs > 0);
    last->next = d->held_head;
    d->held_head = first;
    if (!d->held_tail) {
        d->held_tail = last;
    }
    d->facts |= WR_DELIVERY_HELD;
}

void wr_delivery_hold(struct wr_delivery *d, weir_lease *lease)
{
    wr_assert(!wr_delivery_is_shut(d));
    wr_assert(lease->len > 0 && lease->refs == 1);
    if (d->held_tail && wr_lease_pack(d->held_tail, lease)) {
        return;
    }
    wr_lease_compact(lease);
    lease->next = NULL;
    if (d->held_tail) {
        d->held_tail->next = lease;
    } else {
        d->held_head = lease;
    }
    d->held_tail = lease;
    d->facts |= WR_DELIVERY_HELD;
}

static weir_lease *delivery_pop(struct wr_delivery *d)
{
    weir_lease *lease = d->held_head;

    wr_assert(lease);
    d->held_head = lease->next;
    if (!d->held_head) {
        d->held_tail = NULL;
        d->facts &= (uint8_t)~WR_DELIVERY_HELD;
    }
    lease->next = NULL;
    return lease;
}

void wr_delivery_drop_held(struct wr_delivery *d)
{
    wr_assert(wr_delivery_has_held(d));
    do {
        wr_lease_unref(delivery_pop(d));
    } while (wr_delivery_has_held(d));
}

/* Copies bytes to a buffered protocol, and returns their number. It is less
 * than @len if the protocol paused, closed, failed or was replaced. */
static size_t delivery_feed(weir_transport *t, struct wr_delivery *d,
                            const uint8_t *data, size_t len)
{
    size_t fed = 0;

    wr_assert(len > 0);
    while (fed < len && wr_delivery_may_show(d) && d->given_count == 0 &&
           t->binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const struct weir_protocol_binding from = t->binding;
        void *buf;
        size_t size;
        int err = wr_protocol_get_buffer(t, len - fed, &buf, &size);
        if (err < 0) {
            wr_delivery_fail(t, err, "get_buffer");
            break;
        }
        if (!wr_delivery_may_show(d) || !wr_protocol_is_bound(t, &from)) {
            wr_protocol_give_back(t, &from, buf);
            continue;
        }
        const size_t part = wr_min_u64(len - fed, size);
        memcpy(buf, data + fed, part);
        t->loop->counts.copied_to_protocol += part;
        fed += part;
        err = wr_protocol_updated(t, part);
        if (err < 0) {
            wr_delivery_fail(t, err, "buffer_updated");
            break;
        }
    }
    return fed;
}

/* Holds the rest of a lease after the initial bytes of a new protocol and
 * before all other held bytes. */
static void delivery_hold_remainder(weir_transport *t, struct wr_delivery *d,
                                    const struct weir_buf *rest)
{
    wr_assert(rest->len > 0);
    weir_lease *kept = wr_lease_keep_apart(rest);
    if (!kept) {
        wr_delivery_lose_bytes(t, -ENOMEM);
        return;
    }
    if (d->given_count == 0) {
        delivery_hold_before(d, kept, kept);
        return;
    }
    weir_lease *last = d->held_head;
    for (uint32_t i = 1; i < d->given_count; i++) {
        last = last->next;
    }
    wr_assert(last);
    kept->next = last->next;
    last->next = kept;
    if (d->held_tail == last) {
        d->held_tail = kept;
    }
}

void wr_delivery_show_buffered(weir_transport *t, struct wr_delivery *d,
                               weir_lease *lease)
{
    struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};
    d->given_count = 0;
    const size_t fed = delivery_feed(t, d, buf.data, buf.len);

    buf.data += fed;
    buf.len -= fed;
    if (buf.len == 0 || wr_delivery_is_shut(d)) {
        return;
    }
    if (!wr_delivery_may_show(d) || d->given_count > 0) {
        delivery_hold_remainder(t, d, &buf);
        return;
    }
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_STREAM);
    const int ret = wr_protocol_data(t, &buf);
    if (ret < 0) {
        wr_delivery_fail(t, ret, "data_received");
    }
}

bool wr_delivery_given(weir_transport *t, struct wr_delivery *d,
                       weir_lease *lease)
{
    wr_assert(lease->refs == 1);
    if (!wr_delivery_is_free(d) && !wr_delivery_is_shut(d)) {
        wr_delivery_hold(d, lease);
        return true;
    }
    if (wr_delivery_is_free(d)) {
        wr_delivery_show(t, d, lease);
    }
    wr_lease_unref(lease);
    return false;
}

void wr_delivery_show_first(weir_transport *t, struct wr_delivery *d)
{
    wr_assert(wr_delivery_may_show(d));
    weir_lease *lease = delivery_pop(d);
    wr_delivery_show(t, d, lease);
    wr_lease_unref(lease);
}

void wr_delivery_show_held(weir_transport *t, struct wr_delivery *d)
{
    wr_delivery_check_invariants(d);
    while (wr_delivery_has_held(d) && wr_delivery_may_show(d)) {
        wr_delivery_show_first(t, d);
    }
}

struct delivery_list {
    weir_lease *first;
    weir_lease *last;
    uint32_t count;
};

static int delivery_keep_initial(const struct weir_buf *initial, size_t count,
                                 struct delivery_list *ret)
{
    struct delivery_list list = {.first = NULL};

    for (size_t i = 0; i < count; i++) {
        if (initial[i].len == 0) {
            continue;
        }
        wr_assert(initial[i].data);
        weir_lease *lease = wr_lease_keep_apart(&initial[i]);
        if (!lease) {
            wr_lease_unref_list(list.first);
            return -ENOMEM;
        }
        lease->next = NULL;
        if (list.last) {
            list.last->next = lease;
        } else {
            list.first = lease;
        }
        list.last = lease;
        list.count++;
    }
    *ret = list;
    return 0;
}

int wr_delivery_set_protocol(weir_transport *t, struct wr_delivery *d,
                             const struct weir_protocol_binding *binding,
                             const struct weir_buf *initial, size_t count)
{
    struct delivery_list list;

    for (size_t i = 0; i < count; i++) {
        wr_require(initial[i].len == 0 || initial[i].lease, -EINVAL);
    }
    int err = delivery_keep_initial(initial, count, &list);
    wr_require(err == 0, err);
    t->binding = *binding;
    wr_protocol_bound(t);
    if (list.first) {
        delivery_hold_before(d, list.first, list.last);
        d->given_count += list.count;
    }
    return 0;
}

/*
 * Datagram transports: from received messages to the protocol.
 *
 * The kernel has put each datagram into a slot, behind its address and
 * ancillary data; here the slot becomes a struct weir_datagram. While a
 * datagram is shown, the lease over its slot is borrowed. If the protocol
 * pauses reading inside a batch, the remaining datagrams are kept, head and
 * bytes together, and delivered when it resumes. After a close they are
 * dropped.
 *
 * A train is shown as it came. If its datagrams are longer than the transport's
 * limit, they are shown one by one, each truncated by itself.
 */
#include "datagram_impl.h"

#include <string.h>

static struct wr_datagram_head *datagram_deliver_head(const weir_lease *lease)
{
    wr_assert(lease->len >= sizeof(struct weir_datagram));
    wr_assert((uintptr_t)lease->data % _Alignof(struct weir_datagram) == 0);
    return (struct wr_datagram_head *)(uintptr_t)lease->data;
}

/* Shows the datagram in @lease to the protocol. */
static void datagram_deliver_show(struct wr_datagram *d, weir_lease *lease)
{
    struct wr_datagram_head *head = datagram_deliver_head(lease);
    struct weir_datagram *datagram = &head->datagram;

    wr_debug_assert(wr_datagram_is_reading(d));
    datagram->size = sizeof(*datagram);
    datagram->buf.data = lease->data + d->head_bytes;
    datagram->buf.lease = lease;
    datagram->ancillary = d->wants_control ? &head->ancillary : NULL;
    wr_assert(datagram->buf.len + d->head_bytes == lease->len);
    d->counts.received++;
    int ret = wr_protocol_datagram(&d->t, datagram);
    if (WR_UNLIKELY(ret < 0)) {
        wr_datagram_fail_callback(d, ret);
    }
}

/* Keeps the datagram in @lease, which is borrowed or covers a block. */
static void datagram_deliver_keep(struct wr_datagram *d, weir_lease *lease)
{
    const struct weir_buf all = {
        .data = lease->data, .len = lease->len, .lease = lease};

    wr_assert(d->t.state == WR_LIFE_OPEN);
    weir_lease *kept = wr_lease_keep_apart(&all);
    if (!kept) {
        d->counts.dropped_here++;
        return;
    }
    kept->next = NULL;
    if (d->kept_tail) {
        d->kept_tail->next = kept;
    } else {
        d->kept_head = kept;
    }
    d->kept_tail = kept;
}

/* Copies datagram @i, which is longer than its slot, into a new lease; NULL
 * without memory. */
static weir_lease *datagram_deliver_assemble(struct wr_datagram *d, uint32_t i,
                                             const weir_lease *slot)
{
    uint8_t *area = wr_datagram_overflow(d->shared, i);
    const struct wr_datagram_head *head = datagram_deliver_head(slot);
    const size_t len = d->head_bytes + head->datagram.buf.len;

    wr_assert(len > slot->len);
    wr_assert(len <= WR_OVERFLOW_AREA);
    memcpy(area, slot->data, slot->len);
    return wr_lease_copy(&d->t.loop->pool, &d->t.demand.account, area, len);
}

/* Fills the slot's head from the kernel's message header. */
static void datagram_deliver_fill(struct wr_datagram *d,
                                  const struct mmsghdr *message,
                                  weir_lease *slot)
{
    struct wr_datagram_head *head = datagram_deliver_head(slot);
    struct weir_datagram *datagram = &head->datagram;
    const struct msghdr *header = &message->msg_hdr;

    wr_assert(slot->len >= d->head_bytes);
    wr_assert(slot->refs == 1);
    datagram->size_bytes = message->msg_len;
    datagram->buf.len = wr_min_u64(message->msg_len, d->room_bytes);
    wr_transport_count_received(&d->t, datagram->buf.len);
    datagram->flags =
        header->msg_flags & MSG_TRUNC ? WEIR_DATAGRAM_TRUNCATED : 0;
    datagram->segment_bytes = 0;
    datagram->peer.len = header->msg_namelen;
    if (WR_UNLIKELY(datagram->peer.len >
                    sizeof(datagram->peer.storage.local))) {
        /* The kernel counts a NUL behind a path that fills sun_path. */
        datagram->peer.len = sizeof(datagram->peer.storage.local);
    }
    if (WR_UNLIKELY(d->family == AF_UNIX && header->msg_controllen > 0)) {
        wr_datagram_drop_fds(d, header);
    }
    if (d->wants_control) {
        wr_datagram_read_control(head, header);
    }
}

/* True if the message is no datagram: a socket that the program has shut down
 * returns empty messages without a sender, without end. */
static bool datagram_deliver_is_end(const struct wr_datagram *d,
                                    const struct mmsghdr *message)
{
    return d->family != AF_UNIX && message->msg_hdr.msg_namelen == 0;
}

/* Shows or keeps the datagram or the train in @lease. */
static void datagram_deliver_whole(struct wr_datagram *d, weir_lease *lease)
{
    if (d->paused || d->kept_head) {
        datagram_deliver_keep(d, lease);
    } else {
        datagram_deliver_show(d, lease);
    }
}

/* The length of a message's longest datagram. */
static size_t datagram_deliver_longest(const weir_lease *lease)
{
    const struct weir_datagram *datagram =
        &datagram_deliver_head(lease)->datagram;
    const size_t segment = datagram->segment_bytes;

    return segment > 0 && segment < datagram->buf.len ? segment
                                                      : datagram->buf.len;
}

/* Copies @len bytes at @offset of message @i, a datagram of its own, into a new
 * lease, as far as the limit goes; NULL without memory. */
static weir_lease *datagram_deliver_cut(struct wr_datagram *d, uint32_t i,
                                        const weir_lease *message,
                                        size_t offset, size_t len)
{
    uint8_t *area = wr_datagram_overflow(d->shared, i);
    struct weir_datagram *datagram =
        &((struct wr_datagram_head *)(void *)area)->datagram;
    const size_t shown = (size_t)wr_min_u64(len, d->size_limit_bytes);

    wr_assert(d->head_bytes + offset + len <= message->len);
    memcpy(area, message->data, d->head_bytes);
    memcpy(area + d->head_bytes, message->data + d->head_bytes + offset, shown);
    datagram->size_bytes = len;
    datagram->buf.len = shown;
    datagram->flags = shown < len ? WEIR_DATAGRAM_TRUNCATED : 0;
    datagram->segment_bytes = 0;
    return wr_lease_copy(&d->t.loop->pool, &d->t.demand.account, area,
                         d->head_bytes + shown);
}

/* Delivers the datagrams of message @i one by one. */
static void datagram_deliver_apart(struct wr_datagram *d, uint32_t i,
                                   const weir_lease *message)
{
    const size_t len = message->len - d->head_bytes;
    const size_t most = datagram_deliver_longest(message);

    wr_assert(most > d->size_limit_bytes);
    for (size_t at = 0; at < len && d->t.state == WR_LIFE_OPEN; at += most) {
        weir_lease *lease = datagram_deliver_cut(
            d, i, message, at, (size_t)wr_min_u64(most, len - at));
        if (lease) {
            datagram_deliver_whole(d, lease);
            wr_lease_unref(lease);
        } else {
            d->counts.dropped_here++;
        }
    }
}

static void datagram_deliver_one(struct wr_datagram *d, uint32_t i,
                                 weir_lease *lease)
{
    weir_lease *copy = NULL;

    if (datagram_deliver_head(lease)->datagram.buf.len + d->head_bytes >
        lease->len) {
        copy = datagram_deliver_assemble(d, i, lease);
        if (!copy) {
            d->counts.dropped_here++;
            return;
        }
    }
    weir_lease *message = copy ? copy : lease;
    if (WR_UNLIKELY(message->len > d->head_bytes + d->size_limit_bytes) &&
        datagram_deliver_longest(message) > d->size_limit_bytes) {
        datagram_deliver_apart(d, i, message);
    } else {
        datagram_deliver_whole(d, message);
    }
    if (copy) {
        wr_lease_unref(copy);
    }
}

uint64_t wr_datagram_deliver(struct wr_datagram *d, weir_lease *lease,
                             uint32_t count)
{
    const struct mmsghdr *messages = d->shared->in;
    uint64_t longest = 0;

    for (uint32_t i = 0; i < count; i++) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        datagram_deliver_fill(d, &messages[i], lease);
        longest =
            wr_max_u64(longest, datagram_deliver_head(lease)->datagram.buf.len);
        if (WR_UNLIKELY(datagram_deliver_is_end(d, &messages[i]))) {
            wr_datagram_break(d, -ESHUTDOWN, "receive");
        }
        if (WR_LIKELY(d->t.state == WR_LIFE_OPEN)) {
            datagram_deliver_one(d, i, lease);
        }
        wr_lease_end_borrow(lease);
        lease = next;
    }
    wr_assert(!lease);
    return longest;
}

static weir_lease *datagram_deliver_pop(struct wr_datagram *d)
{
    weir_lease *lease = d->kept_head;

    wr_assert(lease != NULL);
    wr_assert(lease->refs == 1);
    d->kept_head = lease->next;
    if (!d->kept_head) {
        d->kept_tail = NULL;
    }
    lease->next = NULL;
    return lease;
}

void wr_datagram_deliver_kept(struct wr_datagram *d)
{
    while (d->kept_head && wr_datagram_is_reading(d)) {
        weir_lease *lease = datagram_deliver_pop(d);
        datagram_deliver_show(d, lease);
        wr_lease_unref(lease);
    }
}

void wr_datagram_drop_kept(struct wr_datagram *d)
{
    wr_assert(d->t.state != WR_LIFE_OPEN);
    while (d->kept_head) {
        wr_lease_unref(datagram_deliver_pop(d));
    }
}

/*
 * weir_transport_sendto() and its variants. The arguments are checked before
 * the state of the transport, as in asyncio, so that a mistake is reported in
 * every state. Then the datagram is queued.
 */
#include "datagram_impl.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "uring/lease.h"

/* The longest payload that fits into a packet. */
#define UDP4_MAX 65507u
#define UDP6_MAX 65527u
/* The smallest UDP_MAX_SEGMENTS of all kernels. */
#define SEGMENTS_MAX 64u

/* Sets *ret to the destination; NULL if the socket is connected to it. */
static int datagram_message_find_peer(const struct wr_datagram *d,
                                      const struct weir_address *addr,
                                      const struct weir_address **ret)
{
    wr_assert(!d->is_connected || d->remote.len > 0);
    if (d->remote.len > 0) {
        wr_require(!addr || weir_address_is_equal(addr, &d->remote), -EINVAL);
        *ret = d->is_connected ? NULL : &d->remote;
        return 0;
    }
    wr_require(addr, -EDESTADDRREQ);
    wr_require(wr_address_is_valid(addr), -EINVAL);
    wr_require(addr->storage.any.sa_family == d->family, -EAFNOSUPPORT);
    wr_require(d->family == AF_UNIX ? !wr_address_is_unnamed(addr)
                                    : wr_address_port(addr) != 0,
               -EINVAL);
    *ret = addr;
    return 0;
}

static int datagram_message_check_bytes(const struct wr_datagram *d,
                                        const void *data, size_t len)
{
    wr_require(data || len == 0, -EINVAL);
    const size_t most = d->family == AF_INET    ? UDP4_MAX
                        : d->family == AF_INET6 ? UDP6_MAX
                                                : INT32_MAX;
    wr_assert(d->family != AF_UNSPEC);
    return len <= most ? 0 : -EMSGSIZE;
}

static uint64_t datagram_message_deadline(const struct wr_datagram *d)
{
    wr_assert(d->peer_wait_ns > 0);
    return d->peer_wait_ns == UINT64_MAX
               ? UINT64_MAX
               : wr_add_sat(wr_sys_now(), d->peer_wait_ns);
}

int weir_transport_sendto(weir_transport *t, const void *data, size_t len,
                          const struct weir_address *addr)
{
    struct wr_datagram *d = wr_datagram_of(t);
    struct wr_outgoing_parts parts = {
        .data = data, .len = len, .kind = WR_OUTGOING_COPY};

    wr_require_loop(t->loop);
    wr_require(t->ops == &wr_datagram_ops, -EOPNOTSUPP);
    parts.deadline_ns = datagram_message_deadline(d);
    int err = datagram_message_find_peer(d, addr, &parts.name);
    wr_require(err >= 0, err);
    err = datagram_message_check_bytes(d, data, len);
    wr_require(err >= 0, err);
    return wr_datagram_queue(d, &parts);
}

static int datagram_message_check(const struct wr_datagram *d,
                                  const struct weir_message *message)
{
    const uint32_t segment = message->segment_bytes;

    wr_require(!message->lease || !message->release, -EINVAL);
    if (segment > 0) {
        wr_require(d->family != AF_UNIX, -EINVAL);
        wr_require(segment <= UINT16_MAX, -EINVAL);
        wr_require(message->len <= (size_t)segment * SEGMENTS_MAX, -EINVAL);
    }
    return datagram_message_check_bytes(d, message->data, message->len);
}

/* Copies few bytes, and leased bytes while receive buffers are short. */
static enum wr_outgoing_kind
datagram_message_kind(const struct wr_pool *pool,
                      const struct weir_message *message)
{
    const weir_lease *lease = message->lease;

    if (message->release) {
        return WR_OUTGOING_REF;
    }
    if (!lease || message->len < WR_LEASE_LEAST) {
        return WR_OUTGOING_COPY;
    }
    wr_assert(lease->refs > 0);
    return lease->buf && wr_pool_is_short(pool) ? WR_OUTGOING_COPY
                                                : WR_OUTGOING_LEASE;
}

int weir_transport_sendmsg(weir_transport *t,
                           const struct weir_message *message)
{
    struct wr_datagram *d = wr_datagram_of(t);
    _Alignas(8) uint8_t control[WR_CONTROL_MAX];
    struct weir_message known;

    wr_require_loop(t->loop);
    wr_require(t->ops == &wr_datagram_ops, -EOPNOTSUPP);
    wr_require(message, -EINVAL);
    int err = wr_options_read_given(&known, sizeof(known), message);
    wr_require(err >= 0, err);
    struct wr_outgoing_parts parts = {
        .data = known.data,
        .len = known.len,
        .control = control,
        .kind = datagram_message_kind(&t->loop->pool, &known),
        .lease = known.lease,
        .release = known.release,
        .release_arg = known.release_arg,
        .deadline_ns = datagram_message_deadline(d),
    };
    err = datagram_message_find_peer(d, known.address, &parts.name);
    wr_require(err >= 0, err);
    err = datagram_message_check(d, &known);
    wr_require(err >= 0, err);
    err = wr_datagram_write_control(&known, d->family, control);
    wr_require(err >= 0, err);
    parts.control_len = (size_t)err;
    return wr_datagram_queue(d, &parts);
}

int weir_transport_get_datagram_counts(const weir_transport *t,
                                       struct weir_datagram_counts *ret)
{
    const struct wr_datagram *d = wr_datagram_of(t);

    wr_require(t->ops == &wr_datagram_ops, -EOPNOTSUPP);
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    struct weir_datagram_counts counts = d->counts;
    counts.dropped_by_kernel = wr_datagram_ask_drops(d);
    wr_answer_write(ret, &counts, sizeof(counts));
    return 0;
}

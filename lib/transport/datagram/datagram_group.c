/*
 * Multicast groups of datagram transports. The calls of RFC 3678 are the same
 * for IPv4 and IPv6. This file checks the family of the addresses, and the
 * kernel checks the addresses themselves.
 */
#include "datagram_impl.h"

#include "lib/base/address.h"

#include <string.h>

static int datagram_group_level(const struct wr_datagram *d)
{
    wr_assert(d->family == AF_INET || d->family == AF_INET6);
    return d->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

static int datagram_group_put(const struct wr_datagram *d,
                              const struct weir_address *addr,
                              struct sockaddr_storage *ret)
{
    wr_require(addr && wr_address_is_valid(addr), -EINVAL);
    wr_require(addr->storage.any.sa_family == d->family, -EINVAL);
    wr_assert(addr->len <= sizeof(*ret));
    memcpy(ret, &addr->storage, addr->len);
    return 0;
}

static int datagram_group_any(const struct wr_datagram *d,
                              const struct weir_address *group,
                              unsigned int interface, int name)
{
    struct group_req request = {.gr_interface = interface};
    int err = datagram_group_put(d, group, &request.gr_group);

    wr_require(err >= 0, err);
    return wr_sys_setsockopt(d->fd, datagram_group_level(d), name, &request,
                             sizeof(request));
}

static int datagram_group_one(const struct wr_datagram *d,
                              const struct weir_address *group,
                              const struct weir_address *source,
                              unsigned int interface, int name)
{
    struct group_source_req request = {.gsr_interface = interface};
    int err = datagram_group_put(d, group, &request.gsr_group);

    wr_require(err >= 0, err);
    err = datagram_group_put(d, source, &request.gsr_source);
    wr_require(err >= 0, err);
    return wr_sys_setsockopt(d->fd, datagram_group_level(d), name, &request,
                             sizeof(request));
}

/* Makes request @any for all sources, or request @one if @source is set. */
static int datagram_group_change(const weir_transport *t,
                                 const struct weir_address *group,
                                 const struct weir_address *source,
                                 unsigned int interface, int any, int one)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &wr_datagram_ops, -EOPNOTSUPP);
    const struct wr_datagram *d = wr_datagram_of(t);
    wr_require(d->fd >= 0 && d->t.state != WR_LIFE_LOST, -EBADF);
    wr_require(d->family != AF_UNIX, -EOPNOTSUPP);
    wr_assert(d->family == AF_INET || d->family == AF_INET6);
    return source ? datagram_group_one(d, group, source, interface, one)
                  : datagram_group_any(d, group, interface, any);
}

int weir_transport_join_group(weir_transport *t,
                              const struct weir_address *group,
                              const struct weir_address *source,
                              unsigned int interface)
{
    return datagram_group_change(t, group, source, interface, MCAST_JOIN_GROUP,
                                 MCAST_JOIN_SOURCE_GROUP);
}

int weir_transport_leave_group(weir_transport *t,
                               const struct weir_address *group,
                               const struct weir_address *source,
                               unsigned int interface)
{
    return datagram_group_change(t, group, source, interface, MCAST_LEAVE_GROUP,
                                 MCAST_LEAVE_SOURCE_GROUP);
}

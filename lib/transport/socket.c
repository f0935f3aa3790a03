/*
 * Socket addresses, adopted sockets, and unwanted descriptors. If no receive
 * takes a peer's descriptors, the kernel closes them in the thread that
 * receives their bytes or closes the socket. This may block as long as the peer
 * likes (SO_LINGER). Since Linux 6.16 a socket can refuse descriptors
 * (SO_PASSRIGHTS).
 */
#include "socket.h"

#include "lib/base/address.h"
#include "uring/closer.h"

/* The kernel counts a NUL after a Unix path that fills sun_path. */
static void socket_keep_name(struct weir_address *addr, int err,
                             struct weir_address *ret)
{
    if (err < 0) {
        addr->len = 0;
    } else if (addr->storage.any.sa_family == AF_UNIX &&
               addr->len > sizeof(addr->storage.local)) {
        addr->len = sizeof(addr->storage.local);
    }
    *ret = *addr;
}

int wr_socket_ask_peername(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = sizeof(addr.storage)};
    int err =
        fd < 0 ? fd : wr_sys_getpeername_ever(fd, &addr.storage.any, &addr.len);

    socket_keep_name(&addr, err, ret);
    return err;
}

int wr_socket_ask_sockname(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = sizeof(addr.storage)};
    int err =
        fd < 0 ? fd : wr_sys_getsockname(fd, &addr.storage.any, &addr.len);

    socket_keep_name(&addr, err, ret);
    return err;
}

bool wr_socket_is_own_peer(int fd, const struct weir_address *peer)
{
    struct weir_address own;
    struct weir_address named = {.len = sizeof(named.storage)};
    const sa_family_t family = peer->storage.any.sa_family;

    wr_assert(fd >= 0);
    wr_assert(peer->len > 0);
    if ((family != AF_INET && family != AF_INET6) ||
        wr_socket_ask_sockname(fd, &own) < 0 ||
        wr_address_port(&own) != wr_address_port(peer)) {
        return false;
    }
    /* getpeername() reports the loopback address for 0.0.0.0. With TCP Fast
     * Open it reports a peer only after the first bytes were sent. */
    if (wr_sys_getpeername(fd, &named.storage.any, &named.len) < 0) {
        named = *peer;
    }
    return weir_address_is_equal(&own, &named) &&
           wr_socket_get_option(fd, SO_TYPE) == SOCK_STREAM;
}

static bool socket_is_any(const struct weir_address *address)
{
    wr_assert(address->storage.any.sa_family != AF_UNIX);
    return address->storage.any.sa_family == AF_INET
               ? address->storage.inet.sin_addr.s_addr == INADDR_ANY
               : IN6_IS_ADDR_UNSPECIFIED(&address->storage.inet6.sin6_addr);
}

void wr_socket_find_own(const struct weir_address *peer,
                        struct weir_address *own)
{
    const int family = peer->storage.any.sa_family;

    wr_assert(peer->len > 0);
    if (family == AF_UNIX || own->len == 0) {
        own->len = own->len > 0 && !wr_address_is_unnamed(own) ? own->len : 0;
        return;
    }
    if (!socket_is_any(own)) {
        return;
    }
    const uint16_t port = wr_address_port(own);
    own->len = 0;
    /* connect() on a datagram socket sends nothing, but chooses an address. */
    const int fd = wr_sys_socket(family, SOCK_DGRAM, 0);
    if (fd >= 0 && wr_sys_connect(fd, &peer->storage.any, peer->len) >= 0) {
        wr_ignore(wr_socket_ask_sockname(fd, own));
    }
    if (fd >= 0) {
        wr_ignore(wr_sys_close(fd));
    }
    if (own->len > 0) {
        wr_address_set_port(own, port);
    }
}

void wr_socket_set_passrights(const weir_loop *loop, int fd, bool passes)
{
    const int on = passes;

    wr_assert(fd >= 0);
    if (wr_has(&loop->uring.features, WR_FEATURE_PASSRIGHTS)) {
        wr_ignore(wr_sys_setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on,
                                    sizeof(on)) < 0);
    }
}

int wr_socket_get_option(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = wr_sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);

    return err < 0 ? err : value;
}

int wr_socket_check(int fd, struct weir_address *ret_peer)
{
    const int type = wr_socket_get_option(fd, SO_TYPE);
    wr_require(type != -EBADF, -EBADF);
    wr_require(type == SOCK_STREAM, -EINVAL);
    const int family = wr_socket_get_option(fd, SO_DOMAIN);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    int err = wr_sys_getpeername(fd, (struct sockaddr *)&peer, &len);
    wr_require((err >= 0) == (ret_peer != NULL), -EINVAL);
    if (ret_peer) {
        err = wr_socket_ask_peername(fd, ret_peer);
        wr_require(err >= 0, -EINVAL);
    }
    return family;
}

void wr_socket_reset_on_close(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    wr_assert(fd >= 0);
    wr_ignore(wr_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
                                sizeof(linger)) < 0);
}

void wr_socket_close_unix(int fd)
{
    wr_assert(fd >= 0);
    if (wr_sys_inq(fd) == 0) {
        wr_closer_close_empty(fd);
    } else {
        wr_closer_close_alone(&fd, 1);
    }
}

void wr_socket_refuse(int fd)
{
    if (fd >= 0 && wr_socket_get_option(fd, SO_DOMAIN) == AF_UNIX) {
        wr_socket_close_unix(fd);
    } else if (fd >= 0) {
        wr_ignore(wr_sys_close(fd));
    }
}

void wr_socket_close(weir_loop *loop, int fd, int family)
{
    wr_assert(fd >= -1);
    if (fd >= 0 && family == AF_UNIX) {
        wr_socket_close_unix(fd);
    } else if (fd >= 0) {
        wr_prep_close(&loop->uring, fd);
    }
}

void wr_socket_wake_accepts(int fd)
{
    wr_assert(fd >= 0);
    if (wr_socket_get_option(fd, SO_ACCEPTCONN) > 0 &&
        wr_sys_is_readable(fd) > 0) {
        /* Wakes the accepts. A listening socket cannot send anyway
         * (inet_shutdown() and unix_shutdown() of Linux 5.10 to 6.18). */
        wr_ignore(wr_sys_shutdown(fd, SHUT_WR) < 0);
    }
}

void wr_socket_turn_away(weir_loop *loop, int fd, int family)
{
    wr_assert(fd >= 0);
    wr_socket_reset_on_close(fd);
    wr_socket_close(loop, fd, family);
}

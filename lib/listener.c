/*
 * Listening sockets: making one, keeping accepts armed, closing in order.
 *
 * The descriptor is closed when the last accept has ended and not before: its
 * number could belong to somebody else by the time the kernel looks it up.
 * What an accept still brings after the close is closed on the spot; its peer
 * sees an end of stream, as if it had been a moment later.
 */
#include "listener.h"

#include "sock.h"

#include <netinet/tcp.h>
#include <string.h>

static void accept_completed(struct wr_op *op, int32_t res, uint32_t flags);

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner)
{
    memset(listener, 0, sizeof(*listener));
    listener->ops = ops;
    listener->loop = loop;
    listener->owner = owner;
    listener->fd = -1;
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        wr_op_init(&listener->accepts[i].op, accept_completed);
        listener->accepts[i].listener = listener;
    }
}

static void close_descriptor(struct wr_listener *listener)
{
    wr_assert(listener->armed_count == 0);
    /* Nothing was written to it: there is no error that would matter. */
    wr_ignore(wr_sys_close(listener->fd));
    listener->fd = -1;
}

/* A connection that was reset already has no peer: as accept4() would, drop
 * it. */
static int ask_peer(const struct wr_listener *listener, int fd,
                    struct weir_address *ret)
{
    struct weir_address peer = {.len = sizeof(peer.storage)};
    if (listener->family == AF_UNIX) {
        return 0;
    }
    int err = wr_sys_getpeername(fd, &peer.storage.any, &peer.len);
    if (err < 0) {
        return -ECONNABORTED;
    }
    *ret = peer;
    return 0;
}

static void accept_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_accept *accept = wr_container_of(op, struct wr_accept, op);
    struct wr_listener *listener = accept->listener;

    wr_assert(listener->armed_count > 0);
    if (!(flags & WR_CQE_MORE)) {
        listener->armed_count--;
    }
    if (listener->closing) {
        if (res >= 0) {
            wr_prep_close(&listener->loop->uring, res);
        }
        if (listener->armed_count == 0) {
            close_descriptor(listener);
            listener->ops->closed(listener);
        }
        return;
    }
    if (res < 0) {
        listener->ops->failed(listener, res);
        return;
    }
    struct weir_address peer = {.len = 0};
    int err = ask_peer(listener, res, &peer);
    if (err < 0) {
        wr_prep_close(&listener->loop->uring, res);
        listener->ops->failed(listener, err);
        return;
    }
    listener->ops->accepted(listener, res, &peer);
}

static int set_flag(int fd, int level, int name)
{
    const int on = 1;
    return wr_sys_setsockopt(fd, level, name, &on, sizeof(on));
}

/* What must be set before the address is bound. */
static int set_bind_options(int fd, int family,
                            const struct wr_listen_options *options)
{
    int err = 0;
    if (options->reuse_address) {
        err = set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
    }
    if (err >= 0 && options->reuse_port) {
        err = set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    if (err >= 0 && family == AF_INET6) {
        err = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    return err;
}

/* What accepted sockets inherit, and which address it is. */
static int configure(struct wr_listener *listener, int fd,
                     const struct wr_listen_options *options)
{
    int err = wr_sock_configure(fd, listener->family, options->stream);
    if (err >= 0 && options->defer_accept_s > 0 &&
        listener->family != AF_UNIX) {
        const int seconds = options->defer_accept_s > INT32_MAX
                                ? INT32_MAX
                                : (int)options->defer_accept_s;
        err = wr_sys_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
                                sizeof(seconds));
    }
    if (err < 0) {
        return err;
    }
    listener->address = (struct weir_address){.len = 0};
    if (listener->family != AF_UNIX) {
        listener->address.len = sizeof(listener->address.storage);
        err = wr_sys_getsockname(fd, &listener->address.storage.any,
                                 &listener->address.len);
    }
    return err;
}

/* Takes @fd. */
static int finish_open(struct wr_listener *listener, int fd, int err,
                       const struct wr_listen_options *options)
{
    if (err >= 0) {
        err = configure(listener, fd, options);
    }
    if (err < 0) {
        wr_ignore(wr_sys_close(fd)); /* err is what is told */
        return err;
    }
    listener->fd = fd;
    listener->closing = false;
    return 0;
}

int wr_listener_open(struct wr_listener *listener,
                     const struct weir_address *address,
                     const struct wr_listen_options *options)
{
    wr_assert(listener->fd < 0);
    listener->family = address->storage.any.sa_family;
    int fd = wr_sys_socket(listener->family, SOCK_STREAM, 0);
    if (fd < 0) {
        return fd;
    }
    int err = set_bind_options(fd, listener->family, options);
    if (err >= 0) {
        err = wr_sys_bind(fd, &address->storage.any, address->len);
    }
    return finish_open(listener, fd, err, options);
}

static int get_int_option(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = wr_sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);
    return err < 0 ? err : value;
}

int wr_listener_adopt(struct wr_listener *listener, int fd,
                      const struct wr_listen_options *options)
{
    wr_assert(listener->fd < 0);
    int family = get_int_option(fd, SO_DOMAIN);
    int listening = get_int_option(fd, SO_ACCEPTCONN);
    listener->family = family;
    listener->was_listening = listening > 0;
    return finish_open(listener, fd, family < 0 ? family : 0, options);
}

int wr_socket_check(int fd, struct weir_address *ret_peer)
{
    const int type = get_int_option(fd, SO_TYPE);
    wr_require(type != -EBADF, -EBADF);
    wr_require(type == SOCK_STREAM, -EINVAL);
    const int family = get_int_option(fd, SO_DOMAIN);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    struct weir_address peer = {.len = sizeof(peer.storage)};
    int err = wr_sys_getpeername(fd, &peer.storage.any, &peer.len);
    wr_require((err >= 0) == (ret_peer != NULL), -EINVAL);
    if (ret_peer) {
        *ret_peer = family == AF_UNIX ? (struct weir_address){.len = 0} : peer;
    }
    return family;
}

int wr_listener_listen(struct wr_listener *listener, int backlog)
{
    wr_assert(listener->fd >= 0);
    wr_assert(!listener->closing);
    return wr_sys_listen(listener->fd, backlog);
}

void wr_listener_arm(struct wr_listener *listener, uint32_t goal)
{
    wr_assert(listener->fd >= 0);
    wr_assert(!listener->closing);
    const bool multishot = goal == WR_ACCEPT_ALL;
    if (multishot) {
        goal = 1;
    }
    for (uint32_t i = 0; i < WR_ACCEPT_OPS && listener->armed_count < goal;
         i++) {
        struct wr_op *op = &listener->accepts[i].op;
        if (!op->in_flight) {
            wr_prep_accept(&listener->loop->uring, op, listener->fd, multishot);
            listener->armed_count++;
        }
    }
}

void wr_listener_abandon(struct wr_listener *listener)
{
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        wr_op_abandon(&listener->loop->uring, &listener->accepts[i].op);
    }
}

bool wr_listener_close(struct wr_listener *listener)
{
    if (listener->fd < 0) {
        return true;
    }
    if (listener->closing) {
        return false;
    }
    listener->closing = true;
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        wr_op_cancel(&listener->loop->uring, &listener->accepts[i].op);
    }
    if (listener->armed_count > 0) {
        return false;
    }
    close_descriptor(listener);
    return true;
}

static bool is_any(const struct weir_address *address)
{
    if (address->storage.any.sa_family == AF_INET) {
        return address->storage.inet.sin_addr.s_addr == INADDR_ANY;
    }
    const struct in6_addr *addr = &address->storage.inet6.sin6_addr;
    return IN6_IS_ADDR_UNSPECIFIED(addr);
}

bool wr_listener_is_bound_to_one(const struct wr_listener *listener)
{
    return listener->address.len > 0 && !is_any(&listener->address);
}

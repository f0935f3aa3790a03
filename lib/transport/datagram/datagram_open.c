/*
 * Datagram transports: making a transport from a descriptor.
 *
 * The steps: the socket's options; its addresses, from the kernel; the factory,
 * which chooses the protocol; opening.
 */
#include "datagram_impl.h"
#include "lib/transport/socket.h"

static int datagram_open_set(int fd, int name, int value)
{
    wr_assert(fd >= 0);
    return wr_sys_setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value));
}

/* Sets a buffer size; 0 leaves the default. */
static int datagram_open_set_size(int fd, int name, uint32_t bytes)
{
    return bytes == 0
               ? 0
               : datagram_open_set(fd, name, (int)wr_min_u64(bytes, INT32_MAX));
}

int wr_datagram_configure(const weir_loop *loop, int fd, int family,
                          const struct weir_datagram_options *options)
{
    int err = wr_datagram_ask_control(fd, family, options);

    if (family == AF_UNIX) {
        wr_socket_set_passrights(loop, fd, false);
    }
    if (err >= 0 && options->reuse_port && family != AF_UNIX) {
        err = datagram_open_set(fd, SO_REUSEPORT, 1);
    }
    if (err >= 0 && options->allow_broadcast) {
        err = datagram_open_set(fd, SO_BROADCAST, 1);
    }
    if (err >= 0) {
        err = datagram_open_set_size(fd, SO_RCVBUF,
                                     options->receive_buffer_bytes);
    }
    if (err >= 0) {
        err = datagram_open_set_size(fd, SO_SNDBUF, options->send_buffer_bytes);
    }
    return err;
}

/* Asks the kernel for the addresses. The peer of a connected socket is the
 * remote address. */
static void datagram_open_ask_names(struct wr_datagram *d,
                                    const struct weir_address *remote)
{
    struct weir_address peer;

    wr_assert(d->fd >= 0);
    wr_ignore(wr_socket_ask_sockname(d->fd, &d->sockname) < 0);
    d->is_connected = wr_socket_ask_peername(d->fd, &peer) >= 0;
    d->remote = remote->len > 0 ? *remote : peer;
}

static void
datagram_open_set_limits(struct wr_datagram *d,
                         const struct weir_datagram_options *options)
{
    wr_assert(options->size_limit_bytes <= WEIR_DATAGRAM_SIZE_MAX);
    d->size_limit_bytes = options->size_limit_bytes ? options->size_limit_bytes
                                                    : WEIR_DATAGRAM_SIZE_MAX;
    d->wants_control = options->ancillary != 0 || options->join_segments;
    wr_transport_set_limits(&d->t, options->read_limit_bytes,
                            options->write_hard_limit_bytes);
    d->close_timeout_ns = options->close_timeout_ns;
    wr_datagram_recv_init(d, options->join_segments);
}

int wr_datagram_open(weir_loop *loop, const struct wr_datagram_socket *socket,
                     const struct weir_factory *factory,
                     const struct weir_datagram_options *options,
                     weir_transport **ret)
{
    const int fd = socket->fd;
    const int family = socket->family;

    wr_assert(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    struct wr_datagram *d = wr_datagram_make(loop, fd);
    if (!d) {
        wr_datagram_close_fd(loop, fd, family);
        return -ENOMEM;
    }
    d->family = (sa_family_t)family;
    d->meets_fds = wr_datagram_meets_fds(loop, family);
    datagram_open_set_limits(d, options);
    datagram_open_ask_names(d, socket->remote);
    d->peer_wait_ns = UINT64_MAX;
    if (options->peer_wait_ns > 0 && family == AF_UNIX && !d->is_connected) {
        d->peer_wait_ns = options->peer_wait_ns;
    }
    int err = wr_protocol_find(&d->t, factory);
    if (err < 0) {
        wr_datagram_close_fd(loop, fd, family);
        wr_datagram_discard(d);
        return err;
    }
    wr_datagram_begin(d);
    *ret = &d->t;
    return 0;
}

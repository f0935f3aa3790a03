/*
 * The socket of a connection that is to be made, before its connect.
 *
 * Options, then the own address: nothing here waits, and on an error nothing is
 * left.
 */
#include "connect_socket.h"

#include "lib/base/address.h"
#include "lib/transport/sock/sock.h"

static int connect_socket_bind(int fd, int family,
                               const struct weir_address *local,
                               uint16_t local_port)
{
    struct weir_address address = *local;
    const int on = 1;

    wr_assert(fd >= 0);
    wr_assert(local_port == 0 || family != AF_UNIX);
    if (address.len == 0 && local_port == 0) {
        return 0;
    }
    if (address.len == 0) {
        int err = wr_address_passive(family, NULL, local_port, &address);
        wr_assert(err == 0); /* a port came with an IP address */
    }
    wr_assert(address.storage.any.sa_family == family);
    if (family != AF_UNIX && wr_address_port(&address) == 0) {
        /* Let the port be chosen when the peer is known too: a busy client
         * then has 28 000 of them for each peer. A kernel without this option
         * only has fewer. */
        wr_ignore(wr_sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
                                    &on, sizeof(on)));
    }
    return wr_sys_bind(fd, &address.storage.any, address.len);
}

int wr_connect_socket_open(const weir_loop *loop, int family, int proto,
                           const struct weir_address *local,
                           uint16_t local_port,
                           const struct weir_connection_options *connection)
{
    wr_assert(local->len == 0 || local->storage.any.sa_family == family);
    wr_assert(proto == 0 || family != AF_UNIX);
    const int type = SOCK_STREAM | (family == AF_UNIX ? SOCK_NONBLOCK : 0);
    int fd = wr_sys_socket(family, type, proto);
    if (fd < 0) {
        return fd;
    }
    int err = wr_sock_configure(loop, fd, family, connection);
    if (err >= 0) {
        err = connect_socket_bind(fd, family, local, local_port);
    }
    if (err < 0) {
        wr_ignore(wr_sys_close(fd)); /* the caller is told err */
        return err;
    }
    return fd;
}

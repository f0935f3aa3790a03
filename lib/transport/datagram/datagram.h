/*
 * Datagram transports. The caller makes the socket, configures it with the
 * functions here, binds and connects it, and opens the transport, which takes
 * the socket.
 */
#ifndef WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_H
#define WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_H

#include "lib/loop/loop.h"
#include "weir/datagram.h"

/* Checks the options for ancillary data. Returns 0 or -EINVAL. */
WEIR_MUST_USE int
wr_datagram_check_control(int family,
                          const struct weir_datagram_options *options);

/* Sets the socket options that must be set before bind(). */
WEIR_MUST_USE int
wr_datagram_configure(const weir_loop *loop, int fd, int family,
                      const struct weir_datagram_options *options);

/* A socket that is bound and, if requested, connected. */
struct wr_datagram_socket {
    int fd;
    int family;
    /* Default destination; its len is 0 if there is none. */
    const struct weir_address *remote;
};

/* True if peers can send descriptors that the kernel cannot refuse. */
WEIR_MUST_USE static inline bool wr_datagram_meets_fds(const weir_loop *loop,
                                                       int family)
{
    return family == AF_UNIX &&
           !wr_has(&loop->uring.features, WR_FEATURE_PASSRIGHTS);
}

/* Closes a socket, in a thread if it may hold descriptors of peers. */
void wr_datagram_close_fd(const weir_loop *loop, int fd, int family);

/* Makes a transport, and calls connection_made. Always takes the descriptor. */
WEIR_MUST_USE int wr_datagram_open(weir_loop *loop,
                                   const struct wr_datagram_socket *socket,
                                   const struct weir_factory *factory,
                                   const struct weir_datagram_options *options,
                                   weir_transport **ret);

#endif

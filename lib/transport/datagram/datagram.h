/*
 * Datagram transports: the caller makes the socket, configures it with the
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
    const struct weir_address *remote; /* default destination; its len is 0 if
                                        * there is none */
};

/* True if peers can send descriptors over a socket of this family, and the
 * kernel cannot refuse them. */
WEIR_MUST_USE static inline bool wr_datagram_meets_fds(const weir_loop *loop,
                                                       int family)
{
    return family == AF_UNIX &&
           !wr_has(&loop->uring.features, WR_FEATURE_PASSRIGHTS);
}

/* Closes a socket, in a thread if it may contain descriptors of peers. */
void wr_datagram_close_fd(const weir_loop *loop, int fd, int family);

/* Makes a transport from the socket. Takes its descriptor, even on failure. If
 * 0 is returned, connection_made was called. */
WEIR_MUST_USE int wr_datagram_open(weir_loop *loop,
                                   const struct wr_datagram_socket *socket,
                                   const struct weir_factory *factory,
                                   const struct weir_datagram_options *options,
                                   weir_transport **ret);

#endif

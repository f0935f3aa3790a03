/*
 * Datagram transports, for those who make them.
 *
 * The maker makes the socket, has it configured here, binds and connects it,
 * and opens the transport; from then on the socket is the transport's.
 */
#ifndef WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_H
#define WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_H

#include "lib/loop/loop.h"
#include "weir/datagram.h"

/* Checks the options that ask for ancillary data: 0 or -EINVAL. */
WEIR_MUST_USE int
wr_datagram_check_control(int family,
                          const struct weir_datagram_options *options);

/* Sets the options that a datagram socket has before it is bound. */
WEIR_MUST_USE int
wr_datagram_configure(const weir_loop *loop, int fd, int family,
                      const struct weir_datagram_options *options);

/* A socket that is bound and, if it is to be, connected. */
struct wr_datagram_socket {
    int fd;
    int family;
    const struct weir_address *remote; /* where it sends by itself; len 0:
                                        * nowhere */
};

/* True when peers can send descriptors over a socket of this family, which the
 * kernel cannot refuse. */
WEIR_MUST_USE static inline bool wr_datagram_meets_fds(const weir_loop *loop,
                                                       int family)
{
    return family == AF_UNIX &&
           !wr_has(&loop->uring.features, WR_FEATURE_PASSRIGHTS);
}

/* Closes a socket that becomes no transport; in a thread where its peers may
 * have put descriptors into it. */
void wr_datagram_close_fd(const weir_loop *loop, int fd, int family);

/* Makes a transport of the socket, and takes its descriptor, whatever is
 * returned. connection_made was called when 0 is returned. */
WEIR_MUST_USE int wr_datagram_open(weir_loop *loop,
                                   const struct wr_datagram_socket *socket,
                                   const struct weir_factory *factory,
                                   const struct weir_datagram_options *options,
                                   weir_transport **ret);

#endif

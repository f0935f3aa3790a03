/*
 * Stream sockets as transports: what the makers need to know.
 *
 * A maker has a connected descriptor and a factory; wr_sock_open() makes a
 * transport of the two. How it lives from then on is told in sock_impl.h.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_H

#include "lib/transport/transport.h"

struct wr_sock_options {
    const struct weir_connection_options
        *connection;               /* borrowed; NULL: defaults */
    struct wr_connection_set *set; /* that counts it; NULL: none */
    int family;                    /* of the socket; 0: an IP family */
};

/* Makes the transport of a connected descriptor, asks the factory for its
 * protocol, calls connection_made and starts reading. Takes @fd, also when it
 * fails. Called from the loop (a completion or a ready item), never from a call
 * of the user. On success the connection is a member of the loop, its set has
 * adopted it, and *ret is borrowed: the protocol may have closed it already. */
WEIR_MUST_USE int wr_sock_open(weir_loop *loop, int fd,
                               const struct weir_factory *factory,
                               const struct wr_sock_options *options,
                               weir_transport **ret);

/* Sets the socket options of a new connection or, since they are inherited, of
 * a listener. Returns the first error. Over a Unix socket that takes none no
 * descriptors can be sent; what another program has set does not count. */
WEIR_MUST_USE int
wr_sock_configure(const weir_loop *loop, int fd, int family,
                  const struct weir_connection_options *connection);

#endif

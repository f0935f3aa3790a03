/*
 * Stream sockets as transports, for the makers.
 *
 * A maker has a connected descriptor and a factory; wr_sock_open() makes a
 * transport from them. sock_impl.h describes the transport's life.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_H

#include "lib/transport/transport.h"

struct wr_sock_options {
    const struct weir_connection_options
        *connection;               /* borrowed; NULL: defaults */
    struct wr_connection_set *set; /* of the server; NULL: none */
    int family;                    /* of the socket; 0: an IP family */
};

/* Makes a transport from a connected descriptor, asks the factory for its
 * protocol, calls connection_made and starts reading. Takes @fd, even on
 * failure. Called from the loop (a completion or a ready item), never from a
 * call of the program. On success the connection is a member of the loop, its
 * set has adopted it, and *ret is borrowed: the protocol may have closed it
 * already. */
WEIR_MUST_USE int wr_sock_open(weir_loop *loop, int fd,
                               const struct weir_factory *factory,
                               const struct wr_sock_options *options,
                               weir_transport **ret);

/* Sets the socket options of a new connection or, because they are inherited,
 * of a listener. Returns the first error. A Unix socket that takes no
 * descriptors refuses them, regardless of an option set by another program. */
WEIR_MUST_USE int
wr_sock_configure(const weir_loop *loop, int fd, int family,
                  const struct weir_connection_options *connection);

#endif

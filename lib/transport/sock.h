/*
 * Stream sockets as transports: what the makers need to know.
 *
 * A maker has a connected descriptor and a factory; wr_sock_open() makes a
 * transport of the two. How it lives from then on is told in sock_impl.h.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_H
#define WEIR_LIB_TRANSPORT_SOCK_H

#include "transport.h"

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
 * a listener. Returns the first error; AF_UNIX sockets have no such options. */
WEIR_MUST_USE int
wr_sock_configure(int fd, int family,
                  const struct weir_connection_options *connection);

/* Asks a socket for its own address, or for the one that its peer has or had. A
 * failure, as with @fd -1, leaves an address of length 0. */
int wr_sock_ask_sockname(int fd, struct weir_address *ret);
int wr_sock_ask_peername(int fd, struct weir_address *ret);

/* Checks the options of new connections in @outer, a struct that
 * wr_options_read() has filled. */
WEIR_MUST_USE int
wr_connection_options_read(const void *outer,
                           struct weir_connection_options *connection);

#endif

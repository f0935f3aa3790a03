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

/* Closes a connected descriptor that becomes no transport. */
void wr_sock_close_fd(weir_loop *loop, int fd,
                      const struct wr_sock_options *options);

/* Sets the socket options of a new connection or, since they are inherited, of
 * a listener. Returns the first error. Over a Unix socket that takes none no
 * descriptors can be sent; what another program has set does not count. */
WEIR_MUST_USE int
wr_sock_configure(const weir_loop *loop, int fd, int family,
                  const struct weir_connection_options *connection);

/* Peers can send descriptors over this Unix socket, or cannot where the kernel
 * can refuse them. */
void wr_unix_set_passrights(const weir_loop *loop, int fd, bool passes);
/* True when they can over a connection that has these options. */
WEIR_MUST_USE static inline bool
wr_unix_takes_fds(const struct wr_sock_options *options)
{
    return options->family == AF_UNIX && options->connection &&
           options->connection->max_fds > 0;
}

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

/*
 * The socket of a connection that is to be made, before its connect.
 *
 * A Unix socket does not block, so that a full queue of the server's is
 * -EAGAIN; it is to be made blocking once it is connected.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_SOCKET_H
#define WEIR_LIB_NET_CONNECT_CONNECT_SOCKET_H

#include "weir/server.h"

/* Makes a socket of @family and @proto with the options of @connection, bound
 * to @local; where that has length 0 to any address with @local_port, or not at
 * all. */
WEIR_MUST_USE int
wr_connect_socket_open(const weir_loop *loop, int family, int proto,
                       const struct weir_address *local, uint16_t local_port,
                       const struct weir_connection_options *connection);

#endif

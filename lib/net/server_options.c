/*
 * The options of servers: reading them, and what they may ask for together.
 *
 * A server listens on addresses given as text, or on such given as values, or
 * on a socket, and this file refuses a call that asks for two of the three.
 * Text is read where the addresses are kept, in listener_set.c.
 */
#include "server.h"

#include "lib/base/options.h"
#include "lib/transport/sock.h"

int wr_server_options_read(const void *outer,
                           struct weir_server_options *server)
{
    int err = wr_options_read_inner(outer, server, sizeof(*server));
    return err < 0 ? err
                   : wr_connection_options_read(server, &server->connection);
}

int wr_server_options_check(const struct weir_server_options *options,
                            const struct weir_factory *factory,
                            const char *host, uint16_t port)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(options->socket_mode <= ALLPERMS, -EINVAL);
    wr_require(options->backlog >= 0, -EINVAL);
    if (options->address_count > 0) {
        wr_require(options->addresses && !options->use_sock, -EINVAL);
        wr_require(!host && options->host_count == 0 && port == 0, -EINVAL);
    }
    if (options->use_sock) {
        wr_require(!host && options->host_count == 0, -EINVAL);
        int family = wr_socket_check(options->sock, NULL);
        wr_require(family >= 0, family);
        wr_require(options->family == AF_UNSPEC || options->family == family,
                   -EINVAL);
    }
    wr_assert(!options->use_sock || options->address_count == 0);
    return 0;
}

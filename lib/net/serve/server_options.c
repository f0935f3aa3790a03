/*
 * The options of servers: reading them, and what they may ask for together.
 *
 * A server listens on addresses given as text, or on such given as values, or
 * on a socket, and this file refuses a call that asks for two of the three.
 * Text is read where the addresses are kept, in listener_set.c. The settings of
 * TLS can be changed later: a connection has a copy of its own, with a
 * reference to the context, from the moment it is accepted.
 */
#include "server.h"

#include "lib/base/options.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "uring/sys.h"

int wr_server_options_read(const void *outer,
                           struct weir_server_options *server)
{
    int err = wr_options_read_inner(outer, server, sizeof(*server));
    return err < 0 ? err
                   : wr_connection_options_read(server, &server->connection);
}

int wr_server_options_take(struct weir_server_options *known,
                           const struct weir_server_options *options)
{
    int err = wr_options_read(known, sizeof(*known), options);
    if (err == 0) {
        err = wr_connection_options_read(known, &known->connection);
    }
    if (err < 0) {
        wr_socket_refuse(known->use_sock, known->sock);
    }
    return err;
}

int wr_server_options_check(const struct weir_server_options *options,
                            const struct weir_factory *factory,
                            const char *host, uint16_t port)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(options->socket_mode <= WR_MODE_BITS, -EINVAL);
    wr_require(options->backlog >= 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(options->proto == 0 || !options->use_sock, -EINVAL);
    if (options->address_count > 0) {
        wr_require(options->addresses && !options->use_sock, -EINVAL);
        wr_require(!host && options->host_count == 0 && port == 0, -EINVAL);
    }
    if (options->use_sock) {
        wr_require(!host && options->host_count == 0 && port == 0, -EINVAL);
        int family = wr_socket_check(options->sock, NULL);
        wr_require(family >= 0, family);
        wr_require(options->family == AF_UNSPEC || options->family == family,
                   -EINVAL);
    }
    wr_assert(!options->use_sock || options->address_count == 0);
    return 0;
}

int wr_server_init_parts(weir_server *server, weir_loop *loop, const char *host,
                         uint16_t port,
                         const struct weir_server_options *options)
{
    int err = wr_secure_settings_read(&server->tls, options->tls,
                                      WR_SECURE_SERVER, NULL);
    wr_require(err >= 0, err);
    err = wr_listener_set_init(&server->listeners, loop, host, port, options);
    if (err < 0) {
        wr_secure_settings_drop(&server->tls);
    }
    return err;
}

void wr_server_fini_parts(weir_server *server)
{
    wr_assert(wr_server_is_over(server));
    wr_listener_set_fini(&server->listeners);
    wr_secure_settings_drop(&server->tls);
}

int weir_server_set_tls(weir_server *server,
                        const struct weir_tls_settings *settings)
{
    struct wr_secure_settings known = {.context = NULL};

    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_server_check_invariants(server);
    wr_require(settings, -EINVAL);
    wr_require(!wr_server_is_closed(server), -ESHUTDOWN);
    wr_require(wr_secure_settings_are_set(&server->tls), -EINVAL);
    err = wr_secure_settings_read(&known, settings, WR_SECURE_SERVER, NULL);
    wr_require(err >= 0, err);
    wr_secure_settings_drop(&server->tls);
    server->tls = known;
    wr_assert(wr_secure_settings_are_set(&server->tls));
    return 0;
}

/*
 * The options of servers: reading them, and what they may ask for together.
 *
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

static bool server_options_name_a_socket(const struct wr_server_call *call)
{
    return call->place.kind != WEIR_PLACE_HOST || call->place.host ||
           call->place.port != 0 || call->options->host_count > 0;
}

int wr_server_call_check(const struct wr_server_call *call,
                         const struct weir_factory *factory)
{
    const struct weir_server_options *options = call->options;
    const enum weir_place_kind kind = call->place.kind;

    wr_require((factory && factory->create) || options->accepted, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(!wr_place_is_pipe(&call->place), -EINVAL);
    wr_require(options->socket_mode <= WR_MODE_BITS, -EINVAL);
    wr_require(options->backlog >= 0, -EINVAL);
    wr_require(options->error_text || options->error_text_size == 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(options->proto == 0 || kind != WEIR_PLACE_FD, -EINVAL);
    wr_require(options->host_count == 0 || kind == WEIR_PLACE_HOST, -EINVAL);
    wr_require(!options->no_sockets || !server_options_name_a_socket(call),
               -EINVAL);
    if (kind == WEIR_PLACE_FD) {
        int family = wr_socket_check(call->place.fd, NULL);
        wr_require(family >= 0, family);
        wr_require(options->family == AF_UNSPEC || options->family == family,
                   -EINVAL);
    }
    return 0;
}

int wr_server_init_parts(weir_server *server, weir_loop *loop,
                         const struct wr_server_call *call)
{
    int err = wr_secure_settings_read(&server->tls, call->options->tls,
                                      WR_SECURE_SERVER, NULL);
    wr_require(err >= 0, err);
    err = wr_listener_set_init(&server->listeners, loop, call);
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

/*
 * Asking for a connection: the call, and its options.
 *
 * A socket that the program hands in is taken by the call, so it is closed here
 * when nothing was begun.
 */
#include "connect.h"

#include "lib/base/options.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"

int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect)
{
    int err = wr_options_read_inner(outer, connect, sizeof(*connect));
    return err < 0 ? err
                   : wr_connection_options_read(connect, &connect->connection);
}

int wr_connect_options_take(struct weir_connect_options *known,
                            const struct weir_connect_options *options)
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

int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_connect_options *options,
                     weir_connect **ret)
{
    wr_assert(options->size > 0);
    int err = wr_connect_begin(loop, factory, host, port, options, ret);
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
    }
    return err;
}

int weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                           const char *host, uint16_t port,
                           const struct weir_connect_options *options,
                           weir_connect **ret)
{
    struct weir_connect_options known;

    int err = wr_connect_options_take(&known, options);
    wr_require(err >= 0, err);
    return wr_connect_start(loop, factory, host, port, &known, ret);
}

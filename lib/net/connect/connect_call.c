/*
 * The public calls that connect, and what they tell of an attempt.
 *
 * One reads the options of the program, and describes itself to connect.c;
 * asyncio's names are that one with a place. A descriptor that is adopted is
 * closed if the options cannot be read.
 */
#include "connect.h"

#include "lib/base/options.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "weir/unix.h"

int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect)
{
    int err = wr_options_read_inner(outer, connect, sizeof(*connect));
    return err < 0 ? err
                   : wr_connection_options_read(connect, &connect->connection);
}

int weir_create_connection_at(weir_loop *loop,
                              const struct weir_factory *factory,
                              struct weir_place place,
                              const struct weir_connect_options *options,
                              weir_connect_done_fn *done, void *done_arg,
                              weir_pending **ret)
{
    struct weir_connect_options known;
    const struct wr_connect_call call = {
        .place = place, .options = &known, .done = done, .done_arg = done_arg};

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        wr_assert(known.size > 0);
        err = wr_connection_options_read(&known, &known.connection);
    }
    if (err < 0) {
        wr_socket_refuse(wr_place_get_fd(&place));
        return err;
    }
    return wr_connect_start(loop, factory, &call, ret);
}

int weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                           const char *host, uint16_t port,
                           const struct weir_connect_options *options,
                           weir_connect_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    return weir_create_connection_at(loop, factory, weir_place_host(host, port),
                                     options, done, done_arg, ret);
}

int weir_create_unix_connection(weir_loop *loop,
                                const struct weir_factory *factory,
                                const char *path,
                                const struct weir_connect_options *options,
                                weir_connect_done_fn *done, void *done_arg,
                                weir_pending **ret)
{
    return weir_create_connection_at(loop, factory, weir_place_unix(path),
                                     options, done, done_arg, ret);
}

int weir_adopt_connection(weir_loop *loop, const struct weir_factory *factory,
                          int fd, const struct weir_connect_options *options,
                          weir_connect_done_fn *done, void *done_arg,
                          weir_pending **ret)
{
    return weir_create_connection_at(loop, factory, weir_place_fd(fd), options,
                                     done, done_arg, ret);
}

const char *weir_connect_get_tls_alert(const weir_pending *connect)
{
    const struct wr_race *race = wr_connect_get_race(connect);

    return race ? race->alert : NULL;
}

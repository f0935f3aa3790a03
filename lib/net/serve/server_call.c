/*
 * The public calls that make a server.
 *
 * One reads the options of the program, and describes itself to server.c;
 * asyncio's names are that one with a place. A socket that is adopted is closed
 * if the options cannot be read.
 */
#include "server.h"

#include "lib/base/options.h"
#include "lib/transport/socket.h"
#include "weir/unix.h"

int weir_create_server_at(weir_loop *loop, const struct weir_factory *factory,
                          struct weir_place place,
                          const struct weir_server_options *options,
                          weir_server_done_fn *done, void *done_arg,
                          weir_server **ret)
{
    struct weir_server_options known;
    const struct wr_server_call call = {
        .place = place, .options = &known, .done = done, .done_arg = done_arg};

    int err = wr_connection_options_read_all(&known, sizeof(known), options,
                                             &known.connection,
                                             wr_place_get_fd(&place));
    wr_require(err >= 0, err);
    wr_assert(known.size > 0);
    err = wr_server_new(loop, factory, &call, ret);
    if (err == 0) {
        wr_server_push_work(*ret); /* which starts it */
    }
    return err;
}

int weir_create_server(weir_loop *loop, const struct weir_factory *factory,
                       const char *host, uint16_t port,
                       const struct weir_server_options *options,
                       weir_server_done_fn *done, void *done_arg,
                       weir_server **ret)
{
    return weir_create_server_at(loop, factory, weir_place_host(host, port),
                                 options, done, done_arg, ret);
}

int weir_create_unix_server(weir_loop *loop, const struct weir_factory *factory,
                            const char *path,
                            const struct weir_server_options *options,
                            weir_server_done_fn *done, void *done_arg,
                            weir_server **ret)
{
    return weir_create_server_at(loop, factory, weir_place_unix(path), options,
                                 done, done_arg, ret);
}

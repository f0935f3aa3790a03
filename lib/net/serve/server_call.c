/*
 * The public calls that make a server.
 *
 * Each reads the options of the program, and describes itself to server.c. A
 * socket that is adopted is closed if the options cannot be read.
 */
#include "server.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/transport/socket.h"
#include "weir/unix.h"

/* Reads the options of the program, then begins. */
static int server_call_begin(weir_loop *loop,
                             const struct weir_factory *factory,
                             struct wr_server_call *call,
                             const struct weir_server_options *options,
                             weir_server **ret)
{
    struct weir_server_options known;

    wr_assert(!call->is_adopting || (!call->host && !call->addresses));
    wr_assert(!call->host || !call->addresses);
    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_connection_options_read(&known, &known.connection);
    }
    if (err < 0) {
        if (call->is_adopting) {
            wr_socket_refuse(call->fd);
        }
        return err;
    }
    wr_assert(known.size > 0);
    call->options = &known;
    return wr_server_create(loop, factory, call, ret);
}

int weir_create_server(weir_loop *loop, const struct weir_factory *factory,
                       const char *host, uint16_t port,
                       const struct weir_server_options *options,
                       weir_server_done_fn *done, void *done_arg,
                       weir_server **ret)
{
    struct wr_server_call call = {
        .host = host, .port = port, .done = done, .done_arg = done_arg};

    return server_call_begin(loop, factory, &call, options, ret);
}

int weir_create_server_on(weir_loop *loop, const struct weir_factory *factory,
                          const struct weir_address *addresses, size_t count,
                          const struct weir_server_options *options,
                          weir_server_done_fn *done, void *done_arg,
                          weir_server **ret)
{
    struct wr_server_call call = {.addresses = addresses,
                                  .address_count = count,
                                  .done = done,
                                  .done_arg = done_arg};

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(addresses, -EINVAL);
    return server_call_begin(loop, factory, &call, options, ret);
}

int weir_create_unix_server(weir_loop *loop, const struct weir_factory *factory,
                            const char *path,
                            const struct weir_server_options *options,
                            weir_server_done_fn *done, void *done_arg,
                            weir_server **ret)
{
    struct weir_address address;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(path, -EINVAL);
    err = weir_address_parse_unix(path, &address);
    wr_require(err >= 0, err);
    wr_assert(address.storage.any.sa_family == AF_UNIX);
    return weir_create_server_on(loop, factory, &address, 1, options, done,
                                 done_arg, ret);
}

int weir_adopt_server(weir_loop *loop, const struct weir_factory *factory,
                      int fd, const struct weir_server_options *options,
                      weir_server_done_fn *done, void *done_arg,
                      weir_server **ret)
{
    struct wr_server_call call = {
        .is_adopting = true, .fd = fd, .done = done, .done_arg = done_arg};

    return server_call_begin(loop, factory, &call, options, ret);
}

/*
 * The public calls that connect.
 *
 * Each reads the options of the program, and describes itself to connect.c. A
 * descriptor that is adopted is closed if the options cannot be read.
 */
#include "connect.h"

#include "lib/base/address.h"
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

/* Reads the options of the program, then begins. */
static int connect_call_begin(weir_loop *loop,
                              const struct weir_factory *factory,
                              struct wr_connect_call *call,
                              const struct weir_connect_options *options,
                              weir_pending **ret)
{
    struct weir_connect_options known;

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
    return wr_connect_start(loop, factory, call, ret);
}

int weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                           const char *host, uint16_t port,
                           const struct weir_connect_options *options,
                           weir_connect_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    struct wr_connect_call call = {
        .host = host, .port = port, .done = done, .done_arg = done_arg};

    return connect_call_begin(loop, factory, &call, options, ret);
}

int weir_create_connection_to(weir_loop *loop,
                              const struct weir_factory *factory,
                              const struct weir_address *addresses,
                              size_t count,
                              const struct weir_connect_options *options,
                              weir_connect_done_fn *done, void *done_arg,
                              weir_pending **ret)
{
    struct wr_connect_call call = {.addresses = addresses,
                                   .address_count = count,
                                   .done = done,
                                   .done_arg = done_arg};

    return connect_call_begin(loop, factory, &call, options, ret);
}

int weir_create_unix_connection(weir_loop *loop,
                                const struct weir_factory *factory,
                                const char *path,
                                const struct weir_connect_options *options,
                                weir_connect_done_fn *done, void *done_arg,
                                weir_pending **ret)
{
    struct weir_address address;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(path, -EINVAL);
    err = weir_address_parse_unix(path, &address);
    wr_require(err >= 0, err);
    wr_assert(address.storage.any.sa_family == AF_UNIX);
    return weir_create_connection_to(loop, factory, &address, 1, options, done,
                                     done_arg, ret);
}

int weir_adopt_connection(weir_loop *loop, const struct weir_factory *factory,
                          int fd, const struct weir_connect_options *options,
                          weir_connect_done_fn *done, void *done_arg,
                          weir_pending **ret)
{
    struct wr_connect_call call = {
        .is_adopting = true, .fd = fd, .done = done, .done_arg = done_arg};

    return connect_call_begin(loop, factory, &call, options, ret);
}

size_t weir_connect_get_error_count(const weir_pending *connect)
{
    const struct wr_race *race = wr_connect_get_race(connect);

    return race ? wr_eyeballs_count_errors(&race->eyeballs) : 0;
}

const char *weir_connect_get_tls_alert(const weir_pending *connect)
{
    const struct wr_race *race = wr_connect_get_race(connect);

    return race ? race->alert : NULL;
}

int weir_connect_get_error(const weir_pending *connect, size_t index,
                           struct weir_address *ret)
{
    const struct wr_race *race = wr_connect_get_race(connect);

    wr_require(race, -EINVAL);
    const struct wr_candidate *candidate =
        wr_eyeballs_find_error(&race->eyeballs, index);
    wr_require(candidate, -EINVAL);
    if (ret) {
        *ret = candidate->address;
    }
    return candidate->err;
}

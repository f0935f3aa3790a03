/*
 * The makers of pipe transports.
 *
 * A pipe is there already: making one is a connection attempt that adopts its
 * descriptor (connect.c), so that done, cancelling and the loop's end are the
 * same as for sockets.
 */
#include "lib/base/options.h"
#include "lib/net/connect/connect.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"

#include <weir/pipe.h>

static int pipe_connect(weir_loop *loop, const struct weir_factory *factory,
                        struct wr_connect_call *call,
                        const struct weir_connection_options *options,
                        weir_pending **ret)
{
    struct weir_connect_options known = {.size = sizeof(known)};

    wr_assert(call->direction == WR_PIPE_READ ||
              call->direction == WR_PIPE_WRITE);
    call->is_pipe = true;
    call->options = &known;
    int err = wr_connection_options_take(&known.connection, options);
    if (err < 0) {
        wr_socket_refuse(call->place.fd);
        return err;
    }
    return wr_connect_start(loop, factory, call, ret);
}

int weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                           int fd,
                           const struct weir_connection_options *options,
                           weir_connect_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    struct wr_connect_call call = {.place = weir_place_fd(fd),
                                   .direction = WR_PIPE_READ,
                                   .done = done,
                                   .done_arg = done_arg};

    return pipe_connect(loop, factory, &call, options, ret);
}

int weir_connect_write_pipe(weir_loop *loop, const struct weir_factory *factory,
                            int fd,
                            const struct weir_connection_options *options,
                            weir_connect_done_fn *done, void *done_arg,
                            weir_pending **ret)
{
    struct wr_connect_call call = {.place = weir_place_fd(fd),
                                   .direction = WR_PIPE_WRITE,
                                   .done = done,
                                   .done_arg = done_arg};

    return pipe_connect(loop, factory, &call, options, ret);
}

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

#include <weir/pipe.h>

static int pipe_connect(weir_loop *loop, const struct weir_factory *factory,
                        int fd, enum wr_pipe_direction direction,
                        const struct weir_pipe_options *options,
                        weir_connect **ret)
{
    struct weir_pipe_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    err = wr_connection_options_read(&known, &known.connection);
    wr_require(err >= 0, err);
    const struct weir_connect_options connect = {
        .size = sizeof(connect),
        .done = known.done,
        .done_arg = known.done_arg,
        .use_sock = true,
        .sock = fd,
        .connection = known.connection,
    };
    return wr_connect_pipe(loop, factory, direction, &connect, ret);
}

/* The descriptor is taken in any case. */
static int pipe_refuse(int fd, int err)
{
    wr_assert(err <= 0);
    if (err < 0) {
        wr_ignore(wr_sys_close(fd)); /* the caller is told another error */
    }
    return err;
}

int weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                           int fd, const struct weir_pipe_options *options,
                           weir_connect **ret)
{
    return pipe_refuse(
        fd, pipe_connect(loop, factory, fd, WR_PIPE_READ, options, ret));
}

int weir_connect_write_pipe(weir_loop *loop, const struct weir_factory *factory,
                            int fd, const struct weir_pipe_options *options,
                            weir_connect **ret)
{
    return pipe_refuse(
        fd, pipe_connect(loop, factory, fd, WR_PIPE_WRITE, options, ret));
}

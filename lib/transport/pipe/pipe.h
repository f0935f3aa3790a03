/*
 * Pipe transports move bytes one way over a pipe, a FIFO, a terminal, another
 * character device, a stream socket or a regular file. pipe_impl.h describes
 * how.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_H

#include "lib/transport/transport.h"
#include "weir/connect_options.h"

enum wr_pipe_direction {
    WR_PIPE_READ,
    WR_PIPE_WRITE,
};

/* Checks if a pipe transport of this direction can be made from the descriptor.
 * Returns 0, -EBADF if it is not open for this direction, or -EINVAL if it is
 * of another type. */
WEIR_MUST_USE int wr_pipe_check(int fd, enum wr_pipe_direction direction);

/* Makes the transport from a descriptor that wr_pipe_check() has accepted,
 * calls the factory for its protocol, and calls connection_made. Reading starts
 * in the next step. Takes @fd, even on failure. Called from the loop (a
 * completion or a ready item), or from a call of the program if the factory and
 * connection_made call no code of the program. On success the loop has the
 * transport, and *ret is borrowed: the protocol may have closed it already. */
WEIR_MUST_USE int
wr_pipe_open(weir_loop *loop, int fd, enum wr_pipe_direction direction,
             const struct weir_factory *factory,
             const struct weir_connection_options *options, /* may be NULL */
             weir_transport **ret);

#endif

/*
 * Pipe transports move bytes one way over a pipe, a FIFO, a terminal, another
 * character device, a stream socket or a regular file. See pipe_impl.h for the
 * design.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_H

#include "lib/transport/transport.h"
#include "weir/connect_options.h"

enum wr_pipe_direction {
    WR_PIPE_READ,
    WR_PIPE_WRITE,
};

/* Returns 0 if a pipe transport can use @fd, -EBADF if it is not open for this
 * direction, or -EINVAL if its type is not supported. */
WEIR_MUST_USE int wr_pipe_check(int fd, enum wr_pipe_direction direction);

/* Makes the transport from a descriptor that wr_pipe_check() has accepted, and
 * calls the factory and connection_made. Takes @fd, even on failure. Only the
 * loop may call this (in a completion or a ready item), unless factory and
 * connection_made run no code of the program. *ret is borrowed: the protocol
 * may have closed it already. */
WEIR_MUST_USE int
wr_pipe_open(weir_loop *loop, int fd, enum wr_pipe_direction direction,
             const struct weir_factory *factory,
             const struct weir_connection_options *options, /* may be NULL */
             weir_transport **ret);

#endif

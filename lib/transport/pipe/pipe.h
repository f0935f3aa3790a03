/*
 * Pipes as transports: what the makers need to know.
 *
 * A pipe transport moves bytes one way over a pipe, a FIFO, a terminal, another
 * character device, a stream socket or a regular file. wr_pipe_open() makes one
 * of a descriptor; how it lives from then on is told in pipe_impl.h.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_H

#include "lib/transport/transport.h"

enum wr_pipe_direction {
    WR_PIPE_READ,
    WR_PIPE_WRITE,
};

/* 0 when a pipe transport of this direction can be made of the descriptor:
 * -EBADF when it is not open, or not for that direction, -EINVAL when it is of
 * another type. */
WEIR_MUST_USE int wr_pipe_check(int fd, enum wr_pipe_direction direction);

/* Makes the transport of a descriptor that wr_pipe_check() has passed, asks the
 * factory for its protocol and calls connection_made. Reading begins with the
 * step that follows. Takes @fd, also when it fails.
 *
 * Called from the loop (a completion or a ready item), or from a call of the
 * program where the factory and connection_made call no code of the program. On
 * success the transport is a member of the loop, and *ret is borrowed: the
 * protocol may have closed it already. */
WEIR_MUST_USE int
wr_pipe_open(weir_loop *loop, int fd, enum wr_pipe_direction direction,
             const struct weir_factory *factory,
             const struct weir_connection_options *options, /* NULL: defaults */
             weir_transport **ret);

#endif

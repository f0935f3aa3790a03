/*
 * The system calls of SQEs that can block. Threads of the poll engine make
 * them, or the loop's thread if no thread can be made.
 *
 * A file system's own -ECANCELED is returned as -EIO, so that -ECANCELED always
 * means a cancellation.
 */
#ifndef WEIR_URING_WORK_H
#define WEIR_URING_WORK_H

#include "sqe.h"

#include "../include/weir/base.h"

#include <stdbool.h>

/* Called between two attempts to open a FIFO. Returns 0 to try again, or a
 * negative error, which becomes the result of the SQE. */
typedef int wr_rest_fn(void *arg);

/* Makes the call of an SQE. Returns its result or a negative error. A read or a
 * write of a FIFO or a terminal at the file's own position returns -EAGAIN if
 * another program took the bytes or the space first. An open of a FIFO waits
 * for its other end, and calls @rest with @arg between attempts. If @rest is
 * NULL, no open waits for other programs. */
WEIR_MUST_USE int32_t wr_work(const struct io_uring_sqe *sqe, wr_rest_fn *rest,
                              void *arg);

/* Like wr_work(), on the loop's thread. Waits for disks and file servers, but
 * not for other programs: returns -EAGAIN where it would wait for another
 * program's bytes or space, or to open a FIFO or a leased file. Opens a
 * terminal without waiting for its carrier. A write raises neither SIGPIPE nor
 * SIGXFSZ. */
WEIR_MUST_USE int32_t wr_work_here(const struct io_uring_sqe *sqe);

/* Returns true for a read, a write or a splice of a pipe, a terminal or a
 * socket. wr_work_here() does not wait in these calls. */
bool wr_work_asks_nothing(const struct io_uring_sqe *sqe);

/* Returns true for a splice, and for a read or a write without an offset. */
bool wr_work_waits(const struct io_uring_sqe *sqe);
/* Returns false for a pipe, which ignores the offset, as with io_uring. */
bool wr_work_has_places(const struct io_uring_sqe *sqe);

WEIR_MUST_USE int32_t wr_work_open(const struct io_uring_sqe *sqe,
                                   wr_rest_fn *rest, void *arg);

#endif

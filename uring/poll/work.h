/*
 * The system calls of the poll engine that can block, for its threads.
 *
 * They know no ring: an entry is all that they see.
 */
#ifndef WEIR_URING_POLL_WORK_H
#define WEIR_URING_POLL_WORK_H

#include "../sqe.h"

/* Makes the call of an entry; returns its result or a negative error. A read or
 * write at the file's own position of a FIFO or a terminal does not wait for
 * other programs if it can be helped: -EAGAIN, if they took the bytes or the
 * room. */
int32_t wr_ep_work(const struct io_uring_sqe *sqe);

/* True for entries that a read or a write at the file's own position is. */
bool wr_ep_waits_for_file(const struct io_uring_sqe *sqe);

#endif

/*
 * The system calls of the poll engine that can block, for its threads.
 *
 * They know no ring: an entry is all that they see, and a function that tells
 * whether it was cancelled.
 */
#ifndef WEIR_URING_POLL_WORK_H
#define WEIR_URING_POLL_WORK_H

#include "../sqe.h"

/* Rests a moment; true: the entry was cancelled. */
typedef bool wr_ep_rest_fn(void *arg);

/* Makes the call of an entry; returns its result or a negative error. A read or
 * write at the file's own position of a FIFO or a terminal does not wait for
 * other programs if it can be helped: -EAGAIN, if they took the bytes or the
 * room. An open of a FIFO that has no other end asks @rest with @arg, and is
 * -EINTR when it was cancelled. */
int32_t wr_ep_work(const struct io_uring_sqe *sqe, wr_ep_rest_fn *rest,
                   void *arg);

/* ---- work_open.c ---- */

int32_t wr_ep_work_open(const struct io_uring_sqe *sqe, wr_ep_rest_fn *rest,
                        void *arg);

/* True for entries that a read or a write at the file's own position is. */
bool wr_ep_waits_for_file(const struct io_uring_sqe *sqe);

#endif

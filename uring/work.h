/*
 * The system calls of entries that can block, made by threads of the poll
 * engine, and by the loop's thread where no thread can be made.
 *
 * They know no ring: an entry is all that they see, and a function that says
 * whether to wait on. A file system's own -ECANCELED is told as -EIO, so that
 * -ECANCELED means a cancellation.
 */
#ifndef WEIR_URING_WORK_H
#define WEIR_URING_WORK_H

#include "sqe.h"

#include "../include/weir/base.h"

#include <stdbool.h>

/* Rests a moment: 0, or a negative error with which the entry is to end. */
typedef int wr_rest_fn(void *arg);

/* Makes the call of an entry; returns its result or a negative error. A read or
 * write at the file's own position of a FIFO or a terminal does not wait for
 * other programs if it can be helped: -EAGAIN, if they took the bytes or the
 * room. An open of a FIFO that has no other end asks @rest with @arg, and ends
 * with its error. NULL: no open waits for other programs. */
WEIR_MUST_USE int32_t wr_work(const struct io_uring_sqe *sqe, wr_rest_fn *rest,
                              void *arg);

/* wr_work() on the loop's thread, which waits for disks and file servers, but
 * for no other program's bytes, room, opening or lease, and for no modem:
 * -EAGAIN. No write raises
 * SIGPIPE or SIGXFSZ. */
WEIR_MUST_USE int32_t wr_work_here(const struct io_uring_sqe *sqe);

/* True for a read, a write or a splice that asks no file system: of a pipe, a
 * terminal or a socket. wr_work_here() does not wait for it. */
bool wr_work_asks_nothing(const struct io_uring_sqe *sqe);

/* True for a read, a write or a splice at the file's own position. */
bool wr_work_waits(const struct io_uring_sqe *sqe);
/* True if a read or a write is at a place. A pipe has no places, and ignores
 * them in the poll engine as it does in a ring. */
bool wr_work_has_places(const struct io_uring_sqe *sqe);

/* ---- work_open.c ---- */

WEIR_MUST_USE int32_t wr_work_open(const struct io_uring_sqe *sqe,
                                   wr_rest_fn *rest, void *arg);

#endif

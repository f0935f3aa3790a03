/*
 * Kernel constants and fields that some liburing versions lack.
 *
 * Include this only to fill in or read SQEs. The values are the kernel's ABI
 * (include/uapi/linux/io_uring.h).
 */
#ifndef WEIR_URING_SQE_H
#define WEIR_URING_SQE_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ioprio of a send: addr points to len iovecs (Linux 6.17). */
#define WR_SEND_VECTORIZED (1u << 5)

/* ioprio of a connect, only in the poll engine: the socket is non-blocking. */
#define WR_CONNECT_NON_BLOCKING 1u

/* In params.features: the kernel has WR_ENTER_NO_IOWAIT (Linux 6.15). */
#define WR_FEAT_NO_IOWAIT (1u << 17)

/* Flag of io_uring_enter(): the wait does not count as iowait (Linux 6.15). */
#define WR_ENTER_NO_IOWAIT (1u << 7)

/* Sets the total number of bytes of a multishot receive (Linux 6.17), in the
 * field that other operations call file_index. */
static inline void wr_sqe_set_optlen(struct io_uring_sqe *sqe, uint32_t len)
{
    sqe->file_index = len;
}

static inline uint32_t wr_sqe_optlen(const struct io_uring_sqe *sqe)
{
    return sqe->file_index;
}

/* Size of the first fields of an entry, the only ones that weir fills in. */
#define WR_SQE_USED offsetof(struct io_uring_sqe, addr3)

/* Entries may have been allocated without their other fields. */
static inline void wr_sqe_copy(struct io_uring_sqe *to,
                               const struct io_uring_sqe *from)
{
    memcpy(to, from, WR_SQE_USED);
}

#endif

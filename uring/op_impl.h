/*
 * Functions for the files that prepare entries.
 *
 * An entry is zeroed when it is taken from the ring. These functions fill in
 * the fields that all operations need, and count the operation as in flight.
 */
#ifndef WEIR_URING_OP_IMPL_H
#define WEIR_URING_OP_IMPL_H

#include "op.h"
#include "sqe.h"
#include "sys.h"

/* After a lack of threads, no operation requests a worker for this time. */
#define WR_WORKER_LACK_NS UINT64_C(1000000000)

static inline void wr_op_note_lack(struct wr_uring *uring)
{
    uring->lacks_until_ns = wr_sys_now() + WR_WORKER_LACK_NS;
    if (uring->lacks_worker) {
        uring->lacks_worker(uring);
    }
}

static inline bool wr_op_lacks_worker(const struct wr_uring *uring)
{
    return WR_UNLIKELY(uring->lacks_until_ns != 0) &&
           wr_sys_now() < uring->lacks_until_ns;
}

/* Time during which a worker thread that has worked is sure to exist: the
 * kernel keeps the last worker for at least five seconds. */
#define WR_WORKER_STAYS_NS UINT64_C(4000000000)

static inline void wr_op_note_worker(struct wr_uring *uring, bool was_there,
                                     uint64_t asked_ns)
{
    wr_assert(asked_ns > 0);
    uring->worker_ns = was_there ? asked_ns : 0;
}

/* Returns true if an entry prepared now cannot end for lack of a worker. */
static inline bool wr_op_has_worker(const struct wr_uring *uring)
{
    return uring->worker_ns != 0 &&
           wr_sys_now() - uring->worker_ns < WR_WORKER_STAYS_NS;
}

void wr_op_close_completed(struct wr_uring *uring, const struct wr_cqe *cqe);
/* Closes the descriptors of closes that a broken ring has not submitted. */
void wr_op_close_unsubmitted(struct wr_uring *uring);
void wr_op_free_closes(struct wr_uring *uring);

/* Returns true if closing @fd may need a worker thread and none is known. */
bool wr_op_close_may_lack(const struct wr_uring *uring, int fd);

static inline struct io_uring_sqe *
wr_op_prepare_alone(struct wr_uring *uring, struct wr_op *op, uint8_t opcode)
{
    wr_assert(!op->in_flight);
    wr_debug_assert(op->complete);
    struct io_uring_sqe *sqe = wr_ring_sqe(uring->ring);

    op->in_flight = true;
    op->is_cancelled = false;
    uring->ops_in_flight++;
    sqe->opcode = opcode;
    sqe->fd = -1;
    sqe->user_data = (uintptr_t)op;
    return sqe;
}

static inline struct io_uring_sqe *
wr_op_prepare(struct wr_uring *uring, struct wr_op *op, uint8_t opcode, int fd)
{
    wr_assert(fd >= 0);
    struct io_uring_sqe *sqe = wr_op_prepare_alone(uring, op, opcode);

    sqe->fd = fd;
    return sqe;
}

static inline struct io_uring_sqe *
wr_op_prepare_move(struct wr_uring *uring, struct wr_op *op, uint8_t opcode,
                   int fd, const void *buf, size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= UINT32_MAX);
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, opcode, fd);

    sqe->addr = (uintptr_t)buf;
    sqe->len = (uint32_t)len;
    sqe->off = UINT64_MAX;
    return sqe;
}

#endif

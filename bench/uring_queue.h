/*
 * The send queue of a socket of the bare liburing servers: slices of the pool's
 * buffers, in order, of which a send takes the first few. Bytes that are
 * adjacent in memory are one slice, unless the last slice may be in flight.
 *
 * It also has the ring. The functions of the path of a message are inline:
 * calls made an echo 1 to 2 % more expensive.
 */
#ifndef BENCH_URING_QUEUE_H
#define BENCH_URING_QUEUE_H

#include "bench/bench.h"
#include "bench/uring_pool.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define QUEUE_INLINE 4
#define QUEUE_IOV    8

struct queue {
    uint32_t count;
    uint32_t capacity;
    uint32_t bytes;
    bool is_sending; /* set by queue_prep_send(), cleared by queue_sent() */
    struct slice *slices;
    struct msghdr msg;
    struct iovec iov[QUEUE_IOV];
    struct slice slices_inline[QUEUE_INLINE];
};

/* The memory must be zeroed, and must not move afterwards. */
void queue_init(struct queue *q);

/* Releases all remaining slices. */
void queue_fini(struct queue *q, struct pool *p);

void queue_grow(struct queue *q);

static inline bool queue_follows(const struct queue *q, struct slice slice)
{
    if (q->count == 0 || q->is_sending) {
        return false;
    }
    const struct slice *last = &q->slices[q->count - 1];

    return last->buf_id == slice.buf_id && last->data + last->len == slice.data;
}

/* Takes over the reference to the buffer. */
static inline void queue_push(struct queue *q, struct pool *p,
                              struct slice slice)
{
    q->bytes += slice.len;
    if (queue_follows(q, slice)) {
        q->slices[q->count - 1].len += slice.len;
        pool_release(p, slice.buf_id);
        return;
    }
    if (q->count == q->capacity) {
        queue_grow(q);
    }
    q->slices[q->count++] = slice;
}

/* Prepares a send of the first slices. */
static inline void queue_prep_send(struct queue *q, struct io_uring_sqe *sqe,
                                   int fd)
{
    uint32_t count = q->count < QUEUE_IOV ? q->count : QUEUE_IOV;

    q->is_sending = true;
    if (count == 1) {
        io_uring_prep_send(sqe, fd, q->slices[0].data, q->slices[0].len, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        q->iov[i].iov_base = q->slices[i].data;
        q->iov[i].iov_len = q->slices[i].len;
    }
    q->msg.msg_iov = q->iov;
    q->msg.msg_iovlen = count;
    io_uring_prep_sendmsg(sqe, fd, &q->msg, 0);
}

/* Handles the end of a send. After an error, the queue is unchanged. */
static inline void queue_sent(struct queue *q, struct pool *p, int res)
{
    uint32_t sent = res > 0 ? (uint32_t)res : 0;
    uint32_t done = 0;

    q->is_sending = false;
    q->bytes -= sent;
    while (sent > 0 && sent >= q->slices[done].len) {
        sent -= q->slices[done].len;
        pool_release(p, q->slices[done].buf_id);
        done++;
    }
    q->count -= done;
    if (q->count > 0) {
        memmove(q->slices, q->slices + done, q->count * sizeof(struct slice));
        q->slices[0].data += sent;
        q->slices[0].len -= sent;
    }
}

/* Makes a ring for one system call per iteration. A failure ends the program.
 */
void ring_start(struct io_uring *ring, unsigned cq_entries);

/* Returns an SQE. The prep functions do not change its user_data. */
static inline struct io_uring_sqe *ring_get_sqe(struct io_uring *ring,
                                                uint64_t user_data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    while (sqe == NULL) {
        int ret = io_uring_submit(ring);

        if (ret < 0 && ret != -EBUSY && ret != -EINTR) {
            bench_die_err("io_uring_submit", ret);
        }
        sqe = io_uring_get_sqe(ring);
    }
    io_uring_sqe_set_data64(sqe, user_data);
    return sqe;
}

/* Submits all SQEs, and waits for a completion. */
void ring_wait(struct io_uring *ring);

#endif

/*
 * What a socket of the bare liburing servers is to be sent: slices of the
 * pool's buffers, in order, of which one send takes the first few. Bytes that
 * follow each other in memory are one slice, but not while the last slice may
 * be in flight.
 *
 * And the ring that all is done on. What each message passes through is inline,
 * so that these servers stay as cheap as if they were written in one piece: a
 * call each made an echo 1 to 2 % dearer.
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

/* Of zeroed memory; the queue stays where it is. */
void queue_init(struct queue *q);

/* Gives up all that is left. */
void queue_fini(struct queue *q, struct pool *p);

/* Makes room for another slice. */
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

/* A send of what stands first. */
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

/* It has ended: bytes sent, or an error, after which the queue stays. */
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

/* One ring with one system call a turn, or the end of the run. */
void ring_start(struct io_uring *ring, unsigned cq_entries);

/* An entry; the prep functions leave its user_data alone. */
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

/* Submit all entries, and wait for a completion. */
void ring_wait(struct io_uring *ring);

#endif

/*
 * Operations in flight in the kernel, and their owners.
 *
 * A struct wr_op is embedded in its owner; its address is the operation's
 * user_data. It is in flight from its preparation to its last completion
 * (without WR_CQE_MORE). Meanwhile the owner and all memory that the operation
 * uses must stay in place; so closing is a state of the owner, not a single
 * step. A cancel request does not change this: a cancelled operation ends with
 * its own completion, which may still carry data. Completions of cancel
 * requests and closes (user_data 0) and of counted closes have no owner.
 *
 * A result of -ECANCELED has two causes, which wr_op_was_cancelled() tells
 * apart: weir's own cancel request, and an engine that could not continue.
 */
#ifndef WEIR_URING_OP_H
#define WEIR_URING_OP_H

#include "check.h"
#include "ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Bits of a completion's flags, equal to the kernel's (asserted in op.c). */
#define WR_CQE_BUFFER        (1u << 0)
#define WR_CQE_MORE          (1u << 1)
#define WR_CQE_SOCK_NONEMPTY (1u << 2)
#define WR_CQE_NOTIF         (1u << 3)
#define WR_CQE_BUF_MORE      (1u << 4)
#define WR_CQE_BUFFER_SHIFT  16

struct wr_op;

/* Called for each completion. Without WR_CQE_MORE in @flags @op is idle, and
 * the call may prepare it again or free it. */
typedef void wr_op_complete_fn(struct wr_op *op, int32_t res, uint32_t flags);

struct wr_op {
    wr_op_complete_fn *complete;
    bool in_flight;    /* set by prepare, cleared by the last completion */
    bool is_cancelled; /* set by a cancel, cleared by prepare */
};

/* An operation that may need a worker thread. If none can be made (a limit of
 * processes or threads), the engine ends the operation with -ECANCELED before
 * it has begun. As its owner has not cancelled it, it is then carried out on
 * the loop's thread, from the copy of its entry: see wr_work_here(). A file
 * system's own -ECANCELED becomes -EIO. The owner sees only that result. */
struct wr_file_op {
    struct wr_op base;
    /* The owner's function, while the operation is in flight. */
    wr_op_complete_fn *complete;
    struct wr_uring *uring;
    /* How often the operation ended with -ECANCELED without a cancel. */
    uint32_t doubts;
    uint64_t asked_ns; /* time of the last request for a worker */
    uint64_t entry[8]; /* a struct io_uring_sqe */
};

struct wr_uring {
    struct wr_ring *ring;
    /* The ring that closes descriptors. NULL if it is closed, or if close(2) is
     * used because ThreadSanitizer has to see it. */
    struct wr_ring *close_ring;
    struct wr_features features;
    const struct weir_allocator *allocator;
    uint64_t ops_in_flight;
    /* Counted closes among the operations in flight. */
    uint64_t closes_in_flight;
    struct iovec *iov_scratch; /* for unsubmitted sends */
    struct msghdr *msg_scratch;
    uint32_t iov_used;
    uint32_t msg_used;
    struct wr_ring_stats last_stats; /* counts of a closed ring */
    /* Called when there was no worker thread for an operation, which will be
     * carried out on the loop's thread. May be NULL. The operation has not
     * completed yet, so the call may only take a note. */
    void (*lacks_worker)(struct wr_uring *uring);
    /* No operation requests a worker before this time. */
    uint64_t lacks_until_ns;
    /* A worker thread for files is known to have existed at this time or later;
     * 0 if none is known. An idle worker ends after five seconds at the
     * earliest, and the last one only if the CPUs that the process may use have
     * changed (Linux 5.19). */
    uint64_t worker_ns;
    /* Descriptors of counted closes that wait for a NOP to find a worker. */
    int *looking;
    uint32_t looking_count;
    uint32_t looking_room;
    uint64_t look_ns; /* time at which that NOP was prepared */
};

/* The layout of struct __kernel_timespec. */
struct wr_time {
    int64_t seconds;
    int64_t nanoseconds; /* less than a second */
};

#define WR_IOV_MAX 64u /* maximum number of vectors of one send */

/* The kernel's internal errno that some operations return instead of EINTR if
 * they are cancelled while a worker thread runs them. */
#define WR_ERESTARTSYS 512

WEIR_MUST_USE int wr_uring_open(struct wr_uring *uring,
                                const struct wr_ring_options *options);
void wr_uring_close(struct wr_uring *uring);

void wr_uring_check_invariants(const struct wr_uring *uring);

/* Returns the ring's counts, or its last counts if it is closed. */
const struct wr_ring_stats *wr_uring_stats(const struct wr_uring *uring);

WEIR_MUST_USE int wr_uring_enter(struct wr_uring *uring, uint32_t want,
                                 uint64_t timeout_ns);

/* Calls the owners of at most @max completions. Returns their number. */
uint32_t wr_uring_dispatch(struct wr_uring *uring, uint32_t max);

static inline void wr_op_init(struct wr_op *op, wr_op_complete_fn *complete)
{
    op->complete = complete;
    op->in_flight = false;
    op->is_cancelled = false;
}

/* Returns true if @res is the result of wr_op_cancel() or wr_op_abandon():
 * nothing was done. Only this function decides whether a cancellation was
 * requested. An engine may end an operation with -ECANCELED too
 * (wr_prep_recv(), struct wr_file_op), and signals end waits of worker threads
 * with -EINTR. */
WEIR_MUST_USE static inline bool wr_op_was_cancelled(const struct wr_op *op,
                                                     int32_t res)
{
    return op->is_cancelled && (res == -ECANCELED || res == -EINTR);
}

/* Returns @res for an owner that takes -ECANCELED for its own cancellation:
 * -EAGAIN instead if an engine ended the operation for lack of a worker. */
WEIR_MUST_USE static inline int32_t wr_op_own_result(const struct wr_op *op,
                                                     int32_t res)
{
    return WR_UNLIKELY(res == -ECANCELED) && !wr_op_was_cancelled(op, res)
               ? -EAGAIN
               : res;
}

/* Returns true for results of operations that did nothing and are prepared
 * again if they are still wanted. */
WEIR_MUST_USE static inline bool wr_res_is_transient(int64_t res)
{
    return res == -EINTR || res == -EAGAIN || res == -ECANCELED;
}

/* Completes an operation with -ECANCELED after its ring broke and was closed.
 * Has no effect on an idle operation. */
void wr_op_abandon(struct wr_uring *uring, struct wr_op *op);

/* Requests an early end. Has no effect on an idle operation. */
void wr_op_cancel(struct wr_uring *uring, struct wr_op *op);

struct wr_recv_limits {
    uint32_t credit;   /* total bytes, more than 1 */
    uint32_t buf_size; /* size of a pool buffer */
    bool once;         /* end with the first bytes */
};

/* Receives into provided buffers (see pool.h), at most the credit in total.
 * Multishot if the kernel limits the total (RECV_CREDIT), else one-shot. If the
 * poll wakes too often without bytes (a peer can cause this with urgent bytes),
 * a multishot receive ends with -ECANCELED and no buffer, and a one-shot
 * receive moves to a worker thread, which must not happen with incremental
 * buffers: see wr_features_reduce(). */
void wr_prep_recv(struct wr_uring *uring, struct wr_op *op, int fd,
                  const struct wr_recv_limits *limits);
void wr_prep_recv_into(struct wr_uring *uring, struct wr_op *op, int fd,
                       void *buf, size_t len);
/* Sends as many bytes as the socket accepts now, or completes with -EAGAIN.
 * @len 0 is only for the SYN of a fast open. */
void wr_prep_send(struct wr_uring *uring, struct wr_op *op, int fd,
                  const void *buf, size_t len);
/* Sends 1 to WR_IOV_MAX vectors. @iov is copied; the memory it points to must
 * stay until the operation ends. */
void wr_prep_sendv(struct wr_uring *uring, struct wr_op *op, int fd,
                   const struct iovec *iov, uint32_t iov_count);
/* Sends a message, perhaps with control data. @msg must stay until it is
 * submitted, the memory that it points to until the operation ends. */
void wr_prep_sendmsg(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct msghdr *msg);
/* Accepts once, or (multishot) until the operation is cancelled or fails. */
void wr_prep_accept(struct wr_uring *uring, struct wr_op *op, int fd,
                    bool multishot);
void wr_prep_connect(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct sockaddr *addr, socklen_t addr_len);
/* wr_prep_connect() for a new stream socket of weir. If
 * wr_connects_non_blocking() returns true, the socket is non-blocking until it
 * is connected, so that the poll engine need not query its mode. */
WEIR_MUST_USE bool wr_connects_non_blocking(const struct wr_uring *uring,
                                            int family);
void wr_prep_connect_new(struct wr_uring *uring, struct wr_op *op, int fd,
                         const struct sockaddr *addr, socklen_t addr_len);
/* Completes when one of @events, POLLRDHUP, POLLHUP or POLLERR holds; the last
 * three need not be requested. A one-shot poll is level-triggered. A multishot
 * poll completes for each change until it is cancelled. */
void wr_prep_poll(struct wr_uring *uring, struct wr_op *op, int fd,
                  uint32_t events, bool multishot);
/* Reads from an eventfd or a signalfd. */
void wr_prep_read(struct wr_uring *uring, struct wr_op *op, int fd, void *buf,
                  size_t len);
/* Reads or writes once at the file's position in a kernel worker thread, which
 * may wait; a write there raises no signal. If cancelled during the wait, it
 * completes with the bytes done, -EINTR or -ECANCELED. A cancel that arrives
 * when the thread has tried and does not wait yet is lost (Linux 6.18): cancel
 * again until the operation has ended.
 *
 * Must not be used for a pollable file without ASYNC_RETRY. Without it the
 * kernel polls the file and retries on the loop's thread, 127 times before a
 * worker thread gets the call. If another process took the bytes or the space
 * in that moment, the counter has passed 0 and the retries never end: the
 * thread stays in the kernel, out of reach of SIGKILL. See wr_prep_splice(). */
void wr_prep_read_waiting(struct wr_uring *uring, struct wr_file_op *op, int fd,
                          void *buf, size_t len);
void wr_prep_write_waiting(struct wr_uring *uring, struct wr_file_op *op,
                           int fd, const void *buf, size_t len);
/* Moves bytes between two files, one of them a pipe, in a kernel worker thread,
 * which never polls. If cancelled during the wait, it completes with the bytes
 * moved, -EINTR or -ECANCELED. */
void wr_prep_splice(struct wr_uring *uring, struct wr_file_op *op, int from,
                    int to, uint32_t len);
/* Completes with -ETIME after @wait, which must stay until then. */
void wr_prep_timeout(struct wr_uring *uring, struct wr_op *op,
                     const struct wr_time *wait);
/* Reads or writes once at @offset, in a worker if wr_sys_needs_worker(). */
void wr_prep_read_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                     void *buf, size_t len, uint64_t offset);
void wr_prep_write_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                      const void *buf, size_t len, uint64_t offset);
/* Opens a file in a kernel worker thread; the result is its descriptor. A
 * relative @path starts at @folder. @path and @how must stay until the
 * operation ends. (An attempt on the loop's thread would use only cached names,
 * but would still query a network file system or FUSE, and wait.) */
struct open_how;
void wr_prep_open(struct wr_uring *uring, struct wr_file_op *op, int folder,
                  const char *path, const struct open_how *how);
void wr_prep_fsync(struct wr_uring *uring, struct wr_file_op *op, int fd,
                   bool data_only);
struct statx;
void wr_prep_stat(struct wr_uring *uring, struct wr_file_op *op, int fd,
                  struct statx *ret);
/* wr_prep_close() with an owner. If @by_worker, a kernel worker thread closes
 * the descriptor; the file is released a moment after the completion. */
void wr_prep_close_file(struct wr_uring *uring, struct wr_file_op *op, int fd,
                        bool by_worker);
/* Announces that a descriptor will be closed without an operation, or moves to
 * another loop. No operation may be in flight for it. */
void wr_uring_forget(struct wr_uring *uring, int fd);
/* Closes a descriptor that no operation uses any more, without an owner; with
 * close(2) if the ring is closed. */
void wr_prep_close(struct wr_uring *uring, int fd);
/* Closes a file of any kind. A kernel worker thread closes files that flush at
 * a close (NFS, FUSE), and closing the ring drops operations that no worker has
 * begun, so this close is counted as in flight. */
void wr_prep_close_any(struct wr_uring *uring, int fd);

#endif

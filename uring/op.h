/*
 * Operations in flight in the kernel, and their owners.
 *
 * A struct wr_op is embedded in its owner; its address is the operation's
 * user_data. It is in flight from its preparation to its last completion
 * (without WR_CQE_MORE). Meanwhile the owner and all memory that the operation
 * uses must stay in place. A cancelled operation, too, ends only with its own
 * completion, which may still carry data. Cancel requests and closes without an
 * owner have user_data 0, except counted closes, which have a tag (op_close.c).
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

/* If @flags lacks WR_CQE_MORE, the call may prepare @op again or free it. */
typedef void wr_op_complete_fn(struct wr_op *op, int32_t res, uint32_t flags);

struct wr_op {
    wr_op_complete_fn *complete;
    /* set by a wr_prep function, cleared by the last completion */
    bool in_flight;
    /* set by wr_op_cancel(), cleared by a wr_prep function */
    bool is_cancelled;
};

/* An operation that may need a worker thread. If the process may make no more
 * threads, the engine ends the operation with -ECANCELED before it has begun.
 * The loop's thread then carries it out from the copy of its entry
 * (wr_work_here()), unless its owner has cancelled it. See op_file.c. */
struct wr_file_op {
    struct wr_op base;
    /* The owner's function. base.complete differs while in flight. */
    wr_op_complete_fn *complete;
    struct wr_uring *uring;
    /* number of results of -ECANCELED without a cancel */
    uint32_t doubts;
    uint64_t asked_ns;
    uint64_t entry[8]; /* a copy of the SQE */
};

struct wr_uring {
    struct wr_ring *ring;
    /* NULL if the ring is closed, or if ThreadSanitizer has to see close(2). */
    struct wr_ring *close_ring;
    struct wr_features features;
    const struct weir_allocator *allocator;
    uint64_t ops_in_flight;
    /* Number of counted closes, which ops_in_flight includes. */
    uint64_t closes_in_flight;
    struct iovec *iov_scratch;
    struct msghdr *msg_scratch;
    uint32_t iov_used;
    uint32_t msg_used;
    struct wr_ring_stats last_stats;
    /* NULL or called before the loop's thread carries out an operation for
     * want of a worker. The callback may only record the event. */
    void (*lacks_worker)(struct wr_uring *uring);
    /* Before this time no operation requests a worker. */
    uint64_t lacks_until_ns;
    /* A worker thread for files existed at this time or later; 0 if unknown.
     * The last worker ends only if the set of CPUs that the process may use has
     * changed (Linux 5.19). */
    uint64_t worker_ns;
    /* Descriptors whose counted closes wait for a NOP (op_close.c). */
    int *looking;
    uint32_t looking_count;
    uint32_t looking_room;
    uint64_t look_ns;
};

struct wr_time {
    int64_t seconds;
    int64_t nanoseconds;
};

#define WR_IOV_MAX 64u

/* The kernel's errno for a call in a worker thread that a cancel interrupts. */
#define WR_ERESTARTSYS 512

WEIR_MUST_USE int wr_uring_open(struct wr_uring *uring,
                                const struct wr_ring_options *options);
void wr_uring_close(struct wr_uring *uring);

void wr_uring_check_invariants(const struct wr_uring *uring);

const struct wr_ring_stats *wr_uring_stats(const struct wr_uring *uring);

WEIR_MUST_USE int wr_uring_enter(struct wr_uring *uring, uint32_t want,
                                 uint64_t timeout_ns);

uint32_t wr_uring_dispatch(struct wr_uring *uring, uint32_t max);

static inline void wr_op_init(struct wr_op *op, wr_op_complete_fn *complete)
{
    op->complete = complete;
    op->in_flight = false;
    op->is_cancelled = false;
}

/* Returns true if wr_op_cancel() or wr_op_abandon() ended the operation before
 * it did anything. -ECANCELED alone does not show this: an engine may end an
 * operation with -ECANCELED too (wr_prep_recv(), struct wr_file_op). A worker
 * thread whose wait was interrupted returns -EINTR. */
WEIR_MUST_USE static inline bool wr_op_was_cancelled(const struct wr_op *op,
                                                     int32_t res)
{
    return op->is_cancelled && (res == -ECANCELED || res == -EINTR);
}

/* Returns -EAGAIN for an -ECANCELED that wr_op_cancel() has not caused. */
WEIR_MUST_USE static inline int32_t wr_op_own_result(const struct wr_op *op,
                                                     int32_t res)
{
    return WR_UNLIKELY(res == -ECANCELED) && !wr_op_was_cancelled(op, res)
               ? -EAGAIN
               : res;
}

/* Returns true if the operation did nothing and may be prepared again. */
WEIR_MUST_USE static inline bool wr_res_is_transient(int64_t res)
{
    return res == -EINTR || res == -EAGAIN || res == -ECANCELED;
}

/* Completes @op with -ECANCELED. The ring must have broken and been closed. */
void wr_op_abandon(struct wr_uring *uring, struct wr_op *op);

void wr_op_cancel(struct wr_uring *uring, struct wr_op *op);

struct wr_recv_limits {
    uint32_t credit; /* maximum number of bytes in total, at least 2 */
    uint32_t buf_size;
    bool once; /* end the receive with the first bytes */
};

/* Receives into provided buffers (see pool.h), at most the credit in total. The
 * receive is multishot with RECV_CREDIT, else one-shot. A socket may wake the
 * receive again and again without bytes; a peer can cause this with urgent
 * bytes. The kernel then ends a multishot receive with -ECANCELED and no
 * buffer. It moves a one-shot receive to a worker thread, which must not happen
 * with incremental buffers: see wr_features_reduce(). */
void wr_prep_recv(struct wr_uring *uring, struct wr_op *op, int fd,
                  const struct wr_recv_limits *limits);
void wr_prep_recv_into(struct wr_uring *uring, struct wr_op *op, int fd,
                       void *buf, size_t len);
/* Sends as many bytes as the socket accepts now, or completes with -EAGAIN.
 * @len may be 0 only for the SYN of a TCP fast open. */
void wr_prep_send(struct wr_uring *uring, struct wr_op *op, int fd,
                  const void *buf, size_t len);
/* Sends 1 to WR_IOV_MAX vectors. @iov is copied; the bytes must stay. */
void wr_prep_sendv(struct wr_uring *uring, struct wr_op *op, int fd,
                   const struct iovec *iov, uint32_t iov_count);
/* @msg must stay until it is submitted, the memory that it points to until the
 * operation ends. */
void wr_prep_sendmsg(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct msghdr *msg);
/* If @multishot is true, accepts connections until it fails or is cancelled. */
void wr_prep_accept(struct wr_uring *uring, struct wr_op *op, int fd,
                    bool multishot);
void wr_prep_connect(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct sockaddr *addr, socklen_t addr_len);
/* If true, the caller of wr_prep_connect_new() must make the new stream socket
 * non-blocking, and blocking again once it is connected. The poll engine then
 * need not query the socket's mode. */
WEIR_MUST_USE bool wr_connects_non_blocking(const struct wr_uring *uring,
                                            int family);
void wr_prep_connect_new(struct wr_uring *uring, struct wr_op *op, int fd,
                         const struct sockaddr *addr, socklen_t addr_len);
/* Completes when one of @events, POLLRDHUP, POLLHUP or POLLERR holds; the last
 * three need not be requested. A one-shot poll is level-triggered, so after the
 * peer's FIN it always completes at once. A multishot poll completes for each
 * change until it is cancelled. */
void wr_prep_poll(struct wr_uring *uring, struct wr_op *op, int fd,
                  uint32_t events, bool multishot);
/* Reads from an eventfd or a signalfd. */
void wr_prep_read(struct wr_uring *uring, struct wr_op *op, int fd, void *buf,
                  size_t len);
/* Reads or writes once at the file's position in a kernel worker thread, which
 * may wait. A write raises no SIGPIPE. If cancelled during the wait, the
 * operation completes with the number of bytes done, -EINTR or -ECANCELED. A
 * cancel is lost if it arrives after the thread's attempt and before its wait
 * (Linux 6.18), so the caller must repeat the cancel until the operation has
 * ended.
 *
 * Without ASYNC_RETRY these must not be used for a pollable file. If another
 * process takes the bytes or the space at the wrong moment, the kernel retries
 * on the loop's thread for ever, out of reach of SIGKILL. See
 * wr_prep_splice(). */
void wr_prep_read_waiting(struct wr_uring *uring, struct wr_file_op *op, int fd,
                          void *buf, size_t len);
void wr_prep_write_waiting(struct wr_uring *uring, struct wr_file_op *op,
                           int fd, const void *buf, size_t len);
/* Moves bytes between two files, one of them a pipe, in a kernel worker thread,
 * which waits in the call instead of polling. If cancelled during the wait, the
 * operation completes with the number of bytes moved, -EINTR or -ECANCELED. */
void wr_prep_splice(struct wr_uring *uring, struct wr_file_op *op, int from,
                    int to, uint32_t len);
/* Completes with -ETIME after @wait, which must stay valid until then. */
void wr_prep_timeout(struct wr_uring *uring, struct wr_op *op,
                     const struct wr_time *wait);
/* A worker thread does it if wr_sys_needs_worker() returns true for @fd. */
void wr_prep_read_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                     void *buf, size_t len, uint64_t offset);
void wr_prep_write_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                      const void *buf, size_t len, uint64_t offset);
/* Opens a file in a kernel worker thread, because even a lookup of cached names
 * may wait for a network file system or FUSE. The result is the descriptor.
 * @path and @how must stay until the operation ends. */
struct open_how;
void wr_prep_open(struct wr_uring *uring, struct wr_file_op *op, int folder,
                  const char *path, const struct open_how *how);
void wr_prep_fsync(struct wr_uring *uring, struct wr_file_op *op, int fd,
                   bool data_only);
struct statx;
void wr_prep_stat(struct wr_uring *uring, struct wr_file_op *op, int fd,
                  struct statx *ret);
/* Like wr_prep_close(), but with an owner. A worker thread (@by_worker)
 * releases the file a moment after the completion. */
void wr_prep_close_file(struct wr_uring *uring, struct wr_file_op *op, int fd,
                        bool by_worker);
/* See wr_ring_forget(). */
void wr_uring_forget(struct wr_uring *uring, int fd);
/* No operation may use the descriptor. Uses close(2) if the ring is closed. */
void wr_prep_close(struct wr_uring *uring, int fd);
/* Closes a file of any kind. A kernel worker thread closes files that flush at
 * a close (NFS, FUSE). Closing the ring would drop an operation that no worker
 * has begun, so this close is counted as in flight. */
void wr_prep_close_any(struct wr_uring *uring, int fd);

#endif

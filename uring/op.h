/*
 * Operations: what is in flight in the kernel, and who waits for it.
 *
 * A struct wr_op is embedded in its owner; its address is the operation's
 * user_data. It is in flight from the moment it is prepared until its last
 * completion, the one without WR_CQE_MORE, and for that time the owner, and
 * all memory that the operation names, must stay where they are: closing is a
 * state of the owner, not an act. A request to cancel it changes nothing of
 * this: a cancelled operation ends with its own completion like any other, and
 * that completion may still carry data.
 *
 *     idle --prepare--> in flight --last completion--> idle
 *
 * Completions whose user_data is 0 (cancel requests, closes) have no owner, and
 * neither have closes that are counted.
 */
#ifndef WEIR_URING_OP_H
#define WEIR_URING_OP_H

#include "check.h"
#include "ring.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Bits of a completion's flags; op.c asserts that they are the kernel's. */
#define WR_CQE_BUFFER        (1u << 0)
#define WR_CQE_MORE          (1u << 1)
#define WR_CQE_SOCK_NONEMPTY (1u << 2)
#define WR_CQE_NOTIF         (1u << 3)
#define WR_CQE_BUF_MORE      (1u << 4)
#define WR_CQE_BUFFER_SHIFT  16

struct wr_op;

/* Called for each completion; @op is idle again when @flags lacks WR_CQE_MORE,
 * and may be prepared anew or freed by the call. */
typedef void wr_op_complete_fn(struct wr_op *op, int32_t res, uint32_t flags);

struct wr_op {
    wr_op_complete_fn *complete;
    bool in_flight; /* set by prepare, cleared by the last completion */
};

/* The engine: a ring, what it can do, and how much is in flight. */
struct wr_uring {
    struct wr_ring *ring;
    struct wr_features features;
    const struct weir_allocator *allocator;
    uint64_t ops_in_flight;
    uint64_t closes_in_flight; /* of those, the ones without an owner */
    struct iovec *iov_scratch; /* vectors of sends that are not submitted yet */
    struct msghdr *msg_scratch;
    uint32_t iov_used;
    uint32_t msg_used;
    struct wr_ring_stats last_stats; /* of a ring that is closed */
};

/* Same layout as the kernel's struct __kernel_timespec. */
struct wr_time {
    int64_t seconds;
    int64_t nanoseconds; /* less than a second */
};

#define WR_IOV_MAX 64u /* vectors in one send at most */

/* The kernel's own errno of some operations that a worker thread was at when
 * they were cancelled, where others say EINTR. */
#define WR_ERESTARTSYS 512

WEIR_MUST_USE int wr_uring_open(struct wr_uring *uring,
                                const struct wr_ring_options *options);
void wr_uring_close(struct wr_uring *uring);

/* Scratch memory and the count of operations. */
void wr_uring_check_invariants(const struct wr_uring *uring);

/* The counts of the ring, of a closed one as they were last. */
const struct wr_ring_stats *wr_uring_stats(const struct wr_uring *uring);

/* wr_ring_enter() of its ring. */
WEIR_MUST_USE int wr_uring_enter(struct wr_uring *uring, uint32_t want,
                                 uint64_t timeout_ns);

/* Hands completions to their operations, at most @max; returns how many. */
uint32_t wr_uring_dispatch(struct wr_uring *uring, uint32_t max);

static inline void wr_op_init(struct wr_op *op, wr_op_complete_fn *complete)
{
    op->complete = complete;
    op->in_flight = false;
}

/* Completes the operation with -ECANCELED, because its ring broke, and was
 * closed, before the kernel could complete it. Harmless when it is idle. */
void wr_op_abandon(struct wr_uring *uring, struct wr_op *op);

/* Asks the kernel to end the operation early. Harmless when it is idle. */
void wr_op_cancel(struct wr_uring *uring, struct wr_op *op);

struct wr_recv_limits {
    uint32_t credit;   /* bytes in all, more than 1 */
    uint32_t buf_size; /* of a pool buffer */
    bool once;         /* end with the first bytes */
};

/* Receives into provided buffers (see pool.h), at most the credit in all.
 * Multishot, unless the kernel keeps no total (RECV_CREDIT). A poll that wakes
 * too often without bytes, which a peer can bring about with urgent ones, ends
 * a multishot receive with -ECANCELED and no buffer; a single one goes on in a
 * worker thread of the kernel, which must never happen on incremental buffers:
 * see wr_features_reduce(). */
void wr_prep_recv(struct wr_uring *uring, struct wr_op *op, int fd,
                  const struct wr_recv_limits *limits);
/* Receives once into memory of the caller. */
void wr_prep_recv_into(struct wr_uring *uring, struct wr_op *op, int fd,
                       void *buf, size_t len);
/* Sends as much as the kernel has room for, or completes with -EAGAIN; it never
 * waits for room. */
void wr_prep_send(struct wr_uring *uring, struct wr_op *op, int fd,
                  const void *buf, size_t len);
/* Sends from 1 to WR_IOV_MAX vectors. @iov is borrowed; the memory that it
 * names must stay until the operation ends. */
void wr_prep_sendv(struct wr_uring *uring, struct wr_op *op, int fd,
                   const struct iovec *iov, uint32_t iov_count);
/* Sends as a message, perhaps with control data. All that @msg names must stay
 * until the operation ends; @msg itself until it is submitted. */
void wr_prep_sendmsg(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct msghdr *msg);
/* Accepts once, or, multishot, until the operation is cancelled or fails. */
void wr_prep_accept(struct wr_uring *uring, struct wr_op *op, int fd,
                    bool multishot);
void wr_prep_connect(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct sockaddr *addr, socklen_t addr_len);
/* Completes when one of @events, POLLRDHUP, POLLHUP or POLLERR holds, the last
 * three named or not. A single one looks at what holds already; a multishot one
 * completes for each change, until it is cancelled. */
void wr_prep_poll(struct wr_uring *uring, struct wr_op *op, int fd,
                  uint32_t events, bool multishot);
/* Reads once into memory of the caller (eventfd, signalfd). */
void wr_prep_read(struct wr_uring *uring, struct wr_op *op, int fd, void *buf,
                  size_t len);
/* Reads or writes once at the file's position, in a worker thread of the kernel
 * where it may have to wait, and where a write raises no signal. Cancelled
 * while it waits, it completes with what it has done, -EINTR or -ECANCELED.
 *
 * Not for a file that can be polled where ASYNC_RETRY is missing: the kernel
 * polls it, and gives the call back to the loop's thread, which tries in vain
 * and polls again, 127 times until a worker thread has it. If another process
 * took the bytes, or the room, in that moment, all begins anew with a counter
 * that has passed 0, and does not end: the thread stays in the kernel, where
 * SIGKILL does not reach it. See wr_prep_splice(). */
void wr_prep_read_waiting(struct wr_uring *uring, struct wr_op *op, int fd,
                          void *buf, size_t len);
void wr_prep_write_waiting(struct wr_uring *uring, struct wr_op *op, int fd,
                           const void *buf, size_t len);
/* Moves bytes from one file to the other, in a worker thread of the kernel,
 * which never polls; one of the two is a pipe. Cancelled while it waits, it
 * completes with what it has moved, -EINTR or -ECANCELED. */
void wr_prep_splice(struct wr_uring *uring, struct wr_op *op, int from, int to,
                    uint32_t len);
/* Completes with -ETIME when @wait has passed since its submission. @wait must
 * stay until the operation ends. */
void wr_prep_timeout(struct wr_uring *uring, struct wr_op *op,
                     const struct wr_time *wait);
/* Reads once from @offset of a file into memory of the caller, in a worker
 * thread of the kernel where wr_sys_needs_worker() says so. */
void wr_prep_read_at(struct wr_uring *uring, struct wr_op *op, int fd,
                     void *buf, size_t len, uint64_t offset);
void wr_prep_write_at(struct wr_uring *uring, struct wr_op *op, int fd,
                      const void *buf, size_t len, uint64_t offset);
/* Opens a file in a worker thread of the kernel; its descriptor is the result.
 * A relative @path begins at @folder. @path and @how must stay until the
 * operation ends. (Tried on the loop's thread first, it would look up no name
 * that is not in memory, but ask a network file system or FUSE for the file,
 * and wait.) */
struct open_how;
void wr_prep_open(struct wr_uring *uring, struct wr_op *op, int folder,
                  const char *path, const struct open_how *how);
void wr_prep_fsync(struct wr_uring *uring, struct wr_op *op, int fd,
                   bool data_only);
/* Size, times, type and permissions of an open file. */
struct statx;
void wr_prep_stat(struct wr_uring *uring, struct wr_op *op, int fd,
                  struct statx *ret);
/* As wr_prep_close(), with an owner who is told. A worker thread of the kernel
 * closes it if @by_worker: then the file goes a moment after the completion. */
void wr_prep_close_file(struct wr_uring *uring, struct wr_op *op, int fd,
                        bool by_worker);
/* Closes a descriptor that no operation uses any more, with an operation that
 * has no owner; at once when the ring is closed. */
void wr_prep_close(struct wr_uring *uring, int fd);
/* Closes a file of any kind. Those that write at a close what they have
 * in memory, NFS and FUSE among them, are closed by a worker thread of the
 * kernel, and a ring that is closed drops what such a thread has not begun: so
 * the operation is counted as in flight. */
void wr_prep_close_any(struct wr_uring *uring, int fd);

#endif

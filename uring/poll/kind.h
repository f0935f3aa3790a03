/*
 * The calls that carry out entries, a kind for each opcode.
 *
 *     begin --result--> ended
 *       '--WR_EP_PARKS--> parked --ready, attempt--> ended, parked or working
 *       '--WR_EP_WORKS--> working -----------------> ended or parked
 *       '--WR_EP_TIMES--> timed -------------------> ended
 *
 * The begin function is called when the entry is submitted, the attempt
 * function each time its descriptor is ready. Neither blocks. A working
 * operation is with the threads of workers.c.
 */
#ifndef WEIR_URING_POLL_KIND_H
#define WEIR_URING_POLL_KIND_H

#include "poll_impl.h"

#include <errno.h>
#include <sys/types.h>

/* Results of these functions that do not end the operation. */
#define WR_EP_PARKS INT32_MIN /* the operation waits for one of its events */
#define WR_EP_WORKS (INT32_MIN + 1)
#define WR_EP_TIMES (INT32_MIN + 2) /* the operation waits until due_ns */

struct wr_ep_call {
    struct wr_ep_ring *ring;
    struct io_uring_sqe *sqe;
    /* Watch of the descriptor that the entry may wait for, or NULL. */
    struct wr_ep_watch *watch;
    /* Operation that is attempted. NULL for a new entry. */
    struct wr_ep_op *op;
    uint32_t came; /* events that caused the attempt */
    /* Set by the function: */
    uint32_t flags;
    uint32_t events; /* events to wait for, set by begin */
    uint64_t due_ns; /* time for WR_EP_TIMES */
};

typedef int32_t wr_ep_call_fn(struct wr_ep_call *call);

struct wr_ep_kind {
    wr_ep_call_fn *begin;
    /* NULL if operations of this kind never wait for a descriptor */
    wr_ep_call_fn *attempt;
    bool needs_no_op; /* can be carried out without a struct wr_ep_op */
};

#define WR_EP_KINDS (IORING_OP_SPLICE + 1)
extern const struct wr_ep_kind wr_ep_kinds[WR_EP_KINDS];

static inline const struct wr_ep_kind *
wr_ep_kind_of(const struct io_uring_sqe *sqe)
{
    wr_check(sqe->opcode < WR_EP_KINDS);
    wr_check(wr_ep_kinds[sqe->opcode].begin);
    return &wr_ep_kinds[sqe->opcode];
}

/* Returns the end of a splice that the operation waits for. */
int wr_ep_awaited_fd_of_splice(const struct io_uring_sqe *sqe);

static inline int32_t wr_ep_result(ssize_t ret)
{
    wr_debug_assert(ret >= -1);
    wr_debug_assert(ret <= INT32_MAX);
    return ret < 0 ? -errno : (int32_t)ret;
}

static inline int32_t wr_ep_unless_again(int32_t res)
{
    wr_debug_assert(res > WR_EP_TIMES);
    return res == -EAGAIN || res == -EINTR ? WR_EP_PARKS : res;
}

/* ---- kind_socket.c ---- */

wr_ep_call_fn wr_ep_begin_recv;
wr_ep_call_fn wr_ep_recv;
wr_ep_call_fn wr_ep_send;
wr_ep_call_fn wr_ep_sendmsg;
wr_ep_call_fn wr_ep_begin_accept;
wr_ep_call_fn wr_ep_accept;
wr_ep_call_fn wr_ep_begin_connect;
wr_ep_call_fn wr_ep_connect;

/* ---- kind_file.c ---- */

wr_ep_call_fn wr_ep_begin_move;
wr_ep_call_fn wr_ep_move;
wr_ep_call_fn wr_ep_begin_splice;
wr_ep_call_fn wr_ep_by_worker;
wr_ep_call_fn wr_ep_close;

#endif

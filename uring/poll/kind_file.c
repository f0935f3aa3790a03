/*
 * Reads, writes and closes of files, and calls that only workers make.
 *
 * A read at an offset is made at once if the bytes are cached, else by a
 * worker. At the file's own position (FIFOs, terminals, eventfds) the operation
 * first waits until the file is ready.
 */
#include "kind.h"

#include "../closer.h"
#include "../sys.h"
#include "../work.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static int32_t kind_file_begin_place(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;

    wr_assert(sqe->off != UINT64_MAX);
    if (sqe->opcode == IORING_OP_READ && !(sqe->flags & IOSQE_ASYNC)) {
        const int64_t got = wr_sys_read_cached(
            sqe->fd, (void *)(uintptr_t)sqe->addr, sqe->len, sqe->off);
        if (got != -EAGAIN && got != -EOPNOTSUPP && got != -EINTR) {
            return (int32_t)got;
        }
    }
    return WR_EP_WORKS;
}

/* Returns true if an entry with IOSQE_ASYNC needs no poll, because its file is
 * always ready. A poll may query a file system that does not respond. */
static bool kind_file_is_never_awaited(const struct io_uring_sqe *sqe)
{
    mode_t mode;

    wr_assert(sqe->off == UINT64_MAX);
    return sqe->flags & IOSQE_ASYNC && wr_sys_mode(sqe->fd, &mode) == 0 &&
           (S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode));
}

static bool kind_file_has_room(const struct io_uring_sqe *sqe)
{
    struct pollfd look = {.fd = sqe->fd, .events = POLLOUT};

    wr_assert(sqe->off == UINT64_MAX);
    return sqe->opcode == IORING_OP_WRITE && poll(&look, 1, 0) > 0;
}

int32_t wr_ep_begin_move(struct wr_ep_call *call)
{
    struct io_uring_sqe *sqe = call->sqe;

    if (wr_work_has_places(sqe)) {
        return kind_file_begin_place(call);
    }
    if (sqe->off != UINT64_MAX) {
        sqe->off = UINT64_MAX;
        sqe->flags |= IOSQE_ASYNC; /* other programs may read the file too */
    }
    call->events = sqe->opcode == IORING_OP_READ ? POLLIN : POLLOUT;
    return kind_file_is_never_awaited(sqe) || kind_file_has_room(sqe)
               ? WR_EP_WORKS
               : WR_EP_PARKS;
}

/* A file that only weir reads is read here. Other calls need a worker. */
int32_t wr_ep_move(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;

    wr_assert(sqe->off == UINT64_MAX);
    if (sqe->opcode != IORING_OP_READ || sqe->flags & IOSQE_ASYNC) {
        return WR_EP_WORKS;
    }
    return wr_ep_unless_again(
        wr_sys_pipe_read(sqe->fd, (void *)(uintptr_t)sqe->addr, sqe->len));
}

/* Waits for the end that is not weir's non-blocking pipe, which is ready. */
int32_t wr_ep_begin_splice(struct wr_ep_call *call)
{
    const int flags = fcntl(call->sqe->splice_fd_in, F_GETFL);

    wr_require(flags >= 0, -errno);
    call->events = flags & O_NONBLOCK ? POLLOUT : POLLIN;
    wr_assert(call->sqe->len > 0);
    return WR_EP_PARKS;
}

int32_t wr_ep_by_worker(struct wr_ep_call *call)
{
    wr_assert(!call->op || call->op->state == WR_EP_PARKED);
    return WR_EP_WORKS;
}

static bool kind_file_flushes(const struct io_uring_sqe *sqe)
{
    mode_t mode;

    wr_assert(sqe->opcode == IORING_OP_CLOSE);
    return !(sqe->flags & IOSQE_CQE_SKIP_SUCCESS) &&
           wr_sys_mode(sqe->fd, &mode) == 0 && S_ISREG(mode);
}

int32_t wr_ep_close(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    struct wr_ep_interest *interest = &call->ring->interest;
    struct wr_ep_watch *watch = wr_ep_watch_find(interest, sqe->fd);
    const bool is_slow = (sqe->flags & IOSQE_ASYNC) != 0;
    const bool is_here = !is_slow && !kind_file_flushes(sqe);

    wr_assert(sqe->fd >= 0);
    if (watch && is_here) {
        wr_ep_watch_close(interest, watch);
    } else if (watch) {
        /* the file stays open for the worker */
        wr_ep_watch_forget(interest, watch);
    }
    if (is_slow) {
        /* The last close may wait for a peer, so a closer's thread closes a
         * duplicate. */
        const int kept = wr_sys_dup_to_pass(sqe->fd);

        wr_require(kept >= 0, WR_EP_WORKS);
        wr_assert(kept != sqe->fd);
        const int32_t res = wr_sys_close(sqe->fd);
        wr_closer_close_alone(&kept, 1);
        return res;
    }
    return is_here ? wr_sys_close(sqe->fd) : WR_EP_WORKS;
}

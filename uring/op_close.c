/*
 * Closes of descriptors by the ring.
 *
 * Most closes have no completion. A counted close has one, because a worker
 * thread may have to flush the file, which may wait or fail. Without a worker
 * the kernel ends the close with -ECANCELED, which a file system may return as
 * well: see op_file.c. So unless a worker is known to exist, a NOP checks for
 * one before a counted close of a file.
 */
#include "alloc.h"
#include "op_impl.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/stat.h>

/* The user_data of a counted close is CLOSE_TAG and the descriptor. No address
 * of an operation has CLOSE_TAG. A NOP that checks for a worker has CLOSE_TAG
 * and CLOSE_BEFORE if closes wait for it. If it follows a close's -ECANCELED,
 * it has CLOSE_TAG, CLOSE_AFTER and the descriptor. */
#define CLOSE_TAG    (1ull << 63)
#define CLOSE_BEFORE (1ull << 62)
#define CLOSE_AFTER  (1ull << 61)
#define LOOKING_ROOM 16u

static int op_close_get_fd(uint64_t user_data)
{
    wr_assert(user_data & CLOSE_TAG);
    return (int)(user_data & INT32_MAX);
}

static __attribute__((noinline, cold)) void
op_close_here(struct wr_uring *uring, int fd)
{
    if (uring->ring) {
        wr_ring_forget(uring->ring, fd);
    }
    wr_ignore(wr_sys_close(fd) < 0);
}

/* The NOP completes with an error if there is no worker thread. */
static void op_close_prepare_look(struct wr_uring *uring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = wr_ring_sqe(uring->ring);

    sqe->opcode = IORING_OP_NOP;
    sqe->fd = -1;
    sqe->flags = IOSQE_ASYNC;
    sqe->user_data = CLOSE_TAG | user_data;
}

static void op_close_prepare_counted(struct wr_uring *uring, int fd)
{
    struct io_uring_sqe *sqe = wr_ring_sqe(uring->ring);

    sqe->opcode = IORING_OP_CLOSE;
    sqe->fd = fd;
    sqe->user_data = CLOSE_TAG | (unsigned)fd;
}

static void op_close_end_counted(struct wr_uring *uring)
{
    wr_assert(uring->closes_in_flight > 0);
    uring->closes_in_flight--;
    uring->ops_in_flight--;
}

static bool op_close_make_room(struct wr_uring *uring)
{
    const uint32_t room =
        uring->looking_room > 0 ? uring->looking_room * 2 : LOOKING_ROOM;
    const size_t size = uring->looking_room * sizeof(*uring->looking);

    if (uring->looking_count < uring->looking_room) {
        return true;
    }
    int *looking = wr_alloc(uring->allocator, room * sizeof(*looking));
    if (looking && size > 0) {
        memcpy(looking, uring->looking, size);
    }
    if (looking) {
        wr_free(uring->allocator, uring->looking, size);
        uring->looking = looking;
        uring->looking_room = room;
    }
    return looking != NULL;
}

static __attribute__((noinline, cold)) void
op_close_looked_before(struct wr_uring *uring, int32_t res)
{
    wr_assert(uring->looking_count > 0);
    wr_op_note_worker(uring, res >= 0, uring->look_ns);
    while (uring->looking_count > 0) {
        const int fd = uring->looking[--uring->looking_count];
        if (res >= 0) {
            op_close_prepare_counted(uring, fd);
        } else {
            op_close_here(uring, fd);
            op_close_end_counted(uring);
        }
    }
    if (res < 0) {
        wr_op_note_lack(uring);
    }
}

/* Ends a close that returned -ECANCELED. Without a worker the descriptor is
 * still open, and is closed here. A worker has closed it, and -ECANCELED was
 * the file system's error. */
static __attribute__((noinline, cold)) void
op_close_looked_after(struct wr_uring *uring, const struct wr_cqe *cqe)
{
    if (cqe->res < 0) {
        uring->worker_ns = 0;
        op_close_here(uring, op_close_get_fd(cqe->user_data));
        wr_op_note_lack(uring);
    }
    op_close_end_counted(uring);
}

void wr_op_close_unsubmitted(struct wr_uring *uring)
{
    const uint32_t count = wr_ring_unsubmitted(uring->ring);

    for (uint32_t i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = wr_ring_unsubmitted_at(uring->ring, i);
        wr_assert(sqe != NULL);
        if (sqe->opcode == IORING_OP_CLOSE) {
            sqe->opcode = IORING_OP_NOP;
            wr_ignore(wr_sys_close(sqe->fd) < 0);
        }
    }
    while (uring->looking_count > 0) {
        const int fd = uring->looking[--uring->looking_count];
        wr_ignore(wr_sys_close(fd) < 0);
    }
}

void wr_op_free_closes(struct wr_uring *uring)
{
    wr_assert(uring->looking_count == 0);
    wr_free(uring->allocator, uring->looking,
            uring->looking_room * sizeof(*uring->looking));
    uring->looking = NULL;
    uring->looking_room = 0;
}

void wr_op_close_completed(struct wr_uring *uring, const struct wr_cqe *cqe)
{
    wr_assert(uring->closes_in_flight > 0);
    if (WR_UNLIKELY(cqe->user_data & CLOSE_BEFORE)) {
        op_close_looked_before(uring, cqe->res);
    } else if (WR_UNLIKELY(cqe->user_data & CLOSE_AFTER)) {
        op_close_looked_after(uring, cqe);
    } else if (WR_UNLIKELY(cqe->res == -ECANCELED)) {
        op_close_prepare_look(
            uring, CLOSE_AFTER | (unsigned)op_close_get_fd(cqe->user_data));
    } else {
        op_close_end_counted(uring);
    }
}

void wr_prep_close(struct wr_uring *uring, int fd)
{
    wr_assert(fd >= 0);
    if (WR_UNLIKELY(!uring->close_ring)) {
        op_close_here(uring, fd);
        return;
    }
    struct io_uring_sqe *sqe = wr_ring_sqe(uring->close_ring);

    sqe->opcode = IORING_OP_CLOSE;
    sqe->fd = fd;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

bool wr_op_close_may_lack(const struct wr_uring *uring, int fd)
{
    mode_t mode;

    wr_assert(fd >= 0);
    return !wr_op_has_worker(uring) && wr_sys_mode(fd, &mode) == 0 &&
           (S_ISREG(mode) || S_ISCHR(mode) || S_ISBLK(mode));
}

void wr_prep_close_any(struct wr_uring *uring, int fd)
{
    wr_assert(fd >= 0);
    const bool may_lack = uring->close_ring && wr_op_close_may_lack(uring, fd);

    if (WR_UNLIKELY(!uring->close_ring) ||
        (may_lack &&
         (wr_op_lacks_worker(uring) || !op_close_make_room(uring)))) {
        op_close_here(uring, fd);
        return;
    }
    uring->closes_in_flight++;
    uring->ops_in_flight++;
    if (may_lack) {
        /* The close waits for the NOP. One NOP serves all waiting closes. */
        uring->looking[uring->looking_count++] = fd;
        if (uring->looking_count == 1) {
            uring->look_ns = wr_sys_now();
            op_close_prepare_look(uring, CLOSE_BEFORE);
        }
    } else {
        op_close_prepare_counted(uring, fd);
    }
}

/*
 * Operations on files, which worker threads may carry out.
 *
 * Each keeps a copy of its entry. Where the kernel may make no thread for the
 * process (RLIMIT_NPROC, pids.max), an engine ends an operation that needs one
 * with -ECANCELED; io_uring does so after some attempts, which take about 50
 * ms. The operation is then carried out on the loop's thread, which may wait
 * for a file system; what could wait for another program is -EAGAIN. For a
 * second no other operation asks for a thread: a NOP takes its place in the
 * ring.
 *
 *     prepared --a result-----------------------------> completed
 *        |  '----own cancel, -ECANCELED---------------> completed
 *        '---------no thread, or a NOP's completion---> carried out, completed
 */
#include "op_impl.h"

#include "sys.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

_Static_assert(sizeof(struct io_uring_sqe) ==
                   sizeof(((struct wr_file_op *)NULL)->entry),
               "a copy must fit");

/* Carries out the operation unless its owner has cancelled it. */
static int32_t op_file_work(struct wr_file_op *file)
{
    wr_assert(!file->base.in_flight);
    wr_assert(file->uring->ring || file->base.is_cancelled);
    if (file->base.is_cancelled) {
        return -ECANCELED;
    }
    return wr_work_here((const struct io_uring_sqe *)(void *)file->entry);
}

/* In place of the owner's function, which is called with the result. */
static void op_file_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_file_op *file = wr_container_of(op, struct wr_file_op, base);

    wr_assert(!op->in_flight);
    wr_assert(!(flags & WR_CQE_MORE));
    op->complete = file->complete;
    if (WR_UNLIKELY(res == -ECANCELED) && !wr_op_was_cancelled(op, res)) {
        wr_op_note_lack(file->uring);
        res = op_file_work(file);
    }
    wr_assert(res != -ECANCELED || wr_op_was_cancelled(op, res));
    op->complete(op, res, flags);
}

/* In place of the owner's function, if a NOP was in the ring instead. */
static void op_file_nop_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_file_op *file = wr_container_of(op, struct wr_file_op, base);

    wr_assert(!op->in_flight);
    wr_assert(!(flags & WR_CQE_MORE));
    op->complete = file->complete;
    op->complete(op, res < 0 ? res : op_file_work(file), flags);
}

/* True for entries that a worker thread carries out in any case. A close stays
 * with the engine, which knows the descriptor. */
static bool op_file_needs_worker(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_FSYNC || sqe->opcode == IORING_OP_STATX ||
           sqe->opcode == IORING_OP_SPLICE ||
           (sqe->flags & IOSQE_ASYNC && sqe->opcode != IORING_OP_CLOSE);
}

static bool op_file_lacks_worker(const struct wr_uring *uring)
{
    return WR_UNLIKELY(uring->lacks_until_ns != 0) &&
           wr_sys_now() < uring->lacks_until_ns;
}

/* True for a close that is not the ring's. */
static bool op_file_closes_here(const struct wr_uring *uring,
                                const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_CLOSE && !uring->close_ring;
}

/* Called when the entry is complete. */
static void op_file_keep_entry(struct wr_uring *uring, struct wr_file_op *op,
                               struct io_uring_sqe *sqe)
{
    wr_assert(op->base.in_flight);
    wr_assert(op->base.complete != op_file_completed);
    memcpy(op->entry, sqe, sizeof(op->entry));
    op->uring = uring;
    op->complete = op->base.complete;
    op->base.complete = op_file_completed;
    if (WR_UNLIKELY(op_file_closes_here(uring, sqe))) {
        wr_uring_forget(uring, sqe->fd);
    }
    if (op_file_closes_here(uring, sqe) ||
        (op_file_lacks_worker(uring) && op_file_needs_worker(sqe))) {
        memset(sqe, 0, sizeof(*sqe));
        sqe->opcode = IORING_OP_NOP;
        sqe->fd = -1;
        sqe->user_data = (uintptr_t)&op->base;
        op->base.complete = op_file_nop_completed;
    }
}

static void op_file_prepare_place(struct io_uring_sqe *sqe, int fd,
                                  uint64_t offset)
{
    sqe->off = offset;
    sqe->flags = wr_sys_needs_worker(fd) ? IOSQE_ASYNC : 0;
}

void wr_prep_read_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                     void *buf, size_t len, uint64_t offset)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare_move(uring, &op->base, IORING_OP_READ, fd, buf, len);

    op_file_prepare_place(sqe, fd, offset);
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_write_at(struct wr_uring *uring, struct wr_file_op *op, int fd,
                      const void *buf, size_t len, uint64_t offset)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare_move(uring, &op->base, IORING_OP_WRITE, fd, buf, len);

    op_file_prepare_place(sqe, fd, offset);
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_open(struct wr_uring *uring, struct wr_file_op *op, int folder,
                  const char *path, const struct open_how *how)
{
    const bool is_limited = how->resolve != 0;
    wr_assert(path);
    struct io_uring_sqe *sqe = wr_op_prepare_alone(
        uring, &op->base, is_limited ? IORING_OP_OPENAT2 : IORING_OP_OPENAT);

    sqe->fd = folder;
    sqe->flags = IOSQE_ASYNC;
    sqe->addr = (uintptr_t)path;
    if (is_limited) {
        sqe->len = sizeof(*how);
        sqe->off = (uintptr_t)how;
    } else {
        sqe->len = (uint32_t)how->mode;
        sqe->open_flags = (uint32_t)how->flags;
    }
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_fsync(struct wr_uring *uring, struct wr_file_op *op, int fd,
                   bool data_only)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare(uring, &op->base, IORING_OP_FSYNC, fd);

    sqe->fsync_flags = data_only ? IORING_FSYNC_DATASYNC : 0;
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_stat(struct wr_uring *uring, struct wr_file_op *op, int fd,
                  struct statx *ret)
{
    wr_assert(ret);
    struct io_uring_sqe *sqe =
        wr_op_prepare(uring, &op->base, IORING_OP_STATX, fd);

    sqe->addr = (uintptr_t) "";
    sqe->len = STATX_BASIC_STATS;
    sqe->off = (uintptr_t)ret;
    sqe->statx_flags = AT_EMPTY_PATH;
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_close_file(struct wr_uring *uring, struct wr_file_op *op, int fd,
                        bool by_worker)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare(uring, &op->base, IORING_OP_CLOSE, fd);

    sqe->flags = by_worker ? IOSQE_ASYNC : 0;
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_read_waiting(struct wr_uring *uring, struct wr_file_op *op, int fd,
                          void *buf, size_t len)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare_move(uring, &op->base, IORING_OP_READ, fd, buf, len);

    sqe->flags = IOSQE_ASYNC;
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_write_waiting(struct wr_uring *uring, struct wr_file_op *op,
                           int fd, const void *buf, size_t len)
{
    struct io_uring_sqe *sqe =
        wr_op_prepare_move(uring, &op->base, IORING_OP_WRITE, fd, buf, len);

    sqe->flags = IOSQE_ASYNC;
    op_file_keep_entry(uring, op, sqe);
}

void wr_prep_splice(struct wr_uring *uring, struct wr_file_op *op, int from,
                    int to, uint32_t len)
{
    wr_assert(from >= 0);
    wr_assert(len > 0);
    struct io_uring_sqe *sqe =
        wr_op_prepare(uring, &op->base, IORING_OP_SPLICE, to);

    sqe->splice_fd_in = from;
    sqe->splice_off_in = UINT64_MAX; /* both at their own positions */
    sqe->off = UINT64_MAX;
    sqe->len = len;
    op_file_keep_entry(uring, op, sqe);
}

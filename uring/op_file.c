/*
 * Operations on files, which worker threads may carry out.
 *
 * If the kernel may make no thread for the process (RLIMIT_NPROC, pids.max), an
 * engine ends an operation that needs one with -ECANCELED; io_uring does so
 * after about 50 ms. The loop's thread then carries out the operation, and may
 * wait for a file system; a call that would wait for another program fails with
 * -EAGAIN. For the next second, a NOP replaces each such operation in the ring.
 *
 * A file system may return -ECANCELED itself. So a NOP then checks for a worker
 * thread. If there is one, the operation is tried once more, and a second
 * -ECANCELED is reported as -EIO. A close must not be repeated, since its
 * number may be another file's by then. So a close that may need a worker
 * checks for one beforehand, unless a worker is known to stay until then.
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

/* Maximum number of results of -ECANCELED although there is a worker. */
#define DOUBTS_MAX 2u

static wr_op_complete_fn op_file_completed;

static struct wr_file_op *op_file_of(struct wr_op *op)
{
    struct wr_file_op *file = wr_container_of(op, struct wr_file_op, base);

    wr_assert(!op->in_flight);
    wr_assert(file->complete);
    return file;
}

static const struct io_uring_sqe *op_file_entry(const struct wr_file_op *file)
{
    return (const struct io_uring_sqe *)(const void *)file->entry;
}

static void op_file_end(struct wr_file_op *file, int32_t res)
{
    struct wr_op *op = &file->base;

    wr_assert(res != -ECANCELED || wr_op_was_cancelled(op, res));
    op->complete = file->complete;
    op->complete(op, res, 0);
}

/* Carries out the operation on this thread, unless its owner has cancelled it.
 * A close is carried out even then. */
static void op_file_work(struct wr_file_op *file)
{
    const struct io_uring_sqe *entry = op_file_entry(file);
    const bool is_wanted =
        !file->base.is_cancelled || entry->opcode == IORING_OP_CLOSE;

    wr_assert(file->uring->ring || file->base.is_cancelled);
    if (is_wanted && entry->opcode == IORING_OP_CLOSE) {
        wr_uring_forget(file->uring, entry->fd);
    }
    op_file_end(file, is_wanted ? wr_work_here(entry) : -ECANCELED);
}

/* Prepares a NOP. The caller may overwrite the SQE. */
static struct io_uring_sqe *op_file_prepare(struct wr_file_op *file,
                                            wr_op_complete_fn *complete)
{
    file->base.complete = complete;
    struct io_uring_sqe *sqe =
        wr_op_prepare_alone(file->uring, &file->base, IORING_OP_NOP);

    wr_assert(sqe->user_data == (uintptr_t)&file->base);
    return sqe;
}

/* Handles the end of a NOP or an empty splice that checked for a worker. */
static void op_file_looked(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_file_op *file = op_file_of(op);
    const uint8_t opcode = op_file_entry(file)->opcode;

    wr_assert(!(flags & WR_CQE_MORE));
    if (op->is_cancelled) {
        if (file->doubts == 0) {
            op_file_work(file);
        } else {
            op_file_end(file, -ECANCELED);
        }
        return;
    }
    if (opcode != IORING_OP_SPLICE) {
        wr_op_note_worker(file->uring, res >= 0, file->asked_ns);
    }
    if (res < 0) {
        wr_op_note_lack(file->uring);
        op_file_work(file);
    } else if (file->doubts == DOUBTS_MAX ||
               (opcode == IORING_OP_CLOSE && file->doubts > 0)) {
        op_file_end(file, -EIO);
    } else {
        struct io_uring_sqe *sqe = op_file_prepare(file, op_file_completed);

        memcpy(sqe, file->entry, sizeof(*sqe));
    }
}

static void op_file_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_file_op *file = op_file_of(op);
    const struct io_uring_sqe *entry = op_file_entry(file);

    wr_assert(!(flags & WR_CQE_MORE));
    if (WR_LIKELY(res != -ECANCELED) || wr_op_was_cancelled(op, res)) {
        if (entry->opcode == IORING_OP_OPENAT && res >= 0) {
            /* Only workers open files, so there is one. */
            wr_op_note_worker(file->uring, true, file->asked_ns);
        }
        op_file_end(file, res);
    } else if (wr_work_asks_nothing(entry)) {
        wr_op_note_lack(file->uring);
        op_file_work(file);
    } else {
        /* A NOP checks for a worker. A splice has other workers, so a splice of
         * 0 bytes checks for them. */
        struct io_uring_sqe *sqe = op_file_prepare(file, op_file_looked);

        file->doubts++;
        file->asked_ns = wr_sys_now();
        if (entry->opcode == IORING_OP_SPLICE) {
            memcpy(sqe, file->entry, sizeof(*sqe));
            sqe->len = 0;
        } else {
            sqe->flags = IOSQE_ASYNC;
        }
    }
}

static void op_file_nop_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    wr_assert(!(flags & WR_CQE_MORE));
    wr_assert(res == 0 || op->is_cancelled);
    op_file_work(op_file_of(op));
}

static bool op_file_needs_worker(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_FSYNC || sqe->opcode == IORING_OP_STATX ||
           sqe->opcode == IORING_OP_SPLICE || sqe->flags & IOSQE_ASYNC;
}

/* Chooses what is submitted: the entry, a NOP that checks for a worker before
 * the entry, or a NOP after which this thread carries out the entry. Returns
 * the function that handles the completion. */
static wr_op_complete_fn *op_file_choose(const struct wr_uring *uring,
                                         const struct io_uring_sqe *sqe)
{
    const bool is_close = sqe->opcode == IORING_OP_CLOSE;

    if (WR_UNLIKELY(is_close && !uring->close_ring)) {
        return op_file_nop_completed;
    }
    bool may_lack;
    if (!is_close) {
        may_lack = op_file_needs_worker(sqe);
    } else if (sqe->flags & IOSQE_ASYNC) {
        may_lack = !wr_op_has_worker(uring);
    } else {
        may_lack = wr_op_close_may_lack(uring, sqe->fd);
    }
    return may_lack && wr_op_lacks_worker(uring) ? op_file_nop_completed
           : may_lack && is_close                ? op_file_looked
                                                 : op_file_completed;
}

/* Must be called after all fields of the entry were set. */
static void op_file_keep_entry(struct wr_uring *uring, struct wr_file_op *op,
                               struct io_uring_sqe *sqe)
{
    wr_assert(op->base.in_flight);
    wr_assert(op->base.complete != op_file_completed);
    memcpy(op->entry, sqe, sizeof(op->entry));
    op->uring = uring;
    op->doubts = 0;
    op->complete = op->base.complete;
    op->base.complete = op_file_choose(uring, sqe);
    if (op->base.complete == op_file_looked ||
        sqe->opcode == IORING_OP_OPENAT) {
        op->asked_ns = wr_sys_now();
    }
    if (WR_UNLIKELY(op->base.complete != op_file_completed)) {
        memset(sqe, 0, sizeof(*sqe));
        sqe->opcode = IORING_OP_NOP;
        sqe->fd = -1;
        sqe->user_data = (uintptr_t)&op->base;
        sqe->flags = op->base.complete == op_file_looked ? IOSQE_ASYNC : 0;
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
    sqe->splice_off_in = UINT64_MAX; /* -1 uses the file's own position */
    sqe->off = UINT64_MAX;
    sqe->len = len;
    op_file_keep_entry(uring, op, sqe);
}

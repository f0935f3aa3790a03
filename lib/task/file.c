/*
 * File calls of tasks: each call is one operation of the ring.
 *
 * The operation is on the stack of the waiting task, so a call returns only
 * after its completion: an interruption cancels the operation, and the
 * completion wakes the task. The call is a member of the loop, which cancels it
 * when the loop is freed or its ring breaks.
 */
#include "weir/file.h"

#include "lib/base/options.h"
#include "task.h"
#include "uring/sys.h"

#include <fcntl.h>
#include <linux/openat2.h>

struct file_call {
    struct wr_waiter waiter;
    struct wr_member member;
    struct wr_file_op op;
    weir_loop *loop;
    int32_t res;
};

static struct file_call *file_of(struct wr_member *member)
{
    return wr_container_of(member, struct file_call, member);
}

static void file_shutdown(struct wr_member *member)
{
    struct file_call *call = file_of(member);
    wr_op_cancel(&call->loop->uring, &call->op.base);
}

static void file_abandon(struct wr_member *member)
{
    struct file_call *call = file_of(member);
    wr_op_abandon(&call->loop->uring, &call->op.base);
}

static void file_dump(const struct wr_member *member, FILE *out)
{
    wr_ignore(!member);
    fprintf(out, "file operation\n");
}

static const struct wr_member_ops file_member_ops = {.stage = WR_STAGE_MAKERS,
                                                     .shutdown = file_shutdown,
                                                     .abandon = file_abandon,
                                                     .dump = file_dump};

/* A close is not cancelled, because the descriptor would stay open. */
static void file_keep_closing(struct wr_member *member)
{
    wr_assert(file_of(member)->op.base.in_flight);
}

static const struct wr_member_ops file_close_ops = {.stage = WR_STAGE_MAKERS,
                                                    .shutdown =
                                                        file_keep_closing,
                                                    .abandon = file_abandon,
                                                    .dump = file_dump};

static void file_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct file_call *call = wr_container_of(op, struct file_call, op.base);
    if (res == -WR_ERESTARTSYS) { /* opening a FIFO was cancelled */
        res = -EINTR;
    }
    const bool tells =
        call->waiter.was_interrupted && wr_op_was_cancelled(op, res);

    wr_assert(!op->in_flight);
    wr_assert(!(flags & WR_CQE_MORE));
    call->res = res;
    wr_loop_remove_member(call->loop, &call->member);
    wr_waiter_wake(&call->waiter, tells ? -ECANCELED : 0);
}

static void file_interrupt(struct wr_waiter *waiter)
{
    struct file_call *call = wr_container_of(waiter, struct file_call, waiter);
    wr_op_cancel(&call->loop->uring, &call->op.base);
}

/* Starts a call. After 0 the caller prepares the operation. */
static int file_enter(struct file_call *call, weir_loop *loop)
{
    static const struct wr_wait_kind kind = {.name = "file",
                                             .interrupt = file_interrupt};
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    *call = (struct file_call){.waiter.kind = &kind, .loop = loop};
    wr_member_init(&call->member, &file_member_ops);
    wr_op_init(&call->op.base, file_completed);
    return 0;
}

static int file_wait(struct file_call *call)
{
    wr_assert(call->op.base.in_flight);
    wr_loop_add_member(call->loop, &call->member);
    const int err = wr_task_wait(call->loop, &call->waiter, NULL);
    wr_assert(!call->op.base.in_flight);
    return err < 0 ? err : call->res;
}

static int file_enter_at(struct file_call *call, weir_loop *loop, int fd,
                         uint64_t offset)
{
    int err = file_enter(call, loop);
    wr_require(err >= 0, err);
    wr_require(fd >= 0, -EBADF);
    wr_require(offset <= INT64_MAX, -EINVAL);
    return 0;
}

int weir_file_openat(weir_loop *loop, int dirfd, const char *path, int flags,
                     mode_t mode, uint64_t resolve)
{
    struct file_call call;
    /* must stay until the completion */
    struct open_how how = {.resolve = resolve};
    int err = file_enter(&call, loop);
    if (err < 0) {
        return err;
    }
    wr_require(path, -EINVAL);
    how.flags = (uint32_t)flags | O_CLOEXEC;
    /* openat2() rejects a mode if no file can be created. */
    how.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0;
    wr_prep_open(&loop->uring, &call.op, dirfd, path, &how);
    return file_wait(&call);
}

int weir_file_open(weir_loop *loop, const char *path, int flags, mode_t mode)
{
    return weir_file_openat(loop, AT_FDCWD, path, flags, mode, 0);
}

ssize_t weir_file_read(weir_loop *loop, int fd, void *buf, size_t len,
                       uint64_t offset)
{
    struct file_call call;
    int err = file_enter_at(&call, loop, fd, offset);
    if (err < 0 || len == 0) {
        return err;
    }
    wr_prep_read_at(&loop->uring, &call.op, fd, buf, wr_min_u64(len, INT32_MAX),
                    offset);
    return file_wait(&call);
}

ssize_t weir_file_write(weir_loop *loop, int fd, const void *data, size_t len,
                        uint64_t offset)
{
    struct file_call call;
    int err = file_enter_at(&call, loop, fd, offset);
    if (err < 0 || len == 0) {
        return err;
    }
    wr_prep_write_at(&loop->uring, &call.op, fd, data,
                     wr_min_u64(len, INT32_MAX), offset);
    return file_wait(&call);
}

static int file_sync(weir_loop *loop, int fd, bool data_only)
{
    struct file_call call;
    int err = file_enter(&call, loop);
    if (err < 0) {
        return err;
    }
    wr_require(fd >= 0, -EBADF);
    wr_prep_fsync(&loop->uring, &call.op, fd, data_only);
    return file_wait(&call);
}

int weir_file_sync(weir_loop *loop, int fd)
{
    return file_sync(loop, fd, false);
}

int weir_file_datasync(weir_loop *loop, int fd)
{
    return file_sync(loop, fd, true);
}

int weir_file_stat(weir_loop *loop, int fd, struct weir_file_status *ret)
{
    struct file_call call;
    struct statx found;
    int err = file_enter(&call, loop);
    if (err < 0) {
        return err;
    }
    err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    wr_require(fd >= 0, -EBADF);
    wr_prep_stat(&loop->uring, &call.op, fd, &found);
    err = file_wait(&call);
    if (err == 0) {
        const struct weir_file_status status = {
            .len_bytes = found.stx_size,
            .modified_ns = found.stx_mtime.tv_sec * INT64_C(1000000000) +
                           found.stx_mtime.tv_nsec,
            .mode = found.stx_mode};
        wr_answer_write(ret, &status, sizeof(status));
    }
    return err;
}

static void file_ignore_interrupt(struct wr_waiter *waiter)
{
    wr_assert(waiter->was_interrupted);
}

/* Returns true if the last close may take long: an unlinked file is truncated,
 * a socket lingers, a device's cached blocks are written. A worker closes such
 * a file, shortly after weir_file_close() has returned. Any other file is
 * closed when the call returns, so that another process can open, lock or
 * execute it immediately. */
static bool file_closes_slowly(int fd)
{
    struct statx known;

    if (wr_sys_stat_known(fd, &known) < 0) {
        return false;
    }
    return S_ISREG(known.stx_mode)
               ? known.stx_nlink == 0
               : S_ISSOCK(known.stx_mode) || S_ISBLK(known.stx_mode) ||
                     S_ISCHR(known.stx_mode);
}

int weir_file_close(weir_loop *loop, int fd)
{
    static const struct wr_wait_kind kind = {
        .name = "file close", .interrupt = file_ignore_interrupt};
    struct file_call call = {.waiter.kind = &kind, .loop = loop};
    int err = wr_task_begin(loop);
    if (err < 0) {
        return err;
    }
    wr_require(fd >= 0, -EBADF);
    wr_member_init(&call.member, &file_close_ops);
    wr_op_init(&call.op.base, file_completed);
    wr_prep_close_file(&loop->uring, &call.op, fd, file_closes_slowly(fd));
    return file_wait(&call);
}

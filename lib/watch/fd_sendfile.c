/*
 * Sending a file on a socket of the program, by the rules of
 * lib/transport/sendfile.h. The task waits for space in the socket and for
 * reads of pages that are not in the cache. An interruption cancels the read.
 * Bytes that were read and not sent are read again later.
 */
#include "fd_call.h"
#include "lib/transport/sendfile.h"
#include "weir/sock.h"

/* Returns the bytes that the socket took, 0 at the file's end, or an error. */
WEIR_MUST_USE static int64_t fd_sendfile_copy(struct wr_fd_call *call,
                                              const struct wr_sendfile *part)
{
    weir_loop *loop = call->loop;
    const size_t len = (size_t)wr_min_u64(WR_SENDFILE_READ, part->left);
    struct wr_block *block = wr_block_take(&loop->blocks, len);

    wr_require(block, -ENOMEM);
    wr_budget_queue(&loop->budget, block->capacity);
    wr_fd_call_init_op(call, "sendfile");
    wr_prep_read_at(&loop->uring, &call->op, part->fd, block->data, len,
                    part->offset);
    int32_t res = wr_fd_call_operate(call);
    if (res > 0) {
        wr_check((size_t)res <= len);
        const struct iovec piece = {.iov_base = block->data,
                                    .iov_len = (size_t)res};
        res = wr_sys_send(call->fd, &piece, 1);
        wr_assert(res != 0);
    }
    wr_budget_unqueue(&loop->budget, block->capacity);
    wr_block_give(&loop->blocks, block);
    return res;
}

/* Other tasks run between the system calls. */
WEIR_MUST_USE static int fd_sendfile_run(struct wr_fd_call *call,
                                         struct wr_sendfile *part)
{
    int err = 0;

    while (err == 0 && part->left > 0) {
        if (!wr_budget_may_send(&call->loop->budget)) {
            wr_task_yield(call->loop);
            err = wr_task_enter(call->loop);
            continue;
        }
        int64_t res = wr_sendfile_splice(part, call->loop, call->fd);
        if (res == 0) {
            res = fd_sendfile_copy(call, part);
        }
        if (res > 0) {
            wr_sendfile_took(part, (uint64_t)res);
            err = part->left > 0 ? wr_task_enter(call->loop) : 0;
        } else if (res == -EAGAIN) {
            err = wr_fd_call_wait(call);
        } else if (res == 0) {
            break;
        } else {
            err = res == -EINTR ? wr_task_enter(call->loop) : (int)res;
        }
    }
    return err;
}

int64_t weir_sock_sendfile(weir_loop *loop, int fd, int file, uint64_t *offset,
                           uint64_t count)
{
    struct wr_fd_call call;
    struct wr_sendfile part;

    wr_require(offset, -EINVAL);
    int err = wr_fd_call_begin(&call, loop, fd, WR_WRITING);
    wr_require(err == 0, err);
    int type = 0;
    socklen_t len = sizeof(type);
    err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (err == 0 && type != SOCK_STREAM) {
        err = -EOPNOTSUPP;
    }
    if (err == 0) {
        err = wr_sendfile_init(&part, file, *offset, count);
    }
    int64_t sent = 0;
    if (err == 0) {
        err = fd_sendfile_run(&call, &part);
        sent = (int64_t)(part.offset - *offset);
        *offset = part.offset;
    }
    wr_fd_call_end(&call);
    return err < 0 ? err : sent;
}

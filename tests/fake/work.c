/*
 * The fake machine's calls for entries that no worker could take
 * (uring/work.h).
 *
 * Each moves the bytes that a worker would move, of a file on a disk or of a
 * pipe that was opened by its name. It does not wait: without bytes or space it
 * returns -EAGAIN.
 */
#include "uring/work.h"
#include "tests/fake/world.h"

#include <errno.h>

static int32_t move_fifo(const struct fake_file *file, bool reads,
                         const struct iovec *iov)
{
    if (!fake_fifo_may_work(file, iov->iov_len)) {
        return -EAGAIN;
    }
    return reads ? fake_fifo_take(file->fifo, iov, 1)
                 : fake_fifo_put(file->fifo, iov, 1);
}

bool wr_work_asks_nothing(const struct io_uring_sqe *sqe)
{
    return fake_file_get(sqe->fd, "work")->fifo != NULL;
}

int32_t wr_work_here(const struct io_uring_sqe *sqe)
{
    const struct fake_file *file = fake_file_get(sqe->fd, "work");
    const bool reads = sqe->opcode == IORING_OP_READ;
    const struct iovec iov = {(void *)(uintptr_t)sqe->addr, sqe->len};

    if (!reads && sqe->opcode != IORING_OP_WRITE) {
        fake_fail("opcode %u is not known here", sqe->opcode);
    }
    fake_trace("%s fd=%d without a worker", fake_op_name(sqe->opcode), sqe->fd);
    fake.stats.worked_here++;
    const int32_t res =
        file->fifo ? move_fifo(file, reads, &iov)
                   : fake_disk_read(file, iov.iov_base, iov.iov_len, sqe->off);
    return res == -ECANCELED ? -EIO : res;
}

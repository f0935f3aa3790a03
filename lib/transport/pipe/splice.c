/*
 * The stage is a pipe between the loop and a file that may block. Its ends are
 * non-blocking, and only the loop and one operation at a time use it. It is
 * empty before each read and write. So a splice from another pipe does not wait
 * either, and returns -EAGAIN if another process was faster.
 */
#include "pipe_impl.h"

#include "uring/sys.h"

#include <errno.h>

void wr_splice_init(struct wr_splice *splice)
{
    *splice = (struct wr_splice){.ends = {-1, -1}};
}

static bool splice_is_open(const struct wr_splice *splice)
{
    wr_assert((splice->ends[0] < 0) == (splice->ends[1] < 0));
    return splice->ends[0] >= 0;
}

void wr_splice_close(struct wr_splice *splice)
{
    if (splice_is_open(splice)) {
        wr_ignore(wr_sys_close(splice->ends[0]) < 0);
        wr_ignore(wr_sys_close(splice->ends[1]) < 0);
    }
    splice->ends[0] = -1;
    splice->ends[1] = -1;
    splice->staged = 0;
}

/* Returns 1 to splice, 0 to read or write directly, or an error. */
WEIR_MUST_USE static int splice_open(struct wr_splice *splice,
                                     const struct wr_uring *uring)
{
    wr_assert(splice->staged == 0);
    if (splice->is_refused ||
        wr_has(&uring->features, WR_FEATURE_ASYNC_RETRY)) {
        return false;
    }
    if (!splice_is_open(splice)) {
        const int err = wr_sys_pipe_nonblock(splice->ends);
        wr_require(err >= 0, err);
    }
    return true;
}

static int32_t splice_result(struct wr_splice *splice, int32_t res)
{
    if (res == -EINVAL && splice_is_open(splice)) {
        splice->is_refused = true;
        wr_splice_close(splice);
        return -EAGAIN;
    }
    return res == -WR_ERESTARTSYS ? -EINTR : res;
}

int wr_splice_prep_read(struct wr_splice *splice, struct wr_uring *uring,
                        struct wr_file_op *op, int fd, void *buf, uint32_t len)
{
    const int splices = splice_open(splice, uring);

    wr_require(splices >= 0, splices);
    if (splices) {
        wr_prep_splice(uring, op, fd, splice->ends[1], len);
    } else {
        wr_prep_read_waiting(uring, op, fd, buf, len);
    }
    return 0;
}

/* Reads @len spliced bytes, in several reads if the pipe has packets
 * (O_DIRECT). Fails if a page that the peer has lent (vmsplice) is gone. */
static int32_t splice_fetch(const struct wr_splice *splice, char *buf,
                            uint32_t len)
{
    for (uint32_t done = 0; done < len;) {
        const int32_t got =
            wr_sys_pipe_read(splice->ends[0], buf + done, len - done);
        wr_check(got != 0 && got != -EAGAIN); /* only this file uses the pipe */
        wr_require(got > 0, got);
        done += (uint32_t)got;
    }
    return (int32_t)len;
}

int32_t wr_splice_read_completed(struct wr_splice *splice, void *buf,
                                 int32_t res)
{
    res = splice_result(splice, res);
    if (splice_is_open(splice) && res > 0) {
        res = splice_fetch(splice, buf, (uint32_t)res);
    }
    return res;
}

int wr_splice_prep_write(struct wr_splice *splice, struct wr_uring *uring,
                         struct wr_file_op *op, int fd, const void *buf,
                         uint32_t len)
{
    const int splices = splice_open(splice, uring);

    wr_assert(len <= WR_SPLICE_BYTES);
    wr_require(splices >= 0, splices);
    if (splices) {
        const int32_t put = wr_sys_pipe_write(splice->ends[1], buf, len);
        wr_require(put >= 0, put);
        wr_check(put > 0 && put <= (int32_t)len);
        splice->staged = (uint32_t)put;
        wr_prep_splice(uring, op, splice->ends[0], fd, splice->staged);
    } else {
        wr_prep_write_waiting(uring, op, fd, buf, len);
    }
    return 0;
}

int32_t wr_splice_write_completed(struct wr_splice *splice, int32_t res)
{
    wr_check(!splice_is_open(splice) || res <= (int32_t)splice->staged);
    if (splice_is_open(splice) && res < (int32_t)splice->staged) {
        /* Drops the bytes that were not written; the send queue has them. */
        char rest[WR_SPLICE_BYTES];

        while (wr_sys_pipe_read(splice->ends[0], rest, sizeof(rest)) > 0) {
        }
    }
    splice->staged = 0;
    return splice_result(splice, res);
}

/*
 * Opens a child's standard descriptors. Both ends of a pipe are in blocking
 * mode: the child's end because programs expect it, the parent's end because
 * io_uring waits by itself.
 */
#include "subprocess.h"

#include "uring/check.h"
#include "uring/sys.h"

#include <errno.h>

static int stdio_check_one(const struct weir_stdio *wanted, bool may_be_stdout)
{
    switch (wanted->kind) {
    case WEIR_STDIO_DEFAULT:
    case WEIR_STDIO_PIPE:
    case WEIR_STDIO_INHERIT:
    case WEIR_STDIO_DEVNULL:
        return wanted->fd == 0 ? 0 : -EINVAL;
    case WEIR_STDIO_FD:
        return wanted->fd >= 0 ? 0 : -EBADF;
    case WEIR_STDIO_STDOUT:
        return may_be_stdout && wanted->fd == 0 ? 0 : -EINVAL;
    }
    return -EINVAL;
}

int wr_stdio_check(const struct weir_spawn_options *options)
{
    int err = stdio_check_one(&options->in, false);
    if (err == 0) {
        err = stdio_check_one(&options->out, false);
    }
    return err == 0 ? stdio_check_one(&options->err, true) : err;
}

static int stdio_open_pipe(struct wr_stdio *stdio, int index)
{
    int ends[2];

    wr_assert(stdio->ours[index] < 0);
    int err = wr_sys_pipe(ends);
    if (err < 0) {
        return err;
    }
    wr_assert(ends[0] >= 0);
    wr_assert(ends[1] >= 0);
    stdio->ours[index] = ends[index == WR_STDIO_IN ? 1 : 0];
    stdio->theirs[index] = ends[index == WR_STDIO_IN ? 0 : 1];
    stdio->is_opened[index] = true;
    return 0;
}

static int stdio_open_one(struct wr_stdio *stdio, int index,
                          const struct weir_stdio *wanted)
{
    const int out = stdio->theirs[WR_STDIO_OUT];

    switch (wanted->kind) {
    case WEIR_STDIO_DEFAULT:
    case WEIR_STDIO_PIPE:
        return stdio_open_pipe(stdio, index);
    case WEIR_STDIO_DEVNULL: {
        wr_assert(stdio->theirs[index] < 0);
        const int null = wr_sys_open_null();
        wr_require(null >= 0, null);
        stdio->theirs[index] = null;
        stdio->is_opened[index] = true;
        return 0;
    }
    case WEIR_STDIO_FD:
        stdio->theirs[index] = wanted->fd;
        return 0;
    case WEIR_STDIO_STDOUT:
        wr_assert(index == WR_STDIO_ERR);
        stdio->theirs[index] = out >= 0 ? out : WR_STDIO_OUT;
        return 0;
    case WEIR_STDIO_INHERIT:
        break;
    }
    return 0;
}

int wr_stdio_open(struct wr_stdio *stdio,
                  const struct weir_spawn_options *options)
{
    const struct weir_stdio *const wanted[WR_STDIO_COUNT] = {
        &options->in, &options->out, &options->err};
    int err = 0;

    wr_assert(wr_stdio_check(options) == 0);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        stdio->ours[i] = -1;
        stdio->theirs[i] = -1;
        stdio->is_opened[i] = false;
    }
    for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
        err = stdio_open_one(stdio, i, wanted[i]);
    }
    if (err < 0) {
        wr_stdio_close_theirs(stdio);
        wr_stdio_close_ours(stdio);
    }
    return err;
}

void wr_stdio_close_theirs(struct wr_stdio *stdio)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (stdio->is_opened[i]) {
            wr_assert(stdio->theirs[i] >= 0);
            wr_ignore(wr_sys_close(stdio->theirs[i]));
            stdio->is_opened[i] = false;
        }
    }
}

void wr_stdio_close_ours(struct wr_stdio *stdio)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (stdio->ours[i] >= 0) {
            wr_assert(stdio->ours[i] != stdio->theirs[i]);
            wr_ignore(wr_sys_close(stdio->ours[i])); /* nothing was written */
            stdio->ours[i] = -1;
        }
    }
}

/*
 * Makes a pipe transport from a descriptor. The type of the file decides how
 * bytes are moved. The flags of the file stay unchanged, because other
 * processes may use it.
 */
#include "pipe_impl.h"

#include "lib/transport/socket.h"

#include <fcntl.h>
#include <sys/stat.h>

int wr_pipe_check(int fd, enum wr_pipe_direction direction)
{
    mode_t mode;
    int err = wr_sys_mode(fd, &mode);
    wr_require(err >= 0, err);
    const int flags = wr_sys_flags(fd);
    wr_require(flags >= 0, flags);
    wr_require(!(flags & O_PATH), -EBADF);

    const int access = flags & O_ACCMODE;
    wr_require(access == O_RDWR ||
                   access == (direction == WR_PIPE_READ ? O_RDONLY : O_WRONLY),
               -EBADF);
    if (S_ISSOCK(mode)) {
        int type = 0;
        socklen_t len = sizeof(type);
        err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
        wr_require(err >= 0, err);
        return type == SOCK_STREAM ? 0 : -EINVAL;
    }
    return S_ISFIFO(mode) || S_ISCHR(mode) || S_ISREG(mode) ? 0 : -EINVAL;
}

/* A regular file is not read with RWF_NOWAIT: while the disk is read it returns
 * -EAGAIN, but a poll always reports bytes. */
static void pipe_open_find_way(struct wr_pipe *p)
{
    const struct wr_features *features = &p->c.t.loop->uring.features;
    mode_t mode = S_IFIFO; /* a child's pipe, if seccomp refuses fstat() */

    wr_ignore(wr_sys_mode(p->c.t.fd, &mode) < 0);
    p->is_file = S_ISREG(mode);
    if (S_ISSOCK(mode)) {
        p->way = WR_PIPE_BY_SOCKET;
    } else if (p->is_file || !wr_has(features, WR_FEATURE_PIPE_NOWAIT)) {
        p->way = WR_PIPE_BY_WORKER;
    } else {
        p->way = WR_PIPE_BY_NOWAIT;
    }
}

static struct wr_pipe *pipe_open_make(weir_loop *loop, int fd,
                                      enum wr_pipe_direction direction,
                                      const struct weir_connection_options *o)
{
    const struct weir_connection_options defaults = {.size = sizeof(defaults)};

    wr_assert(fd >= 0);
    if (wr_owned_make_room(&loop->owned, &loop->counting, fd) < 0) {
        return NULL;
    }
    struct wr_connection *c = wr_connection_make(
        loop,
        direction == WR_PIPE_READ ? &wr_pipe_read_ops : &wr_pipe_write_ops,
        o ? o : &defaults);
    if (!c) {
        return NULL;
    }
    struct wr_pipe *p = wr_pipe_of(c);
    wr_pipe_init(p, fd, direction);
    pipe_open_find_way(p);
    if (p->way == WR_PIPE_BY_SOCKET) {
        wr_socket_set_passrights(loop, fd, false);
    }
    return p;
}

int wr_pipe_open(weir_loop *loop, int fd, enum wr_pipe_direction direction,
                 const struct weir_factory *factory,
                 const struct weir_connection_options *options,
                 weir_transport **ret)
{
    struct wr_pipe *p = pipe_open_make(loop, fd, direction, options);
    if (!p) {
        wr_prep_close_any(&loop->uring, fd);
        return -ENOMEM;
    }
    int err = wr_protocol_find(&p->c.t, factory);
    if (err < 0) {
        wr_connection_discard(&p->c);
        wr_prep_close_any(&loop->uring, fd);
        return err;
    }
    wr_owned_add(&loop->owned, p->c.t.fd);
    wr_connection_begin(&p->c);
    wr_connection_push(&p->c);
    if (direction == WR_PIPE_WRITE) {
        wr_pipe_watch(p);
    }
    wr_connection_tell_made(&p->c);
    *ret = &p->c.t;
    return 0;
}

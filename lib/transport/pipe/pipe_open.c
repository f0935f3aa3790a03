/*
 * Pipes: making one of a descriptor.
 *
 * The type of the file says how bytes come and go; the factory chooses the
 * protocol, and then the transport is born. No flag of the file is changed.
 */
#include "pipe_impl.h"

#include "lib/transport/socket.h"

#include <fcntl.h>
#include <sys/stat.h>

/* The connection of a stream socket is a stream of bytes, others are not. */
static int pipe_open_check_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);
    int err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);

    wr_require(err >= 0, err);
    return type == SOCK_STREAM ? 0 : -EINVAL;
}

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
        return pipe_open_check_socket(fd);
    }
    return S_ISFIFO(mode) || S_ISCHR(mode) || S_ISREG(mode) ? 0 : -EINVAL;
}

/* A regular file must not be asked whether it would wait: while it reads from
 * the disk it would say so, and a poll sees bytes in it always. */
static void pipe_open_find_way(struct wr_pipe *p)
{
    const struct wr_features *features = &p->t.loop->uring.features;
    mode_t mode;
    int err = wr_sys_mode(p->fd, &mode);

    wr_assert(err >= 0); /* wr_pipe_check() has asked for it */
    p->is_file = S_ISREG(mode);
    if (S_ISSOCK(mode)) {
        p->way = WR_PIPE_BY_SOCKET;
    } else if (p->is_file || !wr_has(features, WR_FEATURE_PIPE_NOWAIT)) {
        p->way = WR_PIPE_BY_WORKER;
    } else {
        p->way = WR_PIPE_BY_NOWAIT;
    }
}

static void pipe_open_configure(struct wr_pipe *p,
                                const struct weir_connection_options *options)
{
    wr_assert(p->t.state == WR_LIFE_UNBORN);
    wr_transport_set_limits(&p->t, options->read_limit_bytes,
                            options->write_hard_limit_bytes);
    wr_ignore(wr_pipe_set_timeouts(&p->t, &options->timeouts) < 0);
}

int wr_pipe_open(weir_loop *loop, int fd, enum wr_pipe_direction direction,
                 const struct weir_factory *factory,
                 const struct weir_connection_options *options,
                 weir_transport **ret)
{
    struct wr_pipe *p = wr_pipe_make(loop, fd, direction);
    if (!p) {
        wr_prep_close_any(&loop->uring, fd);
        return -ENOMEM;
    }
    pipe_open_find_way(p);
    if (p->way == WR_PIPE_BY_SOCKET) {
        wr_socket_set_passrights(loop, fd, false);
    }
    if (options) {
        pipe_open_configure(p, options);
    }
    int err = wr_protocol_find(&p->t, factory);
    if (err < 0) {
        wr_pipe_unmake(p);
        wr_prep_close_any(&loop->uring, fd);
        return err;
    }
    wr_pipe_bear(p);
    *ret = &p->t;
    return 0;
}

/*
 * The descriptor that tells another event loop, the host, that this loop has
 * work.
 *
 * It is an eventfd that the kernel signals when a completion, or task work that
 * leads to a completion, comes to an idle ring. During a run this is off,
 * because a run sees its work itself, and the run's end resets the count.
 * wr_ring_has_work() finds work that came earlier, and weir_loop_get_deadline()
 * reports it to the host.
 */
#include "loop_impl.h"
#include "weir/embed.h"

/* The ring, which is closed next, may lose its last signals. */
static void host_close(struct wr_module *module)
{
    struct wr_host *host = wr_container_of(module, struct wr_host, module);

    wr_assert(host->fd >= -1);
    if (host->fd >= 0) {
        wr_ignore(wr_sys_close(host->fd)); /* nothing can be lost */
        host->fd = -1;
    }
}

void wr_host_open(weir_loop *loop)
{
    static const struct wr_module_ops ops = {
        .end = {[WR_END_RESTORE] = host_close},
        .close = host_close,
    };

    wr_assert(!loop->uring.ring); /* the ring is made later */
    loop->host.fd = -1;
    wr_loop_add_module(loop, &loop->host.module, &ops);
}

void wr_host_begin_run(weir_loop *loop)
{
    wr_assert(!wr_loop_is_running(loop));
    if (loop->host.fd >= 0) {
        wr_ring_enable_eventfd(loop->uring.ring, false);
    }
}

void wr_host_end_run(weir_loop *loop)
{
    wr_assert(!wr_loop_is_running(loop));
    if (loop->host.fd >= 0 && !wr_loop_is_forked(loop)) {
        wr_ring_enable_eventfd(loop->uring.ring, true);
        wr_ignore(wr_sys_eventfd_drain(loop->host.fd) < 0);
    }
}

int weir_loop_get_fd(weir_loop *loop)
{
    wr_require_loop(loop);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    if (loop->host.fd >= 0) {
        return loop->host.fd;
    }
    wr_assert(loop->uring.ring);
    const int fd = wr_sys_eventfd_nonblock();
    wr_require(fd >= 0, fd);
    int err = wr_ring_set_eventfd(loop->uring.ring, fd);
    if (err < 0) {
        wr_ignore(wr_sys_close(fd)); /* nothing was added to it */
        return err;
    }
    wr_ring_enable_eventfd(loop->uring.ring, !wr_loop_is_running(loop));
    loop->host.fd = fd;
    return fd;
}

/*
 * The descriptor with which another event loop, the host, waits for this loop.
 *
 * The ring makes it readable when there is work for the loop's thread. The
 * signal is disabled during a run and enabled at its end, which clears earlier
 * signals. wr_ring_has_work() finds work that arrived before, and
 * weir_loop_get_deadline() reports it to the host.
 */
#include "loop_impl.h"
#include "weir/embed.h"

/* Later signals of the ring are lost, but the ring is closed next. */
static void host_close(struct wr_module *module)
{
    struct wr_host *host = wr_container_of(module, struct wr_host, module);

    wr_assert(host->fd >= -1);
    if (host->fd >= 0) {
        wr_ignore(wr_sys_close(host->fd)); /* no data is lost on an error */
        host->fd = -1;
    }
}

void wr_host_open(weir_loop *loop)
{
    static const struct wr_module_ops ops = {
        .end = {[WR_END_RESTORE] = host_close},
        .close = host_close,
    };

    wr_assert(!loop->uring.ring);
    loop->host.fd = -1;
    wr_loop_add_module(loop, &loop->host.module, &ops);
}

void wr_host_begin_run(weir_loop *loop)
{
    wr_assert(!wr_loop_is_running(loop));
    if (loop->host.fd >= 0) {
        wr_ring_enable_signal(loop->uring.ring, loop->host.fd, false);
    }
}

void wr_host_end_run(weir_loop *loop)
{
    wr_assert(!wr_loop_is_running(loop));
    if (loop->host.fd >= 0 && !wr_loop_is_forked(loop)) {
        wr_ring_enable_signal(loop->uring.ring, loop->host.fd, true);
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
    const int fd = wr_ring_open_signal(loop->uring.ring);
    wr_require(fd >= 0, fd);
    wr_ring_enable_signal(loop->uring.ring, fd, !wr_loop_is_running(loop));
    loop->host.fd = fd;
    loop->host.misses_ends = wr_ring_misses_ends(loop->uring.ring);
    return fd;
}

/*
 * io_uring inside another event loop, the host: the descriptor it waits for.
 *
 * With DEFER_TASKRUN the kernel does not finish a completion until the ring's
 * thread enters the ring, and reports it through an eventfd that is registered
 * with the ring. This does not serve a thread that waits elsewhere. If the
 * completion is caused by a write to another eventfd, like the loop's mailbox,
 * the kernel reports it only after an RCU period of 10 to 20 ms; from
 * Linux 6.13 on it does so once and then never again. Linux 6.12.117 and 7.3
 * always wait for that period, and 6.12.117 too reports only once. The ring's
 * own descriptor is no substitute there.
 *
 * So if the host is known before the ring is enabled, the ring is made again
 * without DEFER_TASKRUN. The kernel then finishes completions for a thread that
 * waits anywhere, and the ring's own descriptor is readable at once and as long
 * as there are completions, in every kernel since 6.1.
 *
 * Without DEFER_TASKRUN the kernel marks the thread as if a signal were pending
 * when it has something to finish, and a TCP receive that is before an urgent
 * byte gives up while the mark is set. An armed receive then waits for the next
 * event of its socket (Linux 6.18), which never comes after the peer's end. A
 * receive that is submitted after the end may wait too: the kernel tries it
 * twice, and the mark may be set each time. A one-shot poll misses nothing, and
 * a system call that gives up returns an error.
 *
 * A ring that is already enabled has operations in the kernel and stays as it
 * is. So does a ring if RLIMIT_MEMLOCK does not allow a second one. Its host is
 * signalled by an eventfd that is registered again after each run, as the
 * kernel signals once for each registration.
 */
#include "ring_host.h"

#include "probe.h"
#include "race.h"
#include "ring_kernel.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>

static void ring_host_free(struct io_uring *uring,
                           struct io_uring_buf_ring *buf_ring, uint32_t entries)
{
    wr_race_release(&wr_race_mappings);
    if (buf_ring) {
        wr_ignore(io_uring_free_buf_ring(uring, buf_ring, entries,
                                         WR_RING_BUF_GROUP) < 0);
    }
    io_uring_queue_exit(uring);
}

/* Replaces an unused ring by one of the same size. */
static int ring_host_make_anew(struct wr_ring_kernel *ring)
{
    const uint32_t entries = ring->buf_ring_entries;
    struct io_uring uring;
    struct io_uring_buf_ring *buf_ring = NULL;

    wr_assert(!ring->enabled);
    wr_assert(!ring->is_hosted);
    wr_assert(ring->buf_unseen == 0);
    int err = wr_ring_kernel_init(&uring, ring->features.sq_entries,
                                  ring->features.cq_entries,
                                  IORING_SETUP_COOP_TASKRUN);
    if (err < 0) {
        return wr_probe_explain(err);
    }
    if (ring->buf_ring) {
        buf_ring = io_uring_setup_buf_ring(&uring, entries, WR_RING_BUF_GROUP,
                                           ring->buf_flags, &err);
        wr_race_acquire(&wr_race_mappings);
        if (!buf_ring) {
            ring_host_free(&uring, NULL, 0);
            return wr_probe_explain(err);
        }
    }
    ring_host_free(&ring->uring, ring->buf_ring, entries);
    ring->uring = uring;
    ring->buf_ring = buf_ring;
    ring->is_hosted = true;
    ring->base.misses_ends = true;
    /* The kernel resizes only rings with DEFER_TASKRUN. */
    ring->features.found &= ~(1u << WR_FEATURE_RING_RESIZE);
    return 0;
}

int wr_ring_host_open(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = wr_ring_kernel_of(base);

    if (!ring->enabled && !ring->is_hosted) {
        const int err = ring_host_make_anew(ring);
        wr_require(err != -EMFILE && err != -ENFILE, err);
    }
    if (!ring->is_hosted) {
        return wr_sys_eventfd_nonblock();
    }
    const int fd = fcntl(ring->uring.ring_fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

void wr_ring_host_enable(struct wr_ring *base, int fd, bool enable)
{
    struct wr_ring_kernel *ring = wr_ring_kernel_of(base);

    if (ring->is_hosted) {
        return; /* the host does not wait during a run */
    }
    ring->is_untold = false;
    if (!enable) {
        wr_ignore(io_uring_unregister_eventfd(&ring->uring) < 0);
        return;
    }
    wr_ignore(wr_sys_eventfd_drain(fd) < 0);
    const int err = io_uring_register_eventfd(&ring->uring, fd);
    /* Fails without memory, or if a filter was added since; the next run tries
     * again. */
    ring->is_untold = err < 0;
}

/*
 * The io_uring engine of ring.h.
 *
 * Any thread may open a ring, which is disabled. The thread that enables it
 * owns it from then on (SINGLE_ISSUER). Only that thread runs task work, and
 * only when it enters (DEFER_TASKRUN; for the exception see "another event
 * loop" below).
 *
 * Temporary errors of io_uring_enter() are ignored. Any other error is
 * permanent and returned by all later calls.
 */
#include "../include/weir/error.h"
#include "alloc.h"
#include "check.h"
#include "engine.h"
#include "list.h"
#include "probe.h"
#include "race.h"
#include "sqe.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define SQ_ENTRIES_MIN  8u
#define CQ_ENTRIES_MIN  64u
#define CQ_ENTRIES_MAX  65536u
#define SQ_FULL_RETRIES 1000
#define IO_WORKERS_MAX  4u

_Static_assert(sizeof(struct wr_cqe) == sizeof(struct io_uring_cqe),
               "completions are copied as they are");

#define RING_BUF_GROUP 0

struct wr_ring_kernel {
    struct wr_ring base;
    struct io_uring uring;
    struct wr_features features;
    struct io_uring_buf_ring *buf_ring;
    uint32_t buf_ring_entries;
    unsigned int buf_flags;
    unsigned int enter_flags;
    int buf_unseen; /* buffers added, but not committed yet */
    uint32_t waits;
    int error;
    bool enabled;
    bool is_hosted; /* made without DEFER_TASKRUN; see "another event loop" */
    bool is_untold; /* no eventfd is registered, so the host must not wait */
    bool overflowed;
    struct io_uring_sqe discarded; /* the SQE that is returned after an error */
};

static struct wr_ring_kernel *ring_kernel_of(struct wr_ring *base)
{
    wr_debug_assert(base->engine == &wr_engine_kernel);
    return wr_container_of(base, struct wr_ring_kernel, base);
}

/* @task_work is the set-up flag that decides when task work runs. */
WEIR_MUST_USE static int ring_kernel_init(struct io_uring *uring,
                                          uint32_t sq_entries,
                                          uint32_t cq_entries,
                                          uint32_t task_work)
{
    struct io_uring_params params = {
        .flags = task_work | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                 IORING_SETUP_R_DISABLED,
        .cq_entries = cq_entries,
    };

    const int err = io_uring_queue_init_params(sq_entries, uring, &params);
    wr_race_acquire(&wr_race_mappings);
    return err;
}

static int ring_kernel_init_largest_queue(struct io_uring *uring,
                                          const struct wr_ring_options *options)
{
    uint32_t sq_entries = options->sq_entries;
    uint32_t cq_entries = options->cq_entries;

    for (;;) {
        int err = ring_kernel_init(uring, sq_entries, cq_entries,
                                   IORING_SETUP_DEFER_TASKRUN);
        if (err != -ENOMEM) {
            return err;
        }
        if (cq_entries > CQ_ENTRIES_MIN && cq_entries > sq_entries * 2) {
            cq_entries /= 2;
        } else if (sq_entries > SQ_ENTRIES_MIN) {
            sq_entries /= 2;
        } else {
            return err;
        }
    }
}

static int
ring_kernel_init_queue_patiently(struct io_uring *uring,
                                 const struct wr_ring_options *options,
                                 uint32_t *waits)
{
    int err;
    do {
        err = ring_kernel_init(uring, options->sq_entries, options->cq_entries,
                               IORING_SETUP_DEFER_TASKRUN);
    } while (wr_locked_wait(err, waits, WR_LOCKED_WAITS_FOR_SIZE));
    if (err != -ENOMEM) {
        return err;
    }
    do {
        err = ring_kernel_init_largest_queue(uring, options);
    } while (wr_locked_wait(err, waits, WR_LOCKED_WAITS));
    return err;
}

static int ring_kernel_open(const struct wr_ring_options *options,
                            struct wr_ring **ret,
                            struct wr_features *ret_features)
{
    struct wr_features features = {0};
    uint32_t waits = 0;
    int err;
    wr_assert((options->sq_entries & (options->sq_entries - 1)) == 0);
    wr_assert((options->cq_entries & (options->cq_entries - 1)) == 0);
    wr_assert(options->cq_entries > options->sq_entries);
    do {
        err = wr_probe_features(&features);
    } while (wr_locked_wait(err, &waits, WR_LOCKED_WAITS));
    if (err < 0) {
        return err;
    }

    struct wr_ring_kernel *ring = wr_alloc(options->allocator, sizeof(*ring));
    if (!ring) {
        return -ENOMEM;
    }
    memset(ring, 0, sizeof(*ring));
    ring->base.engine = &wr_engine_kernel;
    ring->base.allocator = options->allocator;
    err = ring_kernel_init_queue_patiently(&ring->uring, options, &waits);
    if (err < 0) {
        wr_free(options->allocator, ring, sizeof(*ring));
        return wr_probe_explain(err);
    }

    ring->waits = waits;
    features.sq_entries = ring->uring.sq.ring_entries;
    features.cq_entries = ring->uring.cq.ring_entries;
    ring->features = features;
    *ret_features = features;
    *ret = &ring->base;
    return 0;
}

static int ring_kernel_enable(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(!ring->enabled);
    int err = io_uring_enable_rings(&ring->uring);
    if (err < 0) {
        return err;
    }
    ring->enabled = true;

    ring->enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (wr_has(&ring->features, WR_FEATURE_NO_IOWAIT)) {
        ring->enter_flags |= WR_ENTER_NO_IOWAIT;
    }
    /* These calls are optional. They make the ring cheaper or safer. */
    if (io_uring_register_ring_fd(&ring->uring) == 1) {
        ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
    unsigned int workers[2] = {IO_WORKERS_MAX, IO_WORKERS_MAX};
    wr_ignore(io_uring_register_iowq_max_workers(&ring->uring, workers) < 0);
    wr_ignore(io_uring_ring_dontfork(&ring->uring) < 0);
    return 0;
}

/* Discards an SQE after an error. A close is carried out here. */
static void ring_kernel_lose_entry(struct wr_ring_kernel *ring)
{
    wr_assert(ring->error);
    if (ring->discarded.opcode == IORING_OP_CLOSE) {
        wr_ignore(wr_sys_close(ring->discarded.fd) < 0);
    }
    ring->discarded.opcode = IORING_OP_NOP;
}

/* Cancels all operations first. The kernel frees a closed ring some
 * milliseconds later, and listeners would stay bound until then. */
static void ring_kernel_close(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    if (ring->error) {
        ring_kernel_lose_entry(ring);
    }
    if (ring->enabled) {
        struct io_uring_sync_cancel_reg cancel = {
            .flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY,
            .timeout = {.tv_sec = -1, .tv_nsec = -1},
        };
        wr_ignore(io_uring_register_sync_cancel(&ring->uring, &cancel) < 0);
        wr_ignore(io_uring_get_events(&ring->uring) < 0);
    }
    wr_race_release(&wr_race_mappings);
    if (ring->buf_ring) {
        wr_ignore(io_uring_free_buf_ring(&ring->uring, ring->buf_ring,
                                         ring->buf_ring_entries,
                                         RING_BUF_GROUP) < 0);
        wr_locked_given_back();
    }
    io_uring_queue_exit(&ring->uring);
    wr_free(ring->base.allocator, ring, sizeof(*ring));
}

static int ring_kernel_keep_error(struct wr_ring_kernel *ring, int ret)
{
    switch (ret) {
    case 0:
    case -EINTR:
    case -ETIME:
    case -EBUSY:
        return 0;
    case -EAGAIN: /* the kernel has no memory for requests */
        wr_sys_sleep_a_little();
        return 0;
    case -EBADR:
        ring->error = WEIR_ERINGLOST;
        return ring->error;
    default:
        ring->error = ret;
        return ret;
    }
}

/* liburing has filled the array of indices once, in order. */
static unsigned int ring_kernel_publish(struct wr_ring_kernel *ring)
{
    struct io_uring_sq *sq = &ring->uring.sq;

    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - *sq->khead;
}

/* Makes one io_uring_enter(). liburing's helpers cannot pass NO_IOWAIT. */
static int ring_kernel_call(struct wr_ring_kernel *ring, uint32_t want,
                            uint64_t timeout_ns)
{
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(timeout_ns / 1000000000u),
        .tv_nsec = (long long)(timeout_ns % 1000000000u),
    };
    struct io_uring_getevents_arg arg = {
        .sigmask_sz = _NSIG / 8,
        .ts = timeout_ns == UINT64_MAX ? 0 : (uint64_t)(uintptr_t)&timeout,
    };

    const unsigned int count = ring_kernel_publish(ring);
    int ret = io_uring_enter2((unsigned int)ring->uring.enter_ring_fd, count,
                              want, ring->enter_flags, (sigset_t *)(void *)&arg,
                              sizeof(arg));
    ring->base.stats.enters++;
    if (ret < 0) {
        return ret;
    }
    wr_check((unsigned int)ret <= count);
    ring->base.stats.submitted += (uint64_t)ret;
    return 0;
}

static void ring_kernel_submit_full_queue(struct wr_ring_kernel *ring)
{
    ring->base.stats.sq_full++;
    for (int i = 0; i < SQ_FULL_RETRIES && !ring->error; i++) {
        wr_ignore(ring_kernel_keep_error(ring, ring_kernel_call(ring, 0, 0)) <
                  0);
        if (io_uring_sq_space_left(&ring->uring) > 0) {
            return;
        }
    }
    if (!ring->error) {
        ring->error = -EAGAIN;
    }
}

static struct io_uring_sqe *ring_kernel_sqe(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(ring->enabled);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (WR_UNLIKELY(!sqe)) {
        ring_kernel_submit_full_queue(ring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    if (WR_UNLIKELY(!sqe)) {
        ring_kernel_lose_entry(ring);
        sqe = &ring->discarded;
    }
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

static uint32_t ring_kernel_unsubmitted(const struct wr_ring *base)
{
    const struct wr_ring_kernel *ring =
        wr_container_of(base, const struct wr_ring_kernel, base);
    return io_uring_sq_ready(&ring->uring);
}

static struct io_uring_sqe *ring_kernel_unsubmitted_at(struct wr_ring *base,
                                                       uint32_t index)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    const struct io_uring_sq *sq = &ring->uring.sq;

    wr_assert(index < io_uring_sq_ready(&ring->uring));
    return &sq->sqes[(*sq->khead + index) & sq->ring_mask];
}

/* Returns true if an enter that does not wait would do nothing. */
static bool ring_kernel_has_nothing(const struct wr_ring_kernel *ring)
{
    const unsigned int flags = IO_URING_READ_ONCE(*ring->uring.sq.kflags);

    return io_uring_sq_ready(&ring->uring) == 0 &&
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0 &&
           !ring->is_hosted;
}

static int ring_kernel_enter(struct wr_ring *base, uint32_t want,
                             uint64_t timeout_ns)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(ring->enabled);
    if (WR_UNLIKELY(ring->error)) {
        return ring->error;
    }
    if (io_uring_cq_ready(&ring->uring) > 0) {
        timeout_ns = 0;
    }
    if (timeout_ns == 0 && ring_kernel_has_nothing(ring)) {
        return 0;
    }
    int ret = ring_kernel_call(ring, timeout_ns == 0 ? 0 : want, timeout_ns);
    if (WR_UNLIKELY(io_uring_cq_has_overflow(&ring->uring)) &&
        !ring->overflowed) {
        ring->overflowed = true;
        ring->base.stats.overflows++;
    }
    return ring_kernel_keep_error(ring, ret);
}

static uint32_t ring_kernel_reap(struct wr_ring *base, struct wr_cqe *ret,
                                 uint32_t max)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    uint32_t count = 0;
    uint32_t head;
    struct io_uring_cqe *cqe;
    wr_assert(ring->enabled);

    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        if (count == max) {
            break;
        }
        memcpy(&ret[count], cqe, sizeof(ret[0]));
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
    ring->base.stats.completions += count;
    return count;
}

/* The kernel refuses to resize the queue while overflowed CQEs are pending. */
static bool ring_kernel_handle_overflow(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    if (WR_LIKELY(!ring->overflowed) ||
        io_uring_cq_has_overflow(&ring->uring)) {
        return false;
    }
    ring->overflowed = false;
    const uint32_t cq_entries = ring->uring.cq.ring_entries;
    if (!wr_has(&ring->features, WR_FEATURE_RING_RESIZE) ||
        cq_entries >= CQ_ENTRIES_MAX) {
        return true;
    }

    ring_kernel_publish(ring); /* SQEs that are not published would be lost */
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .sq_entries = ring->uring.sq.ring_entries,
        .cq_entries = cq_entries * 2,
    };
    void *old = ring->uring.sq.sqes;
    wr_race_release(&wr_race_mappings);
    /* On failure the queue stays small, which is only slower under bursts. */
    const int err = io_uring_resize_rings(&ring->uring, &params);
    if (err == 0 && io_uring_major_version() == 2 &&
        io_uring_minor_version() == 9) {
        /* liburing 2.9 leaves the old SQEs mapped (probe_find_features()). */
        wr_ignore(
            munmap(old, params.sq_entries * sizeof(struct io_uring_sqe)) != 0);
    }
    wr_race_acquire(&wr_race_mappings);
    /* The kernel may have set the flag for pending work in the old ring. */
    if (err == 0) {
        wr_ignore(ring_kernel_keep_error(ring, ring_kernel_call(ring, 0, 0)) <
                  0);
    }
    return true;
}

static bool ring_kernel_has_completions(const struct wr_ring *base)
{
    const struct wr_ring_kernel *ring =
        wr_container_of(base, const struct wr_ring_kernel, base);
    const unsigned int flags = IO_URING_READ_ONCE(*ring->uring.sq.kflags);

    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 ||
           ring->is_untold || io_uring_cq_ready(&ring->uring) > 0;
}

static int ring_kernel_setup_buffers(struct wr_ring *base, uint32_t entries,
                                     bool incremental)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(!ring->buf_ring);
    wr_assert(entries > 0);
    wr_assert((entries & (entries - 1)) == 0);
    const unsigned int flags =
        incremental ? (unsigned int)IOU_PBUF_RING_INC : 0u;
    int err = 0;
    do {
        ring->buf_ring = io_uring_setup_buf_ring(&ring->uring, entries,
                                                 RING_BUF_GROUP, flags, &err);
    } while (!ring->buf_ring &&
             wr_locked_wait(err, &ring->waits, WR_LOCKED_WAITS));
    wr_race_acquire(&wr_race_mappings);
    if (!ring->buf_ring) {
        return wr_probe_explain(err);
    }
    ring->buf_ring_entries = entries;
    ring->buf_flags = flags;
    return 0;
}

static void ring_kernel_provide_buffer(struct wr_ring *base, void *data,
                                       uint32_t len, uint16_t buf_id)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(len > 0);
    wr_assert(ring->buf_unseen < (int)ring->buf_ring_entries);
    io_uring_buf_ring_add(ring->buf_ring, data, len, buf_id,
                          io_uring_buf_ring_mask(ring->buf_ring_entries),
                          ring->buf_unseen);
    ring->buf_unseen++;
}

static void ring_kernel_commit_buffers(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);
    wr_assert(ring->buf_ring || ring->buf_unseen == 0);
    if (ring->buf_unseen > 0) {
        io_uring_buf_ring_advance(ring->buf_ring, ring->buf_unseen);
        ring->buf_unseen = 0;
    }
}

/* Does nothing: a request holds its file and does not need the descriptor. */
static void ring_kernel_forget(struct wr_ring *base, int fd)
{
    wr_assert(ring_kernel_of(base)->enabled);
    wr_assert(fd >= 0);
}

static uint64_t ring_kernel_trim(struct wr_ring *base)
{
    wr_assert(base->engine == &wr_engine_kernel);
    return 0;
}

/* ---- another event loop ----
 *
 * The descriptor with which another event loop, the host, waits for the ring.
 *
 * With DEFER_TASKRUN an eventfd that is registered with the ring reports
 * pending work. But if a write to another eventfd, like the loop's mailbox,
 * causes the work, the kernel reports it only after an RCU period of 10 to 20
 * ms, and from Linux 6.13 on (also in 6.12.117) only once. So if the host is
 * known before the ring is enabled, the ring is made again without
 * DEFER_TASKRUN. The ring's own descriptor is then readable at once and as long
 * as there are completions, in every kernel since 6.1.
 *
 * Without DEFER_TASKRUN the kernel marks the thread as if a signal were pending
 * when it has something to finish, and a TCP receive that is before an urgent
 * byte gives up while the mark is set. An armed receive then waits for the next
 * event of its socket (Linux 6.18), which never arrives after the peer's end. A
 * receive that is submitted after the end may wait too. A one-shot poll misses
 * nothing.
 *
 * A ring that is already enabled has operations in the kernel, so it is kept.
 * It is also kept if RLIMIT_MEMLOCK does not allow a second ring. An eventfd
 * signals the host of such a ring. It is registered again after each run, as
 * the kernel signals once for each registration. */

static void ring_kernel_exit(struct io_uring *uring,
                             struct io_uring_buf_ring *buf_ring,
                             uint32_t entries)
{
    wr_race_release(&wr_race_mappings);
    if (buf_ring) {
        wr_ignore(io_uring_free_buf_ring(uring, buf_ring, entries,
                                         RING_BUF_GROUP) < 0);
    }
    io_uring_queue_exit(uring);
}

/* Replaces an unused ring by a ring of the same size without DEFER_TASKRUN. */
static int ring_kernel_make_anew(struct wr_ring_kernel *ring)
{
    const uint32_t entries = ring->buf_ring_entries;
    struct io_uring uring;
    struct io_uring_buf_ring *buf_ring = NULL;

    wr_assert(!ring->enabled);
    wr_assert(!ring->is_hosted);
    wr_assert(ring->buf_unseen == 0);
    int err =
        ring_kernel_init(&uring, ring->features.sq_entries,
                         ring->features.cq_entries, IORING_SETUP_COOP_TASKRUN);
    if (err < 0) {
        return wr_probe_explain(err);
    }
    if (ring->buf_ring) {
        buf_ring = io_uring_setup_buf_ring(&uring, entries, RING_BUF_GROUP,
                                           ring->buf_flags, &err);
        wr_race_acquire(&wr_race_mappings);
        if (!buf_ring) {
            ring_kernel_exit(&uring, NULL, 0);
            return wr_probe_explain(err);
        }
    }
    ring_kernel_exit(&ring->uring, ring->buf_ring, entries);
    ring->uring = uring;
    ring->buf_ring = buf_ring;
    ring->is_hosted = true;
    ring->base.misses_ends = true;
    /* The kernel resizes only rings with DEFER_TASKRUN. */
    ring->features.found &= ~(1u << WR_FEATURE_RING_RESIZE);
    return 0;
}

static int ring_kernel_open_signal(struct wr_ring *base)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);

    if (!ring->enabled && !ring->is_hosted) {
        const int err = ring_kernel_make_anew(ring);
        wr_require(err != -EMFILE && err != -ENFILE, err);
    }
    if (!ring->is_hosted) {
        return wr_sys_eventfd_nonblock();
    }
    const int fd = fcntl(ring->uring.ring_fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static void ring_kernel_enable_signal(struct wr_ring *base, int fd, bool enable)
{
    struct wr_ring_kernel *ring = ring_kernel_of(base);

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
    /* Fails without memory, or if a seccomp filter was added. The next run
     * tries again. */
    ring->is_untold = err < 0;
}

const struct wr_engine wr_engine_kernel = {
    .open = ring_kernel_open,
    .enable = ring_kernel_enable,
    .close = ring_kernel_close,
    .sqe = ring_kernel_sqe,
    .unsubmitted = ring_kernel_unsubmitted,
    .unsubmitted_at = ring_kernel_unsubmitted_at,
    .enter = ring_kernel_enter,
    .reap = ring_kernel_reap,
    .handle_overflow = ring_kernel_handle_overflow,
    .forget = ring_kernel_forget,
    .open_signal = ring_kernel_open_signal,
    .enable_signal = ring_kernel_enable_signal,
    .has_completions = ring_kernel_has_completions,
    .setup_buffers = ring_kernel_setup_buffers,
    .provide_buffer = ring_kernel_provide_buffer,
    .commit_buffers = ring_kernel_commit_buffers,
    .trim = ring_kernel_trim,
};

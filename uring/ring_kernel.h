/*
 * The state of an io_uring ring.
 *
 * Only ring_kernel.c and ring_host.c, which runs the ring inside another event
 * loop, include this.
 */
#ifndef WEIR_URING_RING_KERNEL_H
#define WEIR_URING_RING_KERNEL_H

#include "check.h"
#include "engine.h"
#include "list.h"
#include "race.h"

#include <liburing.h>

#define WR_RING_BUF_GROUP 0

struct wr_ring_kernel {
    struct wr_ring base;
    struct io_uring uring;
    struct wr_features features;
    struct io_uring_buf_ring *buf_ring;
    uint32_t buf_ring_entries;
    unsigned int buf_flags;
    unsigned int enter_flags;
    int buf_unseen; /* buffers added, not committed yet */
    uint32_t waits; /* sleeps for memory so far */
    int error;      /* sticky */
    bool enabled;
    bool is_hosted; /* without DEFER_TASKRUN; see ring_host.c */
    bool is_untold; /* without a registered eventfd: the host must not wait */
    bool overflowed;
    struct io_uring_sqe discarded; /* returned by sqe() after an error */
};

static inline struct wr_ring_kernel *wr_ring_kernel_of(struct wr_ring *base)
{
    wr_debug_assert(base->engine == &wr_engine_kernel);
    return wr_container_of(base, struct wr_ring_kernel, base);
}

/* Makes the queues. @task_work: set-up flag for when task work runs. */
WEIR_MUST_USE static inline int wr_ring_kernel_init(struct io_uring *uring,
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

#endif

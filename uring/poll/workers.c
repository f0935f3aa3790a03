/*
 * The calls of operations, as jobs of a ring's threads.
 *
 * A thread must not write the state of an operation, which the loop's thread
 * may read.
 */
#include "poll_impl.h"

#include "../sys.h"
#include "../work.h"

#include <errno.h>

/* Time in ns between two attempts to open a FIFO. */
#define REST_NS 5000000u

struct workers_call {
    struct wr_jobs *jobs;
    struct wr_ep_op *op;
};

static int workers_rest(void *arg)
{
    const struct workers_call *call = arg;

    return wr_jobs_rest(call->jobs, &call->op->job, REST_NS) ? -EINTR : 0;
}

static void workers_run(struct wr_jobs *jobs, struct wr_job *job)
{
    struct wr_ep_op *op = wr_container_of(job, struct wr_ep_op, job);
    struct workers_call call = {jobs, op};

    wr_assert(!wr_list_is_linked(&op->link));
    op->res = op->sqe.opcode == IORING_OP_CLOSE || wr_jobs_are_open(jobs)
                  ? wr_work(&op->sqe, workers_rest, &call)
                  : -ECANCELED;
}

static void workers_tell(struct wr_jobs *jobs)
{
    wr_ignore(wr_sys_eventfd_write(
                  wr_container_of(jobs, struct wr_ep_workers, jobs)->eventfd) <
              0);
}

int wr_ep_workers_open(struct wr_ep_workers *workers)
{
    static const struct wr_jobs_kind kind = {.name = "weir-work",
                                             .idle_ns = UINT64_MAX,
                                             .run = workers_run,
                                             .tell = workers_tell};

    workers->eventfd = wr_sys_eventfd_nonblock();
    wr_require(workers->eventfd >= 0, workers->eventfd);
    wr_jobs_init(&workers->jobs, &kind, WR_EP_WORKERS_MAX, UINT32_MAX);
    return 0;
}

bool wr_ep_workers_push(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    wr_assert(op->state == WR_EP_WORKING);
    return wr_jobs_push(&workers->jobs, &op->job) == 0;
}

bool wr_ep_workers_take_back(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    wr_assert(op->state == WR_EP_WORKING);
    return wr_jobs_withdraw(&workers->jobs, &op->job);
}

void wr_ep_workers_collect(struct wr_ep_workers *workers, struct wr_list *ret)
{
    wr_assert(workers->eventfd >= 0);
    wr_ignore(wr_sys_eventfd_drain(workers->eventfd) < 0);
    wr_jobs_hear(&workers->jobs);
    wr_jobs_take_done(&workers->jobs, ret);
}

void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops)
{
    struct wr_list finished;
    struct wr_list *link;

    wr_list_init(&finished);
    const uint32_t left_count = wr_jobs_end(&workers->jobs, true, &finished);
    wr_assert(left_count == 0);
    wr_assert(workers->eventfd >= 0);
    while ((link = wr_list_pop_front(&finished))) {
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        wr_ep_ops_end(ops, op, op->res, 0);
    }
    wr_jobs_fini(&workers->jobs);
    wr_ignore(wr_sys_close(workers->eventfd) < 0);
}

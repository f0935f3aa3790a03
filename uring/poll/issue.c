/*
 * Moves operations between their states; see kind.h.
 *
 * Operations that need not wait complete in the order of submission, all others
 * in the order of readiness.
 */
#include "../work.h"
#include "kind.h"

#include "../sys.h"

#include <poll.h>

static void issue_time(struct wr_ep_ring *ring, struct wr_ep_op *op)
{
    struct wr_list *at = ring->timed.prev;

    while (at != &ring->timed &&
           wr_container_of(at, struct wr_ep_op, link)->due_ns > op->due_ns) {
        at = at->prev;
    }
    wr_ep_ops_wait(&ring->ops, op, WR_EP_TIMED);
    wr_assert(!wr_list_is_linked(&op->link));
    wr_list_push_back(at->next, &op->link);
}

/* @op must be in no list. @res is a result of a function of kind.h. */
static void issue_go_on(struct wr_ep_ring *ring, struct wr_ep_op *op,
                        int32_t res, uint32_t flags)
{
    switch (res) {
    case WR_EP_PARKS:
        wr_ep_ops_wait(&ring->ops, op, WR_EP_PARKED);
        wr_ep_watch_park(&ring->interest,
                         wr_ep_watch_find(&ring->interest, op->awaited_fd), op);
        break;
    case WR_EP_WORKS:
        wr_ep_ops_wait(&ring->ops, op, WR_EP_WORKING);
        if (!wr_ep_workers_push(&ring->workers, op)) {
            wr_ep_ops_end(&ring->ops, op, -ECANCELED, 0);
        }
        break;
    case WR_EP_TIMES:
        issue_time(ring, op);
        break;
    default:
        wr_assert(res > WR_EP_TIMES);
        wr_ep_ops_end(&ring->ops, op, res, flags);
        break;
    }
}

static __attribute__((noinline, cold)) bool
issue_alone(const struct wr_ep_kind *kind, struct wr_ep_call *call)
{
    int32_t res = kind->begin(call);

    /* A close or a NOP without memory for an operation cannot go to a worker,
     * so this thread makes the call, even if the close blocks. */
    if (res == WR_EP_WORKS) {
        res = wr_work_here(call->sqe);
    }
    wr_assert(res > WR_EP_TIMES);
    wr_ep_ops_complete(&call->ring->ops, call->sqe, res, call->flags);
    return true;
}

bool wr_ep_issue(struct wr_ep_ring *ring, struct io_uring_sqe *sqe)
{
    const struct wr_ep_kind *kind = wr_ep_kind_of(sqe);
    struct wr_ep_call call = {.ring = ring, .sqe = sqe};

    if (kind->attempt) {
        const int fd = sqe->opcode == IORING_OP_SPLICE
                           ? wr_ep_awaited_fd_of_splice(sqe)
                           : sqe->fd;
        call.watch = wr_ep_watch_get(&ring->interest, fd);
        wr_require(call.watch, false);
    }
    if (WR_UNLIKELY(!wr_ep_ops_reserve(&ring->ops))) {
        return kind->needs_no_op && wr_ep_ops_may_end(&ring->ops) &&
               issue_alone(kind, &call);
    }
    const int32_t res = kind->begin(&call);
    if (res > WR_EP_TIMES) {
        wr_ep_ops_complete(&ring->ops, sqe, res, call.flags);
    } else {
        struct wr_ep_op *op = wr_ep_ops_new(&ring->ops, call.sqe);

        op->awaited_fd = call.watch ? call.watch->fd : -1;
        op->events = (uint16_t)call.events;
        op->due_ns = call.due_ns;
        issue_go_on(ring, op, res, 0);
    }
    return true;
}

static bool issue_attempt(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                          struct wr_ep_op *op, uint32_t events)
{
    struct wr_ep_call call = {.ring = ring,
                              .sqe = &op->sqe,
                              .watch = watch,
                              .op = op,
                              .came = events};

    wr_assert(op->state == WR_EP_PARKED);
    const int32_t res = wr_ep_kind_of(&op->sqe)->attempt(&call);
    if (res == WR_EP_PARKS) {
        return false;
    }
    wr_ep_watch_leave(&ring->interest, watch, op);
    issue_go_on(ring, op, res, call.flags);
    return true;
}

static bool issue_is_held_back(const struct wr_ep_ring *ring,
                               const struct wr_ep_watch *watch)
{
    wr_assert(watch->registered != 0);
    return watch->is_own && ring->ops.ended_count > 0 &&
           (ring->receives_left == 0 || !wr_ep_buffers_first(&ring->buffers));
}

bool wr_ep_wake(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                uint32_t events)
{
    const uint32_t ended_before = ring->ops.ended_count;
    bool was_wanted = false;
    bool has_ended = false;
    struct wr_list *next;

    if (WR_UNLIKELY(issue_is_held_back(ring, watch))) {
        return false;
    }
    ring->receives_left -= watch->is_own && ring->receives_left > 0;
    for (struct wr_list *link = watch->ops.next; link != &watch->ops;
         link = next) {
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        next = link->next;
        if (events & (op->events | POLLERR | POLLHUP)) {
            was_wanted = was_wanted || (events & ~op->told) != 0;
            has_ended = issue_attempt(ring, watch, op, events) || has_ended;
        }
    }
    /* A multishot operation continues after a completion. */
    const bool was_useful = has_ended || ring->ops.ended_count > ended_before;
    wr_ep_watch_note(&ring->interest, watch, was_useful, was_wanted);
    return true;
}

void wr_ep_go_on_without_set(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                             int err)
{
    struct wr_list *link;

    wr_assert(err < 0);
    while (!wr_list_is_empty(&watch->ops)) {
        link = watch->ops.next;
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        const uint32_t ready = op->events & (POLLIN | POLLOUT);
        const bool is_poll = op->sqe.opcode == IORING_OP_POLL_ADD;
        const bool is_call = wr_work_waits(&op->sqe);
        wr_ep_watch_leave(&ring->interest, watch, op);
        /* EPERM means that the file is always ready: a poll completes, and a
         * read, a write or a splice goes to a worker. */
        issue_go_on(ring, op,
                    err == -EPERM && is_poll   ? (int32_t)ready
                    : err == -EPERM && is_call ? WR_EP_WORKS
                                               : err,
                    0);
    }
}

void wr_ep_collect(struct wr_ep_ring *ring)
{
    struct wr_list finished;
    struct wr_list *link;

    wr_list_init(&finished);
    wr_ep_workers_collect(&ring->workers, &finished);
    while ((link = wr_list_pop_front(&finished))) {
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        wr_assert(!wr_list_is_linked(&op->link));
        const bool again = op->res == -EAGAIN && op->awaited_fd >= 0 &&
                           wr_work_waits(&op->sqe);
        issue_go_on(ring, op, again ? WR_EP_PARKS : op->res, 0);
    }
}

uint64_t wr_ep_time_left(const struct wr_ep_ring *ring, uint64_t limit_ns)
{
    if (wr_list_is_empty(&ring->timed)) {
        return limit_ns;
    }
    const struct wr_ep_op *first =
        wr_container_of(ring->timed.next, const struct wr_ep_op, link);
    const uint64_t now_ns = wr_sys_now();
    wr_assert(first->state == WR_EP_TIMED);
    return first->due_ns <= now_ns
               ? 0
               : wr_min_u64(limit_ns, first->due_ns - now_ns);
}

void wr_ep_expire(struct wr_ep_ring *ring)
{
    while (!wr_list_is_empty(&ring->timed) && wr_ep_time_left(ring, 1) == 0) {
        struct wr_list *link = wr_list_pop_front(&ring->timed);
        wr_assert(link);
        wr_ep_ops_end(&ring->ops, wr_container_of(link, struct wr_ep_op, link),
                      -ETIME, 0);
    }
}

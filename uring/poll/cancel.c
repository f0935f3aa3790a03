/*
 * Ends operations early: one for a cancel request, all when the ring is closed.
 *
 * A worker that has begun a call is not stopped, unless it opens a FIFO: the
 * operation ends with its call.
 */
#include "poll_impl.h"

#include <errno.h>
#include <string.h>

bool wr_ep_cancel_kept(struct wr_ep_ring *ring, uint64_t user_data)
{
    uint32_t at = 0;

    wr_assert(ring->kept_count <= ring->sq_tail);
    while (at < ring->kept_count && ring->sq[at].user_data != user_data) {
        at++;
    }
    if (at == ring->kept_count) {
        return false;
    }
    wr_ep_ops_complete(&ring->ops, &ring->sq[at], -ECANCELED, 0);
    ring->kept_count--;
    memmove(&ring->sq[at], &ring->sq[at + 1],
            (ring->kept_count - at) * sizeof(ring->sq[0]));
    return true;
}

bool wr_ep_stop(struct wr_ep_ring *ring, struct wr_ep_op *op)
{
    switch (op->state) {
    case WR_EP_PARKED:
        wr_ep_watch_leave(&ring->interest,
                          wr_ep_watch_find(&ring->interest, op->awaited_fd),
                          op);
        return true;
    case WR_EP_TIMED:
        wr_list_remove(&op->link);
        return true;
    case WR_EP_WORKING:
        return wr_ep_workers_take_back(&ring->workers, op);
    case WR_EP_NEW:
    case WR_EP_STATES:
        break;
    }
    /* wr_ep_ops_find() returns only waiting operations */
    wr_check(op->state == WR_EP_PARKED);
    return false;
}

static void cancel_list(struct wr_ep_ring *ring, struct wr_list *list)
{
    while (!wr_list_is_empty(list)) {
        struct wr_ep_op *op =
            wr_container_of(list->next, struct wr_ep_op, link);
        const bool is_stopped = wr_ep_stop(ring, op);
        wr_assert(is_stopped);
        wr_ep_ops_end(&ring->ops, op, -ECANCELED, 0);
    }
}

void wr_ep_cancel_all(struct wr_ep_ring *ring)
{
    cancel_list(ring, &ring->timed);
    for (uint32_t i = 0; i < wr_ep_interest_fds(&ring->interest); i++) {
        struct wr_ep_watch *watch = wr_ep_watch_find(&ring->interest, (int)i);
        if (watch) {
            cancel_list(ring, &watch->ops);
        }
    }
    wr_assert(wr_list_is_empty(&ring->timed));
}

/*
 * Polls of the program's descriptors; see descriptor.h.
 *
 * A poll is a one-shot operation, which completes at once if the descriptor is
 * ready. Arming it again in each iteration costs one SQE; any other check would
 * cost a system call.
 *
 * The kernel adds POLLRDHUP to the requested events. So after the peer's FIN,
 * each one-shot poll for space would complete at once without space. From the
 * first such completion on, the poll is multishot, which reports each change
 * once, and it is cancelled when it fires. If the completion queue overflows,
 * the kernel ends a multishot poll, and it is armed again.
 */
#include "descriptor.h"

#include <poll.h>

struct polls {
    struct wr_module module;
    weir_loop *loop;
    struct wr_slab slab;
    struct wr_list alive;
};

static struct polls *poll_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct polls, module);
}

static void poll_set_state(struct wr_poll *poll, enum wr_poll_state state)
{
    static const uint8_t allowed[WR_POLL_STATES] = {
        [WR_POLL_DUE] = 1u << WR_POLL_ARMED | 1u << WR_POLL_STOPPED,
        [WR_POLL_ARMED] =
            1u << WR_POLL_DUE | 1u << WR_POLL_FIRED | 1u << WR_POLL_STOPPED,
        [WR_POLL_FIRED] = 1u << WR_POLL_DUE | 1u << WR_POLL_STOPPED,
    };
    wr_assert(state < WR_POLL_STATES);
    wr_assert(allowed[poll->state] >> state & 1u);
    poll->state = state;
}

static void poll_check_invariants(const struct wr_poll *poll)
{
    const bool waits_for_turn_end = wr_list_is_linked(&poll->turn_end.link);

    wr_assert(poll->fd >= 0);
    wr_assert(poll->direction < WR_DIRECTIONS);
    wr_assert(!waits_for_turn_end || poll->state == WR_POLL_DUE);
    switch (poll->state) {
    case WR_POLL_DUE:
        wr_assert(waits_for_turn_end != poll->op.in_flight);
        break;
    case WR_POLL_ARMED:
    case WR_POLL_STOPPED:
        wr_assert(poll->op.in_flight);
        break;
    case WR_POLL_FIRED: /* a multishot poll may be in flight */
    case WR_POLL_STATES:
        break;
    }
}

static void poll_check_all(const struct wr_module *module)
{
    const struct polls *polls =
        wr_container_of(module, const struct polls, module);

    wr_slab_check_invariants(&polls->slab);
    for (const struct wr_list *link = polls->alive.next; link != &polls->alive;
         link = link->next) {
        poll_check_invariants(
            wr_container_of(link, const struct wr_poll, link));
    }
}

/* The ring is closed, and all polls were stopped. */
static void poll_abandon_all(struct wr_module *module)
{
    struct polls *polls = poll_of_module(module);
    struct wr_list *link = polls->alive.next;

    wr_assert(!polls->loop->uring.ring);
    while (link != &polls->alive) {
        struct wr_poll *poll = wr_container_of(link, struct wr_poll, link);
        link = link->next;
        wr_assert(poll->state == WR_POLL_STOPPED);
        wr_op_abandon(&polls->loop->uring, &poll->op);
    }
}

static uint64_t poll_trim(struct wr_module *module)
{
    return wr_slab_trim(&poll_of_module(module)->slab);
}

static void poll_close(struct wr_module *module)
{
    struct polls *polls = poll_of_module(module);
    weir_loop *loop = polls->loop;

    wr_assert(wr_loop_is_closed(loop));
    wr_assert(wr_list_is_empty(&polls->alive));
    wr_slab_fini(&polls->slab);
    wr_free(&loop->counting, polls, sizeof(*polls));
}

static const struct wr_module_ops poll_module_ops = {
    .end = {[WR_END_ABANDON] = poll_abandon_all},
    .trim = poll_trim,
    .close = poll_close,
    .check = poll_check_all,
};

static struct polls *poll_find_polls(const weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &poll_module_ops);

    return module ? poll_of_module(module) : NULL;
}

WEIR_MUST_USE static struct polls *poll_open_polls(weir_loop *loop)
{
    struct polls *polls = poll_find_polls(loop);
    if (polls) {
        return polls;
    }
    polls = wr_alloc(&loop->counting, sizeof(*polls));
    if (!polls) {
        return NULL;
    }
    polls->loop = loop;
    wr_slab_init(&polls->slab, &loop->counting, sizeof(struct wr_poll));
    wr_list_init(&polls->alive);
    wr_loop_add_module(loop, &polls->module, &poll_module_ops);
    return polls;
}

static void poll_free(struct wr_poll *poll)
{
    struct polls *polls = poll_find_polls(poll->loop);

    wr_assert(polls);
    wr_assert(!poll->op.in_flight);
    wr_list_remove(&poll->turn_end.link);
    wr_list_remove(&poll->link);
    wr_slab_give(&polls->slab, poll);
}

static void poll_arm(struct wr_turn_end *turn_end)
{
    struct wr_poll *poll = wr_container_of(turn_end, struct wr_poll, turn_end);

    wr_assert(!poll->op.in_flight);
    poll_set_state(poll, WR_POLL_ARMED);
    wr_prep_poll(&poll->loop->uring, &poll->op, poll->fd,
                 poll->direction == WR_READING ? POLLIN : POLLOUT,
                 poll->fin_seen);
}

/* Arms the poll at the iteration's end, or after the operation in flight. */
static void poll_make_due(struct wr_poll *poll)
{
    poll_set_state(poll, WR_POLL_DUE);
    if (!poll->op.in_flight) {
        wr_loop_at_turn_end(poll->loop, &poll->turn_end);
    }
}

static bool poll_is_ready(const struct wr_poll *poll, int32_t events)
{
    const int32_t wanted = poll->direction == WR_READING
                               ? POLLIN | POLLHUP | POLLERR | POLLRDHUP
                               : POLLOUT | POLLHUP | POLLERR;
    return (events & wanted) != 0;
}

static void poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_poll *poll = wr_container_of(op, struct wr_poll, op);
    (void)flags;

    wr_assert(!wr_list_is_linked(&poll->turn_end.link));
    switch (poll->state) {
    case WR_POLL_STOPPED:
        if (!op->in_flight) {
            poll_free(poll);
        }
        break;
    case WR_POLL_DUE: /* a cancelled multishot poll has ended */
        if (!op->in_flight) {
            wr_loop_at_turn_end(poll->loop, &poll->turn_end);
        }
        break;
    case WR_POLL_ARMED:
        if (res < 0 || poll_is_ready(poll, res)) {
            const int err = res < 0 ? res : 0;
            wr_assert(err == 0 || !poll->op.in_flight);
            poll_set_state(poll, WR_POLL_FIRED);
            wr_op_cancel(&poll->loop->uring, &poll->op);
            poll->fired(poll, err);
        } else if (!op->in_flight) {
            poll->fin_seen = true; /* a FIN, or a multishot poll has ended */
            poll_make_due(poll);
        }
        break;
    /* a multishot poll has ended or reports another change */
    case WR_POLL_FIRED:
    case WR_POLL_STATES:
        wr_assert(poll->fin_seen);
        break;
    }
}

int wr_poll_new(weir_loop *loop, int fd, enum wr_direction direction,
                wr_poll_fired_fn *fired, void *arg, struct wr_poll **ret)
{
    wr_assert(fd >= 0);
    wr_assert(fired);
    wr_assert(!wr_loop_is_closed(loop));
    struct polls *polls = poll_open_polls(loop);
    struct wr_poll *poll = polls ? wr_slab_take(&polls->slab) : NULL;
    if (!poll) {
        return -ENOMEM;
    }
    *poll = (struct wr_poll){.turn_end = {.run = poll_arm},
                             .loop = loop,
                             .fired = fired,
                             .arg = arg,
                             .fd = fd,
                             .direction = direction,
                             .state = WR_POLL_DUE};
    wr_op_init(&poll->op, poll_completed);
    wr_list_init(&poll->turn_end.link);
    wr_list_init(&poll->link);
    wr_list_push_back(&polls->alive, &poll->link);
    wr_loop_at_turn_end(loop, &poll->turn_end);
    *ret = poll;
    return 0;
}

void wr_poll_again(struct wr_poll *poll)
{
    poll_check_invariants(poll);
    wr_assert(poll->state == WR_POLL_FIRED);
    poll_make_due(poll);
}

void wr_poll_stop(struct wr_poll *poll)
{
    poll_check_invariants(poll);
    wr_assert(poll->state != WR_POLL_STOPPED);
    if (!poll->op.in_flight) {
        poll_free(poll);
        return;
    }
    if (poll->state == WR_POLL_ARMED) {
        wr_op_cancel(&poll->loop->uring, &poll->op);
    } /* in other states it was cancelled when it fired */
    poll_set_state(poll, WR_POLL_STOPPED);
}

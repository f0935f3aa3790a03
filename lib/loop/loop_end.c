/*
 * The end of a loop, which frees everything.
 *
 * Members are shut down stage by stage, and iterations are made until they have
 * left; then the ready queue runs, up to a limit, and the ring is closed.
 * Modules take part in steps (enum wr_end_step). Handles that the program still
 * has pin the loop's memory.
 */
#include "loop_impl.h"

static bool loop_end_has_members(const weir_loop *loop)
{
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        if (!wr_list_is_empty(&loop->members[stage])) {
            return true;
        }
    }
    return false;
}

/* Ends a deadlock of tasks that wait for each other's end. Any other event that
 * could wake a task is in the ready queue, or comes from a transport or a
 * member in WR_STAGE_MAKERS. */
static void loop_end_circles(weir_loop *loop)
{
    if (!wr_list_is_empty(&loop->members[WR_STAGE_TASKS]) &&
        wr_list_is_empty(&loop->ready) &&
        wr_list_is_empty(&loop->members[WR_STAGE_MAKERS]) &&
        wr_list_is_empty(&loop->members[WR_STAGE_TRANSPORTS])) {
        wr_loop_give_up(loop);
    }
}

static void loop_end_abandon_stage(struct wr_list *members)
{
    struct wr_list *link = members->next;

    while (link != members) {
        struct wr_member *member =
            wr_container_of(link, struct wr_member, link);
        link = link->next;
        if (member->ops->abandon) {
            member->ops->abandon(member);
        }
    }
}

/* Called when the ring failed permanently. Members end from the ready queue. */
static void loop_end_abandon_everything(weir_loop *loop)
{
    wr_uring_close(&loop->uring);
    for (uint32_t i = 0; i < WR_LOOP_SUBMITS_MAX && loop_end_has_members(loop);
         i++) {
        for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
            loop_end_abandon_stage(&loop->members[stage]);
        }
        loop_end_circles(loop);
        wr_loop_run_ready(loop);
    }
    wr_loop_run_turn_ends(loop);
    wr_loop_end_modules(loop, WR_END_ABANDON);
    wr_assert(loop->uring.ops_in_flight == 0);
}

/* Runs iterations until all members have left, then waits for operations. */
static void loop_end_reap_everything(weir_loop *loop)
{
    int err = 0;
    while (err == 0 && (loop_end_has_members(loop) ||
                        !wr_list_is_empty(&loop->turn_ends))) {
        loop_end_circles(loop);
        err = wr_loop_turn(loop);
    }
    wr_loop_end_modules(loop, WR_END_CANCEL);
    while (loop->uring.ops_in_flight > 0 && err == 0) {
        err = wr_uring_enter(&loop->uring, 1, UINT64_MAX);
        wr_ignore(wr_uring_dispatch(&loop->uring, UINT32_MAX));
    }
    if (err == 0) {
        err = wr_loop_submit_all(loop);
    }
    if (err < 0) {
        loop_end_abandon_everything(loop);
    }
}

void wr_loop_release(weir_loop *loop)
{
    if (loop->state != WR_LOOP_CLOSED) {
        return;
    }
    wr_loop_set_state(loop, WR_LOOP_RELEASING);
    while (!wr_list_is_empty(&loop->ready)) {
        wr_loop_run_ready(loop);
    }
    wr_loop_set_state(loop, WR_LOOP_CLOSED);
    /* Only futures, which are cancelled, may be left. */
    wr_assert(loop->member_counts[WR_STAGE_MAKERS] == 0);
    wr_assert(loop->member_counts[WR_STAGE_TASKS] == 0);
    wr_assert(loop->member_counts[WR_STAGE_TRANSPORTS] == 0);
    if (loop->pin_count > 0 || loop->pool.own.lease_count > 0) {
        return;
    }
    const struct weir_allocator *allocator = loop->allocator;
    const bool empty = wr_pool_fini(&loop->pool);
    /* A lease would keep its socket, which would pin the loop. */
    wr_assert(empty);
    wr_loop_close_modules(loop);
    wr_owned_free(&loop->owned, &loop->counting);
    wr_slab_fini(&loop->socks);
    wr_slab_fini(&loop->clocks);
    wr_slab_fini(&loop->chunks);
    wr_blocks_fini(&loop->blocks);
    /* other threads may still refer to the mailbox, which is closed */
    wr_wake_unref(loop->wake);
    wr_assert(loop->memory_bytes == 0);
    wr_free(allocator, loop, sizeof(*loop));
}

static int loop_end_everything(weir_loop *loop)
{
    wr_assert(loop->member_counts[WR_STAGE_TRANSPORTS] <= INT32_MAX);
    const int alive = (int)loop->member_counts[WR_STAGE_TRANSPORTS];

    wr_loop_end_modules(loop, WR_END_SHUTDOWN);
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        struct wr_list *link = loop->members[stage].next;

        while (link != &loop->members[stage]) {
            struct wr_member *member =
                wr_container_of(link, struct wr_member, link);
            link = link->next;
            member->ops->shutdown(member);
        }
    }
    loop_end_reap_everything(loop);
    wr_assert(loop->uring.ops_in_flight == 0);
    wr_loop_end_modules(loop, WR_END_STOP);
    /* Limited, because callbacks may queue further callbacks for ever. */
    for (uint32_t i = 0; i < WR_LOOP_SUBMITS_MAX; i++) {
        wr_loop_run_ready(loop);
    }
    return alive;
}

int weir_loop_free(weir_loop *loop)
{
    if (!loop) {
        return 0;
    }
    wr_require_loop(loop);
    wr_require(loop->state == WR_LOOP_IDLE, -EBUSY);
    int err = wr_loop_bind(loop);
    if (err < 0) {
        return err;
    }

    loop->is_stopping = false;
    wr_assert(!loop->current);
    wr_loop_set_state(loop, WR_LOOP_CLOSING);
    const int alive = loop_end_everything(loop);
    wr_loop_end_modules(loop, WR_END_RESTORE);
    wr_uring_close(&loop->uring);
    wr_loop_set_state(loop, WR_LOOP_CLOSED);
    loop->pool.own.notify_released = true;
    wr_loop_release(loop);
    return alive;
}

/*
 * Several futures as one: weir_gather().
 *
 *     open --> cancelling --> decided --> its future is done
 *       |                        |
 *       '------------------------'
 *
 * A cancelling gather knows its result. It cancels the other futures later,
 * from the ready queue, so that a tree of gathers does not recurse. A decided
 * gather waits for the pending futures.
 */
#include "future.h"
#include "task.h"

enum gather_state {
    GATHER_OPEN,
    GATHER_CANCELLING,
    GATHER_DECIDED,
    GATHER_STATES,
};

/* For each state, a mask of the states that may precede it. */
static const uint8_t gather_edges[GATHER_STATES] = {
    [GATHER_CANCELLING] = 1u << GATHER_OPEN,
    [GATHER_DECIDED] = 1u << GATHER_OPEN | 1u << GATHER_CANCELLING,
};

struct gather;

struct gathered {
    struct wr_observer observer;
    struct gather *gather;
    weir_future *future; /* referenced until the gather is done */
};

struct gather {
    weir_future future;
    struct wr_ready ready;
    struct wr_member member; /* in the loop's list once cancelled */
    enum weir_gather_kind kind;
    enum gather_state state;
    int result;
    uint32_t pending_count;
    uint32_t count;
    struct gathered futures[];
};

static void gather_set_state(struct gather *gather, enum gather_state state)
{
    wr_assert(gather_edges[state] & 1u << gather->state);
    gather->state = state;
}

static uint32_t gather_count_observed(const struct gather *gather)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < gather->count; i++) {
        count += wr_list_is_linked(&gather->futures[i].observer.link);
    }
    return count;
}

static void gather_check_invariants(const struct gather *gather)
{
    wr_assert(gather->state < GATHER_STATES);
    wr_assert(gather->pending_count <= gather->count);
    wr_assert(gather->pending_count > 0 || gather->state == GATHER_DECIDED);
    wr_assert(!gather->future.is_done || gather->pending_count == 0);
    wr_debug_assert(gather->future.is_done ||
                    gather_count_observed(gather) == gather->pending_count);
    wr_future_check_invariants(&gather->future);
}

static size_t gather_size_of(size_t count)
{
    return sizeof(struct gather) + count * sizeof(struct gathered);
}

static void gather_decide(struct gather *gather, int result,
                          enum gather_state state)
{
    if (gather->state == GATHER_OPEN) {
        gather->result = result;
        gather_set_state(gather, state);
    }
}

static void gather_count_result(struct gather *gather, uint32_t index,
                                int result)
{
    switch (gather->kind) {
    case WEIR_GATHER_ALL:
        if (result < 0) {
            gather_decide(gather, result, GATHER_DECIDED);
        }
        break;
    case WEIR_GATHER_ALL_OR_NONE:
        if (result < 0) {
            gather_decide(gather, result, GATHER_CANCELLING);
        }
        break;
    case WEIR_GATHER_ANY:
        if (result >= 0) {
            gather_decide(gather, (int)index, GATHER_CANCELLING);
        } else if (gather->state == GATHER_OPEN) {
            gather->result = result; /* replaced if a later future succeeds */
        }
        break;
    }
    wr_assert(gather->pending_count > 0);
    gather->pending_count--;
    if (gather->pending_count == 0 && gather->state != GATHER_DECIDED) {
        gather_set_state(gather, GATHER_DECIDED);
    }
}

static void gather_gathered_done(struct wr_observer *observer,
                                 weir_future *future)
{
    struct gathered *gathered =
        wr_container_of(observer, struct gathered, observer);
    struct gather *gather = gathered->gather;

    wr_assert(future == gathered->future);
    wr_assert(!gather->future.is_done);
    gather_count_result(gather, (uint32_t)(gathered - gather->futures),
                        future->result);
    if (gather->state == GATHER_CANCELLING || gather->pending_count == 0) {
        wr_ready_push(&gather->future.loop->ready, &gather->ready);
    }
    wr_assert(gather->pending_count > 0 || gather->state == GATHER_DECIDED);
}

static void gather_finish(struct gather *gather)
{
    wr_assert(gather->pending_count == 0);
    wr_assert(gather->state == GATHER_DECIDED);
    wr_ready_cancel(&gather->ready);
    for (uint32_t i = 0; i < gather->count; i++) {
        wr_future_unref(gather->futures[i].future);
    }
    wr_future_resolve(&gather->future, gather->result);
    if (wr_list_is_linked(&gather->member.link)) {
        wr_loop_remove_member(gather->future.loop, &gather->member);
        wr_future_unref(&gather->future);
    }
}

static void gather_run(struct wr_ready *ready)
{
    struct gather *gather = wr_container_of(ready, struct gather, ready);

    gather_check_invariants(gather);
    wr_assert(!gather->future.is_done);
    wr_future_ref(&gather->future);
    if (gather->state == GATHER_CANCELLING) {
        gather_set_state(gather, GATHER_DECIDED);
        weir_future_cancel(&gather->future);
    }
    if (gather->pending_count == 0) {
        gather_finish(gather);
    }
    wr_future_unref(&gather->future);
}

/* Cancels all futures. The gather exists until the last future has ended or the
 * loop is freed, even if the program has released its reference. */
static void gather_cancel(weir_future *future)
{
    struct gather *gather = wr_container_of(future, struct gather, future);

    gather_check_invariants(gather);
    if (!wr_list_is_linked(&gather->member.link)) {
        wr_loop_add_member(future->loop, &gather->member);
        wr_future_ref(future);
    }
    gather_decide(gather, -ECANCELED, GATHER_DECIDED);
    for (uint32_t i = 0; i < gather->count; i++) {
        weir_future_cancel(gather->futures[i].future);
    }
}

static bool gather_can_cancel(const weir_future *future)
{
    return wr_container_of(future, const struct gather, future)->pending_count >
           0;
}

static void gather_free(weir_future *future)
{
    struct gather *gather = wr_container_of(future, struct gather, future);
    weir_loop *loop = future->loop;

    wr_assert(gather->pending_count == 0);
    wr_assert(!wr_ready_is_pending(&gather->ready));
    wr_assert(!wr_list_is_linked(&gather->member.link));
    wr_free(&loop->counting, gather, gather_size_of(gather->count));
    wr_loop_unpin(loop);
}

/* Returns true for a gather that waits for the end of its cancelled futures. */
static bool gather_is_cancelled(const weir_future *future)
{
    return future->ops->cancel == gather_cancel &&
           wr_list_is_linked(
               &wr_container_of(future, const struct gather, future)
                    ->member.link);
}

/* Cancels again the futures that have ignored their cancellation, except
 * cancelled gathers, which do the same with their own futures. */
static void gather_shutdown(struct wr_member *member)
{
    struct gather *gather = wr_container_of(member, struct gather, member);

    wr_assert(gather->state != GATHER_OPEN);
    wr_future_ref(&gather->future); /* gather_finish() may unref it */
    for (uint32_t i = 0; i < gather->count; i++) {
        if (!gather_is_cancelled(gather->futures[i].future)) {
            weir_future_cancel(gather->futures[i].future);
        }
    }
    wr_future_unref(&gather->future);
}

static void gather_dump(const struct wr_member *member, FILE *out)
{
    const struct gather *gather =
        wr_container_of(member, const struct gather, member);
    fprintf(out, "futures cancelled, %u of %u pending\n", gather->pending_count,
            gather->count);
}

static void gather_check(const struct wr_member *member)
{
    gather_check_invariants(
        wr_container_of(member, const struct gather, member));
}

int weir_gather(weir_loop *loop, enum weir_gather_kind kind,
                weir_future *const *futures, size_t count, weir_future **ret)
{
    static const struct wr_future_ops ops = {.cancel = gather_cancel,
                                             .can_cancel = gather_can_cancel,
                                             .free = gather_free};
    static const struct wr_member_ops alive_ops = {.stage = WR_STAGE_FUTURES,
                                                   .shutdown = gather_shutdown,
                                                   .dump = gather_dump,
                                                   .check = gather_check};
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(ret && (unsigned)kind <= WEIR_GATHER_ANY, -EINVAL);
    wr_require(wr_futures_are_usable(loop, futures, count), -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct gather *gather = wr_alloc(&loop->counting, gather_size_of(count));
    if (!gather) {
        return -ENOMEM;
    }
    *gather = (struct gather){.kind = kind,
                              .count = (uint32_t)count,
                              .pending_count = (uint32_t)count};
    wr_future_init(&gather->future, loop, &ops);
    wr_ready_init(&gather->ready, gather_run);
    wr_member_init(&gather->member, &alive_ops);
    wr_loop_pin(loop);
    for (uint32_t i = 0; i < count; i++) {
        struct gathered *gathered = &gather->futures[i];

        gathered->gather = gather;
        gathered->future = weir_future_ref(futures[i]);
        wr_future_collect(futures[i], &gathered->observer,
                          gather_gathered_done);
    }
    if (count == 0) {
        gather_decide(gather, kind == WEIR_GATHER_ANY ? -ENOENT : 0,
                      GATHER_DECIDED);
    }
    if (gather->pending_count == 0) {
        gather_finish(gather);
    }
    gather_check_invariants(gather);
    *ret = &gather->future;
    return 0;
}

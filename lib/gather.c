/*
 * Several futures at once: weir_gather() makes one of them, weir_wait() waits
 * without touching them.
 *
 * Both put an observer into each pending future, in one block, and count. What
 * a group must do then (cancel the others, be done) it does from the ready
 * queue, so that a tree of groups is not climbed on one stack.
 *
 *     open --> settled --> done
 *
 * A settled group has its result and waits for the futures that are left.
 */
#include "future.h"
#include "task.h"

#include <limits.h>

struct gather;

struct gathered {
    struct wr_observer observer;
    struct gather *gather;
    weir_future *future; /* referenced until the group is done */
};

struct gather {
    weir_future future;
    struct wr_ready ready;
    struct wr_alive alive; /* in weir_loop.gathers while it holds itself */
    enum weir_gather_kind kind;
    int result;
    bool is_settled;
    bool wants_cancel; /* set when settled, cleared by run_gather() */
    uint32_t pending_count;
    uint32_t count;
    struct gathered futures[];
};

static size_t size_of_gather(size_t count)
{
    return sizeof(struct gather) + count * sizeof(struct gathered);
}

static void settle(struct gather *gather, int result, bool cancels)
{
    if (!gather->is_settled) {
        gather->is_settled = true;
        gather->result = result;
        gather->wants_cancel = cancels;
    }
}

/* A future of the group is done. */
static void count_result(struct gather *gather, uint32_t index, int result)
{
    switch (gather->kind) {
    case WEIR_GATHER_ALL:
    case WEIR_GATHER_ALL_OR_NONE:
        if (result < 0) {
            settle(gather, result, gather->kind == WEIR_GATHER_ALL_OR_NONE);
        }
        break;
    case WEIR_GATHER_ANY:
        if (result >= 0) {
            settle(gather, (int)index, true);
        } else if (!gather->is_settled) {
            gather->result = result; /* until one comes that is better */
        }
        break;
    }
    wr_assert(gather->pending_count > 0);
    gather->pending_count--;
    if (gather->pending_count == 0) {
        settle(gather, gather->result, false);
        gather->wants_cancel = false;
    }
}

static void gathered_done(struct wr_observer *observer, weir_future *future)
{
    struct gathered *gathered =
        wr_container_of(observer, struct gathered, observer);
    struct gather *gather = gathered->gather;

    count_result(gather, (uint32_t)(gathered - gather->futures),
                 future->result);
    if (gather->wants_cancel || gather->pending_count == 0) {
        wr_ready_push(&gather->future.loop->ready, &gather->ready);
    }
}

static void finish(struct gather *gather)
{
    wr_ready_cancel(&gather->ready);
    for (uint32_t i = 0; i < gather->count; i++) {
        weir_future_unref(gather->futures[i].future);
    }
    wr_future_resolve(&gather->future, gather->result);
    if (wr_list_is_linked(&gather->alive.link)) {
        wr_list_remove(&gather->alive.link);
        weir_future_unref(&gather->future);
    }
}

static void run_gather(struct wr_ready *ready)
{
    struct gather *gather = wr_container_of(ready, struct gather, ready);

    weir_future_ref(&gather->future);
    if (gather->wants_cancel) {
        gather->wants_cancel = false;
        wr_ignore(weir_future_cancel(&gather->future)); /* it is pending */
    }
    if (gather->pending_count == 0) {
        finish(gather);
    }
    weir_future_unref(&gather->future);
}

/* All futures are cancelled; the group lives until the last has ended, also
 * without a reference of the program, or until the loop is freed. */
static void cancel_gather(weir_future *future)
{
    struct gather *gather = wr_container_of(future, struct gather, future);

    if (!wr_list_is_linked(&gather->alive.link)) {
        wr_list_push_back(&future->loop->gathers, &gather->alive.link);
        weir_future_ref(future);
    }
    settle(gather, -ECANCELED, false);
    for (uint32_t i = 0; i < gather->count; i++) {
        wr_ignore(weir_future_cancel(gather->futures[i].future));
    }
}

/* Not once its futures have ended: their results stand, and become the group's
 * from the ready queue. */
static bool can_cancel_gather(const weir_future *future)
{
    return wr_container_of(future, const struct gather, future)->pending_count >
           0;
}

static void free_gather(weir_future *future)
{
    struct gather *gather = wr_container_of(future, struct gather, future);
    weir_loop *loop = future->loop;

    wr_assert(!wr_ready_is_pending(&gather->ready));
    wr_free(&loop->counting, gather, size_of_gather(gather->count));
    wr_assert(loop->pinned_count > 0);
    loop->pinned_count--;
    wr_loop_release(loop);
}

/* A future that took no notice of its cancellation does so now. */
static void shutdown_gather(struct wr_alive *alive)
{
    struct gather *gather = wr_container_of(alive, struct gather, alive);
    wr_ignore(weir_future_cancel(&gather->future)); /* or it is over soon */
}

static void dump_gather(const struct wr_alive *alive, FILE *out)
{
    const struct gather *gather =
        wr_container_of(alive, const struct gather, alive);
    fprintf(out, "futures cancelled, %u of %u pending\n", gather->pending_count,
            gather->count);
}

static bool are_usable(const weir_loop *loop, weir_future *const *futures,
                       size_t count)
{
    if (count > INT_MAX || (count > 0 && !futures)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!futures[i] || futures[i]->loop != loop) {
            return false;
        }
    }
    return true;
}

static void add_future(struct gather *gather, uint32_t index,
                       weir_future *future)
{
    struct gathered *gathered = &gather->futures[index];

    gathered->gather = gather;
    gathered->future = weir_future_ref(future);
    if (future->is_done) {
        count_result(gather, index, future->result);
    } else {
        wr_future_observe(future, &gathered->observer, gathered_done);
    }
}

int weir_gather(weir_loop *loop, enum weir_gather_kind kind,
                weir_future *const *futures, size_t count, weir_future **ret)
{
    static const struct wr_future_ops ops = {.cancel = cancel_gather,
                                             .can_cancel = can_cancel_gather,
                                             .free = free_gather};
    static const struct wr_alive_ops alive_ops = {.shutdown = shutdown_gather,
                                                  .dump = dump_gather};
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(ret && (unsigned)kind <= WEIR_GATHER_ANY, -EINVAL);
    wr_require(are_usable(loop, futures, count), -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    struct gather *gather = wr_alloc(&loop->counting, size_of_gather(count));
    if (!gather) {
        return -ENOMEM;
    }
    *gather = (struct gather){.kind = kind,
                              .count = (uint32_t)count,
                              .pending_count = (uint32_t)count};
    wr_future_init(&gather->future, loop, &ops);
    wr_ready_init(&gather->ready, run_gather);
    gather->alive.ops = &alive_ops;
    wr_list_init(&gather->alive.link);
    loop->pinned_count++;
    for (uint32_t i = 0; i < count; i++) {
        add_future(gather, i, futures[i]);
    }
    if (count == 0) {
        settle(gather, kind == WEIR_GATHER_ANY ? -ENOENT : 0, false);
    }
    if (gather->pending_count == 0) {
        finish(gather);
    } else if (gather->wants_cancel) {
        wr_ready_push(&loop->ready, &gather->ready);
    }
    *ret = &gather->future;
    return 0;
}

/* Waiting for several. */

struct waited {
    struct wr_observer observer;
    struct wait *wait;
};

struct wait {
    struct wr_waiter waiter;
    enum weir_return_when return_when;
    bool is_over; /* set by whoever wakes the task */
    bool has_failed;
    size_t count;
    size_t done_count;
};

static bool is_enough(const struct wait *wait)
{
    if (wait->done_count == wait->count) {
        return true;
    }
    return wait->return_when == WEIR_FIRST_COMPLETED   ? wait->done_count > 0
           : wait->return_when == WEIR_FIRST_EXCEPTION ? wait->has_failed
                                                       : false;
}

static void count_done(struct wait *wait, const weir_future *future)
{
    wait->done_count++;
    wait->has_failed = wait->has_failed || future->result < 0;
}

static void waited_done(struct wr_observer *observer, weir_future *future)
{
    struct wait *wait =
        wr_container_of(observer, struct waited, observer)->wait;

    count_done(wait, future);
    if (!wait->is_over && is_enough(wait)) {
        wait->is_over = true;
        wr_waiter_wake(&wait->waiter, 0);
    }
}

static void give_up(struct wr_waiter *waiter)
{
    struct wait *wait = wr_container_of(waiter, struct wait, waiter);

    wait->is_over = true;
    wr_waiter_wake(waiter, -ECANCELED);
}

/* Suspends until enough of them are done, or the time is over. */
static int wait_enough(weir_loop *loop, struct wait *wait,
                       weir_future *const *futures, uint64_t timeout_ns)
{
    struct weir_timeout limit;
    const size_t size = wait->count * sizeof(struct waited);
    struct waited *waited = wr_alloc(&loop->counting, size);
    if (!waited) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < wait->count; i++) {
        waited[i].wait = wait;
        wr_list_init(&waited[i].observer.link);
        if (!futures[i]->is_done) {
            wr_future_observe(futures[i], &waited[i].observer, waited_done);
        }
    }
    int err = weir_timeout_begin(loop, &limit, timeout_ns);
    wr_assert(err == 0);
    err = wr_task_wait(loop, &wait->waiter, NULL);
    err = (int)weir_timeout_end(&limit, err);
    for (size_t i = 0; i < wait->count; i++) {
        wr_list_remove(&waited[i].observer.link);
    }
    wr_free(&loop->counting, waited, size);
    return err;
}

int weir_wait(weir_loop *loop, weir_future *const *futures, size_t count,
              uint64_t timeout_ns, enum weir_return_when return_when)
{
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    wr_require((unsigned)return_when <= WEIR_FIRST_EXCEPTION, -EINVAL);
    wr_require(are_usable(loop, futures, count), -EINVAL);
    struct wait wait = {.waiter.interrupt = give_up,
                        .return_when = return_when,
                        .count = count};
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->is_done) {
            count_done(&wait, futures[i]);
        }
    }
    if (!is_enough(&wait) && timeout_ns > 0) {
        err = wait_enough(loop, &wait, futures, timeout_ns);
    }
    return err < 0 && err != -ETIMEDOUT ? err : (int)wait.done_count;
}

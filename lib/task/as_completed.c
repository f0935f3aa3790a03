/*
 * Waiting for several futures: weir_as_completed_next() and weir_wait().
 *
 * All observers are in one block, to which the program's struct points. So a
 * task that forgets weir_as_completed_end() leaks the block but leaves no link
 * into its stack.
 */
#include "future.h"
#include "task.h"

struct as_completed;

struct as_completed_ends {
    enum weir_return_when return_when;
    bool has_failed;
    uint32_t count;
    uint32_t done_count;
};

struct as_completed_one {
    struct wr_observer observer; /* linked in the future, then in `done` */
    struct as_completed *all;
};

struct as_completed_wait {
    struct wr_waiter waiter;
    struct as_completed *all;
    int index;
};

struct as_completed {
    weir_loop *loop;
    /* struct as_completed_one that were not returned yet */
    struct wr_list done;
    struct as_completed_wait *wait;
    struct as_completed_ends ends;
    uint32_t given_count;
    struct as_completed_one ones[];
};

struct as_completed_handle {
    struct as_completed *all; /* NULL before the start and after the end */
    int err;                  /* result of weir_as_completed_begin() */
};

_Static_assert(sizeof(struct as_completed_handle) <=
                   sizeof(struct weir_as_completed),
               "the public storage is large enough");
_Static_assert(_Alignof(struct as_completed_handle) <=
                   _Alignof(struct weir_as_completed),
               "and aligned");

static struct as_completed_handle *
as_completed_inside(struct weir_as_completed *done)
{
    return (struct as_completed_handle *)(void *)done;
}

static void as_completed_check_invariants(const struct as_completed *all)
{
    wr_assert(all->given_count <= all->ends.done_count);
    wr_assert(all->ends.done_count <= all->ends.count);
    wr_assert(wr_list_is_empty(&all->done) ==
              (all->given_count == all->ends.done_count));
    wr_assert(!all->wait || all->wait->all == all);
    wr_assert(!all->wait || wr_list_is_empty(&all->done) ||
              all->ends.return_when != WEIR_FIRST_COMPLETED);
    wr_assert(!all->wait || all->given_count < all->ends.count);
    wr_assert(all->loop->pin_count > 0);
}

static size_t as_completed_size_of(size_t count)
{
    return sizeof(struct as_completed) +
           count * sizeof(struct as_completed_one);
}

static void as_completed_note(struct as_completed_ends *ends,
                              const weir_future *future)
{
    wr_assert(future->is_done);
    wr_assert(ends->done_count < ends->count);
    ends->done_count++;
    ends->has_failed = ends->has_failed || future->result < 0;
}

static bool as_completed_is_enough(const struct as_completed_ends *ends)
{
    if (ends->done_count == ends->count) {
        return true;
    }
    return ends->return_when == WEIR_FIRST_COMPLETED   ? ends->done_count > 0
           : ends->return_when == WEIR_FIRST_EXCEPTION ? ends->has_failed
                                                       : false;
}

static int as_completed_take(struct as_completed *all)
{
    struct wr_list *link = wr_list_pop_front(&all->done);
    wr_assert(link);
    wr_assert(all->given_count < all->ends.done_count);
    all->given_count++;
    return (int)(wr_container_of(link, struct as_completed_one, observer.link) -
                 all->ones);
}

static void as_completed_wake(struct as_completed *all, int result)
{
    struct as_completed_wait *wait = all->wait;

    wr_assert(wait);
    all->wait = NULL;
    wr_waiter_wake(&wait->waiter, result);
}

static void as_completed_interrupt(struct wr_waiter *waiter)
{
    as_completed_wake(
        wr_container_of(waiter, struct as_completed_wait, waiter)->all,
        -ECANCELED);
}

static void as_completed_one_done(struct wr_observer *observer,
                                  weir_future *future)
{
    struct as_completed *all =
        wr_container_of(observer, struct as_completed_one, observer)->all;

    as_completed_check_invariants(all);
    as_completed_note(&all->ends, future);
    wr_list_push_back(&all->done, &observer->link);
    if (all->wait && as_completed_is_enough(&all->ends)) {
        all->wait->index = as_completed_take(all);
        as_completed_wake(all, 0);
    }
}

WEIR_MUST_USE static struct as_completed *
as_completed_new(weir_loop *loop, weir_future *const *futures, size_t count,
                 enum weir_return_when return_when)
{
    struct as_completed *all =
        wr_alloc(&loop->counting, as_completed_size_of(count));

    if (!all) {
        return NULL;
    }
    *all = (struct as_completed){
        .loop = loop,
        .ends = {.return_when = return_when, .count = (uint32_t)count}};
    wr_list_init(&all->done);
    for (size_t i = 0; i < count; i++) {
        struct as_completed_one *one = &all->ones[i];

        one->all = all;
        wr_future_collect(futures[i], &one->observer, as_completed_one_done);
    }
    as_completed_check_invariants(all);
    return all;
}

static void as_completed_free(struct as_completed *all)
{
    wr_assert(!all->wait);
    for (size_t i = 0; i < all->ends.count; i++) {
        wr_list_remove(&all->ones[i].observer.link);
    }
    wr_free(&all->loop->counting, all, as_completed_size_of(all->ends.count));
}

WEIR_MUST_USE static int as_completed_wait(struct as_completed *all)
{
    static const struct wr_wait_kind kind = {
        .name = "futures", .interrupt = as_completed_interrupt};
    struct as_completed_wait wait = {.waiter.kind = &kind, .all = all};

    wr_assert(!all->wait);
    all->wait = &wait;
    const int err = wr_task_wait(all->loop, &wait.waiter, NULL);
    return err < 0 ? err : wait.index;
}

int weir_as_completed_begin(weir_loop *loop, struct weir_as_completed *done,
                            weir_future *const *futures, size_t count)
{
    struct as_completed_handle *handle = as_completed_inside(done);

    handle->all = NULL;
    handle->err = wr_loop_check(loop);
    if (handle->err >= 0 && !wr_futures_are_usable(loop, futures, count)) {
        handle->err = -EINVAL;
    }
    wr_require(handle->err >= 0, handle->err);
    handle->all = as_completed_new(loop, futures, count, WEIR_FIRST_COMPLETED);
    handle->err = handle->all ? 0 : -ENOMEM;
    wr_require(handle->all, -ENOMEM);
    wr_loop_pin(loop);
    return 0;
}

int weir_as_completed_next(struct weir_as_completed *done)
{
    const struct as_completed_handle *handle = as_completed_inside(done);
    struct as_completed *all = handle->all;
    wr_require(all, handle->err < 0 ? handle->err : -ESTALE);
    int err = wr_task_enter(all->loop);
    if (err < 0) {
        return err;
    }
    /* another task may have called weir_as_completed_end() */
    wr_require(handle->all == all, -ESTALE);
    as_completed_check_invariants(all);
    wr_require(!all->wait, -EBUSY);
    wr_require(all->given_count < all->ends.count, -ENOENT);
    return wr_list_is_empty(&all->done) ? as_completed_wait(all)
                                        : as_completed_take(all);
}

void weir_as_completed_end(struct weir_as_completed *done)
{
    struct as_completed_handle *handle = as_completed_inside(done);
    struct as_completed *all = handle->all;

    if (!all || !wr_loop_admits(all->loop)) {
        return;
    }
    as_completed_check_invariants(all);
    handle->all = NULL;
    if (all->wait) {
        as_completed_wake(all, -ECANCELED);
    }
    weir_loop *loop = all->loop;
    as_completed_free(all);
    wr_loop_unpin(loop);
}

WEIR_MUST_USE static int
as_completed_wait_enough(weir_loop *loop, struct as_completed_ends *ends,
                         weir_future *const *futures, uint64_t timeout_ns)
{
    struct weir_timeout limit;
    struct as_completed *all =
        as_completed_new(loop, futures, ends->count, ends->return_when);
    wr_require(all, -ENOMEM);
    int err = weir_timeout_begin(loop, &limit, timeout_ns);
    wr_assert(err == 0);
    err = as_completed_wait(all);
    *ends = all->ends;
    wr_assert(err < 0 || as_completed_is_enough(ends));
    err = (int)weir_timeout_end(&limit, err);
    as_completed_free(all);
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
    wr_require(wr_futures_are_usable(loop, futures, count), -EINVAL);
    struct as_completed_ends ends = {.return_when = return_when,
                                     .count = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->is_done) {
            as_completed_note(&ends, futures[i]);
        }
    }
    if (!as_completed_is_enough(&ends) && timeout_ns > 0) {
        err = as_completed_wait_enough(loop, &ends, futures, timeout_ns);
    }
    return err < 0 && err != -ETIMEDOUT ? err : (int)ends.done_count;
}

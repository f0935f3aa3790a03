/*
 * Futures one by one, in the order of their ends: weir_as_completed_begin(),
 * weir_as_completed_next() and weir_as_completed_end().
 *
 *     pending (observed) --done--> in line --> given to a call
 *
 * Each pending future has an observer. When the future ends, the observer moves
 * from the future's list to the queue `done`, or its index goes directly to the
 * waiting task. All observers are in one block that the program's struct points
 * to: so a task that forgets weir_as_completed_end() leaks memory, but leaves
 * no link into its stack.
 */
#include "future.h"
#include "task.h"

struct as_completed;

/* One future; its index is its place in the array. */
struct as_completed_one {
    struct wr_observer observer; /* linked in the future, then in ->done */
    struct as_completed *all;
};

/* A task that waits for the next future; on its stack. */
struct as_completed_wait {
    struct wr_waiter waiter;
    struct as_completed *all;
    int index; /* set before it is woken with 0 */
};

struct as_completed {
    weir_loop *loop;
    struct wr_list done;            /* struct as_completed_one, not given */
    struct as_completed_wait *wait; /* of the waiting task, or NULL */
    uint32_t given_count;
    uint32_t count;
    struct as_completed_one ones[];
};

/* The inside of struct weir_as_completed. */
struct as_completed_handle {
    struct as_completed *all; /* NULL: not begun, or ended */
    int err;                  /* of weir_as_completed_begin() */
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
    wr_assert(all->given_count <= all->count);
    wr_assert(!all->wait || all->wait->all == all);
    wr_assert(!all->wait || wr_list_is_empty(&all->done));
    wr_assert(!all->wait || all->given_count < all->count);
    wr_assert(all->loop->pin_count > 0);
}

static size_t as_completed_size_of(size_t count)
{
    return sizeof(struct as_completed) +
           count * sizeof(struct as_completed_one);
}

/* Removes the first of `done`, which is not empty; returns its index. */
static int as_completed_take(struct as_completed *all)
{
    struct wr_list *link = wr_list_pop_front(&all->done);
    wr_assert(link);
    wr_assert(all->given_count < all->count);
    all->given_count++;
    return (int)(wr_container_of(link, struct as_completed_one, observer.link) -
                 all->ones);
}

/* Wakes the waiting task. */
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

    wr_assert(future->is_done);
    as_completed_check_invariants(all);
    wr_list_push_back(&all->done, &observer->link);
    if (all->wait) {
        all->wait->index = as_completed_take(all);
        as_completed_wake(all, 0);
    }
}

static void as_completed_add(struct as_completed *all, size_t index,
                             weir_future *future)
{
    struct as_completed_one *one = &all->ones[index];

    wr_assert(index < all->count);
    one->all = all;
    wr_list_init(&one->observer.link);
    if (future->is_done) {
        wr_list_push_back(&all->done, &one->observer.link);
    } else {
        wr_future_observe(future, &one->observer, as_completed_one_done);
    }
}

WEIR_MUST_USE static int as_completed_new(weir_loop *loop,
                                          weir_future *const *futures,
                                          size_t count,
                                          struct as_completed **ret)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(wr_futures_are_usable(loop, futures, count), -EINVAL);
    struct as_completed *all =
        wr_alloc(&loop->counting, as_completed_size_of(count));
    wr_require(all, -ENOMEM);
    *all = (struct as_completed){.loop = loop, .count = (uint32_t)count};
    wr_list_init(&all->done);
    for (size_t i = 0; i < count; i++) {
        as_completed_add(all, i, futures[i]);
    }
    wr_loop_pin(loop);
    as_completed_check_invariants(all);
    *ret = all;
    return 0;
}

int weir_as_completed_begin(weir_loop *loop, struct weir_as_completed *done,
                            weir_future *const *futures, size_t count)
{
    struct as_completed_handle *handle = as_completed_inside(done);

    handle->all = NULL;
    handle->err = as_completed_new(loop, futures, count, &handle->all);
    wr_assert((handle->err == 0) == (handle->all != NULL));
    return handle->err;
}

int weir_as_completed_next(struct weir_as_completed *done)
{
    static const struct wr_wait_kind kind = {
        .name = "futures", .interrupt = as_completed_interrupt};
    const struct as_completed_handle *handle = as_completed_inside(done);
    struct as_completed *all = handle->all;
    wr_require(all, handle->err < 0 ? handle->err : -ESTALE);
    int err = wr_task_enter(all->loop);
    if (err < 0) {
        return err;
    }
    wr_require(handle->all == all, -ESTALE); /* else ended while others ran */
    as_completed_check_invariants(all);
    wr_require(!all->wait, -EBUSY);
    wr_require(all->given_count < all->count, -ENOENT);
    if (!wr_list_is_empty(&all->done)) {
        return as_completed_take(all);
    }
    struct as_completed_wait wait = {.waiter.kind = &kind, .all = all};
    all->wait = &wait;
    err = wr_task_wait(all->loop, &wait.waiter, NULL);
    return err < 0 ? err : wait.index;
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
    for (size_t i = 0; i < all->count; i++) {
        wr_list_remove(&all->ones[i].observer.link);
    }
    weir_loop *loop = all->loop;
    wr_free(&loop->counting, all, as_completed_size_of(all->count));
    wr_loop_unpin(loop);
}

/*
 * Futures: a result that is set once, and the observers of the result. The call
 * that sets the result makes tasks and callbacks ready, and runs none of them.
 *
 * A cancelled task cancels the future that it awaits, for example a gather of
 * other tasks. To avoid recursion in a long chain or a cycle, the futures to
 * cancel are queued in the loop. The outermost call empties the queue, and
 * cancels each future once.
 *
 * A future that outlives its loop pins the loop's memory. Afterwards
 * wr_loop_release() runs the ready items, but drops callbacks.
 */
#include "future.h"

struct settable {
    weir_future future;
    weir_future_cancel_fn *cancel; /* NULL sets -ECANCELED at once */
    void *arg;
};

/* A callback of the program. While the future is pending, the callback is in
 * its list of observers, without a reference to the future. Afterwards the
 * callback is in the ready queue and again in the list, with a reference. */
struct done_callback {
    struct wr_observer observer;
    struct wr_ready ready;
    weir_future *future;
    weir_future_done_fn *done;
    void *arg;
};

static void future_call_done(void *arg)
{
    const struct done_callback *callback = arg;
    weir_future *future = callback->future;

    wr_assert(future->is_done);
    callback->done(callback->arg, future, future->result);
}

static void future_run_done(struct wr_ready *ready)
{
    struct done_callback *callback =
        wr_container_of(ready, struct done_callback, ready);
    weir_future *future = callback->future;
    weir_loop *loop = future->loop;

    wr_future_check_invariants(future);
    wr_assert(future->is_done);
    wr_assert(wr_list_is_linked(&callback->observer.link));
    wr_list_remove(&callback->observer.link);
    if (!wr_loop_is_closed(loop)) {
        wr_loop_call(loop, future_call_done, callback, "future_done");
    }
    wr_free(&loop->counting, callback, sizeof(*callback));
    wr_future_unref(future);
}

static void future_make_ready(struct wr_observer *observer, weir_future *future)
{
    struct done_callback *callback =
        wr_container_of(observer, struct done_callback, observer);

    wr_assert(future == callback->future);
    wr_assert(future->is_done);
    wr_future_ref(future);
    wr_list_push_back(&future->observers, &observer->link);
    wr_ready_push(&future->loop->ready, &callback->ready);
}

static void future_check_observers(const weir_future *future)
{
    for (const struct wr_list *link = future->observers.next;
         link != &future->observers; link = link->next) {
        const struct wr_observer *observer =
            wr_container_of(link, const struct wr_observer, link);
        wr_debug_assert(!future->is_done ||
                        observer->done == future_make_ready);
        (void)observer;
    }
}

void wr_future_check_invariants(const weir_future *future)
{
    wr_assert(future->refs > 0);
    wr_assert(future->is_done || future->result == 0);
    wr_assert(future->loop->pin_count > 0);
    wr_debug_assert((future_check_observers(future), true));
}

void wr_future_resolve(weir_future *future, int result)
{
    struct wr_list observers;
    struct wr_list *link;

    wr_future_debug_check(future);
    wr_assert(!future->is_done);
    future->is_done = true;
    future->result = result;
    wr_list_init(&observers);
    wr_list_splice_back(&observers, &future->observers);
    while ((link = wr_list_pop_front(&observers))) {
        struct wr_observer *observer =
            wr_container_of(link, struct wr_observer, link);
        observer->done(observer, future);
    }
}

void wr_future_observe(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done)
{
    wr_future_debug_check(future);
    wr_assert(!future->is_done);
    wr_list_init(&observer->link);
    observer->done = done;
    wr_list_push_back(&future->observers, &observer->link);
}

void wr_future_collect(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done)
{
    if (future->is_done) {
        wr_list_init(&observer->link);
        done(observer, future);
    } else {
        wr_future_observe(future, observer, done);
    }
}

/* Returns true if neither the program nor the loop can set the result. */
static bool future_has_no_setter(const weir_future *future)
{
    return !future->is_done &&
           (future->refs == 1 ||
            (wr_loop_is_closing(future->loop) && future->ops->is_settable));
}

/* Queues @future, whose reference passes to this function, and empties the
 * queue unless an outer call does. In a forked child it cancels nothing: the
 * tasks belong to the parent. */
static void future_cancel_taken(weir_future *future)
{
    weir_loop *loop = future->loop;
    struct wr_list cancelled;
    struct wr_list *link;

    wr_assert(!future->is_done);
    if (wr_loop_is_forked(loop)) {
        return;
    }
    wr_list_push_back(&loop->cancels, &future->cancel);
    if (loop->cancelling) {
        return;
    }
    loop->cancelling = true;
    wr_list_init(&cancelled);
    while ((link = wr_list_pop_front(&loop->cancels))) {
        weir_future *next = wr_container_of(link, weir_future, cancel);
        wr_future_check_invariants(next);
        wr_list_push_back(&cancelled, link);
        if (!next->is_done) {
            next->ops->cancel(next);
        }
        if (future_has_no_setter(next)) {
            wr_future_resolve(next, -ECANCELED);
        }
    }
    wr_assert(loop->cancelling);
    loop->cancelling = false;
    while ((link = wr_list_pop_front(&cancelled))) {
        wr_future_unref(wr_container_of(link, weir_future, cancel));
    }
}

bool weir_future_cancel(weir_future *future)
{
    weir_loop *loop = future->loop;

    if (wr_loop_check(loop) < 0 || future->is_done) {
        return false;
    }
    wr_future_check_invariants(future);
    if (future->ops->can_cancel && !future->ops->can_cancel(future)) {
        return false;
    }
    if (!wr_list_is_linked(&future->cancel)) {
        future_cancel_taken(weir_future_ref(future));
        wr_loop_release(loop); /* runs ready items if the loop has ended */
    }
    return true;
}

weir_future *weir_future_ref(weir_future *future)
{
    wr_future_ref(future);
    return future;
}

void wr_future_unref(weir_future *future)
{
    if (!future) {
        return;
    }
    wr_future_debug_check(future);
    wr_assert(future->refs > 0);
    if (future->refs > 1) {
        future->refs--;
        return;
    }
    if (future->is_done) {
        future->refs = 0;
        wr_assert(wr_list_is_empty(&future->observers));
        future->ops->free(future);
        return;
    }
    weir_loop *loop = future->loop;
    wr_loop_pin(loop); /* otherwise the loop may be freed with the future */
    future_cancel_taken(future);
    wr_loop_unpin(loop);
}

void weir_future_unref(weir_future *future)
{
    if (future && wr_loop_admits(future->loop)) {
        wr_future_unref(future);
    }
}

static void future_cancel_settable(weir_future *future)
{
    struct settable *settable =
        wr_container_of(future, struct settable, future);
    weir_loop *loop = future->loop;

    if (!settable->cancel) {
        wr_future_resolve(future, -ECANCELED);
        return;
    }
    weir_task *task = wr_loop_begin_callback(loop);
    settable->cancel(settable->arg, future);
    wr_loop_end_callback(loop, task);
}

static void future_free_settable(weir_future *future)
{
    weir_loop *loop = future->loop;

    wr_free(&loop->counting, wr_container_of(future, struct settable, future),
            sizeof(struct settable));
    wr_loop_unpin(loop);
}

int weir_future_new(weir_loop *loop, weir_future_cancel_fn *cancel, void *arg,
                    weir_future **ret)
{
    static const struct wr_future_ops ops = {.cancel = future_cancel_settable,
                                             .free = future_free_settable,
                                             .is_settable = true};
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(ret, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct settable *settable = wr_alloc(&loop->counting, sizeof(*settable));
    if (!settable) {
        return -ENOMEM;
    }
    wr_future_init(&settable->future, loop, &ops);
    settable->cancel = cancel;
    settable->arg = arg;
    wr_loop_pin(loop);
    *ret = &settable->future;
    return 0;
}

int weir_future_set_result(weir_future *future, int result)
{
    int err = wr_loop_check(future->loop);
    wr_require(err >= 0, err);
    wr_future_check_invariants(future);
    wr_require(future->ops->is_settable, -EINVAL);
    wr_require(!future->is_done, -ESTALE);
    wr_future_resolve(future, result);
    wr_loop_release(future->loop);
    return 0;
}

bool weir_future_is_done(const weir_future *future)
{
    return future->is_done;
}

int weir_future_get_result(const weir_future *future, int *ret)
{
    wr_future_debug_check(future);
    wr_require(future->is_done, -EAGAIN);
    if (ret) {
        *ret = future->result;
    }
    return 0;
}

int weir_future_add_done_callback(weir_future *future,
                                  weir_future_done_fn *done, void *arg)
{
    weir_loop *loop = future->loop;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_future_check_invariants(future);
    wr_require(done, -EINVAL);
    struct done_callback *callback =
        wr_alloc(&loop->counting, sizeof(*callback));
    if (!callback) {
        return -ENOMEM;
    }
    callback->done = done;
    callback->arg = arg;
    callback->future = future;
    callback->observer.done = future_make_ready;
    wr_list_init(&callback->observer.link);
    wr_ready_init(&callback->ready, future_run_done);
    if (future->is_done) {
        future_make_ready(&callback->observer, future);
        wr_loop_release(loop);
    } else {
        wr_list_push_back(&future->observers, &callback->observer.link);
    }
    return 0;
}

size_t weir_future_remove_done_callback(weir_future *future,
                                        weir_future_done_fn *done, void *arg)
{
    size_t count = 0;
    struct wr_list *link = future->observers.next;

    if (wr_loop_check(future->loop) < 0) {
        return 0;
    }
    wr_future_check_invariants(future);
    while (link != &future->observers) {
        struct done_callback *callback =
            wr_container_of(link, struct done_callback, observer.link);
        link = link->next;
        if (callback->observer.done != future_make_ready ||
            callback->done != done || callback->arg != arg) {
            continue;
        }
        wr_list_remove(&callback->observer.link);
        wr_ready_cancel(&callback->ready);
        wr_free(&future->loop->counting, callback, sizeof(*callback));
        if (future->is_done) {
            wr_future_unref(future);
        }
        count++;
    }
    return count;
}

/*
 * Futures: one result, given once, and everybody who wants to know it.
 *
 *     pending --> done        weir_future_set_result(), or the owner's end
 *
 * Giving the result calls nobody: it makes ready who waits. Between "done" and
 * "run" a callback of the program stays in the future's list, so that it can
 * still be taken back, and holds a reference.
 *
 * Cancelling goes from one future to the next: a task that is cancelled cancels
 * what it waits for, which may be a group of tasks that wait. So that neither a
 * long chain nor a circle of them recurses, futures to be cancelled queue up in
 * the loop, and the outermost call works the queue off, each future once.
 *
 * A future that outlives its loop pins the loop's memory. What becomes ready
 * then is worked off by wr_loop_release(); callbacks are dropped.
 */
#include "future.h"
#include "task.h"

#define CIRCLE_MAX 64u

struct settable {
    weir_future future;
    weir_future_cancel_fn *cancel; /* NULL: gives -ECANCELED */
    void *arg;
};

/* A callback of the program. Pending: in the list of observers, without a
 * reference. Done: in the ready queue, with one, and in the list again. */
struct done_callback {
    struct wr_observer observer;
    struct wr_ready ready;
    weir_future *future;
    weir_future_done_fn *done;
    void *arg;
};

/* A task that waits; on its stack. */
struct future_wait {
    struct wr_observer observer;
    struct wr_waiter waiter;
    weir_future *future;
    int result;
    bool is_done; /* and that is its result */
};

void wr_future_init(weir_future *future, weir_loop *loop,
                    const struct wr_future_ops *ops)
{
    future->ops = ops;
    future->loop = loop;
    wr_list_init(&future->observers);
    wr_list_init(&future->cancel);
    future->refs = 1;
    future->result = 0;
    future->is_done = false;
}

void wr_future_resolve(weir_future *future, int result)
{
    struct wr_list observers;
    struct wr_list *link;

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
    wr_assert(!future->is_done);
    wr_list_init(&observer->link);
    observer->done = done;
    wr_list_push_back(&future->observers, &observer->link);
}

/* Nobody can give a result any more: the program has no reference left, or no
 * turn in which to do it. */
static bool is_forsaken(const weir_future *future)
{
    return !future->is_done &&
           (future->refs == 1 ||
            (future->loop->closing && future->ops->is_settable));
}

/* Queues @future, whose reference is taken, and works the queue off unless
 * that is being done further up. */
static void cancel_taken(weir_future *future)
{
    weir_loop *loop = future->loop;
    struct wr_list cancelled;
    struct wr_list *link;

    wr_list_push_back(&loop->cancels, &future->cancel);
    if (loop->cancelling) {
        return;
    }
    loop->cancelling = true;
    wr_list_init(&cancelled);
    while ((link = wr_list_pop_front(&loop->cancels))) {
        weir_future *next = wr_container_of(link, weir_future, cancel);
        wr_list_push_back(&cancelled, link);
        if (!next->is_done) {
            next->ops->cancel(next);
        }
        if (is_forsaken(next)) {
            wr_future_resolve(next, -ECANCELED);
        }
    }
    loop->cancelling = false;
    while ((link = wr_list_pop_front(&cancelled))) {
        weir_future_unref(wr_container_of(link, weir_future, cancel));
    }
}

bool weir_future_cancel(weir_future *future)
{
    weir_loop *loop = future->loop;

    if (wr_loop_check(loop) < 0 || future->is_done) {
        return false;
    }
    if (future->ops->can_cancel && !future->ops->can_cancel(future)) {
        return false;
    }
    if (!wr_list_is_linked(&future->cancel)) {
        cancel_taken(weir_future_ref(future));
        wr_loop_release(loop); /* what became ready after the loop's end */
    }
    return true;
}

weir_future *weir_future_ref(weir_future *future)
{
    wr_assert(future->refs > 0);
    future->refs++;
    return future;
}

void weir_future_unref(weir_future *future)
{
    if (!future) {
        return;
    }
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
    loop->pinned_count++; /* it may go with the future */
    cancel_taken(future);
    loop->pinned_count--;
    wr_loop_release(loop);
}

/* The future that the program makes. */

static void cancel_settable(weir_future *future)
{
    struct settable *settable =
        wr_container_of(future, struct settable, future);
    weir_loop *loop = future->loop;

    if (!settable->cancel) {
        wr_future_resolve(future, -ECANCELED);
        return;
    }
    weir_task *task = wr_loop_forbid(loop);
    settable->cancel(settable->arg, future);
    wr_loop_allow(loop, task);
}

static void free_settable(weir_future *future)
{
    weir_loop *loop = future->loop;

    wr_free(&loop->counting, wr_container_of(future, struct settable, future),
            sizeof(struct settable));
    wr_assert(loop->pinned_count > 0);
    loop->pinned_count--;
    wr_loop_release(loop);
}

int weir_future_new(weir_loop *loop, weir_future_cancel_fn *cancel, void *arg,
                    weir_future **ret)
{
    static const struct wr_future_ops ops = {
        .cancel = cancel_settable, .free = free_settable, .is_settable = true};
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(ret, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    struct settable *settable = wr_alloc(&loop->counting, sizeof(*settable));
    if (!settable) {
        return -ENOMEM;
    }
    wr_future_init(&settable->future, loop, &ops);
    settable->cancel = cancel;
    settable->arg = arg;
    loop->pinned_count++;
    *ret = &settable->future;
    return 0;
}

int weir_future_set_result(weir_future *future, int result)
{
    int err = wr_loop_check(future->loop);
    if (err < 0) {
        return err;
    }
    wr_require(future->ops->is_settable, -EINVAL);
    wr_require(!future->is_done, -ESTALE);
    wr_future_resolve(future, result);
    wr_loop_release(future->loop); /* as in weir_future_cancel() */
    return 0;
}

bool weir_future_is_done(const weir_future *future)
{
    return future->is_done;
}

int weir_future_result(const weir_future *future, int *ret)
{
    wr_require(future->is_done, -EAGAIN);
    if (ret) {
        *ret = future->result;
    }
    return 0;
}

/* Callbacks of the program. */

static void call_done(void *arg)
{
    const struct done_callback *callback = arg;
    weir_future *future = callback->future;

    callback->done(callback->arg, future, future->result);
}

static void run_done(struct wr_ready *ready)
{
    struct done_callback *callback =
        wr_container_of(ready, struct done_callback, ready);
    weir_future *future = callback->future;
    weir_loop *loop = future->loop;

    wr_list_remove(&callback->observer.link);
    if (!loop->closed) {
        wr_loop_call(loop, call_done, callback, "future_done");
    }
    wr_free(&loop->counting, callback, sizeof(*callback));
    weir_future_unref(future);
}

static void make_ready(struct wr_observer *observer, weir_future *future)
{
    struct done_callback *callback =
        wr_container_of(observer, struct done_callback, observer);

    weir_future_ref(future);
    wr_list_push_back(&future->observers, &observer->link);
    wr_ready_push(&future->loop->ready, &callback->ready);
}

int weir_future_add_done_callback(weir_future *future,
                                  weir_future_done_fn *done, void *arg)
{
    weir_loop *loop = future->loop;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(done, -EINVAL);
    struct done_callback *callback =
        wr_alloc(&loop->counting, sizeof(*callback));
    if (!callback) {
        return -ENOMEM;
    }
    callback->done = done;
    callback->arg = arg;
    callback->future = future;
    callback->observer.done = make_ready;
    wr_list_init(&callback->observer.link);
    wr_ready_init(&callback->ready, run_done);
    if (future->is_done) {
        make_ready(&callback->observer, future);
        wr_loop_release(loop); /* as in weir_future_cancel() */
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
    while (link != &future->observers) {
        struct done_callback *callback =
            wr_container_of(link, struct done_callback, observer.link);
        link = link->next;
        if (callback->observer.done != make_ready || callback->done != done ||
            callback->arg != arg) {
            continue;
        }
        wr_list_remove(&callback->observer.link);
        wr_ready_cancel(&callback->ready);
        wr_free(&future->loop->counting, callback, sizeof(*callback));
        if (future->is_done) {
            weir_future_unref(future);
        }
        count++;
    }
    return count;
}

/* Waiting. */

static void keep_result(struct future_wait *wait, const weir_future *future)
{
    wait->result = future->result; /* the task may find the future freed */
    wait->is_done = true;
}

/* The wait tells of an interruption that ended the future. */
static void wake_wait(struct wr_observer *observer, weir_future *future)
{
    struct future_wait *wait =
        wr_container_of(observer, struct future_wait, observer);

    keep_result(wait, future);
    wr_waiter_wake(&wait->waiter,
                   future->result == -ECANCELED ? -ECANCELED : 0);
}

static void pass_interrupt_on(struct wr_waiter *waiter)
{
    struct future_wait *wait =
        wr_container_of(waiter, struct future_wait, waiter);

    wr_ignore(weir_future_cancel(wait->future));
}

static void give_wait_up(struct wr_waiter *waiter)
{
    struct future_wait *wait =
        wr_container_of(waiter, struct future_wait, waiter);

    wr_list_remove(&wait->observer.link);
    wr_waiter_wake(waiter, -ECANCELED);
}

/* Waits @future for the end of @task, directly or by way of tasks that wait for
 * each other? Such a circle would never end, not even with the loop. Longer
 * ones than this are not looked for. */
static bool waits_for(const weir_future *future, const weir_task *task)
{
    for (uint32_t i = 0; i < CIRCLE_MAX; i++) {
        if (future == &task->future) {
            return true;
        }
        if (future->ops != task->future.ops) {
            return false; /* no task's */
        }
        const weir_task *next = wr_container_of(future, weir_task, future);
        if (next->state != WR_TASK_WAITING ||
            next->waiter->interrupt != pass_interrupt_on) {
            return false;
        }
        future =
            wr_container_of(next->waiter, struct future_wait, waiter)->future;
    }
    return false;
}

/* Suspends unless the future is done: 0, or -ECANCELED for an interruption
 * that was told. */
static int wait_done(struct future_wait *wait)
{
    weir_future *future = wait->future;

    if (future->is_done) {
        keep_result(wait, future);
        return 0;
    }
    wr_future_observe(future, &wait->observer, wake_wait);
    int err = wr_task_wait(future->loop, &wait->waiter, NULL);
    return wait->waiter.was_interrupted ? err : 0;
}

int weir_future_await(weir_future *future, int *ret)
{
    weir_loop *loop = future->loop;
    struct future_wait wait = {
        .waiter = {.interrupt = pass_interrupt_on, .give_up = give_wait_up},
        .future = future};
    int err = wr_task_begin(loop);
    if (err < 0) {
        return err;
    }
    /* Told by this call, whatever the future comes to. */
    const bool tells = wr_task_is_interrupted(loop->current);
    if (!future->is_done && waits_for(future, loop->current)) {
        return tells ? wr_task_tell(loop) : -EDEADLK;
    }
    err = wait_done(&wait);
    if (ret && wait.is_done) {
        *ret = wait.result;
    }
    return tells ? wr_task_tell(loop) : err;
}

int weir_future_shield(weir_future *future, int *ret)
{
    struct future_wait wait = {.waiter.interrupt = give_wait_up,
                               .future = future};
    int err = wr_task_enter(future->loop);
    if (err < 0) {
        return err;
    }
    if (!future->is_done && waits_for(future, future->loop->current)) {
        return -EDEADLK;
    }
    err = wait_done(&wait);
    if (err == 0 && ret) {
        *ret = wait.result;
    }
    return err;
}

int weir_wait_for(weir_future *future, uint64_t timeout_ns, int *ret)
{
    struct weir_timeout limit;
    int err = weir_timeout_begin(future->loop, &limit, timeout_ns);
    if (err == 0) {
        err = weir_future_await(future, ret);
    }
    return (int)weir_timeout_end(&limit, err);
}

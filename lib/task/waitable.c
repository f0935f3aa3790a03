/*
 * Waiting for the first of several calls; waitable.h explains the design.
 *
 * The calls and their waiters are in the program's array, so nothing is
 * allocated. The task holds references to the objects during the call, so that
 * the program may free them.
 */
#include "waitable.h"

#include <limits.h>

struct waitable_wait {
    struct wr_waiter waiter; /* in no queue */
    struct wr_waitable *what;
    size_t count;
    /* Index of the completed call; `count` before any has completed. */
    size_t index;
};

_Static_assert(sizeof(struct wr_waitable) <= sizeof(struct weir_waitable),
               "the public storage is large enough");
_Static_assert(_Alignof(struct wr_waitable) <= _Alignof(struct weir_waitable),
               "and aligned");
_Static_assert(offsetof(struct wr_waitable, result) ==
                   offsetof(struct weir_waitable, result),
               "the result is where the program reads it");
_Static_assert(sizeof(struct wr_waitable) == sizeof(struct weir_waitable),
               "an array of the one is an array of the other");

static bool waitable_attempt_future(struct wr_waitable *what)
{
    const weir_future *future = what->object;

    wr_future_debug_check(future);
    wr_assert(what->loop == future->loop);
    what->result = future->result;
    return future->is_done;
}

static void waitable_future_done(struct wr_observer *observer,
                                 weir_future *future)
{
    struct wr_waitable *what =
        wr_container_of(observer, struct wr_waitable, observer);

    wr_assert(what->object == future);
    wr_assert(future->is_done);
    wr_waiter_wake(&what->waiter, future->result);
}

static void waitable_stand_future(struct wr_waitable *what)
{
    wr_assert(!wr_list_is_linked(&what->observer.link));
    wr_future_observe(what->object, &what->observer, waitable_future_done);
}

static const struct wr_waitable_ops waitable_future_ops = {
    .kind = {.name = "future"},
    .attempt = waitable_attempt_future,
    .stand = waitable_stand_future};

struct weir_waitable weir_waitable_future(weir_future *future)
{
    struct wr_waitable what = {.ops = future ? &waitable_future_ops : NULL,
                               .loop = future ? future->loop : NULL,
                               .object = future};
    return wr_waitable_give(&what);
}

static bool waitable_is_usable(const weir_loop *loop,
                               const struct wr_waitable *what, size_t count)
{
    if (count == 0 || count > INT_MAX || !what) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!what[i].ops || what[i].loop != loop) {
            return false;
        }
    }
    return true;
}

static void waitable_end(struct waitable_wait *wait, int result)
{
    wr_assert(wait->count > 0);
    wr_assert(wait->count <= INT_MAX);
    wr_assert(wait->index <= wait->count);
    wr_assert(wait->waiter.task->waiter == &wait->waiter);
    for (size_t i = 0; i < wait->count; i++) {
        wr_list_remove(&wait->what[i].waiter.link);
        wr_list_remove(&wait->what[i].observer.link);
    }
    wr_waiter_wake(&wait->waiter, result);
}

static void waitable_interrupt(struct wr_waiter *waiter)
{
    struct waitable_wait *wait =
        wr_container_of(waiter, struct waitable_wait, waiter);

    wr_assert(wait->index == wait->count); /* no call has completed */
    waitable_end(wait, -ECANCELED);
}

static void waitable_serve(struct wr_waiter *waiter, struct wr_waiter *served,
                           int result)
{
    struct waitable_wait *wait =
        wr_container_of(waiter, struct waitable_wait, waiter);
    struct wr_waitable *what =
        wr_container_of(served, struct wr_waitable, waiter);

    wr_assert(wait->index == wait->count);
    wr_assert(what >= wait->what);
    wr_assert(served->task == waiter->task);
    wait->index = (size_t)(what - wait->what);
    wr_assert(wait->index < wait->count);
    what->result = result;
    waitable_end(wait, 0);
}

WEIR_MUST_USE static int waitable_wait(weir_loop *loop,
                                       struct wr_waitable *what, size_t count)
{
    static const struct wr_wait_kind kind = {.name = "the first of several",
                                             .interrupt = waitable_interrupt,
                                             .serve = waitable_serve};
    struct waitable_wait wait = {
        .waiter.kind = &kind, .what = what, .count = count, .index = count};

    for (size_t i = 0; i < count; i++) {
        what[i].waiter = (struct wr_waiter){.task = loop->current,
                                            .kind = &what[i].ops->kind};
        wr_list_init(&what[i].waiter.link);
        wr_list_init(&what[i].observer.link);
        what[i].ops->stand(&what[i]);
        wr_assert(wr_list_is_linked(&what[i].waiter.link) ||
                  wr_list_is_linked(&what[i].observer.link));
    }
    int err = wr_task_wait(loop, &wait.waiter, NULL);
    wr_assert((err == 0) == (wait.index < count));
    wr_require(err >= 0, err);
    struct wr_waitable *made = &what[wait.index];
    if (made->ops->woken) {
        made->result = made->ops->woken(made, made->result);
    }
    return (int)wait.index;
}

WEIR_MUST_USE static int
waitable_make_first(weir_loop *loop, struct wr_waitable *what, size_t count)
{
    wr_assert(!wr_task_is_interrupted(loop->current));
    for (size_t i = 0; i < count; i++) {
        wr_assert(what[i].loop == loop);
        if (what[i].ops->attempt(&what[i])) {
            return (int)i;
        }
    }
    return waitable_wait(loop, what, count);
}

int weir_wait_any(weir_loop *loop, struct weir_waitable *what, size_t count)
{
    struct wr_waitable *inside = (struct wr_waitable *)(void *)what;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(loop->current, WEIR_ENOTTASK);
    wr_require(waitable_is_usable(loop, inside, count), -EINVAL);
    if (wr_task_is_interrupted(loop->current)) {
        return wr_task_enter(loop); /* may park the task: no references yet */
    }
    for (size_t i = 0; i < count; i++) {
        if (inside[i].ops->ref) {
            inside[i].ops->ref(inside[i].object);
        }
    }
    err = wr_task_enter(loop);
    if (err == 0) {
        err = waitable_make_first(loop, inside, count);
    }
    wr_assert(err < 0 || (size_t)err < count);
    for (size_t i = 0; i < count; i++) {
        if (inside[i].ops->unref) {
            inside[i].ops->unref(inside[i].object);
        }
    }
    return err;
}

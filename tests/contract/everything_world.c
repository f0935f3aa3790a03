/*
 * Tasks that call everything by chance; see everything_world.h.
 *
 * Each function here is one call with what it needs and gives back; what is
 * begun is counted, so that the end of a round can compare.
 */
#include "tests/contract/everything_world.h"

struct everything_world everything;

uint64_t chance(uint64_t below)
{
    return unit_random_below(&everything.random, below);
}

bool one_in(uint64_t count)
{
    return chance(count) == 0;
}

uint64_t some_time(void)
{
    return chance(4) == 0 ? chance(3 * MS) : chance(MS / 5);
}

bool gives_up(int err)
{
    if (err != -ECANCELED) {
        return false;
    }
    everything.interruptions++;
    return everything.ending || one_in(2);
}

void let_fail(uint64_t one_in)
{
    pthread_mutex_lock(&order_mutex);
    everything.fails_one_in = one_in;
    pthread_mutex_unlock(&order_mutex);
}

void *alloc_perhaps(void *arg, size_t size)
{
    pthread_mutex_lock(&order_mutex);
    const uint64_t one_in = everything.fails_one_in;
    const bool fails =
        one_in > 0 && unit_random_below(&everything.failing, one_in) == 0;
    everything.failed += fails;
    pthread_mutex_unlock(&order_mutex);
    return fails ? NULL : allocator_take(arg, size);
}

int act_a_few(weir_loop *on, int depth)
{
    int err = 0;

    for (uint64_t left = 1 + chance(3); left > 0; left--) {
        err = act(on, depth);
        if (gives_up(err)) {
            break;
        }
    }
    return err;
}

/* ---- what waits for time or for others ---- */

int sleep_or_yield(weir_loop *on, int depth)
{
    return one_in(2) ? weir_yield(on) : weir_sleep(on, some_time());
}

int cancel_somebody(weir_loop *on, int depth)
{
    weir_task *self = weir_task_get_current(on);
    weir_task *worker = everything.workers[chance(WORKERS)];

    if (worker) {
        weir_task_cancel(worker);
    }
    if (one_in(4) && weir_task_get_cancelling(self) > 0) {
        weir_task_uncancel(self);
    }
    return 0;
}

int limit_time(weir_loop *on, int depth)
{
    struct weir_timeout limit;
    int err;

    check(weir_timeout_begin(on, &limit, some_time()) == 0);
    err = act_a_few(on, depth + 1);
    if (one_in(8)) {
        weir_timeout_reschedule(&limit, weir_loop_get_time(on) + some_time());
        err = act_a_few(on, depth + 1);
    }
    return (int)weir_timeout_end(&limit, err);
}

/* ---- tasks and groups ---- */

static int live_as_child(weir_loop *on, void *arg)
{
    int err = act_a_few(on, (int)(intptr_t)arg);

    everything.children_live--;
    return one_in(6) ? -EPROTO : err == -ECANCELED ? err : 7;
}

static void *child_depth(int depth)
{
    return (void *)(intptr_t)(depth + 1);
}

int start_child(weir_loop *on, int depth)
{
    weir_task *child;
    int result;
    int err =
        weir_task_spawn(on, live_as_child, child_depth(depth), NULL, &child);

    if (err < 0) {
        return err;
    }
    everything.children_live++;
    err = act(on, depth + 1);
    if (one_in(3)) {
        weir_task_cancel(child);
    }
    if (one_in(3)) {
        weir_task_unref(child);
        return err;
    }
    return weir_task_join(child, &result);
}

int make_group(weir_loop *on, int depth)
{
    struct weir_task_group group;
    int err = weir_task_group_begin(on, &group);

    if (err < 0) {
        return err;
    }
    for (uint64_t left = chance(4); left > 0; left--) {
        if (weir_task_group_spawn(&group, live_as_child, child_depth(depth),
                                  NULL, NULL) == 0) {
            everything.children_live++;
        }
    }
    err = act_a_few(on, depth + 1);
    if (one_in(4)) {
        weir_task_group_cancel(&group);
    }
    return weir_task_group_end(&group, err);
}

/* ---- futures ---- */

static void told_of_future(void *arg, weir_future *future, int result)
{
    everything.callbacks_due--;
}

/* A reference to the future of a slot, made if there is none. */
static weir_future *take_future(weir_loop *on)
{
    weir_future **slot = &everything.slots[chance(SLOTS)];

    if (*slot && weir_future_is_done(*slot)) {
        weir_future_unref(*slot);
        *slot = NULL;
    }
    if (!*slot && weir_future_new(on, NULL, NULL, slot) < 0) {
        *slot = NULL;
        return NULL;
    }
    if (one_in(4) &&
        weir_future_add_done_callback(*slot, told_of_future, NULL) == 0) {
        everything.callbacks_due++;
    }
    return weir_future_ref(*slot);
}

int complete_future(weir_loop *on, int depth)
{
    weir_future *future = everything.slots[chance(SLOTS)];

    if (future && one_in(3)) {
        weir_future_cancel(future);
    } else if (future) {
        weir_future_set_result(future, (int)chance(10) - 3);
    }
    return 0;
}

int await_future(weir_loop *on, int depth)
{
    weir_future *future = take_future(on);
    int result;
    int err;

    if (!future) {
        return -ESHUTDOWN;
    }
    switch (chance(3)) {
    case 0:
        err = weir_future_await(future, &result);
        break;
    case 1:
        err = weir_future_shield(future, &result);
        break;
    default:
        err = weir_wait_for(future, some_time(), &result);
        break;
    }
    weir_future_unref(future);
    return err;
}

int await_several(weir_loop *on, int depth)
{
    weir_future *futures[4];
    weir_future *group;
    size_t count = 1 + (size_t)chance(4);
    size_t had = 0;
    int result;
    int err;

    while (had < count && (futures[had] = take_future(on))) {
        had++;
    }
    if (one_in(2)) {
        err = weir_wait(on, futures, had, some_time(),
                        (enum weir_return_when)chance(3));
    } else {
        err = weir_gather(on, (enum weir_gather_kind)chance(3), futures, had,
                          &group);
        if (err == 0) {
            err = weir_wait_for(group, some_time(), &result);
            weir_future_unref(group);
        }
    }
    while (had > 0) {
        weir_future_unref(futures[--had]);
    }
    return err;
}

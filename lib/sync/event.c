/*
 * Events: a flag, and the tasks that wait for it to be set.
 *
 * Setting the event wakes all waiting tasks. They return 0, even if the event
 * is cleared before they run.
 */
#include "weir/sync.h"

#include "sync.h"

struct weir_event {
    struct wr_sync sync;
    struct wr_list waiters;
    bool is_set;
};

static void event_check_invariants(const weir_event *event)
{
    wr_sync_check_invariants(&event->sync);
    wr_assert(!event->is_set || wr_list_is_empty(&event->waiters));
}

int weir_event_new(weir_loop *loop, weir_event **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    int err = wr_sync_new(loop, sizeof(weir_event), &sync);
    if (err < 0) {
        return err;
    }
    weir_event *event = wr_container_of(sync, weir_event, sync);
    wr_list_init(&event->waiters);
    *ret = event;
    return 0;
}

void weir_event_set(weir_event *event)
{
    if (!wr_loop_admits(event->sync.loop)) {
        return;
    }
    event_check_invariants(event);
    event->is_set = true;
    wr_waiters_wake_all(&event->waiters, 0);
    event_check_invariants(event);
}

void weir_event_clear(weir_event *event)
{
    if (!wr_loop_admits(event->sync.loop)) {
        return;
    }
    event_check_invariants(event);
    event->is_set = false;
}

bool weir_event_is_set(const weir_event *event)
{
    return event->is_set;
}

static bool event_attempt(struct wr_waitable *what)
{
    const weir_event *event = what->object;

    event_check_invariants(event);
    what->result = 0;
    return event->is_set;
}

static const struct wr_sync_call event_wait = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "event"}},
    .attempt = event_attempt,
    .line = offsetof(weir_event, waiters)};

WR_SYNC_WHOLE int weir_event_wait(weir_event *event)
{
    return wr_sync_wait(&event_wait, &event->sync, NULL, NULL);
}

struct weir_waitable weir_waitable_event(weir_event *event)
{
    struct wr_waitable what =
        wr_sync_waitable(&event_wait, event ? &event->sync : NULL);
    return wr_waitable_give(&what);
}

void weir_event_free(weir_event *event)
{
    if (!event || !wr_loop_admits(event->sync.loop)) {
        return;
    }
    event_check_invariants(event);
    wr_waiters_wake_all(&event->waiters, -ECANCELED);
    wr_sync_free(&event->sync);
}

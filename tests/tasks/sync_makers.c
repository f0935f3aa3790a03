/*
 * The functions that create locks, events and other objects.
 *
 * Without memory they return -ENOMEM, and without a pointer for the result
 * -EINVAL. The scenes of each kind test calls from other threads.
 */
#include "sync.h"

#include <weir/sync.h>

static bool has_place;

static int order(void *arg, const void *a, const void *b)
{
    return 0;
}

#define MAKER(name, noun, ...)                                                 \
    static int new_##name(void *on)                                            \
    {                                                                          \
        weir_##noun *made;                                                     \
        return weir_##name##_new(__VA_ARGS__, has_place ? &made : NULL);       \
    }
MAKER(lock, lock, on)
MAKER(event, event, on)
MAKER(semaphore, semaphore, on, 1)
MAKER(bounded_semaphore, semaphore, on, 1)
MAKER(barrier, barrier, on, 1)
MAKER(queue, queue, on, 1, WEIR_QUEUE_FIFO)
MAKER(priority_queue, queue, on, 1, order, NULL)
MAKER(condition, condition, on)

/* Its lock has memory. */
static int new_beside_lock(void *on)
{
    weir_lock *lock;
    const size_t limit = rig_memory.size_limit;

    rig_memory.size_limit = SIZE_MAX;
    expect_eq(weir_lock_new(on, &lock), 0);
    rig_memory.size_limit = limit;
    const int err = new_condition(lock);
    weir_lock_free(lock);
    return err;
}

static const struct {
    const char *name;
    sync_call *make;
} makers[] = {
    {"lock", new_lock},
    {"event", new_event},
    {"semaphore", new_semaphore},
    {"bounded semaphore", new_bounded_semaphore},
    {"barrier", new_barrier},
    {"queue", new_queue},
    {"condition", new_beside_lock},
    {"priority queue", new_priority_queue},
};

enum { MAKER_COUNT = sizeof(makers) / sizeof(*makers) };

UNIT(sync_makers, without_memory_nothing_is_made)
{
    has_place = true;
    for (int i = 0; i < MAKER_COUNT; i++) {
        expect_eq(without_memory(makers[i].make), -ENOMEM, makers[i].name);
    }
}

TASK(sync_makers, without_a_place_for_it_nothing_is_made)
{
    for (int i = 0; i < MAKER_COUNT; i++) {
        expect_eq(makers[i].make(loop), -EINVAL, makers[i].name);
    }
}

/*
 * Freeing synchronisation objects at any moment.
 *
 * Random programs: tasks wait on every kind of object while others set, notify,
 * release, shut down and cancel. The objects are freed one after the other,
 * with tasks that wait, that were woken and have not run yet, and that hold a
 * lock. Every wait must return a value that its header allows, a lock must have
 * one owner, and all tasks must end, with the loop or before it. WEIR_TASK_SEED
 * runs one seed.
 */
#include "rig.h"

#include <weir/waitable.h>

#define SEEDS 1500u
#define TASKS 40

static struct {
    weir_lock *lock;
    weir_condition *condition;
    weir_queue *queue;
    weir_semaphore *semaphore;
    weir_barrier *barrier;
    weir_event *event;
    weir_future *future;
    weir_task *tasks[TASKS];
    uint32_t count;
    int inside; /* tasks that have the lock */
    uint32_t returned;
} world;

static void expect_known(int err)
{
    cr_assert(err >= 0 || err == -ECANCELED || err == WEIR_EBROKEN ||
                  err == WEIR_EQUEUESHUTDOWN || err == -EPERM,
              "a wait returned %d", err);
    world.returned++;
}

static void hold_lock(weir_loop *on)
{
    int err = weir_lock_acquire(world.lock);
    expect_known(err);
    if (err < 0) {
        return;
    }
    expect_eq(world.inside, 0);
    world.inside++;
    if (fake_chance(500)) {
        (void)!weir_yield(on);
    }
    world.inside--;
    if (world.lock) {
        expect_eq(weir_lock_release(world.lock), 0);
    }
}

/* With the lock, or without it where that was freed. */
static void wait_for_condition(void)
{
    if (weir_lock_acquire(world.lock) < 0) {
        return;
    }
    if (world.condition) {
        expect_known(weir_condition_wait(world.condition));
    }
    if (world.lock) {
        (void)!weir_lock_release(world.lock); /* it may be lost already */
    }
}

static void use_queue(uint64_t how)
{
    void *item;

    if (!world.queue) {
        return;
    }
    switch (how) {
    case 0:
        expect_known(weir_queue_put(world.queue, &world));
        break;
    case 1:
        expect_known(weir_queue_get(world.queue, &item));
        break;
    default:
        expect_known(weir_queue_join(world.queue));
        break;
    }
}

/* The result of the call that comes first, of those on objects that are there.
 * A lock that comes is released at once. */
static int wait_for_first(weir_loop *on)
{
    void *item;
    struct weir_waitable all[] = {weir_waitable_event(world.event),
                                  weir_waitable_queue_get(world.queue, &item),
                                  weir_waitable_semaphore(world.semaphore),
                                  weir_waitable_queue_put(world.queue, &world),
                                  weir_waitable_lock(world.lock)};
    const bool is_there[] = {world.event, world.queue, world.semaphore,
                             world.queue, world.lock};
    struct weir_waitable what[5];
    size_t count = 0;
    size_t kinds[5];

    for (size_t i = fake_random(5); i < 5; i++) {
        if (is_there[i]) {
            kinds[count] = i;
            what[count++] = all[i];
        }
    }
    const int first = weir_wait_any(on, what, count);
    if (first < 0) {
        return count == 0 && first == -EINVAL ? -ECANCELED : first;
    }
    if (kinds[first] == 4 && what[first].result == 0 && world.lock) {
        expect_eq(world.inside, 0);
        expect_eq(weir_lock_release(world.lock), 0);
    }
    return what[first].result;
}

static int wait_somewhere(weir_loop *on, void *arg)
{
    struct weir_timeout limit;
    const uint64_t kind = fake_random(11);

    weir_timeout_begin(on, &limit, fake_random(4) * US);
    if (kind == 0 && world.lock) {
        hold_lock(on);
    } else if (kind == 1 && world.lock) {
        wait_for_condition();
    } else if (kind == 2 && world.semaphore) {
        expect_known(weir_semaphore_acquire(world.semaphore));
    } else if (kind == 3 && world.barrier) {
        expect_known(weir_barrier_wait(world.barrier));
    } else if (kind == 4 && world.event) {
        expect_known(weir_event_wait(world.event));
    } else if (kind == 5 && world.future) {
        expect_known(weir_future_await(world.future, NULL));
    } else if (kind > 8) {
        expect_known(wait_for_first(on));
    } else if (kind > 5) {
        use_queue(kind - 6);
    }
    return (int)weir_timeout_end(&limit, 0);
}

/* The variable is NULL from then on. */
#define END(noun)                                                              \
    do {                                                                       \
        weir_##noun##_free(world.noun);                                        \
        world.noun = NULL;                                                     \
    } while (0)

static void free_something(void)
{
    switch (fake_random(7)) {
    case 0:
        END(lock);
        break;
    case 1:
        END(condition);
        break;
    case 2:
        END(queue);
        break;
    case 3:
        END(semaphore);
        break;
    case 4:
        END(barrier);
        break;
    case 5:
        END(event);
        break;
    default:
        weir_future_unref(world.future);
        world.future = NULL;
        break;
    }
}

/* With the lock, where a task has it or it can be had. */
static void notify_some(void)
{
    const bool is_taken =
        world.lock && weir_lock_acquire_nowait(world.lock) == 0;
    const ssize_t woken =
        weir_condition_notify(world.condition, fake_random(3));

    cr_assert(woken >= 0 || (woken == -EPERM && !world.lock));
    if (is_taken) {
        expect_eq(weir_lock_release(world.lock), 0);
    }
}

static void serve_somebody(void)
{
    const uint64_t what = fake_random(5);

    if (what == 0 && world.event) {
        weir_event_set(world.event);
    } else if (what == 1 && world.condition) {
        notify_some();
    } else if (what == 2 && world.queue) {
        if (fake_chance(500)) {
            weir_queue_shutdown_immediate(world.queue);
        } else {
            weir_queue_shutdown(world.queue);
        }
    } else if (what == 3 && world.semaphore) {
        weir_semaphore_release(world.semaphore);
    } else if (what == 4 && world.barrier) {
        weir_barrier_reset(world.barrier);
    }
}

static void make_world(weir_loop *on)
{
    expect_eq(weir_lock_new(on, &world.lock), 0);
    expect_eq(weir_condition_new(world.lock, &world.condition), 0);
    expect_eq(weir_queue_new(on, 2, WEIR_QUEUE_FIFO, &world.queue), 0);
    expect_eq(weir_semaphore_new(on, 1, &world.semaphore), 0);
    expect_eq(weir_barrier_new(on, 3, &world.barrier), 0);
    expect_eq(weir_event_new(on, &world.event), 0);
    expect_eq(weir_future_new(on, NULL, NULL, &world.future), 0);
}

static int play(weir_loop *on, void *arg)
{
    make_world(on);
    world.count = 1 + (uint32_t)fake_random(TASKS);
    for (uint32_t i = 0; i < world.count; i++) {
        world.tasks[i] = rig_spawn(wait_somewhere, NULL);
    }
    for (int step = 0; step < 40; step++) {
        const uint64_t what = fake_random(10);
        if (what < 3) {
            weir_task_cancel(world.tasks[fake_random(world.count)]);
        } else if (what < 5) {
            expect_eq(weir_yield(on), 0);
        } else if (what < 6) {
            expect_eq(weir_sleep(on, US), 0);
        } else if (what < 9) {
            serve_somebody();
        } else {
            free_something();
        }
    }
    for (uint32_t i = 0; i < world.count; i++) {
        weir_task_unref(world.tasks[i]);
    }
    return 0;
}

static void free_world(void)
{
    END(condition);
    END(lock);
    END(queue);
    END(semaphore);
    END(barrier);
    END(event);
    weir_future_unref(world.future);
    world.future = NULL;
}

static void play_seed(uint64_t seed)
{
    const struct fake_options machine = {.seed = seed};
    const uint32_t returned = world.returned;

    memset(&world, 0, sizeof(world));
    world.returned = returned;
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(play, NULL), 0);
    if (fake_chance(500)) { /* else after the loop */
        free_world();
    }
    expect_eq(weir_loop_free(loop), 0);
    free_world();
    fake_stop();
}

UNIT(sync_free, objects_may_go_while_tasks_wait_on_them)
{
    const char *given = getenv("WEIR_TASK_SEED");

    if (given) {
        play_seed(strtoull(given, NULL, 0));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play_seed(seed);
    }
    expect_gt(world.returned, SEEDS * 5);
}

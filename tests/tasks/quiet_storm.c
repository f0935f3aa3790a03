/*
 * Random programs in which only interruptions end some waits.
 *
 * Tasks wait in nests of groups, timeouts, joins and gathers, and continue with
 * the next call until one is interrupted. The main task gives some of what they
 * wait for, cancels each of them once, and does nothing more, so that no other
 * task can wake one by accident. A lost interruption leaves a task waiting or
 * computing, which the program reports; one that is reported twice, or without
 * a reason, ends a task too early. WEIR_TASK_SEED runs one seed.
 */
#include "rig.h"

#include <weir/sync.h>

#ifdef UNIT_HAS_LSAN
#define SEEDS 200u
#else
#define SEEDS 1500u
#endif
#define TASKS      5
#define DEPTH      3
#define ROUNDS_MAX 20000
#define SLOTS      64

#define must(cond)                                                             \
    cr_assert((cond), "WEIR_TASK_SEED=%llu: %s", (unsigned long long)seed,     \
              #cond)

static uint64_t seed;

struct top {
    weir_task *task;
    bool is_hit;
    bool has_ended;
};

static struct {
    weir_event *event;
    weir_lock *lock;
    weir_condition *condition;
    weir_semaphore *semaphore;
    weir_barrier *barrier;
    weir_queue *queue;
    weir_future *pending[SLOTS]; /* waited for; NULL: free */
    struct top tops[TASKS];
    uint32_t expired;
    uint32_t failed;
} world;

static int live(weir_loop *on, int depth);

static int run_nested(weir_loop *on, void *arg)
{
    return live(on, (int)(intptr_t)arg);
}

static weir_task *spawn_nested(int depth)
{
    return rig_spawn(run_nested, (void *)(intptr_t)(depth + 1));
}

static int compute(weir_loop *on, void *arg)
{
    return 3;
}

static int join_computing(weir_loop *on)
{
    return weir_task_join(rig_spawn(compute, NULL), NULL);
}

static int await_done(weir_loop *on)
{
    weir_future *done;
    must(weir_future_new(on, NULL, NULL, &done) == 0);
    must(weir_future_set_result(done, 1) == 0);
    int err = fake_chance(500) ? weir_future_await(done, NULL)
                               : weir_future_shield(done, NULL);
    weir_future_unref(done);
    return err;
}

static int await_pending(weir_loop *on)
{
    size_t slot = 0;
    while (slot < SLOTS && world.pending[slot]) {
        slot++;
    }
    if (slot == SLOTS) {
        return weir_yield(on);
    }
    must(weir_future_new(on, NULL, NULL, &world.pending[slot]) == 0);
    int err = fake_chance(500)
                  ? weir_future_await(world.pending[slot], NULL)
                  : weir_wait_for(world.pending[slot], UINT64_MAX, NULL);
    weir_future_unref(world.pending[slot]);
    world.pending[slot] = NULL;
    return err;
}

static int wait_for_event(weir_loop *on)
{
    int err = weir_event_wait(world.event);
    if (err == 0) {
        weir_event_clear(world.event);
    }
    return err;
}

static int use_lock(weir_loop *on)
{
    int err = weir_lock_acquire(world.lock);
    if (err < 0) {
        return err;
    }
    err = fake_chance(500) ? weir_condition_wait(world.condition)
                           : weir_sleep(on, fake_random(5 * US));
    must(weir_lock_release(world.lock) == 0);
    return err;
}

static int use_queue(weir_loop *on)
{
    void *item;
    return fake_chance(500) ? weir_queue_get(world.queue, &item)
                            : weir_queue_put(world.queue, NULL);
}

static int use_other(weir_loop *on)
{
    int place;

    switch (fake_random(4)) {
    case 0:
        return weir_semaphore_acquire(world.semaphore);
    case 1:
        place = weir_barrier_wait(world.barrier);
        return place < 0 ? place : 0;
    case 2:
        return weir_sleep(on, fake_random(20 * US));
    default:
        return fake_chance(500) ? weir_sleep(on, UINT64_MAX) : weir_yield(on);
    }
}

static int call(weir_loop *on)
{
    static int (*const calls[])(weir_loop *) = {
        join_computing, await_done, await_pending, wait_for_event,
        use_lock,       use_queue,  use_other,     use_other,
    };
    return calls[fake_random(sizeof(calls) / sizeof(calls[0]))](on);
}

static int in_time_out(weir_loop *on, int depth)
{
    struct weir_timeout limit;

    must(weir_timeout_begin(on, &limit, fake_random(60 * US)) == 0);
    int err = (int)weir_timeout_end(&limit, live(on, depth + 1));
    must(err == -ETIMEDOUT || err == -ECANCELED);
    world.expired += err == -ETIMEDOUT;
    return err == -ETIMEDOUT ? 0 : err;
}

static int fail_later(weir_loop *on, void *arg)
{
    int err = weir_sleep(on, fake_random(60 * US));
    return err < 0 ? err : -EIO;
}

static int in_group(weir_loop *on, int depth)
{
    struct weir_task_group group;
    const uint64_t members = 1 + fake_random(2);

    must(weir_task_group_begin(on, &group) == 0);
    for (uint64_t i = 0; i < members; i++) {
        must(weir_task_group_spawn(&group, run_nested,
                                   (void *)(intptr_t)(depth + 1), NULL,
                                   NULL) == 0);
    }
    if (fake_chance(700)) {
        must(weir_task_group_spawn(&group, fail_later, NULL, NULL, NULL) == 0);
    }
    int err = fake_chance(500) ? live(on, depth + 1) : 0;
    err = weir_task_group_end(&group, err);
    must(err == -EIO || err == -ECANCELED);
    world.failed += err == -EIO;
    return err == -EIO ? 0 : err;
}

static int in_join(weir_loop *on, int depth)
{
    int err = weir_task_join(spawn_nested(depth), NULL);
    must(err == -ECANCELED);
    return err;
}

static int in_gather(weir_loop *on, int depth)
{
    weir_task *tasks[2] = {spawn_nested(depth), spawn_nested(depth)};
    weir_future *futures[2] = {weir_task_get_future(tasks[0]),
                               weir_task_get_future(tasks[1])};
    weir_future *both;

    must(weir_gather(on, WEIR_GATHER_ALL, futures, 2, &both) == 0);
    weir_task_unref(tasks[0]);
    weir_task_unref(tasks[1]);
    int err = weir_future_await(both, NULL);
    weir_future_unref(both);
    must(err == -ECANCELED);
    return err;
}

static int nest(weir_loop *on, int depth)
{
    switch (fake_random(6)) {
    case 0:
        return in_join(on, depth);
    case 1:
        return in_gather(on, depth);
    case 2:
    case 3:
        return in_group(on, depth);
    default:
        return in_time_out(on, depth);
    }
}

/* Until it is interrupted. */
static int live(weir_loop *on, int depth)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        int err =
            depth < DEPTH && fake_chance(300) ? nest(on, depth) : call(on);
        must(err == 0 || err == -ECANCELED);
        if (err < 0) {
            return err;
        }
    }
    must(false && "the interruption was lost");
    return 0;
}

static int run_top(weir_loop *on, void *arg)
{
    struct top *top = arg;

    must(live(on, 0) == -ECANCELED);
    must(top->is_hit);
    top->has_ended = true;
    must(weir_task_get_cancelling(weir_task_get_current(on)) == 1);
    must(weir_yield(on) == 0);
    return 0;
}

static void give_something(void)
{
    void *item;
    const size_t slot = fake_random(SLOTS);

    switch (fake_random(6)) {
    case 0:
        weir_event_set(world.event);
        break;
    case 1:
        must(weir_semaphore_release(world.semaphore) == 0);
        break;
    case 2:
        if (weir_lock_is_locked(world.lock)) {
            must(weir_condition_notify(world.condition, 1) >= 0);
        }
        break;
    case 3:
        if (weir_queue_get_nowait(world.queue, &item) < 0) {
            must(weir_queue_put_nowait(world.queue, NULL) == 0);
        }
        break;
    case 4:
        if (world.pending[slot]) {
            (void)weir_future_set_result(world.pending[slot], 2);
        }
        break;
    default:
        break;
    }
}

static void give_much(void)
{
    for (uint64_t count = fake_random(6); count > 0; count--) {
        give_something();
    }
}

static void hit(struct top *top)
{
    top->is_hit = true;
    must(weir_task_cancel(top->task));
}

static void make_world(weir_loop *on)
{
    memset(&world, 0, sizeof(world));
    must(weir_event_new(on, &world.event) == 0);
    must(weir_lock_new(on, &world.lock) == 0);
    must(weir_condition_new(world.lock, &world.condition) == 0);
    must(weir_semaphore_new(on, 0, &world.semaphore) == 0);
    must(weir_barrier_new(on, 3, &world.barrier) == 0);
    must(weir_queue_new(on, 1, WEIR_QUEUE_FIFO, &world.queue) == 0);
}

static void end_world(void)
{
    must(!weir_lock_is_locked(world.lock));
    must(weir_barrier_get_waiting_count(world.barrier) == 0);
    for (size_t i = 0; i < SLOTS; i++) {
        must(!world.pending[i]);
    }
    weir_condition_free(world.condition);
    weir_lock_free(world.lock);
    weir_event_free(world.event);
    weir_semaphore_free(world.semaphore);
    weir_barrier_free(world.barrier);
    weir_queue_free(world.queue);
}

static int play(weir_loop *on, void *arg)
{
    make_world(on);
    for (int i = 0; i < TASKS; i++) {
        world.tops[i].task = rig_spawn(run_top, &world.tops[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        must((fake_chance(300) ? weir_yield(on)
                               : weir_sleep(on, fake_random(80 * US))) == 0);
        give_much();
        hit(&world.tops[i]);
        give_much();
    }
    must(weir_sleep(on, S) == 0);
    for (int i = 0; i < TASKS; i++) {
        must(world.tops[i].has_ended);
        must(rig_join(world.tops[i].task) == 0);
    }
    must(rig_statistics().tasks == 1);
    end_world();
    return 0;
}

UNIT(quiet_storm, of_interruptions_alone_ends_every_task)
{
    const char *given = getenv("WEIR_TASK_SEED");
    uint64_t nests = 0;

    for (seed = 1; seed <= (given ? 1 : SEEDS); seed++) {
        seed = given ? strtoull(given, NULL, 0) : seed;
        const struct fake_options machine = {.seed = seed};
        fake_start(&machine);
        must(weir_loop_new(NULL, &loop) == 0);
        must(rig_main(play, NULL) == 0);
        nests += world.expired + world.failed;
        rig_stop();
        if (given) {
            return;
        }
    }
    expect_gt(nests, SEEDS);
}

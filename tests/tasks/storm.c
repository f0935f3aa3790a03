/*
 * A hundred thousand tasks that are cancelled at any moment.
 *
 * Random programs on the fake machine: every task sleeps, yields, sets
 * timeouts, starts and joins others, and any task cancels any other at any
 * time. A task must end once, with the result of its function; a failed wait
 * must have a reason; nothing may be left at the end. The seed is printed;
 * WEIR_TASK_SEED sets it.
 */
#include "rig.h"

#define TASKS 100000
#define LIVE  64

struct storm_task {
    weir_task *task; /* ours until it is joined or detached */
    uint32_t number;
    bool has_ended;
};

static struct {
    struct storm_task slots[LIVE];
    uint64_t random;
    uint32_t spawned;
    uint32_t ended;
    uint32_t interruptions;
} storm;

static uint64_t random_below(uint64_t below)
{
    storm.random ^= storm.random << 13;
    storm.random ^= storm.random >> 7;
    storm.random ^= storm.random << 17;
    return storm.random % below;
}

static void cancel_somebody(void)
{
    struct storm_task *slot = &storm.slots[random_below(LIVE)];
    if (slot->task) {
        const bool was_alive = weir_task_cancel(slot->task);
        expect_eq(was_alive, !slot->has_ended);
    }
}

static int wait_somehow(weir_loop *on)
{
    struct weir_timeout limit;
    int64_t result;

    switch (random_below(4)) {
    case 0:
        return weir_yield(on);
    case 1:
        return weir_sleep(on, random_below(50 * US));
    default:
        expect_eq(weir_timeout_begin(on, &limit, random_below(40 * US)), 0);
        result = weir_sleep(on, random_below(60 * US));
        cr_assert(result == 0 || result == -ECANCELED);
        if (random_below(3) == 0) {
            cancel_somebody();
        }
        result = weir_timeout_end(&limit, result);
        cr_assert(result != -ETIMEDOUT || weir_timeout_is_expired(&limit));
        return (int)result;
    }
}

static int live(weir_loop *on, void *arg)
{
    struct storm_task *slot = arg;
    const uint32_t number = slot->number;
    weir_task *self = weir_task_get_current(on);
    const uint64_t steps = random_below(4);

    for (uint64_t i = 0; i < steps; i++) {
        int err = wait_somehow(on);
        cr_assert(err == 0 || err == -ETIMEDOUT || err == -ECANCELED);
        expect_eq(weir_task_get_current(on), self);
        expect_eq(slot->number, number, "the slot is ours while we live");
        if (err == -ECANCELED) {
            expect_gt(weir_task_get_cancelling(self), 0);
            storm.interruptions++;
            if (random_below(2) == 0) {
                break;
            }
        }
        if (random_below(4) == 0) {
            cancel_somebody();
        }
    }
    slot->has_ended = true;
    storm.ended++;
    return (int)(number & 0xffff);
}

/* Makes a slot free by one of the ways in which a handle is given up. */
static void end_slot(struct storm_task *slot)
{
    const int number = (int)(slot->number & 0xffff);
    int result = -1;

    if (random_below(3) == 0) {
        weir_task_cancel(slot->task);
    }
    if (slot->has_ended && random_below(2) == 0) {
        weir_task_unref(slot->task);
    } else {
        expect_eq(weir_task_join(slot->task, &result), 0);
        expect_eq(result, number);
    }
    cr_assert(slot->has_ended);
    slot->task = NULL;
}

static int rage(weir_loop *on, void *arg)
{
    while (storm.spawned < TASKS) {
        struct storm_task *slot = &storm.slots[random_below(LIVE)];
        if (slot->task) {
            end_slot(slot);
        }
        *slot = (struct storm_task){.number = storm.spawned++};
        expect_eq(weir_task_spawn(on, live, slot, NULL, &slot->task), 0);
        if (random_below(8) == 0) {
            expect_eq(weir_sleep(on, random_below(20 * US)), 0);
        }
        if (random_below(4) == 0) {
            cancel_somebody();
        }
    }
    for (uint32_t i = 0; i < LIVE; i++) {
        if (storm.slots[i].task) {
            end_slot(&storm.slots[i]);
        }
    }
    return 0;
}

UNIT(storm, of_tasks_that_are_cancelled_at_any_moment_leaves_nothing)
{
    const char *given = getenv("WEIR_TASK_SEED");
    storm.random = given ? strtoull(given, NULL, 0) : 20261120;
    fprintf(stderr, "WEIR_TASK_SEED=%llu\n", (unsigned long long)storm.random);
    expect_neq(storm.random, 0);
    rig_start();
    expect_eq(rig_main(rage, NULL), 0);
    const struct weir_loop_statistics now = rig_statistics();
    rig_stop();
    expect_eq(storm.ended, TASKS);
    expect_eq(now.tasks, 0);
    expect_eq(now.tasks_spawned, TASKS + 1);
    expect_gt(storm.interruptions, TASKS / 50);
}

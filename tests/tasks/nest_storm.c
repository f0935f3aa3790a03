/*
 * Random nests of everything that waits for tasks.
 *
 * Tasks start groups of tasks that start groups; they join, shield, gather and
 * wait for any tasks, also in circles; they set timeouts, cancel and withdraw
 * cancellations. Then the loop is freed meanwhile, or the handles are released
 * before. No member may outlive its group, every call must return what its
 * header allows, and everything must end. A circle may wait until the loop is
 * freed. WEIR_TASK_SEED runs one seed.
 */
#include "rig.h"

#define SEEDS 1500u
#define KNOWN 64
#define DEPTH 4

static struct {
    weir_task *known[KNOWN]; /* ours, one reference each */
    uint32_t count;
    uint32_t ended;
} nest;

static int live(weir_loop *on, void *arg);

static void *depth_arg(intptr_t depth)
{
    return (void *)depth;
}

static weir_task *somebody(void)
{
    return nest.count > 0 ? nest.known[fake_random(nest.count)] : NULL;
}

static void keep_or_detach(weir_task *task)
{
    if (nest.count < KNOWN && fake_chance(500)) {
        nest.known[nest.count++] = task;
    } else {
        weir_task_unref(task);
    }
}

/* A member counts itself out. */
struct nest_member {
    int *inside;
    intptr_t depth;
};

static int live_inside(weir_loop *on, void *arg)
{
    const struct nest_member member = *(struct nest_member *)arg;
    free(arg);
    int result = live(on, depth_arg(member.depth));
    --*member.inside;
    return result;
}

static int hold_group(weir_loop *on, intptr_t depth)
{
    struct weir_task_group group;
    int inside = 0;
    const uint64_t count = fake_random(4);

    expect_eq(weir_task_group_begin(on, &group), 0);
    for (uint64_t i = 0; i < count; i++) {
        struct nest_member *member = malloc(sizeof(*member));
        weir_task *task = NULL;
        *member = (struct nest_member){&inside, depth - 1};
        int err = weir_task_group_spawn(&group, live_inside, member, NULL,
                                        fake_chance(500) ? &task : NULL);
        if (err < 0) {
            cr_assert(err == -ESHUTDOWN || err == -ESTALE);
            free(member);
            continue;
        }
        inside++;
        if (task) {
            keep_or_detach(task);
        }
    }
    int err = fake_chance(500) ? weir_sleep(on, US) : 0;
    if (fake_chance(200)) {
        weir_task_group_cancel(&group);
    }
    err = weir_task_group_end(&group, fake_chance(700) ? err : -EIO);
    expect_eq(inside, 0, "a member outlives its group");
    return err;
}

static void resolve_perhaps(void *arg, weir_future *future)
{
    if (fake_chance(500)) {
        (void)weir_future_set_result(future, (int)fake_random(3) - 1);
    }
    if (fake_chance(300) && somebody()) {
        weir_task_cancel(somebody());
    }
}

static int gather_two(weir_loop *on, weir_task *task)
{
    weir_future *futures[2] = {weir_task_get_future(task), NULL};
    weir_future *both;

    int err = weir_future_new(on, resolve_perhaps, NULL, &futures[1]);
    if (err < 0) {
        return err;
    }
    err = weir_gather(on, (enum weir_gather_kind)fake_random(3), futures, 2,
                      &both);
    if (err == 0) {
        err = weir_wait_for(both, fake_random(3) * US, NULL);
        weir_future_unref(both);
    }
    weir_future_unref(futures[1]);
    return err;
}

static int wait_for_somebody(weir_loop *on, weir_task *task)
{
    weir_future *future = weir_task_get_future(task);

    switch (fake_random(4)) {
    case 0:
        return weir_task_join(weir_task_ref(task), NULL);
    case 1:
        return gather_two(on, task);
    case 2:
        return weir_wait(on, &future, 1, fake_random(4) * US,
                         (enum weir_return_when)fake_random(3));
    default:
        return weir_future_shield(future, NULL);
    }
}

static int take_step(weir_loop *on, intptr_t depth)
{
    weir_task *task = somebody();
    int err = 0;

    switch (fake_random(7)) {
    case 0:
        return weir_sleep(on, fake_random(4) * US);
    case 1:
        return depth > 0 ? hold_group(on, depth) : 0;
    case 2:
    case 3:
        if (task) {
            weir_task_ref(task); /* its place may be given up meanwhile */
            err = wait_for_somebody(on, task);
            weir_task_unref(task);
        }
        return err;
    case 4:
        if (task) {
            weir_task_cancel(task);
        }
        return 0;
    case 5:
        if (depth > 0 &&
            weir_task_spawn(on, live, depth_arg(depth - 1), NULL, &task) == 0) {
            keep_or_detach(task);
        }
        return 0;
    default:
        (void)weir_task_uncancel(weir_task_get_current(on));
        return 0;
    }
}

static int live(weir_loop *on, void *arg)
{
    const intptr_t depth = (intptr_t)arg;
    const uint64_t steps = 1 + fake_random(4);
    int err = 0;

    for (uint64_t i = 0; i < steps && err >= 0; i++) {
        struct weir_timeout limit;
        const bool is_timed = fake_chance(300);
        if (is_timed) {
            weir_timeout_begin(on, &limit, fake_random(5) * US);
        }
        err = take_step(on, depth);
        if (is_timed) {
            err = (int)weir_timeout_end(&limit, err);
        }
        cr_assert(err >= 0 || err == -ECANCELED || err == -ETIMEDOUT ||
                      err == -EDEADLK || err == -EIO || err == -ESHUTDOWN,
                  "a call returned %d", err);
        err = fake_chance(500) ? 0 : err;
    }
    nest.ended++;
    return err < 0 && fake_chance(500) ? err : 0;
}

static int stir(weir_loop *on, void *arg)
{
    for (int i = 0; i < 6; i++) {
        nest.known[nest.count++] = rig_spawn(live, depth_arg(DEPTH));
    }
    for (int i = 0; i < 20; i++) {
        expect_eq(weir_sleep(on, fake_random(5) * US), 0);
        if (fake_chance(500)) {
            weir_task_cancel(somebody());
        }
    }
    return 0;
}

static void give_handles_up(void)
{
    while (nest.count > 0) {
        weir_task_unref(nest.known[--nest.count]);
    }
}

static void play_seed(uint64_t seed)
{
    const struct fake_options machine = {.seed = seed};

    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(stir, NULL), 0);
    if (fake_chance(500)) {
        give_handles_up();
    }
    expect_eq(weir_loop_free(loop), 0);
    give_handles_up();
    fake_stop();
}

UNIT(nest_storm, of_groups_joins_and_gathers_ends_with_the_loop_at_the_latest)
{
    const char *given = getenv("WEIR_TASK_SEED");

    if (given) {
        play_seed(strtoull(given, NULL, 0));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play_seed(seed);
    }
    expect_gt(nest.ended, SEEDS * 10);
}

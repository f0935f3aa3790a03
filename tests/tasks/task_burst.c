/*
 * Many tasks that end together.
 *
 * Their memory is freed, though no connection was lost, and the loop is woken
 * for it once. The tasks are a group, and time is that of the fake machine.
 */
#include "rig.h"

#define BURST 2000u

static int sleep_a_little(weir_loop *on, void *arg)
{
    return weir_sleep(on, MS);
}

static void make_burst(uint32_t count)
{
    struct weir_task_group group;
    expect_ok(weir_task_group_begin(loop, &group));
    for (uint32_t i = 0; i < count; i++) {
        expect_ok(
            weir_task_group_spawn(&group, sleep_a_little, NULL, NULL, NULL));
    }
    expect_ok(weir_task_group_end(&group, 0));
}

TASK(task_burst, is_trimmed_some_seconds_later)
{
    make_burst(BURST);
    expect_gt(rig_statistics().stacks, BURST, "the next burst takes them");
    expect_ok(weir_sleep(loop, 3 * S));
    expect_gt(rig_statistics().stacks, BURST);
    expect_ok(weir_sleep(loop, 6 * S));
    expect_leq(rig_statistics().stacks, 16, "those of one mapping");
}

TASK(task_burst, wakes_an_idle_loop_for_its_trim_alone)
{
    make_burst(BURST);
    const uint64_t before = rig_statistics().turns;
    expect_ok(weir_sleep(loop, 3600 * S));
    expect_leq(rig_statistics().turns, before + 6);
}

TASK(task_burst, of_few_wakes_nobody)
{
    make_burst(20);
    const uint64_t before = rig_statistics().turns;
    expect_ok(weir_sleep(loop, 3600 * S));
    expect_leq(rig_statistics().turns, before + 2);
    expect_geq(rig_statistics().stacks, 20);
}

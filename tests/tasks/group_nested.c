/*
 * Task groups inside each other, inside timeouts, and at the end of the loop.
 * The outer reason must win over the inner one, and nothing may outlive the
 * stack of its starter.
 */
#include "tests/death.h"

#include "group_rig.h"

TASK(group_nested, a_time_out_around_it_cancels_the_members)
{
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    expect_eq(weir_timeout_begin(loop, &limit, 2 * MS), 0);
    begin(&group);
    spawn(&group, &a);
    int result = weir_task_group_end(&group, 0);
    expect_eq(result, -ECANCELED);
    expect_eq(a.slept, -ECANCELED);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, a_members_error_outranks_the_time_out_around_it)
{
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 9 * MS, .fails = -EIO};

    expect_eq(weir_timeout_begin(loop, &limit, 2 * MS), 0);
    begin(&group);
    spawn(&group, &bad);
    int result = weir_task_group_end(&group, 0);
    expect_eq(result, -EIO);
    expect_eq(weir_timeout_end(&limit, result), -EIO);
    expect_eq(weir_yield(loop), 0, "the time-out went with its scope");
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
}

TASK(group_nested, its_failure_outranks_a_time_out_inside)
{
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member slow = {.name = "s", .sleep_ns = 5 * MS, .swallows = 1};
    struct owner inner = {.member = &slow};

    /* The failure comes first, then the time is over, then the wait ends. */
    begin(&group);
    spawn(&group, &bad);
    expect_eq(weir_timeout_begin(loop, &limit, 3 * MS), 0);
    int result = own_group(loop, &inner);
    expect_eq(result, -ECANCELED);
    expect_eq(slow.slept, -ECANCELED, "the time-out cancels the members too");
    cr_assert(weir_timeout_is_expired(&limit));
    expect_eq(weir_timeout_end(&limit, result), -ECANCELED,
              "the outer reason wins");
    expect_eq(weir_task_group_end(&group, result), -EIO);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, the_owner_may_take_its_interruption_back_itself)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    weir_task *self = weir_task_get_current(loop);

    begin(&group);
    spawn(&group, &bad);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_task_uncancel(self), 0);
    expect_eq(weir_task_group_end(&group, 0), -EIO);
    expect_eq(weir_task_get_cancelling(self), 0);
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, a_failure_stays_in_its_group)
{
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member kept = {.name = "k", .sleep_ns = 3 * MS};

    begin(&outer);
    spawn(&outer, &kept);
    begin(&inner);
    spawn(&inner, &bad);
    expect_eq(weir_task_group_end(&inner, 0), -EIO);
    expect_eq(weir_task_group_end(&outer, 0), 0);
    expect_eq(kept.slept, 0, "the outer group's member is not cancelled");
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, a_failure_cancels_the_groups_inside)
{
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member good = {.name = "g", .sleep_ns = 9 * MS};

    begin(&outer);
    spawn(&outer, &bad);
    begin(&inner);
    spawn(&inner, &good);
    int result = weir_task_group_end(&inner, 0);
    expect_eq(result, -ECANCELED);
    expect_eq(good.slept, -ECANCELED);
    expect_eq(weir_task_group_end(&outer, result), -EIO);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    expect_eq(weir_yield(loop), 0);
}

#define DEEP 5000

static int deepest;

static int nest(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    const int depth = *(int *)arg + 1;
    int mine = depth;

    if (depth == DEEP) {
        deepest++;
        return weir_sleep(on, S);
    }
    begin(&group);
    expect_eq(weir_task_group_spawn(&group, nest, &mine, NULL, NULL), 0);
    return weir_task_group_end(&group, 0);
}

TASK(group_nested, a_deep_nest_is_cancelled_on_a_small_stack)
{
    int depth = 0;
    weir_task *task = rig_spawn(nest, &depth);

    expect_eq(weir_sleep(loop, MS), 0);
    expect_eq(deepest, 1);
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_eq(rig_statistics().tasks, 1);
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, its_failure_interrupts_a_join_of_the_owner)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member slow = {.name = "s", .sleep_ns = 9 * MS};
    weir_task *other = rig_spawn(run_member, &slow);
    int joined = 0;

    begin(&group);
    spawn(&group, &bad);
    int result = weir_task_join(other, &joined);
    expect_eq(result, -ECANCELED);
    expect_eq(slow.slept, -ECANCELED, "what the owner joins is cancelled");
    expect_eq(weir_task_group_end(&group, result), -EIO);
    expect_eq(weir_yield(loop), 0);
}

TASK(group_nested, members_can_be_gathered)
{
    struct weir_task_group group;
    struct member members[3] = {
        {.name = "0", .sleep_ns = 3 * MS, .result = -ENOENT},
        {.name = "1", .sleep_ns = 1 * MS},
        {.name = "2", .sleep_ns = 9 * MS}};
    weir_task *tasks[3];
    weir_future *futures[3];
    weir_future *any;
    int first = -1;

    begin(&group);
    for (int i = 0; i < 3; i++) {
        expect_ok(weir_task_group_spawn(&group, run_member, &members[i], NULL,
                                        &tasks[i]));
        futures[i] = weir_task_get_future(tasks[i]);
    }
    expect_eq(weir_gather(loop, WEIR_GATHER_ANY, futures, 3, &any), 0);
    expect_eq(weir_future_await(any, &first), 0);
    expect_eq(first, 1);
    expect_eq(members[2].slept, -ECANCELED);
    weir_future_unref(any);
    for (int i = 0; i < 3; i++) {
        weir_task_unref(tasks[i]);
    }
    expect_eq(weir_task_group_end(&group, 0), 0);
    expect_eq(weir_yield(loop), 0);
}

static int own_for_ever(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    struct member members[2] = {{.name = "a", .sleep_ns = S},
                                {.name = "b", .sleep_ns = S, .swallows = 3}};
    struct member late = {.name = "l"};

    begin(&group);
    spawn(&group, &members[0]);
    spawn(&group, &members[1]);
    if (arg) {
        expect_eq(weir_sleep(on, S), -ECANCELED);
        expect_eq(weir_task_group_spawn(&group, run_member, &late, NULL, NULL),
                  -ESHUTDOWN);
    }
    expect_eq(weir_task_group_end(&group, 0), -ECANCELED);
    expect_eq(members[0].slept, -ECANCELED,
              "the members end before their stack goes");
    expect_eq(members[1].slept, -ECANCELED);
    begin(&group);
    expect_eq(weir_task_group_spawn(&group, run_member, &late, NULL, NULL),
              -ESHUTDOWN);
    expect_eq(weir_task_group_end(&group, 0), -ECANCELED);
    note("e");
    return 0;
}

static int leave_owner(weir_loop *on, void *arg)
{
    weir_task_unref(rig_spawn(own_for_ever, arg));
    return weir_sleep(on, MS);
}

UNIT(group_nested, outlives_its_members_when_the_loop_is_freed)
{
    expect_eq(rig_run(leave_owner, NULL), 0);
    expect_eq(strcspn(notes, "e"), 2, "after both members");
    notes[0] = '\0';
    expect_eq(rig_run(leave_owner, notes), 0);
    expect_eq(strcspn(notes, "e"), 2);
}

static int forget_group(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    struct member member = {.name = "m", .sleep_ns = MS};
    begin(&group);
    spawn(&group, &member);
    return 0;
}

UNIT_ABORTS(group_nested, that_is_left_open_by_its_task_is_told,
            "task 'main' returned inside a task group: it did not call "
            "weir_task_group_end()")
{
    rig_run(forget_group, NULL);
}

TASK(group_nested, interruptions_of_its_own_are_over_with_it)
{
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member worse = {.name = "w", .sleep_ns = S, .fails = -EPIPE};
    weir_task *self = weir_task_get_current(loop);

    cr_assert(weir_task_cancel(self));
    expect_eq(weir_yield(loop), -ECANCELED);

    begin(&outer);
    spawn(&outer, &bad);
    begin(&inner);
    spawn(&inner, &worse);
    int result = weir_sleep(loop, S);
    expect_eq(result, -ECANCELED, "the outer group has failed");
    result = weir_task_group_end(&inner, result);
    expect_eq(result, -EPIPE);
    expect_eq(weir_task_group_end(&outer, result), -EIO);

    expect_eq(weir_task_get_cancelling(self), 1, "as before the groups");
    expect_eq(weir_yield(loop), 0, "nobody has cancelled it since");
}

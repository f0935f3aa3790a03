/*
 * Task groups inside of each other, inside of time-outs, and at the end of the
 * loop. The outer reason must win over the inner one, and nothing may outlive
 * the stack that it was started from.
 */
#include "group.h"

#include <signal.h>

/* ---- time-outs ---- */

static int time_group(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    cr_assert_eq(weir_timeout_begin(on, &limit, 2 * MS), 0);
    begin(&group);
    spawn(&group, &a);
    int result = weir_task_group_end(&group, 0);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(a.slept, -ECANCELED);
    cr_assert_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    return weir_yield(on);
}

UNIT(group, a_time_out_around_it_cancels_the_members)
{
    cr_assert_eq(rig_run(time_group, NULL), 0);
}

static int time_failing_group(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 9 * MS, .fails = -EIO};

    cr_assert_eq(weir_timeout_begin(on, &limit, 2 * MS), 0);
    begin(&group);
    spawn(&group, &bad);
    int result = weir_task_group_end(&group, 0);
    cr_assert_eq(result, -EIO);
    cr_assert_eq(weir_timeout_end(&limit, result), -EIO);
    cr_assert_eq(weir_yield(on), 0, "the time-out went with its scope");
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    return 0;
}

UNIT(group, a_members_error_outranks_the_time_out_around_it)
{
    cr_assert_eq(rig_run(time_failing_group, NULL), 0);
}

static int time_inside(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_timeout limit;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member slow = {.name = "s", .sleep_ns = 5 * MS, .swallows = 1};
    struct owner inner = {.member = &slow};

    /* The failure comes first, then the time is over, then the wait ends. */
    begin(&group);
    spawn(&group, &bad);
    cr_assert_eq(weir_timeout_begin(on, &limit, 3 * MS), 0);
    int result = own_group(on, &inner);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(slow.slept, -ECANCELED, "the time-out was passed on too");
    cr_assert(weir_timeout_expired(&limit));
    cr_assert_eq(weir_timeout_end(&limit, result), -ECANCELED,
                 "the outer reason wins");
    cr_assert_eq(weir_task_group_end(&group, result), -EIO);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    return weir_yield(on);
}

UNIT(group, its_failure_outranks_a_time_out_inside)
{
    cr_assert_eq(rig_run(time_inside, NULL), 0);
}

static int uncancel_inside(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    weir_task *self = weir_task_current(on);

    begin(&group);
    spawn(&group, &bad);
    cr_assert_eq(weir_sleep(on, S), -ECANCELED);
    cr_assert_eq(weir_task_uncancel(self), 0);
    cr_assert_eq(weir_task_group_end(&group, 0), -EIO);
    cr_assert_eq(weir_task_cancelling(self), 0);
    return weir_yield(on);
}

UNIT(group, the_owner_may_take_its_interruption_back_itself)
{
    cr_assert_eq(rig_run(uncancel_inside, NULL), 0);
}

/* ---- nesting ---- */

static int fail_inner(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member kept = {.name = "k", .sleep_ns = 3 * MS};

    begin(&outer);
    spawn(&outer, &kept);
    begin(&inner);
    spawn(&inner, &bad);
    cr_assert_eq(weir_task_group_end(&inner, 0), -EIO);
    cr_assert_eq(weir_task_group_end(&outer, 0), 0);
    cr_assert_eq(kept.slept, 0, "the outer one goes on");
    return weir_yield(on);
}

UNIT(group, a_failure_stays_in_its_group)
{
    cr_assert_eq(rig_run(fail_inner, NULL), 0);
}

static int fail_outer(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member good = {.name = "g", .sleep_ns = 9 * MS};

    begin(&outer);
    spawn(&outer, &bad);
    begin(&inner);
    spawn(&inner, &good);
    int result = weir_task_group_end(&inner, 0);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(good.slept, -ECANCELED);
    cr_assert_eq(weir_task_group_end(&outer, result), -EIO);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    return weir_yield(on);
}

UNIT(group, a_failure_cancels_the_groups_inside)
{
    cr_assert_eq(rig_run(fail_outer, NULL), 0);
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
    cr_assert_eq(weir_task_group_spawn(&group, nest, &mine, NULL, NULL), 0);
    return weir_task_group_end(&group, 0);
}

static int cancel_nested(weir_loop *on, void *arg)
{
    (void)arg;
    int depth = 0;
    weir_task *task = rig_spawn(nest, &depth);

    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert_eq(deepest, 1);
    cr_assert(weir_task_cancel(task));
    cr_assert_eq(rig_join(task), -ECANCELED);
    cr_assert_eq(rig_statistics().tasks, 1);
    return weir_yield(on);
}

UNIT(group, a_deep_nest_is_cancelled_on_a_small_stack)
{
    cr_assert_eq(rig_run(cancel_nested, NULL), 0);
}

static int join_in_group(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member slow = {.name = "s", .sleep_ns = 9 * MS};
    weir_task *other = rig_spawn(run_member, &slow);
    int joined = 0;

    begin(&group);
    spawn(&group, &bad);
    int result = weir_task_join(other, &joined);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(slow.slept, -ECANCELED, "what the owner joins is cancelled");
    cr_assert_eq(weir_task_group_end(&group, result), -EIO);
    return weir_yield(on);
}

UNIT(group, its_failure_interrupts_a_join_of_the_owner)
{
    cr_assert_eq(rig_run(join_in_group, NULL), 0);
}

static int run_gathered(weir_loop *on, void *arg)
{
    (void)arg;
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
        cr_assert_eq(weir_task_group_spawn(&group, run_member, &members[i],
                                           NULL, &tasks[i]),
                     0);
        futures[i] = weir_task_get_future(tasks[i]);
    }
    cr_assert_eq(weir_gather(on, WEIR_GATHER_ANY, futures, 3, &any), 0);
    cr_assert_eq(weir_future_await(any, &first), 0);
    cr_assert_eq(first, 1);
    cr_assert_eq(members[2].slept, -ECANCELED);
    weir_future_unref(any);
    for (int i = 0; i < 3; i++) {
        weir_task_detach(tasks[i]);
    }
    cr_assert_eq(weir_task_group_end(&group, 0), 0);
    return weir_yield(on);
}

UNIT(group, members_can_be_gathered)
{
    cr_assert_eq(rig_run(run_gathered, NULL), 0);
}

/* ---- the loop's end ---- */

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
        cr_assert_eq(weir_sleep(on, S), -ECANCELED);
        cr_assert_eq(
            weir_task_group_spawn(&group, run_member, &late, NULL, NULL),
            -ESHUTDOWN);
    }
    cr_assert_eq(weir_task_group_end(&group, 0), -ECANCELED);
    cr_assert_eq(members[0].slept, -ECANCELED, "they are on this stack");
    cr_assert_eq(members[1].slept, -ECANCELED);
    begin(&group);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &late, NULL, NULL),
                 -ESHUTDOWN);
    cr_assert_eq(weir_task_group_end(&group, 0), -ECANCELED);
    note("e");
    return 0;
}

static int leave_owner(weir_loop *on, void *arg)
{
    weir_task_detach(rig_spawn(own_for_ever, arg));
    return weir_sleep(on, MS);
}

UNIT(group, outlives_its_members_when_the_loop_is_freed)
{
    cr_assert_eq(rig_run(leave_owner, NULL), 0);
    cr_assert_eq(strcspn(events, "e"), 2, "after both members");
    events[0] = '\0';
    cr_assert_eq(rig_run(leave_owner, events), 0);
    cr_assert_eq(strcspn(events, "e"), 2);
}

static int forget_group(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    struct weir_task_group group;
    struct member member = {.name = "m", .sleep_ns = MS};
    begin(&group);
    spawn(&group, &member);
    return 0;
}

UNIT_ABORTS(group, that_is_left_open_by_its_task_aborts)
{
    rig_run(forget_group, NULL);
}

/* ---- an owner that was cancelled before ---- */

static int swallow_then_nest(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group outer;
    struct weir_task_group inner;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    struct member worse = {.name = "w", .sleep_ns = S, .fails = -EPIPE};
    weir_task *self = weir_task_current(on);

    cr_assert(weir_task_cancel(self));
    cr_assert_eq(weir_yield(on), -ECANCELED);

    begin(&outer);
    spawn(&outer, &bad);
    begin(&inner);
    spawn(&inner, &worse);
    int result = weir_sleep(on, S);
    cr_assert_eq(result, -ECANCELED, "the outer group has failed");
    result = weir_task_group_end(&inner, result);
    cr_assert_eq(result, -EPIPE);
    cr_assert_eq(weir_task_group_end(&outer, result), -EIO);

    cr_assert_eq(weir_task_cancelling(self), 1, "as before the groups");
    return weir_yield(on);
}

UNIT(group, what_it_told_its_owner_is_over_with_it)
{
    cr_assert_eq(rig_run(swallow_then_nest, NULL), 0,
                 "nobody has cancelled it since");
}

/*
 * Task groups: what weir/task.h promises about tasks that end together.
 *
 * Members sleep, fail, or ignore cancellations; what they and the owner observe
 * is compared with the promises, for every moment of a failure near the end of
 * the group.
 */
#include "group_rig.h"
#include "scenes.h"

SCENE(group, end_waits_for_all_members,
      "group; group_end:4 4; group; member a sleep:3,fail:5; member b sleep:1; "
      "group_end:6 6; notes ba; tasks 1; a 5; b; yield")

SCENE(group, gives_handles_of_its_members,
      "group; member a sleep:3,fail:5; member b sleep:1,fail:7; b 7; "
      "group_end:0; a 5; yield")

static struct weir_task_group shared;

static int spawn_sibling(weir_loop *on, void *arg)
{
    expect_eq(weir_sleep(on, MS), 0);
    spawn(&shared, arg);
    return 0;
}

TASK(group, members_may_start_siblings_while_end_waits)
{
    struct member late = {.name = "l", .sleep_ns = 5 * MS};

    begin(&shared);
    expect_ok(weir_task_group_spawn(&shared, spawn_sibling, &late, NULL, NULL));
    expect_eq(weir_task_group_end(&shared, 0), 0);
    expect_str_eq(notes, "l");
    expect_eq(weir_task_group_spawn(&shared, run_member, &late, NULL, NULL),
              -ESTALE, "a group that has ended takes no member");
    expect_eq(weir_yield(loop), 0);
}

static int spawn_too_late(weir_loop *on, void *arg)
{
    struct member *member = arg;
    expect_eq(weir_yield(on), 0);
    member->spawned =
        weir_task_group_spawn(&shared, run_member, member, NULL, NULL);
    return 0;
}

TASK(group, takes_no_members_after_the_last_has_ended_in_end)
{
    struct member only = {.name = "o"};
    struct member late = {.name = "l"};

    begin(&shared);
    spawn(&shared, &only);
    /* runs between the end of the last member and that of the group */
    weir_task_unref(rig_spawn(spawn_too_late, &late));
    expect_eq(weir_task_group_end(&shared, 0), 0);
    expect_eq(weir_yield(loop), 0);
    expect_eq(late.spawned, -ESTALE);
    expect_str_eq(notes, "o");
}

SCENE(group, the_first_failure_cancels_siblings_and_interrupts_the_owner,
      "group; member b sleep:1,fail:EIO; member g sleep:9; "
      "sleep:1000 ECANCELED; cancelling 1; spawn ESTALE; "
      "group_end:ECANCELED EIO; cancelling 0; yield; g ECANCELED 0; b EIO")

/* The first failure is the result of the group. */
SCENE(
    group, a_failure_while_end_waits_cancels_siblings,
    "group; member b sleep:1,fail:EIO; member w sleep:9=ECANCELED,fail:EPIPE; "
    "group_end:3 EIO; cancelling 0; yield; w EPIPE 0; b EIO")

TASK(group, takes_an_interruption_back_that_was_not_delivered)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .result = -EIO};
    struct member good = {.name = "g", .sleep_ns = 9 * MS};

    /* The owner goes on for some turns, and each time it enters end() at
     * another moment after the failure. */
    for (int turns = 0; turns < 6; turns++) {
        begin(&group);
        spawn(&group, &bad);
        spawn(&group, &good);
        int result = 0;
        for (int i = 0; i < turns && result == 0; i++) {
            result = weir_yield(loop);
        }
        cr_assert(turns > 3 ? result == -ECANCELED : true);
        expect_eq(weir_task_group_end(&group, 0), -EIO);
        expect_eq(weir_yield(loop), 0, "nothing is left of the interruption");
        expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    }
}

TASK(group, takes_no_members_from_the_moment_of_a_failure)
{
    struct member bad = {.name = "b", .result = -EIO};
    struct member late = {.name = "l"};

    begin(&shared);
    spawn(&shared, &bad);
    /* runs in the turn in which the member fails, after it */
    weir_task_unref(rig_spawn(spawn_too_late, &late));
    expect_eq(weir_sleep(loop, MS), -ECANCELED);
    expect_eq(late.spawned, -ESTALE);
    expect_eq(weir_task_group_end(&shared, 0), -EIO);
}

static int grant_later(weir_loop *on, void *arg)
{
    expect_eq(weir_sleep(on, MS), 0);
    return weir_future_set_result(arg, 0);
}

static void count_cancel(void *arg, weir_future *future)
{
    (*(int *)arg)++;
}

static int await_held(weir_loop *on, void *arg)
{
    return weir_future_await(arg, NULL);
}

static void end_held(void *arg)
{
    expect_eq(weir_future_set_result(arg, -ECANCELED), 0);
}

/* The wait is granted in the turn of the failure, so that the interruption of
 * the next turn finds the owner ready. */
TASK(group, end_does_not_take_its_own_interruption_for_a_cancellation)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    int cancels = 0;
    weir_future *future;
    weir_future *held;

    expect_eq(weir_future_new(loop, NULL, NULL, &future), 0);
    expect_eq(weir_future_new(loop, count_cancel, &cancels, &held), 0);
    expect_eq(weir_loop_call_later(loop, 5 * MS, end_held, held, NULL), 0);
    begin(&group);
    expect_eq(weir_task_group_spawn(&group, await_held, held, NULL, NULL), 0);
    spawn(&group, &bad);
    weir_task_unref(rig_spawn(grant_later, future));
    expect_eq(weir_future_shield(future, NULL), 0);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 1);
    expect_eq(weir_task_group_end(&group, 0), -EIO);
    expect_eq(cancels, 1, "the failure alone cancels");
    weir_future_unref(future);
    weir_future_unref(held);
    expect_eq(weir_yield(loop), 0);
}

SCENE(group, a_member_that_is_cancelled_has_not_failed,
      "group; member a sleep:9; member b sleep:5; yield; cancel a; sleep:1; "
      "group_end:0; a ECANCELED; b")

SCENE(group, two_failures_interrupt_the_owner_once,
      "group; member a sleep:0,fail:EIO; member b sleep:0,fail:EPIPE; "
      "sleep:1 ECANCELED; cancelling 1; group_end:ECANCELED EIO; yield; a EIO; "
      "b EPIPE")

SCENE(group, a_negative_result_cancels_the_members,
      "since; group; member a sleep:9; yield; group_end:ENOENT ENOENT; "
      "elapsed <9; a ECANCELED; group; member b sleep:9=ECANCELED,fail:EPIPE; "
      "group_end:ENOENT EPIPE; b EPIPE; yield")

SCENE(group, cancel_cancels_the_members_alone,
      "group; member a sleep:9; yield; group_cancel; spawn ESTALE; sleep:1; "
      "a ECANCELED; group_end:2 2; group_cancel")

SCENE(group, a_failure_does_not_cancel_again_what_was_cancelled,
      "group; member b sleep:9=ECANCELED,fail:EIO; "
      "member s sleep:5=ECANCELED,sleep:5; yield; group_cancel; "
      "group_end:0 EIO; b EIO; s; yield")

SCENE(group, end_delivers_a_cancellation_that_was_not_delivered_yet,
      "group; member a sleep:9; yield; cancel_self; group_end:0 ECANCELED; "
      "yield; cancelling 1; a ECANCELED")

#define OWN "begin o group,enter,group_end:0; sleep:1; "
/* Each cancellation of the owner is passed to the member. */
SCENE(
    group, cancelling_the_owner_in_end_cancels_members_and_waits_on,
    "plan s sleep:5=ECANCELED,sleep:5=ECANCELED,sleep:5; " OWN
    "cancel o; sleep:1; waits o; cancel o; sleep:1; waits o; o ECANCELED 0; s")

SCENE(group, delivers_two_cancellations_of_one_turn_as_one,
      "plan s sleep:5; " OWN "cancel oo; o ECANCELED 0; s ECANCELED 0")

/* The member has ended, and the owner has not run since. */
SCENE(group, delivers_a_second_cancellation_with_the_first_until_it_is_heard,
      "plan s sleep:5; " OWN "cancel o; yield; yield; tasks 2; waits o; cancel "
      "o; o ECANCELED 0; s ECANCELED")

SCENE(group, a_cancellation_behind_an_error_reaches_the_next_call,
      "plan s sleep:5=ECANCELED,fail:EIO; " OWN
      "cancel o; o EIO ECANCELED; s EIO")

static int end_of_another(weir_loop *on, void *arg)
{
    return weir_task_group_end(arg, 9);
}

static void end_in_callback(void *arg)
{
    expect_eq(weir_task_group_end(arg, 9), WEIR_ENOTTASK);
    note("c");
}

static int misuse(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    static const struct weir_task_options unset = {.size = 0};

    begin(&group);
    expect_eq(rig_join(rig_spawn(end_of_another, &group)), -EINVAL);
    expect_eq(weir_loop_call_soon(on, end_in_callback, &group, NULL), 0);
    expect_eq(weir_yield(on), 0);
    expect_str_eq(notes, "c");
    expect_eq(weir_task_group_spawn(&group, NULL, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_task_group_spawn(&group, end_of_another, NULL, &unset, NULL),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_task_group_end(&group, 1), 1);
    expect_eq(weir_task_group_end(&group, 2), 2,
              "a group that has ended takes no member");
    return 0;
}

UNIT(group, refuses_misuse)
{
    struct weir_task_group group;
    struct member member = {.name = "m"};

    rig_start();
    expect_eq(weir_task_group_begin(loop, &group), WEIR_ENOTTASK);
    expect_eq(weir_task_group_spawn(&group, run_member, &member, NULL, NULL),
              -ESTALE);
    weir_task_group_cancel(&group);
    expect_eq(weir_task_group_end(&group, 3), 3);
    expect_eq(rig_main(misuse, NULL), 0);
    rig_stop();
}

static int end_at_once(weir_loop *on, void *arg)
{
    return 0;
}

/* Many tasks share an allocation. */
static int spawn_without_memory(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    struct member member = {.name = "m"};
    int err = 0;

    begin(&group);
    allocator_fail_in(&rig_memory, 1);
    for (int i = 0; i < 1000 && err == 0; i++) {
        err = weir_task_group_spawn(&group, end_at_once, NULL, NULL, NULL);
    }
    expect_eq(err, -ENOMEM);
    spawn(&group, &member);
    expect_eq(weir_task_group_end(&group, 0), 0);
    expect_str_eq(notes, "m");
    return weir_yield(on);
}

UNIT(group, that_finds_no_memory_goes_on)
{
    expect_eq(rig_run_counted(spawn_without_memory, NULL), 0);
}

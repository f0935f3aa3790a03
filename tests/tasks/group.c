/*
 * Task groups: what weir/task.h promises about tasks that end together.
 *
 * Members sleep, fail, or take no notice of cancellations; what the owner and
 * they saw is compared with what they were promised, at every moment at which
 * a failure can meet the end of the group.
 */
#include "group_rig.h"

/* ---- waiting for members ---- */

TASK(group, end_waits_for_all_members)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 3 * MS, .result = 5};
    struct member b = {.name = "b", .sleep_ns = 1 * MS};

    begin(&group);
    expect_eq(weir_task_group_end(&group, 4), 4,
              "a group without members ends at once");
    begin(&group);
    spawn(&group, &a);
    spawn(&group, &b);
    expect_eq(weir_task_group_end(&group, 6), 6);
    expect_str_eq(notes, "ba");
    expect_eq(rig_statistics().tasks, 1);
    expect_eq(weir_yield(loop), 0);
}

TASK(group, gives_handles_of_its_members)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 3 * MS, .result = 5};
    struct member b = {.name = "b", .sleep_ns = 1 * MS, .result = 7};
    weir_task *tasks[2];

    begin(&group);
    expect_ok(weir_task_group_spawn(&group, run_member, &a, NULL, &tasks[0]));
    expect_ok(weir_task_group_spawn(&group, run_member, &b, NULL, &tasks[1]));
    expect_eq(rig_join(tasks[1]), 7);
    expect_eq(weir_task_group_end(&group, 0), 0);
    cr_assert(weir_future_is_done(weir_task_get_future(tasks[0])));
    expect_eq(rig_join(tasks[0]), 5);
    expect_eq(weir_yield(loop), 0);
}

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

/* ---- failures ---- */

TASK(group, the_first_failure_cancels_siblings_and_interrupts_the_owner)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 1 * MS, .result = -EIO};
    struct member good = {.name = "g", .sleep_ns = 9 * MS};
    weir_task *self = weir_task_get_current(loop);

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &good);
    int result = weir_sleep(loop, S);
    expect_eq(result, -ECANCELED, "the owner is interrupted");
    expect_eq(weir_task_get_cancelling(self), 1);
    expect_eq(weir_task_group_spawn(&group, run_member, &good, NULL, NULL),
              -ESTALE);
    expect_eq(weir_task_group_end(&group, result), -EIO);
    expect_eq(good.slept, -ECANCELED);
    expect_eq(good.next, 0, "siblings are cancelled once");
    expect_eq(weir_task_get_cancelling(self), 0);
    expect_eq(weir_yield(loop), 0);
}

TASK(group, a_failure_while_end_waits_cancels_siblings)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 1 * MS, .result = -EIO};
    struct member worse = {.name = "w", .sleep_ns = 9 * MS, .fails = -EPIPE};

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &worse);
    expect_eq(weir_task_group_end(&group, 3), -EIO,
              "the first failure is the group's result");
    expect_eq(worse.slept, -ECANCELED);
    expect_eq(worse.next, 0);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    expect_eq(weir_yield(loop), 0);
}

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

TASK(group, a_member_that_is_cancelled_has_not_failed)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};
    struct member b = {.name = "b", .sleep_ns = 5 * MS};
    weir_task *task;

    begin(&group);
    expect_eq(weir_task_group_spawn(&group, run_member, &a, NULL, &task), 0);
    spawn(&group, &b);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(task));
    expect_eq(weir_sleep(loop, MS), 0, "the owner is not interrupted");
    expect_eq(weir_task_group_end(&group, 0), 0);
    expect_eq(a.slept, -ECANCELED);
    expect_eq(b.slept, 0);
    weir_task_unref(task);
}

TASK(group, two_failures_interrupt_the_owner_once)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .result = -EIO};
    struct member b = {.name = "b", .result = -EPIPE};

    begin(&group);
    spawn(&group, &a);
    spawn(&group, &b);
    int result = weir_sleep(loop, MS);
    expect_eq(result, -ECANCELED);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 1);
    expect_eq(weir_task_group_end(&group, result), -EIO);
    expect_eq(weir_yield(loop), 0);
}

TASK(group, a_negative_result_cancels_the_members)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};
    struct member b = {.name = "b", .sleep_ns = 9 * MS, .fails = -EPIPE};
    uint64_t began = weir_loop_get_time(loop);

    begin(&group);
    spawn(&group, &a);
    expect_eq(weir_yield(loop), 0);
    expect_eq(weir_task_group_end(&group, -ENOENT), -ENOENT);
    expect_eq(a.slept, -ECANCELED);
    expect_lt(weir_loop_get_time(loop) - began, 9 * MS);
    begin(&group);
    spawn(&group, &b);
    expect_eq(weir_task_group_end(&group, -ENOENT), -EPIPE);
    expect_eq(weir_yield(loop), 0);
}

/* ---- cancelling ---- */

TASK(group, cancel_cancels_the_members_alone)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    begin(&group);
    spawn(&group, &a);
    expect_eq(weir_yield(loop), 0);
    weir_task_group_cancel(&group);
    expect_eq(weir_task_group_spawn(&group, run_member, &a, NULL, NULL),
              -ESTALE);
    expect_eq(weir_sleep(loop, MS), 0, "the owner is not interrupted");
    expect_eq(a.slept, -ECANCELED);
    expect_eq(weir_task_group_end(&group, 2), 2);
    weir_task_group_cancel(&group);
}

TASK(group, a_failure_does_not_cancel_again_what_was_cancelled)
{
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 9 * MS, .fails = -EIO};
    struct member stubborn = {.name = "s", .sleep_ns = 5 * MS, .swallows = 1};

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &stubborn);
    expect_eq(weir_yield(loop), 0);
    weir_task_group_cancel(&group);
    expect_eq(weir_task_group_end(&group, 0), -EIO);
    expect_eq(stubborn.slept, 0, "it was cancelled once");
    expect_eq(weir_yield(loop), 0);
}

TASK(group, end_delivers_a_cancellation_that_was_not_delivered_yet)
{
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    begin(&group);
    spawn(&group, &a);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    expect_eq(weir_task_group_end(&group, 0), -ECANCELED);
    expect_eq(a.slept, -ECANCELED);
    expect_eq(weir_yield(loop), 0, "it was delivered");
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 1);
}

TASK(group, cancelling_the_owner_in_end_cancels_members_and_waits_on)
{
    struct member stubborn = {.name = "s", .sleep_ns = 5 * MS, .swallows = 2};
    struct owner owner = {.member = &stubborn};

    owner.task = rig_spawn(own_group, &owner);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert_not(owner.has_ended, "the owner still waits for its members");
    cr_assert(weir_task_cancel(owner.task));
    expect_eq(weir_sleep(loop, MS), 0);
    expect_eq(stubborn.swallows, 0,
              "each cancellation is passed to the member");
    cr_assert_not(owner.has_ended);
    expect_eq(rig_join(owner.task), -ECANCELED);
    expect_eq(stubborn.slept, 0, "the member's last sleep was not interrupted");
    expect_eq(owner.next, 0);
}

TASK(group, delivers_two_cancellations_of_one_turn_as_one)
{
    struct member member = {.name = "s", .sleep_ns = 5 * MS};
    struct owner owner = {.member = &member};

    owner.task = rig_spawn(own_group, &owner);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    cr_assert(weir_task_cancel(owner.task));
    expect_eq(rig_join(owner.task), -ECANCELED);
    expect_eq(member.next, 0);
    expect_eq(owner.next, 0);
}

TASK(group, delivers_a_second_cancellation_with_the_first_until_it_is_heard)
{
    struct member member = {.name = "s", .sleep_ns = 5 * MS};
    struct owner owner = {.member = &member};

    owner.task = rig_spawn(own_group, &owner);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_yield(loop), 0);
    }
    expect_eq(rig_statistics().tasks, 2, "the member has ended");
    cr_assert_not(owner.has_ended, "the owner has not run since");
    cr_assert(weir_task_cancel(owner.task));
    expect_eq(rig_join(owner.task), -ECANCELED);
    expect_eq(owner.next, 0);
}

TASK(group, a_cancellation_behind_an_error_reaches_the_next_call)
{
    struct member bad = {.name = "s", .sleep_ns = 5 * MS, .fails = -EIO};
    struct owner owner = {.member = &bad};

    owner.task = rig_spawn(own_group, &owner);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    expect_eq(rig_join(owner.task), -EIO, "a member's error comes first");
    expect_eq(owner.next, -ECANCELED,
              "the next call tells of the cancellation");
}

/* ---- misuse ---- */

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

/*
 * Task groups: what weir/task.h promises about tasks that end together.
 *
 * Members sleep, fail, or take no notice of cancellations; what the owner and
 * they saw is compared with what they were promised, at every moment at which
 * a failure can meet the end of the group.
 */
#include "group.h"

/* ---- waiting for members ---- */

static int wait_members(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 3 * MS, .result = 5};
    struct member b = {.name = "b", .sleep_ns = 1 * MS};

    begin(&group);
    cr_assert_eq(weir_task_group_end(&group, 4), 4, "without members");
    begin(&group);
    spawn(&group, &a);
    spawn(&group, &b);
    cr_assert_eq(weir_task_group_end(&group, 6), 6);
    cr_assert_str_eq(events, "ba");
    cr_assert_eq(rig_statistics().tasks, 1);
    return weir_yield(on);
}

UNIT(group, end_waits_for_all_members)
{
    cr_assert_eq(rig_run(wait_members, NULL), 0);
}

static int join_members(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 3 * MS, .result = 5};
    struct member b = {.name = "b", .sleep_ns = 1 * MS, .result = 7};
    weir_task *tasks[2];

    begin(&group);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &a, NULL, &tasks[0]),
                 0);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &b, NULL, &tasks[1]),
                 0);
    cr_assert_eq(rig_join(tasks[1]), 7);
    cr_assert_eq(weir_task_group_end(&group, 0), 0);
    cr_assert(weir_future_is_done(weir_task_get_future(tasks[0])));
    cr_assert_eq(rig_join(tasks[0]), 5);
    return weir_yield(on);
}

UNIT(group, gives_handles_of_its_members)
{
    cr_assert_eq(rig_run(join_members, NULL), 0);
}

static struct weir_task_group shared;

static int spawn_sibling(weir_loop *on, void *arg)
{
    cr_assert_eq(weir_sleep(on, MS), 0);
    spawn(&shared, arg);
    return 0;
}

static int spawn_while_ending(weir_loop *on, void *arg)
{
    (void)arg;
    struct member late = {.name = "l", .sleep_ns = 5 * MS};

    begin(&shared);
    cr_assert_eq(
        weir_task_group_spawn(&shared, spawn_sibling, &late, NULL, NULL), 0);
    cr_assert_eq(weir_task_group_end(&shared, 0), 0);
    cr_assert_str_eq(events, "l");
    cr_assert_eq(weir_task_group_spawn(&shared, run_member, &late, NULL, NULL),
                 -ESTALE, "it has ended");
    return weir_yield(on);
}

UNIT(group, members_may_start_siblings_while_end_waits)
{
    cr_assert_eq(rig_run(spawn_while_ending, NULL), 0);
}

static int spawn_too_late(weir_loop *on, void *arg)
{
    struct member *member = arg;
    cr_assert_eq(weir_yield(on), 0);
    member->spawned =
        weir_task_group_spawn(&shared, run_member, member, NULL, NULL);
    return 0;
}

static int end_with_one(weir_loop *on, void *arg)
{
    (void)arg;
    struct member only = {.name = "o"};
    struct member late = {.name = "l"};

    begin(&shared);
    spawn(&shared, &only);
    /* runs between the end of the last member and that of the group */
    weir_task_detach(rig_spawn(spawn_too_late, &late));
    cr_assert_eq(weir_task_group_end(&shared, 0), 0);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_eq(late.spawned, -ESTALE);
    cr_assert_str_eq(events, "o");
    return 0;
}

UNIT(group, takes_no_members_after_the_last_has_ended_in_end)
{
    cr_assert_eq(rig_run(end_with_one, NULL), 0);
}

/* ---- failures ---- */

static int fail_one(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 1 * MS, .result = -EIO};
    struct member good = {.name = "g", .sleep_ns = 9 * MS};
    weir_task *self = weir_task_current(on);

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &good);
    int result = weir_sleep(on, S);
    cr_assert_eq(result, -ECANCELED, "the owner is interrupted");
    cr_assert_eq(weir_task_cancelling(self), 1);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &good, NULL, NULL),
                 -ESTALE);
    cr_assert_eq(weir_task_group_end(&group, result), -EIO);
    cr_assert_eq(good.slept, -ECANCELED);
    cr_assert_eq(good.next, 0, "siblings are cancelled once");
    cr_assert_eq(weir_task_cancelling(self), 0);
    return weir_yield(on);
}

UNIT(group, the_first_failure_cancels_siblings_and_interrupts_the_owner)
{
    cr_assert_eq(rig_run(fail_one, NULL), 0);
}

static int fail_while_ending(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 1 * MS, .result = -EIO};
    struct member worse = {.name = "w", .sleep_ns = 9 * MS, .fails = -EPIPE};

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &worse);
    cr_assert_eq(weir_task_group_end(&group, 3), -EIO, "the first one tells");
    cr_assert_eq(worse.slept, -ECANCELED);
    cr_assert_eq(worse.next, 0);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    return weir_yield(on);
}

UNIT(group, a_failure_while_end_waits_cancels_siblings)
{
    cr_assert_eq(rig_run(fail_while_ending, NULL), 0);
}

static int fail_unseen(weir_loop *on, void *arg)
{
    (void)arg;
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
            result = weir_yield(on);
        }
        cr_assert(turns > 3 ? result == -ECANCELED : true);
        cr_assert_eq(weir_task_group_end(&group, 0), -EIO);
        cr_assert_eq(weir_yield(on), 0, "nothing is left of the interruption");
        cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 0);
    }
    return 0;
}

UNIT(group, takes_an_interruption_back_that_was_not_delivered)
{
    cr_assert_eq(rig_run(fail_unseen, NULL), 0);
}

static int spawn_after_failure(weir_loop *on, void *arg)
{
    (void)arg;
    struct member bad = {.name = "b", .result = -EIO};
    struct member late = {.name = "l"};

    begin(&shared);
    spawn(&shared, &bad);
    /* runs in the turn in which the member fails, after it */
    weir_task_detach(rig_spawn(spawn_too_late, &late));
    cr_assert_eq(weir_sleep(on, MS), -ECANCELED);
    cr_assert_eq(late.spawned, -ESTALE);
    cr_assert_eq(weir_task_group_end(&shared, 0), -EIO);
    return 0;
}

UNIT(group, takes_no_members_from_the_moment_of_a_failure)
{
    cr_assert_eq(rig_run(spawn_after_failure, NULL), 0);
}

static int grant_later(weir_loop *on, void *arg)
{
    cr_assert_eq(weir_sleep(on, MS), 0);
    return weir_future_set_result(arg, 0);
}

static void count_cancel(void *arg, weir_future *future)
{
    (void)future;
    (*(int *)arg)++;
}

static int await_held(weir_loop *on, void *arg)
{
    (void)on;
    return weir_future_await(arg, NULL);
}

static void end_held(void *arg)
{
    cr_assert_eq(weir_future_set_result(arg, -ECANCELED), 0);
}

/* The wait is granted in the turn of the failure, so that the interruption of
 * the next turn finds the owner ready. */
static int interrupt_unseen(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = MS, .result = -EIO};
    int cancels = 0;
    weir_future *future;
    weir_future *held;

    cr_assert_eq(weir_future_new(on, NULL, NULL, &future), 0);
    cr_assert_eq(weir_future_new(on, count_cancel, &cancels, &held), 0);
    cr_assert_eq(weir_loop_call_later(on, 5 * MS, end_held, held, NULL), 0);
    begin(&group);
    cr_assert_eq(weir_task_group_spawn(&group, await_held, held, NULL, NULL),
                 0);
    spawn(&group, &bad);
    weir_task_detach(rig_spawn(grant_later, future));
    cr_assert_eq(weir_future_shield(future, NULL), 0);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 1);
    cr_assert_eq(weir_task_group_end(&group, 0), -EIO);
    cr_assert_eq(cancels, 1, "by the failure");
    weir_future_unref(future);
    weir_future_unref(held);
    return weir_yield(on);
}

UNIT(group, end_does_not_take_its_own_interruption_for_a_cancellation)
{
    cr_assert_eq(rig_run(interrupt_unseen, NULL), 0);
}

static int cancel_member(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};
    struct member b = {.name = "b", .sleep_ns = 5 * MS};
    weir_task *task;

    begin(&group);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &a, NULL, &task), 0);
    spawn(&group, &b);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(task));
    cr_assert_eq(weir_sleep(on, MS), 0, "nobody is interrupted");
    cr_assert_eq(weir_task_group_end(&group, 0), 0);
    cr_assert_eq(a.slept, -ECANCELED);
    cr_assert_eq(b.slept, 0);
    weir_task_detach(task);
    return 0;
}

UNIT(group, a_member_that_is_cancelled_has_not_failed)
{
    cr_assert_eq(rig_run(cancel_member, NULL), 0);
}

static int fail_two(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .result = -EIO};
    struct member b = {.name = "b", .result = -EPIPE};

    begin(&group);
    spawn(&group, &a);
    spawn(&group, &b);
    int result = weir_sleep(on, MS);
    cr_assert_eq(result, -ECANCELED);
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 1);
    cr_assert_eq(weir_task_group_end(&group, result), -EIO);
    return weir_yield(on);
}

UNIT(group, two_failures_interrupt_the_owner_once)
{
    cr_assert_eq(rig_run(fail_two, NULL), 0);
}

static int end_badly(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};
    struct member b = {.name = "b", .sleep_ns = 9 * MS, .fails = -EPIPE};
    uint64_t began = weir_loop_time(on);

    begin(&group);
    spawn(&group, &a);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_eq(weir_task_group_end(&group, -ENOENT), -ENOENT);
    cr_assert_eq(a.slept, -ECANCELED);
    cr_assert_lt(weir_loop_time(on) - began, 9 * MS);
    begin(&group);
    spawn(&group, &b);
    cr_assert_eq(weir_task_group_end(&group, -ENOENT), -EPIPE);
    return weir_yield(on);
}

UNIT(group, a_negative_result_cancels_the_members)
{
    cr_assert_eq(rig_run(end_badly, NULL), 0);
}

/* ---- cancelling ---- */

static int cancel_group(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    begin(&group);
    spawn(&group, &a);
    cr_assert_eq(weir_yield(on), 0);
    weir_task_group_cancel(&group);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &a, NULL, NULL),
                 -ESTALE);
    cr_assert_eq(weir_sleep(on, MS), 0, "the owner is not interrupted");
    cr_assert_eq(a.slept, -ECANCELED);
    cr_assert_eq(weir_task_group_end(&group, 2), 2);
    weir_task_group_cancel(&group);
    return 0;
}

UNIT(group, cancel_cancels_the_members_alone)
{
    cr_assert_eq(rig_run(cancel_group, NULL), 0);
}

static int fail_after_cancel(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member bad = {.name = "b", .sleep_ns = 9 * MS, .fails = -EIO};
    struct member stubborn = {.name = "s", .sleep_ns = 5 * MS, .swallows = 1};

    begin(&group);
    spawn(&group, &bad);
    spawn(&group, &stubborn);
    cr_assert_eq(weir_yield(on), 0);
    weir_task_group_cancel(&group);
    cr_assert_eq(weir_task_group_end(&group, 0), -EIO);
    cr_assert_eq(stubborn.slept, 0, "it was cancelled once");
    return weir_yield(on);
}

UNIT(group, a_failure_does_not_cancel_again_what_was_cancelled)
{
    cr_assert_eq(rig_run(fail_after_cancel, NULL), 0);
}

static int end_cancelled_itself(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    struct member a = {.name = "a", .sleep_ns = 9 * MS};

    begin(&group);
    spawn(&group, &a);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(weir_task_current(on)));
    cr_assert_eq(weir_task_group_end(&group, 0), -ECANCELED);
    cr_assert_eq(a.slept, -ECANCELED);
    cr_assert_eq(weir_yield(on), 0, "it was delivered");
    cr_assert_eq(weir_task_cancelling(weir_task_current(on)), 1);
    return 0;
}

UNIT(group, end_delivers_a_cancellation_that_was_not_delivered_yet)
{
    cr_assert_eq(rig_run(end_cancelled_itself, NULL), 0);
}

static int cancel_owner(weir_loop *on, void *arg)
{
    (void)arg;
    struct member stubborn = {.name = "s", .sleep_ns = 5 * MS, .swallows = 2};
    struct owner owner = {.member = &stubborn};

    owner.task = rig_spawn(own_group, &owner);
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert_not(owner.has_ended, "the wait goes on");
    cr_assert(weir_task_cancel(owner.task));
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert_eq(stubborn.swallows, 0, "each cancellation is passed on");
    cr_assert_not(owner.has_ended);
    cr_assert_eq(rig_join(owner.task), -ECANCELED);
    cr_assert_eq(stubborn.slept, 0, "and this one slept to its end");
    cr_assert_eq(owner.next, 0);
    return 0;
}

UNIT(group, cancelling_the_owner_in_end_cancels_members_and_waits_on)
{
    cr_assert_eq(rig_run(cancel_owner, NULL), 0);
}

static int cancel_twice_at_once(weir_loop *on, void *arg)
{
    (void)arg;
    struct member member = {.name = "s", .sleep_ns = 5 * MS};
    struct owner owner = {.member = &member};

    owner.task = rig_spawn(own_group, &owner);
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    cr_assert(weir_task_cancel(owner.task));
    cr_assert_eq(rig_join(owner.task), -ECANCELED);
    cr_assert_eq(member.next, 0);
    cr_assert_eq(owner.next, 0);
    return 0;
}

UNIT(group, delivers_two_cancellations_of_one_turn_as_one)
{
    cr_assert_eq(rig_run(cancel_twice_at_once, NULL), 0);
}

static int cancel_after_end(weir_loop *on, void *arg)
{
    (void)arg;
    struct member member = {.name = "s", .sleep_ns = 5 * MS};
    struct owner owner = {.member = &member};

    owner.task = rig_spawn(own_group, &owner);
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(weir_yield(on), 0);
    }
    cr_assert_eq(rig_statistics().tasks, 2, "the member has ended");
    cr_assert_not(owner.has_ended, "the owner has not heard of it");
    cr_assert(weir_task_cancel(owner.task));
    cr_assert_eq(rig_join(owner.task), -ECANCELED);
    cr_assert_eq(owner.next, 0);
    return 0;
}

UNIT(group, delivers_a_second_cancellation_with_the_first_until_it_is_heard)
{
    cr_assert_eq(rig_run(cancel_after_end, NULL), 0);
}

static int cancel_with_failure(weir_loop *on, void *arg)
{
    (void)arg;
    struct member bad = {.name = "s", .sleep_ns = 5 * MS, .fails = -EIO};
    struct owner owner = {.member = &bad};

    owner.task = rig_spawn(own_group, &owner);
    cr_assert_eq(weir_sleep(on, MS), 0);
    cr_assert(weir_task_cancel(owner.task));
    cr_assert_eq(rig_join(owner.task), -EIO, "a member's error comes first");
    cr_assert_eq(owner.next, -ECANCELED, "and the cancellation next");
    return 0;
}

UNIT(group, a_cancellation_behind_an_error_reaches_the_next_call)
{
    cr_assert_eq(rig_run(cancel_with_failure, NULL), 0);
}

/* ---- misuse ---- */

static int end_of_another(weir_loop *on, void *arg)
{
    (void)on;
    return weir_task_group_end(arg, 9);
}

static void end_in_callback(void *arg)
{
    cr_assert_eq(weir_task_group_end(arg, 9), WEIR_ENOTTASK);
    note("c");
}

static int misuse(weir_loop *on, void *arg)
{
    (void)arg;
    struct weir_task_group group;
    static const struct weir_task_options unset = {.size = 0};

    begin(&group);
    cr_assert_eq(rig_join(rig_spawn(end_of_another, &group)), -EINVAL);
    cr_assert_eq(weir_loop_call_soon(on, end_in_callback, &group, NULL), 0);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "c");
    cr_assert_eq(weir_task_group_spawn(&group, NULL, NULL, NULL, NULL),
                 -EINVAL);
    cr_assert_eq(
        weir_task_group_spawn(&group, end_of_another, NULL, &unset, NULL),
        -EINVAL);
    cr_assert_eq(weir_task_group_end(&group, 1), 1);
    cr_assert_eq(weir_task_group_end(&group, 2), 2, "it has ended");
    return 0;
}

UNIT(group, refuses_misuse)
{
    struct weir_task_group group;
    struct member member = {.name = "m"};

    rig_start();
    cr_assert_eq(weir_task_group_begin(loop, &group), WEIR_ENOTTASK);
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &member, NULL, NULL),
                 -ESTALE);
    weir_task_group_cancel(&group);
    cr_assert_eq(weir_task_group_end(&group, 3), 3);
    cr_assert_eq(rig_main(misuse, NULL), 0);
    rig_stop();
}

static int spawn_without_memory(weir_loop *on, void *arg)
{
    struct fake_alloc *alloc = arg;
    struct weir_task_group group;
    struct member member = {.name = "m"};

    begin(&group);
    alloc->fail_at = alloc->count + 1;
    cr_assert_eq(weir_task_group_spawn(&group, run_member, &member, NULL, NULL),
                 -ENOMEM);
    spawn(&group, &member);
    cr_assert_eq(weir_task_group_end(&group, 0), 0);
    cr_assert_str_eq(events, "m");
    return weir_yield(on);
}

UNIT(group, that_finds_no_memory_goes_on)
{
    struct fake_alloc alloc;
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = &alloc.hooks};
    static const struct fake_options machine = {.seed = 1};

    fake_alloc_init(&alloc);
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
    cr_assert_eq(rig_main(spawn_without_memory, &alloc), 0);
    rig_stop();
    fake_alloc_check(&alloc);
}

/*
 * Several futures: what weir/future.h promises about weir_gather(), and the
 * refusals that it shares with weir_wait().
 *
 * Results are given by hand, so that their order is exact; a future that is
 * slow to be cancelled shows that a group ends with its last one.
 */
#include "future_rig.h"

#include <limits.h>

static weir_future *gather(enum weir_gather_kind kind, weir_future **futures,
                           size_t count)
{
    weir_future *group = NULL;
    expect_eq(weir_gather(loop, kind, futures, count, &group), 0);
    return group;
}

static void make_pending(weir_future **futures, int count)
{
    for (int i = 0; i < count; i++) {
        futures[i] = pending();
    }
}

static void drop(weir_future **futures, int count)
{
    for (int i = 0; i < count; i++) {
        weir_future_unref(futures[i]);
    }
}

static void drop_group(weir_future *group, weir_future **futures, int count)
{
    weir_future_unref(group);
    drop(futures, count);
}

static void give(weir_future *future, int result)
{
    expect_eq(weir_future_set_result(future, result), 0);
}

static bool is_done(const weir_future *future)
{
    settle();
    return weir_future_is_done(future);
}

static void expect_done(const weir_future *group, int result)
{
    cr_assert(is_done(group));
    expect_eq(result_of(group), result);
}

/* ---- kinds ---- */

TASK(gather, all_is_done_with_0_when_all_are)
{
    weir_future *futures[3];

    make_pending(futures, 3);
    weir_future *group = gather(WEIR_GATHER_ALL, futures, 3);
    give(futures[2], 8);
    give(futures[0], 9);
    cr_assert_not(is_done(group));
    give(futures[1], 7);
    expect_done(group, 0);
    drop_group(group, futures, 3);
}

TASK(gather, all_keeps_the_first_error_and_lets_the_others_go_on)
{
    weir_future *futures[3];

    make_pending(futures, 3);
    weir_future *group = gather(WEIR_GATHER_ALL, futures, 3);
    give(futures[2], -EPIPE);
    cr_assert_not(is_done(group), "the other futures are waited for");
    cr_assert_not(weir_future_is_done(futures[0]));
    give(futures[0], -EIO);
    give(futures[1], 7);
    expect_done(group, -EPIPE); /* the first error */
    drop_group(group, futures, 3);
}

TASK(gather, an_error_counts_that_comes_after_successes)
{
    static const int results[] = {0, 1, INT32_MAX};

    for (int i = 0; i < 6; i++) {
        weir_future *futures[2] = {pending(), pending()};
        weir_future *group = gather(
            i % 2 ? WEIR_GATHER_ALL : WEIR_GATHER_ALL_OR_NONE, futures, 2);
        give(futures[0], results[i / 2]);
        cr_assert_not(is_done(group));
        cr_assert_not(weir_future_is_done(futures[1]));
        give(futures[1], -EPIPE);
        expect_done(group, -EPIPE);
        drop_group(group, futures, 2);
    }
}

TASK(gather, all_or_none_cancels_the_others_and_waits_for_them)
{
    struct slow slow = {.gives = 0};
    weir_future *futures[3] = {pending(), slow_future(&slow), pending()};

    weir_future *group = gather(WEIR_GATHER_ALL_OR_NONE, futures, 3);
    give(futures[2], -EPIPE);
    expect_eq(slow.asked, 0, "the others are not cancelled inside the call");
    cr_assert_not(is_done(group), "one future is pending");
    expect_eq(slow.asked, 1);
    expect_eq(result_of(futures[0]), -ECANCELED);
    give(futures[1], -EIO);
    expect_done(group, -EPIPE);
    drop_group(group, futures, 3);
}

TASK(gather, all_or_none_is_0_when_none_fails)
{
    weir_future *futures[2];

    make_pending(futures, 2);
    weir_future *group = gather(WEIR_GATHER_ALL_OR_NONE, futures, 2);
    give(futures[1], 5);
    give(futures[0], 5);
    expect_done(group, 0);
    drop_group(group, futures, 2);
}

TASK(gather, any_is_the_index_of_the_first_that_succeeds)
{
    struct slow slow = {.gives = 0};
    weir_future *futures[4] = {pending(), slow_future(&slow), pending(),
                               pending()};

    weir_future *group = gather(WEIR_GATHER_ANY, futures, 4);
    give(futures[0], -EPIPE);
    cr_assert_not(is_done(group), "a failed future does not end the group");
    cr_assert_not(weir_future_is_done(futures[2]));
    give(futures[3], 100);
    cr_assert_not(is_done(group), "one future is pending");
    expect_eq(result_of(futures[2]), -ECANCELED);
    expect_eq(slow.asked, 1);
    give(futures[1], 200);
    expect_done(group, 3); /* the index of the first */
    drop_group(group, futures, 4);
}

TASK(gather, any_is_the_last_error_when_all_fail)
{
    weir_future *futures[3];

    make_pending(futures, 3);
    weir_future *group = gather(WEIR_GATHER_ANY, futures, 3);
    give(futures[2], -EPIPE);
    give(futures[0], -EIO);
    give(futures[1], -ENOSPC);
    expect_done(group, -ENOSPC);
    drop_group(group, futures, 3);
}

TASK(gather, of_nothing_is_done)
{
    weir_future *all = gather(WEIR_GATHER_ALL, NULL, 0);
    weir_future *none = gather(WEIR_GATHER_ALL_OR_NONE, NULL, 0);
    weir_future *any = gather(WEIR_GATHER_ANY, NULL, 0);

    expect_eq(result_of(all), 0);
    expect_eq(result_of(none), 0);
    expect_eq(result_of(any), -ENOENT);
    weir_future_unref(all);
    weir_future_unref(none);
    weir_future_unref(any);
}

TASK(gather, counts_futures_that_are_done_already)
{
    weir_future *futures[4] = {done_with(-EIO), done_with(4), pending(),
                               done_with(5)};

    weir_future *all = gather(WEIR_GATHER_ALL, futures, 2);
    weir_future *any = gather(WEIR_GATHER_ANY, futures, 4);
    expect_eq(result_of(all), -EIO);
    cr_assert_not(weir_future_is_done(any));
    cr_assert(is_done(any));
    expect_eq(result_of(any), 1);
    expect_eq(result_of(futures[2]), -ECANCELED);
    weir_future_unref(all);
    drop_group(any, futures, 4);
}

TASK(gather, takes_the_same_future_several_times)
{
    struct slow slow = {.gives = 0};
    weir_future *twice[3] = {slow_future(&slow), pending(), slow.future};

    weir_future *group = gather(WEIR_GATHER_ANY, twice, 3);
    cr_assert(weir_future_cancel(group));
    expect_eq(slow.asked, 1, "cancelled once");
    give(slow.future, 3);
    expect_done(group, -ECANCELED);
    drop_group(group, twice, 2);

    slow.asked = 0;
    twice[0] = pending();
    twice[1] = twice[2] = slow_future(&slow);
    group = gather(WEIR_GATHER_ALL_OR_NONE, twice, 3);
    give(twice[0], -EIO);
    settle();
    expect_eq(slow.asked, 1);
    give(slow.future, 1);
    cr_assert(is_done(group));
    drop_group(group, twice, 2);
}

/* ---- cancelling ---- */

TASK(gather, that_is_cancelled_cancels_all_and_ends_with_the_last)
{
    struct slow slow = {.gives = 0};
    struct waiter waiter = {.name = "w"};
    weir_future *futures[2] = {slow_future(&slow), pending()};

    weir_future *group = gather(WEIR_GATHER_ALL, futures, 2);
    waiter_start(&waiter, group);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(slow.asked, 1);
    expect_eq(result_of(futures[1]), -ECANCELED);
    cr_assert_not(is_done(group));
    cr_assert(weir_task_cancel(waiter.task));
    expect_eq(slow.asked, 2);
    give(futures[0], 7);
    waiter_finish(&waiter);
    expect_eq(waiter.err, -ECANCELED);
    expect_eq(result_of(group), -ECANCELED, "the group ends as cancelled");
    cr_assert_not(weir_future_cancel(group));
    drop_group(group, futures, 2);
}

TASK(gather, that_is_settled_keeps_its_result_when_it_is_cancelled)
{
    struct slow slow = {.gives = 0};
    weir_future *futures[2] = {slow_future(&slow), pending()};

    weir_future *group = gather(WEIR_GATHER_ANY, futures, 2);
    give(futures[1], 1);
    cr_assert(weir_future_cancel(group));
    give(futures[0], 1);
    expect_done(group, 1);
    drop_group(group, futures, 2);
}

TASK(gather, without_references_is_cancelled_and_ends_by_itself)
{
    struct slow slow = {.gives = 0};
    weir_future *futures[2] = {slow_future(&slow), pending()};

    weir_future *group = gather(WEIR_GATHER_ALL, futures, 2);
    add(group, "g");
    drop(futures, 2);
    weir_future_unref(group);
    expect_eq(slow.asked, 1);
    settle();
    expect_str_eq(notes, "", "one future is pending");
    give(slow.future, 0);
    expect_settled("g!");
}

TASK(gather, holds_its_futures)
{
    weir_future *futures[2];

    make_pending(futures, 2);
    weir_future *group = gather(WEIR_GATHER_ALL, futures, 2);
    drop(futures, 2);
    cr_assert_not(weir_future_is_done(futures[1]),
                  "the group keeps its futures");
    give(futures[0], 0);
    give(futures[1], 0);
    cr_assert(is_done(group));
    weir_future_unref(group);
}

static void unref_group(void *arg, weir_future *future)
{
    weir_future **group = arg;
    weir_future_unref(*group);
    *group = NULL;
    give(future, -ECANCELED);
}

TASK(gather, may_lose_its_last_reference_while_it_cancels)
{
    weir_future *group;
    weir_future *futures[2] = {pending(), NULL};

    expect_eq(weir_future_new(loop, unref_group, &group, &futures[1]), 0);
    group = gather(WEIR_GATHER_ALL_OR_NONE, futures, 2);
    give(futures[0], -EIO);
    settle();
    cr_assert_null(group);
    expect_eq(result_of(futures[1]), -ECANCELED);
    drop(futures, 2);
}

#define DEEP 20000

static int nest_groups(weir_loop *on, void *arg)
{
    const bool cancels = arg != NULL;
    weir_future *innermost = pending();
    weir_future *outer = weir_future_ref(innermost);

    for (int i = 0; i < DEEP; i++) {
        weir_future *group = gather(WEIR_GATHER_ALL, &outer, 1);
        weir_future_unref(outer);
        outer = group;
    }
    if (cancels) {
        cr_assert(weir_future_cancel(outer));
        expect_eq(result_of(innermost), -ECANCELED);
    } else {
        give(innermost, -EIO);
    }
    int result = 0;
    expect_eq(weir_future_await(outer, &result), 0);
    expect_eq(result, cancels ? -ECANCELED : -EIO);
    weir_future_unref(outer);
    weir_future_unref(innermost);
    return 0;
}

UNIT(gather, of_groups_works_at_any_depth_on_a_small_stack)
{
    expect_eq(rig_run(nest_groups, NULL), 0);
    expect_eq(rig_run(nest_groups, notes), 0);
}

TASK(gather, of_groups_is_forgotten_at_any_depth)
{
    weir_future *innermost = pending();
    weir_future *outer = weir_future_ref(innermost);

    for (int i = 0; i < DEEP; i++) {
        weir_future *group = gather(WEIR_GATHER_ANY, &outer, 1);
        weir_future_unref(outer);
        outer = group;
    }
    weir_future_unref(outer);
    expect_eq(result_of(innermost), -ECANCELED);
    weir_future_unref(innermost);
}

/* Goes on after its first cancellation, and notes how many it was asked for
 * when it wakes. */
static int obey_the_second(weir_loop *on, void *arg)
{
    uint32_t *asked = arg;

    for (int i = 0; i < 2; i++) {
        expect_eq(weir_sleep(on, UINT64_MAX), -ECANCELED);
        asked[i] = weir_task_get_cancelling(weir_task_get_current(on));
    }
    return 0;
}

static int forget_groups_of_a_task(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(obey_the_second, arg);
    weir_future *outer = weir_future_ref(weir_task_get_future(task));

    weir_task_unref(task);
    settle();
    for (int i = 0; i < 10; i++) {
        weir_future *group = gather(WEIR_GATHER_ANY, &outer, 1);
        weir_future_unref(outer);
        outer = group;
    }
    weir_future_unref(outer);
    settle();
    return 0;
}

UNIT(gather, of_groups_asks_each_task_once_more_at_the_loops_end)
{
    uint32_t asked[2] = {0, 0};

    expect_eq(rig_run(forget_groups_of_a_task, asked), 0);
    expect_eq(asked[0], 1, "when the groups were forgotten");
    expect_eq(asked[1], 2, "and once at the end");
}

TASK(gather, whose_futures_have_ended_cannot_be_cancelled)
{
    weir_future *futures[2];
    make_pending(futures, 2);
    weir_future *group = gather(WEIR_GATHER_ALL, futures, 2);
    give(futures[0], 3);
    cr_assert(weir_future_cancel(group), "one is pending");
    drop(futures, 2);
    weir_future_unref(group);

    make_pending(futures, 2);
    group = gather(WEIR_GATHER_ALL, futures, 2);
    give(futures[0], 3);
    give(futures[1], 4);
    cr_assert_not(weir_future_is_done(group),
                  "the group ends from the ready queue");
    cr_assert_not(weir_future_cancel(group), "nothing is left to cancel");
    expect_done(group, 0);
    drop_group(group, futures, 2);
}

TASK(gather, and_wait_refuse_what_makes_no_sense)
{
    weir_future *futures[2] = {done_with(0), NULL};
    weir_future *ret = NULL;

    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, futures, 2, &ret), -EINVAL);
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, NULL, 1, &ret), -EINVAL);
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, futures, SIZE_MAX, &ret),
              -EINVAL);
    expect_eq(weir_gather(loop, (enum weir_gather_kind)3, futures, 1, &ret),
              -EINVAL);
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, futures, 1, NULL), -EINVAL);
    cr_assert_null(ret);
    expect_eq(weir_wait(loop, futures, 2, 0, WEIR_ALL_COMPLETED), -EINVAL);
    expect_eq(
        weir_wait(loop, futures, (size_t)INT32_MAX + 1, 0, WEIR_ALL_COMPLETED),
        -EINVAL);
    expect_eq(weir_wait(loop, futures, 1, 0, (enum weir_return_when)3),
              -EINVAL);
    weir_future_unref(futures[0]);
}

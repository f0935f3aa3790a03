/*
 * Several futures: what weir/future.h promises about weir_gather(), and errors
 * that it shares with weir_wait().
 *
 * The test sets results, so that their order is exact; a future whose
 * cancellation takes long shows that a group ends with its last member.
 */
#include "future_rig.h"
#include "scenes.h"

#include <limits.h>

static weir_future *gather(enum weir_gather_kind kind, weir_future **futures,
                           size_t count)
{
    weir_future *group = NULL;
    expect_eq(weir_gather(loop, kind, futures, count, &group), 0);
    return group;
}

static void drop(weir_future **futures, int count)
{
    for (int i = 0; i < count; i++) {
        weir_future_unref(futures[i]);
    }
}

static void give(weir_future *future, int result)
{
    expect_eq(weir_future_set_result(future, result), 0);
}

#define TWO   "future:0; future:1; "
#define THREE "future:0; future:1; future:2; "

SCENE(gather, all_is_done_with_0_when_all_are,
      THREE "gather_all; give:2:8; give:0:9; settle; done:4 0; give:1:7; "
            "settle; result:4 0")
SCENE(gather, all_keeps_the_first_error_and_lets_the_others_go_on,
      THREE "gather_all; give:2:EPIPE; settle; done:4 0; done:0 0; give:0:EIO; "
            "give:1:7; settle; "
            "result:4 EPIPE")
#define AFTER(kind, result)                                                    \
    TWO kind "; give:0:" result                                                \
             "; settle; done:4 0; done:1 0; give:1:EPIPE; settle; "            \
             "result:4 EPIPE; "
SCENE(gather, an_error_counts_that_comes_after_successes,
      AFTER("gather_all", "0") AFTER("gather_all_or_none", "0")
          AFTER("gather_all", "1") AFTER("gather_all_or_none", "1")
              AFTER("gather_all", "2147483647")
                  AFTER("gather_all_or_none", "2147483647"))
/* The others are not cancelled inside the call. */
SCENE(gather, all_or_none_cancels_the_others_and_waits_for_them,
      "future:0; slow:1; future:2; gather_all_or_none; give:2:EPIPE; "
      "cancels:1 0; settle; done:4 0; cancels:1 1; result:0 ECANCELED; "
      "give:1:EIO; settle; result:4 EPIPE")
SCENE(gather, all_or_none_is_0_when_none_fails,
      TWO "gather_all_or_none; give:1:5; give:0:5; settle; result:4 0")
/* Its result is the index of the first that succeeds. */
SCENE(gather, any_is_the_index_of_the_first_that_succeeds,
      "future:0; slow:1; future:2; future:3; gather_any; give:0:EPIPE; settle; "
      "done:4 0; done:2 0; give:3:100; settle; done:4 0; result:2 ECANCELED; "
      "cancels:1 1; give:1:200; settle; result:4 3")
SCENE(gather, any_is_the_last_error_when_all_fail,
      THREE "gather_any; give:2:EPIPE; give:0:EIO; give:1:ENOSPC; settle; "
            "result:4 ENOSPC")
SCENE(gather, of_nothing_is_done,
      "gather_all; result:4 0; gather_all_or_none; result:4 0; gather_any; "
      "result:4 ENOENT")
SCENE(gather, counts_futures_that_are_done_already,
      TWO "give:0:EIO; give:1:4; gather_all; result:4 EIO; future:2; future:3; "
          "give:3:5; gather_any; "
          "done:4 0; settle; result:4 1; result:2 ECANCELED")
SCENE(gather, takes_the_same_future_several_times,
      "slow:0; future:1; alias:2:0; gather_any; cancel_future:4 1; "
      "cancels:0 1; give:0:3; settle; result:4 ECANCELED; future:0; slow:1; "
      "alias:2:1; gather_all_or_none; give:0:EIO; settle; cancels:1 1; "
      "give:1:1; settle; done:4 1")

SCENE(gather, that_is_cancelled_cancels_all_and_ends_with_the_last,
      "slow:0; future:1; gather_all; start w await:4; cancel w; cancels:0 1; "
      "result:1 ECANCELED; settle; done:4 0; cancel w; cancels:0 2; give:0:7; "
      "w ECANCELED; result:4 ECANCELED; cancel_future:4 0")
SCENE(gather, that_is_settled_keeps_its_result_when_it_is_cancelled,
      "slow:0; future:1; gather_any; give:1:1; cancel_future:4 1; give:0:1; "
      "settle; result:4 1")
SCENE(gather, without_references_is_cancelled_and_ends_by_itself,
      "slow:0; future:1; gather_all; add:4:g; drop:0; drop:1; unref:4; "
      "cancels:0 1; settle; notes -; give:0; settle; notes g!")
SCENE(gather, holds_its_futures,
      TWO
      "gather_all; drop:0; drop:1; done:1 0; give:0; give:1; settle; done:4 1")
/* A group ends from the ready queue, and nothing is left to cancel then. */
SCENE(gather, whose_futures_have_ended_cannot_be_cancelled,
      TWO "gather_all; give:0:3; cancel_future:4 1; " TWO
          "gather_all; give:0:3; give:1:4; done:4 0; "
          "cancel_future:4 0; settle; result:4 0")

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

/*
 * Futures at the end of their loop, and after it, and without memory.
 *
 * Freeing a loop ends every wait. A future to which a reference is kept holds
 * the loop's memory, can still be used, and makes no callback any more.
 */
#include "future_rig.h"

static int wait_for_ever(weir_loop *on, void *arg)
{
    struct slow *slow = arg;
    int result = 0;

    expect_eq(weir_future_await(slow->future, &result), -ECANCELED);
    expect_eq(weir_yield(on), -ECANCELED, "every call is cancelled at the end");
    weir_future *future;
    expect_eq(weir_future_new(on, NULL, NULL, &future), -ESHUTDOWN);
    expect_eq(weir_gather(on, WEIR_GATHER_ALL, NULL, 0, &future), -ESHUTDOWN);
    expect_eq(result, -ECANCELED, "the future ends as cancelled");
    expect_eq(weir_future_shield(slow->future, NULL), -ECANCELED);
    note("w");
    return 0;
}

static int leave_waiting(weir_loop *on, void *arg)
{
    weir_task_unref(rig_spawn(wait_for_ever, arg));
    return weir_yield(on);
}

UNIT(future_end, that_ignores_its_cancellation_ends_with_the_loop)
{
    struct slow slow = {.gives = 0};
    rig_start();
    add(slow_future(&slow), "c");
    expect_eq(rig_main(leave_waiting, &slow), 0);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(slow.asked, 1);
    expect_str_eq(notes, "c!w");
    weir_future_unref(slow.future);
    fake_stop();
}

static void note_plain(void *arg, weir_future *future, int result)
{
    note(arg);
}

UNIT(future_end, that_outlives_its_loop_can_be_used_and_makes_no_callback)
{
    struct slow slow = {.gives = 0};

    rig_start_counted();
    weir_future *done = done_with(1);
    weir_future *futures[] = {pending(), slow_future(&slow), pending()};
    weir_future *group;
    weir_future *outer;
    expect_eq(weir_gather(loop, WEIR_GATHER_ANY, futures, 3, &group), 0);
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, &group, 1, &outer), 0);
    expect_eq(weir_future_add_done_callback(outer, note_plain, as_arg("o")), 0);
    expect_ok(
        weir_future_add_done_callback(futures[0], note_plain, as_arg("f")));
    expect_eq(weir_future_add_done_callback(done, note_plain, as_arg("d")), 0);
    expect_eq(weir_loop_free(loop), 0);
    expect_str_eq(notes, "d", "what is due runs before the end");

    expect_eq(weir_future_set_result(futures[0], 3), 0);
    expect_eq(result_of(group), 0);
    expect_eq(result_of(outer), 0);
    expect_eq(result_of(futures[2]), -ECANCELED);
    expect_eq(weir_future_add_done_callback(done, note_plain, as_arg("d")), 0);
    weir_future_unref(outer);
    weir_future_unref(group);
    for (int i = 0; i < 3; i++) {
        weir_future_unref(futures[i]);
    }
    expect_gt(rig_memory.live_count, 0, "the last future holds the memory");
    weir_future_unref(done);
    allocator_check(&rig_memory);
    fake_stop();
    expect_str_eq(notes, "d");
}

UNIT(future_end, whose_last_reference_goes_after_the_loop_frees_all)
{
    rig_start_counted();
    weir_future *futures[] = {pending(), pending()};
    weir_future *group;
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, futures, 2, &group), 0);
    add(group, "g");
    weir_future_unref(futures[0]);
    weir_future_unref(futures[1]);
    expect_eq(weir_loop_free(loop), 0);
    expect_gt(rig_memory.live_count, 0);
    weir_future_unref(group);
    allocator_check(&rig_memory);
    fake_stop();
    expect_str_eq(notes, "");
}

static void add_for_ever(void *arg, weir_future *future, int result)
{
    expect_eq(weir_future_add_done_callback(future, add_for_ever, arg), 0);
}

UNIT(future_end, a_callback_that_adds_itself_does_not_keep_the_loop)
{
    rig_start();
    weir_future *future = done_with(0);
    expect_eq(weir_future_add_done_callback(future, add_for_ever, NULL), 0);
    weir_future_unref(future);
    rig_stop();
}

static int find_no_memory(weir_loop *on, void *arg)
{
    struct weir_as_completed done;
    weir_future *future = pending();
    weir_future *other = NULL;

    rig_memory.size_limit = 0;
    expect_eq(weir_future_new(on, NULL, NULL, &other), -ENOMEM);
    expect_eq(weir_gather(on, WEIR_GATHER_ALL, &future, 1, &other), -ENOMEM);
    expect_eq(weir_future_add_done_callback(future, note_done, NULL), -ENOMEM);
    expect_eq(weir_wait(on, &future, 1, UINT64_MAX, WEIR_ALL_COMPLETED),
              -ENOMEM);
    expect_eq(weir_as_completed_begin(on, &done, &future, 1), -ENOMEM);
    expect_eq(weir_as_completed_next(&done), -ENOMEM);
    weir_as_completed_end(&done);
    cr_assert_null(other);
    expect_eq(weir_future_set_result(future, 0), 0);
    weir_future_unref(future);
    rig_memory.size_limit = SIZE_MAX;
    return 0;
}

UNIT(future_end, that_finds_no_memory_changes_nothing)
{
    expect_eq(rig_run_counted(find_no_memory, NULL), 0);
}

/* Of one task more than are looked at; see weir_future_await(). */
#define CIRCLE 65

static weir_task *circle[CIRCLE];
static int ended_count;

static int await_task(weir_loop *on, void *arg)
{
    int result = 1;
    int err =
        weir_future_await(weir_task_get_future(*(weir_task **)arg), &result);
    expect_eq(err, -ECANCELED);
    ended_count++;
    return err;
}

/* A circle that is too long to be found when it is closed. */
static int leave_circle(weir_loop *on, void *arg)
{
    for (int i = 0; i < CIRCLE; i++) {
        circle[i] = rig_spawn(await_task, &circle[(i + 1) % CIRCLE]);
    }
    expect_eq(weir_yield(on), 0);
    return weir_yield(on);
}

static void end_long_circle(int ring_error)
{
    rig_start();
    expect_eq(rig_main(leave_circle, NULL), 0);
    expect_eq(ended_count, 0);
    if (ring_error < 0) {
        fake_break_ring(ring_error);
    }
    expect_geq(weir_loop_free(loop), 0);
    for (int i = 0; i < CIRCLE; i++) {
        weir_task_unref(circle[i]);
    }
    fake_stop();
    expect_eq(ended_count, CIRCLE);
}

UNIT(future_end, a_circle_of_tasks_does_not_keep_the_loop)
{
    end_long_circle(0);
}

UNIT(future_end, a_circle_of_tasks_does_not_keep_a_loop_whose_ring_is_broken)
{
    end_long_circle(-EIO);
}

static weir_future *group_of_one;

static int await_group(weir_loop *on, void *arg)
{
    int err = weir_future_await(group_of_one, NULL);
    expect_eq(err, -ECANCELED);
    ended_count++;
    return err;
}

static int leave_gathered_circle(weir_loop *on, void *arg)
{
    circle[0] = rig_spawn(await_group, NULL);
    circle[1] = rig_spawn(await_task, &circle[0]);
    weir_future *member = weir_task_get_future(circle[1]);
    expect_eq(weir_gather(on, WEIR_GATHER_ALL, &member, 1, &group_of_one), 0);
    return weir_yield(on);
}

UNIT(future_end, a_circle_through_a_gathered_group_does_not_keep_the_loop)
{
    rig_start();
    expect_eq(rig_main(leave_gathered_circle, NULL), 0);
    expect_geq(weir_loop_free(loop), 0);
    expect_eq(ended_count, 2);
    weir_future_unref(group_of_one);
    weir_task_unref(circle[0]);
    weir_task_unref(circle[1]);
    fake_stop();
}

static int own_group(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    expect_eq(weir_task_group_begin(on, &group), 0);
    expect_ok(
        weir_task_group_spawn(&group, await_task, &circle[0], NULL, NULL));
    int err = weir_task_group_end(&group, 0);
    expect_eq(err, -ECANCELED);
    ended_count++;
    return err;
}

static int leave_grouped_circle(weir_loop *on, void *arg)
{
    circle[0] = rig_spawn(own_group, NULL);
    expect_eq(weir_yield(on), 0);
    return weir_yield(on);
}

UNIT(future_end,
     a_member_that_waits_for_its_groups_owner_does_not_keep_the_loop)
{
    rig_start();
    expect_eq(rig_main(leave_grouped_circle, NULL), 0);
    expect_geq(weir_loop_free(loop), 0);
    expect_eq(ended_count, 2);
    weir_task_unref(circle[0]);
    fake_stop();
}

/*
 * Futures one by one as they are done: weir_as_completed_begin() and its calls.
 *
 * The main task takes them, or a worker does while the main task gives results;
 * a worker's notes are the indexes, in the order in which they came.
 */
#include "future_rig.h"

enum { COUNT = 4 };

static weir_future *futures[COUNT];
static struct weir_as_completed done;

static void give(int index, int result)
{
    expect_eq(weir_future_set_result(futures[index], result), 0);
}

static void open(void)
{
    for (int i = 0; i < COUNT; i++) {
        futures[i] = pending();
    }
    expect_eq(weir_as_completed_begin(loop, &done, futures, COUNT), 0);
}

static void end(void)
{
    weir_as_completed_end(&done);
    for (int i = 0; i < COUNT; i++) {
        weir_future_unref(futures[i]);
    }
}

/* A task that takes all; its result is the error that ended it. */
static int take_all(weir_loop *on, void *arg)
{
    int index;
    while ((index = weir_as_completed_next(&done)) >= 0) {
        const char text[2] = {(char)('0' + index), '\0'};
        cr_assert(weir_future_is_done(futures[index]));
        note(text);
    }
    return index;
}

TASK(as_completed, gives_futures_in_the_order_in_which_they_are_done)
{
    open();
    weir_task *taker = rig_spawn(take_all, NULL);
    expect_settled("");
    give(2, 5);
    expect_settled("2");
    give(3, -EIO); /* both in one turn */
    give(0, 0);
    expect_settled("230");
    give(1, 0);
    expect_eq(rig_join(taker), -ENOENT);
    expect_str_eq(notes, "2301");
    expect_eq(result_of(futures[2]), 5);
    expect_eq(weir_as_completed_next(&done), -ENOENT, "and it stays so");
    end();
}

TASK(as_completed, gives_those_that_are_done_first_without_suspending)
{
    weir_future *some[] = {pending(), done_with(1), done_with(-EIO)};
    uint64_t switches = rig_statistics().task_switches;
    expect_eq(weir_as_completed_begin(loop, &done, some, 3), 0);
    expect_eq(weir_future_set_result(some[0], 0), 0);
    expect_eq(weir_as_completed_next(&done), 1);
    expect_eq(weir_as_completed_next(&done), 2);
    expect_eq(weir_as_completed_next(&done), 0);
    expect_eq(weir_as_completed_next(&done), -ENOENT);
    weir_as_completed_end(&done);
    expect_eq(weir_as_completed_begin(loop, &done, NULL, 0), 0);
    expect_eq(weir_as_completed_next(&done), -ENOENT);
    weir_as_completed_end(&done);
    expect_eq(rig_statistics().task_switches, switches);
    for (int i = 0; i < 3; i++) {
        weir_future_unref(some[i]);
    }
}

static int sleep_for(weir_loop *on, void *arg)
{
    return weir_sleep(on, *(uint64_t *)arg);
}

TASK(as_completed, gives_tasks_as_they_end)
{
    static uint64_t delays[] = {30 * MS, 10 * MS, 20 * MS};
    weir_task *tasks[3];
    weir_future *ends[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = rig_spawn(sleep_for, &delays[i]);
        ends[i] = weir_task_get_future(tasks[i]);
    }
    expect_eq(weir_as_completed_begin(loop, &done, ends, 3), 0);
    expect_eq(weir_as_completed_next(&done), 1);
    expect_eq(weir_as_completed_next(&done), 2);
    expect_eq(weir_as_completed_next(&done), 0);
    weir_as_completed_end(&done);
    for (int i = 0; i < 3; i++) {
        weir_task_unref(tasks[i]);
    }
}

TASK(as_completed, cancelled_leaves_the_futures_alone_and_can_go_on)
{
    open();
    weir_task *taker = rig_spawn(take_all, NULL);
    settle();
    cr_assert(weir_task_cancel(taker));
    give(1, 0); /* not for the task that was cancelled before */
    expect_eq(rig_join(taker), -ECANCELED);
    expect_str_eq(notes, "");
    cr_assert_not(weir_future_is_done(futures[0]));
    expect_eq(weir_as_completed_next(&done), 1);
    end();
}

static int take_one(weir_loop *on, void *arg)
{
    int *index = arg;
    *index = weir_as_completed_next(&done);
    return weir_yield(on);
}

TASK(as_completed, cancelled_after_it_was_given_one_keeps_it)
{
    int index = -1;
    open();
    weir_task *taker = rig_spawn(take_one, &index);
    settle();
    give(3, 0);
    expect_eq(rig_cancel(taker), -ECANCELED, "the next call tells of it");
    expect_eq(index, 3);
    end();
}

TASK(as_completed, has_the_time_limit_of_the_scope_around_it)
{
    struct weir_timeout limit;
    open();
    give(2, 0);
    expect_eq(weir_timeout_begin(loop, &limit, 5 * MS), 0);
    expect_eq(weir_as_completed_next(&done), 2);
    ssize_t index = weir_as_completed_next(&done);
    expect_eq(weir_timeout_end(&limit, index), -ETIMEDOUT);
    give(0, 0);
    expect_eq(weir_as_completed_next(&done), 0, "it goes on after it");
    end();
}

TASK(as_completed, gives_a_future_as_often_as_it_is_named)
{
    weir_future *future = pending();
    weir_future *same[] = {future, future};
    expect_eq(weir_as_completed_begin(loop, &done, same, 2), 0);
    expect_eq(weir_future_set_result(future, 0), 0);
    weir_future_unref(future);
    expect_eq(weir_as_completed_next(&done), 0);
    expect_eq(weir_as_completed_next(&done), 1);
    weir_as_completed_end(&done);
}

TASK(as_completed, gives_one_that_lost_its_last_reference)
{
    weir_future *future = pending();
    expect_eq(weir_as_completed_begin(loop, &done, &future, 1), 0);
    weir_future_unref(future);
    expect_eq(weir_as_completed_next(&done), 0);
    weir_as_completed_end(&done);
}

TASK(as_completed, ended_wakes_who_waits_and_forgets_the_futures)
{
    int index = 0;
    int late = 0;
    open();
    weir_task *taker = rig_spawn(take_one, &index);
    weir_task *second = rig_spawn(take_one, &late);
    settle();
    expect_eq(late, -EBUSY, "one task at a time");
    weir_as_completed_end(&done);
    give(0, 0);
    expect_eq(rig_join(taker), 0, "the task was not cancelled");
    expect_eq(rig_join(second), 0);
    expect_eq(index, -ECANCELED);
    expect_eq(weir_as_completed_next(&done), -ESTALE);
    end(); /* a second end does nothing */
}

static void *use_elsewhere(void *arg)
{
    struct weir_as_completed other;
    int *err = arg;
    *err = weir_as_completed_next(&done);
    expect_eq(weir_as_completed_begin(loop, &other, futures, COUNT), -EPERM);
    return NULL;
}

static void next_in_callback(void *arg)
{
    int *err = arg;
    *err = weir_as_completed_next(&done);
}

TASK(as_completed, in_the_wrong_place_is_an_error)
{
    struct weir_as_completed unused = {.opaque = {0}};
    weir_future *nothing = NULL;
    pthread_t thread;
    int err = 0;
    expect_eq(weir_as_completed_next(&unused), -ESTALE);
    weir_as_completed_end(&unused);
    expect_eq(weir_as_completed_begin(loop, &unused, &nothing, 1), -EINVAL);
    expect_eq(weir_as_completed_next(&unused), -EINVAL, "and again");
    weir_as_completed_end(&unused);
    open();
    expect_eq(weir_loop_call_soon(loop, next_in_callback, &err, NULL), 0);
    settle();
    expect_eq(err, WEIR_ENOTTASK);
    expect_eq(pthread_create(&thread, NULL, use_elsewhere, &err), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_eq(err, -EPERM);
    give(1, 0);
    expect_eq(weir_as_completed_next(&done), 1);
    end();
}

static weir_task *left;

static int leave_waiting(weir_loop *on, void *arg)
{
    open();
    left = rig_spawn(take_all, NULL);
    settle();
    return 0;
}

UNIT(as_completed, ended_after_its_loop_which_ended_the_wait)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(result_of(weir_task_get_future(left)), -ECANCELED);
    weir_task_unref(left);
    cr_assert(weir_future_cancel(futures[1]), "they are told of it still");
    end();
    fake_stop();
}

static int begin_without_memory(weir_loop *on, void *arg)
{
    weir_future *future = pending();

    allocator_fail_in(&rig_memory, 1);
    expect_eq(weir_as_completed_begin(on, &done, &future, 1), -ENOMEM);
    expect_eq(weir_as_completed_next(&done), -ENOMEM);
    weir_as_completed_end(&done);
    weir_future_unref(future);
    return 0;
}

UNIT(as_completed, that_finds_no_memory_says_so)
{
    expect_eq(rig_run_counted(begin_without_memory, NULL), 0);
}

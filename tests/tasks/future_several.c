/*
 * Waiting for several futures at once: weir_wait().
 *
 * A second task waits, the main task gives results and looks at when the wait
 * returned and with what; the futures themselves must be left alone.
 */
#include "future_rig.h"

/* A task in weir_wait(). */
struct several {
    weir_future *futures[3];
    enum weir_return_when when;
    uint64_t timeout_ns;
    weir_task *task;
    int returned; /* 12345: not yet */
    int next;     /* of the suspending call after it */
};

static int wait_several(weir_loop *on, void *arg)
{
    struct several *several = arg;

    several->returned =
        weir_wait(on, several->futures, 3, several->timeout_ns, several->when);
    several->next = weir_yield(on);
    return 0;
}

static void begin(struct several *several, enum weir_return_when when)
{
    for (int i = 0; i < 3; i++) {
        several->futures[i] = pending();
    }
    several->when = when;
    several->timeout_ns = UINT64_MAX;
    several->returned = 12345;
    several->task = rig_spawn(wait_several, several);
    settle();
    expect_eq(several->returned, 12345);
}

static void end(struct several *several)
{
    expect_eq(rig_join(several->task), 0);
    for (int i = 0; i < 3; i++) {
        weir_future_unref(several->futures[i]);
    }
}

static void give(weir_future *future, int result)
{
    expect_eq(weir_future_set_result(future, result), 0);
}

TASK(wait, for_all_returns_when_all_are_done)
{
    struct several several;

    begin(&several, WEIR_ALL_COMPLETED);
    give(several.futures[0], -EIO);
    give(several.futures[1], 1);
    settle();
    expect_eq(several.returned, 12345);
    give(several.futures[2], 1);
    settle();
    expect_eq(several.returned, 3);
    expect_eq(several.next, 0);
    end(&several);
}

TASK(wait, for_the_first_returns_when_one_is_done)
{
    struct several several;

    begin(&several, WEIR_FIRST_COMPLETED);
    give(several.futures[1], 1);
    settle();
    expect_eq(several.returned, 1);
    cr_assert_not(weir_future_is_done(several.futures[0]),
                  "the future stays pending");
    end(&several);

    begin(&several, WEIR_FIRST_COMPLETED);
    give(several.futures[1], -EIO);
    give(several.futures[2], 1);
    settle();
    expect_eq(several.returned, 2, "futures done in one turn are all counted");
    end(&several);
}

TASK(wait, for_an_error_returns_with_the_first_or_when_all_are_done)
{
    struct several several;

    begin(&several, WEIR_FIRST_EXCEPTION);
    give(several.futures[1], 1);
    settle();
    expect_eq(several.returned, 12345);
    give(several.futures[0], -EIO);
    settle();
    expect_eq(several.returned, 2);
    end(&several);

    begin(&several, WEIR_FIRST_EXCEPTION);
    for (int i = 0; i < 3; i++) {
        settle();
        expect_eq(several.returned, 12345);
        give(several.futures[i], 0);
    }
    settle();
    expect_eq(several.returned, 3, "without an error all are waited for");
    end(&several);
}

TASK(wait, that_need_not_wait_returns_without_suspending)
{
    weir_future *futures[3] = {done_with(-EIO), done_with(1), pending()};
    uint64_t switches = rig_statistics().task_switches;

    expect_eq(weir_wait(loop, NULL, 0, UINT64_MAX, WEIR_ALL_COMPLETED), 0);
    expect_eq(weir_wait(loop, futures, 3, 0, WEIR_ALL_COMPLETED), 2);
    expect_eq(weir_wait(loop, futures, 3, UINT64_MAX, WEIR_FIRST_EXCEPTION), 2);
    expect_eq(weir_wait(loop, &futures[1], 2, MS, WEIR_FIRST_COMPLETED), 1);
    expect_eq(weir_wait(loop, futures, 2, UINT64_MAX, WEIR_ALL_COMPLETED), 2);
    expect_eq(rig_statistics().task_switches, switches);
    for (int i = 0; i < 3; i++) {
        weir_future_unref(futures[i]);
    }
}

TASK(wait, returns_how_many_are_done_when_the_time_is_over)
{
    struct several several;

    for (int i = 0; i < 3; i++) {
        several.futures[i] = pending();
    }
    give(several.futures[0], 0);
    uint64_t began = weir_loop_get_time(loop);
    expect_eq(weir_wait(loop, several.futures, 3, 4 * MS, WEIR_ALL_COMPLETED),
              1);
    expect_geq(weir_loop_get_time(loop) - began, 4 * MS);
    cr_assert_not(weir_future_is_done(several.futures[1]));
    expect_eq(weir_yield(loop), 0, "nothing is left of the time-out");
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    for (int i = 0; i < 3; i++) {
        weir_future_unref(several.futures[i]);
    }
}

TASK(wait, that_is_cancelled_leaves_the_futures_alone)
{
    struct several several;

    begin(&several, WEIR_FIRST_COMPLETED);
    cr_assert(weir_task_cancel(several.task));
    give(several.futures[0], 0);
    cr_assert(weir_task_cancel(several.task));
    settle();
    expect_eq(several.returned, -ECANCELED);
    expect_eq(several.next, 0, "the two were delivered as one");
    cr_assert_not(weir_future_is_done(several.futures[1]),
                  "the futures are not cancelled");
    end(&several);

    begin(&several, WEIR_FIRST_COMPLETED);
    give(several.futures[0], 0);
    cr_assert(weir_task_cancel(several.task));
    settle();
    expect_eq(several.returned, 1, "the result was there first");
    expect_eq(several.next, -ECANCELED);
    end(&several);
}

TASK(wait, counts_the_same_future_as_often_as_it_is_there)
{
    struct several several;

    begin(&several, WEIR_ALL_COMPLETED);
    give(several.futures[0], 0);
    weir_future_unref(several.futures[1]);
    weir_future_unref(several.futures[2]);
    several.futures[1] = weir_future_ref(several.futures[0]);
    several.futures[2] = weir_future_ref(several.futures[0]);
    settle();
    expect_eq(several.returned, 3, "cancelled futures count as done");
    end(&several);

    weir_future *future = pending();
    weir_future *same[3] = {future, future, done_with(0)};
    expect_eq(weir_wait(loop, same, 3, 0, WEIR_ALL_COMPLETED), 1);
    give(future, 0);
    expect_eq(weir_wait(loop, same, 3, 0, WEIR_ALL_COMPLETED), 3);
    weir_future_unref(future);
    weir_future_unref(same[2]);
}

static int wait_without_memory(weir_loop *on, void *arg)
{
    weir_future *future = pending();

    allocator_fail_in(&rig_memory, 1);
    expect_eq(weir_wait(on, &future, 1, UINT64_MAX, WEIR_ALL_COMPLETED),
              -ENOMEM);
    weir_future_unref(future);
    return 0;
}

UNIT(wait, that_finds_no_memory_says_so)
{
    expect_eq(rig_run_counted(wait_without_memory, NULL), 0);
}

/*
 * Time-out scopes: what weir/task.h promises of weir_timeout_begin() and
 * weir_timeout_end().
 *
 * asyncio's timeout() and timeout_at() are the model. The clock is the
 * machine's, so that a limit can be met to the tick.
 */
#include "tests/death.h"

#include "rig.h"

#include <weir/sync.h>

static int sleep_within(weir_loop *on, void *arg)
{
    struct weir_timeout limit;
    const uint64_t *times = arg; /* of the limit, of the sleep */
    const uint64_t start = weir_loop_get_time(on);

    expect_eq(weir_timeout_begin(on, &limit, times[0]), 0);
    expect_eq(weir_timeout_get_when(&limit),
              times[0] == UINT64_MAX ? UINT64_MAX : start + times[0]);
    int64_t result = weir_sleep(on, times[1]);
    expect_eq(result, times[0] < times[1] ? -ECANCELED : 0);
    result = weir_timeout_end(&limit, result);
    expect_eq(weir_timeout_is_expired(&limit), times[0] < times[1]);
    expect_leq(weir_loop_get_time(on) - start,
               (times[0] < times[1] ? times[0] : times[1]) + 2 * US);
    expect_eq(weir_yield(on), 0, "it is delivered once");
    return (int)result;
}

UNIT(timeout, ends_a_wait_and_its_end_says_so)
{
    uint64_t times[] = {MS, 2 * MS};
    expect_eq(rig_run(sleep_within, times), -ETIMEDOUT);
}

UNIT(timeout, that_is_not_over_changes_nothing)
{
    uint64_t times[] = {3 * MS, 2 * MS};
    expect_eq(rig_run(sleep_within, times), 0);
}

UNIT(timeout, without_a_limit_is_never_over)
{
    uint64_t times[] = {UINT64_MAX, 2 * MS};
    expect_eq(rig_run(sleep_within, times), 0);
}

UNIT(timeout, of_zero_ends_the_first_call_that_waits)
{
    uint64_t times[] = {0, 2 * MS};
    expect_eq(rig_run(sleep_within, times), -ETIMEDOUT);
}

/* The clock does not move while the task runs: only the timer sees the end. */
TASK(timeout, that_has_ended_interrupts_nothing_any_more)
{
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, 0), 0);
    expect_eq(weir_timeout_end(&limit, 5), 5);
    cr_assert_not(weir_timeout_is_expired(&limit));
    expect_eq(weir_sleep(loop, MS), 0);
}

TASK(timeout, keeps_a_result_that_is_not_cancelled)
{
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_sleep(loop, MS), 0, "it cleans up within the scope");
    expect_eq(weir_timeout_end(&limit, 9), 9, "another result stays");
    cr_assert(weir_timeout_is_expired(&limit));
    expect_eq(weir_timeout_end(&limit, -ECANCELED), -ECANCELED,
              "a second end changes nothing");
    expect_eq(weir_yield(loop), 0);
}

/* ---- nesting ---- */

TASK(timeout, of_two_that_nest_the_inner_one_tells_first_then_the_outer)
{
    struct weir_timeout outer;
    struct weir_timeout inner;
    expect_eq(weir_timeout_begin(loop, &outer, 2 * MS), 0);
    expect_eq(weir_timeout_begin(loop, &inner, MS), 0);
    int64_t result = weir_timeout_end(&inner, weir_sleep(loop, S));
    expect_eq(result, -ETIMEDOUT);
    result = weir_timeout_end(&outer, weir_sleep(loop, S));
    expect_eq(result, -ETIMEDOUT);
}

TASK(timeout, of_the_outer_scope_passes_through_the_inner_one)
{
    struct weir_timeout outer;
    struct weir_timeout inner;
    expect_eq(weir_timeout_begin(loop, &outer, MS), 0);
    expect_eq(weir_timeout_begin(loop, &inner, 2 * MS), 0);
    int64_t result = weir_timeout_end(&inner, weir_sleep(loop, S));
    expect_eq(result, -ECANCELED,
              "the outer time-out passes through the inner scope");
    cr_assert_not(weir_timeout_is_expired(&inner));
    expect_eq(weir_timeout_end(&outer, result), -ETIMEDOUT);
}

TASK(timeout, of_two_that_are_over_at_once_the_outermost_tells)
{
    struct weir_timeout outer;
    struct weir_timeout inner;
    const uint64_t when = weir_loop_get_time(loop) + MS;
    expect_eq(weir_timeout_begin_at(loop, &outer, when), 0);
    expect_eq(weir_timeout_begin_at(loop, &inner, when), 0);
    int64_t result = weir_timeout_end(&inner, weir_sleep(loop, S));
    expect_eq(result, -ECANCELED);
    cr_assert(weir_timeout_is_expired(&inner));
    result = weir_timeout_end(&outer, result);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
    expect_eq(weir_yield(loop), 0);
    expect_eq(result, -ETIMEDOUT);
}

/* ---- beside cancellations ---- */

struct race {
    uint64_t limit_ns;
    uint64_t cancel_ns;
    weir_task *task;
};

static int race_in_scope(weir_loop *on, void *arg)
{
    const struct race *race = arg;
    struct weir_timeout limit;

    expect_eq(weir_timeout_begin(on, &limit, race->limit_ns), 0);
    int64_t result = weir_timeout_end(&limit, weir_sleep(on, S));
    expect_eq(weir_sleep(on, MS), 0, "delivered once");
    return (int)result;
}

static void cancel_racer(void *arg)
{
    const struct race *race = arg;
    cr_assert(weir_task_cancel(race->task));
}

static int run_race(weir_loop *on, void *arg)
{
    struct race *race = arg;
    race->task = weir_task_ref(rig_spawn(race_in_scope, race));
    expect_ok(
        weir_loop_call_later(on, race->cancel_ns, cancel_racer, race, NULL));
    int result = rig_join(race->task);
    weir_task_unref(race->task);
    return result;
}

UNIT(timeout, that_is_over_just_before_a_cancellation_is_outranked_by_it)
{
    struct race race = {.limit_ns = MS, .cancel_ns = MS};
    expect_eq(rig_run(run_race, &race), -ECANCELED);
}

UNIT(timeout, that_comes_just_after_a_cancellation_is_outranked_by_it)
{
    struct race race = {.limit_ns = MS + 1500, .cancel_ns = MS};
    expect_eq(rig_run(run_race, &race), -ECANCELED);
}

TASK(timeout, is_told_apart_from_a_cancellation_before_its_begin)
{
    struct weir_timeout limit;
    weir_task *self = weir_task_get_current(loop);
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_yield(loop), -ECANCELED);
    /* Swallowed, not taken back: it was before the scope and does not count. */
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_timeout_end(&limit, weir_sleep(loop, S)), -ETIMEDOUT);
}

static void set_event(void *arg)
{
    weir_event_set(arg);
}

/* The event is set, and in the same expiry of timers the limit is over: the
 * task is ready, and the interruption waits for its next call or is forgotten
 * with the scope. */
static int ready_when_over(weir_loop *on, void *arg)
{
    struct weir_timeout limit;
    weir_event *event;
    const bool ends_at_once = *(const bool *)arg;
    const uint64_t when = weir_loop_get_time(on) + MS;

    expect_eq(weir_event_new(on, &event), 0);
    expect_eq(weir_loop_call_at(on, when, set_event, event, NULL), 0);
    expect_eq(weir_timeout_begin_at(on, &limit, when), 0);
    expect_eq(weir_event_wait(event), 0, "it was granted before");
    cr_assert(weir_timeout_is_expired(&limit));
    int64_t result = ends_at_once ? 4 : weir_yield(on);
    result = weir_timeout_end(&limit, result);
    expect_eq(weir_yield(on), 0);
    weir_event_free(event);
    return (int)result;
}

UNIT(timeout,
     that_is_over_while_the_task_is_ready_is_delivered_by_the_next_call)
{
    bool ends_at_once = false;
    expect_eq(rig_run(ready_when_over, &ends_at_once), -ETIMEDOUT);
}

UNIT(timeout, that_was_not_delivered_is_forgotten_with_the_scope)
{
    bool ends_at_once = true;
    expect_eq(rig_run(ready_when_over, &ends_at_once), 4);
}

/* ---- moving the limit ---- */

TASK(timeout, can_be_rescheduled_later_and_earlier)
{
    struct weir_timeout limit;
    const uint64_t start = weir_loop_get_time(loop);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_timeout_reschedule(&limit, start + 5 * MS), 0);
    expect_eq(weir_timeout_get_when(&limit), start + 5 * MS);
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    expect_eq(weir_timeout_reschedule(&limit, start + 3 * MS), 0);
    int64_t result = weir_timeout_end(&limit, weir_sleep(loop, S));
    expect_leq(weir_loop_get_time(loop), start + 3 * MS + 2 * US);
    expect_eq(weir_timeout_reschedule(&limit, start), -ESTALE);
    expect_eq(result, -ETIMEDOUT);
}

TASK(timeout, can_be_rescheduled_to_never)
{
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_timeout_reschedule(&limit, UINT64_MAX), 0);
    expect_eq(weir_timeout_get_when(&limit), UINT64_MAX);
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    expect_eq(weir_timeout_end(&limit, 0), 0);
}

TASK(timeout, that_is_over_cannot_be_rescheduled)
{
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_timeout_reschedule(&limit, UINT64_MAX), -ESTALE);
    expect_eq(weir_timeout_end(&limit, -ECANCELED), -ETIMEDOUT);
}

TASK(timeout, that_is_over_is_not_taken_back_by_the_task)
{
    struct weir_timeout limit;
    weir_task *self = weir_task_get_current(loop);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_task_uncancel(self), 1,
              "only the task's own request is taken back");
    int64_t result = weir_timeout_end(&limit, -ECANCELED);
    expect_eq(weir_task_get_cancelling(self), 0);
    expect_eq(result, -ETIMEDOUT);
}

TASK(timeout, that_is_over_keeps_no_cancellation_that_was_taken_back)
{
    struct weir_timeout limit;
    weir_task *self = weir_task_get_current(loop);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_task_uncancel(self), 1);
    expect_eq(weir_yield(loop), 0, "no interruption is left");
    expect_eq(weir_timeout_end(&limit, -ECANCELED), -ETIMEDOUT);
}

TASK(timeout, is_told_when_a_cancellation_before_its_begin_is_taken_back)
{
    struct weir_timeout limit;
    weir_task *self = weir_task_get_current(loop);
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_yield(loop), -ECANCELED);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_task_uncancel(self), 1,
              "the time-out's own request is left");
    expect_eq(weir_timeout_end(&limit, -ECANCELED), -ETIMEDOUT);
    expect_eq(weir_task_get_cancelling(self), 0);
}

UNIT(timeout, outside_of_a_task_is_an_error_and_its_end_does_no_harm)
{
    struct weir_timeout limit;
    rig_start();
    expect_eq(weir_timeout_begin(loop, &limit, MS), WEIR_ENOTTASK);
    expect_eq(weir_timeout_reschedule(&limit, 1), -ESTALE);
    expect_eq(weir_timeout_end(&limit, -ECANCELED), -ECANCELED);
    rig_stop();
}

static int misuse_scope(weir_loop *on, void *arg)
{
    static struct weir_timeout outer;
    static struct weir_timeout inner;

    expect_eq(weir_timeout_begin(on, &outer, MS), 0);
    if (!arg) {
        return 0;
    }
    expect_eq(weir_timeout_begin(on, &inner, MS), 0);
    return (int)weir_timeout_end(&outer, 0);
}

/* In a task with a name. */
static void misuse(void *arg)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "careless"};
    rig_start();
    expect_eq(weir_task_spawn(loop, misuse_scope, arg, &options, NULL), 0);
    expect_eq(weir_loop_run(loop), 0);
}

UNIT_ABORTS(timeout, that_is_left_open_by_its_task_is_told_by_its_name,
            "task 'careless' returned inside a time-out: it did not call "
            "weir_timeout_end()")
{
    misuse(NULL);
}

UNIT_ABORTS(timeout, that_ends_out_of_order_is_told_by_its_task,
            "task 'careless' ended a time-out before one that began inside it")
{
    misuse(&loop);
}

/*
 * Timeout scopes: what weir/task.h promises about weir_timeout_begin() and
 * weir_timeout_end().
 *
 * The model is asyncio's timeout() and timeout_at(). With the fake clock,
 * limits are exact.
 */
#include "tests/death.h"

#include "scenes.h"

#include <weir/sync.h>

#define OVER  "sleep:1000 ECANCELED; "
#define TELLS "end:0:ECANCELED ETIMEDOUT; "

SCENE(timeout, ends_a_wait_and_its_end_says_so,
      "since; begin:0:1; when:0 1; sleep:2 ECANCELED; " TELLS
      "expired:0 1; elapsed_us <1003; yield")
SCENE(timeout, that_is_not_over_changes_nothing,
      "since; begin:0:3; when:0 3; sleep:2; end:0 0; expired:0 0; elapsed_us "
      "<2003; yield")
SCENE(timeout, without_a_limit_is_never_over,
      "since; begin:0:-1; when:0 ENOENT; sleep:2; end:0 0; expired:0 0; "
      "elapsed_us <2003; yield")
SCENE(timeout, of_zero_ends_the_first_call_that_waits,
      "since; begin:0:0; when:0 0; sleep:2 ECANCELED; " TELLS
      "expired:0 1; elapsed_us <3; yield")
/* The clock does not move while the task runs: only the timer sees the end. */
SCENE(timeout, that_has_ended_interrupts_nothing_any_more,
      "begin:0:0; end:0:5 5; expired:0 0; sleep:1")
/* The task cleans up within the scope, and a second end changes nothing. */
SCENE(timeout, keeps_a_result_that_is_not_cancelled,
      "begin:0:1; " OVER
      "sleep:1; end:0:9 9; expired:0 1; end:0:ECANCELED ECANCELED; yield")

SCENE(timeout, of_two_that_nest_the_inner_one_tells_first_then_the_outer,
      "begin:0:2; begin:1:1; " OVER "end:1:ECANCELED ETIMEDOUT; " OVER TELLS)
SCENE(timeout, of_the_outer_scope_passes_through_the_inner_one,
      "begin:0:1; begin:1:2; " OVER
      "end:1:ECANCELED ECANCELED; expired:1 0; " TELLS)
SCENE(timeout, of_two_that_are_over_at_once_the_outermost_tells,
      "since; begin_at:0:1; begin_at:1:1; " OVER
      "end:1:ECANCELED ECANCELED; expired:1 1; " TELLS "cancelling 0; yield")

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

/* It was not taken back: it was before the scope and does not count. */
SCENE(timeout, is_told_apart_from_a_cancellation_before_its_begin,
      "cancel_self; yield ECANCELED; begin:0:1; " OVER TELLS)

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

SCENE(
    timeout, can_be_rescheduled_later_and_earlier,
    "since; begin:0:1; reschedule:0:5; when:0 5; sleep:2; reschedule:0:3; " OVER
        TELLS "elapsed_us <3003; reschedule:0:0 ESTALE")
SCENE(timeout, can_be_rescheduled_to_never,
      "begin:0:1; reschedule:0:-1; when:0 ENOENT; sleep:2; end:0")
SCENE(timeout, that_is_over_cannot_be_rescheduled,
      "begin:0:1; " OVER "reschedule:0:-1 ESTALE; " TELLS)
SCENE(timeout, that_is_over_is_not_taken_back_by_the_task,
      "begin:0:1; " OVER "uncancel 1; " TELLS "cancelling 0")
SCENE(timeout, that_is_over_keeps_no_cancellation_that_was_taken_back,
      "begin:0:1; " OVER "cancel_self; uncancel 1; yield; " TELLS)
/* The request of the time-out itself is left. */
SCENE(timeout, is_told_when_a_cancellation_before_its_begin_is_taken_back,
      "cancel_self; yield ECANCELED; begin:0:1; " OVER "uncancel 1; " TELLS
      "cancelling 0")

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

/*
 * Tasks: what weir/task.h promises about spawning, ending, waiting and
 * cancelling.
 *
 * Tasks record their actions as letters, so that their order can be compared.
 */
#include "rig.h"
#include "tests/dump.h"

#include <weir/sync.h>

/* Arguments are not const. */
static void *text(const char *literal)
{
    return (void *)(uintptr_t)literal;
}

static int note_and_return(weir_loop *on, void *arg)
{
    expect_eq(on, loop);
    note(arg);
    return 7;
}

static int spawn_and_note(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(note_and_return, text("b"));
    note("a");
    expect_eq(rig_join(task), 7);
    note("c");
    return 3;
}

UNIT(task, runs_from_the_ready_queue_and_join_gives_its_result)
{
    expect_eq(rig_run(spawn_and_note, NULL), 3);
    expect_str_eq(notes, "abc");
}

static int join_late(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(note_and_return, text("x"));
    expect_eq(weir_sleep(on, MS), 0);
    cr_assert(weir_future_is_done(weir_task_get_future(task)));
    cr_assert_not(weir_task_cancel(task), "it has ended");
    return rig_join(task);
}

UNIT(task, can_be_joined_after_its_end)
{
    expect_eq(rig_run(join_late, NULL), 7);
}

static int detach_some(weir_loop *on, void *arg)
{
    expect_eq(weir_task_spawn(on, note_and_return, text("1"), NULL, NULL), 0);
    weir_task_unref(rig_spawn(note_and_return, text("2")));
    weir_task_unref(NULL);
    expect_eq(weir_yield(on), 0);
    return 0;
}

UNIT(task, that_is_detached_runs_all_the_same)
{
    expect_eq(rig_run(detach_some, NULL), 0);
    expect_str_eq(notes, "12");
}

TASK(task, cannot_join_itself)
{
    expect_eq(weir_task_join(weir_task_ref(weir_task_get_current(loop)), NULL),
              -EDEADLK);
}

static void spawn_from_callback(void *arg)
{
    expect_eq(weir_task_get_current(loop), NULL);
    expect_eq(weir_task_spawn(loop, note_and_return, arg, NULL, NULL), 0);
    note("<");
}

TASK(task, can_be_spawned_by_a_callback)
{
    expect_ok(weir_loop_call_soon(loop, spawn_from_callback, text("t"), NULL));
    expect_eq(weir_sleep(loop, MS), 0);
    expect_str_eq(notes, "<t");
}

static void suspend_in_callback(void *arg)
{
    expect_eq(weir_sleep(loop, 1), WEIR_ENOTTASK);
    expect_eq(weir_yield(loop), WEIR_ENOTTASK);
    note("c");
}

static int wait_a_turn(weir_loop *on, void *arg)
{
    expect_eq(weir_loop_call_soon(on, suspend_in_callback, NULL, NULL), 0);
    return weir_sleep(on, MS);
}

UNIT(task, suspending_in_a_callback_or_outside_is_an_error)
{
    rig_start();
    expect_eq(weir_sleep(loop, 1), WEIR_ENOTTASK);
    expect_eq(rig_main(wait_a_turn, NULL), 0);
    expect_str_eq(notes, "c");
    expect_eq(weir_yield(loop), WEIR_ENOTTASK);
    rig_stop();
}

static void suspend_in_hook(void *arg, weir_loop *on,
                            const struct weir_exception *exception)
{
    expect_eq(weir_yield(on), WEIR_ENOTTASK);
    note("h");
}

TASK(task, suspending_in_a_callback_on_its_own_stack_is_an_error)
{
    const struct weir_exception exception = {.size = sizeof(exception),
                                             .message = "test"};
    weir_loop_set_exception_handler(loop, suspend_in_hook, NULL);
    expect_eq(weir_loop_call_exception_handler(loop, &exception), 0);
    expect_str_eq(notes, "h");
    expect_eq(weir_yield(loop), 0);
}

static void *suspend_in_thread(void *arg)
{
    return (void *)(intptr_t)weir_yield(loop);
}

TASK(task, suspending_on_another_thread_is_an_error)
{
    pthread_t thread;
    void *result;
    expect_eq(pthread_create(&thread, NULL, suspend_in_thread, NULL), 0);
    expect_eq(pthread_join(thread, &result), 0);
    expect_eq((intptr_t)result, -EPERM);
}

static int sleep_and_note(weir_loop *on, void *arg)
{
    const char *event = arg;
    expect_eq(weir_sleep(on, (uint64_t)(event[0] - '0') * MS), 0);
    note(event);
    return 0;
}

TASK(task, sleeps_end_in_the_order_of_their_times)
{
    const uint64_t start = weir_loop_get_time(loop);
    weir_task *three = rig_spawn(sleep_and_note, text("3"));
    weir_task *one = rig_spawn(sleep_and_note, text("1"));
    weir_task *two = rig_spawn(sleep_and_note, text("2"));
    rig_join(three);
    rig_join(one);
    rig_join(two);
    const uint64_t took = weir_loop_get_time(loop) - start;
    expect_geq(took, 3 * MS);
    expect_leq(took, 3 * MS + 2 * US);
    expect_str_eq(notes, "123");
}

static int yield_and_note(weir_loop *on, void *arg)
{
    const char *name = arg;
    note(name);
    expect_eq(weir_yield(on), 0);
    note(name);
    expect_eq(weir_sleep(on, 0), 0);
    note(name);
    expect_eq(name[0] == 'b' ? weir_yield(on) : weir_sleep_until(on, 1), 0,
              "a time in the past does not fail");
    note(name);
    return 0;
}

TASK(task, yield_lets_the_others_run)
{
    weir_task *a = rig_spawn(yield_and_note, text("a"));
    weir_task *b = rig_spawn(yield_and_note, text("b"));
    rig_join(a);
    rig_join(b);
    expect_str_eq(notes, "abababab");
}

static bool stop_spinning;

static int spin(weir_loop *on, void *arg)
{
    weir_event *event = arg;
    int calls = 0;
    while (!stop_spinning && calls < 100000) {
        expect_eq(weir_event_wait(event), 0); /* it is set: need not wait */
        calls++;
    }
    return calls;
}

TASK(task, that_never_has_to_wait_lets_others_run_every_2048_calls)
{
    weir_event *event;
    expect_eq(weir_event_new(loop, &event), 0);
    weir_event_set(event);
    weir_task *task = rig_spawn(spin, event);
    expect_eq(weir_yield(loop), 0);
    stop_spinning = true;
    int calls = rig_join(task);
    weir_event_free(event);
    expect_eq(calls, 2048, "the calls took no time");
}

static int sleep_long(weir_loop *on, void *arg)
{
    int err = weir_sleep(on, S);
    note(err == -ECANCELED ? "C" : "-");
    int again = weir_sleep(on, MS);
    note(again == 0 ? "0" : "-");
    return err;
}

TASK(task, a_cancellation_ends_the_innermost_wait_and_comes_once)
{
    const uint64_t start = weir_loop_get_time(loop);
    weir_task *task = rig_spawn(sleep_long, NULL);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(task));
    expect_eq(weir_task_get_cancelling(task), 1);
    expect_eq(rig_join(task), -ECANCELED);
    expect_lt(weir_loop_get_time(loop) - start, 2 * MS);
    expect_str_eq(notes, "C0");
}

TASK(task, that_is_cancelled_before_it_ran_runs_and_its_first_wait_fails)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_str_eq(notes, "C0");
}

TASK(task, can_cancel_itself)
{
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    expect_eq(weir_yield(loop), -ECANCELED);
    expect_eq(weir_yield(loop), 0);
}

TASK(task, a_cancellation_that_was_taken_back_is_not_delivered)
{
    weir_task *self = weir_task_get_current(loop);
    cr_assert(weir_task_cancel(self));
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_task_get_cancelling(self), 2);
    expect_eq(weir_task_uncancel(self), 1);
    expect_eq(weir_task_uncancel(self), 0);
    expect_eq(weir_task_uncancel(self), 0);
    expect_eq(weir_yield(loop), 0);
}

TASK(task, a_cancellation_is_delivered_where_another_one_was_taken_back)
{
    weir_task *self = weir_task_get_current(loop);
    cr_assert(weir_task_cancel(self));
    cr_assert(weir_task_cancel(self));
    expect_eq(weir_task_uncancel(self), 1);
    expect_eq(weir_yield(loop), -ECANCELED);
    expect_eq(weir_task_uncancel(self), 0);
    expect_eq(weir_yield(loop), 0);
}

TASK(task, two_cancellations_before_it_runs_again_are_delivered_as_one)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    expect_eq(weir_yield(loop), 0);
    cr_assert(weir_task_cancel(task));
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_str_eq(notes, "C0");
}

static int get_item(weir_loop *on, void *arg)
{
    void *item = NULL;
    int err = weir_queue_get(arg, &item);
    expect_eq(err, 0, "it had been given before the cancellation");
    expect_str_eq(item, "item");
    return weir_yield(on);
}

TASK(task, a_result_that_came_before_the_cancellation_is_kept)
{
    weir_queue *queue;
    expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, &queue), 0);
    weir_task *task = rig_spawn(get_item, queue);
    expect_eq(weir_yield(loop), 0);
    expect_eq(weir_queue_put_nowait(queue, text("item")), 0);
    cr_assert(weir_task_cancel(task));
    int result = rig_join(task);
    weir_queue_free(queue);
    expect_eq(result, -ECANCELED);
}

static int join_another(weir_loop *on, void *arg)
{
    int result = 0;
    int err = weir_task_join(weir_task_ref(arg), &result);
    return err;
}

TASK(task, cancelling_who_joins_cancels_the_task_and_waits_for_its_end)
{
    weir_task *inner = rig_spawn(sleep_long, NULL);
    weir_task *outer = rig_spawn(join_another, inner);
    expect_eq(weir_yield(loop), 0);
    expect_eq(rig_cancel(outer), -ECANCELED);
    cr_assert(weir_future_is_done(weir_task_get_future(inner)));
    expect_eq(rig_join(inner), -ECANCELED);
    expect_str_eq(notes, "C0");
}

static int refuse_to_end(weir_loop *on, void *arg)
{
    for (int i = 0; i < 10; i++) {
        int err = weir_sleep(on, S);
        expect_eq(err, -ECANCELED);
        expect_eq(weir_yield(on), -ECANCELED);
        expect_eq(weir_task_spawn(on, sleep_long, NULL, NULL, NULL),
                  -ESHUTDOWN);
    }
    note("end");
    return 5;
}

static int leave_behind(weir_loop *on, void *arg)
{
    weir_task **ret = arg;
    *ret = rig_spawn(refuse_to_end, NULL);
    return weir_yield(on);
}

UNIT(task, loop_free_ends_every_task_and_its_handle_stays)
{
    weir_task *task = NULL;
    int result = 0;
    rig_leave(leave_behind, &task);
    expect_str_eq(notes, "end");
    expect_eq(weir_future_get_result(weir_task_get_future(task), &result), 0);
    expect_eq(result, 5);
    weir_task_unref(task);
    fake_stop();
}

static int never_ran(weir_loop *on, void *arg)
{
    note(arg);
    return weir_yield(on);
}

UNIT(task, that_never_ran_before_loop_free_runs_then)
{
    rig_start();
    expect_eq(weir_task_spawn(loop, never_ran, text("r"), NULL, NULL), 0);
    expect_eq(weir_loop_free(loop), 0);
    expect_str_eq(notes, "r");
    fake_stop();
}

static int use_stack(weir_loop *on, void *arg)
{
    const size_t size = *(const size_t *)arg;
    volatile char bytes[8000];
    bytes[0] = 1;
    bytes[sizeof(bytes) - 1] = 1;
    return size > 0 && bytes[0] == 1 ? 0 : -1;
}

UNIT(task, options_are_checked_and_stacks_have_the_size_asked_for)
{
    static const size_t sizes[] = {16384, 16385, 65536, 1u << 20, 64u << 20};
    rig_start();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct weir_task_options options = {.size = sizeof(options),
                                                  .stack_size_bytes = sizes[i]};
        expect_ok(weir_task_spawn(loop, use_stack, (void *)(uintptr_t)&sizes[i],
                                  &options, NULL));
    }
    const struct weir_task_options small = {.size = sizeof(small),
                                            .stack_size_bytes = 16383};
    const struct weir_task_options large = {.size = sizeof(large),
                                            .stack_size_bytes = (1u << 30) + 1};
    const struct weir_task_options unset = {.name = "x"};
    expect_eq(weir_task_spawn(loop, use_stack, NULL, &small, NULL), -EINVAL);
    expect_eq(weir_task_spawn(loop, use_stack, NULL, &large, NULL), -EINVAL);
    expect_eq(weir_task_spawn(loop, use_stack, NULL, &unset, NULL),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_task_spawn(loop, NULL, NULL, NULL, NULL), -EINVAL);
    rig_stop();
}

TASK(task, names_are_copied_and_cut)
{
    weir_task *self = weir_task_get_current(loop);
    expect_str_eq(weir_task_get_name(self), "main");
    weir_task_set_name(self, "0123456789012345678901234567890123456789");
    expect_str_eq(weir_task_get_name(self), "0123456789012345678901234567890");
    weir_task_set_name(self, NULL);
    expect_str_eq(weir_task_get_name(self), "");
}

TASK(task, statistics_count_tasks_switches_and_stacks)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    expect_eq(weir_yield(loop), 0);
    struct weir_loop_statistics now = rig_statistics();
    expect_eq(now.tasks, 2);
    expect_eq(now.tasks_spawned, 2);
    expect_eq(now.task_switches, 3);
    expect_geq(now.stacks, 2);
    expect_gt(now.stack_high_water_bytes, 0);
    weir_task_cancel(task);
    rig_join(task);
    now = rig_statistics();
    expect_eq(now.tasks, 1);
    expect_eq(now.tasks_spawned, 2);
}

TASK(task, the_dump_names_each_task_and_its_state)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    weir_task_set_name(task, "sleeper");
    expect_eq(weir_yield(loop), 0);
    expect_dumped(loop, "task main running stack=262144");
    expect_dumped(loop, "task sleeper waiting for sleep");
    expect_eq(rig_cancel(task), -ECANCELED);
}

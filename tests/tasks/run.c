/*
 * Running a main task: weir_loop_run_task(), weir_run(), and starting tasks
 * from other threads.
 *
 * The fake machine raises signals, at exact times of its clock.
 */
#include "rig.h"

#include <signal.h>
#include <weir/sync.h>

static int sleep_till_cancelled(weir_loop *on, void *arg)
{
    int *cancelled_count = arg;
    int err = weir_sleep(on, 10 * S);
    if (err == -ECANCELED) {
        ++*cancelled_count;
    }
    return err;
}

/* To the program. */
static void raise_signal(void *arg)
{
    expect_eq(raise(arg ? *(const int *)arg : SIGINT), 0);
}

static bool is_default(int signum)
{
    struct sigaction action;
    expect_eq(sigaction(signum, NULL, &action), 0);
    return action.sa_handler == SIG_DFL;
}

static void expect_cancelled_by(int signum)
{
    int cancelled_count = 0;
    int result = 0;
    rig_start();
    fake_at(FAKE_START_NS + MS, raise_signal, &signum);
    expect_ok(weir_loop_run_task(loop, sleep_till_cancelled, &cancelled_count,
                                 &result));
    expect_eq(result, -ECANCELED);
    expect_eq(cancelled_count, 1);
    cr_assert(is_default(signum), "it is not handled any more");
    rig_stop();
}

UNIT(run, sigint_cancels_the_main_task)
{
    expect_cancelled_by(SIGINT);
}

UNIT(run, sigterm_cancels_the_main_task)
{
    expect_cancelled_by(SIGTERM);
}

static int ignore_cancellation(weir_loop *on, void *arg)
{
    int *cancelled_count = arg;
    while (*cancelled_count < 2) {
        int err = sleep_till_cancelled(on, arg);
        expect_eq(err, -ECANCELED);
    }
    return 0;
}

static void expect_ended_by(int first, int second, uint64_t between_ns)
{
    int cancelled_count = 0;
    int result = 33;
    rig_start();
    fake_at(FAKE_START_NS + MS, raise_signal, &first);
    fake_at(FAKE_START_NS + MS + between_ns, raise_signal, &second);
    expect_eq(weir_loop_run_task(loop, ignore_cancellation, &cancelled_count,
                                 &result),
              -EINTR);
    expect_eq(cancelled_count, 1);
    expect_eq(result, 33, "the task's own result");
    rig_stop();
    expect_eq(cancelled_count, 2, "the end of the loop ended the task");
}

UNIT(run, a_second_signal_ends_the_run_at_once)
{
    expect_ended_by(SIGINT, SIGINT, MS);
}

UNIT(run, a_second_signal_may_be_another_one)
{
    expect_ended_by(SIGTERM, SIGINT, MS);
}

static int end_with_signal(weir_loop *on, void *arg)
{
    return raise(SIGINT);
}

UNIT(run, a_signal_that_comes_with_the_end_of_the_task_changes_nothing)
{
    int result = 1;
    rig_start();
    expect_eq(weir_loop_run_task(loop, end_with_signal, NULL, &result), 0);
    expect_eq(result, 0);
    expect_eq(weir_loop_run_task(loop, end_with_signal, NULL, &result), 0);
    expect_eq(result, 0, "that signal is not told to the next one");
    rig_stop(); /* and nothing is leaked */
}

/* A main task that never waits for long: it starts a step that computes and
 * joins it, again and again. The signal comes in one of the steps. */
struct steps {
    int count;
    int raised_in;
};

static int make_step(weir_loop *on, void *arg)
{
    struct steps *steps = arg;
    steps->count++;
    return steps->count == steps->raised_in ? raise(SIGINT) : 0;
}

static int make_steps(weir_loop *on, void *arg)
{
    struct steps *steps = arg;
    int err = 0;

    while (err == 0 && steps->count < 100000) {
        weir_task *task;
        expect_eq(weir_task_spawn(on, make_step, arg, NULL, &task), 0);
        err = weir_task_join(task, NULL);
    }
    return err;
}

UNIT(run, a_main_task_that_joins_computing_steps_ends_on_the_first_sigint)
{
    static const struct fake_options machine = {.seed = 1};

    for (int i = 1; i <= 40; i++) {
        struct steps steps = {.raised_in = i * 7};
        fake_start(&machine);
        expect_eq(weir_run(NULL, make_steps, &steps), -ECANCELED);
        expect_lt(steps.count, steps.raised_in + 200, "%d steps", steps.count);
        fake_stop();
    }
}

TASK(run, blocks_no_signal_that_a_child_would_inherit)
{
    sigset_t set;
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    expect_eq(sigismember(&set, SIGINT) + sigismember(&set, SIGTERM), 0);
}

static int count_defaults(weir_loop *on, void *arg)
{
    return is_default(SIGINT) + is_default(SIGTERM);
}

static volatile sig_atomic_t handled_count;

static void handle_it_myself(int signum)
{
    handled_count++;
}

UNIT(run, leaves_signals_that_the_program_handles_or_ignores)
{
    struct sigaction action;
    const struct sigaction own = {.sa_handler = handle_it_myself};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    expect_eq(rig_run(count_defaults, NULL), 0);
    expect_eq(sigaction(SIGINT, &own, NULL), 0);
    expect_eq(sigaction(SIGTERM, &ignored, NULL), 0);
    rig_start();
    fake_at(FAKE_START_NS + MS, raise_signal, NULL);
    int cancelled_count = 0;
    expect_ok(
        weir_loop_run_task(loop, sleep_till_cancelled, &cancelled_count, NULL));
    expect_eq(cancelled_count, 0);
    rig_stop();
    expect_eq(sigaction(SIGINT, NULL, &action), 0);
    cr_assert(action.sa_handler == handle_it_myself);
    expect_eq(sigaction(SIGTERM, NULL, &action), 0);
    cr_assert(action.sa_handler == SIG_IGN);
}

static int signals;

static void count_signal(void *arg, int signum)
{
    expect_eq(signum, SIGINT);
    signals++;
    weir_task_cancel(*(weir_task **)arg);
}

static int wait_for_signal(weir_loop *on, void *arg)
{
    *(weir_task **)arg = weir_task_get_current(on);
    return weir_sleep(on, S);
}

UNIT(run, a_program_may_handle_sigint_itself)
{
    weir_task *task = NULL;
    int result = 0;
    rig_start();
    expect_ok(weir_loop_add_signal_handler(loop, SIGINT, count_signal, &task));
    fake_at(FAKE_START_NS + MS, raise_signal, NULL);
    expect_eq(weir_loop_run_task(loop, wait_for_signal, &task, &result), 0);
    expect_eq(signals, 1);
    expect_eq(result, -ECANCELED);
    cr_assert(weir_loop_remove_signal_handler(loop, SIGINT),
              "the program's handler stays");
    rig_stop();
}

static int handle_signal(weir_loop *on, void *arg)
{
    expect_eq(weir_loop_add_signal_handler(on, SIGINT, count_signal, arg), 0);
    return 0;
}

static void *raise_in_thread(void *arg)
{
    raise_signal(arg);
    return NULL;
}

/* As when the kernel gives it to a thread without a loop. */
static void raise_elsewhere(void *arg)
{
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, raise_in_thread, arg), 0);
    expect_eq(pthread_join(thread, NULL), 0);
}

UNIT(run, a_handler_of_the_loop_is_called_wherever_the_signal_came)
{
    weir_task *task = NULL;
    int result = 0;
    rig_start();
    expect_ok(weir_loop_add_signal_handler(loop, SIGINT, count_signal, &task));
    fake_at(FAKE_START_NS + MS, raise_elsewhere, NULL);
    expect_eq(weir_loop_run_task(loop, wait_for_signal, &task, &result), 0);
    expect_eq(signals, 1);
    expect_eq(result, -ECANCELED);
    rig_stop();
}

static int remove_handler(weir_loop *on, void *arg)
{
    expect_eq(weir_loop_add_signal_handler(on, SIGINT, count_signal, arg), 0);
    expect_eq(raise(SIGINT), 0);
    cr_assert(weir_loop_remove_signal_handler(on, SIGINT));
    expect_eq(weir_sleep(on, MS), 0, "it is dropped with its handler");
    expect_eq(raise(SIGINT), 0);
    return weir_sleep(on, S);
}

UNIT(run, without_the_handler_of_its_loop_is_told_again)
{
    int result = 0;
    rig_start();
    expect_eq(weir_loop_run_task(loop, remove_handler, NULL, &result), 0);
    expect_eq(result, -ECANCELED);
    expect_eq(signals, 0);
    cr_assert(is_default(SIGINT));
    rig_stop();
}

static int remove_and_raise(weir_loop *on, void *arg)
{
    cr_assert(weir_loop_remove_signal_handler(on, SIGINT));
    expect_eq(raise(SIGINT), 0);
    return weir_sleep(on, MS);
}

/* The program has given it to the loop, and not to main tasks. */
UNIT(run, is_not_told_where_a_handler_of_the_loop_replaced_the_programs)
{
    const struct sigaction own = {.sa_handler = handle_it_myself};
    int result = 1;
    rig_start();
    expect_eq(sigaction(SIGINT, &own, NULL), 0);
    expect_ok(weir_loop_add_signal_handler(loop, SIGINT, count_signal, NULL));
    expect_eq(weir_loop_run_task(loop, remove_and_raise, NULL, &result), 0);
    expect_eq(result, 0);
    expect_eq(handled_count, 1);
    rig_stop();
}

UNIT(run, leaves_a_handler_that_its_task_has_set)
{
    weir_task *task = NULL;
    rig_start();
    expect_eq(weir_loop_run_task(loop, handle_signal, &task, NULL), 0);
    cr_assert(weir_loop_remove_signal_handler(loop, SIGINT),
              "the task's handler stays");
    rig_stop();
}

static int stop_loop(weir_loop *on, void *arg)
{
    weir_loop_stop(on);
    return weir_yield(on);
}

UNIT(run, that_is_stopped_leaves_the_task_where_it_is)
{
    int result = 9;
    rig_start();
    expect_eq(weir_loop_run_task(loop, stop_loop, NULL, &result), -ECANCELED);
    expect_eq(result, 9);
    expect_eq(rig_statistics().tasks, 1);
    rig_stop();
}

UNIT(run, of_a_task_that_cannot_start_handles_no_signal)
{
    rig_start();
    expect_eq(weir_loop_run_task(loop, NULL, NULL, NULL), -EINVAL);
    cr_assert(is_default(SIGINT), "the signal has its default action");
    rig_stop();
}

TASK(run, inside_a_run_is_an_error)
{
    expect_eq(weir_loop_run_task(loop, stop_loop, NULL, NULL), -EBUSY);
}

UNIT(run, on_a_loop_that_has_ended_is_refused)
{
    static const struct fake_options machine = {.seed = 1};
    weir_loop *ended;
    weir_future *future; /* keeps it */
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &ended), 0);
    expect_eq(weir_future_new(ended, NULL, NULL, &future), 0);
    expect_eq(weir_loop_free(ended), 0);
    expect_eq(weir_loop_run_task(ended, stop_loop, NULL, NULL), -ESHUTDOWN);
    cr_assert(is_default(SIGINT));
    weir_future_unref(future);
    fake_stop();
}

static int ended_count;

static int end_when_cancelled(weir_loop *on, void *arg)
{
    int err = weir_sleep(on, UINT64_MAX);
    expect_eq(err, -ECANCELED);
    ended_count++;
    return 0;
}

static int leave_others(weir_loop *on, void *arg)
{
    for (int i = 0; i < 10; i++) {
        expect_eq(weir_task_spawn(on, end_when_cancelled, NULL, NULL, NULL), 0);
    }
    expect_eq(weir_yield(on), 0);
    return 42;
}

UNIT(run, weir_run_makes_a_loop_and_ends_all_other_tasks)
{
    static const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    expect_eq(weir_run(NULL, leave_others, NULL), 42);
    expect_eq(ended_count, 10);
    fake_stop();
}

UNIT(run, weir_run_passes_the_errors_of_making_a_loop)
{
    const struct fake_options machine = {.seed = 1, .open_error = -ENOMEM};
    const struct weir_loop_options unset = {.sq_entries = 8};
    fake_start(&machine);
    expect_eq(weir_run(NULL, leave_others, NULL), -ENOMEM);
    expect_eq(weir_run(&unset, leave_others, NULL), WEIR_EOPTIONSIZE);
    fake_stop();
}

static pthread_t owner;

static int set_event(weir_loop *on, void *arg)
{
    cr_assert(pthread_equal(owner, pthread_self()));
    weir_event_set(arg);
    return 0;
}

static void *spawn_from_thread(void *arg)
{
    expect_eq(weir_task_spawn(loop, set_event, arg, NULL, NULL), -EPERM);
    expect_eq(weir_task_spawn_threadsafe(loop, NULL, arg, NULL), -EINVAL);
    expect_eq(weir_task_spawn_threadsafe(loop, set_event, arg, NULL), 0);
    return NULL;
}

static void count_exception(void *arg, weir_loop *on,
                            const struct weir_exception *exception)
{
    ++*(int *)arg;
}

TASK(run, another_thread_may_start_a_task)
{
    weir_event *event;
    pthread_t thread;
    int exceptions = 0;
    owner = pthread_self();
    weir_loop_set_exception_handler(loop, count_exception, &exceptions);
    expect_eq(weir_event_new(loop, &event), 0);
    expect_eq(pthread_create(&thread, NULL, spawn_from_thread, event), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_eq(weir_event_wait(event), 0);
    expect_eq(exceptions, 0, "none is reported for a task that was started");
    weir_event_free(event);
    weir_loop_set_exception_handler(loop, NULL, NULL);
}

UNIT(run, a_task_that_another_thread_wanted_is_dropped_with_the_loop)
{
    rig_start();
    expect_eq(weir_task_spawn_threadsafe(loop, set_event, NULL, NULL), 0);
    rig_stop(); /* and nothing is leaked */
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void set_it(void *arg)
{
    *(bool *)arg = true;
}

static void run_inside(void *arg, weir_loop *on,
                       const struct weir_exception *exception)
{
    expect_eq(weir_loop_call_soon(on, set_it, arg, NULL), 0);
    expect_eq(weir_loop_run_until(on, is_set, arg), 0);
}

UNIT(run, a_callback_outside_of_a_run_may_run_the_loop)
{
    static const struct weir_exception exception = {.size = sizeof(exception),
                                                    .message = "a test"};
    bool done = false;

    rig_start();
    weir_loop_set_exception_handler(loop, run_inside, &done);
    expect_eq(weir_loop_call_exception_handler(loop, &exception), 0);
    expect_eq(done, true);
    weir_loop_set_exception_handler(loop, NULL, NULL);
    rig_stop();
}

/*
 * Jobs on threads: results, order, limits, cancellation.
 *
 * If a test must know that a job is over and that the loop has not seen it yet,
 * it blocks the loop until the executor's only thread has started the next job:
 * by then the previous result is in the mailbox.
 */
#define UNIT_RUN(body) run_with(1, body)
#include "tests/contract/executor_rig.h"

#include <signal.h>

static int look_around(void *arg)
{
    char name[16] = "";
    sigset_t blocked;
    note_start(arg);
    pthread_getname_np(pthread_self(), name, sizeof(name));
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    return strcmp(name, "weir-exec") == 0 && sigismember(&blocked, SIGINT) &&
           sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGUSR1);
}

UNIT_OF(executor, a_result_comes_back_on_the_loops_thread, run_with, 0, void)
{
    struct job job;
    sigset_t blocked;
    init_job(&job, look_around, 0);

    expect_eq(weir_run_in_executor(loop, look_around, &job, NULL, &job.ret), 0);

    expect_eq(job.ret, 1, "its name or its signals");
    cr_assert_not(pthread_equal(job.ran_on, pthread_self()));
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    expect_eq(weir_run_in_executor(loop, quick_job, &job, NULL, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    cr_assert_not(sigismember(&blocked, SIGTERM), "blocked on the loop too");
}

static int negative_job(void *arg)
{
    return -ECANCELED;
}

UNIT_OF(executor, the_functions_result_is_no_error_of_the_call, run_with, 0,
        void)
{
    int ret = 1;

    expect_eq(weir_run_in_executor(loop, negative_job, NULL, NULL, &ret), 0);

    expect_eq(ret, -ECANCELED);
}

UNIT_OF(executor, an_idle_thread_is_used_again, run_with, 4, void)
{
    struct job jobs[8];
    for (int i = 0; i < 8; i++) {
        start_job(&jobs[i], quick_job, i);
        expect_result(&jobs[i]);
        cr_assert(pthread_equal(jobs[i].ran_on, jobs[0].ran_on));
    }
    wait_for_threads(1);
}

enum { MANY = 60, LIMIT = 3 };

static int running_count;
static int running_max;

static int counted_job(void *arg)
{
    pthread_mutex_lock(&order_mutex);
    running_count++;
    running_max = running_count > running_max ? running_count : running_max;
    pthread_mutex_unlock(&order_mutex);
    sched_yield();
    pthread_mutex_lock(&order_mutex);
    running_count--;
    pthread_mutex_unlock(&order_mutex);
    return quick_job(arg);
}

UNIT_OF(executor, more_jobs_than_threads_all_run_within_the_limit, run_with,
        LIMIT, void)
{
    static struct job held[LIMIT];
    static struct job jobs[MANY];
    for (int i = 0; i < LIMIT; i++) {
        start_held(&held[i], i);
    }
    for (int i = 0; i < MANY; i++) {
        start_job(&jobs[i], counted_job, i);
    }
    yield();
    expect_eq(count_threads(), LIMIT);
    for (int i = 0; i < LIMIT; i++) {
        let_go(&held[i]);
        expect_result(&held[i]);
    }
    for (int i = 0; i < MANY; i++) {
        expect_result(&jobs[i]);
        expect_gt(jobs[i].order, LIMIT, "on a thread beyond the limit");
    }
    expect_leq(running_max, LIMIT);
    expect_eq(count_threads(), LIMIT);
}

UNIT(executor, jobs_start_first_come_first_served)
{
    struct job jobs[10];
    start_held(&jobs[0], 0);
    for (int i = 1; i < 10; i++) {
        start_job(&jobs[i], quick_job, i);
    }
    yield();

    let_go(&jobs[0]);

    for (int i = 0; i < 10; i++) {
        expect_result(&jobs[i]);
        expect_eq(jobs[i].order, i + 1);
    }
}

enum { FLOOD = 3000 };

UNIT(executor, more_results_than_one_turn_handles_all_come_back)
{
    static struct job jobs[FLOOD];
    struct job last;
    for (int i = 0; i < FLOOD; i++) {
        start_job(&jobs[i], quick_job, i);
    }
    start_job(&last, held_job, FLOOD);
    yield();
    wait_for(&last.started); /* the loop has seen none of the other results */

    for (int i = 0; i < FLOOD; i++) {
        expect_result(&jobs[i]);
    }
    let_go(&last);
    expect_result(&last);
}

static void expect_abandoned(const struct job *job, int result)
{
    expect_eq(job->err, -ECANCELED);
    expect_eq(job->ret, -1);
    expect_eq(job->abandoned_count, 1);
    expect_eq(job->abandoned_result, result);
}

UNIT(executor, a_job_that_is_cancelled_before_it_starts_never_runs)
{
    struct job jobs[4];
    start_held(&jobs[0], 0);
    for (int i = 1; i < 4; i++) {
        start_job(&jobs[i], quick_job, i);
    }
    jobs[3].abandoned = NULL;
    yield();
    cr_assert(weir_task_cancel(jobs[1].task));
    cr_assert(weir_task_cancel(jobs[3].task));
    let_go(
        &jobs[0]); /* the task has not run yet; its job must not run either */

    expect_eq(join_job(&jobs[1]), -ECANCELED);

    expect_abandoned(&jobs[1], -ECANCELED);
    cr_assert(jobs[1].was_abandoned_inside);
    expect_result(&jobs[0]);
    expect_result(&jobs[2]);
    expect_eq(join_job(&jobs[3]), -ECANCELED);
    expect_eq(jobs[1].order, 0, "it ran");
    expect_eq(jobs[3].order, 0, "it ran");
}

UNIT(executor, a_task_leaves_a_running_job_at_once_and_is_told_of_its_end)
{
    struct job job;
    start_held(&job, 7);
    cr_assert(weir_task_cancel(job.task));

    expect_eq(join_job(&job), -ECANCELED); /* it is still running */

    expect_eq(job.abandoned_count, 0);
    let_go(&job);
    while (job.abandoned_count == 0) {
        yield();
    }
    expect_abandoned(&job, 7);
    expect_eq(weir_loop_shutdown_executor(loop, UINT64_MAX), 0);
    expect_eq(job.abandoned_count, 1);
}

UNIT(executor, an_abandoned_job_needs_no_callback)
{
    struct job job;
    start_job(&job, held_job, 7);
    job.abandoned = NULL;
    yield();
    wait_for(&job.started);
    cr_assert(weir_task_cancel(job.task));
    expect_eq(join_job(&job), -ECANCELED);
    let_go(&job);

    expect_eq(weir_loop_shutdown_executor(loop, UINT64_MAX), 0);

    expect_eq(job.abandoned_count, 0);
}

UNIT(executor, a_result_that_the_loop_has_not_seen_is_abandoned)
{
    struct job jobs[2];
    /* Returns when the first job is over because the next one has started on
     * the only thread; the loop does not know it yet. */
    start_held(&jobs[0], 5);
    start_job(&jobs[1], held_job, 6);
    yield();
    let_go(&jobs[0]);
    wait_for(&jobs[1].started);
    cr_assert(weir_task_cancel(jobs[0].task));

    expect_eq(join_job(&jobs[0]), -ECANCELED);

    while (jobs[0].abandoned_count == 0) {
        yield();
    }
    expect_abandoned(&jobs[0], 5);
    let_go(&jobs[1]);
    expect_result(&jobs[1]);
}

static void cancel_task(void *arg)
{
    cr_assert(weir_task_cancel(arg));
}

static int keep_job(weir_loop *l, void *arg)
{
    expect_eq(run_job(l, arg), 0);
    expect_eq(weir_yield(l), -ECANCELED, "the next call is cancelled");
    return 0;
}

UNIT(executor, a_result_that_the_task_was_given_survives_its_cancellation)
{
    struct job jobs[2];
    init_job(&jobs[0], held_job, 5);
    expect_ok(weir_task_spawn(loop, keep_job, &jobs[0], NULL, &jobs[0].task));
    start_job(&jobs[1], held_job, 6);
    yield();
    wait_for(&jobs[0].started);
    let_go(&jobs[0]);
    wait_for(&jobs[1].started);
    /* Runs after the result in the mailbox and before the task. */
    expect_ok(
        weir_loop_call_soon_threadsafe(loop, cancel_task, jobs[0].task, NULL));

    expect_result(&jobs[0]);
    let_go(&jobs[1]);
    expect_result(&jobs[1]);
}

static int cancelling_job(void *arg)
{
    struct job *job = arg;
    const int result = held_job(job);
    const int err =
        weir_loop_call_soon_threadsafe(loop, cancel_task, job->task, NULL);
    return err == 0 ? result : err;
}

UNIT(executor, a_result_between_cancellation_and_task_is_abandoned_inside)
{
    struct job jobs[2];
    start_job(&jobs[0], cancelling_job, 5);
    start_job(&jobs[1], held_job, 6);
    yield();
    wait_for(&jobs[0].started);
    let_go(&jobs[0]);
    wait_for(&jobs[1].started);

    expect_eq(join_job(&jobs[0]), -ECANCELED);

    expect_abandoned(&jobs[0], 5);
    cr_assert(jobs[0].was_abandoned_inside, "it was over by then");
    let_go(&jobs[1]);
    expect_result(&jobs[1]);
}

static int cancelled_task(weir_loop *l, void *arg)
{
    weir_task_cancel(weir_task_get_current(l));
    return run_job(l, arg);
}

UNIT(executor, a_task_that_was_cancelled_before_gives_the_argument_back_too)
{
    struct job job;
    init_job(&job, quick_job, 1);
    expect_eq(weir_task_spawn(loop, cancelled_task, &job, NULL, &job.task), 0);

    expect_eq(join_job(&job), -ECANCELED);

    expect_abandoned(&job, -ECANCELED);
    expect_eq(job.order, 0);
    expect_eq(count_threads(), 0);
}

static struct weir_timeout limit;

static int limited_task(weir_loop *l, void *arg)
{
    expect_eq(weir_timeout_begin(l, &limit, UINT64_MAX), 0);
    return (int)weir_timeout_end(&limit, run_job(l, arg));
}

UNIT(executor, a_wait_ends_with_its_time_limit)
{
    struct job job;
    int result = 1;
    init_job(&job, held_job, 1);
    expect_eq(weir_task_spawn(loop, limited_task, &job, NULL, &job.task), 0);
    yield();
    wait_for(&job.started); /* a job that has not started would never run */
    weir_timeout_reschedule(&limit, weir_loop_get_time(loop) + 1 * MS);

    expect_eq(weir_task_join(job.task, &result), 0);

    expect_eq(result, -ETIMEDOUT);
    let_go(&job);
    while (job.abandoned_count == 0) {
        yield();
    }
    expect_abandoned(&job, 1);
}

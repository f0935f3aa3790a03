/*
 * Jobs without a task: the promises of weir_executor_submit() in executor.h.
 *
 * Jobs are held and released as in the tests of tasks that wait for jobs. The
 * calls of a job's callback and future are counted, with their arguments.
 */
#include "tests/contract/executor_rig.h"

static weir_future *submit(struct job *job, weir_job_fn *fn, int number)
{
    weir_future *end = NULL;
    init_job(job, fn, number);
    expect_eq(weir_executor_submit(loop, fn, job, note_abandoned, &end), 0);
    return end;
}

static weir_future *submit_held(struct job *job, int number)
{
    weir_future *end = submit(job, held_job, number);
    wait_for(&job->started);
    return end;
}

static int result_of(weir_future *end)
{
    int result = 12345;
    expect_eq(weir_future_await(end, &result), 0);
    weir_future_unref(end);
    return result;
}

static void expect_told(const struct job *job, int result)
{
    expect_eq(job->abandoned_count, 1);
    expect_eq(job->abandoned_result, result);
}

UNIT_OF(executor_submit, the_callback_and_the_future_are_told_the_result,
        run_with, 2, void)
{
    struct job jobs[2];
    weir_future *first = submit(&jobs[0], quick_job, 7);
    weir_future *second = submit(&jobs[1], quick_job, -EIO);
    expect_eq(result_of(first), 7);
    expect_told(&jobs[0], 7);
    expect_eq(result_of(second), -EIO);
    expect_told(&jobs[1], -EIO);
    cr_assert_not(pthread_equal(jobs[0].ran_on, pthread_self()));
}

static void note_result(void *arg, weir_future *future, int result)
{
    struct job *job = arg;
    cr_assert(weir_future_is_done(future));
    expect_told(job, result);
    job->ret = result;
}

static void submit_two(void *arg)
{
    struct job *jobs = arg;
    expect_eq(
        weir_executor_submit(loop, quick_job, &jobs[0], note_abandoned, NULL),
        0, "a callback may submit, and needs no future");
    expect_eq(weir_executor_submit(loop, quick_job, &jobs[1], NULL, NULL), 0,
              "nor is a callback needed");
}

UNIT_OF(executor_submit, works_in_callbacks_and_with_done_callbacks, run_with,
        1, void)
{
    struct job jobs[3];
    for (int i = 0; i < 2; i++) {
        init_job(&jobs[i], quick_job, i);
    }
    expect_eq(weir_loop_call_soon(loop, submit_two, jobs, NULL), 0);
    yield();
    weir_future *end = submit(&jobs[2], quick_job, 3);
    expect_eq(weir_future_add_done_callback(end, note_result, &jobs[2]), 0);
    weir_future_unref(end); /* the job needs no reference */
    while (jobs[2].ret < 0) {
        yield();
    }
    expect_eq(jobs[2].ret, 3);
    expect_told(&jobs[0], 0);
    expect_eq(jobs[1].order, 2, "first come, first served");
    expect_eq(jobs[1].abandoned_count, 0);
}

UNIT_OF(executor_submit, jobs_are_gathered_as_other_futures_are, run_with, 2,
        void)
{
    struct job jobs[2];
    weir_future *ends[2];
    weir_future *all;
    for (int i = 0; i < 2; i++) {
        ends[i] = submit(&jobs[i], quick_job, i);
    }
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, ends, 2, &all), 0);
    weir_future_unref(ends[0]);
    weir_future_unref(ends[1]);
    expect_eq(result_of(all), 0);
    expect_told(&jobs[0], 0);
    expect_told(&jobs[1], 1);
}

UNIT_OF(executor_submit, the_program_cannot_give_the_result_itself, run_with, 1,
        void)
{
    struct job job;
    weir_future *end = submit(&job, quick_job, 1);
    expect_eq(weir_future_set_result(end, 5), -EINVAL);
    expect_eq(result_of(end), 1);
}

UNIT_OF(executor_submit, a_job_that_is_cancelled_before_it_starts_never_runs,
        run_with, 1, void)
{
    struct job jobs[3];
    weir_future *held = submit_held(&jobs[0], 4);
    weir_future *second = submit(&jobs[1], quick_job, 5);
    weir_future *third = submit(&jobs[2], quick_job, 6);

    cr_assert(weir_future_cancel(second));
    expect_eq(jobs[1].abandoned_count, 0, "not from inside the call");
    cr_assert(weir_future_cancel(second), "it is not done yet");
    yield();
    cr_assert(weir_future_is_done(second), "before the first job has ended");
    let_go(&jobs[0]);

    expect_eq(result_of(third), 6);
    expect_eq(result_of(second), -ECANCELED);
    expect_told(&jobs[1], -ECANCELED);
    expect_eq(jobs[1].order, 0, "it ran");
    expect_eq(result_of(held), 4);
}

static int await_end(weir_loop *l, void *arg)
{
    struct job *job = arg;
    job->err = weir_future_await(job->awaited, &job->ret);
    return job->err;
}

UNIT_OF(executor_submit, a_job_that_runs_is_not_stopped_and_is_waited_for,
        run_with, 1, void)
{
    struct job job;
    weir_future *end = submit_held(&job, 4);
    job.awaited = end;
    expect_eq(weir_task_spawn(loop, await_end, &job, NULL, &job.task), 0);
    yield();
    cr_assert(weir_task_cancel(job.task));
    yield();
    cr_assert_not(weir_future_is_done(end), "the job still runs");
    let_go(&job);

    int result = 0;
    expect_eq(weir_task_join(job.task, &result), 0);

    expect_eq(result, 0, "there was a result");
    expect_eq(job.ret, 4);
    expect_told(&job, 4);
    weir_future_unref(end);
}

UNIT_OF(executor_submit, a_wait_that_shields_ends_with_its_time_limit, run_with,
        1, void)
{
    struct weir_timeout limit;
    struct job job;
    weir_future *end = submit_held(&job, 4);

    expect_eq(weir_timeout_begin(loop, &limit, 1 * MS), 0);
    int err = weir_future_shield(end, NULL);
    expect_eq(weir_timeout_end(&limit, err), -ETIMEDOUT);

    expect_eq(job.abandoned_count, 0);
    let_go(&job);
    expect_eq(result_of(end), 4);
}

UNIT_OF(executor_submit, the_shutdown_waits_for_jobs_and_takes_no_more,
        run_with, 1, void)
{
    struct job jobs[2];
    weir_future *ends[2];
    struct job last;
    ends[0] = submit(&jobs[0], quick_job, 0);
    ends[1] = submit(&jobs[1], quick_job, 1);

    expect_eq(weir_loop_shutdown_executor(loop, UINT64_MAX), 0);

    for (int i = 0; i < 2; i++) {
        expect_told(&jobs[i], i);
        expect_eq(result_of(ends[i]), i);
    }
    init_job(&last, quick_job, 2);
    expect_eq(
        weir_executor_submit(loop, quick_job, &last, note_abandoned, NULL),
        -ESHUTDOWN);
    expect_eq(last.abandoned_count, 0);
}

static weir_future *left[3];

static int leave_jobs(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    left[0] = submit_held(&jobs[0], 0);
    left[1] = submit(&jobs[1], quick_job, 1);
    left[2] = submit(&jobs[2], quick_job, 2);
    weir_future_unref(left[2]);
    jobs[3].awaited = left[0];
    expect_eq(weir_task_spawn(loop, await_end, &jobs[3], NULL, NULL), 0);
    yield();
    return 0;
}

UNIT(executor_submit, freeing_the_loop_waits_for_no_job)
{
    static struct job jobs[4];
    int result = 0;
    open_counted(1);
    run_body(leave_jobs, jobs);

    close_loop();

    expect_eq(jobs[3].err, 0);
    expect_eq(jobs[3].ret, -ECANCELED, "its future was cancelled");
    for (int i = 1; i < 3; i++) {
        expect_told(&jobs[i], -ECANCELED);
        expect_eq(jobs[i].order, 0, "it ran");
    }
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_future_get_result(left[i], &result), 0);
        expect_eq(result, -ECANCELED);
        weir_future_unref(left[i]);
    }
    let_go(&jobs[0]);
    wait_for_threads(0);
    expect_eq(jobs[0].abandoned_count, 0, "there was no loop to tell");
    expect_eq(live_bytes(), 0);
}

static int leave_over(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    left[0] = submit_held(&jobs[0], 5);
    left[1] = submit(&jobs[1], held_job, 6);
    let_go(&jobs[0]);
    wait_for(&jobs[1].started); /* the loop has not seen the end of the first */
    return 0;
}

UNIT(executor_submit, freeing_the_loop_tells_of_jobs_that_are_over)
{
    static struct job jobs[2];
    open_counted(1);
    run_body(leave_over, jobs);

    close_loop();

    expect_told(&jobs[0], 5);
    int result = 0;
    expect_eq(weir_future_get_result(left[0], &result), 0);
    expect_eq(result, 5, "as done was told");
    let_go(&jobs[1]);
    wait_for_threads(0);
    weir_future_unref(left[0]);
    weir_future_unref(left[1]);
    expect_eq(live_bytes(), 0);
}

enum { MANY = 1600 };

static weir_future *many[MANY];

static int shut_down_many(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    for (int i = 0; i < MANY; i++) {
        many[i] = submit(&jobs[i], quick_job, i);
    }
    expect_eq(weir_loop_shutdown_executor(l, UINT64_MAX), 0);
    for (int i = 0; i < MANY; i++) {
        expect_told(&jobs[i], i);
    }
    return 0;
}

/* A thread may end between two checks of the loop. */
UNIT(executor_submit, a_shutdown_waits_until_all_jobs_are_told)
{
    static struct job jobs[MANY];
    for (int round = 0; round < 10; round++) {
        open_counted(1);
        run_body(shut_down_many, jobs);
        close_loop();
        wait_for_threads(0);
        for (int i = 0; i < MANY; i++) {
            int result = -1;
            expect_eq(weir_future_get_result(many[i], &result), 0);
            expect_eq(result, i);
            weir_future_unref(many[i]);
        }
        expect_eq(live_bytes(), 0);
    }
}

static void *submit_elsewhere(void *arg)
{
    expect_eq(weir_executor_submit(loop, quick_job, arg, NULL, NULL), -EPERM);
    return NULL;
}

UNIT_OF(executor_submit, in_the_wrong_place_is_an_error, run_with, 1, void)
{
    struct job job;
    pthread_t thread;
    weir_future *end = NULL;
    init_job(&job, quick_job, 0);
    expect_eq(weir_executor_submit(loop, NULL, &job, note_abandoned, &end),
              -EINVAL);
    expect_eq(pthread_create(&thread, NULL, submit_elsewhere, &job), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    cr_assert_null(end);
    expect_eq(job.abandoned_count, 0);
}

static int submit_too_many(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    weir_future *held = submit_held(&jobs[0], 0);
    weir_future *second = submit(&jobs[1], quick_job, 1);
    init_job(&jobs[2], quick_job, 2);
    expect_eq(weir_executor_submit(l, quick_job, &jobs[2], NULL, NULL),
              -ENOBUFS);
    let_go(&jobs[0]);
    expect_eq(result_of(held), 0);
    expect_eq(result_of(second), 1);
    return 0;
}

UNIT(executor_submit, no_more_jobs_wait_than_the_limit_allows)
{
    struct job jobs[3];
    open_with(1, 1);
    run_body(submit_too_many, jobs);
    close_loop();
}

static void submit_once(void *arg)
{
    weir_future *end = NULL;
    walk_begin(&counter);
    const int err =
        weir_executor_submit(loop, quick_job, arg, note_abandoned, &end);
    expect_eq(err, walk_end(&counter) ? -ENOMEM : 0);
    expect_eq(err == 0, end != NULL);
    if (err == 0) {
        expect_eq(result_of(end), 3);
    }
}

static int submit_poor(weir_loop *l, void *arg)
{
    struct job job;
    init_job(&job, quick_job, 3);
    walk_allocations(&counter, submit_once, &job);
    expect_told(&job, 3);
    return 0;
}

UNIT(executor_submit, without_memory_nothing_runs)
{
    open_counted(1);
    run_body(submit_poor, NULL);
    close_loop();
    wait_for_threads(0);
    expect_eq(live_bytes(), 0);
}

/*
 * The life of the executor's threads: when they exist, and what a shutdown or
 * freeing the loop does to jobs that run, wait or are over.
 *
 * If the loop is freed first, the threads free the rest; the rig's allocator
 * checks this.
 */
#include "tests/contract/executor_rig.h"

UNIT_OF(executor_end, threads_are_there_from_the_first_job_to_the_shutdown,
        run_with, 4, void)
{
    struct job jobs[2];
    expect_eq(count_threads(), 0, "before the first job");
    start_held(&jobs[0], 0);
    expect_eq(count_threads(), 1);
    start_held(&jobs[1], 1);
    expect_eq(count_threads(), 2);
    let_go(&jobs[0]);
    let_go(&jobs[1]);
    expect_result(&jobs[0]);
    expect_result(&jobs[1]);
    expect_eq(count_threads(), 2, "they stay");

    expect_eq(weir_loop_shutdown_executor(loop, UINT64_MAX), 0);

    wait_for_threads(0);
}

UNIT(executor_end, a_loop_that_never_ran_a_job_has_no_threads)
{
    open_with(4, 0);
    one_turn();
    expect_eq(count_threads(), 0);
    close_loop();
}

static int idle_body(weir_loop *l, void *arg)
{
    struct job job;
    start_job(&job, quick_job, 1);
    expect_result(&job);
    return 0;
}

UNIT(executor_end, idle_threads_end_with_the_loop)
{
    open_counted(0);
    run_body(idle_body, NULL);

    close_loop();

    expect_eq(live_bytes(), 0, "without waiting for a thread");
    wait_for_threads(0);
}

static int shut_task(weir_loop *l, void *arg)
{
    return weir_loop_shutdown_executor(l, *(uint64_t *)arg);
}

static weir_task *start_shutdown(uint64_t *timeout_ns)
{
    weir_task *task = NULL;
    expect_eq(weir_task_spawn(loop, shut_task, timeout_ns, NULL, &task), 0);
    return task;
}

static int join(weir_task *task)
{
    int result = 1;
    expect_eq(weir_task_join(task, &result), 0);
    return result;
}

UNIT_OF(executor_end, shutdown_takes_no_more_and_waits_for_what_there_is,
        run_with, 1, void)
{
    static uint64_t for_ever = UINT64_MAX;
    struct job jobs[3];
    start_held(&jobs[0], 0);
    start_job(&jobs[1], quick_job, 1);
    yield();
    weir_task *first = start_shutdown(&for_ever);
    weir_task *second = start_shutdown(&for_ever);
    yield();
    init_job(&jobs[2], quick_job, 2);
    expect_eq(run_job(loop, &jobs[2]), -ESHUTDOWN);
    expect_eq(jobs[2].abandoned_count, 0);
    cr_assert_not(weir_future_is_done(weir_task_get_future(first)));
    let_go(&jobs[0]);

    expect_eq(join(first), 0);
    expect_eq(join(second), 0);

    expect_result(&jobs[0]);
    expect_result(&jobs[1]);
    expect_eq(run_job(loop, &jobs[2]), -ESHUTDOWN);
    expect_eq(weir_loop_shutdown_executor(loop, 0), 0, "once more");
    wait_for_threads(0);
}

UNIT_OF(executor_end, shutdown_times_out_and_can_be_asked_again, run_with, 1,
        void)
{
    struct job job;
    start_held(&job, 3);

    expect_eq(weir_loop_shutdown_executor(loop, 1 * MS), -ETIMEDOUT);
    expect_eq(weir_loop_shutdown_executor(loop, 0), -ETIMEDOUT);

    expect_eq(job.err, 1, "its task still waits");
    let_go(&job);
    expect_result(&job);
    expect_eq(weir_loop_shutdown_executor(loop, UINT64_MAX), 0);
    wait_for_threads(0);
}

static int cancelled_shutdown(weir_loop *l, void *arg)
{
    weir_task_cancel(weir_task_get_current(l));
    return shut_task(l, arg);
}

UNIT_OF(executor_end, a_cancelled_shutdown_waits_no_more_and_stays_shut,
        run_with, 1, void)
{
    static uint64_t for_ever = UINT64_MAX;
    weir_task *task = NULL;
    struct job job;
    start_held(&job, 3);
    task = start_shutdown(&for_ever);
    yield();
    cr_assert(weir_task_cancel(task));
    expect_eq(join(task), -ECANCELED);
    let_go(&job);
    expect_result(&job);
    expect_eq(run_job(loop, &job), -ESHUTDOWN);
}

UNIT_OF(executor_end, a_task_that_was_cancelled_before_shuts_down_all_the_same,
        run_with, 1, void)
{
    static uint64_t for_ever = UINT64_MAX;
    weir_task *task = NULL;
    struct job job;
    init_job(&job, quick_job, 1);
    expect_ok(
        weir_task_spawn(loop, cancelled_shutdown, &for_ever, NULL, &task));
    expect_eq(join(task), -ECANCELED);
    expect_eq(run_job(loop, &job), -ESHUTDOWN);
}

static int unused_body(weir_loop *l, void *arg)
{
    const struct weir_executor_options options = {.size = sizeof(options)};
    struct job job;
    init_job(&job, quick_job, 1);

    expect_eq(weir_loop_shutdown_executor(l, 0), 0);

    expect_eq(run_job(l, &job), -ESHUTDOWN);
    expect_eq(weir_loop_set_executor(l, &options), -ESHUTDOWN);
    return 0;
}

UNIT_IN(executor_end, an_executor_that_was_never_used_is_shut_down_at_once,
        with_loop, void)
{
    run_body(unused_body, NULL);
}

static int leave_body(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    start_held(&jobs[0], 0);
    for (int i = 1; i < 4; i++) {
        start_job(&jobs[i], quick_job, i);
    }
    yield();
    for (int i = 0; i < 4; i++) {
        weir_task_unref(jobs[i].task);
    }
    return 0;
}

UNIT(executor_end, freeing_the_loop_waits_for_no_job)
{
    static struct job jobs[4];
    open_counted(1);
    run_body(leave_body, jobs);

    close_loop();

    expect_gt(live_bytes(), 0, "the thread has what it needs");
    for (int i = 0; i < 4; i++) {
        expect_eq(jobs[i].err, -ECANCELED);
        expect_eq(jobs[i].abandoned_count, i > 0);
    }
    let_go(&jobs[0]);
    wait_for_threads(0);
    expect_eq(live_bytes(), 0);
    for (int i = 1; i < 4; i++) {
        expect_eq(jobs[i].abandoned_result, -ECANCELED);
        expect_eq(jobs[i].order, 0, "it ran");
    }
    expect_eq(jobs[0].abandoned_count, 0, "there was no loop to tell");
}

static int over_body(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    start_held(&jobs[0], 5);
    start_job(&jobs[1], held_job, 6);
    yield();
    cr_assert(weir_task_cancel(jobs[0].task));
    expect_eq(join_job(&jobs[0]), -ECANCELED);
    let_go(&jobs[0]);
    wait_for(&jobs[1].started);
    weir_task_unref(jobs[1].task);
    return 0;
}

UNIT(executor_end, freeing_the_loop_tells_of_jobs_that_are_over)
{
    static struct job jobs[2];
    open_counted(1);
    run_body(over_body, jobs);
    expect_eq(jobs[0].abandoned_count, 0, "it was not seen yet");

    close_loop();

    expect_eq(jobs[0].abandoned_count, 1);
    expect_eq(jobs[0].abandoned_result, 5);
    let_go(&jobs[1]);
    wait_for_threads(0);
    expect_eq(live_bytes(), 0);
}

static int many_left_body(weir_loop *l, void *arg)
{
    struct job *jobs = arg;
    for (int i = 0; i < 8; i++) {
        start_held(&jobs[i], i);
        weir_task_unref(jobs[i].task);
    }
    return 0;
}

UNIT(executor_end, threads_that_end_while_the_loop_is_freed_leave_nothing)
{
    static struct job jobs[8];
    for (int round = 0; round < 20; round++) {
        open_counted(8);
        run_body(many_left_body, jobs);
        for (int i = 0; i < 8; i++) {
            let_go(&jobs[i]);
        }
        close_loop();
        wait_for_threads(0);
        expect_eq(live_bytes(), 0);
    }
}

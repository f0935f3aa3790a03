/*
 * The executor's limits and errors: too many jobs, no threads, no memory.
 *
 * A refused job leaves nothing behind and is not reported. An accepted job
 * always returns.
 */
#include "tests/contract/executor_rig.h"

static int queue_body(weir_loop *l, void *arg)
{
    struct job jobs[4];
    start_held(&jobs[0], 0);
    start_job(&jobs[1], quick_job, 1);
    start_job(&jobs[2], quick_job, 2);
    start_job(&jobs[3], quick_job, 3);

    expect_eq(join_job(&jobs[3]), -ENOBUFS);

    expect_eq(jobs[3].abandoned_count, 0);
    cr_assert(weir_task_cancel(jobs[1].task));
    expect_eq(join_job(&jobs[1]), -ECANCELED);
    start_job(&jobs[1], quick_job, 1);
    yield();
    let_go(&jobs[0]);
    expect_result(&jobs[0]);
    expect_result(&jobs[2]);
    expect_result(&jobs[1]);
    expect_eq(weir_run_in_executor(l, quick_job, &jobs[3], NULL, NULL), 0);
    return 0;
}

UNIT(executor_errors, no_more_jobs_wait_than_the_limit_allows)
{
    open_with(1, 2);
    run_body(queue_body, NULL);
    close_loop();
    wait_for_threads(0);
}

static int busy_body(weir_loop *l, void *arg)
{
    const struct weir_executor_options options = {.size = sizeof(options)};
    struct job job;
    start_held(&job, 1);
    expect_eq(weir_loop_set_executor(l, &options), -EBUSY);
    let_go(&job);
    expect_result(&job);
    expect_eq(weir_loop_set_executor(l, &options), -EBUSY, "its thread");
    return 0;
}

UNIT(executor_errors, options_are_checked_and_come_before_the_first_job)
{
    struct {
        struct weir_executor_options known;
        uint64_t newer;
    } options = {.known = {.size = sizeof(options)}, .newer = 1};
    struct weir_executor_options unset = {.thread_limit = 1};
    open_loop(NULL);
    expect_eq(weir_loop_set_executor(loop, NULL), -EINVAL);
    expect_eq(weir_loop_set_executor(loop, &unset), WEIR_EOPTIONSIZE);
    expect_eq(weir_loop_set_executor(loop, &options.known), -E2BIG);
    options.newer = 0;
    expect_eq(weir_loop_set_executor(loop, &options.known), 0);
    expect_eq(weir_loop_set_executor(loop, &options.known), 0);

    run_body(busy_body, NULL);

    close_loop();
    wait_for_threads(0);
}

UNIT(executor_errors, its_settings_need_memory)
{
    const struct weir_executor_options options = {.size = sizeof(options)};
    struct test_allocator memory;
    allocator_init(&memory);
    weir_loop *l = allocator_make_loop(&memory);

    allocator_fail_in(&memory, 1);
    expect_eq(weir_loop_set_executor(l, &options), -ENOMEM);
    expect_eq(weir_loop_set_executor(l, &options), 0);
    expect_eq(weir_loop_free(l), 0);
    allocator_check(&memory);
}

static int default_body(weir_loop *l, void *arg)
{
    static struct job jobs[40];
    cpu_set_t cpus;
    expect_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    const int limit = CPU_COUNT(&cpus) + 4 > 32 ? 32 : CPU_COUNT(&cpus) + 4;
    for (int i = 0; i < 40; i++) {
        start_job(&jobs[i], held_job, i);
    }
    yield();
    for (int i = 0; i < limit; i++) {
        wait_for(&jobs[i].started);
    }
    expect_eq(count_threads(), limit);
    for (int i = 0; i < 40; i++) {
        let_go(&jobs[i]);
        expect_result(&jobs[i]);
    }
    return 0;
}

UNIT(executor_errors, by_default_there_are_four_threads_more_than_cpus)
{
    open_loop(NULL);
    run_body(default_body, NULL);
    close_loop();
    wait_for_threads(0);
}

static int no_function_body(weir_loop *l, void *arg)
{
    expect_eq(weir_run_in_executor(l, NULL, NULL, NULL, NULL), -EINVAL);
    return 0;
}

UNIT_IN(executor_errors, only_tasks_run_jobs_and_only_functions, with_loop,
        void)
{
    struct job job;
    init_job(&job, quick_job, 1);
    expect_eq(run_job(loop, &job), WEIR_ENOTTASK);
    expect_eq(weir_loop_shutdown_executor(loop, 0), WEIR_ENOTTASK);
    expect_eq(job.abandoned_count, 0);

    run_body(no_function_body, NULL);
}

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);

static bool has_no_thread;

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg)
{
    return has_no_thread ? EAGAIN : __real_pthread_create(ret, attr, run, arg);
}

UNIT_OF(executor_errors, no_thread_is_an_error_only_where_there_is_none,
        run_with, 4, void)
{
    struct job jobs[2];
    init_job(&jobs[0], quick_job, 0);
    has_no_thread = true;
    expect_eq(run_job(loop, &jobs[0]), -EAGAIN);
    expect_eq(jobs[0].abandoned_count, 0);
    has_no_thread = false;
    start_held(&jobs[0], 0);
    has_no_thread = true;
    start_job(&jobs[1], quick_job, 1);
    yield();
    expect_eq(jobs[1].err, 1, "it waits for the thread that there is");
    let_go(&jobs[0]);

    expect_result(&jobs[0]);
    expect_result(&jobs[1]);
    cr_assert(pthread_equal(jobs[0].ran_on, jobs[1].ran_on));
}

static int no_memory_body(weir_loop *l, void *arg)
{
    struct job job;
    /* The allocation of the executor, then of the job. A thread needs none. */
    for (int i = 0; i < 2; i++) {
        init_job(&job, quick_job, 1);
        counter.fail_at = counter.calls + (i == 0 ? 1 : 2);
        expect_eq(run_job(l, &job), -ENOMEM);
        expect_eq(job.abandoned_count, 0);
        counter.fail_at = 0;
    }
    expect_eq(count_threads(), 0);
    start_held(&job, 1);
    counter.fail_at = 1; /* for the loop and the thread */
    let_go(&job);

    expect_result(&job);

    counter.fail_at = 0;
    return 0;
}

UNIT(executor_errors, a_result_comes_back_without_memory)
{
    open_counted(0);
    run_body(no_memory_body, NULL);
    close_loop();
    wait_for_threads(0);
    expect_eq(live_bytes(), 0);
}

static int slow_count;

static void spin_abandoned(void *arg, int result)
{
    spin(2 * MS);
    note_abandoned(arg, result);
}

static void note_slow(void *arg, weir_loop *l,
                      const struct weir_exception *exception)
{
    slow_count += exception->notice == WEIR_NOTICE_SLOW &&
                  strcmp(exception->callback, "abandoned") == 0;
}

static int slow_body(weir_loop *l, void *arg)
{
    struct job job;
    weir_loop_set_exception_handler(l, note_slow, NULL);
    start_job(&job, held_job, 1);
    job.abandoned = spin_abandoned;
    yield();
    wait_for(&job.started);
    cr_assert(weir_task_cancel(job.task));
    expect_eq(join_job(&job), -ECANCELED);
    let_go(&job);
    expect_eq(weir_loop_shutdown_executor(l, UINT64_MAX), 0);
    expect_eq(job.abandoned_count, 1);
    return 0;
}

UNIT(executor_errors, a_slow_abandoned_callback_is_reported_by_its_name)
{
    loop_thread = pthread_self();
    open_loop(SIZED(weir_loop_options, .slow_callback_ns = 1 * MS));
    run_body(slow_body, NULL);
    close_loop();
    wait_for_threads(0);
    expect_eq(slow_count, 1);
}

/*
 * The executor: calls that block, for tasks that wait for them.
 *
 *     queue --> a thread runs it --> done --> returned --> its task
 *       |                                        |
 *       '--- cancelled before -----> abandoned() <--- nobody waits
 *
 * The threads put jobs that are over on `done` and post the executor's one
 * item to the loop's mailbox; the loop takes all of them at once. Neither takes
 * memory, so a result cannot be lost. executor_threads.c has the threads. This
 * side of a job knows two ends: its task was woken with the result, or the task
 * has left, and whoever comes last, the task or the job, calls abandoned().
 */
#include "executor_impl.h"

#include "options.h"
#include "task.h"

#include <sched.h>
#include <string.h>

#define THREADS_BESIDE_CPUS 4u
#define THREADS_DEFAULT_MAX 32u
#define QUEUE_LIMIT_DEFAULT 65536u
/* Results handled in one turn. */
#define RETURNS_MAX 1024u

/* A task that waits for its job; on its stack. */
struct job_wait {
    struct wr_waiter waiter;
    struct wr_executor *executor;
    struct wr_job *job;
};

struct abandoned_call {
    weir_job_abandoned_fn *fn;
    void *arg;
    int result;
};

/* ---- back on the loop ---- */

static void call_abandoned(void *arg)
{
    const struct abandoned_call *call = arg;
    call->fn(call->arg, call->result);
}

static void tell_abandoned(weir_loop *loop, weir_job_abandoned_fn *fn,
                           void *arg, int result)
{
    struct abandoned_call call = {.fn = fn, .arg = arg, .result = result};

    if (fn) {
        weir_task *task = wr_loop_forbid(loop);
        wr_loop_call(loop, call_abandoned, &call, "abandoned");
        wr_loop_allow(loop, task);
    }
}

/* The job is back and its task has left. */
static void abandon_job(weir_loop *loop, struct wr_job *job)
{
    const struct wr_job copy = *job;

    wr_assert(copy.is_back);
    wr_assert(copy.is_unwanted);
    wr_free(&loop->counting, job, sizeof(*job));
    tell_abandoned(loop, copy.abandoned, copy.arg, copy.result);
}

static void return_job(weir_loop *loop, struct wr_job *job)
{
    struct wr_waiter *waiter = job->waiter;

    job->is_back = true;
    if (waiter) {
        job->waiter = NULL;
        wr_waiter_wake(waiter, 0);
    } else if (job->is_unwanted) {
        abandon_job(loop, job);
    } /* else the task was interrupted and sees to it when it runs */
}

static void collect(struct wr_executor *executor)
{
    wr_executor_take_done(executor);
    for (uint32_t i = 0; i < RETURNS_MAX; i++) {
        struct wr_list *link = wr_list_pop_front(&executor->returned);
        if (!link) {
            break;
        }
        return_job(executor->loop, wr_container_of(link, struct wr_job, link));
    }
    if (!wr_list_is_empty(&executor->returned)) {
        wr_ready_push(&executor->loop->ready, &executor->ready);
        return;
    }
    if (!executor->is_shut) {
        return;
    }
    wr_executor_join_ended(executor);
    if (wr_list_is_empty(&executor->workers)) {
        wr_waiters_wake_all(&executor->shutdown_waiters, 0);
    }
}

static void collect_posted(void *arg)
{
    wr_executor_item_taken(arg); /* before it looks: nothing is missed */
    collect(arg);
}

static void collect_more(struct wr_ready *ready)
{
    collect(wr_container_of(ready, struct wr_executor, ready));
}

/* ---- the task that waits ---- */

/* What has not started now never will. */
static void interrupt_wait(struct wr_waiter *waiter)
{
    struct job_wait *wait = wr_container_of(waiter, struct job_wait, waiter);
    struct wr_job *job = wait->job;

    if (wr_executor_withdraw(wait->executor, job)) {
        job->result = -ECANCELED;
        job->is_back = true;
    }
    job->waiter = NULL;
    wr_waiter_wake(waiter, -ECANCELED);
}

/* The task was interrupted and goes on. */
static void leave_job(weir_loop *loop, struct wr_job *job)
{
    wr_assert(!job->waiter);
    job->is_unwanted = true;
    if (job->is_back) {
        abandon_job(loop, job);
    }
}

static uint32_t default_thread_limit(void)
{
    cpu_set_t cpus;
    /* It fails with more CPUs than fit in here. */
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0) {
        return THREADS_DEFAULT_MAX;
    }
    const uint32_t limit = (uint32_t)CPU_COUNT(&cpus) + THREADS_BESIDE_CPUS;
    return limit < THREADS_DEFAULT_MAX ? limit : THREADS_DEFAULT_MAX;
}

static void stop_executor(struct wr_part *part)
{
    struct wr_executor *executor =
        wr_container_of(part, struct wr_executor, part);
    weir_loop *loop = executor->loop;
    struct wr_list *link;

    wr_assert(wr_list_is_empty(&executor->shutdown_waiters));
    wr_list_remove(&part->link); /* its last user frees it */
    loop->executor = NULL;
    wr_executor_let_go(executor);
    wr_ready_cancel(&executor->ready);
    while ((link = wr_list_pop_front(&executor->returned))) {
        return_job(loop, wr_container_of(link, struct wr_job, link));
    }
    loop->memory_bytes -= sizeof(*executor);
    wr_executor_unref(executor);
}

static const struct wr_part_ops part_ops = {.stop = stop_executor};

/* Unless there is one. */
static int open_executor(weir_loop *loop)
{
    if (loop->executor) {
        return 0;
    }
    struct wr_executor *executor = wr_alloc(&loop->counting, sizeof(*executor));
    if (!executor) {
        return -ENOMEM;
    }
    *executor = (struct wr_executor){
        .loop = loop,
        .thread_limit = default_thread_limit(),
        .queue_limit = QUEUE_LIMIT_DEFAULT,
        .item = {.run = collect_posted, .arg = executor},
    };
    const int err = wr_executor_init_shared(executor);
    if (err < 0) {
        wr_free(&loop->counting, executor, sizeof(*executor));
        return err;
    }
    wr_list_init(&executor->workers);
    wr_list_init(&executor->returned);
    wr_list_init(&executor->shutdown_waiters);
    wr_ready_init(&executor->ready, collect_more);
    loop->executor = executor;
    wr_loop_add_part(loop, &executor->part, &part_ops);
    return 0;
}

int weir_loop_set_executor(weir_loop *loop,
                           const struct weir_executor_options *options)
{
    struct weir_executor_options known;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(options, -EINVAL);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(!loop->closing, -ESHUTDOWN);
    err = open_executor(loop);
    if (err < 0) {
        return err;
    }
    struct wr_executor *executor = loop->executor;
    wr_require(!executor->is_shut, -ESHUTDOWN);
    wr_require(wr_list_is_empty(&executor->workers), -EBUSY);
    executor->thread_limit =
        known.thread_limit ? known.thread_limit : default_thread_limit();
    executor->queue_limit =
        known.queue_limit ? known.queue_limit : QUEUE_LIMIT_DEFAULT;
    return 0;
}

int weir_run_in_executor(weir_loop *loop, weir_job_fn *fn, void *arg,
                         weir_job_abandoned_fn *abandoned, int *ret)
{
    int err = wr_task_enter(loop);
    if (err == -ECANCELED) {
        /* The caller cannot tell this from a wait that was cancelled. */
        tell_abandoned(loop, abandoned, arg, -ECANCELED);
    }
    if (err < 0) {
        return err;
    }
    wr_require(fn, -EINVAL);
    err = open_executor(loop);
    if (err < 0) {
        return err;
    }
    struct wr_job *job = wr_alloc(&loop->counting, sizeof(*job));
    wr_require(job, -ENOMEM);
    struct job_wait wait = {.waiter = {.interrupt = interrupt_wait},
                            .executor = loop->executor,
                            .job = job};
    *job = (struct wr_job){
        .fn = fn, .arg = arg, .abandoned = abandoned, .waiter = &wait.waiter};
    wr_list_init(&job->link);
    err = wr_executor_submit(loop->executor, job);
    if (err < 0) {
        wr_free(&loop->counting, job, sizeof(*job));
        return err;
    }
    err = wr_task_wait(loop, &wait.waiter, NULL);
    if (err < 0) {
        leave_job(loop, job);
        return err;
    }
    if (ret) {
        *ret = job->result;
    }
    wr_free(&loop->counting, job, sizeof(*job));
    return 0;
}

int weir_loop_shutdown_executor(weir_loop *loop, uint64_t timeout_ns)
{
    struct wr_waiter waiter = {.interrupt = NULL};
    struct weir_timeout limit;
    int err = wr_task_enter(loop);
    if (err < 0 && err != -ECANCELED) {
        return err;
    }
    /* A task that was cancelled shuts down as well: it only does not wait. */
    const int open_err = open_executor(loop);
    if (open_err < 0) {
        return open_err;
    }
    struct wr_executor *executor = loop->executor;
    wr_executor_shut(executor);
    wr_ignore(weir_timeout_begin(loop, &limit, timeout_ns)); /* in a task */
    while (err == 0 && !wr_list_is_empty(&executor->workers)) {
        err = wr_task_wait(loop, &waiter, &executor->shutdown_waiters);
    }
    return (int)weir_timeout_end(&limit, err);
}

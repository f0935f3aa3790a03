/*
 * The executor: runs blocking calls on threads, for tasks.
 *
 *     queue --> a thread runs it --> done --> returned --> its task
 *       |                                        |
 *       '--- interrupted before ---> abandoned() <--- its task has left
 *
 * The threads put finished jobs on `done` and post the executor's only item to
 * the loop's mailbox; the loop takes all finished jobs at once. Neither step
 * allocates, so a result cannot be lost. executor_threads.c has the threads. On
 * the loop's side a job ends in one of two ways: its task is woken with the
 * result; or its task left, and abandoned() is called when both the job has
 * finished and the task has run. A submitted job never has a task. It has a
 * future, which refers to the job until the job is finished or the loop ends.
 */
#include "executor_impl.h"

#include "lib/base/options.h"
#include "task.h"

#include <sched.h>
#include <string.h>

#define THREADS_BESIDE_CPUS 4u
#define THREADS_DEFAULT_MAX 32u
#define QUEUE_LIMIT_DEFAULT 65536u
/* Results handled in one turn. */
#define RETURNS_MAX 1024u

/* A task that waits for its job; on its stack. */
struct executor_wait {
    struct wr_waiter waiter;
    struct wr_executor *executor;
    struct wr_job *job;
};

struct executor_abandoned {
    weir_job_abandoned_fn *fn;
    void *arg;
    int result;
};

/* The future of a submitted job; the job holds a reference while pending. */
struct wr_job_end {
    weir_future future;
    struct wr_list link; /* in wr_executor.ends */
    struct wr_executor *executor;
    struct wr_job *job;
};

static void executor_check_invariants(const struct wr_executor *executor)
{
    wr_debug_assert(wr_list_is_linked(&executor->module.link));
    wr_assert(executor->thread_limit > 0);
    wr_assert(executor->queue_limit > 0);
    wr_debug_assert(wr_list_is_empty(&executor->workers) ==
                    (executor->thread_count == 0));
}

/* ---- the ends of jobs that were submitted ---- */

/* The job is finished, or the loop ends: resolves the future. The caller drops
 * the job's reference after it has called abandoned(). */
static void executor_resolve_end(struct wr_job_end *end, int result)
{
    wr_assert(end->job->end == end);
    end->job->end = NULL;
    end->job = NULL;
    wr_list_remove(&end->link);
    wr_future_resolve(&end->future, result);
}

/* A running job cannot be stopped: its future is done when it has ended. */
static void executor_cancel_end(weir_future *future)
{
    struct wr_job_end *end = wr_container_of(future, struct wr_job_end, future);
    struct wr_executor *executor = end->executor;
    struct wr_job *job = end->job;

    wr_assert(job->end == end);
    if (wr_executor_withdraw(executor, job)) {
        job->result = -ECANCELED;
        wr_list_push_back(&executor->returned, &job->link);
        wr_ready_push(&future->loop->ready, &executor->ready);
    }
}

static void executor_free_end(weir_future *future)
{
    struct wr_job_end *end = wr_container_of(future, struct wr_job_end, future);
    weir_loop *loop = future->loop;

    wr_assert(!end->job);
    wr_free(&loop->counting, end, sizeof(*end));
    wr_loop_unpin(loop);
}

static const struct wr_future_ops executor_end_ops = {
    .cancel = executor_cancel_end, .free = executor_free_end};

/* ---- jobs that return to the loop ---- */

static void executor_call_abandoned(void *arg)
{
    const struct executor_abandoned *call = arg;
    call->fn(call->arg, call->result);
}

static void executor_report_abandoned(weir_loop *loop,
                                      weir_job_abandoned_fn *fn, void *arg,
                                      int result)
{
    struct executor_abandoned call = {.fn = fn, .arg = arg, .result = result};

    if (fn) {
        weir_task *task = wr_loop_begin_callback(loop);
        wr_loop_call(loop, executor_call_abandoned, &call, "abandoned");
        wr_loop_end_callback(loop, task);
    }
}

/* Ends a finished job that no task waits for. */
static void executor_abandon_job(weir_loop *loop, struct wr_job *job)
{
    const struct wr_job copy = *job;

    wr_assert(!copy.waiter);
    wr_assert(!copy.is_queued);
    if (copy.end) {
        executor_resolve_end(copy.end, copy.result);
    }
    wr_free(&loop->counting, job, sizeof(*job));
    executor_report_abandoned(loop, copy.abandoned, copy.arg, copy.result);
    if (copy.end) {
        wr_future_unref(&copy.end->future);
    }
}

static void executor_return_job(weir_loop *loop, struct wr_job *job)
{
    struct wr_waiter *waiter = job->waiter;

    wr_assert(!wr_list_is_linked(&job->link));
    wr_assert((waiter != NULL) == (job->state == WR_JOB_AWAITED));
    if (job->state == WR_JOB_UNWANTED) {
        executor_abandon_job(loop, job);
        return;
    }
    wr_job_set_state(job, WR_JOB_BACK);
    if (waiter) {
        job->waiter = NULL;
        wr_waiter_wake(waiter, 0);
    } /* else its interrupted task abandons the job when it runs */
}

static void executor_collect(struct wr_executor *executor)
{
    executor_check_invariants(executor);
    wr_executor_take_done(executor);
    for (uint32_t i = 0; i < RETURNS_MAX; i++) {
        struct wr_list *link = wr_list_pop_front(&executor->returned);
        if (!link) {
            break;
        }
        executor_return_job(executor->loop,
                            wr_container_of(link, struct wr_job, link));
    }
    if (!wr_list_is_empty(&executor->returned)) {
        wr_ready_push(&executor->loop->ready, &executor->ready);
        return;
    }
    if (executor->state == WR_EXECUTOR_OPEN) {
        return;
    }
    wr_executor_join_ended(executor);
    wr_executor_take_done(executor); /* of threads that have ended since */
    if (!wr_list_is_empty(&executor->returned)) {
        wr_ready_push(&executor->loop->ready, &executor->ready);
    } else if (wr_list_is_empty(&executor->workers)) {
        wr_waiters_wake_all(&executor->shutdown_waiters, 0);
    }
}

static void executor_collect_posted(void *arg)
{
    wr_executor_item_taken(arg); /* before `done` is read, to miss no job */
    executor_collect(arg);
}

static void executor_collect_more(struct wr_ready *ready)
{
    executor_collect(wr_container_of(ready, struct wr_executor, ready));
}

/* ---- the task that waits ---- */

/* A job that has not started is withdrawn, and never runs. */
static void executor_interrupt_wait(struct wr_waiter *waiter)
{
    struct executor_wait *wait =
        wr_container_of(waiter, struct executor_wait, waiter);
    struct wr_job *job = wait->job;

    wr_assert(job->waiter == waiter);
    if (wr_executor_withdraw(wait->executor, job)) {
        job->result = -ECANCELED;
        wr_job_set_state(job, WR_JOB_BACK);
    } else {
        wr_job_set_state(job, WR_JOB_LEFT);
    }
    job->waiter = NULL;
    wr_waiter_wake(waiter, -ECANCELED);
}

/* The interrupted task runs, and leaves its job. */
static void executor_leave_job(weir_loop *loop, struct wr_job *job)
{
    wr_assert(!job->waiter);
    if (job->state == WR_JOB_BACK) {
        executor_abandon_job(loop, job);
    } else {
        wr_job_set_state(job, WR_JOB_UNWANTED);
    }
}

static uint32_t executor_default_thread_limit(void)
{
    cpu_set_t cpus;
    /* It fails if the machine has more CPUs than cpu_set_t. */
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0) {
        return THREADS_DEFAULT_MAX;
    }
    const uint32_t limit = (uint32_t)CPU_COUNT(&cpus) + THREADS_BESIDE_CPUS;
    return (uint32_t)wr_min_u64(limit, THREADS_DEFAULT_MAX);
}

/* Withdraws submitted jobs that have not started; no callback runs yet. */
static void executor_withdraw_all(struct wr_executor *executor)
{
    for (struct wr_list *link = executor->ends.next; link != &executor->ends;
         link = link->next) {
        struct wr_job *job =
            wr_container_of(link, struct wr_job_end, link)->job;
        if (wr_executor_withdraw(executor, job)) {
            job->result = -ECANCELED;
            wr_list_push_back(&executor->returned, &job->link);
        }
    }
}

/* Returns finished jobs that were submitted; the others stay in `returned`. */
static void executor_return_over(struct wr_executor *executor)
{
    struct wr_list over;
    struct wr_list *link;

    wr_executor_take_done(executor);
    wr_list_init(&over);
    wr_list_splice_back(&over, &executor->returned);
    while ((link = wr_list_pop_front(&over))) {
        struct wr_job *job = wr_container_of(link, struct wr_job, link);
        if (job->end) {
            executor_return_job(executor->loop, job);
        } else {
            wr_list_push_back(&executor->returned, link);
        }
    }
}

/* The loop ends: withdraws jobs that have not started, and cancels the futures
 * of running jobs. */
static void executor_shutdown(struct wr_module *module)
{
    struct wr_executor *executor =
        wr_container_of(module, struct wr_executor, module);

    wr_assert(wr_loop_is_closing(executor->loop));
    executor_withdraw_all(executor);
    executor_return_over(executor);
    while (!wr_list_is_empty(&executor->ends)) {
        struct wr_job_end *end =
            wr_container_of(executor->ends.next, struct wr_job_end, link);
        executor_resolve_end(end, -ECANCELED);
        wr_future_unref(&end->future);
    }
}

static void executor_stop(struct wr_module *module)
{
    struct wr_executor *executor =
        wr_container_of(module, struct wr_executor, module);
    weir_loop *loop = executor->loop;
    struct wr_list *link;

    wr_assert(wr_list_is_empty(&executor->shutdown_waiters));
    wr_assert(wr_list_is_empty(&executor->ends));
    wr_list_remove(&module->link); /* the last reference frees the executor */
    wr_executor_let_go(executor);
    wr_ready_cancel(&executor->ready);
    while ((link = wr_list_pop_front(&executor->returned))) {
        executor_return_job(loop, wr_container_of(link, struct wr_job, link));
    }
    loop->memory_bytes -= sizeof(*executor);
    wr_executor_unref(executor);
}

static void executor_check_module(const struct wr_module *module)
{
    executor_check_invariants(
        wr_container_of(module, const struct wr_executor, module));
}

static const struct wr_module_ops executor_module_ops = {
    .end =
        {[WR_END_SHUTDOWN] = executor_shutdown, [WR_END_STOP] = executor_stop},
    .check = executor_check_module};

/* Finds the loop's executor, or makes it. */
WEIR_MUST_USE static int executor_open(weir_loop *loop,
                                       struct wr_executor **ret)
{
    struct wr_module *module = wr_loop_find_module(loop, &executor_module_ops);

    if (module) {
        *ret = wr_container_of(module, struct wr_executor, module);
        return 0;
    }
    struct wr_executor *executor = wr_alloc(&loop->counting, sizeof(*executor));
    if (!executor) {
        return -ENOMEM;
    }
    *executor = (struct wr_executor){
        .loop = loop,
        .thread_limit = executor_default_thread_limit(),
        .queue_limit = QUEUE_LIMIT_DEFAULT,
        .item = {.run = executor_collect_posted, .arg = executor},
    };
    const int err = wr_executor_init_shared(executor);
    if (err < 0) {
        wr_free(&loop->counting, executor, sizeof(*executor));
        return err;
    }
    wr_list_init(&executor->workers);
    wr_list_init(&executor->returned);
    wr_list_init(&executor->shutdown_waiters);
    wr_list_init(&executor->ends);
    wr_ready_init(&executor->ready, executor_collect_more);
    wr_loop_add_module(loop, &executor->module, &executor_module_ops);
    *ret = executor;
    return 0;
}

int weir_loop_set_executor(weir_loop *loop,
                           const struct weir_executor_options *options)
{
    struct weir_executor_options known;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(options, -EINVAL);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_executor *executor;
    err = executor_open(loop, &executor);
    if (err < 0) {
        return err;
    }
    executor_check_invariants(executor);
    wr_require(executor->state == WR_EXECUTOR_OPEN, -ESHUTDOWN);
    wr_require(wr_list_is_empty(&executor->workers), -EBUSY);
    executor->thread_limit = known.thread_limit
                                 ? known.thread_limit
                                 : executor_default_thread_limit();
    executor->queue_limit =
        known.queue_limit ? known.queue_limit : QUEUE_LIMIT_DEFAULT;
    return 0;
}

/* Gives a copy of @what to the threads. */
WEIR_MUST_USE static int executor_start(struct wr_executor *executor,
                                        const struct wr_job *what,
                                        struct wr_job **ret)
{
    struct wr_job *job = wr_alloc(&executor->loop->counting, sizeof(*job));
    wr_require(job, -ENOMEM);
    *job = *what;
    wr_list_init(&job->link);
    const int err = wr_executor_submit(executor, job);
    wr_assert(err <= 0);
    if (err < 0) {
        wr_free(&executor->loop->counting, job, sizeof(*job));
        return err;
    }
    *ret = job;
    return 0;
}

int weir_run_in_executor(weir_loop *loop, weir_job_fn *fn, void *arg,
                         weir_job_abandoned_fn *abandoned, int *ret)
{
    static const struct wr_wait_kind kind = {
        .name = "executor", .interrupt = executor_interrupt_wait};
    int err = wr_task_enter(loop);
    if (err == -ECANCELED) {
        /* The caller takes it for a cancelled wait, and expects abandoned(). */
        executor_report_abandoned(loop, abandoned, arg, -ECANCELED);
    }
    if (err < 0) {
        return err;
    }
    wr_require(fn, -EINVAL);
    struct wr_executor *executor;
    err = executor_open(loop, &executor);
    if (err < 0) {
        return err;
    }
    struct executor_wait wait = {.waiter.kind = &kind, .executor = executor};
    const struct wr_job what = {
        .fn = fn, .arg = arg, .abandoned = abandoned, .waiter = &wait.waiter};
    err = executor_start(executor, &what, &wait.job);
    if (err < 0) {
        return err;
    }
    struct wr_job *job = wait.job;
    err = wr_task_wait(loop, &wait.waiter, NULL);
    wr_assert(!job->waiter);
    if (err < 0) {
        executor_leave_job(loop, job);
        return err;
    }
    wr_assert(job->state == WR_JOB_BACK);
    if (ret) {
        *ret = job->result;
    }
    wr_free(&loop->counting, job, sizeof(*job));
    return 0;
}

/* Makes a job without a task, and its future. */
static int executor_make_job(struct wr_executor *executor,
                             const struct wr_job *what, struct wr_job_end **ret)
{
    weir_loop *loop = executor->loop;
    struct wr_job job = *what;
    struct wr_job_end *end = wr_alloc(&loop->counting, sizeof(*end));
    wr_require(end, -ENOMEM);
    wr_future_init(&end->future, loop, &executor_end_ops);
    wr_list_init(&end->link);
    end->executor = executor;
    job.state = WR_JOB_UNWANTED;
    job.end = end;
    const int err = executor_start(executor, &job, &end->job);
    if (err < 0) {
        wr_free(&loop->counting, end, sizeof(*end));
        return err;
    }
    wr_assert(end->job->end == end); /* only the loop changes it */
    wr_list_push_back(&executor->ends, &end->link);
    wr_loop_pin(loop);
    *ret = end;
    return 0;
}

int weir_executor_submit(weir_loop *loop, weir_job_fn *fn, void *arg,
                         weir_job_done_fn *done, weir_future **ret)
{
    const struct wr_job job = {.fn = fn, .arg = arg, .abandoned = done};
    struct wr_executor *executor;
    struct wr_job_end *end;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(fn, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    err = executor_open(loop, &executor);
    if (err == 0) {
        err = executor_make_job(executor, &job, &end);
    }
    if (err == 0 && ret) {
        *ret = weir_future_ref(&end->future);
    }
    return err;
}

int weir_loop_shutdown_executor(weir_loop *loop, uint64_t timeout_ns)
{
    static const struct wr_wait_kind kind = {.name = "executor shutdown"};
    struct wr_waiter waiter = {.kind = &kind};
    struct weir_timeout limit;
    int err = wr_task_enter(loop);
    if (err < 0 && err != -ECANCELED) {
        return err;
    }
    /* A cancelled task shuts the executor down as well, but does not wait. */
    struct wr_executor *executor;
    const int open_err = executor_open(loop, &executor);
    if (open_err < 0) {
        return open_err;
    }
    executor_check_invariants(executor);
    wr_executor_shut(executor);
    const int begin_err = weir_timeout_begin(loop, &limit, timeout_ns);
    wr_assert(begin_err == 0); /* a task runs, on the loop's thread */
    while (err == 0 && !wr_list_is_empty(&executor->workers)) {
        err = wr_task_wait(loop, &waiter, &executor->shutdown_waiters);
    }
    return (int)weir_timeout_end(&limit, err);
}

/*
 * The executor: runs blocking calls of tasks on threads (uring/jobs.c).
 *
 *     queue --> a thread runs it --> done --> returned --> its task
 *       |                                        |
 *       '--- interrupted before ---> abandoned() <--- its task has left
 *
 * Threads post the executor's only item to the loop's mailbox, and the loop
 * takes all finished jobs at once. Neither step allocates, so a result cannot
 * be lost. If a task was interrupted, abandoned() is called once its job has
 * finished or was withdrawn, and the task has run. If a job still runs when the
 * loop ends, the last thread frees the executor and the jobs that finished
 * later.
 */
#include "weir/executor.h"
#include "lib/base/options.h"
#include "lib/loop/loop.h"
#include "task.h"
#include "uring/jobs.h"

#include <sched.h>
#include <string.h>

#define THREADS_BESIDE_CPUS 4u
#define THREADS_DEFAULT_MAX 32u
#define QUEUE_LIMIT_DEFAULT 65536u
/* Maximum number of results that are handled in one loop iteration. */
#define RETURNS_MAX 1024u

/* State of a job, used only on the loop's thread. */
enum executor_job_state {
    EXECUTOR_JOB_AWAITED, /* a task waits: waiter is set */
    /* The task was interrupted, and has not run since. */
    EXECUTOR_JOB_LEFT,
    /* No task waits: the interrupted task has run, or the job had no task. */
    EXECUTOR_JOB_UNWANTED,
    /* Finished or withdrawn. The task was woken, and frees the job. */
    EXECUTOR_JOB_BACK,
    EXECUTOR_JOB_STATES,
};

struct executor_job {
    struct wr_job job; /* job.link is also used in `returned` */
    weir_job_fn *fn;
    void *arg;
    weir_job_abandoned_fn *abandoned;
    struct wr_waiter *waiter; /* NULL once the task was woken */
    struct executor_end *end; /* for a submitted job whose future is pending */
    int result;
    enum executor_job_state state;
};

struct executor {
    struct wr_module module;
    weir_loop *loop;
    struct wr_list returned; /* finished jobs that are not handled yet */
    struct wr_list shutdown_waiters;
    struct wr_list ends;   /* struct executor_end, pending */
    struct wr_ready ready; /* handles more of `returned` */

    /* Threads also use the fields below. The allocator is a copy, because
     * threads may use it after the loop was freed. */
    struct weir_allocator allocator;
    struct wr_wake *wake;
    struct wr_wake_item item;
    struct wr_jobs jobs;
};

struct executor_wait {
    struct wr_waiter waiter;
    struct executor *executor;
    struct executor_job *job;
};

struct executor_abandoned {
    weir_job_abandoned_fn *fn;
    void *arg;
    int result;
};

/* The future of a submitted job, which has no task. The pending job holds a
 * reference. */
struct executor_end {
    weir_future future;
    struct wr_list link;
    struct executor *executor;
    struct executor_job *job;
};

static struct executor_job *executor_job_at(struct wr_list *link)
{
    return wr_container_of(link, struct executor_job, job.link);
}

static void executor_set_job_state(struct executor_job *job,
                                   enum executor_job_state state)
{
    static const uint8_t allowed[EXECUTOR_JOB_STATES] = {
        [EXECUTOR_JOB_AWAITED] =
            1u << EXECUTOR_JOB_LEFT | 1u << EXECUTOR_JOB_BACK,
        [EXECUTOR_JOB_LEFT] =
            1u << EXECUTOR_JOB_UNWANTED | 1u << EXECUTOR_JOB_BACK,
    };
    wr_assert(allowed[job->state] >> state & 1u);
    job->state = state;
}

static void executor_check_invariants(const struct executor *executor)
{
    wr_debug_assert(wr_list_is_linked(&executor->module.link));
    wr_assert(executor->jobs.thread_limit > 0);
    wr_assert(executor->jobs.queue_limit > 0);
}

static void executor_run_job(struct wr_jobs *jobs, struct wr_job *base)
{
    struct executor_job *job = wr_container_of(base, struct executor_job, job);

    wr_assert(!wr_list_is_linked(&base->link));
    wr_assert(!base->is_queued);
    (void)jobs;
    job->result = job->fn(job->arg);
}

static void executor_post(struct wr_jobs *jobs)
{
    struct executor *executor = wr_container_of(jobs, struct executor, jobs);

    /* On an error the loop is being freed, and takes the jobs itself. */
    wr_ignore(wr_wake_post_item(executor->wake, &executor->item));
}

/* Called when no thread is left and the loop has ended. */
static void executor_free(struct wr_jobs *jobs)
{
    struct executor *executor = wr_container_of(jobs, struct executor, jobs);
    struct weir_allocator allocator = executor->allocator;
    struct wr_list done;
    struct wr_list *link;

    wr_assert(wr_list_is_empty(&executor->returned));
    wr_assert(!wr_list_is_linked(&executor->module.link));
    wr_list_init(&done);
    wr_jobs_take_done(jobs, &done);
    while ((link = wr_list_pop_front(&done))) {
        struct executor_job *job = executor_job_at(link);
        wr_assert(job->state == EXECUTOR_JOB_UNWANTED);
        wr_assert(!job->end);
        wr_free(&allocator, job, sizeof(*job));
    }
    wr_jobs_fini(jobs);
    wr_wake_unref(executor->wake);
    wr_free(&allocator, executor, sizeof(*executor));
}

static const struct wr_jobs_kind executor_jobs = {.name = "weir-exec",
                                                  .idle_ns = UINT64_MAX,
                                                  .run = executor_run_job,
                                                  .tell = executor_post,
                                                  .free = executor_free};

/* Sets the result of a submitted job's future. The caller must then drop the
 * job's reference to the future. */
static void executor_resolve_end(struct executor_end *end, int result)
{
    wr_assert(end->job->end == end);
    end->job->end = NULL;
    end->job = NULL;
    wr_list_remove(&end->link);
    wr_future_resolve(&end->future, result);
}

/* A job that has started cannot be cancelled; its future gets its result. */
static void executor_cancel_end(weir_future *future)
{
    struct executor_end *end =
        wr_container_of(future, struct executor_end, future);
    struct executor *executor = end->executor;
    struct executor_job *job = end->job;

    wr_assert(job->end == end);
    if (wr_jobs_withdraw(&executor->jobs, &job->job)) {
        job->result = -ECANCELED;
        wr_list_push_back(&executor->returned, &job->job.link);
        wr_ready_push(&future->loop->ready, &executor->ready);
    }
}

static void executor_free_end(weir_future *future)
{
    struct executor_end *end =
        wr_container_of(future, struct executor_end, future);
    weir_loop *loop = future->loop;

    wr_assert(!end->job);
    wr_free(&loop->counting, end, sizeof(*end));
    wr_loop_unpin(loop);
}

static const struct wr_future_ops executor_end_ops = {
    .cancel = executor_cancel_end, .free = executor_free_end};

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

static void executor_abandon_job(weir_loop *loop, struct executor_job *job)
{
    const struct executor_job copy = *job;

    wr_assert(!copy.waiter);
    wr_assert(!copy.job.is_queued);
    if (copy.end) {
        executor_resolve_end(copy.end, copy.result);
    }
    wr_free(&loop->counting, job, sizeof(*job));
    executor_report_abandoned(loop, copy.abandoned, copy.arg, copy.result);
    if (copy.end) {
        wr_future_unref(&copy.end->future);
    }
}

static void executor_return_job(weir_loop *loop, struct executor_job *job)
{
    struct wr_waiter *waiter = job->waiter;

    wr_assert(!wr_list_is_linked(&job->job.link));
    wr_assert((waiter != NULL) == (job->state == EXECUTOR_JOB_AWAITED));
    if (job->state == EXECUTOR_JOB_UNWANTED) {
        executor_abandon_job(loop, job);
        return;
    }
    executor_set_job_state(job, EXECUTOR_JOB_BACK);
    if (waiter) {
        job->waiter = NULL;
        wr_waiter_wake(waiter, 0);
    } /* the interrupted task calls abandoned() when it runs */
}

static void executor_collect(struct executor *executor)
{
    executor_check_invariants(executor);
    wr_jobs_take_done(&executor->jobs, &executor->returned);
    for (uint32_t i = 0; i < RETURNS_MAX; i++) {
        struct wr_list *link = wr_list_pop_front(&executor->returned);
        if (!link) {
            break;
        }
        executor_return_job(executor->loop, executor_job_at(link));
    }
    if (!wr_list_is_empty(&executor->returned)) {
        wr_ready_push(&executor->loop->ready, &executor->ready);
    } else if (!wr_list_is_empty(&executor->shutdown_waiters) &&
               wr_jobs_are_over(&executor->jobs)) {
        wr_waiters_wake_all(&executor->shutdown_waiters, 0);
    }
}

static void executor_collect_posted(void *arg)
{
    struct executor *executor = arg;

    wr_jobs_hear(&executor->jobs);
    executor_collect(executor);
}

static void executor_collect_more(struct wr_ready *ready)
{
    executor_collect(wr_container_of(ready, struct executor, ready));
}

static void executor_interrupt_wait(struct wr_waiter *waiter)
{
    struct executor_wait *wait =
        wr_container_of(waiter, struct executor_wait, waiter);
    struct executor_job *job = wait->job;

    wr_assert(job->waiter == waiter);
    if (wr_jobs_withdraw(&wait->executor->jobs, &job->job)) {
        job->result = -ECANCELED;
        executor_set_job_state(job, EXECUTOR_JOB_BACK);
    } else {
        executor_set_job_state(job, EXECUTOR_JOB_LEFT);
    }
    job->waiter = NULL;
    wr_waiter_wake(waiter, -ECANCELED);
}

static uint32_t executor_default_thread_limit(void)
{
    cpu_set_t cpus;
    /* Fails if the machine has more CPUs than fit into cpu_set_t. */
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0) {
        return THREADS_DEFAULT_MAX;
    }
    const uint32_t limit = (uint32_t)CPU_COUNT(&cpus) + THREADS_BESIDE_CPUS;
    return (uint32_t)wr_min_u64(limit, THREADS_DEFAULT_MAX);
}

/* Resolves the futures of finished submitted jobs. Jobs of tasks stay in
 * `returned`. */
static void executor_return_over(struct executor *executor)
{
    struct wr_list over;
    struct wr_list *link;

    wr_list_init(&over);
    wr_list_splice_back(&over, &executor->returned);
    wr_jobs_take_done(&executor->jobs, &over);
    while ((link = wr_list_pop_front(&over))) {
        struct executor_job *job = executor_job_at(link);
        if (job->end) {
            executor_return_job(executor->loop, job);
        } else {
            wr_list_push_back(&executor->returned, link);
        }
    }
}

/* Withdraws submitted jobs that have not started. Cancels the other futures. */
static void executor_shutdown(struct wr_module *module)
{
    struct executor *executor =
        wr_container_of(module, struct executor, module);

    wr_assert(wr_loop_is_closing(executor->loop));
    /* Calls no callback yet, so that the list does not change. */
    for (struct wr_list *link = executor->ends.next; link != &executor->ends;
         link = link->next) {
        struct executor_job *job =
            wr_container_of(link, struct executor_end, link)->job;
        if (wr_jobs_withdraw(&executor->jobs, &job->job)) {
            job->result = -ECANCELED;
            wr_list_push_back(&executor->returned, &job->job.link);
        }
    }
    executor_return_over(executor);
    while (!wr_list_is_empty(&executor->ends)) {
        struct executor_end *end =
            wr_container_of(executor->ends.next, struct executor_end, link);
        executor_resolve_end(end, -ECANCELED);
        wr_future_unref(&end->future);
    }
}

static void executor_stop(struct wr_module *module)
{
    struct executor *executor =
        wr_container_of(module, struct executor, module);
    weir_loop *loop = executor->loop;
    struct wr_list over;
    struct wr_list *link;

    wr_assert(wr_list_is_empty(&executor->shutdown_waiters));
    wr_assert(wr_list_is_empty(&executor->ends));
    wr_list_remove(&module->link);
    wr_ready_cancel(&executor->ready);
    wr_list_init(&over);
    wr_list_splice_back(&over, &executor->returned);
    const uint32_t left_count = wr_jobs_end(&executor->jobs, false, &over);
    loop->memory_bytes -=
        sizeof(*executor) + left_count * sizeof(struct executor_job);
    if (left_count == 0) { /* otherwise the last thread frees it */
        executor_free(&executor->jobs);
    }
    while ((link = wr_list_pop_front(&over))) {
        executor_return_job(loop, executor_job_at(link));
    }
}

static void executor_check_module(const struct wr_module *module)
{
    executor_check_invariants(
        wr_container_of(module, const struct executor, module));
}

static const struct wr_module_ops executor_module_ops = {
    .end =
        {[WR_END_SHUTDOWN] = executor_shutdown, [WR_END_STOP] = executor_stop},
    .check = executor_check_module};

WEIR_MUST_USE static int executor_open(weir_loop *loop, struct executor **ret)
{
    struct wr_module *module = wr_loop_find_module(loop, &executor_module_ops);

    if (module) {
        *ret = wr_container_of(module, struct executor, module);
        return 0;
    }
    struct executor *executor = wr_alloc(&loop->counting, sizeof(*executor));
    if (!executor) {
        return -ENOMEM;
    }
    *executor = (struct executor){
        .loop = loop,
        .allocator = *loop->allocator,
        .wake = loop->wake,
        .item = {.run = executor_collect_posted, .arg = executor},
    };
    wr_wake_ref(executor->wake);
    wr_jobs_init(&executor->jobs, &executor_jobs,
                 executor_default_thread_limit(), QUEUE_LIMIT_DEFAULT);
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
    struct executor *executor;
    err = executor_open(loop, &executor);
    if (err < 0) {
        return err;
    }
    executor_check_invariants(executor);
    wr_require(wr_jobs_are_open(&executor->jobs), -ESHUTDOWN);
    wr_require(wr_jobs_are_over(&executor->jobs), -EBUSY);
    executor->jobs.thread_limit = known.thread_limit
                                      ? known.thread_limit
                                      : executor_default_thread_limit();
    executor->jobs.queue_limit =
        known.queue_limit ? known.queue_limit : QUEUE_LIMIT_DEFAULT;
    return 0;
}

WEIR_MUST_USE static int executor_start(struct executor *executor,
                                        const struct executor_job *what,
                                        struct executor_job **ret)
{
    struct executor_job *job =
        wr_alloc(&executor->loop->counting, sizeof(*job));
    wr_require(job, -ENOMEM);
    *job = *what;
    wr_list_init(&job->job.link);
    wr_assert((job->waiter != NULL) == (job->state == EXECUTOR_JOB_AWAITED));
    wr_assert((job->end != NULL) == (job->state == EXECUTOR_JOB_UNWANTED));
    const int err = wr_jobs_push(&executor->jobs, &job->job);
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
        /* The caller expects abandoned(), as for a cancelled wait. */
        executor_report_abandoned(loop, abandoned, arg, -ECANCELED);
    }
    if (err < 0) {
        return err;
    }
    wr_require(fn, -EINVAL);
    struct executor *executor;
    err = executor_open(loop, &executor);
    if (err < 0) {
        return err;
    }
    struct executor_wait wait = {.waiter.kind = &kind, .executor = executor};
    const struct executor_job what = {
        .fn = fn, .arg = arg, .abandoned = abandoned, .waiter = &wait.waiter};
    err = executor_start(executor, &what, &wait.job);
    if (err < 0) {
        return err;
    }
    struct executor_job *job = wait.job;
    err = wr_task_wait(loop, &wait.waiter, NULL);
    wr_assert(!job->waiter);
    if (err < 0) {
        if (job->state == EXECUTOR_JOB_BACK) {
            executor_abandon_job(loop, job);
        } else {
            executor_set_job_state(job, EXECUTOR_JOB_UNWANTED);
        }
        return err;
    }
    wr_assert(job->state == EXECUTOR_JOB_BACK);
    if (ret) {
        *ret = job->result;
    }
    wr_free(&loop->counting, job, sizeof(*job));
    return 0;
}

static int executor_make_job(struct executor *executor,
                             const struct executor_job *what,
                             struct executor_end **ret)
{
    weir_loop *loop = executor->loop;
    struct executor_job job = *what;
    struct executor_end *end = wr_alloc(&loop->counting, sizeof(*end));
    wr_require(end, -ENOMEM);
    wr_future_init(&end->future, loop, &executor_end_ops);
    wr_list_init(&end->link);
    end->executor = executor;
    job.state = EXECUTOR_JOB_UNWANTED;
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
    const struct executor_job job = {.fn = fn, .arg = arg, .abandoned = done};
    struct executor *executor;
    struct executor_end *end;
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
    /* Even a cancelled task shuts the executor down, but it does not wait. */
    struct executor *executor;
    const int open_err = executor_open(loop, &executor);
    if (open_err < 0) {
        return open_err;
    }
    executor_check_invariants(executor);
    wr_jobs_shut(&executor->jobs);
    const int begin_err = weir_timeout_begin(loop, &limit, timeout_ns);
    wr_assert(begin_err == 0);
    while (err == 0 && !(wr_list_is_empty(&executor->returned) &&
                         wr_jobs_are_over(&executor->jobs))) {
        err = wr_task_wait(loop, &waiter, &executor->shutdown_waiters);
    }
    return (int)weir_timeout_end(&limit, err);
}

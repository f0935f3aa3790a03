/*
 * The threads of the executor, and what they share with the loop.
 *
 * A thread is made when there is a job and no thread is idle; idle threads
 * stay. One mutex protects all shared fields. The executor is reference counted
 * and outlives the loop while a job runs: the job's thread is detached then,
 * frees the job and itself, and drops its reference. Otherwise the loop joins a
 * thread when it is about to return.
 */
#include "executor_impl.h"

#include <signal.h>

struct executor_worker {
    struct wr_list link; /* the loop's, in wr_executor.workers */
    struct wr_executor *executor;
    pthread_t thread;
    struct wr_job *job; /* shared, set by the thread: the running job */
    bool has_ended;     /* shared, set by the thread: to be joined */
    bool is_detached;   /* shared, set at the loop's end: frees itself */
};

/* These fail only if the mutex is not initialised. */
static void executor_threads_lock(struct wr_executor *executor)
{
    const int err = pthread_mutex_lock(&executor->mutex);
    wr_check(err == 0);
}

static void executor_threads_unlock(struct wr_executor *executor)
{
    const int err = pthread_mutex_unlock(&executor->mutex);
    wr_check(err == 0);
}

int wr_executor_init_shared(struct wr_executor *executor)
{
    if (pthread_mutex_init(&executor->mutex, NULL)) {
        return -ENOMEM;
    }
    if (pthread_cond_init(&executor->work, NULL)) {
        pthread_mutex_destroy(&executor->mutex);
        return -ENOMEM;
    }
    wr_list_init(&executor->queue);
    wr_list_init(&executor->done);
    executor->allocator = *executor->loop->allocator;
    executor->wake = executor->loop->wake;
    wr_wake_ref(executor->wake);
    executor->refs = 1;
    return 0;
}

void wr_executor_unref(struct wr_executor *executor)
{
    executor_threads_lock(executor);
    wr_assert(executor->refs > 0);
    const bool is_last = --executor->refs == 0;
    executor_threads_unlock(executor);
    if (!is_last) {
        return;
    }
    wr_assert(wr_list_is_empty(&executor->queue));
    wr_assert(wr_list_is_empty(&executor->done));
    struct weir_allocator allocator = executor->allocator;
    wr_wake_unref(executor->wake);
    pthread_cond_destroy(&executor->work);
    pthread_mutex_destroy(&executor->mutex);
    wr_free(&allocator, executor, sizeof(*executor));
}

/* ---- on the threads ---- */

/* Under the mutex. True if the caller must post the item after unlocking. */
WEIR_MUST_USE static bool
executor_threads_claim_post(struct wr_executor *executor)
{
    const bool is_first =
        !executor->is_posted && executor->state != WR_EXECUTOR_CLOSED;
    executor->is_posted = true;
    return is_first;
}

static void executor_threads_post(struct wr_executor *executor)
{
    /* An error means that the loop is being freed, and reads `done` itself. */
    wr_ignore(wr_wake_post_item(executor->wake, &executor->item));
}

/* Under the mutex, which is unlocked while it waits: takes the next job. False
 * if the thread must end. */
static bool executor_threads_take_job(struct executor_worker *worker)
{
    struct wr_executor *executor = worker->executor;

    wr_assert(!worker->job);
    while (wr_list_is_empty(&executor->queue) &&
           executor->state == WR_EXECUTOR_OPEN) {
        pthread_cond_wait(&executor->work, &executor->mutex);
    }
    struct wr_list *link = wr_list_pop_front(&executor->queue);
    if (!link) {
        return false;
    }
    struct wr_job *job = wr_container_of(link, struct wr_job, link);
    wr_assert(job->is_queued);
    wr_assert(executor->queued_count > 0);
    wr_assert(executor->idle_count > 0);
    job->is_queued = false;
    executor->queued_count--;
    executor->idle_count--;
    worker->job = job;
    return true;
}

/* Under the mutex: the job is finished. True if the caller must post. */
WEIR_MUST_USE static bool
executor_threads_give_job(struct executor_worker *worker, int result)
{
    struct wr_executor *executor = worker->executor;
    struct wr_job *job = worker->job;

    wr_assert(!job->is_queued);
    wr_assert(!wr_list_is_linked(&job->link));
    worker->job = NULL;
    executor->idle_count++;
    if (executor->state == WR_EXECUTOR_CLOSED) {
        wr_free(&executor->allocator, job, sizeof(*job));
        return false;
    }
    job->result = result;
    wr_list_push_back(&executor->done, &job->link);
    return executor_threads_claim_post(executor);
}

/* The last step of a thread: called under the mutex, which it unlocks. */
static void executor_threads_end_worker(struct executor_worker *worker)
{
    struct wr_executor *executor = worker->executor;
    bool must_post = false;

    wr_assert(executor->state != WR_EXECUTOR_OPEN);
    wr_assert(executor->idle_count > 0);
    executor->idle_count--;
    if (worker->is_detached) {
        wr_free(&executor->allocator, worker, sizeof(*worker));
    } else {
        worker->has_ended = true;
        must_post = executor_threads_claim_post(executor);
    }
    executor_threads_unlock(executor);
    if (must_post) {
        executor_threads_post(executor);
    }
    wr_executor_unref(executor);
}

static void *executor_threads_run_worker(void *arg)
{
    struct executor_worker *worker = arg;
    struct wr_executor *executor = worker->executor;

    pthread_setname_np(pthread_self(), "weir-exec");
    executor_threads_lock(executor);
    while (executor_threads_take_job(worker)) {
        executor_threads_unlock(executor);
        const int result = worker->job->fn(worker->job->arg);
        executor_threads_lock(executor);
        if (executor_threads_give_job(worker, result)) {
            executor_threads_unlock(executor);
            executor_threads_post(executor);
            executor_threads_lock(executor);
        }
    }
    executor_threads_end_worker(worker);
    return NULL;
}

/* ---- giving a job to a thread ---- */

/* The thread blocks all signals: they are for the program's threads. */
WEIR_MUST_USE static int
executor_threads_make_thread(struct executor_worker *worker)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int err = pthread_create(&worker->thread, NULL,
                                   executor_threads_run_worker, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err ? -EAGAIN : 0;
}

/* Under the mutex. */
WEIR_MUST_USE static int
executor_threads_add_worker(struct wr_executor *executor)
{
    weir_loop *loop = executor->loop;
    wr_assert(executor->state == WR_EXECUTOR_OPEN);
    wr_assert(executor->thread_count < executor->thread_limit);
    struct executor_worker *worker = wr_alloc(&loop->counting, sizeof(*worker));
    if (!worker) {
        return -ENOMEM;
    }
    *worker = (struct executor_worker){.executor = executor};
    wr_list_init(&worker->link);
    const int err = executor_threads_make_thread(worker);
    if (err < 0) {
        wr_free(&loop->counting, worker, sizeof(*worker));
        return err;
    }
    wr_list_push_back(&executor->workers, &worker->link);
    executor->thread_count++;
    executor->idle_count++; /* the new thread waits for the mutex */
    executor->refs++;
    return 0;
}

/* Under the mutex: 0 if another job may be queued; makes its thread. */
WEIR_MUST_USE static int executor_threads_admit(struct wr_executor *executor)
{
    wr_require(executor->state == WR_EXECUTOR_OPEN, -ESHUTDOWN);
    if (executor->queued_count < executor->idle_count) {
        return 0;
    }
    if (executor->thread_count < executor->thread_limit) {
        const int err = executor_threads_add_worker(executor);
        if (err == 0 || executor->thread_count == 0) {
            return err;
        }
        /* Without a new thread, the others run the job later. */
    }
    const uint32_t waiting_count =
        executor->queued_count - executor->idle_count;
    return waiting_count < executor->queue_limit ? 0 : -ENOBUFS;
}

int wr_executor_submit(struct wr_executor *executor, struct wr_job *job)
{
    wr_assert((job->waiter != NULL) == (job->state == WR_JOB_AWAITED));
    wr_assert((job->end != NULL) == (job->state == WR_JOB_UNWANTED));
    wr_assert(!job->is_queued);
    executor_threads_lock(executor);
    const int err = executor_threads_admit(executor);
    if (err == 0) {
        job->is_queued = true;
        wr_list_push_back(&executor->queue, &job->link);
        executor->queued_count++;
    }
    executor_threads_unlock(executor);
    if (err == 0) {
        pthread_cond_signal(&executor->work);
    }
    return err;
}

bool wr_executor_withdraw(struct wr_executor *executor, struct wr_job *job)
{
    executor_threads_lock(executor);
    const bool was_queued = job->is_queued;
    if (was_queued) {
        wr_assert(executor->queued_count > 0);
        job->is_queued = false;
        wr_list_remove(&job->link);
        executor->queued_count--;
    }
    executor_threads_unlock(executor);
    return was_queued;
}

/* ---- taking jobs back, and the end ---- */

void wr_executor_item_taken(struct wr_executor *executor)
{
    executor_threads_lock(executor);
    wr_assert(executor->is_posted);
    executor->is_posted = false;
    executor_threads_unlock(executor);
}

void wr_executor_take_done(struct wr_executor *executor)
{
    executor_threads_lock(executor);
    wr_list_splice_back(&executor->returned, &executor->done);
    executor_threads_unlock(executor);
}

static void executor_threads_join_worker(struct wr_executor *executor,
                                         struct executor_worker *worker)
{
    const int err = pthread_join(worker->thread, NULL);

    wr_check(err == 0);
    wr_assert(!worker->job);
    wr_assert(!worker->is_detached);
    wr_assert(executor->thread_count > 0);
    wr_list_remove(&worker->link);
    wr_free(&executor->loop->counting, worker, sizeof(*worker));
    executor->thread_count--;
}

/* Threads with has_ended are about to return, so the join does not wait. */
void wr_executor_join_ended(struct wr_executor *executor)
{
    struct wr_list *link = executor->workers.next;

    while (link != &executor->workers) {
        struct executor_worker *worker =
            wr_container_of(link, struct executor_worker, link);
        link = link->next;
        executor_threads_lock(executor);
        const bool has_ended = worker->has_ended;
        executor_threads_unlock(executor);
        if (has_ended) {
            executor_threads_join_worker(executor, worker);
        }
    }
}

/* Under the mutex. */
static void executor_threads_set_state(struct wr_executor *executor,
                                       enum wr_executor_state state)
{
    wr_assert(wr_executor_edges[state] & 1u << executor->state);
    executor->state = state;
}

void wr_executor_shut(struct wr_executor *executor)
{
    executor_threads_lock(executor);
    if (executor->state == WR_EXECUTOR_OPEN) {
        executor_threads_set_state(executor, WR_EXECUTOR_SHUT);
    }
    executor_threads_unlock(executor);
    pthread_cond_broadcast(&executor->work);
}

/* Under the mutex: detaches a thread with a job; the thread frees both. */
static void executor_threads_detach_worker(struct wr_executor *executor,
                                           struct executor_worker *worker)
{
    wr_assert(worker->job->state == WR_JOB_UNWANTED);
    wr_assert(!worker->job->end);
    wr_assert(!worker->has_ended);
    wr_assert(executor->thread_count > 0);
    executor->thread_count--;
    wr_list_remove(&worker->link);
    worker->is_detached = true;
    executor->loop->memory_bytes -= sizeof(*worker) + sizeof(*worker->job);
    const int err = pthread_detach(worker->thread);
    wr_check(err == 0);
}

void wr_executor_let_go(struct wr_executor *executor)
{
    executor_threads_lock(executor);
    wr_assert(wr_list_is_empty(&executor->queue)); /* it refuses jobs */
    executor_threads_set_state(executor, WR_EXECUTOR_CLOSED);
    wr_list_splice_back(&executor->returned, &executor->done);
    struct wr_list *link = executor->workers.next;
    while (link != &executor->workers) {
        struct executor_worker *worker =
            wr_container_of(link, struct executor_worker, link);
        link = link->next;
        if (worker->job) {
            executor_threads_detach_worker(executor, worker);
        }
    }
    executor_threads_unlock(executor);
    pthread_cond_broadcast(&executor->work);
    while (!wr_list_is_empty(&executor->workers)) {
        executor_threads_join_worker(
            executor, wr_container_of(executor->workers.next,
                                      struct executor_worker, link));
    }
}

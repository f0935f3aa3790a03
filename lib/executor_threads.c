/*
 * The threads of the executor, and what they share with the loop.
 *
 * Threads are made when there is a job and none of them is idle; an idle one
 * stays. All that is shared is behind one mutex. The executor is counted and
 * outlives the loop while a job runs: its thread is detached then, and frees
 * the job, itself and, as the last one, the executor. Otherwise the loop joins
 * threads once they have nothing left to do but to return.
 */
#include "executor_impl.h"

#include <signal.h>

struct worker {
    struct wr_list link; /* the loop's, in wr_executor.workers */
    struct wr_executor *executor;
    pthread_t thread;
    struct wr_job *job; /* shared, set by the thread: what it runs */
    bool has_ended;     /* shared, set by the thread: to be joined */
    bool is_detached;   /* shared, set by the loop's end: it frees itself */
};

/* These can only fail for a mutex that is not one. */
static void lock(struct wr_executor *executor)
{
    const int err = pthread_mutex_lock(&executor->mutex);
    wr_check(err == 0);
}

static void unlock(struct wr_executor *executor)
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
    lock(executor);
    wr_assert(executor->refs > 0);
    const bool is_last = --executor->refs == 0;
    unlock(executor);
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

/* Under the mutex: must the caller post the item, after unlocking? */
static bool claim_post(struct wr_executor *executor)
{
    const bool is_first = !executor->is_posted && !executor->is_closed;
    executor->is_posted = true;
    return is_first;
}

static void post(struct wr_executor *executor)
{
    /* An error means that the loop is being freed: it looks by itself. */
    wr_ignore(wr_wake_post_item(executor->wake, &executor->item));
}

/* Under the mutex, which is free while it waits: the next job, or false when
 * the thread is to end. */
static bool take_job(struct worker *worker)
{
    struct wr_executor *executor = worker->executor;

    while (wr_list_is_empty(&executor->queue) && !executor->is_shut) {
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

/* Under the mutex: the job is over. Must the caller post? */
static bool give_job(struct worker *worker, int result)
{
    struct wr_executor *executor = worker->executor;
    struct wr_job *job = worker->job;

    worker->job = NULL;
    executor->idle_count++;
    if (executor->is_closed) {
        wr_free(&executor->allocator, job, sizeof(*job));
        return false;
    }
    job->result = result;
    wr_list_push_back(&executor->done, &job->link);
    return claim_post(executor);
}

/* Under the mutex, which it gives back: the last that a thread does. */
static void end_worker(struct worker *worker)
{
    struct wr_executor *executor = worker->executor;
    bool must_post = false;

    executor->idle_count--;
    if (worker->is_detached) {
        wr_free(&executor->allocator, worker, sizeof(*worker));
    } else {
        worker->has_ended = true;
        must_post = claim_post(executor);
    }
    unlock(executor);
    if (must_post) {
        post(executor);
    }
    wr_executor_unref(executor);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    struct wr_executor *executor = worker->executor;

    pthread_setname_np(pthread_self(), "weir-exec");
    lock(executor);
    while (take_job(worker)) {
        unlock(executor);
        const int result = worker->job->fn(worker->job->arg);
        lock(executor);
        if (give_job(worker, result)) {
            unlock(executor);
            post(executor);
            lock(executor);
        }
    }
    end_worker(worker);
    return NULL;
}

/* ---- giving a job to a thread ---- */

/* Signals are for the threads of the program. */
static int make_thread(struct worker *worker)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int err = pthread_create(&worker->thread, NULL, run_worker, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err ? -EAGAIN : 0;
}

/* Under the mutex. */
static int add_worker(struct wr_executor *executor)
{
    weir_loop *loop = executor->loop;
    struct worker *worker = wr_alloc(&loop->counting, sizeof(*worker));
    if (!worker) {
        return -ENOMEM;
    }
    *worker = (struct worker){.executor = executor};
    wr_list_init(&worker->link);
    const int err = make_thread(worker);
    if (err < 0) {
        wr_free(&loop->counting, worker, sizeof(*worker));
        return err;
    }
    wr_list_push_back(&executor->workers, &worker->link);
    executor->thread_count++;
    executor->idle_count++; /* the thread itself waits for the mutex */
    executor->refs++;
    return 0;
}

/* Under the mutex: may there be another job? Sees to a thread for it. */
static int admit(struct wr_executor *executor)
{
    wr_require(!executor->is_shut, -ESHUTDOWN);
    if (executor->queued_count < executor->idle_count) {
        return 0;
    }
    if (executor->thread_count < executor->thread_limit) {
        const int err = add_worker(executor);
        if (err == 0 || executor->thread_count == 0) {
            return err;
        }
        /* Fewer threads than allowed do it too, later. */
    }
    const uint32_t waiting_count =
        executor->queued_count - executor->idle_count;
    return waiting_count < executor->queue_limit ? 0 : -ENOBUFS;
}

int wr_executor_submit(struct wr_executor *executor, struct wr_job *job)
{
    lock(executor);
    const int err = admit(executor);
    if (err == 0) {
        job->is_queued = true;
        wr_list_push_back(&executor->queue, &job->link);
        executor->queued_count++;
    }
    unlock(executor);
    if (err == 0) {
        pthread_cond_signal(&executor->work);
    }
    return err;
}

bool wr_executor_withdraw(struct wr_executor *executor, struct wr_job *job)
{
    lock(executor);
    const bool was_queued = job->is_queued;
    if (was_queued) {
        job->is_queued = false;
        wr_list_remove(&job->link);
        executor->queued_count--;
    }
    unlock(executor);
    return was_queued;
}

/* ---- taking jobs back, and the end ---- */

void wr_executor_item_taken(struct wr_executor *executor)
{
    lock(executor);
    wr_assert(executor->is_posted);
    executor->is_posted = false;
    unlock(executor);
}

void wr_executor_take_done(struct wr_executor *executor)
{
    lock(executor);
    wr_list_splice_back(&executor->returned, &executor->done);
    unlock(executor);
}

/* Those threads have nothing left to do but to return. */
void wr_executor_join_ended(struct wr_executor *executor)
{
    struct wr_list *link = executor->workers.next;

    while (link != &executor->workers) {
        struct worker *worker = wr_container_of(link, struct worker, link);
        link = link->next;
        lock(executor);
        const bool has_ended = worker->has_ended;
        unlock(executor);
        if (has_ended) {
            const int err = pthread_join(worker->thread, NULL);
            wr_check(err == 0);
            wr_list_remove(&worker->link);
            wr_free(&executor->loop->counting, worker, sizeof(*worker));
            executor->thread_count--;
        }
    }
}

void wr_executor_shut(struct wr_executor *executor)
{
    lock(executor);
    executor->is_shut = true;
    unlock(executor);
    pthread_cond_broadcast(&executor->work);
}

/* Under the mutex: the thread runs a job and owns from now on what the loop
 * knew of both. */
static void detach_worker(struct wr_executor *executor, struct worker *worker)
{
    wr_assert(worker->job->is_unwanted);
    wr_list_remove(&worker->link);
    worker->is_detached = true;
    executor->loop->memory_bytes -= sizeof(*worker) + sizeof(*worker->job);
    const int err = pthread_detach(worker->thread);
    wr_check(err == 0);
}

void wr_executor_let_go(struct wr_executor *executor)
{
    lock(executor);
    wr_assert(wr_list_is_empty(&executor->queue)); /* no task waits any more */
    executor->is_shut = true;
    executor->is_closed = true;
    wr_list_splice_back(&executor->returned, &executor->done);
    struct wr_list *link = executor->workers.next;
    while (link != &executor->workers) {
        struct worker *worker = wr_container_of(link, struct worker, link);
        link = link->next;
        if (worker->job) {
            detach_worker(executor, worker);
        }
    }
    unlock(executor);
    pthread_cond_broadcast(&executor->work);
    while ((link = wr_list_pop_front(&executor->workers))) {
        struct worker *worker = wr_container_of(link, struct worker, link);
        const int err = pthread_join(worker->thread, NULL);
        wr_check(err == 0);
        wr_free(&executor->loop->counting, worker, sizeof(*worker));
    }
}

/*
 * Jobs on threads; see jobs.h.
 *
 * Static functions that do not lock the mutex are called with it locked. No
 * thread holds it while it runs a job or calls `tell`. Threads are counted, not
 * listed. After wr_jobs_shut() a thread that ends is joined by the owner or by
 * the thread that ends next. All other threads detach themselves.
 */
#include "jobs.h"

#include "check.h"
#include "sys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static void jobs_lock(struct wr_jobs *jobs)
{
    const int err = pthread_mutex_lock(&jobs->mutex);
    wr_check(err == 0);
}

static void jobs_unlock(struct wr_jobs *jobs)
{
    const int err = pthread_mutex_unlock(&jobs->mutex);
    wr_check(err == 0);
}

static void jobs_set_state(struct wr_jobs *jobs, enum wr_jobs_state state)
{
    static const uint8_t allowed[WR_JOBS_STATES] = {
        [WR_JOBS_OPEN] = 1u << WR_JOBS_SHUT,
        [WR_JOBS_SHUT] = 1u << WR_JOBS_LEFT,
    };
    wr_assert(allowed[jobs->state] >> state & 1u);
    jobs->state = state;
    pthread_cond_broadcast(&jobs->work);
    pthread_cond_broadcast(&jobs->change);
}

/* Unlocks the mutex during the wait. Returns false on a timeout. */
static bool jobs_wait(struct wr_jobs *jobs, pthread_cond_t *cond,
                      uint64_t limit_ns)
{
    if (limit_ns == UINT64_MAX) {
        return pthread_cond_wait(cond, &jobs->mutex) == 0;
    }
    const uint64_t until_ns = wr_sys_now() + limit_ns;
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / 1000000000u),
        .tv_nsec = (long)(until_ns % 1000000000u),
    };
    return pthread_cond_timedwait(cond, &jobs->mutex, &until) == 0;
}

static void jobs_init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;

    int err = pthread_condattr_init(&monotonic);
    wr_check(err == 0);
    err = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    wr_check(err == 0);
    err = pthread_cond_init(cond, &monotonic);
    wr_check(err == 0);
    pthread_condattr_destroy(&monotonic);
}

void wr_jobs_init(struct wr_jobs *jobs, const struct wr_jobs_kind *kind,
                  uint32_t thread_limit, uint32_t queue_limit)
{
    wr_assert(thread_limit > 0);
    wr_assert(kind->run);
    memset(jobs, 0, sizeof(*jobs));
    jobs->kind = kind;
    jobs->thread_limit = thread_limit;
    jobs->queue_limit = queue_limit;
    const int err = pthread_mutex_init(&jobs->mutex, NULL);
    wr_check(err == 0);
    jobs_init_cond(&jobs->work);
    jobs_init_cond(&jobs->change);
    wr_list_init(&jobs->queue);
    wr_list_init(&jobs->done);
}

void wr_jobs_fini(struct wr_jobs *jobs)
{
    wr_assert(jobs->thread_count == 0);
    wr_assert(jobs->queued_count == 0);
    wr_assert(!jobs->has_ended);
    wr_assert(wr_list_is_empty(&jobs->done));
    pthread_cond_destroy(&jobs->work);
    pthread_cond_destroy(&jobs->change);
    pthread_mutex_destroy(&jobs->mutex);
}

/* Returns NULL if the thread must end. */
static struct wr_job *jobs_take(struct wr_jobs *jobs)
{
    bool in_time = true;

    while (wr_list_is_empty(&jobs->queue) && jobs->state == WR_JOBS_OPEN &&
           in_time) {
        in_time = jobs_wait(jobs, &jobs->work, jobs->kind->idle_ns);
    }
    struct wr_list *link = wr_list_pop_front(&jobs->queue);
    if (!link) {
        return NULL;
    }
    struct wr_job *job = wr_container_of(link, struct wr_job, link);
    wr_assert(job->is_queued);
    wr_assert(jobs->queued_count > 0);
    wr_assert(jobs->idle_count > 0);
    job->is_queued = false;
    jobs->queued_count--;
    jobs->idle_count--;
    return job;
}

/* Unlocks the mutex during the call. */
static void jobs_tell(struct wr_jobs *jobs)
{
    if (jobs->is_told || !jobs->kind->tell) {
        return;
    }
    jobs->is_told = true;
    jobs_unlock(jobs);
    jobs->kind->tell(jobs);
    jobs_lock(jobs);
}

static void jobs_join_ended(struct wr_jobs *jobs)
{
    while (jobs->has_ended) {
        const pthread_t ended = jobs->ended;
        jobs->has_ended = false;
        jobs_unlock(jobs);
        const int err = pthread_join(ended, NULL);
        wr_check(err == 0);
        jobs_lock(jobs);
    }
}

/* The last step of a thread. Unlocks the mutex. The thread counts as idle while
 * it joins another thread, so that the owner waits for it. */
static void jobs_end_thread(struct wr_jobs *jobs)
{
    jobs_join_ended(jobs);
    wr_assert(jobs->idle_count > 0);
    wr_assert(jobs->thread_count >= jobs->idle_count);
    jobs->idle_count--;
    jobs->thread_count--;
    if (jobs->state == WR_JOBS_SHUT) {
        wr_assert(!jobs->has_ended);
        jobs->ended = pthread_self();
        jobs->has_ended = true;
        pthread_cond_broadcast(&jobs->change);
        jobs_tell(jobs);
        jobs_unlock(jobs);
        return;
    }
    const bool is_last = jobs->state == WR_JOBS_LEFT && jobs->thread_count == 0;
    jobs_unlock(jobs);
    pthread_detach(pthread_self());
    if (is_last) {
        jobs->kind->free(jobs);
    }
}

static void *jobs_run_thread(void *arg)
{
    struct wr_jobs *jobs = arg;
    struct wr_job *job;

    pthread_setname_np(pthread_self(), jobs->kind->name);
    jobs_lock(jobs);
    while ((job = jobs_take(jobs))) {
        jobs_unlock(jobs);
        jobs->kind->run(jobs, job);
        jobs_lock(jobs);
        wr_assert(jobs->idle_count < jobs->thread_count);
        jobs->idle_count++;
        if (jobs->kind->tell) {
            wr_list_push_back(&jobs->done, &job->link);
            jobs_tell(jobs);
        }
    }
    jobs_end_thread(jobs);
    return NULL;
}

/* Returns 0 or a positive error. Replaces a stack size that is too small. */
static int jobs_make_thread(struct wr_jobs *jobs)
{
    pthread_t thread;
    pthread_attr_t attr;
    int err = EAGAIN;

    if (pthread_attr_init(&attr) == 0) {
        err = pthread_attr_setstacksize(&attr, jobs->kind->stack_bytes);
        if (err == 0) {
            err = pthread_create(&thread, &attr, jobs_run_thread, jobs);
        }
        pthread_attr_destroy(&attr);
    }
    return err ? pthread_create(&thread, NULL, jobs_run_thread, jobs) : 0;
}

static bool jobs_add_thread(struct wr_jobs *jobs)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool is_made = jobs_make_thread(jobs) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    jobs->thread_count += is_made;
    jobs->idle_count += is_made;
    return is_made;
}

static int jobs_admit(struct wr_jobs *jobs)
{
    wr_require(jobs->state == WR_JOBS_OPEN, -ESHUTDOWN);
    if (jobs->queued_count < jobs->idle_count ||
        (jobs->thread_count < jobs->thread_limit && jobs_add_thread(jobs))) {
        return 0;
    }
    wr_require(jobs->thread_count > 0, -EAGAIN);
    wr_assert(jobs->queued_count >= jobs->idle_count);
    const uint32_t waiting_count = jobs->queued_count - jobs->idle_count;
    return waiting_count < jobs->queue_limit ? 0 : -ENOBUFS;
}

static void jobs_check_invariants(const struct wr_jobs *jobs)
{
    wr_assert(jobs->idle_count <= jobs->thread_count);
    wr_assert(jobs->thread_count <= jobs->thread_limit);
    wr_assert(jobs->queued_count == 0 || jobs->thread_count > 0);
    wr_debug_assert(wr_list_count(&jobs->queue) == jobs->queued_count);
}

int wr_jobs_push(struct wr_jobs *jobs, struct wr_job *job)
{
    jobs_lock(jobs);
    wr_assert(!job->is_queued);
    const int err = jobs_admit(jobs);
    if (err == 0) {
        job->is_queued = true;
        job->is_unwanted = false;
        wr_list_push_back(&jobs->queue, &job->link);
        jobs->queued_count++;
    }
    jobs_check_invariants(jobs);
    jobs_unlock(jobs);
    if (err == 0) {
        pthread_cond_signal(&jobs->work);
    }
    return err;
}

bool wr_jobs_withdraw(struct wr_jobs *jobs, struct wr_job *job)
{
    jobs_lock(jobs);
    const bool was_queued = job->is_queued;
    if (was_queued) {
        wr_assert(wr_list_is_linked(&job->link));
        wr_assert(jobs->queued_count > 0);
        job->is_queued = false;
        wr_list_remove(&job->link);
        jobs->queued_count--;
    } else {
        job->is_unwanted = true;
        pthread_cond_broadcast(&jobs->change);
    }
    jobs_check_invariants(jobs);
    jobs_unlock(jobs);
    return was_queued;
}

bool wr_jobs_rest(struct wr_jobs *jobs, const struct wr_job *job,
                  uint64_t limit_ns)
{
    jobs_lock(jobs);
    wr_assert(!job->is_queued);
    if (!job->is_unwanted && jobs->state == WR_JOBS_OPEN) {
        wr_ignore(!jobs_wait(jobs, &jobs->change, limit_ns));
    }
    const bool ends = job->is_unwanted || jobs->state != WR_JOBS_OPEN;
    jobs_unlock(jobs);
    return ends;
}

bool wr_jobs_are_open(struct wr_jobs *jobs)
{
    jobs_lock(jobs);
    const bool are_open = jobs->state == WR_JOBS_OPEN;
    jobs_unlock(jobs);
    return are_open;
}

void wr_jobs_hear(struct wr_jobs *jobs)
{
    jobs_lock(jobs);
    jobs->is_told = false;
    jobs_unlock(jobs);
}

void wr_jobs_take_done(struct wr_jobs *jobs, struct wr_list *ret)
{
    jobs_lock(jobs);
    wr_list_splice_back(ret, &jobs->done);
    jobs_unlock(jobs);
}

bool wr_jobs_are_over(struct wr_jobs *jobs)
{
    jobs_lock(jobs);
    const bool are_over =
        jobs->thread_count == 0 && wr_list_is_empty(&jobs->done);
    if (are_over) {
        jobs_join_ended(jobs);
    }
    jobs_unlock(jobs);
    return are_over;
}

void wr_jobs_shut(struct wr_jobs *jobs)
{
    jobs_lock(jobs);
    if (jobs->state == WR_JOBS_OPEN) {
        jobs_set_state(jobs, WR_JOBS_SHUT);
    }
    jobs_unlock(jobs);
}

uint32_t wr_jobs_end(struct wr_jobs *jobs, bool waits, struct wr_list *ret)
{
    jobs_lock(jobs);
    jobs->is_told = true; /* `tell` is not called any more */
    if (jobs->state == WR_JOBS_OPEN) {
        jobs_set_state(jobs, WR_JOBS_SHUT);
    }
    while (jobs->has_ended ||
           (waits ? jobs->thread_count : jobs->idle_count) > 0) {
        if (jobs->has_ended) {
            jobs_join_ended(jobs);
        } else {
            wr_ignore(!jobs_wait(jobs, &jobs->change, UINT64_MAX));
        }
    }
    wr_assert(jobs->idle_count == 0);
    wr_assert(wr_list_is_empty(&jobs->queue));
    jobs_set_state(jobs, WR_JOBS_LEFT);
    wr_list_splice_back(ret, &jobs->done);
    const uint32_t left_count = jobs->thread_count;
    jobs_unlock(jobs);
    return left_count;
}

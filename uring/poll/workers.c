/*
 * One mutex for the queue and for the finished operations: calls that can block
 * are long, and few. A thread does not touch the state of an operation, which
 * the loop's thread may read; it says by is_begun that it has taken it.
 */
#include "workers.h"

#include "../sys.h"
#include "../work.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Between two looks at what has no event. */
#define REST_NS 5000000u

int wr_ep_workers_open(struct wr_ep_workers *workers)
{
    memset(workers, 0, sizeof(*workers));
    workers->eventfd = wr_sys_eventfd_nonblock();
    wr_require(workers->eventfd >= 0, workers->eventfd);
    int err = pthread_mutex_init(&workers->mutex, NULL);
    wr_check(err == 0); /* it needs no memory */
    err = pthread_cond_init(&workers->has_work, NULL);
    wr_check(err == 0);
    pthread_condattr_t monotonic;
    err = pthread_condattr_init(&monotonic);
    wr_check(err == 0);
    err = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    wr_check(err == 0);
    err = pthread_cond_init(&workers->has_cancelled, &monotonic);
    wr_check(err == 0);
    wr_list_init(&workers->queued);
    wr_list_init(&workers->finished);
    return 0;
}

static void workers_lock(struct wr_ep_workers *workers)
{
    const int err = pthread_mutex_lock(&workers->mutex);
    wr_check(err == 0);
}

static void workers_unlock(struct wr_ep_workers *workers)
{
    const int err = pthread_mutex_unlock(&workers->mutex);
    wr_check(err == 0);
}

/* Takes the first queued operation; there is one. */
static struct wr_ep_op *workers_take(struct wr_ep_workers *workers)
{
    struct wr_list *link = wr_list_pop_front(&workers->queued);
    wr_assert(link);
    struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);

    wr_assert(!op->is_begun);
    op->is_begun = true;
    return op;
}

static void workers_finish(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    const bool was_empty = wr_list_is_empty(&workers->finished);

    wr_assert(op->is_begun);
    wr_list_push_back(&workers->finished, &op->link);
    if (was_empty) {
        wr_ignore(wr_sys_eventfd_write(workers->eventfd) < 0);
    }
}

struct workers_job {
    struct wr_ep_workers *workers;
    struct wr_ep_op *op;
};

/* The thread of an operation rests. */
static int workers_rest(void *arg)
{
    const struct workers_job *job = arg;
    struct wr_ep_workers *workers = job->workers;
    const uint64_t until_ns = wr_sys_now() + REST_NS;
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / 1000000000u),
        .tv_nsec = (long)(until_ns % 1000000000u),
    };

    workers_lock(workers);
    wr_assert(job->op->is_begun);
    if (!job->op->is_cancelled && !workers->is_ending) {
        wr_ignore(pthread_cond_timedwait(&workers->has_cancelled,
                                         &workers->mutex, &until) != 0);
    }
    const bool ends = job->op->is_cancelled || workers->is_ending;
    workers_unlock(workers);
    return ends ? -EINTR : 0;
}

static void workers_work(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    struct workers_job job = {workers, op};

    wr_assert(op->is_begun);
    op->res = wr_work(&op->sqe, workers_rest, &job);
}

static void *workers_run(void *arg)
{
    struct wr_ep_workers *workers = arg;

    workers_lock(workers);
    for (;;) {
        while (!wr_list_is_empty(&workers->queued)) {
            struct wr_ep_op *op = workers_take(workers);
            workers_unlock(workers);
            workers_work(workers, op);
            workers_lock(workers);
            workers_finish(workers, op);
        }
        if (workers->is_ending) {
            break;
        }
        workers->idle_count++;
        wr_ignore(pthread_cond_wait(&workers->has_work, &workers->mutex) != 0);
        wr_assert(workers->idle_count > 0);
        workers->idle_count--;
    }
    workers_unlock(workers);
    return NULL;
}

/* One more thread, which takes no signals; false: there is none. */
static bool workers_add_thread(struct wr_ep_workers *workers)
{
    sigset_t all;
    sigset_t old;

    wr_assert(workers->thread_count < WR_EP_WORKERS_MAX);
    wr_ignore(sigfillset(&all) < 0);
    wr_ignore(pthread_sigmask(SIG_SETMASK, &all, &old) != 0);
    const int err = pthread_create(&workers->threads[workers->thread_count],
                                   NULL, workers_run, workers);
    wr_ignore(pthread_sigmask(SIG_SETMASK, &old, NULL) != 0);
    workers->thread_count += err == 0;
    return err == 0;
}

void wr_ep_workers_push(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    wr_assert(op->state == WR_EP_WORKING);
    workers_lock(workers);
    op->is_begun = false;
    op->is_cancelled = false;
    wr_list_push_back(&workers->queued, &op->link);
    const bool has_idle = workers->idle_count > 0;
    if (!has_idle && workers->thread_count < WR_EP_WORKERS_MAX &&
        !workers_add_thread(workers) && workers->thread_count == 0) {
        wr_ignore(workers_take(workers) != op); /* the only one */
        op->res = -ECANCELED;
        workers_finish(workers, op);
    }
    wr_ignore(pthread_cond_signal(&workers->has_work) != 0);
    workers_unlock(workers);
}

bool wr_ep_workers_take_back(struct wr_ep_workers *workers, struct wr_ep_op *op)
{
    workers_lock(workers);
    const bool is_queued = !op->is_begun;
    wr_assert(op->state == WR_EP_WORKING);
    if (is_queued) {
        wr_list_remove(&op->link);
    } else {
        op->is_cancelled = true;
        wr_ignore(pthread_cond_broadcast(&workers->has_cancelled) != 0);
    }
    workers_unlock(workers);
    return is_queued;
}

struct wr_ep_op *wr_ep_workers_collect(struct wr_ep_workers *workers)
{
    workers_lock(workers);
    struct wr_list *link = wr_list_is_empty(&workers->finished)
                               ? NULL
                               : wr_list_pop_front(&workers->finished);
    workers_unlock(workers);
    if (!link) {
        return NULL;
    }
    struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
    wr_assert(op->state == WR_EP_WORKING);
    return op;
}

void wr_ep_workers_hear(struct wr_ep_workers *workers)
{
    wr_assert(workers->eventfd >= 0);
    wr_ignore(wr_sys_eventfd_drain(workers->eventfd) < 0);
}

/* Ends the queued operations that are no closes. */
static void workers_drop_queued(struct wr_ep_workers *workers,
                                struct wr_ep_ops *ops)
{
    struct wr_list *next;

    for (struct wr_list *link = workers->queued.next; link != &workers->queued;
         link = next) {
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        next = link->next;
        wr_assert(!op->is_begun);
        if (op->sqe.opcode != IORING_OP_CLOSE) {
            wr_list_remove(link);
            wr_ep_ops_end(ops, op, -ECANCELED, 0);
        }
    }
}

void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops)
{
    struct wr_ep_op *op;

    workers_lock(workers);
    wr_assert(!workers->is_ending);
    workers_drop_queued(workers, ops);
    workers->is_ending = true;
    wr_ignore(pthread_cond_broadcast(&workers->has_work) != 0);
    wr_ignore(pthread_cond_broadcast(&workers->has_cancelled) != 0);
    workers_unlock(workers);
    for (uint32_t i = 0; i < workers->thread_count; i++) {
        wr_ignore(pthread_join(workers->threads[i], NULL) != 0);
    }
    while ((op = wr_ep_workers_collect(workers))) {
        wr_ep_ops_end(ops, op, op->res, 0);
    }
    wr_ignore(pthread_cond_destroy(&workers->has_work) != 0);
    wr_ignore(pthread_cond_destroy(&workers->has_cancelled) != 0);
    wr_ignore(pthread_mutex_destroy(&workers->mutex) != 0);
    wr_ignore(wr_sys_close(workers->eventfd) < 0);
}

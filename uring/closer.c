/*
 * Closes of peers' descriptors; see closer.h.
 *
 * One mutex guards all shared state. No thread holds it while it closes,
 * allocates or makes a thread. A closer is referenced by its owner, by its lane
 * while it is busy, and by the mailbox while its item is posted. So it may
 * outlive its owner and the loop, and a close that blocks for ever delays
 * neither.
 *
 * A lane is a set of threads. Slow closes in one lane do not delay the closes
 * of empty sockets in the other. A forked child starts with empty lanes; queued
 * closes stay with the parent.
 */
#include "closer.h"

#include "alloc.h"
#include "check.h"
#include "jobs.h"
#include "sys.h"

#include <string.h>

#define THREADS_MAX 8u
#define STACK_BYTES (256u << 10)
#define IDLE_NS     UINT64_C(1000000000)

struct closer_batch {
    struct closer_batch *next;
    size_t count;
    int fds[];
};

struct wr_closer {
    struct wr_job job;
    struct closer_batch *first;
    struct closer_batch *last;
    struct wr_jobs *lane;
    uint32_t refs;
    bool is_busy; /* from the push of the job to the last close */
    bool is_awaited;
    bool is_posted;
    struct wr_wake *wake;
    struct wr_wake_item item;
    void (*on_idle)(void *arg); /* NULL if detached or never awaited */
    void *arg;
};

static pthread_mutex_t closer_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct wr_jobs closer_slow;
static struct wr_jobs closer_quick;

static pthread_once_t closer_once = PTHREAD_ONCE_INIT;
static int closer_once_error;

static void closer_lock(void)
{
    const int err = pthread_mutex_lock(&closer_mutex);
    wr_check(err == 0);
}

static void closer_unlock(void)
{
    const int err = pthread_mutex_unlock(&closer_mutex);
    wr_check(err == 0);
}

static void closer_unref(struct wr_closer *closer)
{
    closer_lock();
    wr_assert(closer->refs > 0);
    const bool is_last = --closer->refs == 0;
    closer_unlock();
    if (is_last) {
        wr_assert(!closer->first);
        wr_assert(!closer->is_busy);
        wr_free(wr_default_allocator(), closer, sizeof(*closer));
    }
}

/* Called on the thread of the mailbox's owner. */
static void closer_run_item(void *arg)
{
    struct wr_closer *closer = arg;

    closer_lock();
    wr_assert(closer->is_posted);
    closer->is_posted = false;
    void (*on_idle)(void *arg) = closer->on_idle;
    void *owner = closer->arg;
    closer_unlock();
    closer_unref(closer);
    if (on_idle) {
        on_idle(owner);
    }
}

static void closer_drop_item(void *arg)
{
    closer_unref(arg);
}

/* Must be called with the mutex locked. If the item is already posted, the
 * owner sees that the closer is idle when the item runs. */
static void closer_tell_owner(struct wr_closer *closer)
{
    if (!closer->is_awaited || closer->is_posted) {
        return;
    }
    closer->is_awaited = false;
    closer->is_posted = true;
    closer->refs++;
    closer->item = (struct wr_wake_item){
        .run = closer_run_item, .arg = closer, .drop = closer_drop_item};
    const int err = wr_wake_post_item(closer->wake, &closer->item);
    wr_check(err == 0); /* the owner is attached, so its mailbox is open */
}

static void closer_close_here(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* nothing was written, so no error is lost */
        wr_ignore(wr_sys_close(fds[i]) < 0);
    }
}

static void closer_free_batch(struct closer_batch *batch, size_t count)
{
    wr_free(wr_default_allocator(), batch,
            sizeof(*batch) + count * sizeof(int));
}

static void closer_run(struct wr_jobs *lane, struct wr_job *job)
{
    struct wr_closer *closer = wr_container_of(job, struct wr_closer, job);
    struct closer_batch *batch;

    closer_lock();
    wr_assert(closer->is_busy);
    wr_assert(closer->lane == lane);
    while ((batch = closer->first)) {
        closer->first = batch->next;
        closer_unlock();
        closer_close_here(batch->fds, batch->count);
        closer_free_batch(batch, batch->count);
        closer_lock();
    }
    closer->last = NULL;
    closer->is_busy = false;
    closer_tell_owner(closer);
    closer_unlock();
    closer_unref(closer);
}

static void closer_init_lanes(void)
{
    static const struct wr_jobs_kind kind = {.name = "weir-close",
                                             .stack_bytes = STACK_BYTES,
                                             .idle_ns = IDLE_NS,
                                             .run = closer_run};

    wr_jobs_init(&closer_slow, &kind, THREADS_MAX, UINT32_MAX);
    wr_jobs_init(&closer_quick, &kind, THREADS_MAX, UINT32_MAX);
}

/* Resets the mutex and the lanes: a thread of the parent may have used them. */
static void closer_after_fork_in_child(void)
{
    const int err = pthread_mutex_init(&closer_mutex, NULL);

    wr_check(err == 0);
    closer_init_lanes();
}

static void closer_prepare(void)
{
    closer_init_lanes();
    closer_once_error = pthread_atfork(NULL, NULL, closer_after_fork_in_child);
}

static struct wr_closer *closer_make(struct wr_jobs *lane)
{
    struct wr_closer *closer =
        wr_alloc(wr_default_allocator(), sizeof(*closer));

    if (closer) {
        memset(closer, 0, sizeof(*closer));
        wr_list_init(&closer->job.link);
        closer->lane = lane;
        closer->refs = 1;
    }
    return closer;
}

/* Queues a batch. Closes it in this call if there is no thread. */
static void closer_give(struct wr_closer *closer, struct closer_batch *batch)
{
    closer_lock();
    const bool was_busy = closer->is_busy;
    wr_assert(closer->refs > 0);
    wr_assert(was_busy || !closer->first);
    if (closer->first) {
        closer->last->next = batch;
    } else {
        closer->first = batch;
    }
    closer->last = batch;
    closer->is_busy = true;
    closer->refs += !was_busy;
    closer_unlock();
    if (!was_busy && wr_jobs_push(closer->lane, &closer->job) < 0) {
        closer_run(closer->lane, &closer->job);
    }
}

static void closer_close_in(struct wr_jobs *lane, struct wr_closer **closer,
                            const int *fds, size_t count)
{
    const int err = pthread_once(&closer_once, closer_prepare);
    wr_check(err == 0);
    struct closer_batch *batch =
        wr_alloc(wr_default_allocator(), sizeof(*batch) + count * sizeof(int));

    if (batch) {
        batch->next = NULL;
        batch->count = count;
        memcpy(batch->fds, fds, count * sizeof(int));
    }
    if (!*closer && closer_once_error == 0) {
        *closer = closer_make(lane);
    }
    if (batch && *closer) {
        closer_give(*closer, batch);
        return;
    }
    closer_close_here(fds, count);
    closer_free_batch(batch, count);
}

void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count)
{
    if (count > 0) {
        closer_close_in(&closer_slow, closer, fds, count);
    }
}

void wr_closer_close_alone(const int *fds, size_t count)
{
    struct wr_closer *closer = NULL;

    wr_closer_close(&closer, fds, count);
    wr_closer_detach(&closer);
}

void wr_closer_close_empty(int fd)
{
    struct wr_closer *closer = NULL;

    wr_assert(fd >= 0);
    closer_close_in(&closer_quick, &closer, &fd, 1);
    wr_closer_detach(&closer);
}

bool wr_closer_is_busy(struct wr_closer *closer, struct wr_wake *wake,
                       void (*on_idle)(void *arg), void *arg)
{
    if (!closer) {
        return false;
    }
    wr_assert(on_idle);
    closer_lock();
    closer->is_awaited = closer->is_busy;
    closer->wake = wake;
    closer->on_idle = on_idle;
    closer->arg = arg;
    const bool is_busy = closer->is_awaited;
    closer_unlock();
    return is_busy;
}

void wr_closer_detach(struct wr_closer **closer)
{
    if (!*closer) {
        return;
    }
    closer_lock();
    wr_assert((*closer)->refs > 0);
    (*closer)->is_awaited = false;
    (*closer)->on_idle = NULL;
    closer_unlock();
    closer_unref(*closer);
    *closer = NULL;
}

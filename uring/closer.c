/*
 * The threads that close peers' descriptors; see closer.h.
 *
 *     idle --something to close--> queued --a thread--> closing --all--> idle
 *
 * One mutex guards all shared state; no thread holds it while it closes,
 * allocates or makes a thread. A closer is referenced by its owner, by the pool
 * while it is queued or closing, and by the mailbox while its item is posted.
 * So a closer may outlive its owner and the loop, and a close that blocks for
 * ever delays neither. The item is posted under the mutex, and only while the
 * owner has not detached its closer, so the mailbox is still open.
 *
 * There are two lanes of threads: slow closes that fill one lane do not delay
 * the close of empty sockets, for which their peers wait.
 *
 * A forked child has none of the threads and begins with an empty pool: queued
 * closes stay with the parent.
 */
#include "closer.h"

#include "alloc.h"
#include "check.h"
#include "list.h"
#include "sys.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 8u
#define STACK_BYTES (256u << 10)
/* An idle thread ends after this time. */
#define IDLE_SECONDS 1

enum closer_state {
    CLOSER_IDLE,
    CLOSER_QUEUED,
    CLOSER_CLOSING,
    CLOSER_STATES,
};

/* The descriptors of one call. */
struct closer_batch {
    struct closer_batch *next;
    size_t count;
    int fds[];
};

struct wr_closer {
    struct wr_list link; /* in the pool's queue */
    struct closer_batch *first;
    struct closer_batch *last;
    enum closer_state state; /* written only by closer_set_state() */
    struct closer_lane *lane;
    uint32_t refs;
    bool is_awaited; /* the owner waits for on_idle */
    bool is_posted;  /* the item is in the mailbox or about to run */
    struct wr_wake *wake;
    struct wr_wake_item item;
    void (*on_idle)(void *arg); /* NULL: detached, or never awaited */
    void *arg;
};

/* Threads, and the closers that wait for a thread. */
struct closer_lane {
    pthread_cond_t work; /* wakes idle threads */
    struct wr_list queue;
    uint32_t queued_count;
    uint32_t idle_count;
    uint32_t thread_count; /* also starting threads */
};

static struct {
    pthread_mutex_t mutex;
    struct closer_lane slow;
    struct closer_lane quick; /* for closes that will hardly block */
} closer_pool;

static pthread_once_t closer_once = PTHREAD_ONCE_INIT;
static int closer_once_error;

static void closer_lock(void)
{
    const int err = pthread_mutex_lock(&closer_pool.mutex);
    wr_check(err == 0); /* cannot fail for a valid mutex */
}

static void closer_unlock(void)
{
    const int err = pthread_mutex_unlock(&closer_pool.mutex);
    wr_check(err == 0);
}

/* Under the mutex. */
static void closer_set_state(struct wr_closer *closer, enum closer_state state)
{
    static const uint8_t allowed[CLOSER_STATES] = {
        [CLOSER_IDLE] = 1u << CLOSER_QUEUED,
        [CLOSER_QUEUED] = 1u << CLOSER_CLOSING,
        [CLOSER_CLOSING] = 1u << CLOSER_IDLE,
    };
    wr_assert(allowed[closer->state] >> state & 1u);
    closer->state = state;
}

/* 0 or a positive error. */
static int closer_init_lane(struct closer_lane *lane)
{
    pthread_condattr_t attr;

    wr_list_init(&lane->queue);
    lane->queued_count = 0;
    lane->idle_count = 0;
    lane->thread_count = 0;
    int err = pthread_condattr_init(&attr);
    wr_require(err == 0, err);
    err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    wr_check(err == 0); /* every system has this clock */
    err = pthread_cond_init(&lane->work, &attr);
    pthread_condattr_destroy(&attr);
    return err;
}

/* 0 or a positive error. */
static int closer_init_pool(void)
{
    int err = pthread_mutex_init(&closer_pool.mutex, NULL);

    wr_require(err == 0, err);
    err = closer_init_lane(&closer_pool.slow);
    return err ? err : closer_init_lane(&closer_pool.quick);
}

/* Resets the pool, which another thread of the parent may have been
 * changing. */
static void closer_after_fork_in_child(void)
{
    closer_once_error = closer_init_pool();
}

static void closer_prepare(void)
{
    closer_once_error = closer_init_pool();
    if (closer_once_error == 0) {
        closer_once_error =
            pthread_atfork(NULL, NULL, closer_after_fork_in_child);
    }
}

static void closer_unref(struct wr_closer *closer)
{
    closer_lock();
    wr_assert(closer->refs > 0);
    const bool is_last = --closer->refs == 0;
    closer_unlock();
    if (is_last) {
        wr_assert(!closer->first);
        wr_assert(closer->state == CLOSER_IDLE);
        wr_free(wr_default_allocator(), closer, sizeof(*closer));
    }
}

/* ---- telling the owner ---- */

/* The owner of the mailbox runs the item. */
static void closer_run(void *arg)
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

/* The loop has ended before the item ran. */
static void closer_drop(void *arg)
{
    closer_unref(arg);
}

/* Under the mutex. If the item is posted already, the owner will see the new
 * state when it runs. */
static void closer_tell_owner(struct wr_closer *closer)
{
    if (!closer->is_awaited || closer->is_posted) {
        return;
    }
    closer->is_awaited = false;
    closer->is_posted = true;
    closer->refs++;
    closer->item = (struct wr_wake_item){
        .run = closer_run, .arg = closer, .drop = closer_drop};
    const int err = wr_wake_post_item(closer->wake, &closer->item);
    wr_check(err == 0); /* the owner is attached: its mailbox is open */
}

/* ---- closing ---- */

static void closer_close_batch(struct closer_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        wr_ignore(wr_sys_close(batch->fds[i]) < 0); /* nothing was written */
    }
    wr_free(wr_default_allocator(), batch,
            sizeof(*batch) + batch->count * sizeof(int));
}

/* Under the mutex, which is unlocked during closes. */
static void closer_close_all(struct wr_closer *closer)
{
    struct closer_batch *batch;

    closer_set_state(closer, CLOSER_CLOSING);
    while ((batch = closer->first)) {
        closer->first = batch->next;
        closer_unlock();
        closer_close_batch(batch);
        closer_lock();
    }
    closer->last = NULL;
    closer_set_state(closer, CLOSER_IDLE);
    closer_tell_owner(closer);
    closer_unlock();
    closer_unref(closer);
    closer_lock();
}

/* Under the mutex. */
static void closer_empty_queue(struct closer_lane *lane)
{
    struct wr_list *link;

    while ((link = wr_list_pop_front(&lane->queue))) {
        wr_assert(lane->queued_count > 0);
        lane->queued_count--;
        closer_close_all(wr_container_of(link, struct wr_closer, link));
    }
}

/* Under the mutex, which is unlocked during the wait. True: there is work. */
static bool closer_wait(struct closer_lane *lane)
{
    struct timespec until;
    int err = clock_gettime(CLOCK_MONOTONIC, &until);

    wr_check(err == 0);
    until.tv_sec += IDLE_SECONDS;
    lane->idle_count++;
    while (wr_list_is_empty(&lane->queue) && err == 0) {
        err = pthread_cond_timedwait(&lane->work, &closer_pool.mutex, &until);
    }
    lane->idle_count--;
    return !wr_list_is_empty(&lane->queue);
}

static void *closer_thread(void *arg)
{
    struct closer_lane *lane = arg;

    pthread_setname_np(pthread_self(), "weir-close");
    closer_lock();
    do {
        closer_empty_queue(lane);
    } while (closer_wait(lane));
    wr_assert(lane->thread_count > 0);
    lane->thread_count--;
    closer_unlock();
    return NULL;
}

/* Tries a small stack; a program with much thread-local data needs the default
 * size. */
static int closer_make_thread(struct closer_lane *lane)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int err = pthread_attr_init(&attr);

    wr_require(err == 0, err);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    wr_check(err == 0);
    const int small_err = pthread_attr_setstacksize(&attr, STACK_BYTES);
    err = small_err ? small_err
                    : pthread_create(&thread, &attr, closer_thread, lane);
    pthread_attr_destroy(&attr);
    if (err != 0 && pthread_create(&thread, NULL, closer_thread, lane) == 0) {
        pthread_detach(thread);
        err = 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* Starts a thread that was counted. If that fails and there is no other thread,
 * closes the whole queue here. */
static void closer_start_thread(struct closer_lane *lane)
{
    if (closer_make_thread(lane) == 0) {
        return;
    }
    closer_lock();
    wr_assert(lane->thread_count > 0);
    if (--lane->thread_count == 0) {
        closer_empty_queue(lane);
    }
    closer_unlock();
}

/* ---- the owner's side ---- */

static struct closer_batch *closer_make_batch(const int *fds, size_t count)
{
    struct closer_batch *batch =
        wr_alloc(wr_default_allocator(), sizeof(*batch) + count * sizeof(int));

    if (batch) {
        batch->next = NULL;
        batch->count = count;
        memcpy(batch->fds, fds, count * sizeof(int));
    }
    return batch;
}

static struct wr_closer *closer_make(struct closer_lane *lane)
{
    struct wr_closer *closer =
        wr_alloc(wr_default_allocator(), sizeof(*closer));

    if (closer) {
        memset(closer, 0, sizeof(*closer));
        wr_list_init(&closer->link);
        closer->lane = lane;
        closer->refs = 1;
    }
    return closer;
}

/* Under the mutex. True: a thread must be made; it is counted already. */
WEIR_MUST_USE static bool closer_enqueue(struct wr_closer *closer)
{
    struct closer_lane *lane = closer->lane;

    closer_set_state(closer, CLOSER_QUEUED);
    closer->refs++;
    wr_list_push_back(&lane->queue, &closer->link);
    lane->queued_count++;
    if (lane->queued_count <= lane->idle_count ||
        lane->thread_count == THREADS_MAX) {
        return false;
    }
    lane->thread_count++;
    return true;
}

static void closer_give(struct wr_closer *closer, struct closer_batch *batch)
{
    bool needs_thread = false;

    closer_lock();
    if (closer->first) {
        closer->last->next = batch;
    } else {
        closer->first = batch;
    }
    closer->last = batch;
    if (closer->state == CLOSER_IDLE) {
        needs_thread = closer_enqueue(closer);
    }
    closer_unlock();
    if (needs_thread) {
        closer_start_thread(closer->lane);
    } else {
        pthread_cond_signal(&closer->lane->work);
    }
}

static void closer_close_in(struct closer_lane *lane, struct wr_closer **closer,
                            const int *fds, size_t count)
{
    const int err = pthread_once(&closer_once, closer_prepare);
    wr_check(err == 0);
    struct closer_batch *batch = closer_make_batch(fds, count);
    if (!*closer && closer_once_error == 0) {
        *closer = closer_make(lane);
    }
    if (batch && *closer) {
        closer_give(*closer, batch);
        return;
    }
    for (size_t i = 0; i < count; i++) { /* the last resort */
        wr_ignore(wr_sys_close(fds[i]) < 0);
    }
    wr_free(wr_default_allocator(), batch,
            sizeof(*batch) + count * sizeof(int));
}

void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count)
{
    if (count > 0) {
        closer_close_in(&closer_pool.slow, closer, fds, count);
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
    closer_close_in(&closer_pool.quick, &closer, &fd, 1);
    wr_closer_detach(&closer);
}

bool wr_closer_is_busy(struct wr_closer *closer, struct wr_wake *wake,
                       void (*on_idle)(void *arg), void *arg)
{
    if (!closer) {
        return false;
    }
    closer_lock();
    closer->is_awaited = closer->state != CLOSER_IDLE;
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
    (*closer)->is_awaited = false;
    (*closer)->on_idle = NULL;
    closer_unlock();
    closer_unref(*closer);
    *closer = NULL;
}

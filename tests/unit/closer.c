/*
 * Closes in threads when memory or threads are not available: the caller
 * closes, or an existing thread does, and no descriptor is forgotten.
 *
 * tests/contract/close_fds.c tests that slow closes do not block the loop. The
 * program is linked so that the library's calls of malloc(), pthread_create()
 * and wr_sys_close() come here. It also runs under ThreadSanitizer.
 */
#define UNIT_RUN with_wake
#include "uring/closer.h"

#include "tests/unit.h"
#include "uring/alloc.h"
#include "uring/sys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { COUNT = 3 };

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __real_wr_sys_close(int fd);
int __wrap_wr_sys_close(int fd);

/* Failures of this thread's next calls: bit 0 for the first, bit 1 for the
 * second, and so on. */
static __thread unsigned failing_allocs;
static __thread unsigned failing_threads;

static bool fails(unsigned *bits)
{
    const bool is_due = *bits & 1u;
    *bits >>= 1;
    return is_due;
}

void *__wrap_malloc(size_t size)
{
    return fails(&failing_allocs) ? NULL : __real_malloc(size);
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg)
{
    return fails(&failing_threads) ? EAGAIN
                                   : __real_pthread_create(ret, attr, run, arg);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static __thread bool is_caller;
static int slow_fd = -1; /* its close by a thread blocks ... */
static bool is_slow;     /* ... and does now */
static int closed_by_caller;
static int closed_by_threads;

int __wrap_wr_sys_close(int fd)
{
    pthread_mutex_lock(&mutex);
    while (fd == slow_fd) {
        cr_assert(!is_caller, "the caller waits for a close");
        is_slow = true;
        pthread_cond_broadcast(&changed);
        pthread_cond_wait(&changed, &mutex);
    }
    *(is_caller ? &closed_by_caller : &closed_by_threads) += 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return __real_wr_sys_close(fd);
}

static void slow_let_end(void)
{
    pthread_mutex_lock(&mutex);
    slow_fd = -1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_until_slow(void)
{
    pthread_mutex_lock(&mutex);
    while (!is_slow) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void wait_until_threads_have_closed(int count)
{
    pthread_mutex_lock(&mutex);
    while (closed_by_threads < count) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void expect_closed(int by_caller, int by_threads)
{
    pthread_mutex_lock(&mutex);
    expect_eq(closed_by_caller, by_caller);
    expect_eq(closed_by_threads, by_threads);
    pthread_mutex_unlock(&mutex);
}

static struct wr_wake *wake;
static int told_count;

static void go_on(void *arg)
{
    expect_eq(arg, (void *)&told_count);
    told_count++;
}

static bool is_busy(struct wr_closer *closer)
{
    return wr_closer_is_busy(closer, wake, go_on, &told_count);
}

static void setup(void)
{
    is_caller = true;
    expect_eq(wr_wake_open(wr_default_allocator(), 1, &wake), 0);
}

static void finish(void)
{
    wr_wake_close(wake);
    cr_assert(!wr_wake_pop(wake));
    is_caller = false; /* of the eventfd */
    wr_wake_unref(wake);
}

/* Waits for the mailbox, and runs its entries. */
static void wait_until_told(void)
{
    struct pollfd posted = {.fd = wr_wake_fd(wake), .events = POLLIN};
    struct wr_wake_item *item;
    expect_eq(poll(&posted, 1, -1), 1);
    cr_assert(wr_wake_take(wake));
    while ((item = wr_wake_pop(wake))) {
        item->run(item->arg);
    }
}

/* Passes COUNT descriptors to the closer. */
static void close_some(struct wr_closer **closer)
{
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC);
        expect_geq(fds[i], 0);
    }
    wr_closer_close(closer, fds, COUNT);
}

static void close_some_slowly(struct wr_closer **closer)
{
    const int fd = eventfd(0, EFD_CLOEXEC);
    slow_fd = fd;
    wr_closer_close(closer, &fd, 1);
    wait_until_slow();
}

/* The allocations are for the descriptors and for the closer. */
static void expect_caller_closes_without(unsigned allocs)
{
    struct wr_closer *closer = NULL;
    setup();
    failing_allocs = allocs;
    close_some(&closer);
    expect_eq(failing_allocs, 0, "both have been asked for");
    expect_closed(COUNT, 0);
    cr_assert(!is_busy(closer));

    close_some(&closer);
    wait_until_threads_have_closed(COUNT);
    expect_closed(COUNT, COUNT);
    wr_closer_detach(&closer);
    finish();
}

static void with_wake(void (*body)(void))
{
    setup();
    body();
    finish();
}

UNIT_IN(closer, without_memory_for_the_descriptors_the_caller_closes,
        unit_alone, void)
{
    expect_caller_closes_without(1);
}

UNIT_IN(closer, without_memory_for_itself_the_caller_closes, unit_alone, void)
{
    expect_caller_closes_without(2);
}

UNIT_IN(closer, without_any_memory_the_caller_closes, unit_alone, void)
{
    expect_caller_closes_without(3);
}

UNIT(closer, without_memory_the_caller_closes_while_older_ones_wait)
{
    struct wr_closer *closer = NULL;
    close_some_slowly(&closer);
    failing_allocs = 1;
    close_some(&closer);
    expect_closed(COUNT, 0);
    cr_assert(is_busy(closer));

    slow_let_end();
    wait_until_told();
    expect_eq(told_count, 1);
    cr_assert(!is_busy(closer));
    expect_closed(COUNT, 1);
    wr_closer_detach(&closer);
}

UNIT(closer, without_memory_the_caller_closes_what_has_no_owner)
{
    const int fd = eventfd(0, EFD_CLOEXEC);
    const int other = eventfd(0, EFD_CLOEXEC);
    failing_allocs = 3;
    wr_closer_close_alone(&fd, 1);
    failing_allocs = 3;
    wr_closer_close_empty(other);

    expect_closed(2, 0);
}

/* More often than threads are allowed. */
UNIT(closer, without_a_thread_the_caller_closes)
{
    enum { TIMES = 20 };
    struct wr_closer *closer = NULL;
    for (int i = 1; i <= TIMES; i++) {
        failing_threads = 3; /* the second attempt asks for a larger stack */
        close_some(&closer);
        expect_eq(failing_threads, 0);
        expect_closed(i * COUNT, 0);
        cr_assert(!is_busy(closer));
    }

    close_some(&closer);
    wait_until_threads_have_closed(COUNT);
    expect_closed(TIMES * COUNT, COUNT);
    wr_closer_detach(&closer);
}

UNIT(closer, a_thread_may_need_a_larger_stack)
{
    struct wr_closer *closer = NULL;
    failing_threads = 1;
    close_some(&closer);
    wait_until_threads_have_closed(COUNT);

    expect_closed(0, COUNT);
    wr_closer_detach(&closer);
}

UNIT(closer, without_another_thread_they_wait_for_the_one_there_is)
{
    struct wr_closer *slow = NULL;
    struct wr_closer *closer = NULL;
    close_some_slowly(&slow);
    failing_threads = 3;
    close_some(&closer);
    expect_eq(failing_threads, 0);
    expect_closed(0, 0);
    cr_assert(is_busy(closer));

    slow_let_end();
    wait_until_told();
    expect_eq(told_count, 1);
    expect_closed(0, 1 + COUNT);
    wr_closer_detach(&slow);
    wr_closer_detach(&closer);
}

UNIT(closer, without_a_thread_the_caller_closes_what_has_no_owner)
{
    const int fd = eventfd(0, EFD_CLOEXEC);
    const int other = eventfd(0, EFD_CLOEXEC);
    failing_threads = 3;
    wr_closer_close_alone(&fd, 1);
    failing_threads = 3;
    wr_closer_close_empty(other);

    expect_closed(2, 0);
}

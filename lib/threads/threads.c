/*
 * Starting threads that each run a loop, and joining them.
 *
 * Each thread makes its loop itself, on its processor. The start waits until
 * have done so: either every main task runs, or none does. The caller of
 * weir_threads_run() is the first thread, because it only waits otherwise.
 */
#include "threads.h"

#include "lib/base/options.h"
#include "uring/alloc.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

/* also the capacity of cpu_set_t */
#define THREADS_MAX 1024u

/* Returns the number of processors that the process may use, or 0 if cpu_set_t
 * is too small for this machine. */
static uint32_t threads_read_cpus(cpu_set_t *ret)
{
    CPU_ZERO(ret);
    return sched_getaffinity(0, sizeof(*ret), ret) < 0
               ? 0
               : (uint32_t)CPU_COUNT(ret);
}

static void threads_assign_cpus(weir_threads *threads)
{
    int cpu = -1;

    wr_assert(threads->count > 0);
    if (threads_read_cpus(&threads->cpus) == 0) {
        return;
    }
    for (uint32_t i = 0; i < threads->count; i++) {
        do {
            cpu = (cpu + 1) % CPU_SETSIZE;
        } while (!CPU_ISSET((size_t)cpu, &threads->cpus));
        threads->threads[i].cpu = cpu;
    }
}

static uint32_t threads_count_cpus(void)
{
    cpu_set_t set;
    const uint32_t count = threads_read_cpus(&set);

    wr_assert(count <= CPU_SETSIZE);
    if (count > 0) {
        return count;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (uint32_t)wr_min_u64((uint64_t)online, THREADS_MAX);
}

static size_t threads_size_of(uint32_t count)
{
    return sizeof(weir_threads) + count * sizeof(weir_thread);
}

static void threads_free(weir_threads *threads)
{
    const struct weir_allocator allocator = threads->allocator;

    for (uint32_t i = 0; i < threads->count; i++) {
        wr_assert(!threads->threads[i].loop && !threads->threads[i].config);
        if (threads->threads[i].wake) {
            wr_wake_unref(threads->threads[i].wake);
        }
    }
    pthread_cond_destroy(&threads->changed);
    pthread_mutex_destroy(&threads->mutex);
    wr_free(&allocator, threads, threads_size_of(threads->count));
}

/* Does not make the configuration. */
static int threads_make(const struct weir_threads_options *known,
                        weir_threads **ret)
{
    struct weir_loop_options loop_options;
    int err = wr_options_read(&loop_options, sizeof(loop_options), known->loop);
    wr_require(err >= 0, err);
    loop_options.size = sizeof(loop_options);
    const struct weir_allocator *allocator = loop_options.allocator
                                                 ? loop_options.allocator
                                                 : wr_default_allocator();
    const uint32_t count =
        known->thread_count > 0 ? known->thread_count : threads_count_cpus();
    weir_threads *threads = wr_alloc(allocator, threads_size_of(count));
    wr_require(threads, -ENOMEM);
    memset(threads, 0, threads_size_of(count));
    threads->allocator = *allocator;
    threads->loop_options = loop_options;
    threads->count = count;
    threads->state = WR_THREADS_STARTING;
    threads->stop_ns = UINT64_MAX;
    threads->handles_signals = !known->no_signals;
    threads->grace_ns = known->grace_ns > 0 ? known->grace_ns : UINT64_MAX;
    threads->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    threads->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    for (uint32_t i = 0; i < count; i++) {
        wr_thread_init(&threads->threads[i], threads, i);
    }
    *ret = threads;
    return 0;
}

/* Starts threads until one cannot be started. Returns the number of started
 * threads, including the caller if has_caller is set. Sets *ret_err to 0 or the
 * error. */
static uint32_t threads_create(weir_threads *threads, int *ret_err)
{
    wr_assert(threads->state == WR_THREADS_STARTING);
    if (threads->has_caller) {
        threads->threads[0].id = pthread_self();
    }
    for (uint32_t i = threads->has_caller; i < threads->count; i++) {
        weir_thread *thread = &threads->threads[i];
        const int err =
            pthread_create(&thread->id, NULL, wr_thread_body, thread);
        if (err) {
            *ret_err = -err;
            return i;
        }
    }
    *ret_err = 0;
    return threads->count;
}

static void threads_join_first(weir_threads *threads, uint32_t count)
{
    wr_assert(count <= threads->count);
    for (uint32_t i = threads->has_caller; i < count; i++) {
        const int err = pthread_join(threads->threads[i].id, NULL);
        wr_check(err == 0);
    }
}

/* If this fails, all threads have ended. */
static int threads_start(weir_threads *threads, weir_threads **ret)
{
    int err;
    const uint32_t count = threads_create(threads, &err);

    wr_assert((err < 0) == (count < threads->count));
    if (threads->has_caller) {
        wr_thread_begin(&threads->threads[0]);
    }
    err = wr_threads_let_run(threads, count, err, ret);
    if (err == 0) {
        return 0;
    }
    if (threads->has_caller) {
        wr_thread_finish(&threads->threads[0]);
    }
    threads_join_first(threads, count);
    for (uint32_t i = count; i < threads->count; i++) {
        wr_config_end(&threads->threads[i]);
    }
    return err;
}

/* If @has_caller is true, the calling thread is the first thread. */
static int threads_begin(const struct weir_threads_options *options,
                         weir_thread_fn *fn, void *arg, bool has_caller,
                         weir_threads **ret)
{
    struct weir_threads_options known;
    weir_threads *threads = NULL;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err >= 0 && (!fn || known.thread_count > THREADS_MAX)) {
        err = -EINVAL;
    }
    if (err >= 0) {
        err = threads_make(&known, &threads);
    }
    if (err < 0) {
        if (known.config_release) {
            known.config_release(known.config_arg);
        }
        return err;
    }
    threads->fn = fn;
    threads->arg = arg;
    threads->has_caller = has_caller;
    if (!known.no_pinning) {
        threads_assign_cpus(threads);
    }
    err = wr_config_begin(threads, known.config, known.config_release,
                          known.config_arg);
    if (err >= 0) {
        err = threads_start(threads, ret);
    }
    if (err < 0) {
        threads_free(threads);
        return err;
    }
    return 0;
}

int weir_threads_start(const struct weir_threads_options *options,
                       weir_thread_fn *fn, void *arg, weir_threads **ret)
{
    return threads_begin(options, fn, arg, false, ret);
}

static bool threads_include_caller(const weir_threads *threads)
{
    wr_assert(threads->state == WR_THREADS_RUNNING);
    for (uint32_t i = 0; i < threads->count; i++) {
        if (pthread_equal(threads->threads[i].id, pthread_self())) {
            return true;
        }
    }
    return false;
}

static int threads_end(weir_threads *threads)
{
    threads_join_first(threads, threads->count);
    const int err = threads->err;
    wr_assert(err <= 0);
    wr_assert(threads->state == WR_THREADS_RUNNING);
    threads_free(threads);
    return err;
}

int weir_threads_join(weir_threads *threads)
{
    wr_require(!wr_wake_is_forked(threads->threads[0].wake), -ECHILD);
    wr_require(!threads_include_caller(threads), -EDEADLK);
    return threads_end(threads);
}

int weir_threads_run(const struct weir_threads_options *options,
                     weir_thread_fn *fn, void *arg)
{
    weir_threads *threads;
    const int err = threads_begin(options, fn, arg, true, &threads);

    if (err < 0) {
        return err;
    }
    wr_thread_finish(&threads->threads[0]);
    return threads_end(threads);
}

uint32_t weir_threads_get_count(const weir_threads *threads)
{
    return threads->count;
}

weir_thread *weir_threads_get(weir_threads *threads, uint32_t index)
{
    return index < threads->count ? &threads->threads[index] : NULL;
}

/*
 * State that the threads share: the number of made loops, the first error, and
 * the stop.
 *
 * A stop is an item in the mailbox of each loop. The item is a field of the
 * thread, so a stop needs no memory. While the item is posted, another stop can
 * only make the deadline earlier.
 */
#include "threads.h"

#include "lib/base/options.h"
#include "uring/sys.h"

/* The caller holds the mutex. */
static void stop_set_state(weir_threads *threads, enum wr_threads_state state)
{
    wr_assert(threads->state == WR_THREADS_STARTING);
    wr_assert(state != WR_THREADS_STARTING && state < WR_THREADS_STATES);
    threads->state = state;
    pthread_cond_broadcast(&threads->changed);
}

/* The caller holds the mutex. */
static void stop_note_error(weir_threads *threads, int err)
{
    wr_assert(err < 0);
    if (threads->err == 0) {
        threads->err = err;
    }
}

void wr_threads_note_made(weir_threads *threads, int err)
{
    wr_threads_lock(threads);
    wr_assert(threads->made_count < threads->count);
    threads->made_count++;
    if (err < 0) {
        stop_note_error(threads, err);
    }
    pthread_cond_broadcast(&threads->changed);
    wr_threads_unlock(threads);
}

bool wr_threads_wait_started(weir_threads *threads)
{
    wr_threads_lock(threads);
    wr_assert(threads->made_count > 0);
    while (threads->state == WR_THREADS_STARTING) {
        pthread_cond_wait(&threads->changed, &threads->mutex);
    }
    const bool may_run = threads->state == WR_THREADS_RUNNING;
    wr_threads_unlock(threads);
    return may_run;
}

int wr_threads_let_run(weir_threads *threads, uint32_t count, int err,
                       weir_threads **ret)
{
    wr_assert(count <= threads->count && (err < 0 || count == threads->count));
    wr_threads_lock(threads);
    while (threads->made_count < count) {
        pthread_cond_wait(&threads->changed, &threads->mutex);
    }
    if (err < 0) {
        stop_note_error(threads, err);
    }
    err = threads->err;
    if (err == 0) {
        *ret = threads;
    }
    stop_set_state(threads,
                   err < 0 ? WR_THREADS_ABANDONED : WR_THREADS_RUNNING);
    wr_threads_unlock(threads);
    return err;
}

/* The caller holds the mutex. */
static void stop_begin(weir_threads *threads, uint64_t grace_ns)
{
    const uint64_t end_ns = wr_add_sat(wr_sys_now(), grace_ns);

    wr_assert(threads->state == WR_THREADS_RUNNING);
    if (threads->is_stopping && end_ns >= threads->stop_ns) {
        return;
    }
    threads->is_stopping = true;
    threads->stop_ns = end_ns;
    for (uint32_t i = 0; i < threads->count; i++) {
        /* The post fails if the loop has ended. */
        weir_thread *thread = &threads->threads[i];
        wr_assert(thread->wake);
        if (!thread->is_stop_posted) {
            thread->is_stop_posted =
                wr_wake_post_item(thread->wake, &thread->stop_item) == 0;
        }
    }
}

void weir_threads_stop(weir_threads *threads, uint64_t grace_ns)
{
    if (wr_wake_is_forked(threads->threads[0].wake)) {
        return;
    }
    wr_threads_lock(threads);
    stop_begin(threads, grace_ns);
    wr_threads_unlock(threads);
}

void wr_threads_interrupt(weir_threads *threads)
{
    wr_threads_lock(threads);
    wr_assert(threads->state == WR_THREADS_RUNNING);
    stop_note_error(threads, -EINTR);
    stop_begin(threads, 0);
    wr_threads_unlock(threads);
}

uint64_t wr_threads_take_stop(weir_thread *thread)
{
    weir_threads *threads = thread->threads;

    wr_threads_lock(threads);
    wr_assert(thread->is_stop_posted && threads->is_stopping);
    thread->is_stop_posted = false;
    const uint64_t end_ns = threads->stop_ns;
    wr_threads_unlock(threads);
    return end_ns;
}

void wr_threads_note_end(weir_threads *threads, int result)
{
    wr_threads_lock(threads);
    wr_assert(threads->state == WR_THREADS_RUNNING);
    if (result < 0 && !(result == -ECANCELED && threads->is_stopping)) {
        stop_note_error(threads, result);
        stop_begin(threads, threads->grace_ns);
    }
    wr_threads_unlock(threads);
}

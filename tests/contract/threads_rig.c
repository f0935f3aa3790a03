/*
 * Threads that serve until a stop cancels them.
 *
 * A test waits until all of them run, so that a stop finds each in its main
 * task, not before its start; and it waits until a thread has ended, which is
 * when its mailbox is closed.
 */
#include "tests/contract/threads_rig.h"

struct served served;

void open_served(void)
{
    expect_eq(sem_init(&served.runs, 0, 0), 0);
    expect_eq(sem_init(&served.cancels, 0, 0), 0);
}

int serve_until_cancelled(weir_thread *thread, void *arg)
{
    struct served *s = arg;
    const uint32_t index = weir_thread_get_index(thread);
    s->ids[index] = pthread_self();
    s->started_count[index]++;
    expect_eq(sem_post(&s->runs), 0);
    if ((int)index == s->failing) {
        return s->result;
    }
    for (;;) {
        const int err =
            weir_sleep(weir_thread_get_loop(thread), FAILSAFE_S * 1000 * MS);
        expect_eq(err, -ECANCELED, "nobody cancelled thread %u", index);
        const bool is_last = ++s->cancelled_count[index] > s->patience;
        expect_eq(sem_post(&s->cancels), 0);
        if (is_last) {
            return err;
        }
    }
}

weir_threads *start_serving(const struct weir_threads_options *options,
                            int patience)
{
    weir_threads *threads;
    struct weir_threads_options own = {.size = sizeof(own)};
    if (options) {
        own = *options;
    }
    own.thread_count = THREADS;
    served = (struct served){.patience = patience, .failing = -1};
    open_served();
    expect_eq(
        weir_threads_start(&own, serve_until_cancelled, &served, &threads), 0);
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    return threads;
}

static void do_nothing(void *arg)
{
}

void wait_for_end(weir_thread *thread)
{
    while (weir_thread_call_soon(thread, do_nothing, NULL, NULL) !=
           -ESHUTDOWN) {
        sched_yield();
    }
}

void end_serving(weir_threads *threads)
{
    weir_threads_stop(threads, UINT64_MAX);
    expect_eq(weir_threads_join(threads), 0);
}

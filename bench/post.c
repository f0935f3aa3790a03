/*
 * The posting thread and the account. Messages are in a ring of the window's
 * size, so nothing is allocated; they must arrive in order and once.
 *
 * The figure is the CPU time of both threads for each message, because a cheap
 * wake-up on one side may be expensive on the other.
 */
#include "bench/post.h"

#include "bench/bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static struct post_message messages[POST_WINDOW];
static _Atomic uint64_t received_count;
static pthread_t thread;
static bool has_thread;
static uint64_t posted_count; /* used by the posting thread */
static uint64_t start_cpu_ns;
static uint64_t start_ns;
static void (*post_message)(struct post_message *message);

void post_begin(void)
{
    start_cpu_ns = bench_process_cpu_ns();
    start_ns = bench_now_ns();
}

bool post_some(void (*post)(struct post_message *message))
{
    for (; posted_count < POST_COUNT; posted_count++) {
        struct post_message *message = &messages[posted_count % POST_WINDOW];

        if (posted_count -
                atomic_load_explicit(&received_count, memory_order_acquire) >=
            POST_WINDOW) {
            return true;
        }
        message->number = posted_count;
        post(message);
    }
    return false;
}

static void *run_poster(void *arg)
{
    const struct timespec pause = {.tv_nsec = POST_PAUSE_NS};

    (void)arg;
    bench_pin(1);
    while (post_some(post_message)) {
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void post_start(void (*post)(struct post_message *message))
{
    post_message = post;
    post_begin();
    has_thread = true;
    /* With only one CPU, the threads share it. */
    bench_pin(0);
    if (pthread_create(&thread, NULL, run_poster, NULL) != 0) {
        bench_die_err("pthread_create", -1);
    }
}

bool post_received(const struct post_message *message)
{
    uint64_t count =
        atomic_load_explicit(&received_count, memory_order_relaxed);

    if (message->number != count) {
        bench_die_err("a message out of order", -1);
    }
    atomic_store_explicit(&received_count, count + 1, memory_order_release);
    return count + 1 < POST_COUNT;
}

void post_report(const char *name)
{
    if (has_thread) {
        pthread_join(thread, NULL);
    }
    printf("{\"name\": \"%s\", \"messages\": %u, \"cpu_ns\": %.1f, "
           "\"wall_ns\": %.1f}\n",
           name, POST_COUNT,
           (double)(bench_process_cpu_ns() - start_cpu_ns) / POST_COUNT,
           (double)(bench_now_ns() - start_ns) / POST_COUNT);
}

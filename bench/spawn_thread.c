/*
 * The work of spawn_weir.c with threads, one after the other and a hundred at a
 * time.
 *
 * The process is pinned to one CPU, where threads are cheapest to make and
 * join, because no other CPU must be woken.
 */
#include "bench/bench.h"
#include "bench/tasks.h"

#include <pthread.h>

static void *return_at_once(void *arg)
{
    return arg;
}

static double measure(uint32_t at_a_time)
{
    pthread_t threads[TASKS_COUNT];
    uint64_t start_ns = bench_process_cpu_ns();

    for (uint32_t done = 0; done < TASKS_THREADS; done += at_a_time) {
        for (uint32_t i = 0; i < at_a_time; i++) {
            int err = pthread_create(&threads[i], NULL, return_at_once, NULL);

            if (err != 0) {
                bench_die_err("pthread_create", err);
            }
        }
        for (uint32_t i = 0; i < at_a_time; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    return tasks_ns_each(start_ns, TASKS_THREADS);
}

int main(void)
{
    bench_pin(0);
    double alone = measure(1);

    tasks_report("spawn_ns", alone, "spawn_many_ns", measure(TASKS_COUNT));
    return 0;
}

/*
 * Tasks of a group that all wait for the next loop iteration and end in it: a
 * hundred at a time and 5,000 at a time, alternately.
 *
 * 5,000 tasks do not fit into the processor's caches and TLB. Earlier tasks
 * have already made the stacks.
 */
#include "bench/bench.h"
#include "bench/tasks.h"

#include <weir/task.h>

#define MANY   5000
#define ROUNDS 10

static int wait_a_turn(weir_loop *loop, void *arg)
{
    (void)arg;
    return weir_sleep(loop, 0);
}

static void run_group(weir_loop *loop, uint32_t count)
{
    struct weir_task_group group;
    int err = weir_task_group_begin(loop, &group);

    for (uint32_t i = 0; i < count && err == 0; i++) {
        err = weir_task_group_spawn(&group, wait_a_turn, NULL, NULL, NULL);
    }
    err = weir_task_group_end(&group, err);
    if (err < 0) {
        bench_die_err("weir_task_group_end", err);
    }
}

/* Returns the CPU time of a task in nanoseconds, with @at_a_time at once. */
static double measure(weir_loop *loop, uint32_t at_a_time)
{
    const uint64_t start_ns = bench_process_cpu_ns();

    for (uint32_t done = 0; done < TASKS_SPAWNS / ROUNDS; done += at_a_time) {
        run_group(loop, at_a_time);
    }
    return tasks_ns_each(start_ns, TASKS_SPAWNS / ROUNDS);
}

static int run(weir_loop *loop, void *arg)
{
    double few = 0;
    double many = 0;

    (void)arg;
    run_group(loop, MANY);
    for (int i = 0; i < ROUNDS; i++) {
        few += measure(loop, TASKS_COUNT) / ROUNDS;
        many += measure(loop, MANY) / ROUNDS;
    }
    tasks_report("burst_few_ns", few, "burst_many_ns", many);
    return 0;
}

int main(void)
{
    int err = weir_run(NULL, run, NULL);

    if (err < 0) {
        bench_die_err("weir_run", err);
    }
    return 0;
}

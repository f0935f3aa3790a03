/*
 * Tasks that return at once, spawned and joined, one after the other and a
 * hundred at a time.
 *
 * A single task pays for whole loop iterations; a hundred share them, but need
 * a hundred stacks.
 */
#include "bench/bench.h"
#include "bench/tasks.h"

#include <weir/task.h>

static int return_at_once(weir_loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
    return 0;
}

static double measure(weir_loop *loop, uint32_t at_a_time)
{
    weir_task *tasks[TASKS_COUNT];
    uint64_t start_ns = bench_process_cpu_ns();

    for (uint32_t done = 0; done < TASKS_SPAWNS; done += at_a_time) {
        for (uint32_t i = 0; i < at_a_time; i++) {
            if (weir_task_spawn(loop, return_at_once, NULL, NULL, &tasks[i]) <
                0) {
                bench_die_err("weir_task_spawn", -1);
            }
        }
        for (uint32_t i = 0; i < at_a_time; i++) {
            if (weir_task_join(tasks[i], NULL) < 0) {
                bench_die_err("weir_task_join", -1);
            }
        }
    }
    return tasks_ns_each(start_ns, TASKS_SPAWNS);
}

static int run(weir_loop *loop, void *arg)
{
    double alone = measure(loop, 1);

    (void)arg;
    tasks_report("spawn_ns", alone, "spawn_many_ns",
                 measure(loop, TASKS_COUNT));
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

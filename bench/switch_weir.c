/*
 * Switches between weir's tasks: each task yields, and continues in the next
 * loop iteration.
 *
 * A yield is two switches of the stack, to the loop and back, and an entry in
 * the ready queue.
 */
#include "bench/bench.h"
#include "bench/tasks.h"

#include <weir/task.h>

static uint64_t yield_count;

static int yield_often(weir_loop *loop, void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < yield_count; i++) {
        if (weir_yield(loop) < 0) {
            bench_die_err("weir_yield", -1);
        }
    }
    return 0;
}

static double measure(weir_loop *loop, uint32_t task_count, uint64_t count)
{
    weir_task *tasks[TASKS_COUNT];
    uint64_t start_ns = bench_process_cpu_ns();

    yield_count = count / task_count;
    for (uint32_t i = 0; i < task_count; i++) {
        if (weir_task_spawn(loop, yield_often, NULL, NULL, &tasks[i]) < 0) {
            bench_die_err("weir_task_spawn", -1);
        }
    }
    for (uint32_t i = 0; i < task_count; i++) {
        if (weir_task_join(tasks[i], NULL) < 0) {
            bench_die_err("weir_task_join", -1);
        }
    }
    return tasks_ns_each(start_ns, count);
}

static int run(weir_loop *loop, void *arg)
{
    double many = measure(loop, TASKS_COUNT, TASKS_SWITCHES);

    (void)arg;
    tasks_report("switch_ns", many, "turn_ns", measure(loop, 1, TASKS_TURNS));
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

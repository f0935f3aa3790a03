/*
 * The counterpart of a task switch in libuv: idle handles, whose callbacks run
 * once per loop iteration.
 *
 * A callback keeps no stack and saves no registers, so this is a lower bound.
 */
#include "bench/bench.h"
#include "bench/tasks.h"

#include <uv.h>

static uint64_t calls_left;

static void on_idle(uv_idle_t *idle)
{
    if (--calls_left == 0) {
        uv_stop(idle->loop);
    }
}

static double measure(uv_loop_t *loop, uint32_t handle_count, uint64_t count)
{
    uv_idle_t handles[TASKS_COUNT];
    uint64_t start_ns = bench_process_cpu_ns();

    calls_left = count;
    for (uint32_t i = 0; i < handle_count; i++) {
        uv_idle_init(loop, &handles[i]);
        uv_idle_start(&handles[i], on_idle);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    for (uint32_t i = 0; i < handle_count; i++) {
        uv_close((uv_handle_t *)&handles[i], NULL);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    return tasks_ns_each(start_ns, count);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    double many = measure(loop, TASKS_COUNT, TASKS_SWITCHES);

    tasks_report("switch_ns", many, "turn_ns", measure(loop, 1, TASKS_TURNS));
    return 0;
}

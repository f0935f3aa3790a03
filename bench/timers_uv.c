/*
 * The timer pattern with libuv. A move is uv_timer_start() on an armed timer,
 * which removes it from the heap and inserts it again. An idle handle runs the
 * pattern once per loop iteration.
 */
#include "bench/bench.h"
#include "bench/timers.h"

#include <uv.h>

static uv_loop_t *loop;
static uv_timer_t *timers;

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    bench_die_err("a timer expired", -1);
}

static void arm(uint32_t index, uint64_t timeout_ms)
{
    uv_timer_start(&timers[index], on_timer, timeout_ms, 0);
}

static void cancel(uint32_t index)
{
    uv_timer_stop(&timers[index]);
}

static const struct timers_ops ops = {
    .name = "libuv",
    .arm = arm,
    .move = arm,
    .cancel = cancel,
};

static void on_turn(uv_idle_t *idle)
{
    if (!timers_turn(&ops)) {
        uv_idle_stop(idle);
        uv_stop(loop);
    }
}

int main(int argc, char **argv)
{
    uv_idle_t idle;

    timers_parse(argc, argv);
    loop = uv_default_loop();
    timers = bench_alloc(TIMERS_COUNT * sizeof(uv_timer_t));
    for (uint32_t i = 0; i < TIMERS_COUNT; i++) {
        uv_timer_init(loop, &timers[i]);
    }
    uv_idle_init(loop, &idle);
    uv_idle_start(&idle, on_turn);
    uv_run(loop, UV_RUN_DEFAULT);
    timers_report(&ops);
    return 0;
}

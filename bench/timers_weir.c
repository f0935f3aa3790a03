/*
 * The timer pattern with weir. A move is weir_handle_reschedule(), which keeps
 * the handle. Each step of the pattern is one call_soon(), so one loop
 * iteration, including the work that weir defers to it.
 */
#include "bench/bench.h"
#include "bench/timers.h"

#include <weir/loop.h>

static weir_loop *loop;
static struct weir_handle *handles;

static void on_timer(void *arg)
{
    (void)arg;
    bench_die_err("a timer expired", -1);
}

static void arm(uint32_t index, uint64_t timeout_ms)
{
    int err = weir_loop_call_later(loop, timeout_ms * 1000000, on_timer, NULL,
                                   &handles[index]);

    if (err < 0) {
        bench_die_err("weir_loop_call_later", err);
    }
}

static void move(uint32_t index, uint64_t timeout_ms)
{
    uint64_t when = weir_loop_get_time(loop) + timeout_ms * 1000000;

    if (!weir_handle_reschedule(loop, handles[index], when)) {
        bench_die_err("weir_handle_reschedule", -1);
    }
}

static void cancel(uint32_t index)
{
    if (!weir_handle_cancel(loop, handles[index])) {
        bench_die_err("weir_handle_cancel", -1);
    }
}

static const struct timers_ops ops = {
    .name = "weir",
    .arm = arm,
    .move = move,
    .cancel = cancel,
};

static void on_turn(void *arg)
{
    int err = 0;

    (void)arg;
    if (!timers_turn(&ops)) {
        weir_loop_stop(loop);
        return;
    }
    err = weir_loop_call_soon(loop, on_turn, NULL, NULL);
    if (err < 0) {
        bench_die_err("weir_loop_call_soon", err);
    }
}

int main(int argc, char **argv)
{
    int err = weir_loop_new(NULL, &loop);

    timers_parse(argc, argv);
    handles = bench_alloc(TIMERS_COUNT * sizeof(struct weir_handle));
    if (err >= 0) {
        err = weir_loop_call_soon(loop, on_turn, NULL, NULL);
    }
    if (err >= 0) {
        err = weir_loop_run(loop);
    }
    if (err < 0) {
        bench_die_err("weir", err);
    }
    timers_report(&ops);
    return weir_loop_free(loop) < 0 ? 1 : 0;
}

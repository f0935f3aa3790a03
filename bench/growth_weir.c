/*
 * Many timers that all expire, or many tasks that all wait and end together, on
 * one loop, for counts of instructions.
 *
 * A tool counts the instructions of the process for two numbers of timers or
 * tasks. The cost of one is the same if no function visits all of them.
 */
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <weir/loop.h>
#include <weir/task.h>

#define SPREAD_NS 200000000U /* all timers expire within this time */

static uint32_t left;

static void on_timer(void *arg)
{
    if (--left == 0) {
        weir_loop_stop(arg);
    }
}

static void run_timers(uint32_t count)
{
    uint64_t state = 1;
    weir_loop *loop = NULL;
    int err = weir_loop_new(NULL, &loop);

    left = count;
    for (uint32_t i = 0; i < count && err >= 0; i++) {
        err = weir_loop_call_later(loop, bench_random(&state) % SPREAD_NS,
                                   on_timer, loop, NULL);
    }
    if (err >= 0) {
        err = weir_loop_run(loop);
    }
    if (err >= 0) {
        err = weir_loop_free(loop);
    }
    if (err < 0) {
        bench_die_err("timers", err);
    }
}

static int wait_a_turn(weir_loop *loop, void *arg)
{
    (void)arg;
    return weir_sleep(loop, 0);
}

static int run_group(weir_loop *loop, void *arg)
{
    const uint32_t *count = arg;
    struct weir_task_group group;
    int err = weir_task_group_begin(loop, &group);

    for (uint32_t i = 0; i < *count && err == 0; i++) {
        err = weir_task_group_spawn(&group, wait_a_turn, NULL, NULL, NULL);
    }
    return weir_task_group_end(&group, err);
}

int main(int argc, char **argv)
{
    uint32_t count = argc == 3 ? bench_parse_number(argv[2], 1, 10000000) : 0;

    if (count > 0 && strcmp(argv[1], "timers") == 0) {
        run_timers(count);
        return 0;
    }
    if (count > 0 && strcmp(argv[1], "tasks") == 0) {
        int err = weir_run(NULL, run_group, &count);

        if (err < 0) {
            bench_die_err("tasks", err);
        }
        return 0;
    }
    fprintf(stderr, "Usage: growth_weir timers|tasks COUNT\n");
    return 1;
}

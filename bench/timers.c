/*
 * The timer pattern: the first iteration arms a million timers, the next
 * thousand iterations make two thousand random steps each (three of four move a
 * timer, one cancels it; a timer that is not armed is armed), and the last
 * cancels the rest.
 *
 * Time-outs are 10 to 70 s, like those of connections, so none expires. The
 * figure is the CPU time for each operation.
 */
#include "bench/timers.h"

#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 0x2545f4914f6cdd1dULL;
static uint64_t start_ns;
static uint64_t arm_ns;
static uint64_t step_ns;
static uint64_t end_ns;
static uint32_t turn;
static uint64_t least_ms = 10000;
static bool is_armed[TIMERS_COUNT];

static uint64_t random_timeout(void)
{
    return least_ms + (bench_random(&random_state) >> 20) % 60000;
}

static void arm_all(const struct timers_ops *ops)
{
    start_ns = bench_process_cpu_ns();
    for (uint32_t i = 0; i < TIMERS_COUNT; i++) {
        ops->arm(i, random_timeout());
        is_armed[i] = true;
    }
    arm_ns = bench_process_cpu_ns();
}

static void step(const struct timers_ops *ops)
{
    uint64_t number = bench_random(&random_state) >> 16;
    uint32_t index = (uint32_t)(number % TIMERS_COUNT);
    bool toggles = (number >> 40) % 4 == 0;

    if (!is_armed[index]) {
        ops->arm(index, random_timeout());
        is_armed[index] = true;
    } else if (toggles) {
        ops->cancel(index);
        is_armed[index] = false;
    } else {
        ops->move(index, random_timeout());
    }
}

static void cancel_all(const struct timers_ops *ops)
{
    step_ns = bench_process_cpu_ns();
    for (uint32_t i = 0; i < TIMERS_COUNT; i++) {
        if (is_armed[i]) {
            ops->cancel(i);
        }
    }
    end_ns = bench_process_cpu_ns();
}

bool timers_turn(const struct timers_ops *ops)
{
    if (turn == 0) {
        arm_all(ops);
    } else if (turn <= TIMERS_STEP_TURNS) {
        for (uint32_t i = 0; i < TIMERS_STEP_COUNT; i++) {
            step(ops);
        }
    } else {
        cancel_all(ops);
    }
    return turn++ <= TIMERS_STEP_TURNS;
}

void timers_parse(int argc, char **argv)
{
    if (argc == 2) {
        least_ms = strtoull(argv[1], NULL, 10) * 1000;
    }
    if (argc > 2 || least_ms == 0) {
        fprintf(stderr, "usage: %s [SECONDS]\n", argv[0]);
        exit(2);
    }
}

void timers_report(const struct timers_ops *ops)
{
    double steps = (double)TIMERS_STEP_TURNS * TIMERS_STEP_COUNT;

    printf("{\"name\": \"%s\", \"timers\": %u, \"arm_ns\": %.1f, "
           "\"step_ns\": %.1f, \"cancel_ns\": %.1f, \"total_ns\": %.1f}\n",
           ops->name, TIMERS_COUNT,
           (double)(arm_ns - start_ns) / (double)TIMERS_COUNT,
           (double)(step_ns - arm_ns) / steps,
           (double)(end_ns - step_ns) / (double)TIMERS_COUNT,
           (double)(end_ns - start_ns) / (steps + 2 * (double)TIMERS_COUNT));
}

/*
 * The pattern of the timer comparison, the same for every library: arm a
 * million timers, then move and cancel at random. A thousand iterations have
 * steps, so that work that a library defers to the iteration is included.
 *
 * A library is a table of three functions; the pattern, the random numbers and
 * the clock are shared, so only the timers differ.
 */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_COUNT      1000000
#define TIMERS_STEP_TURNS 1000 /* loop iterations with steps */
#define TIMERS_STEP_COUNT 2000 /* steps in an iteration */

struct timers_ops {
    const char *name;
    void (*arm)(uint32_t index, uint64_t timeout_ms);
    void (*move)(uint32_t index, uint64_t timeout_ms); /* of an armed timer */
    void (*cancel)(uint32_t index);
};

/* Called in each loop iteration. Returns false when all is done. */
bool timers_turn(const struct timers_ops *ops);

/* Prints a JSON object. */
void timers_report(const struct timers_ops *ops);

/* The shortest time-out in seconds. The longest is a minute longer. The default
 * is 10; a program that runs slowly under a tool needs more. */
void timers_parse(int argc, char **argv);

#endif

/*
 * The pattern of the timer comparison, the same for every library: arm a
 * million, then move and cancel at random, a thousand steps in each turn of
 * the loop, so that what a library defers to its turn is paid as well.
 *
 * A library is a table of three functions; the pattern, the random numbers and
 * the clock are shared, so a difference is the timers' alone.
 */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_COUNT      1000000
#define TIMERS_STEP_TURNS 1000 /* turns of the loop with steps */
#define TIMERS_STEP_COUNT 2000 /* steps in a turn */

struct timers_ops {
    const char *name;
    void (*arm)(uint32_t index, uint64_t timeout_ms);
    void (*move)(uint32_t index, uint64_t timeout_ms); /* an armed one */
    void (*cancel)(uint32_t index);
};

/* Called by the library's loop once a turn; true while there is more to do. */
bool timers_turn(const struct timers_ops *ops);

/* Print the result as one JSON object. */
void timers_report(const struct timers_ops *ops);

/* The shortest time-out in seconds, where a tool makes the program slow; else
 * 10. The longest is a minute longer. */
void timers_parse(int argc, char **argv);

#endif

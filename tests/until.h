/*
 * Turns of a loop until a condition holds.
 *
 *     RUN_UNTIL(loop, side->lost > 0);
 *
 * The condition is an expression. It is evaluated before the first turn and
 * after each turn, between runs of the loop. Each turn waits for an event. A
 * condition that does not hold after a minute fails the test, which prints the
 * condition and what the loop has in flight.
 */
#ifndef WEIR_TESTS_UNTIL_H
#define WEIR_TESTS_UNTIL_H

#include "expect.h"

#include <time.h>
#include <weir/inspect.h>
#include <weir/loop.h>

#define UNTIL_LIMIT_NS (60 * UINT64_C(1000000000))

struct until {
    weir_loop *loop;
    const char *condition;
    const char *context[2];
    struct weir_handle guard;
};

static inline void until_expire(void *arg)
{
    const struct until *until = arg;
    weir_loop_dump(until->loop, stderr);
    cr_assert_fail("%s%swaited in vain for %s", until->context[0],
                   until->context[1], until->condition);
}

static inline void until_begin(struct until *until)
{
    expect_eq(weir_loop_call_later(until->loop, UNTIL_LIMIT_NS, until_expire,
                                   until, &until->guard),
              0);
}

static inline bool until_has_turned(void *arg)
{
    bool *has_turned = arg;
    const bool result = *has_turned;
    *has_turned = true;
    return result;
}

static inline void until_turn(const struct until *until)
{
    bool has_turned = false;
    expect_eq(weir_loop_run_until(until->loop, until_has_turned, &has_turned),
              0);
}

static inline void until_end(const struct until *until)
{
    weir_handle_cancel(until->loop, until->guard);
}

#define RUN_UNTIL(its_loop, its_condition)                                     \
    do {                                                                       \
        struct until until_state = {.loop = (its_loop),                        \
                                    .condition = #its_condition,               \
                                    .context = {EXPECT_CONTEXT}};              \
        until_begin(&until_state);                                             \
        while (!(its_condition)) {                                             \
            until_turn(&until_state);                                          \
        }                                                                      \
        until_end(&until_state);                                               \
    } while (0)

static inline uint64_t until_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Like RUN_UNTIL() for tests that turn the loop themselves: @turn is a
 * statement. */
#define TURN_UNTIL(turn, condition)                                            \
    do {                                                                       \
        const uint64_t until_ns = until_clock_ns() + UNTIL_LIMIT_NS;           \
        while (!(condition)) {                                                 \
            cr_assert(until_clock_ns() < until_ns,                             \
                      "%s%swaited in vain for %s", EXPECT_CONTEXT,             \
                      #condition);                                             \
            turn;                                                              \
        }                                                                      \
    } while (0)

#endif

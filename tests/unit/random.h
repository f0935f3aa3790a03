/*
 * Random numbers for unit tests, with a seed that is printed and accepted.
 *
 * The seed comes from the environment variable WEIR_TEST_SEED, or from the
 * clock. It is always printed, so that a failure can be repeated. The generator
 * is splitmix64: small, and good enough for test cases.
 */
#ifndef WEIR_TESTS_UNIT_RANDOM_H
#define WEIR_TESTS_UNIT_RANDOM_H

#include "tests/unit.h"

#include <stdint.h>
#include <time.h>

struct unit_random {
    uint64_t state;
};

static inline uint64_t unit_random_seed(struct unit_random *self)
{
    const char *text = getenv("WEIR_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0)
                         : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
    fprintf(stderr, "WEIR_TEST_SEED=%llu\n", (unsigned long long)seed);
    self->state = seed;
    return seed;
}

static inline struct unit_random unit_random_new(void)
{
    struct unit_random random;
    unit_random_seed(&random);
    return random;
}

static inline uint64_t unit_random_next(struct unit_random *self)
{
    self->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = self->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* Returns a number below @bound, which is not 0. */
static inline uint64_t unit_random_below(struct unit_random *self,
                                         uint64_t bound)
{
    return unit_random_next(self) % bound;
}

#endif

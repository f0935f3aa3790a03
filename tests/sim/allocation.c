/*
 * Each allocation fails in turn.
 *
 * A schedule is run with its first allocation failing, then its second, and so
 * on until a run has no failure; once with only that allocation failing and
 * once with all later ones. Every promise of the simulation must hold: errors
 * may be reported, but nothing may be lost or leaked. Half of the seeds have
 * the features of the engine on epoll.
 *
 * WEIR_SIM_SWEEPS is the number of seeds (20; 3 with sanitizers).
 */
#include "tests/sim/sim.h"
#include "tests/unit.h"

#ifdef UNIT_HAS_LSAN
#define SEEDS_DEFAULT 3u
#else
#define SEEDS_DEFAULT 20u
#endif

/* Allocations that are walked through at most for each seed. */
#define STEPS_MAX 400u

static void sweep(uint64_t seed, bool fail_after)
{
    struct sim_options options = {.seed = seed,
                                  .fail_after = fail_after,
                                  .bulk = seed % 3 == 0,
                                  .engine = seed % 4 >= 2 ? WEIR_ENGINE_POLL
                                                          : WEIR_ENGINE_AUTO};
    struct sim_result result = {.failed = 1};
    while (result.failed > 0 && options.fail_at < STEPS_MAX) {
        options.fail_at++;
        sim_run(&options, &result);
    }
    expect_gt(options.fail_at, 10);
}

static uint64_t seed_count(void)
{
    const char *text = getenv("WEIR_SIM_SWEEPS");
    return text && *text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT;
}

/* Every second seed: each test must end in time on a busy machine. */
static void sweep_half(uint64_t first, bool fail_after)
{
    for (uint64_t seed = first; seed <= seed_count(); seed += 2) {
        sweep(seed, fail_after);
    }
}

UNIT(allocation, survives_each_failure_alone)
{
    sweep_half(1, false);
}

UNIT(allocation, survives_each_failure_alone_with_other_seeds)
{
    sweep_half(2, false);
}

UNIT(allocation, survives_memory_that_never_comes_back)
{
    sweep_half(1, true);
}

UNIT(allocation, survives_memory_that_stays_away_with_other_seeds)
{
    sweep_half(2, true);
}

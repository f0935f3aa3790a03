/*
 * Budgets alone: arithmetic on a few numbers.
 *
 * All combinations of values at which something changes are tested, and random
 * crowds that receive, hold, release and get stuck for as long as they like:
 * whatever they do, a connection that holds little has a window, and the sums
 * stay within their bounds.
 */
#include "lib/loop/budget.h"

#include "tests/unit/random.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t limits[] = {4096, 10000, MIB, 64 * MIB,
                                  UINT64_C(1) << 40};
static const uint64_t used[] = {
    0,
    1,
    WR_CREDIT_MIN - 1,
    WR_CREDIT_MIN,
    WR_HELD_LEAST,
    16 * KIB,
    MIB - 1,
    MIB,
    16 * MIB,
    32 * MIB - 1,
    32 * MIB,
    64 * MIB,
    UINT64_C(1) << 40,
};
static const uint64_t crowds[] = {0, 1, 31, 32, 33, 1000, 8192, 1000000};

static uint32_t credit_of(const struct wr_budget *budget,
                          const struct wr_demand *demand,
                          enum wr_shortage *ret_shortage)
{
    uint32_t credit = 1;
    *ret_shortage = wr_budget_peek(budget, demand, &credit);
    expect_eq(*ret_shortage == WR_SHORTAGE_NONE, credit > 0);
    return credit;
}

static void check_credit(const struct wr_budget *budget,
                         const struct wr_demand *demand)
{
    enum wr_shortage shortage;
    const uint64_t share = wr_budget_held_share(budget);
    const uint32_t credit = credit_of(budget, demand, &shortage);

    expect_geq(share, WR_HELD_LEAST);
    expect_leq(credit, WR_CREDIT_MAX);
    if (credit > 0) {
        expect_geq(credit, WR_CREDIT_MIN);
        expect_leq(demand->account.held_bytes + credit,
                   demand->account.limit_bytes);
        expect_leq(demand->account.held_bytes + credit, share);
        return;
    }
    if (shortage == WR_SHORTAGE_LIMIT) {
        expect_gt(demand->account.held_bytes + WR_CREDIT_MIN,
                  demand->account.limit_bytes);
    } else if (shortage == WR_SHORTAGE_SHARE) {
        expect_gt(demand->account.held_bytes, WR_HELD_LEAST - WR_CREDIT_MIN,
                  "it holds little and starves");
    } else {
        expect_eq(shortage, WR_SHORTAGE_STUCK);
        expect_gt(demand->stuck_bytes, WR_QUEUED_LEAST,
                  "little is stuck and it is stopped");
        cr_assert(wr_budget_is_queue_short(budget), "there is plenty");
    }
}

UNIT(budget, every_combination_keeps_every_bound)
{
    static const uint32_t windows[] = {WR_CREDIT_SLOW, WR_CREDIT_START,
                                       WR_CREDIT_MAX};
    const size_t n = COUNT_OF(used);
    for (size_t i = 0; i < n * n * n; i++) {
        for (size_t j = 0; j < COUNT_OF(limits) * COUNT_OF(limits); j++) {
            for (size_t k = 0; k < COUNT_OF(crowds) * COUNT_OF(windows); k++) {
                const struct wr_pool pool = {.held_bytes = used[i % n]};
                const struct wr_budget budget = {
                    .pool = &pool,
                    .held_limit_bytes = limits[j % COUNT_OF(limits)],
                    .queued_limit_bytes = 64 * MIB,
                    .queued_bytes = used[i / n % n],
                    .account_count = crowds[k % COUNT_OF(crowds)],
                };
                const struct wr_demand demand = {
                    .account.held_bytes = used[i / n / n],
                    .account.limit_bytes = limits[j / COUNT_OF(limits)],
                    .stuck_bytes = (uint32_t)used[i / n % n],
                    .window = windows[k / COUNT_OF(crowds)],
                };
                check_credit(&budget, &demand);
            }
        }
    }
}

UNIT(budget, all_credits_together_promise_half_the_limit_at_most)
{
    const struct wr_demand demand = {.account.limit_bytes = MIB,
                                     .window = WR_CREDIT_MAX};
    enum wr_shortage shortage;
    const struct wr_pool pool = {0};
    struct wr_budget budget = {.pool = &pool,
                               .held_limit_bytes = 64 * MIB,
                               .queued_limit_bytes = 64 * MIB};

    budget.account_count = 32;
    expect_eq(credit_of(&budget, &demand, &shortage), WR_CREDIT_MAX);
    budget.account_count = 1024;
    expect_eq(credit_of(&budget, &demand, &shortage), 32 * KIB);
    budget.account_count = 100000;
    expect_eq(credit_of(&budget, &demand, &shortage), WR_CREDIT_MIN);
}

static const struct wr_pool no_pool;
static const struct wr_budget short_of_memory = {.pool = &no_pool,
                                                 .held_limit_bytes = MIB,
                                                 .queued_limit_bytes = MIB,
                                                 .queued_bytes = MIB};

UNIT(budget, credit_doubles_while_all_that_is_old_is_got_rid_of)
{
    uint32_t window = wr_budget_window(&short_of_memory, 0, 0, 0);

    expect_eq(window, WR_CREDIT_START);
    for (uint32_t wanted = 2 * WR_CREDIT_START; wanted <= WR_CREDIT_MAX;
         wanted *= 2) {
        /* All bytes of the last window may still be held. */
        window = wr_budget_window(&short_of_memory, window, window, window);
        expect_eq(window, wanted);
    }
    expect_eq(wr_budget_window(&short_of_memory, window, window, 0),
              WR_CREDIT_MAX);
}

UNIT(budget, credit_shrinks_to_little_while_nothing_is_got_rid_of)
{
    uint32_t window = WR_CREDIT_MAX;
    uint64_t backlog = 2 * WR_CREDIT_MAX;

    for (int i = 0; i < 10; i++) {
        window =
            wr_budget_window(&short_of_memory, window, WR_CREDIT_SLOW, backlog);
        backlog += WR_CREDIT_SLOW;
    }

    expect_eq(window, WR_CREDIT_SLOW);
    window = wr_budget_window(&short_of_memory, window, WR_CREDIT_SLOW, 0);
    expect_eq(window, 2 * WR_CREDIT_SLOW, "it recovers at once");
}

UNIT(budget, a_backlog_within_the_window_changes_nothing)
{
    expect_eq(wr_budget_window(&short_of_memory, 256 * KIB, WR_CREDIT_SLOW,
                               WR_CREDIT_SLOW + 1),
              256 * KIB);
}

UNIT(budget, a_slow_connection_keeps_a_window_while_there_is_room)
{
    struct wr_pool pool = {.held_bytes = 8 * MIB};
    struct wr_budget budget = {.pool = &pool,
                               .held_limit_bytes = 64 * MIB,
                               .queued_limit_bytes = 64 * MIB,
                               .queued_bytes = 16 * MIB};
    uint32_t window = WR_CREDIT_MAX;

    for (int i = 0; i < 10; i++) {
        window = wr_budget_window(&budget, window, window, 8 * MIB);
    }
    expect_eq(window, WR_CREDIT_START);

    budget.queued_bytes++;
    expect_lt(wr_budget_window(&budget, window, window, 8 * MIB), window);
    budget.queued_bytes--;
    pool.held_bytes++;
    expect_lt(wr_budget_window(&budget, window, window, 8 * MIB), window);
}

UNIT(budget, a_window_moves_once_for_each_receive_that_has_ended)
{
    const struct wr_pool pool = {0};
    struct wr_budget budget;
    struct wr_demand demand;
    uint32_t credit;

    wr_budget_init(&budget, &pool, 64 * MIB, 64 * MIB);
    budget.queued_bytes = 17 * MIB; /* so that a window may shrink */
    wr_demand_init(&demand, MIB, NULL);
    demand.account.held_bytes = MIB;
    for (int i = 0; i < 10; i++) {
        expect_eq(wr_budget_ask(&budget, &demand, &credit), WR_SHORTAGE_LIMIT);
    }
    demand.account.held_bytes = 0;
    expect_eq(wr_budget_ask(&budget, &demand, &credit), WR_SHORTAGE_NONE);
    expect_eq(credit, WR_CREDIT_START, "it has received nothing yet");

    demand.account.held_bytes = MIB;
    for (int i = 0; i < 10; i++) {
        expect_eq(wr_budget_ask(&budget, &demand, &credit), WR_SHORTAGE_LIMIT);
    }

    expect_eq(demand.window, WR_CREDIT_START / 2);
    wr_budget_starve(&budget, &demand);
    wr_budget_leave(&demand);
    demand.account.held_bytes = 0;
    expect_eq(wr_budget_ask(&budget, &demand, &credit), WR_SHORTAGE_NONE);
    expect_eq(credit, WR_CREDIT_START / 2);
}

UNIT(budget, a_share_of_the_send_queues_is_no_bound_while_there_is_plenty)
{
    struct wr_budget budget = {.queued_limit_bytes = 64 * MIB};

    for (uint64_t queued = 0; queued <= 128 * MIB; queued += MIB / 4) {
        budget.queued_bytes = queued;
        const uint64_t share = wr_budget_queued_share(&budget);
        expect_geq(share, WR_QUEUED_LEAST);
        expect_eq(share == UINT64_MAX, queued <= 16 * MIB);
        cr_assert(share == UINT64_MAX || share <= MIB);
        if (queued >= 32 * MIB) {
            expect_eq(share, WR_QUEUED_LEAST);
        }
    }
}

UNIT(budget, a_reader_keeps_less_the_less_there_is)
{
    struct wr_pool pool = {0};
    const struct wr_budget budget = {.pool = &pool,
                                     .held_limit_bytes = 64 * MIB};
    uint64_t before = UINT64_MAX;

    for (uint64_t held = 0; held <= 128 * MIB; held += MIB / 4) {
        pool.held_bytes = held / 2;
        pool.own.held_bytes = held - held / 2;
        const uint64_t high = wr_budget_reader_high(&budget, 128 * KIB);
        expect_leq(high, before);
        expect_leq(high, 128 * KIB);
        expect_geq(high, WR_HELD_LEAST);
        before = high;
    }
    expect_eq(before, WR_HELD_LEAST);
    expect_eq(wr_budget_reader_high(&budget, 100), 100);
}

#define CROWD 1000

struct player {
    struct wr_demand demand;
    uint32_t armed; /* window that has not been used up */
};

static struct player players[CROWD];
static struct wr_pool crowd_pool;
static struct wr_budget all;

static void ask(struct player *player)
{
    const enum wr_shortage shortage =
        wr_budget_ask(&all, &player->demand, &player->armed);
    expect_eq(shortage == WR_SHORTAGE_NONE, player->armed > 0);
}

/* Bytes arrive, and are kept or written. */
static void receive(struct unit_random *random, struct player *player)
{
    const uint64_t bytes = 1 + unit_random_below(random, player->armed);
    player->armed -= (uint32_t)bytes;
    if (unit_random_below(random, 2) == 0) {
        player->demand.account.held_bytes += bytes;
        crowd_pool.held_bytes += bytes;
    } else {
        player->demand.stuck_bytes += (uint32_t)bytes;
        all.queued_bytes += bytes;
    }
}

static void get_rid_of_all(struct player *player)
{
    crowd_pool.held_bytes -= player->demand.account.held_bytes;
    all.queued_bytes -= player->demand.stuck_bytes;
    player->demand.account.held_bytes = player->demand.stuck_bytes = 0;
}

static void check_newcomer(void)
{
    const struct wr_demand newcomer = {
        .account.held_bytes = WR_HELD_LEAST - WR_CREDIT_MIN,
        .stuck_bytes = WR_QUEUED_LEAST,
        .account.limit_bytes = MIB,
        .window = WR_CREDIT_START,
    };
    enum wr_shortage shortage;
    expect_geq(credit_of(&all, &newcomer, &shortage), WR_CREDIT_MIN);
}

UNIT(budget, a_crowd_that_takes_what_it_can_leaves_enough_for_a_newcomer)
{
    struct unit_random random = unit_random_new();
    memset(players, 0, sizeof(players));
    for (int i = 0; i < CROWD; i++) {
        wr_demand_init(&players[i].demand, MIB, NULL);
    }
    crowd_pool = (struct wr_pool){0};
    all = (struct wr_budget){.pool = &crowd_pool,
                             .held_limit_bytes = 64 * MIB,
                             .queued_limit_bytes = 64 * MIB,
                             .account_count = CROWD};
    uint64_t most_armed = 0;

    for (int i = 0; i < 400000; i++) {
        struct player *player = &players[unit_random_below(&random, CROWD)];
        if (player->armed == 0) {
            ask(player);
        } else {
            receive(&random, player);
        }
        most_armed = wr_max_u64(most_armed, player->armed);
        if (unit_random_below(&random, 2000) == 0) {
            get_rid_of_all(player);
        }
        check_newcomer();
        expect_leq(player->demand.account.held_bytes, MIB);
    }

    /* Half is a reserve; beyond it each has the common share and its armed
     * window. */
    const uint64_t beyond = CROWD * (WR_HELD_LEAST + most_armed);
    expect_leq(crowd_pool.held_bytes, 32 * MIB + beyond);
    expect_leq(all.queued_bytes,
               32 * MIB + beyond + CROWD * UINT64_C(2) * WR_QUEUED_LEAST);
}

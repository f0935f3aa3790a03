/*
 * Choosing among upstreams.
 *
 * The hash is that of rendezvous hashing: each candidate draws a number from
 * the key and its own name, and the best one wins. A candidate that comes or
 * goes moves its own keys only, which neither a ring with few points nor
 * Maglev's table promises, the second best is known for each key when the best
 * is full, weights are kept exactly, and no table has to be built again when
 * one of them changes. With the drawn number h in (0, 1), the candidate wins
 * that has the least -log(h) / weight: the probability that this is one is its
 * share of the weights.
 */
#include "choose.h"

#include "uring/check.h"

#include <string.h>

#define NO_INDEX SIZE_MAX

/* ---- random numbers and hashes ---- */

static uint64_t choose_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t wr_random_next(struct wr_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return choose_mix(random->state);
}

uint64_t wr_random_below(struct wr_random *random, uint64_t limit)
{
    wr_assert(limit > 0);
    return wr_random_next(random) % limit;
}

/* FNV-1a, mixed. */
uint64_t wr_hash_bytes(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    wr_assert(data || size == 0);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return choose_mix(hash);
}

/* -log2(x / 2^64) in 24 bits of fraction, more than 0. Digits of the logarithm
 * come by squaring, without floating point, so that all machines agree. */
static uint64_t choose_log(uint64_t x)
{
    const unsigned zeros = (unsigned)__builtin_clzll(x | 1);
    uint64_t mantissa = ((x | 1) << zeros) >> 32; /* 1 to 2, 31 bits */
    uint64_t log = 0;

    for (int i = 0; i < 24; i++) {
        mantissa = (mantissa * mantissa) >> 31;
        log <<= 1;
        if (mantissa >> 32) {
            mantissa >>= 1;
            log |= 1;
        }
    }
    wr_assert(log < UINT64_C(1) << 24);
    return ((uint64_t)(zeros + 1) << 24) - log;
}

/* ---- who may be chosen ---- */

static bool choose_is_known(const struct wr_candidate_upstream *candidate)
{
    return candidate->tier != WR_TIER_NONE && !candidate->is_excluded;
}

/* True if it is kept, and is up or was not checked yet. */
static bool choose_may_keep(const struct wr_candidate_upstream *candidate)
{
    return candidate->is_kept && candidate->tier < WR_TIER_EJECTED;
}

enum wr_tier wr_choose_find_tier(const struct wr_candidate_upstream *candidates,
                                 size_t count)
{
    enum wr_tier tier = WR_TIER_NONE;

    for (size_t i = 0; i < count; i++) {
        wr_assert(candidates[i].tier == WR_TIER_NONE ||
                  candidates[i].weight > 0);
        if (!choose_is_known(&candidates[i])) {
            continue;
        }
        if (choose_may_keep(&candidates[i])) {
            return candidates[i].tier;
        }
        if (candidates[i].tier < tier) {
            tier = candidates[i].tier;
        }
    }
    return tier;
}

static bool choose_may_take(const struct wr_candidate_upstream *candidate,
                            enum wr_tier tier)
{
    return candidate->tier == tier && !candidate->is_excluded &&
           !candidate->is_full;
}

/* True if @a has fewer connections for its weight than @b. */
static bool choose_is_less_busy(const struct wr_candidate_upstream *a,
                                const struct wr_candidate_upstream *b)
{
    return (uint64_t)a->active * b->weight < (uint64_t)b->active * a->weight;
}

/* ---- the five ways ---- */

/* Smooth weighted round robin, among the candidates of @tier that are as little
 * busy as @peer; NULL: among all. */
static size_t choose_in_turn(struct wr_candidate_upstream *candidates,
                             size_t count, enum wr_tier tier,
                             const struct wr_candidate_upstream *peer)
{
    int64_t total = 0;
    size_t best = NO_INDEX;

    for (size_t i = 0; i < count; i++) {
        struct wr_candidate_upstream *candidate = &candidates[i];
        if (!choose_may_take(candidate, tier) ||
            (peer && choose_is_less_busy(peer, candidate))) {
            continue;
        }
        *candidate->turn += candidate->weight;
        total += candidate->weight;
        if (best == NO_INDEX || *candidate->turn > *candidates[best].turn) {
            best = i;
        }
    }
    if (best != NO_INDEX) {
        wr_assert(total > 0);
        *candidates[best].turn -= total;
    }
    return best;
}

static size_t choose_least(struct wr_candidate_upstream *candidates,
                           size_t count, enum wr_tier tier)
{
    const struct wr_candidate_upstream *least = NULL;

    for (size_t i = 0; i < count; i++) {
        if (choose_may_take(&candidates[i], tier) &&
            (!least || choose_is_less_busy(&candidates[i], least))) {
            least = &candidates[i];
        }
    }
    wr_assert(!least || !least->is_full);
    return least ? choose_in_turn(candidates, count, tier, least) : NO_INDEX;
}

/* Draws one by weight, but not the one at @other. */
static size_t choose_draw(const struct wr_candidate_upstream *candidates,
                          size_t count, enum wr_tier tier, size_t other,
                          struct wr_random *random)
{
    uint64_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (i != other && choose_may_take(&candidates[i], tier)) {
            total += candidates[i].weight;
        }
    }
    if (total == 0) {
        return NO_INDEX;
    }
    uint64_t left = wr_random_below(random, total);
    for (size_t i = 0; i < count; i++) {
        if (i == other || !choose_may_take(&candidates[i], tier)) {
            continue;
        }
        if (left < candidates[i].weight) {
            return i;
        }
        left -= candidates[i].weight;
    }
    wr_assert(false); /* one of them is below the total */
    return NO_INDEX;
}

static size_t choose_of_two(const struct wr_candidate_upstream *candidates,
                            size_t count, enum wr_tier tier,
                            struct wr_random *random)
{
    const size_t first = choose_draw(candidates, count, tier, NO_INDEX, random);

    if (first == NO_INDEX) {
        return NO_INDEX;
    }
    const size_t second = choose_draw(candidates, count, tier, first, random);
    wr_assert(second != first);
    return second != NO_INDEX &&
                   choose_is_less_busy(&candidates[second], &candidates[first])
               ? second
               : first;
}

static size_t choose_by_key(const struct wr_candidate_upstream *candidates,
                            size_t count, enum wr_tier tier, uint64_t key)
{
    size_t best = NO_INDEX;
    uint64_t best_cost = 0;

    for (size_t i = 0; i < count; i++) {
        const struct wr_candidate_upstream *candidate = &candidates[i];
        if (!choose_may_take(candidate, tier)) {
            continue;
        }
        const uint64_t cost = choose_log(choose_mix(
            candidate->hash ^ choose_mix(key + UINT64_C(0x9e3779b97f4a7c15))));
        wr_assert(cost > 0);
        if (best == NO_INDEX ||
            cost * candidates[best].weight < best_cost * candidate->weight) {
            best = i;
            best_cost = cost;
        }
    }
    return best;
}

static void choose_await(struct wr_candidate_upstream *candidates, size_t count,
                         enum wr_tier up, enum wr_tier unchecked,
                         enum wr_tier awaited)
{
    size_t i = 0;

    wr_assert(awaited < up);
    while (i < count &&
           (candidates[i].is_excluded ||
            (candidates[i].tier != up && candidates[i].tier != unchecked))) {
        i++;
    }
    if (i < count && candidates[i].tier == unchecked) {
        candidates[i].tier = awaited;
    }
}

void wr_choose_await(struct wr_candidate_upstream *candidates, size_t count)
{
    wr_assert(candidates || count == 0);
    choose_await(candidates, count, WR_TIER_PRIMARY, WR_TIER_UNCHECKED,
                 WR_TIER_AWAITED);
    choose_await(candidates, count, WR_TIER_BACKUP, WR_TIER_UNCHECKED_BACKUP,
                 WR_TIER_AWAITED_BACKUP);
}

/* Which tiers have ranks in common. */
static unsigned choose_get_class(enum wr_tier tier)
{
    switch (tier) {
    case WR_TIER_PRIMARY:
    case WR_TIER_UNCHECKED:
    case WR_TIER_AWAITED:
        return 0;
    case WR_TIER_BACKUP:
    case WR_TIER_UNCHECKED_BACKUP:
    case WR_TIER_AWAITED_BACKUP:
        return 1;
    case WR_TIER_EJECTED:
        return 2;
    case WR_TIER_EJECTED_BACKUP:
        return 3;
    case WR_TIER_NONE:
        break;
    }
    return 4;
}

void wr_choose_by_rank(struct wr_candidate_upstream *candidates, size_t count)
{
    uint8_t least[5] = {UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX, UINT8_MAX};

    wr_assert(candidates || count == 0);
    for (size_t i = 0; i < count; i++) {
        const unsigned class = choose_get_class(candidates[i].tier);
        if (!candidates[i].is_excluded && candidates[i].rank < least[class]) {
            least[class] = candidates[i].rank;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].rank > least[choose_get_class(candidates[i].tier)] &&
            !candidates[i].is_kept) {
            candidates[i].tier = WR_TIER_NONE;
        }
    }
}

/* The one that is kept, or else the first. */
static size_t choose_find_first(const struct wr_candidate_upstream *candidates,
                                size_t count, enum wr_tier tier)
{
    size_t first = NO_INDEX;

    for (size_t i = 0; i < count; i++) {
        if (candidates[i].tier != tier || candidates[i].is_excluded) {
            continue;
        }
        if (candidates[i].is_kept) {
            return i;
        }
        first = first == NO_INDEX ? i : first;
    }
    wr_assert(first != NO_INDEX); /* the tier is that of one of them */
    return first;
}

size_t wr_choose_find_first(const struct wr_candidate_upstream *candidates,
                            size_t count)
{
    const enum wr_tier tier = wr_choose_find_tier(candidates, count);

    return tier == WR_TIER_NONE || wr_tier_is_unchecked(tier)
               ? NO_INDEX
               : choose_find_first(candidates, count, tier);
}

/* One that is full is waited for: the next one is for when it is down. */
static size_t choose_first(const struct wr_candidate_upstream *candidates,
                           size_t count, enum wr_tier tier)
{
    const size_t first = choose_find_first(candidates, count, tier);

    wr_assert(!candidates[first].is_excluded);
    return candidates[first].is_full ? NO_INDEX : first;
}

static bool choose_is_backup(enum wr_tier tier)
{
    return tier == WR_TIER_BACKUP || tier == WR_TIER_EJECTED_BACKUP;
}

static size_t choose_index(enum weir_balance balance,
                           struct wr_candidate_upstream *candidates,
                           size_t count, enum wr_tier tier, uint64_t key,
                           struct wr_random *random)
{
    switch (balance) {
    case WEIR_BALANCE_ROUND_ROBIN:
        return choose_in_turn(candidates, count, tier, NULL);
    case WEIR_BALANCE_LEAST_CONNECTIONS:
        return choose_least(candidates, count, tier);
    case WEIR_BALANCE_RANDOM_TWO:
        return choose_of_two(candidates, count, tier, random);
    case WEIR_BALANCE_HASH:
        return choose_by_key(candidates, count, tier, key);
    case WEIR_BALANCE_FIRST:
        return choose_first(candidates, count, tier);
    }
    wr_assert(false); /* the set has checked it */
    return NO_INDEX;
}

enum wr_choice wr_choose(struct wr_choice_way way,
                         struct wr_candidate_upstream *candidates, size_t count,
                         uint64_t key, struct wr_random *random,
                         size_t *ret_index)
{
    const enum wr_tier tier = wr_choose_find_tier(candidates, count);
    if (tier == WR_TIER_NONE) {
        return WR_CHOICE_NONE;
    }
    if (wr_tier_is_unchecked(tier)) {
        return WR_CHOICE_UNCHECKED;
    }
    if (way.one_backup && choose_is_backup(tier)) {
        way.balance = WEIR_BALANCE_FIRST;
    }
    const size_t index =
        choose_index(way.balance, candidates, count, tier, key, random);
    if (index == NO_INDEX) {
        return WR_CHOICE_FULL;
    }
    wr_assert(index < count);
    wr_assert(choose_may_take(&candidates[index], tier));
    *ret_index = index;
    return WR_CHOICE_MADE;
}

uint32_t wr_weight_warm(uint32_t weight, uint64_t elapsed_ns,
                        uint64_t slow_start_ns)
{
    const uint32_t whole = weight * WR_WEIGHT_UNIT;

    wr_assert(weight > 0);
    wr_assert(weight <= WR_WEIGHT_MAX);
    if (elapsed_ns >= slow_start_ns) {
        return whole;
    }
    const uint64_t permille = slow_start_ns > UINT64_MAX / 1000
                                  ? elapsed_ns / (slow_start_ns / 1000)
                                  : elapsed_ns * 1000 / slow_start_ns;
    wr_assert(permille <= 1000);
    const uint64_t warm = whole * permille / 1000;
    return warm > 0 ? (uint32_t)warm : 1;
}

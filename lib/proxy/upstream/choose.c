/*
 * Chooses among upstreams.
 *
 * The hash is rendezvous hashing: each candidate draws a number from the key
 * and its own name, and the best one wins. A candidate that is added or removed
 * moves only its own keys, which neither a ring with few points nor Maglev's
 * table guarantees; the second best is known for each key if the best is full;
 * weights are exact; and no table must be rebuilt after a change. With the
 * drawn number h in (0, 1), the candidate with the least -log(h) / weight wins:
 * the probability is its share of the weights.
 */
#include "choose.h"

#include <string.h>

#define NO_INDEX SIZE_MAX

/* First step of the mix. It is linear: step(a ^ b) is step(a) ^ step(b). */
static uint64_t choose_mix_begin(uint64_t x)
{
    return x ^ (x >> 30);
}

/* Middle steps of the mix. The 31 highest bits of the result are final. */
static uint64_t choose_mix_product(uint64_t x)
{
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
}

static uint64_t choose_mix_on(uint64_t x)
{
    const uint64_t product = choose_mix_product(x);

    return product ^ (product >> 31);
}

static uint64_t choose_mix(uint64_t x)
{
    return choose_mix_on(choose_mix_begin(x));
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

uint64_t wr_hash_candidate(const void *name, size_t size)
{
    wr_assert(name || size == 0);
    return choose_mix_begin(wr_hash_bytes(name, size));
}

/* Returns -log2(x / 2^64) with 24 fractional bits, more than 0. Computes the
 * digits of the logarithm by squaring, without floating point, so that all
 * machines agree. */
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

enum wr_tier wr_choose_find_tier(const struct wr_candidate_upstream *candidates,
                                 size_t count)
{
    enum wr_tier tier = WR_TIER_NONE;

    for (size_t i = 0; i < count; i++) {
        wr_assert(candidates[i].tier == WR_TIER_NONE ||
                  candidates[i].weight > 0);
        if (candidates[i].tier == WR_TIER_NONE || candidates[i].is_excluded) {
            continue;
        }
        if (candidates[i].is_kept && candidates[i].tier < WR_TIER_EJECTED) {
            return candidates[i].tier; /* up, or not checked yet */
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

/* Makes a candidate take part if it is eligible, else removes it. */
static bool choose_set_turn(const struct wr_choosing *choosing,
                            const struct wr_candidates *candidates,
                            size_t index)
{
    const struct wr_candidate_upstream *one = &candidates->all[index];
    const bool may = choose_may_take(one, choosing->tier);

    wr_assert(index < candidates->count);
    if (may || one->turn->group) {
        wr_turns_set(candidates->turns, one->turn, may ? one->weight : 0,
                     index);
    }
    return may;
}

static size_t choose_set_turns(const struct wr_choosing *choosing,
                               const struct wr_candidates *candidates)
{
    size_t count = 0;

    for (size_t i = 0; i < candidates->count; i++) {
        count += choose_set_turn(choosing, candidates, i);
    }
    wr_assert(candidates->turns->count >= count);
    return count;
}

static bool choose_is_by_connections(const struct wr_choosing *choosing)
{
    wr_assert(choosing->tier <= WR_TIER_NONE);
    return choosing->balance == WEIR_BALANCE_LEAST_CONNECTIONS;
}

/* Called when candidates that take part have changed since choosing->version:
 * checks only these. Returns false if all candidates must be checked. */
static bool choose_follow_turns(struct wr_choosing *choosing,
                                const struct wr_candidates *candidates)
{
    struct wr_turns *turns = candidates->turns;
    const uint64_t last = turns->version;
    bool is_enough =
        choosing->version > 0 && last - choosing->version <= WR_TURNS_KEPT &&
        turns->is_by_connections == choose_is_by_connections(choosing);

    /* Newest first: a change is NULL if an upstream has left, and older changes
     * may refer to freed memory. */
    for (uint64_t i = last; i > choosing->version && is_enough; i--) {
        const struct wr_turn *turn = turns->changed[i % WR_TURNS_KEPT];
        is_enough = turn && turn->index < candidates->count &&
                    candidates->all[turn->index].turn == turn &&
                    turns->version - i < WR_TURNS_KEPT;
        if (is_enough) {
            choose_set_turn(choosing, candidates, turn->index);
        }
    }
    choosing->version = is_enough ? turns->version : 0;
    return is_enough;
}

/* Smooth weighted round robin, among all candidates or the least busy ones. */
static size_t choose_in_turn(struct wr_choosing *choosing,
                             const struct wr_candidates *candidates)
{
    struct wr_turns *turns = candidates->turns;

    if (choosing->version != turns->version) {
        if (!choose_follow_turns(choosing, candidates)) {
            wr_turns_begin(turns, choose_is_by_connections(choosing));
            if (choose_set_turns(choosing, candidates) < turns->count) {
                wr_turns_clear(turns); /* some belong to another set */
                choose_set_turns(choosing, candidates);
            }
            choosing->version = turns->version;
        }
        if (turns->total != turns->bound) {
            wr_turns_scale(turns);
        }
    }
    wr_assert(turns->count <= candidates->count);
    return turns->count > 0 ? wr_turns_choose(turns)->index : NO_INDEX;
}

/* Builds a Fenwick tree of the weights of eligible candidates, and returns the
 * sum of all weights. Entry n, counted from 1, has the sum of the last k
 * weights up to its own, where k is the lowest set bit of n. */
static uint64_t choose_sum(const struct wr_candidates *candidates,
                           enum wr_tier tier)
{
    struct wr_candidate_upstream *all = candidates->all;
    uint64_t total = 0;

    for (size_t i = 0; i < candidates->count; i++) {
        all[i].sum = choose_may_take(&all[i], tier) ? all[i].weight : 0;
        total += all[i].sum;
    }
    for (size_t n = 1; n <= candidates->count; n++) {
        const size_t next = n + (n & -n);
        if (next <= candidates->count) {
            all[next - 1].sum += all[n - 1].sum;
        }
    }
    wr_assert(total <=
              (uint64_t)candidates->count * WR_WEIGHT_MAX * WR_WEIGHT_UNIT);
    return total;
}

static uint64_t choose_sum_before(const struct wr_candidates *candidates,
                                  size_t index)
{
    uint64_t sum = 0;

    wr_assert(index < candidates->count);
    for (size_t n = index; n > 0; n -= n & -n) {
        sum += candidates->all[n - 1].sum;
    }
    return sum;
}

/* Returns the first candidate up to which the weights add to more than @sum. */
static size_t choose_find_sum(const struct wr_candidates *candidates,
                              uint64_t sum)
{
    size_t before = 0;
    size_t step = (size_t)1
                  << (63 - __builtin_clzll((uint64_t)candidates->count));

    for (; step > 0; step /= 2) {
        const size_t next = before + step;
        if (next <= candidates->count && candidates->all[next - 1].sum <= sum) {
            sum -= candidates->all[next - 1].sum;
            before = next;
        }
    }
    wr_assert(before < candidates->count); /* @sum is below the total */
    return before;
}

static bool choose_is_less_busy(const struct wr_candidate_upstream *a,
                                const struct wr_candidate_upstream *b)
{
    return (uint64_t)wr_turn_get_active(a->turn) * b->weight <
           (uint64_t)wr_turn_get_active(b->turn) * a->weight;
}

/* Draws two by weight, and takes the less busy one. */
static size_t choose_of_two(const struct wr_choosing *choosing,
                            const struct wr_candidates *candidates)
{
    const struct wr_candidate_upstream *all = candidates->all;

    if (choosing->total == 0) {
        return NO_INDEX;
    }
    const size_t first = choose_find_sum(
        candidates, wr_random_below(candidates->random, choosing->total));
    const uint64_t left = choosing->total - all[first].weight;
    if (left == 0) {
        return first;
    }
    uint64_t sum = wr_random_below(candidates->random, left);
    if (sum >= choose_sum_before(candidates, first)) {
        sum += all[first].weight;
    }
    const size_t second = choose_find_sum(candidates, sum);
    wr_assert(second != first);
    return choose_is_less_busy(&all[second], &all[first]) ? second : first;
}

/* Returns the first candidate, starting at @i, that may draw @least or more, or
 * ->count. Compares only the bits that the last step of the hash does not
 * change: a choice among many candidates spends nearly all its time here. */
static size_t choose_find_draw(const struct wr_candidates *candidates, size_t i,
                               uint64_t mixed, uint64_t least)
{
    const struct wr_candidate_upstream *all = candidates->all;
    const size_t whole = candidates->count - (candidates->count - i) % 4;
    const uint64_t bound = least & ~((UINT64_C(1) << 33) - 1);

    wr_assert(i <= candidates->count);
    for (; i < whole; i += 4) {
        if (choose_mix_product(all[i].hash ^ mixed) >= bound) {
            return i;
        }
        if (choose_mix_product(all[i + 1].hash ^ mixed) >= bound) {
            return i + 1;
        }
        if (choose_mix_product(all[i + 2].hash ^ mixed) >= bound) {
            return i + 2;
        }
        if (choose_mix_product(all[i + 3].hash ^ mixed) >= bound) {
            return i + 3;
        }
    }
    while (i < candidates->count &&
           choose_mix_product(all[i].hash ^ mixed) < bound) {
        i++;
    }
    return i;
}

/* Returns a number whose cost, its negative logarithm, is at least @cost. 2^-f
 * is more than 1 - f * ln(2). */
static uint64_t choose_find_number(uint64_t cost)
{
    const uint64_t whole = cost >> 24;
    const uint64_t fraction = cost & 0xffffff;
    const uint64_t share = (UINT64_C(1) << 24) - (fraction * 11629081 >> 24);

    wr_assert(cost > 0);
    if (whole >= 63) {
        return 0;
    }
    return ((share - 1) << 40) >> whole; /* the product was rounded down */
}

struct choice_by_key {
    size_t index;
    uint64_t number;
    uint64_t least; /* a lower number cannot win, whatever its weight */
};

static bool choose_costs_less(uint64_t number, uint32_t weight,
                              uint64_t best_number, uint32_t best_weight)
{
    /* Numbers that differ by more than 2^42 have different logarithms, despite
     * rounding. */
    if (number > best_number && number - best_number > UINT64_C(1) << 42 &&
        weight >= best_weight) {
        return true;
    }
    return choose_log(number) * best_weight < choose_log(best_number) * weight;
}

static void choose_keep_best(struct choice_by_key *best, size_t index,
                             uint64_t number, uint32_t weight,
                             uint32_t heaviest)
{
    wr_assert(weight > 0);
    wr_assert(weight <= heaviest);
    best->index = index;
    best->number = number;
    best->least =
        weight == heaviest
            ? number
            : choose_find_number(choose_log(number) * heaviest / weight);
}

static size_t choose_by_key(const struct wr_choosing *choosing,
                            const struct wr_candidates *candidates,
                            uint64_t key)
{
    const struct wr_candidate_upstream *all = candidates->all;
    const uint64_t mixed =
        choose_mix_begin(choose_mix(key + UINT64_C(0x9e3779b97f4a7c15)));
    struct choice_by_key best = {.index = NO_INDEX};
    size_t i = choose_find_draw(candidates, 0, mixed, 0);

    wr_assert(choosing->heaviest > 0);
    while (i < candidates->count) {
        const uint64_t number = choose_mix_on(all[i].hash ^ mixed);
        if (choose_may_take(&all[i], choosing->tier) &&
            (best.index == NO_INDEX ||
             choose_costs_less(number, all[i].weight, best.number,
                               all[best.index].weight))) {
            choose_keep_best(&best, i, number, all[i].weight,
                             choosing->heaviest);
        }
        i = choose_find_draw(candidates, i + 1, mixed, best.least);
    }
    return best.index;
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
    wr_assert(first != NO_INDEX); /* one candidate has this tier */
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

static void choose_note_weight(struct wr_choosing *choosing,
                               const struct wr_candidate_upstream *one)
{
    wr_assert(choosing->balance == WEIR_BALANCE_HASH);
    if (one->tier == choosing->tier && one->weight > choosing->heaviest) {
        choosing->heaviest = one->weight;
    }
}

void wr_choose_prepare(struct wr_choice_way way,
                       const struct wr_candidates *candidates,
                       struct wr_choosing *ret)
{
    const enum wr_tier tier =
        wr_choose_find_tier(candidates->all, candidates->count);
    const bool is_backup =
        tier == WR_TIER_BACKUP || tier == WR_TIER_EJECTED_BACKUP;
    const bool is_first =
        way.balance == WEIR_BALANCE_FIRST || (way.one_backup && is_backup);

    *ret = (struct wr_choosing){
        .tier = tier, .balance = is_first ? WEIR_BALANCE_FIRST : way.balance};
    if (tier == WR_TIER_NONE || wr_tier_is_unchecked(tier)) {
        return;
    }
    if (is_first) {
        ret->first =
            choose_find_first(candidates->all, candidates->count, tier);
    } else if (way.balance == WEIR_BALANCE_RANDOM_TWO) {
        ret->total = choose_sum(candidates, tier);
    } else if (way.balance == WEIR_BALANCE_HASH) {
        for (size_t i = 0; i < candidates->count; i++) {
            choose_note_weight(ret, &candidates->all[i]);
        }
    }
    for (size_t i = 0;
         candidates->count > WR_CANDIDATES_FEW && i < candidates->count; i++) {
        ret->in_tier += candidates->all[i].tier == tier;
    }
    wr_assert(ret->first < candidates->count);
}

static void choose_change_sum(struct wr_choosing *choosing,
                              const struct wr_candidates *candidates,
                              const struct wr_candidate_upstream *before,
                              size_t index)
{
    struct wr_candidate_upstream *all = candidates->all;
    const uint64_t own =
        choose_may_take(&all[index], choosing->tier) ? all[index].weight : 0;
    const uint64_t old =
        choose_may_take(before, choosing->tier) ? before->weight : 0;

    wr_assert(choosing->total >= old);
    choosing->total += own - old; /* both modulo 2^64 */
    for (size_t n = index + 1; n <= candidates->count; n += n & -n) {
        all[n - 1].sum += own - old;
    }
}

bool wr_choose_change(struct wr_choosing *choosing,
                      const struct wr_candidates *candidates,
                      const struct wr_candidate_upstream *before, size_t index)
{
    const enum wr_tier tier = choosing->tier;
    const struct wr_candidate_upstream *one = &candidates->all[index];

    wr_assert(index < candidates->count);
    choosing->in_tier += (size_t)(one->tier == tier);
    choosing->in_tier -= (size_t)(before->tier == tier);
    if (candidates->count <= WR_CANDIDATES_FEW || one->tier < tier ||
        choosing->in_tier == 0 || tier == WR_TIER_NONE ||
        wr_tier_is_unchecked(tier) || choosing->balance == WEIR_BALANCE_FIRST) {
        return false;
    }
    if (choosing->balance == WEIR_BALANCE_RANDOM_TWO) {
        choose_change_sum(choosing, candidates, before, index);
    } else if (choosing->balance == WEIR_BALANCE_HASH) {
        choose_note_weight(choosing, one);
    } else if (candidates->turns->is_by_connections !=
               choose_is_by_connections(choosing)) {
        choosing->version = 0; /* the next choice checks all candidates */
    } else if (choosing->version > 0) {
        choose_set_turn(choosing, candidates, index);
    }
    return true;
}

static size_t choose_index(struct wr_choosing *choosing,
                           const struct wr_candidates *candidates, uint64_t key)
{
    switch (choosing->balance) {
    case WEIR_BALANCE_ROUND_ROBIN:
    case WEIR_BALANCE_LEAST_CONNECTIONS:
        return choose_in_turn(choosing, candidates);
    case WEIR_BALANCE_RANDOM_TWO:
        return choose_of_two(choosing, candidates);
    case WEIR_BALANCE_HASH:
        return choose_by_key(choosing, candidates, key);
    case WEIR_BALANCE_FIRST:
        /* A full upstream is waited for; the next one is used only if it is
         * down. */
        return candidates->all[choosing->first].is_full ? NO_INDEX
                                                        : choosing->first;
    }
    wr_assert(false); /* the set has checked the balance */
    return NO_INDEX;
}

enum wr_choice wr_choose(struct wr_choosing *choosing,
                         const struct wr_candidates *candidates, uint64_t key,
                         size_t *ret_index)
{
    if (choosing->tier == WR_TIER_NONE) {
        return WR_CHOICE_NONE;
    }
    if (wr_tier_is_unchecked(choosing->tier)) {
        return WR_CHOICE_UNCHECKED;
    }
    const size_t index = choose_index(choosing, candidates, key);
    if (index == NO_INDEX) {
        return WR_CHOICE_FULL;
    }
    wr_assert(index < candidates->count);
    wr_assert(choose_may_take(&candidates->all[index], choosing->tier));
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

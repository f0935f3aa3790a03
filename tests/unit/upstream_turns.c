/*
 * The choice among many, in random steps compared with a model that inspects
 * all of them each time.
 *
 * Two owners have some of the targets each, in the same or a different order;
 * connections start and end; weights, tiers and limits change one by one or all
 * at once; and all choices equal the model's. A seed repeats the steps.
 */
#include "lib/proxy/upstream/choose.h"
#include "tests/unit/random.h"

enum { TARGETS = 60, OWNERS = 2, STEPS = 60000, ROUNDS = 6 };

static struct unit_random dice;
static struct wr_turns turns;
static struct wr_turn targets[TARGETS];
static struct wr_turn_group groups[TARGETS];
static struct wr_random draws;

/* State of the targets in the model. */
static int64_t model_turns[TARGETS];
static bool model_takes_part[TARGETS];
static uint64_t model_bounds[TARGETS]; /* of a target that does not take part */
static uint64_t model_bound;           /* of targets that do */
static struct wr_random model_draws;

static struct owner {
    struct wr_candidate_upstream all[TARGETS];
    size_t of[TARGETS]; /* number of the target */
    size_t count;
    enum weir_balance balance;
    bool is_prepared;
    struct wr_choosing choosing;
} owners[OWNERS];

static uint64_t roll(uint64_t below)
{
    return unit_random_below(&dice, below);
}

static bool model_may(const struct owner *owner, size_t i, enum wr_tier tier)
{
    const struct wr_candidate_upstream *one = &owner->all[i];
    return one->tier == tier && !one->is_excluded && !one->is_full;
}

static bool model_is_less_busy(const struct owner *owner, size_t a, size_t b)
{
    return (uint64_t)wr_turn_get_active(owner->all[a].turn) *
               owner->all[b].weight <
           (uint64_t)wr_turn_get_active(owner->all[b].turn) *
               owner->all[a].weight;
}

static void model_scale(size_t target, uint64_t bound, uint64_t was)
{
    const int64_t credit = model_turns[target];
    const int64_t size = credit < 0 ? -credit : credit;

    if (bound < was) {
        int64_t scaled = size * (int64_t)bound / (int64_t)was;
        scaled = scaled < (int64_t)bound / 2 ? 0 : scaled;
        model_turns[target] = credit < 0 ? -scaled : scaled;
    }
}

/* A target that returns gets its credit from when it left. */
static void model_set(size_t target, bool may)
{
    if (model_takes_part[target] && !may) {
        model_bounds[target] = model_bound;
    } else if (!model_takes_part[target] && may) {
        model_scale(target, model_bound, model_bounds[target]);
    }
    model_takes_part[target] = may;
}

/* All are scaled if the weights are halved. */
static void model_follow(const struct owner *owner, enum wr_tier tier)
{
    bool may[TARGETS] = {false};
    uint64_t total = 0;

    for (size_t i = 0; i < owner->count; i++) {
        may[owner->of[i]] = model_may(owner, i, tier);
        total += model_may(owner, i, tier) ? owner->all[i].weight : 0;
    }
    for (size_t target = 0; target < TARGETS; target++) {
        model_set(target, may[target]);
    }
    const uint64_t was = model_bound;
    model_bound = total > was ? total : was;
    if (total > 0 && total <= was / 2) {
        model_bound = total;
        for (size_t target = 0; target < TARGETS; target++) {
            if (may[target]) {
                model_scale(target, total, was);
            }
        }
    }
}

/* Among the targets as little busy as @peer; SIZE_MAX means among all. */
static size_t model_in_turn(const struct owner *owner, enum wr_tier tier,
                            size_t peer)
{
    size_t best = SIZE_MAX;
    int64_t total = 0;
    model_follow(owner, tier);
    for (size_t i = 0; i < owner->count; i++) {
        if (!model_may(owner, i, tier) ||
            (peer != SIZE_MAX && model_is_less_busy(owner, peer, i))) {
            continue;
        }
        model_turns[owner->of[i]] += owner->all[i].weight;
        total += owner->all[i].weight;
        if (best == SIZE_MAX ||
            model_turns[owner->of[i]] > model_turns[owner->of[best]]) {
            best = i;
        }
    }
    if (best != SIZE_MAX) {
        model_turns[owner->of[best]] -= total;
    }
    return best;
}

static size_t model_least(const struct owner *owner, enum wr_tier tier)
{
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < owner->count; i++) {
        if (model_may(owner, i, tier) &&
            (least == SIZE_MAX || model_is_less_busy(owner, i, least))) {
            least = i;
        }
    }
    return least == SIZE_MAX ? SIZE_MAX : model_in_turn(owner, tier, least);
}

static size_t model_draw(const struct owner *owner, enum wr_tier tier,
                         size_t other)
{
    uint64_t total = 0;
    for (size_t i = 0; i < owner->count; i++) {
        total +=
            i != other && model_may(owner, i, tier) ? owner->all[i].weight : 0;
    }
    uint64_t left = total > 0 ? wr_random_below(&model_draws, total) : 0;
    for (size_t i = 0; i < owner->count && total > 0; i++) {
        if (i != other && model_may(owner, i, tier)) {
            if (left < owner->all[i].weight) {
                return i;
            }
            left -= owner->all[i].weight;
        }
    }
    return SIZE_MAX;
}

static size_t model_of_two(const struct owner *owner, enum wr_tier tier)
{
    const size_t first = model_draw(owner, tier, SIZE_MAX);
    if (first == SIZE_MAX) {
        return first;
    }
    const size_t second = model_draw(owner, tier, first);
    return second != SIZE_MAX && model_is_less_busy(owner, second, first)
               ? second
               : first;
}

static size_t model_choose(const struct owner *owner, enum wr_tier tier)
{
    switch (owner->balance) {
    case WEIR_BALANCE_ROUND_ROBIN:
        return model_in_turn(owner, tier, SIZE_MAX);
    case WEIR_BALANCE_LEAST_CONNECTIONS:
        return model_least(owner, tier);
    default:
        return model_of_two(owner, tier);
    }
}

static struct wr_candidates get_candidates(struct owner *owner)
{
    return (struct wr_candidates){owner->all, owner->count, &turns, &draws};
}

static bool has_exclusions(const struct owner *owner)
{
    bool has_some = false;
    for (size_t i = 0; i < owner->count; i++) {
        has_some |= owner->all[i].is_excluded;
    }
    return has_some;
}

/* Often without inspecting the others. */
static void change_one(struct owner *owner, size_t i, uint32_t most)
{
    struct wr_candidate_upstream *one = &owner->all[i];
    const struct wr_candidate_upstream before = *one;
    const struct wr_candidates candidates = get_candidates(owner);
    const bool may_exclude = roll(20) == 0;
    const bool is_known = owner->is_prepared && !has_exclusions(owner);
    one->weight = 1 + (uint32_t)roll(most);
    one->is_full = roll(6) == 0;
    one->is_excluded = may_exclude && roll(12) == 0;
    one->tier = roll(8) == 0    ? WR_TIER_NONE
                : roll(10) == 0 ? WR_TIER_BACKUP
                                : WR_TIER_PRIMARY;
    owner->is_prepared =
        is_known && !one->is_excluded &&
        wr_choose_change(&owner->choosing, &candidates, &before, i);
    /* The target may have joined or left already, before a choice of an owner.
     */
    model_set(owner->of[i], one->turn->group != NULL);
}

/* The other owner gets the same targets, in the same order. */
static void copy_deal(const struct owner *owner, struct owner *other,
                      uint32_t most)
{
    memcpy(other->of, owner->of, sizeof(owner->of));
    other->count = owner->count;
    other->is_prepared = false;
    for (size_t i = 0; i < owner->count; i++) {
        other->all[i] =
            (struct wr_candidate_upstream){.turn = owner->all[i].turn};
        change_one(other, i, most);
    }
}

/* The owner gets some of the targets, in some order. */
static void deal(struct owner *owner, uint32_t most)
{
    owner->count = 0;
    owner->is_prepared = false;
    for (size_t i = 0; i < TARGETS; i++) {
        if (roll(3) > 0) {
            const size_t place = roll(owner->count + 1);
            owner->of[owner->count] = owner->of[place];
            owner->of[place] = i;
            owner->count++;
        }
    }
    for (size_t i = 0; i < owner->count; i++) {
        owner->all[i] =
            (struct wr_candidate_upstream){.turn = &targets[owner->of[i]]};
        change_one(owner, i, most);
    }
}

static void choose_once(struct owner *owner)
{
    const struct wr_choice_way way = {.balance = owner->balance};
    const struct wr_candidates candidates = get_candidates(owner);
    size_t index = SIZE_MAX;
    if (!owner->is_prepared) {
        wr_choose_prepare(way, &candidates, &owner->choosing);
        owner->is_prepared = true;
    }
    const enum wr_tier tier = wr_choose_find_tier(owner->all, owner->count);
    const size_t expected =
        tier == WR_TIER_NONE ? SIZE_MAX : model_choose(owner, tier);
    const enum wr_choice choice =
        wr_choose(&owner->choosing, &candidates, 0, &index);
    expect_eq(choice, tier == WR_TIER_NONE   ? WR_CHOICE_NONE
                      : expected == SIZE_MAX ? WR_CHOICE_FULL
                                             : WR_CHOICE_MADE);
    expect_eq(index, expected);
    if (choice == WR_CHOICE_MADE && roll(8) > 0) {
        wr_turns_take(&turns, owner->all[index].turn);
    }
    expect_eq(draws.state, model_draws.state);
}

/* Without targets in a group, credits are as in the model. */
static void expect_credits(void)
{
    wr_turns_clear(&turns);
    for (size_t i = 0; i < TARGETS; i++) {
        expect_eq(targets[i].credit, model_turns[i]);
    }
}

/* Weights up to @most; connections that started end, more or less often. */
static void walk(uint32_t most, enum weir_balance balance, uint64_t ends)
{
    for (size_t i = 0; i < OWNERS; i++) {
        owners[i].balance = balance;
        deal(&owners[i], most);
    }
    const uint64_t others = roll(2) == 0 ? 2 : 40; /* how seldom they choose */
    const uint64_t changes = roll(2) == 0 ? 3 : 30;
    if (others == 2) {
        copy_deal(&owners[0], &owners[1], most);
    }
    for (int i = 0; i < STEPS / ROUNDS; i++) {
        struct owner *owner = &owners[roll(others) == 0];
        struct wr_turn *ended = &targets[roll(TARGETS)];
        if (roll(ends) == 0 && wr_turn_get_active(ended) > 0) {
            wr_turns_give(&turns, ended);
        } else if (roll(changes) == 0) {
            change_one(owner, roll(owner->count), most);
        } else if (roll(2000) == 0) {
            deal(owner, most);
        } else {
            choose_once(owner);
        }
    }
    expect_credits();
}

static void start(void)
{
    wr_turns_init(&turns);
    memset(targets, 0, sizeof(targets));
    dice = unit_random_new();
    draws.state = unit_random_next(&dice);
    model_draws = draws;
    for (size_t i = 0; i < TARGETS; i++) {
        wr_turns_give_room(&turns, &groups[i]);
    }
}

UNIT(upstream_turns, all_ways_choose_what_a_look_at_all_would)
{
    static const enum weir_balance all[] = {WEIR_BALANCE_ROUND_ROBIN,
                                            WEIR_BALANCE_LEAST_CONNECTIONS,
                                            WEIR_BALANCE_RANDOM_TWO};
    static const uint32_t most[] = {1, 3, WR_WEIGHT_MAX * WR_WEIGHT_UNIT};

    start();
    for (int round = 0; round < 2 * ROUNDS; round++) {
        walk(most[roll(3)], all[roll(3)], 2 + roll(3));
    }
}

UNIT(upstream_turns, one_that_leaves_keeps_its_credit_and_its_connections)
{
    start();
    owners[0].balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    deal(&owners[0], 1);
    for (int i = 0; i < 1000; i++) {
        choose_once(&owners[0]);
    }
    struct wr_turn *left = &targets[owners[0].of[0]];
    if (wr_turn_get_active(left) > 0) {
        wr_turns_give(&turns, left);
    }
    wr_turns_leave(&turns, left);
    expect_eq(left->credit, model_turns[owners[0].of[0]]);
    expect_eq(left->is_noted, false);
    expect_eq(turns.noted == NULL, true);
}

/* Returns how many of @count choices go to the first of two with these weights.
 */
static int count_first(uint32_t first, uint32_t second, int count)
{
    int chosen = 0;

    wr_turns_set(&turns, &targets[0], first, 0);
    wr_turns_set(&turns, &targets[1], second, 1);
    wr_turns_scale(&turns);
    while (count-- > 0) {
        chosen += wr_turns_choose(&turns) == &targets[0];
    }
    return chosen;
}

UNIT(upstream_turns, weights_that_are_others_owe_nothing)
{
    start();
    expect_eq(count_first(1, 256, 100), 0);
    expect_eq(count_first(1, 1, 20), 10);
    wr_turns_clear(&turns);
}

/* One of two light targets has had a turn next to it, or everything that it was
 * owed. */
UNIT(upstream_turns, a_heavy_one_that_leaves_owes_nothing_to_light_ones)
{
    for (uint32_t away = 0; away <= 1; away++) {
        start();
        wr_turns_set(&turns, &targets[2], 256, 2);
        count_first(1, 1, 100);
        count_first(1, 1 - away, 0);
        wr_turns_set(&turns, &targets[2], 0, 2);
        count_first(1, 1 - away, 1);
        const int first = count_first(1, 1, 20);
        expect_eq(first >= 9 && first <= 11, true, "%d of 20", first);
        wr_turns_clear(&turns);
    }
}

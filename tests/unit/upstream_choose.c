/*
 * Choosing among upstreams: how often each is chosen in 10 000 choices (exactly
 * for round robin, with a fixed seed for the others), which keys of the hash
 * move, and the effect of tiers, limits and slow starts.
 *
 * No connection is made.
 */
#include "lib/proxy/upstream/choose.h"

#include "random.h"
#include "tests/death.h"

#include <stdio.h>

enum { CHOICES = 10000, PEERS_MAX = 64, MOVING_KEYS = 64 };

static struct wr_candidate_upstream peers[PEERS_MAX];
static struct wr_turn turns[PEERS_MAX];
static struct wr_turn_group groups[PEERS_MAX];
static struct wr_turns all_turns;
static size_t peer_count;
static struct wr_random dice = {.state = 7};
static uint32_t counts[PEERS_MAX];
static bool has_one_backup;

static struct wr_candidate_upstream *add(uint32_t weight)
{
    struct wr_candidate_upstream *peer = &peers[peer_count];
    char name[16];
    const int len = snprintf(name, sizeof(name), "peer-%zu", peer_count);
    if (peer_count == 0) {
        wr_turns_init(&all_turns);
    }
    wr_turns_give_room(&all_turns, &groups[peer_count]);
    peer->weight = weight * WR_WEIGHT_UNIT;
    peer->hash = wr_hash_candidate(name, (size_t)len);
    peer->turn = &turns[peer_count];
    peer_count++;
    return peer;
}

/* Sets the number of established connections. */
static void set_active(size_t index, uint32_t count)
{
    while (wr_turn_get_active(&turns[index]) < count) {
        wr_turns_take(&all_turns, &turns[index]);
    }
    while (wr_turn_get_active(&turns[index]) > count) {
        wr_turns_give(&all_turns, &turns[index]);
    }
}

/* Returns the chosen index, -1 if all are full, or -2 if there is none. */
static int choose(enum weir_balance balance, uint64_t key)
{
    size_t index = PEERS_MAX;
    const struct wr_choice_way way = {balance, has_one_backup};
    const struct wr_candidates candidates = {peers, peer_count, &all_turns,
                                             &dice};
    struct wr_choosing choosing;
    wr_choose_prepare(way, &candidates, &choosing);
    switch (wr_choose(&choosing, &candidates, key, &index)) {
    case WR_CHOICE_MADE:
        counts[index]++;
        return (int)index;
    case WR_CHOICE_FULL:
        return -1;
    default:
        return -2;
    }
}

static uint64_t key_of(uint32_t number)
{
    return wr_hash_bytes(&number, sizeof(number));
}

static void expect_about(uint32_t count, uint32_t expected, uint32_t within)
{
    expect_geq(count, expected - within);
    expect_leq(count, expected + within);
}

UNIT(upstream_choose, round_robin_is_exact_and_mixes_the_weights)
{
    char order[8] = "";
    add(5);
    add(1);
    add(1);
    for (int i = 0; i < 7; i++) {
        order[i] = (char)('a' + choose(WEIR_BALANCE_ROUND_ROBIN, 0));
    }
    expect_str_eq(order, "aabacaa", "as nginx does");
    for (int i = 7; i < 7 * 1000; i++) {
        choose(WEIR_BALANCE_ROUND_ROBIN, 0);
    }
    expect_eq(counts[0], 5000);
    expect_eq(counts[1], 1000);
    expect_eq(counts[2], 1000);
}

UNIT(upstream_choose, round_robin_leaves_out_the_full_and_the_excluded)
{
    add(1)->is_full = true;
    add(1)->is_excluded = true;
    add(3);
    add(1);
    for (int i = 0; i < 4000; i++) {
        choose(WEIR_BALANCE_ROUND_ROBIN, 0);
    }
    expect_eq(counts[0] + counts[1], 0);
    expect_eq(counts[2], 3000);
    expect_eq(counts[3], 1000);
}

UNIT(upstream_choose, the_fewest_connections_for_the_weight_win)
{
    add(1);
    add(4);
    add(2);
    set_active(0, 10);
    set_active(1, 30); /* 7.5 for each unit of weight */
    set_active(2, 16);
    expect_eq(choose(WEIR_BALANCE_LEAST_CONNECTIONS, 0), 1);
    set_active(1, 40);
    expect_eq(choose(WEIR_BALANCE_LEAST_CONNECTIONS, 0), 2);
}

UNIT(upstream_choose, equally_busy_ones_take_turns_by_weight)
{
    add(1);
    add(3);
    add(1);
    set_active(2, 1);
    for (int i = 0; i < 4000; i++) {
        choose(WEIR_BALANCE_LEAST_CONNECTIONS, 0);
    }
    expect_eq(counts[0], 1000);
    expect_eq(counts[1], 3000);
    expect_eq(counts[2], 0);
}

UNIT(upstream_choose, least_connections_fill_by_weight)
{
    add(1);
    add(2);
    add(5);
    for (int i = 0; i < 8000; i++) {
        const int index = choose(WEIR_BALANCE_LEAST_CONNECTIONS, 0);
        set_active((size_t)index, counts[index]);
    }
    expect_about(counts[0], 1000, 1);
    expect_about(counts[1], 2000, 1);
    expect_about(counts[2], 5000, 1);
}

UNIT(upstream_choose, of_two_draws_the_less_busy_one_is_taken)
{
    add(1);
    add(1);
    set_active(0, 9);
    set_active(1, 1);
    for (int i = 0; i < 100; i++) {
        expect_eq(choose(WEIR_BALANCE_RANDOM_TWO, 0), 1);
    }
    add(1);
    set_active(2, 5);
    for (int i = 0; i < CHOICES; i++) {
        choose(WEIR_BALANCE_RANDOM_TWO, 0);
    }
    expect_eq(counts[0], 0, "one of any two is less busy");
    expect_about(counts[1], 100 + CHOICES * 2 / 3, 200);
    expect_about(counts[2], CHOICES / 3, 200);
}

UNIT(upstream_choose, draws_go_by_weight)
{
    for (uint32_t i = 0; i < 4; i++) {
        add(i == 0 ? 3 : 1);
    }
    for (int i = 0; i < CHOICES; i++) {
        choose(WEIR_BALANCE_RANDOM_TWO, 0);
    }
    /* None is busy: the first draw is taken. */
    expect_about(counts[0], CHOICES / 2, 200);
    for (size_t i = 1; i < 4; i++) {
        expect_about(counts[i], CHOICES / 6, 200);
    }
}

UNIT(upstream_choose, a_seed_repeats_all_draws)
{
    int first[64];
    for (uint32_t i = 0; i < 5; i++) {
        add(1 + i);
    }
    for (int i = 0; i < 64; i++) {
        first[i] = choose(WEIR_BALANCE_RANDOM_TWO, 0);
    }
    dice.state = 7;
    for (int i = 0; i < 64; i++) {
        expect_eq(choose(WEIR_BALANCE_RANDOM_TWO, 0), first[i]);
    }
}

UNIT(upstream_choose, keys_spread_by_weight)
{
    add(1);
    add(2);
    add(3);
    add(4);
    for (uint32_t i = 0; i < CHOICES; i++) {
        choose(WEIR_BALANCE_HASH, key_of(i));
    }
    for (uint32_t i = 0; i < 4; i++) {
        expect_about(counts[i], CHOICES * (i + 1) / 10, 200);
    }
}

UNIT(upstream_choose, a_new_upstream_takes_its_share_of_keys_and_moves_no_other)
{
    static int before[CHOICES];
    uint32_t moved = 0;
    for (int i = 0; i < 7; i++) {
        add(1);
    }
    for (uint32_t i = 0; i < CHOICES; i++) {
        before[i] = choose(WEIR_BALANCE_HASH, key_of(i));
    }
    add(1);
    for (uint32_t i = 0; i < CHOICES; i++) {
        const int now = choose(WEIR_BALANCE_HASH, key_of(i));
        if (now != before[i]) {
            expect_eq(now, 7, "to the new one only");
            moved++;
        }
    }
    expect_about(moved, CHOICES / 8, 150);
}

UNIT(upstream_choose, keys_of_one_that_is_gone_spread_and_no_other_moves)
{
    static int before[CHOICES];
    for (int i = 0; i < 5; i++) {
        add(1);
    }
    for (uint32_t i = 0; i < CHOICES; i++) {
        before[i] = choose(WEIR_BALANCE_HASH, key_of(i));
    }
    peers[2].tier = WR_TIER_NONE;
    memset(counts, 0, sizeof(counts));
    uint32_t moved[PEERS_MAX] = {0};
    for (uint32_t i = 0; i < CHOICES; i++) {
        const int now = choose(WEIR_BALANCE_HASH, key_of(i));
        expect_neq(now, 2);
        if (now != before[i]) {
            expect_eq(before[i], 2, "only what was there");
            moved[now]++;
        }
    }
    for (size_t i = 0; i < 5; i++) {
        if (i != 2) {
            expect_about(moved[i], CHOICES / 20, 100);
        }
    }
}

/* Two proxies of different builds send a client to the same upstream. */
UNIT(upstream_choose, the_hash_is_the_same_everywhere)
{
    static const char expected[] = "320131";
    char got[sizeof(expected)] = "";
    for (int i = 0; i < 4; i++) {
        add((uint32_t)i + 1);
    }
    for (uint32_t i = 0; i + 1 < sizeof(expected); i++) {
        const char text[] = {'k', (char)('0' + i)};
        got[i] = (char)('0' + choose(WEIR_BALANCE_HASH,
                                     wr_hash_bytes(text, sizeof(text))));
    }
    expect_str_eq(got, expected);
    expect_eq(wr_hash_bytes("", 0), wr_hash_bytes(NULL, 0));
}

/* As drawn when the logarithm of every number was computed: a proxy of a later
 * build keeps the clients' targets. */
UNIT(upstream_choose, keys_of_uneven_weights_stay_where_they_were)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct wr_candidate_upstream *peer = add(1);
        peer->weight = i % 5 == 0 ? 1 + 999 * i : WR_WEIGHT_UNIT * (1 + i % 3);
        peer->is_full = i % 11 == 3;
        peer->tier = i % 13 == 4 ? WR_TIER_NONE : WR_TIER_PRIMARY;
    }
    for (uint32_t i = 0; i < CHOICES; i++) {
        digest = digest * 31 + (uint64_t)choose(WEIR_BALANCE_HASH, key_of(i));
    }
    expect_eq(digest, UINT64_C(798781912044747935));
}

static void draw_peer(struct wr_candidate_upstream *peer)
{
    static const enum wr_tier tiers[] = {WR_TIER_PRIMARY, WR_TIER_PRIMARY,
                                         WR_TIER_BACKUP, WR_TIER_NONE};
    const uint64_t kind = wr_random_below(&dice, 3);

    peer->tier = tiers[wr_random_below(&dice, 4)];
    peer->is_full = wr_random_below(&dice, 8) == 0;
    peer->weight =
        kind == 0 ? WR_WEIGHT_UNIT
        : kind == 1
            ? 1 + (uint32_t)wr_random_below(&dice, 256)
            : WR_WEIGHT_UNIT * (1 + (uint32_t)wr_random_below(&dice, 256));
}

/* Changes whether one of the peers may be chosen, or its weight. */
static void change_peer(struct wr_choosing *choosing, int before[MOVING_KEYS])
{
    const struct wr_candidates candidates = {peers, peer_count, &all_turns,
                                             &dice};
    const size_t index = wr_random_below(&dice, peer_count);
    const struct wr_candidate_upstream old = peers[index];
    const struct wr_choice_way way = {.balance = WEIR_BALANCE_HASH};

    draw_peer(&peers[index]);
    if (!wr_choose_change(choosing, &candidates, &old, index)) {
        wr_choose_prepare(way, &candidates, choosing);
    }
    for (uint32_t i = 0; i < MOVING_KEYS; i++) {
        const int now = choose(WEIR_BALANCE_HASH, key_of(i));
        size_t followed = PEERS_MAX;
        const bool is_made = wr_choose(choosing, &candidates, key_of(i),
                                       &followed) == WR_CHOICE_MADE;
        expect_eq(is_made, now >= 0);
        if (is_made) {
            expect_eq((int)followed, now, "as prepared anew");
        }
        if (now >= 0 && now != (int)index && before[i] >= 0 &&
            before[i] != (int)index) {
            expect_eq(now, before[i], "key %u, where %zu has changed", i,
                      index);
        }
        before[i] = now;
    }
}

UNIT(upstream_choose, keys_move_only_to_or_from_the_one_that_has_changed)
{
    int before[MOVING_KEYS];
    struct unit_random seed;
    dice.state = unit_random_seed(&seed);
    while (peer_count < PEERS_MAX) {
        add(1);
    }
    for (int round = 0; round < 100; round++) {
        struct wr_choosing choosing = {.tier = WR_TIER_NONE};
        peer_count = 1 + wr_random_below(&dice, PEERS_MAX);
        for (size_t i = 0; i < peer_count; i++) {
            draw_peer(&peers[i]);
        }
        for (uint32_t i = 0; i < MOVING_KEYS; i++) {
            before[i] = choose(WEIR_BALANCE_HASH, key_of(i));
        }
        for (int change = 0; change < 30; change++) {
            change_peer(&choosing, before);
        }
    }
}

UNIT(upstream_choose, backups_and_ejected_ones_come_last)
{
    add(1)->tier = WR_TIER_EJECTED_BACKUP;
    add(1)->tier = WR_TIER_EJECTED;
    add(1)->tier = WR_TIER_BACKUP;
    add(1)->tier = WR_TIER_PRIMARY;
    for (int i = 3; i >= 0; i--) {
        for (int balance = 0; balance <= WEIR_BALANCE_HASH; balance++) {
            expect_eq(choose((enum weir_balance)balance, 1), i);
        }
        peers[i].tier = WR_TIER_NONE;
        peers[i].weight = 0;
    }
    expect_eq(choose(WEIR_BALANCE_ROUND_ROBIN, 0), -2);
}

UNIT(upstream_choose, a_full_primary_is_waited_for_and_no_backup_taken)
{
    add(1)->is_full = true;
    add(1)->tier = WR_TIER_BACKUP;
    for (int balance = 0; balance <= WEIR_BALANCE_HASH; balance++) {
        expect_eq(choose((enum weir_balance)balance, 1), -1);
    }
    peers[0].is_excluded = true;
    expect_eq(choose(WEIR_BALANCE_HASH, 1), 1, "what was tried does not count");
}

UNIT(upstream_choose, the_first_that_is_up_is_chosen_and_waited_for)
{
    struct wr_candidate_upstream *first = add(1);
    struct wr_candidate_upstream *second = add(5);
    struct wr_candidate_upstream *backup = add(9);
    backup->tier = WR_TIER_BACKUP;

    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 0);
    expect_eq(choose(WEIR_BALANCE_FIRST, 1), 0);
    first->is_full = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), -1, "it is waited for");
    first->is_excluded = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 1, "it was tried in vain");
    first->is_excluded = false;
    first->tier = WR_TIER_NONE;
    second->is_full = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), -1);
    second->tier = WR_TIER_NONE;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 2);
}

UNIT(upstream_choose, one_that_is_kept_is_chosen_while_it_is_up)
{
    add(1);
    struct wr_candidate_upstream *second = add(1);
    struct wr_candidate_upstream *backup = add(1);
    backup->tier = WR_TIER_BACKUP;

    second->is_kept = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 1);
    second->is_full = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), -1, "it is waited for");
    expect_eq(wr_choose_find_first(peers, peer_count), 1);
    second->is_excluded = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 0, "it was tried in vain");
    second->is_excluded = false;
    second->tier = WR_TIER_EJECTED;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 0, "it is not up");
    second->tier = WR_TIER_UNCHECKED;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), -2, "its check is waited for");
    expect_eq(wr_choose_find_first(peers, peer_count), SIZE_MAX);
    second->is_kept = false;
    backup->is_kept = true;
    expect_eq(choose(WEIR_BALANCE_FIRST, 0), 2, "a backup, too");
    backup->tier = WR_TIER_NONE;
    expect_eq(wr_choose_find_first(peers, peer_count), 0);
    peers[0].tier = WR_TIER_NONE;
    second->tier = WR_TIER_NONE;
    expect_eq(wr_choose_find_first(peers, peer_count), SIZE_MAX);
}

UNIT(upstream_choose, one_backup_at_a_time_is_the_first_that_is_up)
{
    struct wr_candidate_upstream *first = add(1);
    struct wr_candidate_upstream *backup = add(1);
    struct wr_candidate_upstream *other = add(1);
    backup->tier = WR_TIER_BACKUP;
    other->tier = WR_TIER_BACKUP;

    has_one_backup = true;
    expect_eq(choose(WEIR_BALANCE_ROUND_ROBIN, 0), 0);
    first->tier = WR_TIER_NONE;
    for (int balance = 0; balance <= WEIR_BALANCE_FIRST; balance++) {
        expect_eq(choose((enum weir_balance)balance, 7), 1);
        expect_eq(choose((enum weir_balance)balance, 8), 1);
    }
    backup->tier = WR_TIER_NONE;
    expect_eq(choose(WEIR_BALANCE_RANDOM_TWO, 0), 2);
    backup->tier = WR_TIER_EJECTED_BACKUP;
    other->tier = WR_TIER_EJECTED_BACKUP;
    expect_eq(choose(WEIR_BALANCE_LEAST_CONNECTIONS, 0), 1);
    has_one_backup = false;
    backup->tier = WR_TIER_BACKUP;
    other->tier = WR_TIER_BACKUP;
    const int one = choose(WEIR_BALANCE_ROUND_ROBIN, 0);
    expect_neq(choose(WEIR_BALANCE_ROUND_ROBIN, 0), one, "all by default");
}

UNIT(upstream_choose, no_candidates_are_none)
{
    expect_eq(choose(WEIR_BALANCE_ROUND_ROBIN, 0), -2);
    add(1)->is_excluded = true;
    expect_eq(choose(WEIR_BALANCE_RANDOM_TWO, 0), -2);
}

UNIT_ABORTS(upstream_choose, a_candidate_without_weight_is_a_fault,
            "candidates[i].tier == WR_TIER_NONE || candidates[i].weight > 0")
{
    add(0);
    choose(WEIR_BALANCE_ROUND_ROBIN, 0);
}

UNIT(upstream_choose, a_slow_start_grows_evenly_to_the_whole_weight)
{
    const uint64_t slow_ns = 10000000000u;
    expect_eq(wr_weight_warm(1, UINT64_MAX / 2, UINT64_MAX),
              WR_WEIGHT_UNIT / 2);
    expect_eq(wr_weight_warm(2, 0, slow_ns), 1, "never 0");
    expect_about(wr_weight_warm(2, slow_ns / 4, slow_ns), WR_WEIGHT_UNIT / 2,
                 1);
    expect_about(wr_weight_warm(2, slow_ns / 2, slow_ns), WR_WEIGHT_UNIT, 1);
    expect_eq(wr_weight_warm(2, slow_ns, slow_ns), 2 * WR_WEIGHT_UNIT);
    expect_eq(wr_weight_warm(256, UINT64_MAX, 1), 256 * WR_WEIGHT_UNIT);
    expect_eq(wr_weight_warm(3, 0, 0), 3 * WR_WEIGHT_UNIT, "there is none");
    uint32_t last = 0;
    for (uint64_t i = 0; i <= 1000; i++) {
        const uint32_t now = wr_weight_warm(100, slow_ns / 1000 * i, slow_ns);
        expect_geq(now, last);
        last = now;
    }
}

UNIT(upstream_choose, a_half_warm_upstream_gets_half_of_its_share)
{
    add(1);
    add(1)->weight = wr_weight_warm(1, 500, 1000);
    for (int i = 0; i < 9000; i++) {
        choose(WEIR_BALANCE_ROUND_ROBIN, 0);
    }
    expect_about(counts[1], 3000, 30);
}

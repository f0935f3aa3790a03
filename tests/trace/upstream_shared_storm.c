/*
 * Random tests of sets that share, on the fake machine: sets, upstreams and
 * requests come and go, and targets fail and recover. After each step all sets
 * must know the same about each target, and must have checked it no more often
 * than one set would. A seed repeats a run.
 */
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"
#include "tests/unit/random.h"

#include <weir/upstream.h>

enum { STORMS = 100, STEPS = 250, SETS = 4, TARGETS = 6, REQUESTS = 30 };
enum { INTERVAL_MS = 20 };

struct ask {
    weir_pending *pending; /* NULL: told, or not asked */
    weir_upstream_slot *slot;
};

static struct maker m;
static struct unit_random dice;
static weir_upstreams_shared *shared;
static struct weir_upstreams_options set_options; /* of all sets */
static weir_upstreams *sets[SETS];                /* NULL: there is none */
static weir_upstream *upstreams[SETS][TARGETS];   /* NULL: not in the set */
static struct fake_listener *listeners[TARGETS];
static struct weir_address addresses[TARGETS];
static struct ask asks[REQUESTS];
static int asked_count;
static int told_count;
static uint64_t start_ns;
static uint64_t gone_checks[TARGETS];  /* of upstreams that were removed */
static uint64_t change_count[TARGETS]; /* of the sets that have it */

static uint32_t roll(uint32_t below)
{
    return (uint32_t)unit_random_below(&dice, below);
}

static void note_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    (void)arg;
    (void)upstream;
    expect_eq(err < 0,
              state == WEIR_UPSTREAM_DOWN || state == WEIR_UPSTREAM_EJECTED);
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct ask *ask = arg;
    cr_assert_not_null(ask->pending, "told once");
    expect_eq(err == 0, result->slot != NULL);
    ask->pending = NULL;
    ask->slot = result->slot;
    told_count++;
    if (err == 0) {
        weir_transport_abort(result->transport);
    }
}

static struct weir_upstream_statistics info_of(int set, int target)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(upstreams[set][target], &info), 0);
    return info;
}

static void forget(int set, int target)
{
    if (upstreams[set][target]) {
        const struct weir_upstream_statistics info = info_of(set, target);
        gone_checks[target] += info.check_count + info.check_error_count;
        change_count[target]++;
        upstreams[set][target] = NULL;
    }
}

static void change_upstream(int set, int target)
{
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_addresses(&addresses[target], 1),
        .weight = roll(4),
        .connection_limit = roll(2) * (1 + roll(3))};
    weir_upstream *upstream = upstreams[set][target];
    if (!sets[set]) {
        return;
    }
    if (!upstream) {
        expect_eq(
            weir_upstreams_add(sets[set], &options, &upstreams[set][target]),
            0);
        change_count[target]++;
    } else if (roll(2) == 0) {
        expect_eq(weir_upstream_set_weight(upstream, roll(3)), 0);
    } else {
        forget(set, target);
        weir_upstream_remove(upstream);
    }
}

static void change_set(int set)
{
    if (!sets[set]) {
        expect_eq(weir_upstreams_new(m.loop, &set_options, &sets[set]), 0);
        return;
    }
    for (int i = 0; i < TARGETS; i++) {
        forget(set, i);
    }
    weir_upstreams_free(sets[set]);
    sets[set] = NULL;
}

static void ask_for_one(int set, struct ask *ask)
{
    const uint32_t key = roll(10);
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .key = &key,
        .key_size = sizeof(key),
        .tries = roll(4),
        .connect.timeout_ns = (1 + roll(20)) * MS};
    if (ask->pending || ask->slot || !sets[set]) {
        return;
    }
    expect_eq(weir_upstreams_connect(sets[set], &m.factory, &options, note_end,
                                     ask, &ask->pending),
              0);
    asked_count++;
}

static void end_ask(struct ask *ask)
{
    static const int results[] = {0, 0, -EPIPE, -ECANCELED};
    if (ask->pending) {
        weir_pending_cancel(ask->pending);
    } else if (ask->slot) {
        weir_upstream_slot_release(ask->slot, results[roll(4)]);
        ask->slot = NULL;
    }
}

/* Each set that has the target knows the same of it. */
static uint64_t check_target(int target)
{
    const struct weir_upstream_statistics *first = NULL;
    struct weir_upstream_statistics infos[SETS];
    uint64_t checks = gone_checks[target];
    for (int i = 0; i < SETS; i++) {
        if (!upstreams[i][target]) {
            continue;
        }
        infos[i] = info_of(i, target);
        first = first ? first : &infos[i];
        expect_eq(infos[i].state, first->state);
        expect_eq(infos[i].last_err, first->last_err);
        expect_eq(infos[i].is_being_checked, first->is_being_checked);
        checks += infos[i].check_count + infos[i].check_error_count;
    }
    return checks;
}

/* A check begins nine tenths of the interval after the last one or later, but
 * for one after a change of the sets. */
static void check_all(void)
{
    const uint64_t intervals =
        (fake_now() - start_ns) / (INTERVAL_MS * MS * 9 / 10);
    for (int i = 0; i < TARGETS; i++) {
        expect_leq(check_target(i), intervals + change_count[i] + 1);
    }
}

static void take_step(void)
{
    const int set = (int)roll(SETS);
    const int target = (int)roll(TARGETS);
    switch (roll(12)) {
    case 0:
    case 1:
        change_upstream(set, target);
        break;
    case 2:
        if (!sets[set] || roll(4) == 0) {
            change_set(set);
        }
        break;
    case 3:
        fake_listener_set(listeners[target], (enum fake_answer)roll(3),
                          roll(6) * MS);
        break;
    case 4:
    case 5:
    case 6:
        maker_run_for(&m, roll(20) * MS / 2);
        break;
    case 7:
        end_ask(&asks[roll(REQUESTS)]);
        break;
    default:
        ask_for_one(set, &asks[roll(REQUESTS)]);
    }
    check_all();
}

static void open_storm(uint64_t seed, struct weir_upstream_check *check)
{
    const struct fake_options machine = {.seed = seed};
    *check = (struct weir_upstream_check){.size = sizeof(*check),
                                          .interval_ns = INTERVAL_MS * MS,
                                          .timeout_ns = 10 * MS,
                                          .rise = 1,
                                          .fall = 1 + roll(2),
                                          .starts_down = roll(2)};
    memset(sets, 0, sizeof(sets));
    memset(upstreams, 0, sizeof(upstreams));
    memset(asks, 0, sizeof(asks));
    memset(gone_checks, 0, sizeof(gone_checks));
    memset(change_count, 0, sizeof(change_count));
    asked_count = told_count = 0;
    fake_start(&machine);
    maker_open(&m);
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    set_options =
        (struct weir_upstreams_options){.size = sizeof(set_options),
                                        .balance = (enum weir_balance)roll(5),
                                        .queue_limit = roll(5),
                                        .queue_timeout_ns = 30 * MS,
                                        .fail_limit = 1 + roll(3),
                                        .eject_ns = 15 * MS,
                                        .eject_max_ns = 100 * MS,
                                        .slow_start_ns = roll(2) * 50 * MS,
                                        .seed = seed,
                                        .check = roll(3) > 0 ? check : NULL,
                                        .changed = note_change,
                                        .shared = shared};
    for (int i = 0; i < TARGETS; i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%d", i + 1);
        addresses[i] = peer_address(host, 80);
        listeners[i] = fake_listen(&addresses[i].storage.any, addresses[i].len);
    }
    start_ns = fake_now();
}

/* Targets that accept are up in the end, in all sets. */
static void settle(void)
{
    for (int i = 0; i < TARGETS; i++) {
        fake_listener_set(listeners[i], FAKE_ACCEPT, 1 * MS);
    }
    maker_run_for(&m, 400 * MS);
    expect_eq(told_count, asked_count, "all requests have their ends");
    check_all();
    for (int i = 0; i < SETS * TARGETS; i++) {
        const int set = i / TARGETS;
        if (upstreams[set][i % TARGETS]) {
            expect_eq(info_of(set, i % TARGETS).state, WEIR_UPSTREAM_UP);
        }
    }
}

static void close_storm(void)
{
    weir_upstreams_shared_free(shared);
    for (int i = 0; i < SETS; i++) {
        weir_upstreams_free(sets[i]);
    }
    maker_close(&m);
    for (int i = 0; i < REQUESTS; i++) {
        weir_upstream_slot_release(asks[i].slot, 0);
    }
    fake_stop();
}

UNIT(upstream_shared_storm, all_sets_know_the_same)
{
    const uint64_t first = unit_random_seed(&dice);
    int told = 0;
    for (uint64_t i = 0; i < STORMS; i++) {
        struct weir_upstream_check check;
        dice.state = first + i;
        open_storm(first + i, &check);
        for (int step = 0; step < STEPS; step++) {
            take_step();
        }
        settle();
        close_storm();
        told += told_count;
    }
    expect_gt(told, STORMS * 5);
}

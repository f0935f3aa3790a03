/*
 * Random tests of a set of upstreams on the fake machine: requests are made,
 * wait, fail and are cancelled, while upstreams are added, removed, drained,
 * ejected and checked. Each request must end once, limits must hold at all
 * times, and nothing may be left at the end. A seed repeats a run.
 */
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"
#include "tests/unit/random.h"

#include <weir/upstream.h>

enum { STORMS = 150, STEPS = 250, PEERS = 5, REQUESTS = 40 };

struct ask {
    weir_pending *pending; /* NULL: told, or not asked */
    weir_upstream_slot *slot;
};

static struct maker m;
static struct unit_random dice;
static weir_upstreams *set;
static weir_upstream *peers[PEERS]; /* NULL: not in the set */
static uint32_t limits[PEERS];
static struct weir_address addresses[PEERS];
static struct fake_listener *listeners[PEERS];
static struct ask asks[REQUESTS];
static bool is_checked;
static int asked_count;
static int told_count;

static uint32_t roll(uint32_t below)
{
    return (uint32_t)unit_random_below(&dice, below);
}

static void drop_peer(weir_upstream *upstream)
{
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peers[i] == upstream ? NULL : peers[i];
    }
    weir_upstream_remove(upstream);
}

static void note_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    (void)arg;
    expect_eq(err < 0,
              state == WEIR_UPSTREAM_DOWN || state == WEIR_UPSTREAM_EJECTED);
    if (roll(30) == 0) {
        drop_peer(upstream);
    }
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct ask *ask = (struct ask *)arg;
    cr_assert_not_null(ask->pending, "told once");
    expect_eq(err == 0, result->slot != NULL);
    ask->pending = NULL;
    ask->slot = result->slot;
    told_count++;
    if (err == 0 && roll(2) == 0) {
        weir_transport_abort(result->transport);
    }
}

/* What is known of another one that is there, or anything. */
static struct weir_upstream_health draw_known(void)
{
    struct weir_upstream_health known = {.size = sizeof(known)};
    const weir_upstream *other = peers[roll(PEERS)];
    if (other) {
        expect_eq(weir_upstream_get_health(other, &known), 0);
        cr_assert(known.state == 0 || is_checked);
        return known;
    }
    known.state = is_checked
                      ? (enum weir_upstream_state)(roll(2) * WEIR_UPSTREAM_DOWN)
                      : 0;
    known.ejected_count = roll(2) ? roll(3) : UINT32_MAX - roll(2);
    known.ejected_by_report = roll(2);
    known.err = -(int)roll(2) * (int)roll(5000);
    known.ejected_ns = roll(3) ? roll(50) * MS : UINT64_MAX - roll(3);
    known.slow_start_ns = roll(3) ? roll(50) * MS : UINT64_MAX - roll(3);
    return known;
}

static void add_peer(uint32_t index)
{
    const struct weir_upstream_health known = draw_known();
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .health = roll(2) ? &known : NULL,
        .endpoint = weir_endpoint_addresses(&addresses[index], 1),
        .weight = roll(4),
        .connection_limit = limits[index],
        .is_backup = roll(4) == 0};
    if (!peers[index]) {
        expect_eq(weir_upstreams_add(set, &options, &peers[index]), 0);
    }
}

static void change_peer(uint32_t index)
{
    if (!peers[index]) {
        return;
    }
    switch (roll(4)) {
    case 0:
        drop_peer(peers[index]);
        break;
    case 1:
        expect_eq(weir_upstream_set_weight(peers[index], roll(3)), 0);
        break;
    default:
        weir_upstream_set_draining(peers[index], roll(3) == 0);
    }
}

static void ask_for_one(struct ask *ask)
{
    struct weir_upstreams_connect_options options = {.size = sizeof(options)};
    const uint32_t key = roll(10);
    const uint32_t excluded = roll(PEERS);
    if (ask->pending || ask->slot) {
        return;
    }
    options.key = &key;
    options.key_size = sizeof(key);
    options.tries = roll(4);
    options.timeout_ns = roll(2) * (1 + roll(40)) * MS;
    options.shortage_timeout_ns = roll(2) * (1 + roll(200)) * MS;
    options.connect.timeout_ns = (1 + roll(20)) * MS;
    if (peers[excluded] && roll(3) == 0) {
        options.excluded = &peers[excluded];
        options.excluded_count = 1;
    }
    expect_eq(weir_upstreams_connect(set, &m.factory, &options, note_end, ask,
                                     &ask->pending),
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

static void check_limits(void)
{
    for (int i = 0; i < PEERS; i++) {
        struct weir_upstream_statistics info = {.size = sizeof(info)};
        if (peers[i]) {
            expect_eq(weir_upstream_get_statistics(peers[i], &info), 0);
            cr_assert(limits[i] == 0 || info.active_count <= limits[i]);
        }
    }
}

static void take_step(void)
{
    const uint32_t index = roll(PEERS);
    switch (roll(9)) {
    case 0:
        add_peer(index);
        break;
    case 1:
        change_peer(index);
        break;
    case 2:
        fake_listener_set(listeners[index], (enum fake_answer)roll(3),
                          roll(6) * MS);
        break;
    case 3:
        end_ask(&asks[roll(REQUESTS)]);
        break;
    case 4:
        maker_run_for(&m, roll(15) * MS / 2);
        break;
    case 5:
        fake_set_fault(FAKE_NO_FD, roll(3) == 0 ? 500 : 0);
        break;
    default:
        ask_for_one(&asks[roll(REQUESTS)]);
    }
    check_limits();
}

static void open_storm(uint64_t seed)
{
    const struct fake_options machine = {.seed = seed};
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .interval_ns = 20 * MS,
                                              .timeout_ns = 10 * MS,
                                              .rise = 1,
                                              .fall = 2,
                                              .starts_down = roll(4) == 0};
    is_checked = roll(2);
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = (enum weir_balance)roll(5),
        .queue_limit = roll(5),
        .queue_timeout_ns = 30 * MS,
        .fail_limit = 1 + roll(3),
        .eject_ns = 15 * MS,
        .eject_max_ns = 100 * MS,
        .slow_start_ns = roll(2) * 50 * MS,
        .seed = seed,
        .check = is_checked ? &check : NULL,
        .changed = note_change};
    memset(peers, 0, sizeof(peers));
    memset(asks, 0, sizeof(asks));
    asked_count = told_count = 0;
    fake_start(&machine);
    maker_open(&m);
    expect_eq(weir_upstreams_new(m.loop, &options, &set), 0);
    for (int i = 0; i < PEERS; i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%d", i + 1);
        addresses[i] = peer_address(host, 80);
        listeners[i] = fake_listen(&addresses[i].storage.any, addresses[i].len);
        limits[i] = roll(3);
    }
}

/* The set is freed in the middle, after its requests, or after its loop. */
static void close_storm(void)
{
    const uint32_t way = roll(3);
    fake_set_fault(FAKE_NO_FD, 0);
    if (way == 0) {
        weir_upstreams_free(set);
    }
    if (way < 2) {
        maker_run_for(&m, 400 * MS);
        expect_eq(told_count, asked_count, "all requests have their ends");
    }
    if (way == 1) {
        weir_upstreams_free(set);
    }
    maker_close(&m);
    expect_eq(told_count, asked_count);
    if (way == 2) {
        weir_upstreams_free(set);
    }
    for (int i = 0; i < REQUESTS; i++) {
        weir_upstream_slot_release(asks[i].slot, 0);
    }
    fake_stop();
}

UNIT(upstream_storm, each_request_is_told_once_and_nothing_is_left)
{
    const uint64_t first = unit_random_seed(&dice);
    int told = 0;
    for (uint64_t i = 0; i < STORMS; i++) {
        dice.state = first + i;
        open_storm(first + i);
        for (int step = 0; step < STEPS; step++) {
            take_step();
        }
        close_storm();
        told += told_count;
    }
    expect_gt(told, STORMS * 20);
}

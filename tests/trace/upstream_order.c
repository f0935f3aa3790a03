/*
 * Which request is served next, compared with a model, on the fake machine:
 * requests that exclude upstreams are made, cancelled and ended at random, in
 * one set or in two that share their limits, while upstreams are drained and
 * one may refuse all connections. The model is a list of requests in order,
 * which is searched for the oldest that may have a place. A seed repeats a run.
 */
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"
#include "tests/unit/random.h"

#include <weir/upstream.h>

enum { RUNS = 80, STEPS = 150, PEERS = 4, ASKS = 400, SETS = 2, OPS = 4 };

enum ask_state { WAITS, SERVED, OVER };

/* A request; the array is in the order of asking. */
struct ask {
    enum ask_state state; /* as the model has it */
    unsigned excluded;    /* bits of peers */
    int set;
    weir_pending *pending; /* NULL: told */
    weir_upstream_slot *slot;
    int peer; /* of the slot */
};

/* An end that was told in this step. */
struct end {
    int ask;
    int err;
    int peer;
};

static struct maker m;
static struct unit_random dice;
static weir_upstreams_shared *limits;
static weir_upstreams *sets[SETS];
static int set_count;
static weir_upstream *peers[SETS][PEERS];
static uint32_t peer_limits[PEERS];
static uint32_t taken[PEERS]; /* by the model */
static bool is_backup[PEERS];
static bool is_drained[PEERS];
static int refusing; /* a peer without limit; -1: none */
static uint32_t queue_limit;
static struct ask asks[ASKS];
static int ask_count;
static struct end ends[ASKS];
static int end_count;
static int served_late; /* after a wait, in all runs */

static uint32_t roll(uint32_t below)
{
    return (uint32_t)unit_random_below(&dice, below);
}

/* The peers, as bits, that a request is to choose from in the end; 0: there are
 * none. */
static unsigned find_choice(const struct ask *ask)
{
    unsigned primaries = 0;
    unsigned backups = 0;
    for (int i = 0; i < PEERS; i++) {
        if (is_drained[i] || ask->excluded >> i & 1u || i == refusing) {
            continue;
        }
        primaries |= is_backup[i] ? 0 : 1u << i;
        backups |= is_backup[i] ? 1u << i : 0;
    }
    return primaries ? primaries : backups;
}

static bool may_have(const struct ask *ask, int peer)
{
    return find_choice(ask) >> peer & 1u && taken[peer] < peer_limits[peer];
}

static bool may_be_served(const struct ask *ask)
{
    bool may = false;
    for (int i = 0; i < PEERS; i++) {
        may = may || may_have(ask, i);
    }
    return ask->state == WAITS && may;
}

static int find_next(void)
{
    for (int i = 0; i < ask_count; i++) {
        if (may_be_served(&asks[i])) {
            return i;
        }
    }
    return -1;
}

static uint32_t count_waiting(void)
{
    uint32_t count = 0;
    for (int i = 0; i < ask_count; i++) {
        count += asks[i].state == WAITS;
    }
    return count;
}

/* What was told in a step is what the model would do. The request that was made
 * in it, if the queue is short, is the last. */
static void judge_end(const struct end *end)
{
    struct ask *ask = &asks[end->ask];
    if (end->err == -ECANCELED) {
        expect_eq(ask->state, OVER);
        return;
    }
    expect_eq(ask->state, WAITS);
    if (end->err == 0) {
        expect_eq(end->ask, find_next(), "the oldest that may");
        expect_eq(may_have(ask, end->peer), true);
        taken[end->peer]++;
        ask->state = SERVED;
        served_late += end->ask + 1 < ask_count;
        return;
    }
    expect_eq(may_be_served(ask), false);
    ask->state = OVER;
    if (end->err == -ENOBUFS) {
        expect_eq(end->ask, ask_count - 1);
        expect_eq(count_waiting(), queue_limit);
    } else {
        expect_eq(find_choice(ask), 0);
        cr_assert(end->err == -EHOSTDOWN ||
                  (end->err == -ECONNREFUSED && refusing >= 0));
    }
}

static void judge(void)
{
    for (int i = 0; i < end_count; i++) {
        judge_end(&ends[i]);
    }
    end_count = 0;
    expect_eq(find_next(), -1, "none waits for a place that is free");
    for (int i = 0; i < ask_count; i++) {
        cr_assert(asks[i].state != WAITS || find_choice(&asks[i]) != 0,
                  "none waits for nothing");
        expect_eq(asks[i].state == WAITS, asks[i].pending != NULL);
    }
    expect_leq(count_waiting(), queue_limit);
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct ask *ask = (struct ask *)arg;
    cr_assert_not_null(ask->pending, "told once");
    ask->pending = NULL;
    ask->slot = result->slot;
    ask->peer = -1;
    if (err == 0) {
        ask->peer = weir_upstream_get_name(result->upstream)[0] - 'a';
        weir_transport_abort(result->transport);
    }
    ends[end_count++] =
        (struct end){.ask = (int)(ask - asks), .err = err, .peer = ask->peer};
}

static void ask_for_one(void)
{
    struct ask *ask = &asks[ask_count];
    weir_upstream *excluded[PEERS];
    size_t count = 0;
    if (ask_count == ASKS) {
        return;
    }
    *ask = (struct ask){.set = (int)roll((uint32_t)set_count)};
    ask->excluded = roll(2) == 0 ? 0 : roll(1u << PEERS);
    const int first = (int)roll(PEERS);
    for (int i = 0; i < PEERS; i++) {
        const int peer = (first + i) % PEERS;
        if (ask->excluded >> peer & 1u) {
            excluded[count++] = peers[ask->set][peer];
        }
    }
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .excluded = excluded, .excluded_count = count};
    ask_count++;
    expect_eq(weir_upstreams_connect(sets[ask->set], &m.factory, &options,
                                     note_end, ask, &ask->pending),
              0);
}

/* Ends a connection, or gives a wait up. */
static void end_one(enum ask_state state)
{
    const int first = (int)roll((uint32_t)ask_count + 1);
    for (int i = 0; i < ask_count; i++) {
        struct ask *ask = &asks[(first + i) % ask_count];
        if (ask->state != state) {
            continue;
        }
        ask->state = OVER;
        if (state == WAITS) {
            weir_pending_cancel(ask->pending);
        } else {
            taken[ask->peer]--;
            weir_upstream_slot_release(ask->slot, 0);
            ask->slot = NULL;
        }
        return;
    }
}

static void drain_one(void)
{
    const uint32_t peer = roll(PEERS);
    is_drained[peer] = !is_drained[peer] && roll(2);
    weir_upstream_set_draining(peers[0][peer], is_drained[peer]);
}

static void take_step(void)
{
    switch (roll(set_count == 1 && refusing < 0 ? 12 : 11)) {
    case 0:
        end_one(WAITS);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        end_one(SERVED);
        break;
    case 11:
        drain_one();
        break;
    default:
        ask_for_one();
    }
}

static void add_peer(int set, int peer, const struct weir_address *address)
{
    const char name[] = {(char)('a' + peer), '\0'};
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .name = name,
        .endpoint = weir_endpoint_addresses(address, 1),
        .connection_limit = peer_limits[peer],
        .is_backup = is_backup[peer]};
    expect_eq(weir_upstreams_add(sets[set], &options, &peers[set][peer]), 0);
}

static void open_run(uint64_t seed)
{
    const struct fake_options machine = {.seed = seed};
    memset(taken, 0, sizeof(taken));
    memset(is_drained, 0, sizeof(is_drained));
    ask_count = end_count = 0;
    set_count = 1 + (int)roll(SETS);
    queue_limit = roll(3) == 0 ? roll(6) : ASKS;
    refusing = roll(2) ? (int)roll(PEERS) : -1;
    fake_start(&machine);
    maker_open(&m);
    maker_run_for(&m, 1 * MS);
    expect_eq(weir_upstreams_shared_new(NULL, &limits), 0);
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = (enum weir_balance)roll(4),
        .queue_limit = queue_limit,
        .queue_timeout_ns = UINT64_MAX,
        .fail_limit = UINT32_MAX,
        .seed = seed,
        .shared = limits};
    for (int i = 0; i < set_count; i++) {
        expect_eq(weir_upstreams_new(m.loop, &options, &sets[i]), 0);
    }
    for (int i = 0; i < PEERS; i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%d", i + 1);
        const struct weir_address address = peer_address(host, 80);
        fake_listener_set(fake_listen(&address.storage.any, address.len),
                          i == refusing ? FAKE_REFUSE : FAKE_ACCEPT, 1 * MS);
        peer_limits[i] = i == refusing ? 0 : 1 + roll(3);
        is_backup[i] = roll(4) == 0;
        for (int j = 0; j < set_count; j++) {
            add_peer(j, i, &address);
        }
    }
}

static void close_run(void)
{
    for (int i = 0; i < ask_count; i++) {
        weir_upstream_slot_release(asks[i].slot, 0);
    }
    for (int i = 0; i < set_count; i++) {
        weir_upstreams_free(sets[i]);
    }
    weir_upstreams_shared_free(limits);
    maker_run_for(&m, 5 * MS);
    maker_close(&m);
    fake_stop();
}

/* Steps that are looked at one by one: a short queue refuses whoever comes
 * before a place is free, sets take places side by side, and a request that is
 * refused misses its turn. */
static int draw_ops(void)
{
    const bool is_simple =
        queue_limit == ASKS && set_count == 1 && refusing < 0;
    return is_simple ? 1 + (int)roll(OPS) : 1;
}

UNIT(upstream_order, the_oldest_request_that_may_have_a_place_gets_it)
{
    const uint64_t first = unit_random_seed(&dice);
    served_late = 0;
    for (uint64_t i = 0; i < RUNS; i++) {
        dice.state = first + i;
        open_run(first + i);
        for (int step = 0; step < STEPS; step++) {
            const int ops = draw_ops();
            for (int j = 0; j < ops; j++) {
                take_step();
            }
            maker_run_for(&m, 4 * MS);
            judge();
        }
        close_run();
    }
    expect_gt(served_late, RUNS);
}

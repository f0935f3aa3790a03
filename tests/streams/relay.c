/*
 * Received bytes that are sent again without a copy: a limit on what a call
 * reads must cost no copy, no additional send and no wait.
 *
 * The peer sends as much as one receive returns, and continues when it has
 * everything back. The machine's counts are compared.
 */
#include "pair.h"

#include <weir/reader.h>
#include <weir/writer.h>

enum { ROUNDS = 20, BLOCK = 240 * KIB };

struct cost {
    uint64_t sends;
    uint64_t submitted;
    uint64_t switches;
    uint64_t copied;
};

static struct {
    struct pair pair;
    size_t bound;
    bool is_view; /* reads views, and does not take the bytes */
} relay;

static ssize_t read_some(struct weir_buf *ret)
{
    return relay.is_view
               ? weir_reader_read_view(relay.pair.reader, relay.bound, ret)
               : weir_reader_take(relay.pair.reader, relay.bound, ret);
}

/* Reads with a limit, like a careful program. */
static int send_back(weir_loop *on, void *arg)
{
    struct weir_buf bytes;
    ssize_t len;
    while ((len = read_some(&bytes)) > 0) {
        int err = weir_writer_write_buf(relay.pair.writer, &bytes);
        if (!relay.is_view) {
            weir_buf_unref(bytes.lease);
        }
        err = err < 0 ? err : weir_writer_drain(relay.pair.writer);
        expect_eq(err, 0);
    }
    return (int)len;
}

static uint64_t count_copied(const struct weir_loop_statistics *stats)
{
    return stats->copied_by_write + stats->copied_by_view +
           stats->copied_by_compaction + stats->copied_to_protocol;
}

static void take_cost(struct cost *ret)
{
    const struct weir_loop_statistics stats = rig_statistics();
    *ret = (struct cost){.sends = fake_stats()->sends,
                         .submitted = fake_stats()->submitted,
                         .switches = stats.task_switches,
                         .copied = count_copied(&stats)};
}

static void play_round(struct pair *p)
{
    static uint8_t block[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = pair_byte(p->peer_read + i);
    }
    expect_eq(fake_peer_write(p->peer, block, BLOCK), BLOCK);
    const uint64_t until = p->peer_read + BLOCK;
    while (p->peer_read < until) {
        nap();
        expect_gt(pair_peer_read(p, BLOCK), 0);
    }
}

static int play(weir_loop *on, void *ret)
{
    struct cost before;
    struct cost after;
    pair_open(&relay.pair);
    weir_task *task = rig_spawn(send_back, NULL);
    play_round(
        &relay.pair); /* the first round shows that the stream moves bulk */
    play_round(&relay.pair);
    take_cost(&before);
    for (int i = 0; i < ROUNDS; i++) {
        play_round(&relay.pair);
    }
    take_cost(&after);
    *(struct cost *)ret =
        (struct cost){.sends = after.sends - before.sends,
                      .submitted = after.submitted - before.submitted,
                      .switches = after.switches - before.switches,
                      .copied = after.copied - before.copied};
    fake_peer_shutdown(relay.pair.peer);
    expect_eq(rig_join(task), 0);
    pair_close(&relay.pair);
    return 0;
}

static struct cost relay_by(size_t bound, bool is_view)
{
    static const struct fake_options machine = {
        .seed = 1, .recv_size = 2 * MIB, .send_size = 2 * MIB};
    struct cost cost;

    relay.bound = bound;
    relay.is_view = is_view;
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(play, &cost), 0);
    rig_stop();
    return cost;
}

static void expect_no_price(size_t bound, bool is_view)
{
    const struct cost whole = relay_by(SIZE_MAX, is_view);
    const struct cost parts = relay_by(bound, is_view);

    expect_eq(whole.sends, ROUNDS);
    expect_eq(parts.sends, whole.sends);
    expect_leq(parts.submitted, whole.submitted);
    expect_leq(parts.switches, whole.switches);
    expect_eq(parts.copied, 0);
}

UNIT(relay, a_bound_to_what_is_taken_costs_no_send_no_switch_and_no_copy)
{
    expect_no_price(64 * KIB, false);
    expect_no_price(16 * KIB, false);
    expect_no_price(100 * KIB, false);
}

UNIT(relay, a_bound_to_what_is_shown_costs_no_send_no_switch_and_no_copy)
{
    expect_no_price(64 * KIB, true);
    expect_no_price(16 * KIB, true);
    expect_no_price(100 * KIB, true);
}

/* The kernel does not take all bytes: the drain waits, and the stream stops
 * receiving. */
static int stall(weir_loop *on, void *arg)
{
    static uint8_t block[BLOCK];
    struct pair *p = &relay.pair;
    uint64_t given = 0;
    pair_open(p);
    weir_task *task = rig_spawn(send_back, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        for (size_t j = 0; j < BLOCK; j++) {
            block[j] = pair_byte(given + j);
        }
        const ssize_t part = fake_peer_write(p->peer, block, BLOCK);
        given += part > 0 ? (uint64_t)part : 0;
        nap();
    }
    const uint64_t refused = weir_transport_get_write_buffer_size(p->t);
    expect_gt(refused, 64 * KIB);
    expect_leq(refused, 256 * KIB + relay.bound);
    expect_lt(fake_given_bytes(p->fd), given, "the rest is not received");

    pair_peer_read_all(p);
    fake_peer_shutdown(p->peer);
    expect_eq(rig_join(task), 0);
    expect_eq(p->peer_read, given);
    pair_close(p);
    return 0;
}

UNIT(relay, a_peer_that_does_not_read_stops_it_after_one_send)
{
    static const struct fake_options machine = {
        .seed = 1, .recv_size = 4 * MIB, .send_size = 16 * KIB};

    relay.bound = 64 * KIB;
    relay.is_view = false;
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(stall, NULL), 0);
    rig_stop();
}

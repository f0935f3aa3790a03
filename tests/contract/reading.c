/*
 * Reading under the protocol's control: rules R27 and R30, leases, and the
 * limit of what a connection may hold.
 *
 * Pausing stops data_received at once; what arrives meanwhile is kept or left
 * in the kernel, and is delivered from the loop after resume, byte for byte.
 */
#include "tests/contract/harness.h"
#include "tests/unit/random.h"

#define CREDIT_MAX 262144u /* what one receive may bring */

static void pause_it(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

static void resume_it(struct rig *rig)
{
    expect_eq(weir_transport_resume_reading(rig->t), 0);
}

static uint64_t held_bytes(const struct rig *rig)
{
    return weir_transport_get_read_buffer_size(rig->t);
}

/* Sends until the peer cannot, for as long as the loop turns, and until at
 * least @held bytes are held. */
static void flood(struct rig *rig, uint64_t held)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    uint8_t buf[4096];
    for (int idle = 0; idle < 20 || held_bytes(rig) < held;) {
        expect(rig_now_ns() < until_ns);
        rig_pattern(buf, rig->peer_sent, sizeof(buf));
        ssize_t sent = send(rig->peer, buf, sizeof(buf), MSG_NOSIGNAL);
        if (sent < 0) {
            expect_eq(errno, EAGAIN);
            rig_turn_for(rig, RIG_MS);
            idle++;
            continue;
        }
        rig->peer_sent += (uint64_t)sent;
        idle = 0;
    }
}

PAIRS(reading, r27__pausing_in_connection_made_prevents_the_first_data, rig,
      .needs = RIG_RECEIVES, .hooks = {.connection_made = pause_it})
{
    expect(!weir_transport_is_reading(rig->t));
    rig_peer_send(rig, 5000);
    rig_turn_for(rig, 10 * RIG_MS);
    expect_events(rig, "made");
    if (rig_can(rig, RIG_IS_PLAIN)) {
        expect_eq(held_bytes(rig), 0); /* left in the kernel */
    }

    resume_it(rig);
    expect(weir_transport_is_reading(rig->t));
    expect_events(rig, "made"); /* from the loop */
    rig_wait_received(rig, 5000);
}

PAIRS(reading, r27__pause_and_resume_may_be_repeated, rig,
      .needs = RIG_RECEIVES)
{
    pause_it(rig);
    pause_it(rig);
    rig_turns(rig, 2);
    pause_it(rig);
    expect(!weir_transport_is_reading(rig->t));
    resume_it(rig);
    resume_it(rig);
    rig_turns(rig, 2);
    resume_it(rig);
    expect(weir_transport_is_reading(rig->t));

    rig_receive(rig, 100);
}

static int pause_after_data(struct rig *rig, const struct weir_buf *buf)
{
    pause_it(rig);
    return 0;
}

PAIRS(reading, r27__pausing_inside_data_received_stops_the_next, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = pause_after_data})
{
    rig_receive(rig, 10);
    rig_peer_send(rig, 60000);
    rig_turn_for(rig, 10 * RIG_MS);
    expect_eq(rig->received, 10);

    while (rig->received < 60010) { /* pauses after each piece */
        const uint64_t before = rig->received;
        resume_it(rig);
        rig_wait_received(rig, before + 1);
        rig_turn_for(rig, RIG_MS);
    }

    expect_eq(rig->received, 60010);
}

PAIRS(reading, bytes_kept_while_paused_are_counted_and_bounded, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    pause_it(rig); /* a receive is armed already */
    flood(rig, 1);

    const uint64_t held = held_bytes(rig);
    expect(held <= CREDIT_MAX);
    expect_eq(rig_statistics(rig).held_bytes, held);
    expect_eq(rig->received, 0);
    resume_it(rig);
    rig_wait_received(rig, rig->peer_sent);

    rig_turn(rig);
    expect_eq(held_bytes(rig), 0);
}

PAIRS(reading, once_bytes_are_kept_the_rest_stays_in_the_kernel, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    pause_it(rig);
    rig_peer_send(rig, 1000);
    RUN_UNTIL(rig->loop, held_bytes(rig) > 0);
    expect_eq(held_bytes(rig), 1000);

    for (int i = 0; i < 5; i++) {
        rig_peer_send(rig, 1000);
        rig_turn_for(rig, RIG_MS);
    }

    expect_eq(held_bytes(rig), 1000);
    resume_it(rig);
    rig_wait_received(rig, 6000);
}

PAIRS(reading, bytes_kept_while_paused_are_dropped_by_close, rig,
      .small_buffers = true)
{
    rig_clog(rig); /* so that the connection stays for a while */
    pause_it(rig);
    rig_peer_send(rig, 3000);
    if (!rig_can(rig, RIG_IS_MEMORY)) { /* the other end keeps them */
        RUN_UNTIL(rig->loop, held_bytes(rig) >= 3000);
    }

    expect_eq(weir_transport_close(rig->t), 0);
    rig_turns(rig, 3); /* TLS gives back from the loop */

    expect_eq(held_bytes(rig), 0);
    expect(!weir_transport_is_reading(rig->t));
    resume_it(rig); /* does nothing now */
    rig_turns(rig, 5);
    expect_eq(rig->received, 0);
    expect_eq(rig->lost_count, 0);
}

static int toggle(struct rig *rig, const struct weir_buf *buf)
{
    struct unit_random *random = (struct unit_random *)(uintptr_t)rig->bytes;
    if (unit_random_below(random, 3) == 0) {
        pause_it(rig);
    }
    return 0;
}

UNIT(reading, every_byte_comes_once_under_random_pauses)
{
    struct unit_random random;
    const uint64_t seed = unit_random_seed(&random);
    struct rig rig = {.hooks = {.data_received = toggle}};
    while (rig_next(&rig)) {
        rig.bytes = (uintptr_t)&random;
        while (rig.received < 2000000) {
            /* No more than fits: reading is not resumed while the peer waits.
             */
            if (rig.peer_sent < 2000000 &&
                rig.peer_sent - rig.received < 50000) {
                const uint64_t left = 2000000 - rig.peer_sent;
                const uint64_t part = 1 + unit_random_below(&random, 20000);
                rig_peer_send(&rig, part < left ? part : left);
            }
            rig_turn(&rig);
            if (unit_random_below(&random, 2) == 0) {
                resume_it(&rig);
            }
        }
        cr_assert(rig.received == 2000000, "seed %llu",
                  (unsigned long long)seed);
    }
}

/* ---- leases ---- */

#define LEASES_MAX 4096

static struct {
    struct weir_buf bufs[LEASES_MAX];
    uint64_t offsets[LEASES_MAX];
    int count;
} kept;

static int keep_lease(struct rig *rig, const struct weir_buf *buf)
{
    expect(kept.count < LEASES_MAX);
    kept.bufs[kept.count] = *buf;
    expect_eq(weir_buf_ref(&kept.bufs[kept.count]), 0);
    kept.offsets[kept.count] = rig->received - buf->len;
    kept.count++;
    return 0;
}

static void give_leases_back(void)
{
    for (int i = 0; i < kept.count; i++) {
        expect(rig_is_pattern(kept.bufs[i].data, kept.offsets[i],
                              kept.bufs[i].len));
        weir_buf_unref(kept.bufs[i].lease);
    }
    kept.count = 0;
}

PAIRS(reading, a_kept_lease_keeps_its_bytes_while_others_come, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = keep_lease})
{
    rig_receive(rig, 1000);
    const int first = kept.count;
    rig->hooks.data_received = NULL;
    for (int i = 0; i < 40; i++) {
        rig_peer_send(rig, 100000);
        rig_wait_received(rig, rig->peer_sent);
    }
    expect_eq(kept.count, first);
    expect_eq(held_bytes(rig), 1000);
    expect_eq(rig_statistics(rig).leases, first);

    give_leases_back();

    expect_eq(held_bytes(rig), 0);
    rig->hooks.data_received = keep_lease;
}

UNIT(reading, a_connection_holds_no_more_than_its_limit)
{
    const uint64_t limit = 65536;
    struct rig rig = {.hooks = {.data_received = keep_lease}};
    while (rig_next(&rig)) {
        /* The size is the sum over the transports that stand on each other, and
         * each has the limit. The end of a record is kept in a block that may
         * be larger. */
        const uint64_t filters =
            0U + rig_can(&rig, RIG_IS_TLS) + rig_can(&rig, RIG_IS_NESTED);
        const uint64_t most = limit + filters * (limit + 8192);
        expect_eq(weir_transport_set_read_buffer_limit(rig.t, limit), 0);
        rig_turn(&rig);
        flood(&rig, 0);
        /* One receive was armed under the old limit. */
        expect_leq(held_bytes(&rig), CREDIT_MAX + most - limit);
        give_leases_back();
        rig_turn_for(&rig, 5 * RIG_MS);
        give_leases_back();
        flood(&rig, limit - 4096 + 1);

        expect_leq(held_bytes(&rig), most);
        while (rig.received < rig.peer_sent) {
            const uint64_t before = rig.received;
            give_leases_back();
            rig_wait_received(&rig, before + 1);
        }
        give_leases_back();
    }
}

PAIRS(reading, the_limit_comes_from_the_makers_options_to_the_byte, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN,
      .hooks = {.data_received = keep_lease},
      .connection = {.size = sizeof(struct weir_connection_options),
                     .read_limit_bytes = 50000})
{
    flood(rig, 50000 - 4096 + 1);

    expect(held_bytes(rig) <= 50000);
    expect_eq(held_bytes(rig), rig->received);
    give_leases_back();
    rig_wait_received(rig, 50001);
    give_leases_back();
    rig->hooks.data_received = NULL;
    rig_wait_received(rig, rig->peer_sent);
    give_leases_back();
    rig->hooks.data_received = keep_lease;
}

PAIRS(reading, a_higher_limit_starts_a_stopped_receive, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = keep_lease},
      .connection = {.size = sizeof(struct weir_connection_options),
                     .read_limit_bytes = 4096})
{
    rig_peer_send(rig, 20000);
    rig_turn_for(rig, 5 * RIG_MS);
    expect(rig->received <= 4096);

    expect_eq(weir_transport_set_read_buffer_limit(rig->t, 0), 0);

    rig_wait_received(rig, 20000);
    give_leases_back();
}

PAIRS(reading, a_limit_below_4096_is_refused, rig, .needs = RIG_RECEIVES)
{
    weir_transport *t = rig->t;
    expect_eq(weir_transport_set_read_buffer_limit(t, 4095), -EINVAL);
    expect_eq(weir_transport_set_read_buffer_limit(t, 1), -EINVAL);
    expect_eq(weir_transport_set_read_buffer_limit(t, 4096), 0);
    expect_eq(weir_transport_set_read_buffer_limit(t, 0), 0);
}

static int measure(struct rig *rig, const struct weir_buf *buf)
{
    expect(buf->len <= CREDIT_MAX);
    expect(buf->lease != NULL);
    rig->bytes += buf->len;
    return 0;
}

PAIRS(reading, r30__data_comes_in_pieces_of_bounded_size, rig,
      .needs = RIG_RECEIVES, .hooks = {.data_received = measure})
{
    rig_receive(rig, 3000000);

    expect_eq(rig->bytes, 3000000);
    if (rig_can(rig, RIG_IS_PLAIN)) {
        expect_eq(rig_statistics(rig).received_bytes, 3000000);
    }
}

PAIRS(reading, data_of_a_plain_protocol_is_not_copied, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    rig_receive(rig, 1000000);

    const struct weir_loop_statistics stats = rig_statistics(rig);
    expect_eq(stats.copied_by_write, 0);
    expect_eq(stats.copied_by_compaction, 0);
    expect_eq(stats.copied_to_protocol, 0);
}

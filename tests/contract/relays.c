/*
 * Relays over every pair of transports: bytes, ends and resets.
 *
 * The peers are plain descriptors: a peer sees the bytes that the other peer
 * has sent, then an end of stream if that one has ended, or a reset if it has
 * broken.
 */
#include "tests/contract/relay_rig.h"

#include <sys/socket.h>

enum { SOME = 100000, MUCH = 10 << 20, PIECE = 20000 };

static void expect_record(const struct relayed *r, enum weir_relay_party party,
                          enum weir_relay_cause cause)
{
    expect_eq(r->record.ended_by, party);
    expect_eq(r->record.cause, cause);
}

static void move_both_ways(struct relayed *r)
{
    const uint64_t before_ns = weir_loop_get_time(r->a->loop);

    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, SOME, PIECE);
    relay_rig_move(&r->b, r->a, 2 * SOME, PIECE);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    relay_rig_move(&r->b, r->a, SOME, PIECE);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end_of(r->a), 0);

    expect_eq(relay_rig_end(r), 0);
    expect_record(r, WEIR_RELAY_A, WEIR_RELAY_EOF);
    expect_eq(r->record.a_bytes, SOME);
    expect_eq(r->record.b_bytes, 3 * SOME);
    expect_geq(r->record.start_ns, before_ns);
    expect_geq(r->record.a_first_ns, r->record.start_ns);
    expect_geq(r->record.b_first_ns, r->record.a_first_ns);
    expect_geq(r->record.end_ns, r->record.b_first_ns);
}

UNIT(relays, bytes_and_ends_go_both_ways_between_any_two_transports)
{
    relay_rig_pairings(0, 0, false, move_both_ways);
}

static void end_and_download(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end_of(r->a), 0);
    relay_rig_move(r->a, &r->b, MUCH, 10 * PIECE);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    expect_eq(relay_rig_end(r), 0);
    expect_record(r, WEIR_RELAY_B, WEIR_RELAY_EOF);
    expect_eq(r->record.a_bytes, MUCH);
    expect_eq(r->record.b_bytes, 0);
    expect_eq(r->record.b_first_ns, 0);
}

UNIT(relays, after_the_end_of_one_direction_the_other_goes_on)
{
    relay_rig_pairings(RIG_IS_PLAIN, RIG_IS_PLAIN, false, end_and_download);
    relay_rig_pairings(RIG_IS_TLS, RIG_IS_MEMORY, false, end_and_download);
}

static void expect_addresses(const struct rig *side,
                             const struct weir_address before[2])
{
    struct weir_address now;

    weir_transport_get_peername(side->t, &now);
    expect_eq(weir_address_is_equal(&now, &before[0]), 1);
    weir_transport_get_sockname(side->t, &now);
    expect_eq(weir_address_is_equal(&now, &before[1]), 1);
    expect_eq(weir_transport_get_socket(side->t), -EBADF);
}

static void ask_after_end(struct relayed *r)
{
    struct rig *const sides[2] = {r->a, &r->b};
    struct weir_address before[2][2];

    relay_rig_begin(r, NULL);
    for (int i = 0; i < 2; i++) {
        weir_transport_get_peername(sides[i]->t, &before[i][0]);
        weir_transport_get_sockname(sides[i]->t, &before[i][1]);
        expect_gt(before[i][0].len, 0);
    }
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end_of(r->a), 0);
    expect_eq(relay_rig_end(r), 0);
    expect_addresses(r->a, before[0]);
    expect_addresses(&r->b, before[1]);
}

UNIT(relays, sides_that_the_program_refers_to_tell_their_addresses_at_last)
{
    relay_rig_pairings(RIG_IS_PLAIN | RIG_HAS_ADDRESSES, RIG_HAS_ADDRESSES,
                       false, ask_after_end);
}

/* A TLS record is larger than the buffer. */
static void move_through_little(struct relayed *r)
{
    relay_rig_begin(r, SIZED(weir_relay_options, .buffer_bytes = 4096));
    relay_rig_move(r->a, &r->b, SOME, PIECE);
    relay_rig_move(&r->b, r->a, SOME, PIECE);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end_of(r->a), 0);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    expect_eq(relay_rig_end(r), 0);
}

UNIT(relays, the_least_buffer_is_enough_for_all)
{
    relay_rig_pairings(0, RIG_IS_PLAIN | RIG_HAS_ADDRESSES, false,
                       move_through_little);
    relay_rig_pairings(RIG_IS_PLAIN | RIG_HAS_ADDRESSES, 0, true,
                       move_through_little);
    relay_rig_pairings(RIG_IS_MEMORY, RIG_IS_TLS, false, move_through_little);
}

static void reset_a(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, SOME, PIECE);
    relay_rig_move(&r->b, r->a, SOME, PIECE);
    rig_peer_reset(r->a);
    expect_eq(relay_rig_end_of(&r->b),
              rig_can(&r->b, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_eq(relay_rig_end(r), -ECONNRESET);
    expect_record(r, WEIR_RELAY_A, WEIR_RELAY_RESET);
}

UNIT(relays, a_reset_of_the_first_side_resets_the_second)
{
    relay_rig_pairings(RIG_CAN_RESET, 0, false, reset_a);
}

static void reset_b(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, SOME, PIECE);
    rig_peer_reset(&r->b);
    expect_eq(relay_rig_end_of(r->a),
              rig_can(r->a, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_eq(relay_rig_end(r), -ECONNRESET);
    expect_record(r, WEIR_RELAY_B, WEIR_RELAY_RESET);
}

UNIT(relays, a_reset_of_the_second_side_resets_the_first)
{
    relay_rig_pairings(0, RIG_CAN_RESET, false, reset_b);
}

static int get_peer_error(const struct rig *side)
{
    int err = 0;
    socklen_t len = sizeof(err);
    expect_eq(getsockopt(side->peer, SOL_SOCKET, SO_ERROR, &err, &len), 0);
    return err;
}

static void reset_after_end(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_reset(r->a);
    rig_peer_send(&r->b, PIECE); /* so that the reset is noticed */
    expect_eq(relay_rig_end(r), -EPIPE);
    expect_record(r, WEIR_RELAY_A, WEIR_RELAY_RESET);
    expect_eq(get_peer_error(&r->b), EPIPE);
}

UNIT(relays, a_reset_after_the_end_is_no_clean_end)
{
    relay_rig_pairings(RIG_CAN_RESET | RIG_IS_PLAIN,
                       RIG_CAN_RESET | RIG_IS_PLAIN, false, reset_after_end);
}

static void cancel(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, SOME, PIECE);
    weir_pending_cancel(r->pending);
    weir_pending_cancel(r->pending);
    expect_eq(r->done_count, 0);
    expect_eq(relay_rig_end(r), -ECANCELED);
    expect_record(r, WEIR_RELAY_PROGRAM, WEIR_RELAY_CANCELED);
    expect_eq(relay_rig_end_of(r->a),
              rig_can(r->a, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_eq(relay_rig_end_of(&r->b),
              rig_can(&r->b, RIG_CAN_RESET) ? -ECONNRESET : 0);
}

UNIT(relays, a_cancellation_aborts_both_sides)
{
    relay_rig_pairings(0, 0, false, cancel);
}

static void end_at_once(struct relayed *r)
{
    relay_rig_begin(r, SIZED(weir_relay_options, .close_at_first_end = true));
    relay_rig_move(&r->b, r->a, SOME, PIECE);
    rig_peer_send(r->a, PIECE);
    rig_peer_shutdown(r->a);
    rig_peer_read(&r->b, PIECE);
    expect_eq(relay_rig_end_of(&r->b), 0);
    expect_eq(relay_rig_end_of(r->a), 0);
    expect_eq(relay_rig_end(r), 0);
    expect_record(r, WEIR_RELAY_A, WEIR_RELAY_EOF);
}

UNIT(relays, both_sides_are_closed_at_the_first_end_on_demand)
{
    relay_rig_pairings(RIG_IS_PLAIN, 0, false, end_at_once);
}

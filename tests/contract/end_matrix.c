/*
 * Table 2.5: write_eof, close and abort in every state of a connection, one
 * test for each row and column.
 *
 * All three may be called at any time and as often as one likes. close sends
 * what waits, abort drops it, and the connection is lost once.
 */
#include "tests/contract/rows.h"
#include "tests/marks.h"

#include <poll.h>

static void expect_lost(struct rig *rig, enum weir_end end)
{
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), end);
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 1);
    expect_eq(rig_pending(rig), 0);
}

/* ---- write_eof ---- */

PAIRS(end_matrix, open_and_empty__write_eof_ends_the_writing_side_alone, rig,
      .needs = RIG_BOTH_WAYS)
{
    expect(weir_transport_can_write_eof(rig->t));
    expect_eq(weir_transport_write_eof(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    rig_receive(rig, 5000);

    expect_events(rig, "made data");
    expect(!weir_transport_is_closing(rig->t));
}

PAIRS(end_matrix, open_and_pending__write_eof_follows_the_last_byte, rig,
      .small_buffers = true)
{
    enter_pending(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    expect_eq(rig->lost_count, 0);
}

PAIRS(end_matrix, after_write_eof__write_eof_does_nothing, rig,
      .small_buffers = true)
{
    enter_after_write_eof(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);
    rig_turns(rig, 3);

    expect_events(rig, "made");
    expect_eq(rig_peer_read_end(rig), 0);
}

PAIRS(end_matrix, closing_and_empty__write_eof_does_nothing, rig,
      .small_buffers = true)
{
    enter_closing_empty(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, closing_and_pending__write_eof_does_nothing, rig,
      .small_buffers = true)
{
    enter_closing_pending(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, after_an_error__write_eof_does_nothing, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true)
{
    enter_broken(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);

    leave_broken(rig);
}

PAIRS(end_matrix, after_the_loss__write_eof_does_nothing, rig,
      .small_buffers = true)
{
    enter_lost(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
}

/* ---- close ---- */

PAIRS(end_matrix, open_and_empty__close_loses_the_connection_soon, rig,
      .needs = RIG_BOTH_WAYS)
{
    expect_eq(weir_transport_close(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
    expect_eq(rig_peer_read_end(rig), 0);
}

PAIRS(end_matrix, open_and_pending__close_sends_everything_first, rig,
      .small_buffers = true)
{
    enter_pending(rig);

    expect_eq(weir_transport_close(rig->t), 0);
    rig_turns(rig, 10);
    expect_eq(rig->lost_count, 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, written_in_the_same_turn__close_sends_everything_first, rig,
      .needs = RIG_BOTH_WAYS)
{
    expect_eq(rig_write(rig, 5000), 0);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, 5000);
    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, after_write_eof__close_loses_the_connection, rig,
      .small_buffers = true)
{
    enter_after_write_eof(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, after_write_eof_with_bytes_pending__close_sends_them, rig,
      .small_buffers = true)
{
    enter_pending(rig);
    enter_after_write_eof(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, closing_and_empty__close_does_nothing, rig,
      .small_buffers = true)
{
    enter_closing_empty(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, closing_and_pending__close_does_nothing, rig,
      .small_buffers = true)
{
    enter_closing_pending(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, after_an_error__close_drops_what_was_kept, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true)
{
    enter_broken(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    rig_expect_lost(rig, -ECONNRESET);
    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
}

PAIRS(end_matrix, after_the_loss__close_does_nothing, rig,
      .small_buffers = true)
{
    enter_lost(rig);

    expect_eq(weir_transport_close(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
}

/* ---- abort ---- */

PAIRS(end_matrix, open_and_empty__abort_loses_the_connection_soon, rig,
      .needs = RIG_BOTH_WAYS)
{
    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
    expect_eq(rig_peer_read_end(rig),
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
}

PAIRS(end_matrix, open_and_pending__abort_drops_what_waits, rig,
      .small_buffers = true)
{
    enter_pending(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
    expect(rig_peer_read_end(rig) <= 0);
    expect(rig->peer_received < rig->written);
}

/* Reads whatever comes while the loop stands still: how it ends. */
static int read_alone(int peer)
{
    static uint8_t buf[1 << 16];
    struct pollfd pollfd = {.fd = peer, .events = POLLIN};
    ssize_t len;

    do {
        expect_eq(poll(&pollfd, 1, 60000), 1);
        len = recv(peer, buf, sizeof(buf), 0);
    } while (len > 0);
    return len < 0 ? -errno : 0;
}

PAIRS(end_matrix, open_and_pending__abort_resets_at_once, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .small_buffers = true)
{
    struct weir_address own = {.len = sizeof(own.storage)};
    struct weir_address peer = {.len = sizeof(peer.storage)};
    struct weir_address told;
    enter_pending(rig);
    expect_eq(getpeername(rig->peer, &own.storage.any, &own.len), 0);
    expect_eq(getsockname(rig->peer, &peer.storage.any, &peer.len), 0);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_eq(read_alone(rig->peer),
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_lost(rig, WEIR_END_ABORTED);
    weir_transport_get_sockname(rig->t, &told);
    expect_eq(memcmp(&own.storage, &told.storage, told.len), 0);
    weir_transport_get_peername(rig->t, &told);
    expect_eq(told.len, peer.len);
    expect_eq(memcmp(&peer.storage, &told.storage, told.len), 0);
}

PAIRS(end_matrix, written_in_the_same_turn__abort_sends_nothing, rig,
      .needs = RIG_BOTH_WAYS)
{
    expect_eq(rig_write(rig, 5000), 0);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
    expect_eq(rig_peer_read_end(rig),
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_eq(rig->peer_received, 0);
}

PAIRS(end_matrix, after_write_eof__abort_loses_the_connection, rig,
      .small_buffers = true)
{
    enter_after_write_eof(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_ABORTED);
}

PAIRS(end_matrix, closing_and_empty__abort_loses_the_connection_once, rig,
      .small_buffers = true)
{
    enter_closing_empty(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
}

PAIRS(end_matrix, closing_and_pending__abort_drops_the_rest, rig,
      .small_buffers = true)
{
    enter_closing_pending(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
    expect(rig_peer_read_end(rig) <= 0);
    expect(rig->peer_received < rig->written);
}

static void write_beyond(struct rig *rig)
{
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 20), 0);
    expect_eq(rig_write(rig, 21), -ENOBUFS);
}

PAIRS(end_matrix, closing_and_pending__a_write_that_is_refused_resets, rig,
      .small_buffers = true, .hooks = {.resume_writing = write_beyond})
{
    expect_eq(set_marks(rig->t, 1, 0), 0);
    enter_closing_pending(rig);

    expect_eq(rig_peer_read_end(rig),
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);

    rig_expect_lost(rig, -ENOBUFS);
}

PAIRS(end_matrix, closing_and_pending__a_write_that_is_refused_is_told, rig,
      .needs = RIG_SENDS, .small_buffers = true,
      .hooks = {.resume_writing = write_beyond})
{
    expect_eq(set_marks(rig->t, 1, 0), 0);
    enter_closing_pending(rig);

    expect(rig_peer_read_end(rig) <= 0);

    rig_expect_lost(rig, -ENOBUFS);
    /* A reset takes back what the peer has not read. */
    expect(rig->peer_received == rig->written || rig_can(rig, RIG_CAN_RESET));
}

static void write_after_eof(struct rig *rig)
{
    rig->step++;
    expect_eq(rig_write(rig, 1), -ESHUTDOWN);
}

PAIRS(end_matrix, closing_after_write_eof__resume_writing_may_not_write, rig,
      .needs = RIG_SENDS, .small_buffers = true,
      .hooks = {.resume_writing = write_after_eof})
{
    enter_pending(rig);
    enter_after_write_eof(rig);
    expect_eq(weir_transport_close(rig->t), 0);

    expect_eq(rig_peer_read_end(rig), 0);

    expect_eq(rig->step, 1);
    expect_eq(rig->peer_received, rig->written);
    rig_expect_lost(rig, 0);
}

PAIRS(end_matrix, after_an_error__abort_drops_what_was_kept, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true)
{
    enter_broken(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    rig_expect_lost(rig, -ECONNRESET);
    expect_events(rig, "made lost");
}

PAIRS(end_matrix, after_the_loss__abort_does_nothing, rig,
      .small_buffers = true)
{
    weir_transport_close(rig->t);
    rig_wait_lost(rig);

    expect_eq(weir_transport_abort(rig->t), 0);

    expect_lost(rig, WEIR_END_CLOSED);
}

/*
 * Rules of closing: R24, R25, R26 and R66.
 *
 * A send that fails is told by connection_lost, not by the write; a close waits
 * for the peer as long as it takes; bytes that were not read, or that come
 * later, make the kernel reset, but not before the peer has what was written;
 * and shutdown(2) is for write_eof.
 */
#include "tests/contract/rows.h"

enum { MUCH = 1 << 20 };

static void pause_it(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

UNIT(closing, r24__a_send_that_fails_is_told_by_connection_lost)
{
    struct rig rig = {.eof_result = 1};
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        rig_peer_close(&rig);
        rig_wait_event(&rig, "eof");
        if (rig_can(&rig,
                    RIG_CAN_RESET)) { /* the first only provokes the reset */
            expect_eq(rig_write(&rig, 10), 0);
            rig_wait_lost(&rig);
            continue;
        }
        expect_eq(rig_write(&rig, 1000), 0);
        expect_eq(rig.lost_count, 0);

        rig_expect_lost(&rig, -EPIPE);
        expect_eq(rig_pending(&rig), 0);
        expect_eq(rig.exception_count, 0);
    }
}

PAIRS(closing, r25__bytes_that_were_not_read_make_the_kernel_reset, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN,
      .hooks = {.connection_made = pause_it})
{
    rig_peer_send(rig, 1000);
    rig_wait_arrived(rig);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_wait_lost(rig);

    expect_eq(rig_peer_read_end(rig), -ECONNRESET);
    expect_eq(rig->lost_err, 0);
}

static void expect_all(struct rig *rig)
{
    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

UNIT(closing, r25__unless_something_was_written)
{
    struct rig rig = {.hooks = {.connection_made = pause_it}};
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 1000);
        expect_eq(rig_write(&rig, MUCH), 0);
        expect_eq(weir_transport_close(rig.t), 0);

        expect_all(&rig);
    }
}

/* As tickets of TLS 1.3 do. */
UNIT(closing, bytes_that_come_after_a_close_destroy_nothing)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        expect_eq(rig_write(&rig, MUCH), 0);
        expect_eq(weir_transport_close(rig.t), 0);
        rig_turn_for(&rig, 5 * RIG_MS);
        rig_peer_send(&rig, 1000);

        expect_all(&rig);
    }
}

/* Some of it lies in the kernels' queues, and the peer may still drop it. */
PAIRS(closing, a_peer_that_breaks_off_before_it_has_all_is_told, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .small_buffers = true)
{
    expect_eq(rig_write(rig, MUCH), 0);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_turn_for(rig, 5 * RIG_MS);
    rig_peer_reset(rig);

    rig_expect_lost(rig, -ECONNRESET);
}

UNIT(closing, r25__unless_the_close_lingers)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .linger_ns = 20 * RIG_S};
    struct rig rig = {.hooks = {.connection_made = pause_it}};
    while (rig_next(&rig)) {
        expect_eq(weir_transport_set_timeouts(rig.t, &timeouts), 0);
        rig_peer_send(&rig, 1000);
        expect_eq(rig_write(&rig, 700), 0);
        expect_eq(weir_transport_close(rig.t), 0);

        expect_eq(rig_peer_read_end(&rig), 0);
        expect_eq(rig.peer_received, 700);
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);
        expect_eq(rig.received, 0);
    }
}

PAIRS(closing, r26__without_a_limit_a_close_waits_for_the_peer, rig,
      .small_buffers = true)
{
    enter_closing_pending(rig);

    rig_turn_for(rig, 100 * RIG_MS);

    expect_eq(rig->lost_count, 0);
    expect(rig_pending(rig) > 0);
    expect_eq(rig_statistics(rig).timers, 0);
}

/* A duplicate of the descriptor keeps the connection open unless it is shut
 * down. */
static void end_beside_a_duplicate(int (*end)(weir_transport *t))
{
    struct rig rig = {0};
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        char byte;
        const int fd = dup(weir_transport_get_socket(rig.t));
        expect(fd >= 0);
        expect_eq(end(rig.t), 0);
        rig_wait_lost(&rig);
        rig_turns(&rig, 2);

        expect_eq(recv(rig.peer, &byte, 1, 0), -1);
        expect_eq(errno, EAGAIN);
        close(fd);
        expect_eq(rig_peer_read_end(&rig),
                  end == weir_transport_abort && rig_can(&rig, RIG_CAN_RESET)
                      ? -ECONNRESET
                      : 0);
    }
}

UNIT(closing, r66__close_does_not_shut_the_connection_down)
{
    end_beside_a_duplicate(weir_transport_close);
}

UNIT(closing, r66__abort_does_not_shut_the_connection_down)
{
    end_beside_a_duplicate(weir_transport_abort);
}

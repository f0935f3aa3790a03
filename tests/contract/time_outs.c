/*
 * Time-outs: idle, read, write stall, close, linger.
 *
 * Only what can never depend on the machine's mood is asserted: that the
 * connection is lost with the right error, and not before its time. "Not
 * before" is measured from a moment that lies before the event which the limit
 * counts from, so that a slow machine only waits longer.
 */
#include "tests/contract/rows.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void set(struct rig *rig, struct weir_timeouts timeouts)
{
    timeouts.size = sizeof(timeouts);
    expect_eq(weir_transport_set_timeouts(rig->t, &timeouts), 0);
}

/* Waits for the loss, which must not come before @since_ns + @limit_ns. */
static void expect_loss(struct rig *rig, int err, uint64_t since_ns,
                        uint64_t limit_ns)
{
    rig_wait_lost(rig);
    expect(rig_now_ns() - since_ns >= limit_ns);
    expect_eq(rig->lost_err, err);
    expect_eq(weir_transport_get_error(rig->t), err);
}

/* ---- idle ---- */

PAIRS(time_outs, an_idle_connection_is_lost, rig, .needs = RIG_RECEIVES)
{
    const uint64_t since_ns = rig_now_ns();
    set(rig, (struct weir_timeouts){.idle_ns = 30 * RIG_MS});

    expect_loss(rig, WEIR_EIDLE, since_ns, 30 * RIG_MS);
    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    expect(rig_peer_read_end(rig) <= 0);
}

PAIRS(time_outs, a_limit_may_be_taken_away, rig, .needs = RIG_RECEIVES)
{
    set(rig,
        (struct weir_timeouts){.idle_ns = 20 * RIG_MS, .read_ns = 20 * RIG_MS});
    expect_eq(weir_transport_set_timeouts(rig->t, NULL), 0);
    expect_eq(rig_statistics(rig).timers, 0);

    rig_turn_for(rig, 60 * RIG_MS);

    expect_events(rig, "made");
}

PAIRS(time_outs, a_limit_counts_from_when_it_is_set, rig, .needs = RIG_RECEIVES)
{
    rig_turn_for(rig, 40 * RIG_MS);
    const uint64_t since_ns = rig_now_ns();
    set(rig, (struct weir_timeouts){.idle_ns = 30 * RIG_MS});

    expect_loss(rig, WEIR_EIDLE, since_ns, 30 * RIG_MS);
}

PAIRS(time_outs, limits_come_from_the_makers_options, rig,
      .needs = RIG_RECEIVES,
      .connection = {.size = sizeof(struct weir_connection_options),
                     .timeouts = {.size = sizeof(struct weir_timeouts),
                                  .read_ns = 200 * RIG_MS}})
{
    rig_expect_lost(rig, WEIR_EREADTIMEOUT);
}

/* ---- read ---- */

PAIRS(time_outs, a_peer_that_sends_nothing_is_lost, rig, .needs = RIG_RECEIVES)
{
    const uint64_t since_ns = rig_now_ns();
    set(rig, (struct weir_timeouts){.read_ns = 30 * RIG_MS});

    expect_loss(rig, WEIR_EREADTIMEOUT, since_ns, 30 * RIG_MS);
}

PAIRS(time_outs, writing_does_not_put_the_read_limit_off, rig,
      .needs = RIG_BOTH_WAYS)
{
    set(rig, (struct weir_timeouts){.read_ns = 50 * RIG_MS});
    while (rig->lost_count == 0) {
        rig_write(rig, 10); /* is refused at the end */
        rig_turn_for(rig, RIG_MS);
    }

    expect_eq(rig->lost_err, WEIR_EREADTIMEOUT);
}

PAIRS(time_outs, resuming_what_is_not_paused_does_not_put_it_off_either, rig,
      .needs = RIG_RECEIVES)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    set(rig, (struct weir_timeouts){.read_ns = 50 * RIG_MS});
    while (rig->lost_count == 0 && rig_now_ns() < until_ns) {
        expect_eq(weir_transport_resume_reading(rig->t), 0);
        rig_turn_for(rig, RIG_MS);
    }

    expect_eq(rig->lost_err, WEIR_EREADTIMEOUT);
}

PAIRS(time_outs, the_read_limit_rests_while_paused_and_starts_anew, rig,
      .needs = RIG_RECEIVES)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    set(rig, (struct weir_timeouts){.read_ns = 30 * RIG_MS});
    rig_turn_for(rig, 80 * RIG_MS);
    expect_events(rig, "made");

    const uint64_t since_ns = rig_now_ns();
    expect_eq(weir_transport_resume_reading(rig->t), 0);

    expect_loss(rig, WEIR_EREADTIMEOUT, since_ns, 30 * RIG_MS);
}

PAIRS(time_outs, the_read_limit_rests_after_the_end_of_stream, rig,
      .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    set(rig, (struct weir_timeouts){.read_ns = 20 * RIG_MS});

    rig_turn_for(rig, 60 * RIG_MS);

    expect_events(rig, "made eof");
}

/* ---- write stall ---- */

PAIRS(time_outs, a_peer_that_takes_nothing_is_lost, rig, .needs = RIG_SENDS,
      .small_buffers = true)
{
    rig_clog(rig);
    const uint64_t since_ns = rig_now_ns();
    set(rig, (struct weir_timeouts){.write_stall_ns = 50 * RIG_MS});

    expect_loss(rig, WEIR_EWRITESTALL, since_ns, 50 * RIG_MS);
    expect_events(rig, "made pause lost");
    expect_eq(rig_pending(rig), 0);
}

PAIRS(time_outs, without_bytes_to_send_nothing_stalls, rig, .needs = RIG_SENDS)
{
    expect_eq(rig_write(rig, 1000), 0);
    while (rig_pending(rig) > 0) { /* a thread of the kernel may write it */
        rig_turn(rig);
    }
    rig_peer_read(rig, 1000);
    set(rig, (struct weir_timeouts){.write_stall_ns = 100 * RIG_MS});

    rig_turn_for(rig, 200 * RIG_MS);

    expect_events(rig, "made");
}

static void enlarge_send_buffer(struct rig *rig)
{
    set_socket_option(weir_transport_get_socket(rig->t), SOL_SOCKET, SO_SNDBUF,
                      1 << 20);
}

/* Some bytes, without waiting; false when there were none. */
static int unacked_bytes(const struct rig *rig)
{
    int bytes = 0;
    expect_eq(ioctl(weir_transport_get_socket(rig->t), SIOCOUTQ, &bytes), 0);
    return bytes;
}

/* True when enough was taken for the kernel to tell: of a Unix socket it counts
 * whole packets. */
static bool peer_sips(struct rig *rig)
{
    uint8_t buf[8192];
    const int before = unacked_bytes(rig);
    const ssize_t got = recv(rig->peer, buf, sizeof(buf), 0);
    rig->peer_received += got > 0 ? (uint64_t)got : 0;
    return got > 0 && unacked_bytes(rig) != before;
}

/* A slow peer empties the kernel's queue bit by bit; for a long time no send
 * completes, and still it is no stall (SIOCOUTQ tells). */
UNIT(time_outs, a_peer_that_takes_a_little_is_not_lost)
{
    const uint64_t limit_ns = 100 * RIG_MS;
    struct rig rig = {.small_buffers = true,
                      .hooks = {.connection_made = enlarge_send_buffer}};
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_HAS_KERNEL)) {
        rig_clog(&rig);
        const uint64_t until_ns = rig_now_ns() + 3 * limit_ns;
        uint64_t sip_ns = rig_now_ns();
        set(&rig, (struct weir_timeouts){.write_stall_ns = limit_ns});
        while (rig.lost_count == 0 && rig_now_ns() < until_ns) {
            const uint64_t before_ns = rig_now_ns();
            if (peer_sips(&rig)) {
                sip_ns = before_ns;
            }
            rig_turn_for(&rig, 8 * RIG_MS);
        }

        expect_loss(&rig, WEIR_EWRITESTALL, sip_ns, limit_ns);
    }
}

/* ---- close ---- */

/* Takes longer than the limit, behind the close. */
static void close_and_hold_up(void *arg)
{
    struct rig *rig = arg;
    const uint64_t until_ns = rig_now_ns() + 10 * RIG_MS;

    expect_eq(weir_transport_close(rig->t), 0);
    while (rig_now_ns() < until_ns) {
    }
}

static void close_in_a_busy_loop(struct rig *rig)
{
    set(rig, (struct weir_timeouts){.close_ns = 2 * RIG_MS});
    expect_eq(weir_loop_call_soon(rig->loop, close_and_hold_up, rig, NULL), 0);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

/* TLS has its close_notify to send, in time. */
PAIRS(time_outs, a_close_with_nothing_to_send_ends_well_in_a_busy_loop, rig,
      .needs = RIG_RECEIVES | RIG_IS_PLAIN)
{
    close_in_a_busy_loop(rig);
}

PAIRS(time_outs, a_close_in_memory_ends_well_in_a_busy_loop, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_MEMORY)
{
    close_in_a_busy_loop(rig);
}

PAIRS(time_outs, a_close_that_takes_too_long_drops_the_rest, rig,
      .needs = RIG_SENDS, .small_buffers = true)
{
    set(rig, (struct weir_timeouts){.close_ns = 50 * RIG_MS});
    rig_clog(rig);
    const uint64_t since_ns = rig_now_ns();
    expect_eq(weir_transport_close(rig->t), 0);

    expect_loss(rig, WEIR_ECLOSETIMEOUT, since_ns, 50 * RIG_MS);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
    expect_eq(rig_pending(rig), 0);
    expect_eq(rig_peer_read_end(rig),
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect(rig->peer_received < rig->written);
}

PAIRS(time_outs, a_close_limit_may_be_set_after_close, rig, .needs = RIG_SENDS,
      .small_buffers = true)
{
    enter_closing_pending(rig);
    const uint64_t since_ns = rig_now_ns();
    set(rig, (struct weir_timeouts){.close_ns = 30 * RIG_MS});

    expect_loss(rig, WEIR_ECLOSETIMEOUT, since_ns, 30 * RIG_MS);
}

PAIRS(time_outs, a_close_in_time_is_no_error, rig, .needs = RIG_SENDS,
      .small_buffers = true)
{
    set(rig, (struct weir_timeouts){.close_ns = 20 * RIG_S});
    enter_closing_pending(rig);

    expect_eq(rig_peer_read_end(rig), 0);
    rig_expect_lost(rig, 0);
    expect_eq(rig->peer_received, rig->written);
}

PAIRS(time_outs, the_other_limits_rest_while_closing, rig, .needs = RIG_SENDS,
      .small_buffers = true)
{
    enter_closing_pending(rig);
    set(rig,
        (struct weir_timeouts){.idle_ns = 20 * RIG_MS, .read_ns = 20 * RIG_MS});
    rig_turn_for(rig, 60 * RIG_MS);
    expect_eq(rig->lost_count, 0);

    expect_eq(rig_peer_read_end(rig), 0);
    rig_expect_lost(rig, 0);
}

/* ---- linger ---- */

PAIRS(time_outs, lingering_waits_for_the_peers_end_and_resets_nothing, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 20 * RIG_S});
    expect_eq(rig_write(rig, 50000), 0);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_peer_send(rig, 300000); /* late; dropped */
    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, 50000);
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 0);

    rig_peer_shutdown(rig);
    rig_expect_lost(rig, 0);
    expect_eq(rig->received, 0);
    expect_events(rig, "made lost");
}

PAIRS(time_outs, lingering_ends_without_an_error, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 30 * RIG_MS});
    const uint64_t since_ns = rig_now_ns();
    expect_eq(weir_transport_close(rig->t), 0);

    expect_loss(rig, 0, since_ns, 30 * RIG_MS);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

PAIRS(time_outs, lingering_is_not_needed_after_the_peers_end, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 3600 * RIG_S});
    rig_peer_shutdown(rig);

    rig_wait_lost(rig); /* not an hour later */

    expect_events(rig, "made eof lost");
    expect_eq(rig->lost_err, 0);
}

PAIRS(time_outs, lingering_is_ended_by_abort, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 3600 * RIG_S});
    expect_eq(weir_transport_close(rig->t), 0);
    rig_turn_for(rig, 5 * RIG_MS);
    expect_eq(rig->lost_count, 0);
    expect_eq(rig_write(rig, 1), -ESHUTDOWN);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_expect_lost(rig, 0);
}

PAIRS(time_outs, lingering_is_bounded_by_the_close_limit, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 3600 * RIG_S,
                                    .close_ns = 40 * RIG_MS});
    const uint64_t since_ns = rig_now_ns();
    expect_eq(weir_transport_close(rig->t), 0);

    expect_loss(rig, WEIR_ECLOSETIMEOUT, since_ns, 40 * RIG_MS);
}

/* TLS over TLS asks the transports below it, one after the other. */
PAIRS(time_outs, a_close_limit_that_the_loop_sees_late_is_told, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    set(rig, (struct weir_timeouts){.linger_ns = 3600 * RIG_S,
                                    .close_ns = 10 * RIG_MS});
    const uint64_t since_ns = rig_now_ns();
    expect_eq(weir_transport_close(rig->t), 0);
    while (rig_now_ns() - since_ns < 20 * RIG_MS) {
        /* the program is busy */
    }

    expect_loss(rig, WEIR_ECLOSETIMEOUT, since_ns, 10 * RIG_MS);
}

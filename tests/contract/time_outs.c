/*
 * Time limits: idle, read, write stall, close, linger.
 *
 * Assertions do not depend on the machine's speed: the connection is lost with
 * the right error, and not too early. "Not too early" is measured from a moment
 * before the event at which the limit starts, so that a slow machine only waits
 * longer.
 */
#include "tests/contract/scenes.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

SCENE(time_outs, an_idle_connection_is_lost, "receives wide",
      "since; limit idle 30; lost WEIR_EIDLE BROKEN; after 30; "
      "error WEIR_EIDLE; events made lost; read-end any")
SCENE(time_outs, a_limit_may_be_taken_away, "receives wide",
      "limit idle 20 read 20; limit; timers 0; run 60; events made")
SCENE(time_outs, a_limit_counts_from_when_it_is_set, "receives wide",
      "run 40; since; limit idle 30; lost WEIR_EIDLE; after 30")
SCENE(time_outs, limits_come_from_the_makers_options,
      "receives wide read-ms=200", "lost WEIR_EREADTIMEOUT")
SCENE(time_outs, a_peer_that_sends_nothing_is_lost, "receives wide",
      "since; limit read 30; lost WEIR_EREADTIMEOUT; after 30; "
      "error WEIR_EREADTIMEOUT")
SCENE(time_outs, the_read_limit_rests_while_paused_and_starts_anew,
      "receives wide",
      "pause; limit read 30; run 80; events made; since; resume; "
      "lost WEIR_EREADTIMEOUT; after 30")
SCENE(time_outs, the_read_limit_rests_after_the_end_of_stream,
      "both wide eof=1",
      "shutdown; event eof; limit read 20; run 60; events made eof")
SCENE(time_outs, a_peer_that_takes_nothing_is_lost, "sends",
      "clog; since; limit stall 50; lost WEIR_EWRITESTALL; after 50; "
      "error WEIR_EWRITESTALL; events made pause lost; pending 0")
SCENE(time_outs, without_bytes_to_send_nothing_stalls, "sends wide",
      "write 1000; until pending 0; read 1000; limit stall 100; run 200; "
      "events made")
/* TLS has its close_notify to send, in time. */
SCENE(time_outs, a_close_with_nothing_to_send_ends_well_in_a_busy_loop,
      "receives plain wide", "limit close 2; send 1; lost 0 CLOSED",
      "@data close; busy 10")
SCENE(time_outs, a_close_in_memory_ends_well_in_a_busy_loop, "both memory wide",
      "limit close 2; send 1; lost 0 CLOSED", "@data close; busy 10")
SCENE(time_outs, a_close_that_takes_too_long_drops_the_rest, "sends",
      "limit close 50; clog; since; close; lost WEIR_ECLOSETIMEOUT CLOSED; "
      "error WEIR_ECLOSETIMEOUT; after 50; pending 0; read-end reset; "
      "came <written")
SCENE(time_outs, a_close_limit_may_be_set_after_close, "sends",
      "clog; close; turn 3; alive; since; limit close 30; "
      "lost WEIR_ECLOSETIMEOUT; after 30")
SCENE(time_outs, a_close_in_time_is_no_error, "sends",
      "limit close 20000; clog; close; turn 3; alive; read-end; lost 0; "
      "came written")
SCENE(time_outs, the_other_limits_rest_while_closing, "sends",
      "clog; close; turn 3; limit idle 20 read 20; run 60; alive; read-end; "
      "lost 0")
SCENE(time_outs, lingering_waits_for_the_peers_end_and_resets_nothing,
      "both kernel wide",
      "limit linger 20000; write 50000; close; send 300000; read-end; "
      "came 50000; turn 3; alive; shutdown; lost 0; received 0; "
      "events made lost")
SCENE(time_outs, lingering_ends_without_an_error, "both kernel wide",
      "limit linger 30; since; close; lost 0 CLOSED; after 30")
SCENE(time_outs, lingering_is_not_needed_after_the_peers_end,
      "both kernel wide",
      "limit linger 3600000; shutdown; lost 0; events made eof lost")
SCENE(time_outs, lingering_is_ended_by_abort, "both kernel wide",
      "limit linger 3600000; close; run 5; alive; write 1 ESHUTDOWN; abort; "
      "lost 0")
SCENE(time_outs, lingering_is_bounded_by_the_close_limit, "both kernel wide",
      "limit linger 3600000 close 40; since; close; lost WEIR_ECLOSETIMEOUT; "
      "error WEIR_ECLOSETIMEOUT; after 40")
/* TLS inside TLS queries the transports below it, one after the other. */
SCENE(time_outs, a_close_limit_that_the_loop_sees_late_is_told,
      "both kernel wide",
      "limit linger 3600000 close 10; since; close; busy 20; "
      "lost WEIR_ECLOSETIMEOUT; after 10")

SCENE(time_outs, writing_does_not_put_the_read_limit_off, "both wide",
      "limit read 50", "write 10 any; run 1; again lost",
      "lost WEIR_EREADTIMEOUT")
SCENE(time_outs, resuming_what_is_not_paused_does_not_put_it_off_either,
      "receives wide", "limit read 50", "resume; run 1; again lost",
      "lost WEIR_EREADTIMEOUT")

static void enlarge_send_buffer(struct rig *rig)
{
    set_socket_option(weir_transport_get_socket(rig->t), SOL_SOCKET, SO_SNDBUF,
                      1 << 20);
}

static int unacked_bytes(const struct rig *rig)
{
    int bytes = 0;

    expect_eq(ioctl(weir_transport_get_socket(rig->t), SIOCOUTQ, &bytes), 0);
    return bytes;
}

/* Returns true if the peer has read enough for the kernel to report it: for a
 * Unix socket the kernel counts whole packets. */
static bool peer_sips(struct rig *rig)
{
    uint8_t buf[8192];
    const int before = unacked_bytes(rig);
    const ssize_t got = recv(rig->peer, buf, sizeof(buf), 0);

    rig->peer_received += got > 0 ? (uint64_t)got : 0;
    return got > 0 && unacked_bytes(rig) != before;
}

/* A slow peer empties the kernel's queue bit by bit; for a long time no send
 * completes, but it is not a stall (SIOCOUTQ shows this). */
PAIRS(time_outs, a_peer_that_takes_a_little_is_not_lost, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL, .small_buffers = true,
      .hooks = {.connection_made = enlarge_send_buffer})
{
    const uint64_t limit_ns = 100 * RIG_MS;
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .write_stall_ns = limit_ns};

    expect_eq(rig_write(rig, 3 << 20), 0);
    rig_clog(rig);
    const uint64_t until_ns = rig_now_ns() + 3 * limit_ns;
    uint64_t sip_ns = rig_now_ns();
    expect_eq(weir_transport_set_timeouts(rig->t, &limits), 0);
    while (rig->lost_count == 0 && rig_now_ns() < until_ns) {
        const uint64_t before_ns = rig_now_ns();
        if (peer_sips(rig)) {
            sip_ns = before_ns;
        }
        rig_turn_for(rig, 8 * RIG_MS);
    }
    rig_expect_lost(rig, WEIR_EWRITESTALL);
    expect(rig_now_ns() - sip_ns >= limit_ns);
}

/*
 * The ends of connections that wait for closes of their peers' descriptors: by
 * the peer, by a timeout, by the program, and with their loop.
 *
 * Bytes that arrived before an end by the peer are received after the wait. No
 * other end waits.
 */
#define UNIT_RUN with_rig

#include "lib/transport/sock/sock_impl.h"
#include "resting_rig.h"

#include <errno.h>

enum { LIMIT_MS = 100, MUCH = 4 * ROOM };

static void with_rig(void (*body)(void))
{
    rig_start();
    body();
    rig_stop(0);
}

UNIT(resting_end, a_reset_is_seen_at_once_and_told_behind_the_bytes)
{
    peer_sends("x");
    fake_peer_reset(rig.peer);
    rig_run(MS);
    expect_eq(weir_transport_get_error(rig.t), -ECONNRESET);
    rig_run(100 * S);
    expect_eq(rig.lost_count, 0);

    rig_end_closes();
    expect_str_eq(rig.received, "fx");
    expect_lost(-ECONNRESET);
}

UNIT_IN(resting_end, a_write_to_a_peer_that_has_gone_is_told_behind_the_bytes,
        unit_alone, void)
{
    rig_start();
    peer_sends("x");
    fake_peer_close(rig.peer);
    rig_run(MS);
    expect_eq(weir_transport_write(rig.t, "a", 1), 0);
    rig_run(S);
    expect_eq(weir_transport_get_error(rig.t), -EPIPE);
    expect_eq(rig.lost_count, 0);

    rig_end_closes();
    expect_str_eq(rig.received, "fx");
    expect_lost(-EPIPE);
    expect_eq(weir_loop_free(rig.loop), 0);
    fake_stop();
}

UNIT(resting_end, who_pauses_reading_is_told_of_a_reset_without_bytes_at_once)
{
    expect_eq(weir_transport_pause_reading(rig.t), 0);
    fake_peer_reset(rig.peer);
    rig_run(MS);

    expect_lost(-ECONNRESET);
    expect_eq(rig_waiting(), WAITING);
}

static bool is_scarce;

static void *alloc(void *arg, size_t size)
{
    return is_scarce && size == sizeof(struct wr_sock_fds) ? NULL
                                                           : malloc(size);
}

static void give(void *arg, void *ptr, size_t size)
{
    free(ptr);
}

/* Else a peer could fill the process's table. */
UNIT_IN(resting_end, a_connection_that_has_no_memory_to_rest_is_lost,
        unit_alone, void)
{
    struct weir_allocator allocator = {.alloc = alloc, .free = give};
    rig.allocator = &allocator;
    rig_open();
    is_scarce = true;
    peer_passes();
    rig_run(MS);

    expect_lost(-ENOMEM);
    expect_eq(rig.fds_count, 0);
    expect_eq(rig_waiting(), TOKENS);
    rig_stop(0);
}

static void set_limits(struct weir_timeouts limits)
{
    limits.size = sizeof(limits);
    expect_eq(weir_transport_set_timeouts(rig.t, &limits), 0);
}

#define LIMITS(...) ((struct weir_timeouts){__VA_ARGS__})

/* Bytes of the peer stay in the kernel, and are not received. */
static void expect_over(struct weir_timeouts limits, int err)
{
    const uint64_t since_ns = fake_now();
    set_limits(limits);
    rig_run(LIMIT_MS / 2 * MS);
    peer_sends("x");
    rig_run(LIMIT_MS * MS);

    expect_lost(err);
    expect_geq(rig.lost_ns, since_ns + LIMIT_MS * MS);
    expect_leq(rig.lost_ns, since_ns + (LIMIT_MS + 1) * MS);
    expect_str_eq(rig.received, "f");
}

UNIT(resting_end, the_read_limit_runs)
{
    expect_over(LIMITS(.read_ns = LIMIT_MS * MS), WEIR_EREADTIMEOUT);
}

UNIT(resting_end, the_idle_limit_runs)
{
    expect_over(LIMITS(.idle_ns = LIMIT_MS * MS), WEIR_EIDLE);
}

static void break_off(void)
{
    peer_sends("x");
    fake_peer_reset(rig.peer);
    rig_run(MS);
    expect_eq(weir_transport_get_error(rig.t), -ECONNRESET);
    expect_eq(rig.lost_count, 0);
}

/* Else a peer would keep a connection by breaking it off. */
static void expect_broken_over(void)
{
    const uint64_t since_ns = fake_now();
    rig_run(2 * LIMIT_MS * MS);

    expect_lost(-ECONNRESET);
    expect_geq(rig.lost_ns, since_ns + LIMIT_MS * MS);
    expect_leq(rig.lost_ns, since_ns + (LIMIT_MS + 1) * MS);
}

UNIT(resting_end, the_read_limit_runs_on_a_broken_connection)
{
    break_off();
    set_limits(LIMITS(.read_ns = LIMIT_MS * MS));
    expect_broken_over();
}

UNIT(resting_end, the_idle_limit_runs_on_a_broken_connection)
{
    break_off();
    set_limits(LIMITS(.idle_ns = LIMIT_MS * MS));
    expect_broken_over();
}

/* The limit was not in force while reading was paused. */
UNIT_IN(resting_end,
        the_read_limit_runs_when_a_broken_connection_begins_to_rest, unit_alone,
        void)
{
    rig.pauses = true;
    rig_start();
    break_off();
    set_limits(LIMITS(.read_ns = LIMIT_MS * MS));
    rig_run(2 * LIMIT_MS * MS);
    expect_eq(rig.lost_count, 0);

    expect_eq(weir_transport_resume_reading(rig.t), 0);
    expect_broken_over();
    rig_stop(0);
}

UNIT_IN(resting_end, the_read_limit_does_not_run_while_reading_is_paused,
        unit_alone, void)
{
    rig_start();
    expect_eq(weir_transport_pause_reading(rig.t), 0);
    set_limits(LIMITS(.read_ns = LIMIT_MS * MS));
    rig_run(10 * LIMIT_MS * MS);

    expect_eq(rig.lost_count, 0);
    rig_stop(1);
}

static void write_much(void)
{
    static const uint8_t bytes[MUCH];
    expect_eq(weir_transport_write(rig.t, bytes, sizeof(bytes)), 0);
}

UNIT(resting_end, the_limit_of_a_write_that_stalls_runs)
{
    write_much();
    rig_run(MS);
    set_limits(LIMITS(.write_stall_ns = LIMIT_MS * MS));
    rig_run(2 * LIMIT_MS * MS);

    expect_lost(WEIR_EWRITESTALL);
}

UNIT(resting_end, the_limit_of_a_close_runs)
{
    write_much();
    expect_eq(weir_transport_close(rig.t), 0);
    expect_over(LIMITS(.close_ns = LIMIT_MS * MS), WEIR_ECLOSETIMEOUT);
}

UNIT(resting_end, the_time_to_linger_runs)
{
    set_limits(LIMITS(.linger_ns = LIMIT_MS * MS));
    expect_eq(weir_transport_close(rig.t), 0);
    fake_peer_shutdown(rig.peer);
    rig_run((LIMIT_MS - 1) * MS);
    expect_eq(rig.lost_count, 0);
    rig_run(2 * MS);

    expect_lost(0);
}

UNIT(resting_end, a_close_does_not_wait)
{
    expect_eq(weir_transport_close(rig.t), 0);
    rig_run(MS);
    expect_lost(0);
    cr_assert(fake_peer_is_alone(rig.peer));
    expect_eq(rig_waiting(), WAITING);

    rig_end_closes();
    expect_eq(rig_waiting(), 0);
}

/* Others may lie in it. */
UNIT(resting_end, a_socket_with_bytes_in_it_is_closed_behind_them)
{
    peer_sends("x");
    expect_eq(weir_transport_close(rig.t), 0);
    rig_run(MS);
    expect_lost(0);
    cr_assert(!fake_peer_is_alone(rig.peer));

    rig_end_closes();
    cr_assert(fake_peer_is_alone(rig.peer));
}

UNIT(resting_end, a_close_that_lingers_goes_on_when_they_are_closed)
{
    expect_eq(weir_transport_write(rig.t, "a", 1), 0);
    rig_run(MS);
    peer_sends("x");
    expect_eq(weir_transport_close(rig.t), 0);
    rig_run(S);
    expect_eq(rig.lost_count, 0);
    cr_assert(is_dumped("state=lingering recv=resting"));

    rig_end_closes();
    rig_run(2 * S);
    expect_lost(0);
    expect_str_eq(rig.received, "f");
    expect_peer_reads("a");
    expect_peer_reads("");
}

UNIT(resting_end, a_close_that_lingers_waits_for_them_no_longer_than_for_a_peer)
{
    expect_eq(weir_transport_write(rig.t, "a", 1), 0);
    rig_run(MS);
    peer_sends("x");
    expect_eq(weir_transport_close(rig.t), 0);
    rig_run(40 * S);

    expect_lost(0);
}

UNIT(resting_end, an_abort_does_not_wait)
{
    peer_sends("x");
    expect_eq(weir_transport_abort(rig.t), 0);
    rig_run(MS);
    expect_lost(0);
    expect_eq(rig_waiting(), WAITING);

    rig_end_closes();
    expect_eq(rig_waiting(), 0);
}

/* The loss waits for what is in flight, which takes longer or shorter than the
 * way through the mailbox. */
UNIT_IN(resting_end, closes_may_end_between_an_abort_and_the_loss, unit_alone,
        void)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        rig = (struct resting_rig){.seed = seed};
        rig_start();
        fake_set_fault(FAKE_DELAY, 700);
        expect_eq(weir_transport_abort(rig.t), 0);
        expect_eq(rig.lost_count, 0);
        rig_end_closes();
        rig_run(S);

        expect_lost(0);
        rig_stop(0);
    }
}

UNIT_IN(resting_end, the_loop_does_not_wait, unit_alone, void)
{
    rig_start();
    peer_sends("x");
    expect_eq(weir_loop_free(rig.loop), 1);

    expect_lost(0);
    expect_eq(rig_waiting(), WAITING);
    fake_peer_close(rig.peer);
    fake_stop();
}

UNIT_IN(resting_end, the_loop_may_end_when_they_are_closed, unit_alone, void)
{
    rig_start();
    fake_hold_closes(false);
    rig_stop(1);
}

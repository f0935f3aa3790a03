/*
 * A connection that the program keeps after the peer's end of stream. Nothing
 * is received any more, so only a poll can notice a hangup of the peer. It
 * begins after some time, because most connections end soon after their stream.
 * A reset after an end of stream gives -EPIPE (tcp_reset() of Linux).
 */
#include "subject.h"

static uint32_t ops_before;

/* A connection whose peer has ended, and that is kept. */
static void start(const struct weir_connection_options *connection)
{
    struct weir_connect_options options = {.size = sizeof(options)};

    if (connection) {
        options.connection = *connection;
    }
    subject_start(&(struct fake_options){.seed = 1}, NULL, &noting, &options);
    keeps_open = true;
    ops_before = fake_ops_in_flight(); /* the receive among them */
    fake_peer_shutdown(peer);
    clock_run_for(loop, MS);
    expect_eq(eof_count, 1);
    expect_eq(lost_count, 0);
}

UNIT(watched_end, a_poll_begins_after_some_time)
{
    start(NULL);
    expect_eq(fake_ops_in_flight(), ops_before - 1);
    clock_run_for(loop, 10 * MS);
    expect_eq(fake_ops_in_flight(), ops_before - 1);
    clock_run_for(loop, 20 * MS);
    expect_eq(fake_ops_in_flight(), ops_before);
    clock_run_for(loop, 100 * MS);
    expect_eq(fake_ops_in_flight(), ops_before, "one poll");
    subject_stop(1);
}

UNIT(watched_end, a_reset_before_it_is_told_then)
{
    start(NULL);
    fake_peer_reset(peer);
    clock_run_for(loop, 5 * MS);
    expect_eq(lost_count, 0);
    clock_run_for(loop, 20 * MS);
    expect_lost(-EPIPE);
    subject_stop(0);
}

UNIT(watched_end, a_reset_after_it_is_told_at_once)
{
    start(NULL);
    clock_run_for(loop, 50 * MS);
    fake_peer_reset(peer);
    clock_run_for(loop, MS);
    expect_lost(-EPIPE);
    subject_stop(0);
}

/* The limit and the poll share a timer. */
UNIT(watched_end, limits_are_kept_beside_it)
{
    const struct weir_connection_options connection = {
        .size = sizeof(connection),
        .timeouts = {.size = sizeof(connection.timeouts), .idle_ns = 60 * MS}};

    start(&connection);
    clock_run_for(loop, 40 * MS);
    expect_eq(fake_ops_in_flight(), ops_before);
    expect_eq(lost_count, 0);
    clock_run_for(loop, 40 * MS);
    expect_lost(WEIR_EIDLE);
    subject_stop(0);
}

/* A loop that was late: the limit of a send, the look at the kernel's queue and
 * the poll are due in one turn. The peer has taken bytes meanwhile. */
UNIT(watched_end, it_takes_no_look_at_a_stalled_queue_away)
{
    static uint8_t bytes[1 << 20];
    const struct weir_connection_options connection = {
        .size = sizeof(connection),
        .timeouts = {.size = sizeof(connection.timeouts),
                     .write_stall_ns = 100 * MS}};

    start(&connection);
    expect_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);
    clock_run_for(loop, 2 * MS);
    expect_geq(fake_peer_read(peer, bytes, 1000), 1000);
    fake_spend(120 * MS);
    clock_run_for(loop, MS);
    expect_eq(weir_transport_get_error(transport), 0);
    clock_run_for(loop, 300 * MS);
    expect_lost(WEIR_EWRITESTALL);
    subject_stop(0);
}

UNIT(watched_end, a_close_before_it_tells_of_a_reset)
{
    start(NULL);
    fake_peer_reset(peer);
    clock_run_for(loop, MS);
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, MS);
    expect_lost(-EPIPE);
    subject_stop(0);
}

UNIT(watched_end, a_close_before_it_has_nothing_to_cancel)
{
    start(NULL);
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, MS);
    expect_lost(0);
    subject_stop(0);
}

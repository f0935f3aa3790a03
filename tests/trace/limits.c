/*
 * weir's limits and timeouts compared with the peer's progress, on the fake
 * clock.
 *
 * Bytes before a reset, the read timeout, the read limit and the write stall:
 * which of them waits, and how long.
 */
#include "subject.h"

enum { PIECE = 4096, LIMIT = 8192 };

static uint32_t recv_size; /* of the machine; 0: its default */
static bool lends;

static void start(const struct weir_connection_options *stream)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    const struct weir_loop_options least = {.size = sizeof(least),
                                            .queued_limit_bytes = 1u << 20};
    if (stream) {
        options.connection = *stream;
    }
    subject_start(&(struct fake_options){.seed = 1, .recv_size = recv_size},
                  &least, lends ? &lending : &noting, &options);
}

static void peer_writes(size_t len)
{
    static const uint8_t bytes[1u << 16];
    expect_eq(fake_peer_write(peer, bytes, len), (ssize_t)len);
}

UNIT(limits, bytes_before_a_reset_are_delivered_when_reading_goes_on)
{
    pauses = true;
    start(NULL);
    peer_writes(1000);
    fake_peer_reset(peer);
    clock_run_for(loop, MS);
    expect_eq(lost_count, 0, "lost before its bytes were delivered");

    weir_transport_resume_reading(transport);
    clock_run_for(loop, MS);

    expect_eq(received_bytes, 1000);
    expect_lost(-ECONNRESET);
    subject_stop(0);
}

UNIT(limits, a_reset_with_nothing_before_it_is_told_while_paused)
{
    pauses = true;
    start(NULL);
    fake_peer_reset(peer);

    clock_run_for(loop, MS);

    expect_lost(-ECONNRESET);
    subject_stop(0);
}

UNIT(limits, the_read_time_out_rests_while_our_own_limit_keeps_us_from_reading)
{
    struct weir_connection_options stream = {.size = sizeof(stream),
                                             .read_limit_bytes = LIMIT};
    stream.timeouts.size = sizeof(stream.timeouts);
    stream.timeouts.read_ns = 200 * MS;
    keeps = true;
    start(&stream);
    for (int i = 0; i < 4; i++) {
        peer_writes(PIECE);
        clock_run_for(loop, MS);
    }
    expect_leq(received_bytes, 2 * LIMIT);

    clock_run_for(loop, 1000 * MS);
    expect_eq(lost_count, 0, "the peer is blamed for our limit");

    subject_forget();
    keeps = false;
    clock_run_for(loop, 100 * MS);
    expect_eq(received_bytes, 4 * PIECE);
    expect_eq(lost_count, 0);
    clock_run_for(loop, 200 * MS);
    expect_eq(lost_count, 1, "it runs again when we read again");
    expect_eq(lost_err, WEIR_EREADTIMEOUT);
    subject_stop(0);
}

UNIT(limits, the_read_time_out_runs_again_after_the_peer_has_read)
{
    static uint8_t bytes[512u << 10];
    struct weir_connection_options stream = {.size = sizeof(stream)};
    stream.timeouts.size = sizeof(stream.timeouts);
    stream.timeouts.read_ns = 200 * MS;
    lends = true;
    start(&stream);
    expect_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);
    clock_run_for(loop, MS);
    peer_writes(10);

    clock_run_for(loop, 1000 * MS);
    expect_eq(lost_count, 0, "the peer is blamed for our limit");
    while (weir_transport_get_write_buffer_size(transport) > 0) {
        expect_gt(fake_peer_read(peer, bytes, sizeof(bytes)), 0);
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, 100 * MS);
    expect_eq(received_bytes, 10);
    expect_eq(lost_count, 0);
    clock_run_for(loop, 200 * MS);

    expect_lost(WEIR_EREADTIMEOUT);
    subject_stop(0);
}

UNIT(limits, a_lowered_read_limit_binds_the_receive_that_is_armed)
{
    keeps = true;
    start(NULL);
    peer_writes(1);
    clock_run_for(loop, MS); /* armed for many bytes now */

    weir_transport_set_read_buffer_limit(transport, LIMIT);
    for (int i = 0; i < 8; i++) {
        peer_writes(PIECE);
        clock_run_for(loop, MS);
    }

    expect_leq(weir_transport_get_read_buffer_size(transport), LIMIT);
    subject_stop(1);
}

UNIT(limits, small_pieces_that_come_while_paused_cost_about_their_bytes)
{
    enum { SMALL = 16, BYTES = PIECE / 2 };
    const struct weir_connection_options stream = {.size = sizeof(stream),
                                                   .read_limit_bytes = PIECE};
    recv_size = SMALL;
    start(&stream);
    peer_writes(1);
    clock_run_for(loop, MS); /* armed for many bytes now */
    weir_transport_pause_reading(transport);

    peer_writes(BYTES);
    clock_run_for(loop, MS);

    const uint64_t held = weir_transport_get_read_buffer_size(transport);
    expect_gt(held, 32 * SMALL, "many pieces came before the receive ended");
    expect_leq(held, BYTES + 256, "each piece is charged with a block");
    weir_transport_resume_reading(transport);
    clock_run_for(loop, MS);
    expect_eq(received_bytes, 1 + BYTES);
    expect_eq(weir_transport_get_read_buffer_size(transport), 0);
    subject_stop(1);
}

UNIT(limits, a_write_stall_is_told_when_its_time_is_over)
{
    static const uint8_t bytes[1u << 20];
    struct weir_connection_options stream = {.size = sizeof(stream)};
    stream.timeouts.size = sizeof(stream.timeouts);
    stream.timeouts.write_stall_ns = 800 * MS;
    start(&stream);
    const uint64_t from_ns = fake_now();
    expect_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);

    clock_run_for(loop, 2000 * MS);

    expect_lost(WEIR_EWRITESTALL);
    expect_geq(lost_ns - from_ns, 800 * MS);
    expect_leq(lost_ns - from_ns, 910 * MS);
    subject_stop(0);
}

/* A byte that @move moves when 60 of 100 ms are over starts them anew. */
static void expect_put_off(void (*move)(void))
{
    const struct weir_connection_options stream = {
        .size = sizeof(stream),
        .timeouts = {.size = sizeof(stream.timeouts), .idle_ns = 100 * MS}};
    start(&stream);
    clock_run_for(loop, 60 * MS);
    const uint64_t since_ns = fake_now();

    move();
    clock_run_for(loop, 200 * MS);

    expect_lost(WEIR_EIDLE);
    expect_geq(lost_ns - since_ns, 100 * MS);
    expect_leq(lost_ns - since_ns, 101 * MS);
    subject_stop(0);
}

UNIT_IN(limits, bytes_that_come_put_idleness_off, expect_put_off, void)
{
    peer_writes(1);
}

UNIT_IN(limits, bytes_that_go_put_idleness_off, expect_put_off, void)
{
    expect_eq(weir_transport_write(transport, "x", 1), 0);
}

UNIT(limits, the_longest_time_outs_do_not_come_in_a_hundred_years)
{
    static const uint8_t bytes[1u << 20];
    const uint64_t year_ns = UINT64_C(365) * 24 * 3600 * 1000 * MS;
    struct weir_connection_options stream = {
        .size = sizeof(stream),
        .timeouts = {.size = sizeof(stream.timeouts),
                     .idle_ns = UINT64_MAX,
                     .read_ns = UINT64_MAX,
                     .write_stall_ns = UINT64_MAX}};
    start(&stream);
    peer_writes(10);
    expect_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);

    clock_run_for(loop, 100 * year_ns);

    expect_eq(received_bytes, 10);
    expect_gt(weir_transport_get_write_buffer_size(transport), 0);
    expect_eq(lost_count, 0);
    subject_stop(1);
}

UNIT(limits, an_abort_is_a_reset_and_a_close_is_an_end)
{
    char byte;
    start(NULL);
    expect_eq(weir_transport_abort(transport), 0);
    clock_run_for(loop, MS);
    expect_eq(fake_peer_read(peer, &byte, 1), -ECONNRESET);
    subject_stop(0);

    start(NULL);
    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, MS);
    expect_eq(fake_peer_read(peer, &byte, 1), 0);
    subject_stop(0);
}

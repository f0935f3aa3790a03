/*
 * Peers that take no bytes, on the fake ring, whose clock does not wait. Such a
 * peer cannot make a close drop bytes that it has not taken: the wait for its
 * close_notify begins when all are sent. Answers that it requests, each a
 * record without data, do not accumulate.
 */
#include "tls_wire.h"

#include <errno.h>

enum { ANSWERS = 400, CLOGGED = 60000 };

static struct wire wire;
static const uint8_t bytes[4096];

static weir_loop *deaf_open(int version, bool is_client)
{
    weir_loop *loop = wire_start(&(struct fake_options){
        .seed = 1, .send_size = 8192, .recv_size = 8192});

    wire_open(&wire, loop,
              &(struct wire_options){.version = version,
                                     .is_client = is_client,
                                     .shutdown_timeout_ns = 50 * WIRE_MS});
    wire_shake(&wire);
    return loop;
}

/* Both sides of both versions. */
static void deaf_each(void (*body)(weir_loop *loop, int version))
{
    for (int i = 0; i < 4; i++) {
        body(deaf_open(12 + i % 2, i > 1), 12 + i % 2);
    }
}

static void deaf_close(weir_loop *loop)
{
    if (wire.lost_count == 0) {
        expect_eq(weir_transport_abort(wire.t), 0);
        clock_run_for(loop, WIRE_MS);
    }
    expect_eq(wire.lost_count, 1);
    wire_close(&wire);
    clock_run_for(loop, 20000 * WIRE_MS);
    wire_stop(loop, 0);
}

/* The kernel takes no more, and all that is left was sealed. */
static void deaf_fill(weir_loop *loop)
{
    while (weir_transport_get_write_buffer_size(wire.t) < CLOGGED) {
        expect_eq(weir_transport_write(wire.t, bytes, sizeof(bytes)), 0);
        clock_run_for(loop, WIRE_MS);
    }
}

static void deaf_wait(weir_loop *loop, int version)
{
    (void)version;
    deaf_fill(loop);
    expect_eq(weir_transport_close(wire.t), 0);
    clock_run_for(loop, 200 * WIRE_MS);
    expect_eq(wire.lost_count, 0);
    deaf_close(loop);
}

UNIT(tls_deaf, the_wait_for_the_peer_begins_when_all_is_sent)
{
    deaf_each(deaf_wait);
}

/* Asks for new keys, with the data that earns it that. */
static int ask_for_keys(weir_loop *loop)
{
    expect_ok(wr_tls_engine_write(&wire.side.engine, bytes, 1024));
    const int err = wr_tls_engine_update_keys(&wire.side.engine);
    tls_side_flush(&wire.side);
    clock_run_for(loop, WIRE_MS);
    return err;
}

static void deaf_answer(weir_loop *loop, int version)
{
    if (version == 12) {
        expect_eq(ask_for_keys(loop), -EOPNOTSUPP);
    } else {
        int count = 0;
        deaf_fill(loop);
        while (weir_transport_get_error(wire.t) == 0 && count++ < ANSWERS) {
            expect_eq(ask_for_keys(loop), 0);
        }
        clock_run_for(loop, 20000 * WIRE_MS);
        expect_eq(wire.lost_count, 1);
        expect_eq(wire.lost_err, WEIR_ETLSFLOOD);
    }
    deaf_close(loop);
}

UNIT(tls_deaf, answers_to_key_updates_do_not_pile_up)
{
    deaf_each(deaf_answer);
}

/* The subject sends data, so that its answers are not a flood to the peer. */
static void deaf_be_answered(weir_loop *loop, int version)
{
    for (int i = 0; version == 13 && i < ANSWERS; i++) {
        expect_eq(ask_for_keys(loop), 0);
        expect_eq(weir_transport_write(wire.t, bytes, 1024), 0);
        clock_run_for(loop, WIRE_MS);
        wire_read(&wire, SIZE_MAX);
        expect_eq(wire.received, 1024 * ((uint64_t)i + 1));
    }
    expect_eq(wire.lost_count, 0);
    deaf_close(loop);
}

UNIT(tls_deaf, answers_to_key_updates_that_are_taken_may_be_any_number)
{
    deaf_each(deaf_be_answered);
}

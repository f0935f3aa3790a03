/*
 * The time limit of a graceful close over TLS: one limit, from the call to the
 * loss, for encrypting, sending and waiting together. The transport below has
 * the same limit, which begins when it is closed.
 */
#include "tests/marks.h"
#include "tls_wire.h"

#include <weir/embed.h>

enum { LIMIT_MS = 300, HALF_MS = 200, BYTES = 200000 };

static struct wire wire;
static uint64_t closed_ns;

/* The peer takes nothing, and plaintext waits unsealed. */
static weir_loop *start_close(const struct wire_options *options)
{
    static uint8_t bytes[BYTES];
    weir_loop *loop = wire_start(&(struct fake_options){
        .seed = 1, .send_size = 8192, .recv_size = 8192});

    wire_open(&wire, loop, options);
    wire_shake(&wire);
    /* A program that was asked to pause may write on before the end. */
    expect_eq(set_marks(wire.t, 2 * BYTES, BYTES), 0);
    expect_eq(weir_transport_write(wire.t, bytes, sizeof(bytes)), 0);
    clock_run_for(loop, WIRE_MS);
    closed_ns = fake_now();
    expect_eq(weir_transport_close(wire.t), 0);
    return loop;
}

/* Runs on until the peer has taken all but what the socket's queues hold. */
static void let_all_be_sealed(weir_loop *loop)
{
    while (wire.opened < BYTES - 40000) {
        wire_read(&wire, 4096);
        clock_run_for(loop, WIRE_MS / 10);
    }
}

static void end_close(weir_loop *loop)
{
    clock_run_for(loop, 20000 * WIRE_MS);
    expect_eq(wire.lost_count, 1);
    wire_close(&wire);
    wire_stop(loop, 0);
}

static void expect_lost_after(uint64_t time_ns, int err)
{
    expect_eq(wire.lost_err, err, "%s", weir_err_name(wire.lost_err));
    expect_geq(wire.lost_ns, closed_ns + time_ns);
    expect_leq(wire.lost_ns, closed_ns + time_ns + 2 * WIRE_MS);
}

#define LIMITED(time_ms)                                                       \
    {                                                                          \
        .size = sizeof(struct weir_timeouts), .close_ns = (time_ms)*WIRE_MS    \
    }

UNIT(tls_close, has_its_limit_where_bytes_wait_unsealed)
{
    weir_loop *loop =
        start_close(&(struct wire_options){.timeouts = LIMITED(LIMIT_MS)});

    end_close(loop);

    expect_lost_after(LIMIT_MS * WIRE_MS, WEIR_ECLOSETIMEOUT);
}

UNIT(tls_close, has_no_more_than_its_limit_when_all_is_sealed_late)
{
    weir_loop *loop =
        start_close(&(struct wire_options){.timeouts = LIMITED(LIMIT_MS)});
    clock_run_for(loop, HALF_MS * WIRE_MS);
    let_all_be_sealed(loop);

    end_close(loop);

    expect_lost_after(LIMIT_MS * WIRE_MS, WEIR_ECLOSETIMEOUT);
}

UNIT(tls_close, has_no_more_than_its_limit_when_it_fails_late)
{
    weir_loop *loop = start_close(&(struct wire_options){
        .shutdown_timeout_ns = 1000 * WIRE_MS, .timeouts = LIMITED(LIMIT_MS)});
    clock_run_for(loop, HALF_MS * WIRE_MS);
    wire_alert(&wire);

    end_close(loop);

    expect_lost_after(LIMIT_MS * WIRE_MS, WEIR_ETLSALERT);
}

UNIT(tls_close, may_get_its_limit_while_the_last_bytes_are_sent)
{
    const struct weir_timeouts limits = LIMITED(HALF_MS);
    weir_loop *loop = start_close(&(struct wire_options){.version = 13});
    let_all_be_sealed(loop);
    clock_run_for(loop, WIRE_MS);

    expect_eq(weir_transport_set_timeouts(wire.t, &limits), 0);
    end_close(loop);

    expect_lost_after(HALF_MS * WIRE_MS, WEIR_ECLOSETIMEOUT);
}

UNIT(tls_close, without_a_limit_waits_for_as_long_as_the_peer_likes)
{
    weir_loop *loop = start_close(&(struct wire_options){.version = 12});
    let_all_be_sealed(loop);
    clock_run_for(loop, 100000 * WIRE_MS);
    expect_eq(wire.lost_count, 0);

    wire_read(&wire, SIZE_MAX);
    while (wire.opened < BYTES) {
        clock_run_for(loop, WIRE_MS);
        wire_read(&wire, SIZE_MAX);
    }
    end_close(loop);

    expect_eq(wire.lost_err, 0);
}

static bool is_silent;
static uint64_t held_ms = 10000;

static void go_on(void *arg)
{
    tls_side_step(&wire.side);
}

/* The peer goes on meanwhile, within the limit of 10 s. */
static void hold_up(void *arg)
{
    if (!is_silent) {
        fake_at(fake_now() + WIRE_MS, go_on, NULL);
    }
    fake_spend(held_ms * WIRE_MS);
}

static weir_loop *shake_with_a_loop_held_up(void)
{
    struct weir_handle handle;
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});

    wire_open(&wire, loop, &(struct wire_options){.version = 13});
    expect_ok(
        weir_loop_call_later(loop, 5000 * WIRE_MS, hold_up, NULL, &handle));
    clock_run_for(loop, (5001 + held_ms) * WIRE_MS);
    return loop;
}

UNIT(tls_close, a_handshake_goes_on_after_the_loop_was_held_up)
{
    weir_loop *loop = shake_with_a_loop_held_up();

    expect_eq(wire.done_count, 0, "%s", weir_err_name(wire.done_err));
    wire_read(&wire, SIZE_MAX);
    wire_shake(&wire);

    expect_eq(wire.done_err, 0);
    wire_close(&wire);
    wire_stop(loop, 1);
}

UNIT(tls_close, a_handshake_goes_on_after_the_process_stood_still_for_long)
{
    held_ms = 3600 * 1000;
    weir_loop *loop = shake_with_a_loop_held_up();

    expect_eq(wire.done_count, 0, "%s", weir_err_name(wire.done_err));
    wire_read(&wire, SIZE_MAX);
    wire_shake(&wire);

    expect_eq(wire.done_err, 0);
    wire_close(&wire);
    wire_stop(loop, 1);
}

UNIT(tls_close, a_silent_handshake_is_over_when_the_loop_was_held_up)
{
    is_silent = true;
    weir_loop *loop = shake_with_a_loop_held_up();

    expect_eq(wire.done_count, 1);
    expect_eq(wire.done_err, WEIR_ETLSTIMEOUT);
    wire_close(&wire);
    wire_stop(loop, 0);
}

UNIT(tls_close, a_handshake_that_stops_after_that_is_over)
{
    weir_loop *loop = shake_with_a_loop_held_up();

    clock_run_for(loop, 10000 * WIRE_MS);

    expect_eq(wire.done_count, 1);
    expect_eq(wire.done_err, WEIR_ETLSTIMEOUT);
    wire_close(&wire);
    wire_stop(loop, 0);
}

/* The next byte of a hello that is never whole. */
static void trickle(void *arg)
{
    static const uint8_t hello[512] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    static unsigned sent;
    wr_ignore(fake_peer_write(wire.peer, &hello[sent % sizeof(hello)], 1) < 0);
    sent++;
}

/* Such callbacks come one after the other, and bytes within each. */
static void hold_up_again(void *arg)
{
    struct weir_handle handle;
    fake_at(fake_now() + WIRE_MS, trickle, NULL);
    fake_spend(400 * WIRE_MS);
    expect_ok(weir_loop_call_later(wire.loop, 10 * WIRE_MS, hold_up_again, NULL,
                                   &handle));
}

UNIT(tls_close, a_handshake_that_trickles_is_over_on_a_busy_loop)
{
    struct weir_handle handle;
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});
    wire_open(&wire, loop, &(struct wire_options){.version = 13});
    expect_eq(weir_loop_call_soon(loop, hold_up_again, NULL, &handle), 0);

    clock_run_for(loop, 9000 * WIRE_MS);
    expect_eq(wire.done_count, 0);
    clock_run_for(loop, 13000 * WIRE_MS);

    expect_eq(wire.done_count, 1);
    expect_eq(wire.done_err, WEIR_ETLSTIMEOUT);
    wire_close(&wire);
    wire_stop(loop, 0);
}

/* A host may make no further turn, and the peer waits for the reset. */
UNIT(tls_close, an_abort_has_closed_the_socket_when_it_is_told)
{
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});
    wire_open(&wire, loop, &(struct wire_options){.version = 13});
    wire_shake(&wire);
    const uint32_t before = fake_fd_count();

    weir_transport_abort(wire.t);
    for (int i = 0; i < 100 && wire.lost_count == 0; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
    expect_eq(wire.lost_count, 1);
    expect_eq(fake_fd_count(), before - 1);
    wire_close(&wire);
    wire_stop(loop, 0);
}

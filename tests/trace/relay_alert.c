/*
 * A relay of a TLS connection whose peer sends an alert and closes its socket
 * at once: the record has the alert, not the reset after it. Bytes that the
 * peer sent before the alert wait for the other side, and so does the alert.
 */
#include "adopt.h"
#include "tls_wire.h"

#include <weir/relay.h>

static struct wire wire;
static weir_transport *plain;
static struct weir_relay_record record;
static int relay_done_count;

static void plain_made(void *user, weir_transport *t)
{
    plain = t;
}

static CALLBACKS(plain_protocol, STREAM, .connection_made = plain_made);

static void relay_done(void *arg, int err, const struct weir_relay_record *ret)
{
    relay_done_count++;
    record = *ret;
}

/* The peer of TLS sends more than the other side takes, and is refused. */
static void refuse_behind_bytes(void)
{
    static const uint8_t bytes[4096];

    while (fake_waiting_bytes(weir_transport_get_socket(wire.t)) == 0) {
        expect_ok(wr_tls_engine_write(&wire.side.engine, bytes, sizeof(bytes)));
        tls_side_flush(&wire.side);
        clock_run_for(wire.loop, WIRE_MS);
    }
    wire_alert(&wire);
    fake_peer_reset(wire.peer);
}

/* The relay learns of the reset by a write, and of the alert when the other
 * side has room for the bytes before it. */
UNIT(relay_alert, is_what_a_relay_tells_and_not_the_reset_behind_it)
{
    struct fake_peer *other;
    uint8_t bytes[4096];
    weir_loop *loop =
        wire_start(&(struct fake_options){.seed = 1, .recv_size = 256 << 10});
    wire_open(&wire, loop, &(struct wire_options){.is_client = true});
    wire_shake(&wire);
    adopt(loop, &plain_protocol, NULL, NULL, &other);
    clock_run_for(loop, WIRE_MS);
    expect_ok(weir_relay(wire.t, plain, NULL, relay_done, NULL, NULL));
    refuse_behind_bytes();
    expect_eq(fake_peer_write(other, "GET", 3), 3);
    clock_run_for(loop, 20 * WIRE_MS);
    expect_eq(relay_done_count, 0);

    while (relay_done_count == 0) {
        wr_ignore(fake_peer_read(other, bytes, sizeof(bytes)) < 0);
        clock_run_for(loop, WIRE_MS);
    }

    expect_eq(record.err, WEIR_ETLSALERT, "%s", weir_err_name(record.err));
    expect_eq(record.ended_by, WEIR_RELAY_A);
    fake_peer_close(other);
    wire_close(&wire);
    wire_stop(loop, 0);
}

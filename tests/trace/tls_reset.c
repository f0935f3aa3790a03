/*
 * Alerts with a reset after them: a peer that refuses a certificate sends an
 * alert and closes its socket at once. The alert is the reported error, even if
 * the reset is known before the alert is read.
 */
#include "tls_wire.h"

#include "lib/transport/transport.h"

#include <errno.h>

enum { CROWD = 24 }; /* more than shake hands in one turn */

static struct wire wires[CROWD];

/* All peers have what their subjects sent, and have begun. */
static weir_loop *start_crowd(const struct wire_options *options)
{
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});

    for (int i = 0; i < CROWD; i++) {
        wire_open(&wires[i], loop, options);
        tls_side_step(&wires[i].side);
    }
    clock_run_for(loop, 20 * WIRE_MS);
    return loop;
}

static void reset_all(weir_loop *loop)
{
    for (int i = 0; i < CROWD; i++) {
        fake_peer_reset(wires[i].peer);
    }
    clock_run_for(loop, 20 * WIRE_MS);
}

static void end_crowd(weir_loop *loop, int err)
{
    for (int i = 0; i < CROWD; i++) {
        expect_eq(wires[i].done_count, 1);
        expect_eq(wires[i].done_err, err, "%d: %s", i,
                  weir_err_name(wires[i].done_err));
        expect_eq(wires[i].lost_count, 0);
        wire_close(&wires[i]);
    }
    wire_stop(loop, 0);
}

/* The clients find a name in the certificate that they did not ask for. */
static void refuse_certificates(int version)
{
    weir_loop *loop = start_crowd(&(struct wire_options){
        .version = version, .expected_name = "elsewhere.example"});
    for (int i = 0; i < CROWD; i++) {
        wire_read(&wires[i], SIZE_MAX);
        expect_eq(wires[i].side.result, WEIR_ETLSHOSTNAME);
    }

    reset_all(loop);

    end_crowd(loop, WEIR_ETLSALERT);
}

UNIT(tls_reset, behind_an_alert_is_not_told_by_handshakes_that_wait_12)
{
    refuse_certificates(12);
}

UNIT(tls_reset, behind_an_alert_is_not_told_by_handshakes_that_wait_13)
{
    refuse_certificates(13);
}

/* The servers do not like the hello. */
UNIT(tls_reset, behind_an_alert_is_not_told_by_clients_that_wait)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};
    weir_loop *loop = start_crowd(&(struct wire_options){.is_client = true});
    for (int i = 0; i < CROWD; i++) {
        expect_eq(fake_peer_write(wires[i].peer, alert, sizeof(alert)),
                  (ssize_t)sizeof(alert));
    }

    reset_all(loop);

    end_crowd(loop, WEIR_ETLSALERT);
}

UNIT(tls_reset, in_the_middle_of_handshakes_that_wait_is_told)
{
    weir_loop *loop = start_crowd(&(struct wire_options){.version = 13});
    for (int i = 0; i < CROWD; i++) {
        wire_read(&wires[i], 500);
        expect_eq(wires[i].side.result, -EAGAIN);
    }

    reset_all(loop);

    end_crowd(loop, -ECONNRESET);
}

/* The last bytes of the handshake are there, and nobody is left to talk to. */
UNIT(tls_reset, behind_the_end_of_handshakes_is_told)
{
    weir_loop *loop = start_crowd(&(struct wire_options){.version = 13});
    int failed = 0;
    for (int i = 0; i < CROWD; i++) {
        wire_read(&wires[i], SIZE_MAX);
        expect_eq(wires[i].side.engine.state, WR_TLS_ENGINE_OPEN);
    }

    reset_all(loop);

    for (int i = 0; i < CROWD; i++) {
        const struct wire *wire = &wires[i];
        expect_eq(wire->done_count, 1);
        expect_eq(wire->lost_count, wire->done_err == 0);
        expect_eq(wire->done_err == 0 ? wire->lost_err : wire->done_err,
                  -ECONNRESET);
        failed += wire->done_err != 0;
        wire_close(&wires[i]);
    }
    cr_assert_gt(failed, 0);
    wire_stop(loop, 0);
}

/* The peer has sent an alert; the subject writes, and tells it as its end. */
static void end_by_reset(struct wire *wire, weir_loop *loop)
{
    fake_peer_reset(wire->peer);
    expect_eq(weir_transport_write(wire->t, "GET", 3), 0);
    clock_run_for(loop, 20 * WIRE_MS);

    expect_eq(wire->lost_count, 1);
    expect_eq(wire->lost_err, WEIR_ETLSALERT, "%s",
              weir_err_name(wire->lost_err));
    wire_close(wire);
    wire_stop(loop, 0);
}

/* A client of TLS 1.3 learns after its handshake that it was refused. */
static void be_refused(bool pauses)
{
    struct wire *wire = &wires[0];
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});
    wire_open(wire, loop, &(struct wire_options){.is_client = true});
    wire_shake(wire);
    if (pauses) {
        expect_eq(weir_transport_pause_reading(wire->t), 0);
    }

    wire_alert(wire);
    end_by_reset(wire, loop);
}

UNIT(tls_reset, behind_an_alert_is_not_told_to_who_writes)
{
    be_refused(false);
}

UNIT(tls_reset, behind_an_alert_is_not_told_to_who_writes_and_has_paused)
{
    be_refused(true);
}

/* The bytes before the alert are opened when the reset is known, and held. */
UNIT(tls_reset, behind_an_alert_leaves_what_came_before_to_who_has_paused)
{
    static const uint8_t bytes[1000];
    struct wire *wire = &wires[0];
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});
    wire_open(wire, loop, &(struct wire_options){.is_client = true});
    wire_shake(wire);
    expect_eq(weir_transport_pause_reading(wire->t), 0);
    expect_ok(wr_tls_engine_write(&wire->side.engine, bytes, sizeof(bytes)));
    tls_side_flush(&wire->side);
    clock_run_for(loop, 20 * WIRE_MS);

    wire_alert(wire);
    fake_peer_reset(wire->peer);
    clock_run_for(loop, 20 * WIRE_MS);
    expect_eq(wire->received, 0);
    expect_eq(wire->lost_count, 0);
    expect_eq(weir_transport_resume_reading(wire->t), 0);
    clock_run_for(loop, 20 * WIRE_MS);

    expect_eq(wire->received, sizeof(bytes));
    expect_eq(wire->lost_count, 1);
    expect_eq(wire->lost_err, WEIR_ETLSALERT);
    wire_close(wire);
    wire_stop(loop, 0);
}

/* The bytes before the alert are opened together with it, and their reader
 * pauses when it gets them. */
UNIT(tls_reset, behind_an_alert_is_not_told_to_who_pauses_at_the_last_bytes)
{
    static const uint8_t bytes[1000];
    struct wire *wire = &wires[0];
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});
    wire_open(wire, loop, &(struct wire_options){.is_client = true});
    wire_shake(wire);
    wire->pauses = true;

    expect_ok(wr_tls_engine_write(&wire->side.engine, bytes, sizeof(bytes)));
    wire_alert(wire);
    clock_run_for(loop, 20 * WIRE_MS);
    expect_eq(wire->received, sizeof(bytes));
    end_by_reset(wire, loop);
}

/* The subject, a server, has written more than its peer takes, which has
 * written too. */
static weir_loop *clog_subject(struct wire *wire,
                               const struct wire_options *options)
{
    static const uint8_t bytes[1u << 20];
    weir_loop *loop = wire_start(&(struct fake_options){.seed = 1});

    wire_open(wire, loop, options);
    wire_shake(wire);
    if (!options->is_echo) {
        expect_eq(weir_transport_pause_reading(wire->t), 0);
    }
    expect_eq(weir_transport_write(wire->t, bytes, sizeof(bytes)), 0);
    clock_run_for(loop, 20 * WIRE_MS);
    expect_eq(wr_tls_engine_write(&wire->side.engine, bytes, 1000), 0);
    tls_side_flush(&wire->side);
    clock_run_for(loop, 20 * WIRE_MS);
    cr_assert_not(weir_transport_is_reading(wire->t));
    expect_eq(wire->received, 0);
    return loop;
}

static void expect_reset(struct wire *wire)
{
    expect_eq(wire->received, 1000);
    expect_eq(wire->lost_count, 1);
    expect_eq(wire->lost_err, -ECONNRESET);
    expect_eq(weir_transport_get_write_buffer_size(wire->t), 0);
}

UNIT(tls_reset, lets_who_reads_only_while_it_may_write_read_on)
{
    struct wire *wire = &wires[0];
    weir_loop *loop =
        clog_subject(wire, &(struct wire_options){.is_echo = true});

    fake_peer_reset(wire->peer);
    clock_run_for(loop, 20 * WIRE_MS);

    expect_reset(wire);
    wire_close(wire);
    wire_stop(loop, 0);
}

struct flushing {
    struct wr_flush flush;
    int count;
};

static void count_flushed(struct wr_flush *flush)
{
    wr_container_of(flush, struct flushing, flush)->count++;
}

UNIT(tls_reset, is_told_at_once_to_who_waits_until_all_is_sent)
{
    struct wire *wire = &wires[0];
    weir_loop *loop = clog_subject(wire, &(struct wire_options){.version = 13});
    struct flushing flushing = {.flush.flushed = count_flushed};
    wr_transport_on_flushed(wire->t, &flushing.flush);

    fake_peer_reset(wire->peer);
    clock_run_for(loop, 20 * WIRE_MS);
    expect_eq(flushing.count, 1);
    expect_eq(wire->lost_count, 0, "lost before its bytes were delivered");
    expect_eq(weir_transport_resume_reading(wire->t), 0);
    clock_run_for(loop, 20 * WIRE_MS);

    expect_eq(flushing.count, 1);
    expect_reset(wire);
    wire_close(wire);
    wire_stop(loop, 0);
}

/*
 * The subjects of tls_wire.h and their peers. The certificates are those of the
 * unit tests; without them a test is skipped. A peer needs no loop: the test
 * makes its engine process bytes.
 */
#include "tls_wire.h"
#include "tests/bind.h"

#include <errno.h>
#include <weir/connect.h>
#include <weir/tls_connection.h>

static struct tls_account account; /* of the peers */

static void wire_made(void *user, weir_transport *t)
{
    struct wire *wire = user;
    wire->t = weir_transport_ref(t);
}

static void wire_pause(void *user, weir_transport *t)
{
    const struct wire *wire = user;
    if (wire->is_echo) {
        expect_eq(weir_transport_pause_reading(t), 0);
    }
}

static void wire_resume(void *user, weir_transport *t)
{
    const struct wire *wire = user;
    if (wire->is_echo) {
        expect_eq(weir_transport_resume_reading(t), 0);
    }
}

static int wire_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct wire *wire = user;
    wire->received += buf->len;
    if (wire->pauses) {
        expect_eq(weir_transport_pause_reading(t), 0);
    }
    return 0;
}

static int wire_eof(void *user, weir_transport *t)
{
    struct wire *wire = user;
    wire->eof_count++;
    return wire->stays;
}

static void wire_lost(void *user, weir_transport *t, int err)
{
    struct wire *wire = user;
    wire->lost_count++;
    wire->lost_err = err;
    wire->lost_ns = fake_now();
}

static CALLBACKS(wire_protocol, STREAM, .connection_made = wire_made,
                 .connection_lost = wire_lost, .pause_writing = wire_pause,
                 .resume_writing = wire_resume, .data_received = wire_received,
                 .eof_received = wire_eof);

static void wire_done(void *arg, int err, weir_transport *t)
{
    struct wire *wire = arg;
    wire->done_count++;
    wire->done_err = err;
}

static void wire_open_subject(struct wire *wire,
                              const struct wire_options *options)
{
    const struct weir_factory factory = bind_to(&wire_protocol, wire);
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = tls_context_of(!options->is_client, options->version),
        .server_hostname = "localhost",
        .shutdown_timeout_ns = options->shutdown_timeout_ns};
    const struct weir_connect_options how = {
        .size = sizeof(how),
        .tls = &settings,
        .connection = {.size = sizeof(how.connection),
                       .timeouts = options->timeouts}};

    expect_ok(weir_create_connection_at(
        wire->loop, &factory, weir_endpoint_fd(fake_connected_fd(&wire->peer)),
        &how, wire_done, wire, NULL));
    weir_tls_context_unref(settings.context);
}

static void wire_send(void *arg, const void *data, size_t len)
{
    const struct wire *wire = arg;
    expect_eq(fake_peer_write(wire->peer, data, len), (ssize_t)len);
}

static void wire_opened(void *arg, const void *data, size_t len)
{
    struct wire *wire = arg;
    wire->opened += len;
}

static const struct tls_way wire_way = {.send = wire_send,
                                        .opened = wire_opened};

void wire_read(struct wire *wire, size_t limit)
{
    static uint8_t buf[4096];

    while (limit > 0) {
        const size_t size = limit < sizeof(buf) ? limit : sizeof(buf);
        const ssize_t len = fake_peer_read(wire->peer, buf, size);
        if (len <= 0) {
            cr_assert(len == 0 || len == -EAGAIN);
            return;
        }
        limit -= (size_t)len;
        tls_side_feed(&wire->side, buf, (size_t)len, (size_t)len);
    }
}

void wire_alert(struct wire *wire)
{
    tls_side_spoil(&wire->side);
    tls_side_flush(&wire->side);
}

weir_loop *wire_start(const struct fake_options *options)
{
    weir_loop *loop;

    tls_require();
    fake_start(options);
    tls_account_open(&account);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    return loop;
}

void wire_stop(weir_loop *loop, int alive)
{
    expect_eq(weir_loop_free(loop), alive);
    tls_account_close(&account);
    fake_stop();
}

void wire_open(struct wire *wire, weir_loop *loop,
               const struct wire_options *options)
{
    const char *name =
        options->expected_name ? options->expected_name : "localhost";
    const struct wr_tls_peer_options how = {
        .server_hostname = options->is_client ? NULL : name};
    weir_tls_context *context =
        tls_context_of(options->is_client, options->version);

    memset(wire, 0, sizeof(*wire));
    wire->loop = loop;
    wire->is_echo = options->is_echo;
    wire->stays = options->stays;
    wire_open_subject(wire, options);
    wire->side.way = &wire_way;
    wire->side.arg = wire;
    expect_eq(tls_side_open(&wire->side, context, &how, &account), 0);
    weir_tls_context_unref(context);
}

void wire_shake(struct wire *wire)
{
    for (int i = 0; i < 20; i++) {
        tls_side_step(&wire->side);
        clock_run_for(wire->loop, WIRE_MS);
        wire_read(wire, SIZE_MAX);
    }
    expect_eq(wire->side.engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert(wire->t);
}

void wire_close(struct wire *wire)
{
    weir_transport_unref(wire->t);
    tls_side_close(&wire->side);
    fake_peer_close(wire->peer);
}

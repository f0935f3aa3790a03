/*
 * The subjects of tls_wire.h and their peers. The certificates are those of the
 * unit tests; a test without them is skipped. A peer needs no loop: its engine
 * is stepped where a test says so.
 */
#include "tls_wire.h"

#include <errno.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

static struct test_allocator allocator; /* of the peers */
static struct wr_blocks blocks;
static struct wr_tls_memory memory;

/* ---- the subject ---- */

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
    return 0;
}

static void wire_lost(void *user, weir_transport *t, int err)
{
    struct wire *wire = user;
    wire->lost_count++;
    wire->lost_err = err;
    wire->lost_ns = fake_now();
}

static const struct weir_protocol wire_protocol = {
    .size = sizeof(wire_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = wire_made,
    .connection_lost = wire_lost,
    .pause_writing = wire_pause,
    .resume_writing = wire_resume,
    .data_received = wire_received,
};

static int wire_create(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    ret->protocol = &wire_protocol;
    ret->user = arg;
    return 0;
}

static void wire_done(void *arg, int err, weir_transport *t)
{
    struct wire *wire = arg;
    wire->done_count++;
    wire->done_err = err;
}

static weir_tls_context *wire_context(bool is_server, int version)
{
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    struct weir_tls_options options = {.size = sizeof(options),
                                       .server = is_server};
    weir_tls_context *context = NULL;
    char text[256] = "";
    char first[512];
    char second[512];

    snprintf(first, sizeof(first), "%s/%s", folder,
             is_server ? "ecdsa.pem" : "ca.pem");
    snprintf(second, sizeof(second), "%s/ecdsa.key", folder);
    if (version != 0) {
        options.min_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
        options.max_version = options.min_version;
    }
    if (is_server) {
        options.certificate.file = first;
        options.key.file = second;
    } else {
        options.authorities.file = first;
    }
    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)), 0,
              "%s", text);
    return context;
}

static void wire_open_subject(struct wire *wire,
                              const struct wire_options *options)
{
    const struct weir_factory factory = {.create = wire_create, .arg = wire};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = wire_context(!options->is_client, options->version),
        .server_hostname = "localhost",
        .shutdown_timeout_ns = options->shutdown_timeout_ns};
    const struct weir_connect_options how = {
        .size = sizeof(how),
        .tls = &settings,
        .connection = {.size = sizeof(how.connection),
                       .timeouts = options->timeouts}};

    expect_eq(weir_adopt_connection(wire->loop, &factory,
                                    fake_connected_fd(&wire->peer), &how,
                                    wire_done, wire, NULL),
              0);
    weir_tls_context_unref(settings.context);
}

/* ---- the peer ---- */

void wire_flush(struct wire *wire)
{
    struct wr_block *block = wr_tls_engine_take_output(&wire->engine);
    while (block) {
        struct wr_block *next = block->next;
        expect_eq(fake_peer_write(wire->peer, wr_tls_engine_output_of(block),
                                  block->used),
                  (ssize_t)block->used);
        wr_block_give(&blocks, block);
        block = next;
    }
}

void wire_advance(struct wire *wire)
{
    struct wr_tls_engine *engine = &wire->engine;
    static uint8_t plain[16384];

    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        wire->result = wr_tls_engine_handshake(engine);
    }
    while (engine->state != WR_TLS_ENGINE_HANDSHAKE &&
           (wire->result = wr_tls_engine_read(engine, plain, sizeof(plain))) >
               0) {
        wire->opened += (uint64_t)wire->result;
    }
    wire_flush(wire);
}

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
        wr_tls_engine_feed(&wire->engine, buf, (size_t)len);
        wire_advance(wire);
    }
}

void wire_alert(struct wire *wire)
{
    static const uint8_t record[5 + 40] = {23, 3, 3, 0, 40};

    wr_tls_engine_feed(&wire->engine, record, sizeof(record));
    wire_advance(wire);
    expect_lt(wire->result, 0);
}

/* ---- life ---- */

weir_loop *wire_start(const struct fake_options *options)
{
    weir_loop *loop;

    if (!getenv("WEIR_TLS_CERTIFICATES")) {
        cr_skip_test("there are no certificates");
    }
    fake_start(options);
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    wr_tls_memory_init(&memory, &blocks);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    return loop;
}

void wire_stop(weir_loop *loop, int alive)
{
    expect_eq(weir_loop_free(loop), alive);
    wr_tls_memory_fini(&memory);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
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
        wire_context(options->is_client, options->version);

    memset(wire, 0, sizeof(*wire));
    wire->loop = loop;
    wire->is_echo = options->is_echo;
    wire_open_subject(wire, options);
    expect_eq(wr_tls_engine_init(&wire->engine, context, &how, &memory), 0);
    weir_tls_context_unref(context);
}

void wire_shake(struct wire *wire)
{
    for (int i = 0; i < 20; i++) {
        wire_advance(wire);
        clock_run_for(wire->loop, WIRE_MS);
        wire_read(wire, SIZE_MAX);
    }
    expect_eq(wire->engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert(wire->t);
}

void wire_close(struct wire *wire)
{
    weir_transport_unref(wire->t);
    wr_tls_engine_fini(&wire->engine);
    fake_peer_close(wire->peer);
}

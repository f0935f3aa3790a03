/*
 * TLS handshakes in numbers and text: how long one took, and why it failed.
 *
 * A client and a server on one loop. The connect call has the text in
 * error_text; the transport has the same text.
 */
#include "tests/contract/harness.h"
#include "tests/task.h"
#include "tests/tls/rig.h"

#include <weir/stream.h>

static weir_tls_context *tell_context(bool is_server, bool knows_authority)
{
    struct weir_tls_options options = tls_options(is_server);
    options.no_system_authorities = true;
    if (!knows_authority) {
        options.authorities.file = NULL;
    }
    return tls_context(&options);
}

static int tell_nothing(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    while (weir_reader_read(reader, &byte, 1) > 0) {
    }
    return 0;
}

struct tell_world {
    weir_loop *loop;
    weir_server *server;
    uint16_t port;
    uint64_t timeout_ns;
    struct weir_tls_settings tls;
    char text[256];
    weir_reader *reader;
    weir_writer *writer;
};

static void tell_serve(struct tell_world *world, weir_loop *loop, bool has_tls)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = tell_context(true, false)};
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server),
                   .tls = has_tls ? &tls : NULL}};
    struct weir_address address;
    *world = (struct tell_world){.loop = loop};
    expect_ok(weir_start_server(loop, tell_nothing, "127.0.0.1", 0, &options,
                                &world->server));
    weir_tls_context_unref(tls.context);
    expect(weir_server_get_socket(world->server, 0, &address) >= 0);
    world->port = ntohs(address.storage.inet.sin_port);
}

static int tell_connect(struct tell_world *world, weir_tls_context *context)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = context,
                                          .server_hostname = "localhost"};
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect),
                    .timeout_ns = world->timeout_ns,
                    .error_text = world->text,
                    .error_text_size = sizeof(world->text),
                    .tls = context ? &tls : NULL}};
    return weir_open_connection(world->loop, "127.0.0.1", world->port, &options,
                                &world->reader, &world->writer);
}

static void tell_end(struct tell_world *world)
{
    if (world->writer) {
        weir_writer_close(world->writer);
        expect_eq(weir_writer_wait_closed(world->writer), 0);
        weir_writer_unref(world->writer);
    }
    weir_server_close(world->server);
    expect_eq(weir_server_wait_closed(world->server), 0);
    weir_server_free(world->server);
}

static void tell_run(task_body_fn *body)
{
    tls_require();
    task_run(body);
}

UNIT_IN(tls_tell, how_long_a_handshake_took, tell_run, weir_loop *loop)
{
    struct tell_world world;
    struct weir_extra_info info = {.size = sizeof(info)};
    weir_tls_context *context = tell_context(false, true);
    tell_serve(&world, loop, true);
    const uint64_t begin_ns = weir_loop_get_time(loop);
    expect_eq(tell_connect(&world, context), 0, "%s", world.text);
    weir_transport *t = weir_writer_get_transport(world.writer);
    expect_eq(weir_transport_get_extra_info(t, "tls_handshake", &info), 0);
    expect_ok(weir_sleep(
        loop, 1)); /* then the loop's time belongs to this iteration */
    cr_assert_gt(info.time_ns, 0);
    cr_assert_leq(info.time_ns, weir_loop_get_time(loop) - begin_ns);
    expect_str_eq(world.text, "");
    weir_tls_context_unref(context);
    tell_end(&world);
}

UNIT_IN(tls_tell, a_connection_without_tls_has_no_handshake, tell_run,
        weir_loop *loop)
{
    struct tell_world world;
    struct weir_extra_info info = {.size = sizeof(info)};
    tell_serve(&world, loop, false);
    expect_eq(tell_connect(&world, NULL), 0);
    weir_transport *t = weir_writer_get_transport(world.writer);
    expect_eq(weir_transport_get_extra_info(t, "tls_handshake", &info),
              -ENOENT);
    tell_end(&world);
}

UNIT_IN(tls_tell, the_maker_is_told_why_in_words, tell_run, weir_loop *loop)
{
    struct tell_world world;
    weir_tls_context *context = tell_context(false, false);
    tell_serve(&world, loop, true);
    expect_eq(tell_connect(&world, context), WEIR_ETLSISSUER);
    char begin[64];
    snprintf(begin, sizeof(begin),
             "tls 127.0.0.1:%u: TLS handshake: ", world.port);
    cr_assert_eq(strncmp(world.text, begin, strlen(begin)), 0, "%s",
                 world.text);
    cr_assert_not_null(strstr(world.text, "(CN=localhost)"), "%s", world.text);
    weir_tls_context_unref(context);
    tell_end(&world);
}

UNIT_IN(tls_tell, a_handshake_that_the_attempt_gave_up_says_why, tell_run,
        weir_loop *loop)
{
    struct tell_world world;
    weir_tls_context *context = tell_context(false, true);
    char wanted[96];
    tell_serve(&world, loop, false);
    world.timeout_ns = 5 * RIG_S; /* enough to connect without TLS */
    expect_eq(tell_connect(&world, context), -ETIMEDOUT, "%s", world.text);
    snprintf(wanted, sizeof(wanted),
             "tls 127.0.0.1:%u: aborted by us: Connection timed out",
             world.port);
    expect_str_eq(world.text, wanted);
    weir_tls_context_unref(context);
    tell_end(&world);
}

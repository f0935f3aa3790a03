/*
 * Servers with TLS: new settings while they run, and the context of each
 * connection.
 *
 * Clients are on the server's loop. A client recognises the server's context by
 * its certificate: one has a P-256 key, the other one an RSA key.
 */
#include "tests/contract/maker.h"
#include "tests/tls/rig.h"
#include "tests/walk.h"

#include <weir/connect.h>
#include <weir/tls_connection.h>

/* The certificate with the RSA key is larger than this. */
#define LEAF_RSA_SIZE 600

static const struct weir_connection_options asked = {
    .keep_alive = true,
    .keep_alive_idle_ns = WEIR_SECONDS(301),
};

struct client {
    struct maker *m;
    weir_transport *t;
    weir_pending *connect;
    bool cancels; /* inside done */
    int done;
    int err;
    uint64_t received;
};

static weir_tls_context *server_context(const char *certificate,
                                        const char *key)
{
    tls_require();
    struct weir_tls_options options = tls_options(true);
    options.certificate.file = tls_file("%s", certificate);
    options.key.file = tls_file("%s", key);
    return tls_context(&options);
}

static struct weir_tls_settings settings_of(weir_tls_context *context)
{
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = context,
    };
}

static int client_received(void *user, weir_transport *t,
                           const struct weir_buf *buf)
{
    struct client *client = (struct client *)user;
    client->received += buf->len;
    return 0;
}

static CALLBACKS(client_protocol, STREAM, .data_received = client_received);

static void client_done(void *arg, int err, weir_transport *t)
{
    struct client *client = (struct client *)arg;
    client->done++;
    client->err = err;
    if (t) {
        client->t = weir_transport_ref(t);
    }
    if (client->cancels) {
        weir_pending_cancel(client->connect);
    }
}

static void client_start(struct client *client, struct maker *m, int fd)
{
    const struct weir_factory factory = bind_to(&client_protocol, client);
    weir_tls_context *context = tls_context_of(false, 0);
    struct weir_tls_settings settings = settings_of(context);
    struct weir_connect_options options = {
        .size = sizeof(options), .tls = &settings, .connection = asked};
    settings.server_hostname = "localhost";
    *client = (struct client){.m = m, .cancels = client->cancels};
    expect_ok(fd >= 0 ? weir_create_connection_at(
                            m->loop, &factory, weir_endpoint_fd(fd), &options,
                            client_done, client, &client->connect)
                      : weir_create_connection(m->loop, &factory, "127.0.0.1",
                                               server_port(m->server), &options,
                                               client_done, client,
                                               &client->connect));
    weir_tls_context_unref(context);
}

static void client_wait(struct client *client)
{
    while (!client->done) {
        maker_run_for(client->m, MS);
    }
}

static void client_connect(struct client *client, struct maker *m)
{
    client_start(client, m, -1);
    client_wait(client);
    expect_eq(client->err, 0, "%s", weir_err_name(client->err));
}

static bool client_has_rsa(const struct client *client)
{
    struct weir_extra_info leaf = {.size = sizeof(leaf)};
    expect_eq(weir_transport_get_extra_info(client->t, "peercert", &leaf), 0);
    return leaf.len > LEAF_RSA_SIZE;
}

static void client_expect_echo(struct client *client)
{
    const uint64_t before = client->received;
    expect_eq(weir_transport_write(client->t, "ping", 4), 0);
    while (client->received < before + 4) {
        maker_run_for(client->m, MS);
    }
}

static void client_end(struct client *client)
{
    weir_transport_abort(client->t);
    weir_transport_unref(client->t);
}

static void serve_tls(struct maker *m, weir_tls_context *context)
{
    const struct weir_tls_settings settings = settings_of(context);
    m->echo = true;
    maker_serve(
        m, "127.0.0.1",
        SIZED(weir_server_options, .tls = &settings, .connection = asked));
    weir_tls_context_unref(context);
}

static int replace_context(struct maker *m, const char *certificate,
                           const char *key)
{
    weir_tls_context *context = server_context(certificate, key);
    const struct weir_tls_settings settings = settings_of(context);
    const int err = weir_server_set_tls(m->server, &settings);
    weir_tls_context_unref(context);
    return err;
}

/* The client must see a reset, not an end of stream. */
UNIT(tls_server, a_client_that_there_is_no_memory_for_is_reset)
{
    struct test_allocator memory;
    struct maker m;
    char byte;
    allocator_init(&memory);
    maker_open(&m);
    weir_loop_free(m.loop);
    m.loop = allocator_make_loop(&memory);
    weir_loop_set_exception_handler(m.loop, maker_report, &m);
    serve_tls(&m, server_context("ecdsa.pem", "ecdsa.key"));
    const int fd = peer_connect(&m);

    allocator_fail_in(&memory, 1);
    RUN_UNTIL(m.loop, m.reports > 0);

    expect_eq(m.report_err, -ENOMEM);
    expect_eq(peer_read(fd, &byte, 1), -ECONNRESET);
    close(fd);
    maker_close(&m);
    allocator_check(&memory);
}

UNIT(tls_server, a_connection_whose_handshake_there_is_no_memory_for_is_closed)
{
    struct test_allocator memory;
    struct maker m;
    struct client client = {.done = 0};
    int fds[2];
    char byte;
    allocator_init(&memory);
    maker_open(&m);
    weir_loop_free(m.loop);
    m.loop = allocator_make_loop(&memory);
    maker_run_for(&m, MS); /* the first run makes receive buffers */
    tls_require();
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client_start(&client, &m, fds[0]);

    allocator_fail_in(&memory, 1); /* nothing else needs memory before */
    while (!client.done) {         /* a timer would need memory */
        weir_loop_stop(m.loop);
        expect_ok(weir_loop_run(m.loop));
    }

    expect_eq(client.done, 1);
    expect_eq(client.err, -ENOMEM, "%s", weir_err_name(client.err));
    expect_eq(peer_read(fds[1], &byte, 1), 0);
    close(fds[1]);
    maker_close(&m);
    allocator_check(&memory);
}

MAKER(tls_server, new_connections_get_new_settings_and_old_ones_go_on, m)
{
    struct client first = {.done = 0};
    struct client second = {.done = 0};
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));
    client_connect(&first, m);
    cr_assert_not(client_has_rsa(&first));

    expect_eq(replace_context(m, "rsa.pem", "rsa.key"), 0);
    client_connect(&second, m);

    cr_assert(client_has_rsa(&second));
    client_expect_echo(&first);
    client_expect_echo(&second);
    client_end(&first);
    client_end(&second);
    maker_run(m, maker_is_empty);
}

MAKER(tls_server, a_client_that_is_cancelled_inside_its_done_goes_on, m)
{
    struct client client = {.cancels = true};
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));
    client_connect(&client, m);
    client_expect_echo(&client);
    client_end(&client);
    maker_run(m, maker_is_empty);
}

MAKER(tls_server, a_handshake_under_way_goes_on_with_the_old_settings, m)
{
    struct client client = {.done = 0};
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));
    int fd = peer_connect(m);
    RUN_UNTIL(m->loop, weir_server_get_connection_count(m->server) == 1);

    expect_eq(replace_context(m, "rsa.pem", "rsa.key"), 0);
    client_start(&client, m, fd);
    client_wait(&client);

    expect_eq(client.err, 0, "%s", weir_err_name(client.err));
    cr_assert_not(client_has_rsa(&client));
    client_end(&client);
    maker_run(m, maker_is_empty);
}

MAKER(tls_server, a_handshake_under_way_is_not_ended_by_a_stop, m)
{
    struct client client = {.done = 0};
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));
    int fd = peer_connect(m);
    RUN_UNTIL(m->loop, weir_server_get_connection_count(m->server) == 1);

    expect_eq(weir_server_stop(m->server, UINT64_MAX, NULL, NULL), 0);
    maker_run_for(m, MS);
    expect_eq(weir_server_get_connection_count(m->server), 1);
    client_start(&client, m, fd);
    client_wait(&client);

    expect_eq(client.err, 0, "%s", weir_err_name(client.err));
    maker_run(m, maker_is_empty); /* now it is idle, and closed */
    client_end(&client);
}

static void expect_asked(weir_transport *t)
{
    const int fd = weir_transport_get_socket(t);
    expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 301);
}

MAKER(tls_server, sockets_below_tls_have_the_options_of_both_ends, m)
{
    struct client client = {.done = 0};
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));

    client_connect(&client, m);
    client_expect_echo(&client);

    expect_asked(client.t);
    expect_asked(m->t);
    client_end(&client);
    maker_run(m, maker_is_empty);
}

static void give_to_server(void *arg, weir_server *server, int fd)
{
    expect_eq(weir_server_add_fd((weir_server *)arg, fd), 0);
}

MAKER(tls_server, a_connection_that_another_server_accepted_gets_tls, m)
{
    struct client client = {.done = 0};
    weir_tls_context *context = server_context("ecdsa.pem", "ecdsa.key");
    const struct weir_tls_settings settings = settings_of(context);
    struct weir_server_options options = {
        .size = sizeof(options), .tls = &settings, .no_sockets = true};
    m->echo = true;
    maker_serve(m, NULL, &options);
    weir_server *secure = m->server;
    options = (struct weir_server_options){.size = sizeof(options),
                                           .accepted = give_to_server,
                                           .accepted_arg = secure};
    m->done = 0;
    maker_serve(m, "127.0.0.1", &options);

    client_connect(&client, m);

    cr_assert_eq(weir_tls_get_context(m->t), context);
    expect_eq(weir_server_get_connection_count(secure), 1);
    expect_eq(weir_server_get_connection_count(m->server), 0);
    client_expect_echo(&client);
    client_end(&client);
    maker_run(m, maker_is_empty);
    weir_server_free(secure);
    weir_tls_context_unref(context);
}

MAKER(tls_server, a_connection_keeps_the_context_that_it_was_accepted_with, m)
{
    struct client first = {.done = 0};
    struct client second = {.done = 0};
    weir_tls_context *old = server_context("ecdsa.pem", "ecdsa.key");
    weir_tls_context *new = server_context("rsa.pem", "rsa.key");
    const struct weir_tls_settings settings = settings_of(new);
    serve_tls(m, old);
    client_connect(&first, m);
    maker_run_until_made(m, 1);
    weir_transport *accepted = weir_transport_ref(m->t);
    cr_assert_eq(weir_tls_get_context(accepted), old);

    expect_eq(weir_server_set_tls(m->server, &settings), 0);
    cr_assert_eq(weir_tls_get_context(accepted), old);
    client_connect(&second, m);
    maker_run_until_made(m, 2);
    cr_assert_eq(weir_tls_get_context(m->t), new);

    client_end(&first);
    client_end(&second);
    maker_run(m, maker_is_empty);
    cr_assert_eq(weir_tls_get_context(accepted), old, "its reference is last");
    weir_transport_unref(accepted);
    weir_tls_context_unref(new);
}

static int choose_new(void *user, const char *name, weir_tls_context **ret)
{
    weir_tls_context **chosen = (weir_tls_context **)user;
    cr_assert_str_eq(name, "localhost");
    *ret = *chosen = server_context("rsa.pem", "rsa.key");
    return 0;
}

static weir_tls_context *choosing_context(weir_tls_context **chosen)
{
    tls_require();
    struct weir_tls_options options = tls_options(true);
    options.choose = choose_new;
    options.choose_user = chosen;
    return tls_context(&options);
}

MAKER(tls_server, the_context_that_was_chosen_by_name_is_that_of_the_connection,
      m)
{
    struct client client = {.done = 0};
    weir_tls_context *chosen = NULL;
    serve_tls(m, choosing_context(&chosen));
    client_connect(&client, m);
    maker_run_until_made(m, 1);
    weir_transport *accepted = weir_transport_ref(m->t);

    cr_assert(client_has_rsa(&client));
    cr_assert_not_null(chosen);
    cr_assert_eq(weir_tls_get_context(accepted), chosen);
    client_end(&client);
    maker_run(m, maker_is_empty);
    cr_assert_eq(weir_tls_get_context(accepted), chosen);
    weir_transport_unref(accepted);
}

MAKER(tls_server, a_connection_without_tls_has_no_context, m)
{
    maker_serve(m, "127.0.0.1", NULL);
    const int fd = peer_connect(m);
    maker_run_until_made(m, 1);

    cr_assert_null(weir_tls_get_context(m->t));
    close(fd);
    maker_run(m, maker_is_empty);
}

MAKER(tls_server, settings_that_are_refused_leave_the_old_ones, m)
{
    struct client client = {.done = 0};
    weir_tls_context *own = tls_context_of(false, 0);
    struct weir_tls_settings wrong = settings_of(own);
    serve_tls(m, server_context("ecdsa.pem", "ecdsa.key"));

    expect_eq(weir_server_set_tls(m->server, NULL), -EINVAL);
    expect_eq(weir_server_set_tls(m->server, &wrong), -EINVAL);
    wrong.context = NULL;
    expect_eq(weir_server_set_tls(m->server, &wrong), -EINVAL);
    client_connect(&client, m);
    cr_assert_not(client_has_rsa(&client));

    client_end(&client);
    weir_server_close(m->server);
    expect_eq(replace_context(m, "rsa.pem", "rsa.key"), -ESHUTDOWN);
    weir_tls_context_unref(own);
    maker_run(m, maker_is_empty);
}

MAKER(tls_server, a_server_without_tls_stays_without, m)
{
    maker_serve(m, "127.0.0.1", NULL);

    expect_eq(replace_context(m, "rsa.pem", "rsa.key"), -EINVAL);
}

MAKER(tls_server, the_time_limit_of_an_adoption_is_one_for_its_handshake, m)
{
    int fds[2];
    weir_tls_context *context = tls_context_of(false, 0);
    struct weir_tls_settings settings = settings_of(context);
    settings.server_hostname = "localhost";
    settings.handshake_timeout_ns = WEIR_SECONDS(600); /* not used here */
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_ok(weir_create_connection_at(
        m->loop, &m->factory, weir_endpoint_fd(fds[0]),
        SIZED(weir_connect_options, .timeout_ns = 5 * MS, .tls = &settings),
        maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, -ETIMEDOUT, "%s", weir_err_name(m->done_err));
    weir_tls_context_unref(context);
    close(fds[1]);
}

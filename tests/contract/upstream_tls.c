/*
 * Upstreams with TLS: connections to them, and checks of their handshake,
 * against a server of weir on the same loop, and the alerts of a server that
 * refuses them.
 *
 * Each check waits for the first result, so that a test needs one check to see
 * a state.
 */
#include "tests/contract/maker.h"

#include <stdlib.h>
#include <weir/connect.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>
#include <weir/upstream.h>

static struct maker m;
static weir_upstreams *set;
static weir_tls_context *server_context;
static weir_tls_context *client_context;
static enum weir_upstream_state state;
static int state_err;
static int end_count;
static int end_err;
static const char *end_alert;
static weir_upstream_slot *end_slot;

static const char *tls_path(const char *name)
{
    static char paths[4][512];
    static int turn;
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    char *path = paths[turn++ % 4];
    if (!folder) {
        cr_skip_test("no wolfSSL of tools/deps, or no openssl; runs with both");
    }
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static enum weir_tls_version only_version;
static enum weir_tls_version least_version;
static bool wants_certificate;

static weir_tls_context *make_context(bool is_server)
{
    struct weir_tls_options options = {.size = sizeof(options),
                                       .server = is_server};
    weir_tls_context *context = NULL;
    if (is_server && wants_certificate) {
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        options.authorities.file = tls_path("ca.pem");
    }
    options.min_version = is_server ? least_version : only_version;
    options.max_version = is_server ? WEIR_TLS_VERSION_DEFAULT : only_version;
    if (is_server) {
        options.certificate.file = tls_path("ecdsa.pem");
        options.key.file = tls_path("ecdsa.key");
    } else {
        options.authorities.file = tls_path("ca.pem");
    }
    expect_eq(weir_tls_context_new(&options, &context, NULL, 0), 0);
    return context;
}

static void note_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state now, int err)
{
    state = now;
    state_err = err;
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    end_count++;
    end_err = err;
    end_slot = result->slot;
    end_alert = result->tls_alert;
}

static char asked[512];

static void begin_request(void *user, weir_transport *t)
{
    asked[0] = '\0';
}

static int note_request(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    const size_t len = strlen(asked);
    expect_lt(len + buf->len, sizeof(asked));
    memcpy(asked + len, buf->data, buf->len);
    asked[len + buf->len] = '\0';
    return strstr(asked, "\r\n\r\n")
               ? weir_transport_write(t, "HTTP/1.1 200 OK\r\n\r\n", 19)
               : 0;
}

static int serve_http(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {
        .size = sizeof(protocol),
        .kind = WEIR_PROTOCOL_STREAM,
        .connection_made = begin_request,
        .data_received = note_request};
    *ret = (struct weir_protocol_binding){&protocol, NULL};
    return 0;
}

static bool was_asked_for(const char *host)
{
    char line[128];
    snprintf(line, sizeof(line), "\r\nHost: %s:%u\r\n", host,
             (unsigned)server_port(m.server));
    return strstr(asked, line) && strstr(asked, "\r\n\r\n");
}

static void start(enum weir_upstream_check_kind kind, bool server_has_tls)
{
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .kind = kind,
                                              .interval_ns = 1 * MS,
                                              .timeout_ns = 20000 * MS,
                                              .starts_down = true};
    const struct weir_upstreams_options options = {
        .size = sizeof(options), .check = &check, .changed = note_change};
    maker_open(&m);
    if (kind == WEIR_UPSTREAM_CHECK_HTTP) {
        m.factory.create = serve_http;
    }
    server_context = make_context(true);
    client_context = make_context(false);
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = server_context};
    const struct weir_server_options server = {
        .size = sizeof(server), .tls = server_has_tls ? &settings : NULL};
    state = (enum weir_upstream_state)0;
    end_count = 0;
    expect_eq(weir_upstreams_new(m.loop, &options, &set), 0);
    maker_serve(&m, "127.0.0.1", &server);
}

static void finish(void)
{
    weir_upstream_slot_release(end_slot, 0);
    end_slot = NULL;
    weir_upstreams_free(set);
    maker_close(&m);
    weir_tls_context_unref(server_context);
    weir_tls_context_unref(client_context);
}

static int add(const char *name)
{
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = client_context,
                                               .server_hostname = name};
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_host("127.0.0.1", server_port(m.server)),
        .tls = name ? &settings : NULL};
    return weir_upstreams_add(set, &options, NULL);
}

static void connect_now(void)
{
    expect_eq(
        weir_upstreams_connect(set, &m.factory, NULL, note_end, NULL, NULL), 0);
    RUN_UNTIL(m.loop, end_count > 0);
}

UNIT(upstream_tls, a_good_handshake_is_up_and_serves_connections)
{
    start(WEIR_UPSTREAM_CHECK_TLS, true);
    expect_eq(add("localhost"), 0);
    RUN_UNTIL(m.loop, state != 0);
    expect_eq(state, WEIR_UPSTREAM_UP);
    connect_now();
    expect_eq(end_err, 0);
    finish();
}

UNIT(upstream_tls, a_certificate_for_another_name_is_down)
{
    start(WEIR_UPSTREAM_CHECK_TLS, true);
    expect_eq(add("other.example"), 0);
    RUN_UNTIL(m.loop, state != 0);
    expect_eq(state, WEIR_UPSTREAM_DOWN);
    expect_eq(state_err, WEIR_ETLSHOSTNAME);
    connect_now();
    expect_eq(end_err, -EHOSTDOWN);
    finish();
}

static int open_refused(weir_loop *loop, void *arg)
{
    struct weir_upstreams_result result = {.size = sizeof(result)};
    weir_writer *writer = NULL;

    expect_eq(weir_upstreams_open_connection(set, NULL, &result, NULL, &writer),
              WEIR_ETLSHOSTNAME);
    cr_assert_null(writer);
    cr_assert_null(result.slot);
    cr_assert_null(result.transport);
    return 0;
}

/* The stream is made before the handshake, and is closed if the handshake
 * fails. */
UNIT(upstream_tls, a_stream_whose_handshake_fails_is_gone)
{
    start(WEIR_UPSTREAM_CHECK_TCP, true);
    expect_eq(add("other.example"), 0);
    RUN_UNTIL(m.loop, state != 0);
    expect_eq(weir_loop_run_task(m.loop, open_refused, NULL, NULL), 0);
    finish();
}

UNIT(upstream_tls, new_settings_are_those_of_the_next_connections)
{
    struct weir_tls_settings settings = {.size = sizeof(settings),
                                         .server_hostname = "other.example"};
    weir_upstream *upstream;

    start(WEIR_UPSTREAM_CHECK_TCP, true);
    settings.context = client_context;
    expect_eq(add("localhost"), 0);
    RUN_UNTIL(m.loop, state != 0);
    upstream = weir_upstreams_get_upstream(set, 0);
    expect_eq(weir_upstream_set_tls(upstream, &settings), 0);
    connect_now();
    expect_eq(end_err, WEIR_ETLSHOSTNAME);
    settings.context = server_context;
    expect_eq(weir_upstream_set_tls(upstream, &settings), -EINVAL);
    expect_eq(weir_upstream_set_tls(upstream, NULL), -EINVAL);
    settings.context = client_context;
    settings.server_hostname = "localhost";
    expect_eq(weir_upstream_set_tls(upstream, &settings), 0);
    end_count = 0;
    connect_now();
    expect_eq(end_err, 0);
    finish();
}

UNIT(upstream_tls, a_check_by_http_asks_for_the_host_that_the_settings_name)
{
    struct weir_tls_settings settings = {.size = sizeof(settings),
                                         .server_hostname = "other.example",
                                         .no_hostname_check = true};

    start(WEIR_UPSTREAM_CHECK_HTTP, true);
    settings.context = client_context;
    expect_eq(add("localhost"), 0);
    RUN_UNTIL(m.loop, was_asked_for("localhost"));
    weir_upstream *upstream = weir_upstreams_get_upstream(set, 0);
    expect_eq(weir_upstream_set_tls(upstream, &settings), 0);
    RUN_UNTIL(m.loop, was_asked_for("other.example"));
    settings.server_hostname = "";
    expect_eq(weir_upstream_set_tls(upstream, &settings), 0);
    RUN_UNTIL(m.loop, was_asked_for("127.0.0.1"));
    finish();
}

UNIT(upstream_tls, a_check_by_tcp_makes_no_handshake)
{
    start(WEIR_UPSTREAM_CHECK_TCP, false);
    expect_eq(add("localhost"), 0);
    RUN_UNTIL(m.loop, state != 0);
    expect_eq(state, WEIR_UPSTREAM_UP);
    finish();
}

UNIT(upstream_tls, an_upstream_without_tls_cannot_be_checked_by_it)
{
    start(WEIR_UPSTREAM_CHECK_TLS, true);
    expect_eq(add(NULL), -EINVAL);
    expect_eq(weir_upstreams_get_count(set), 0);
    finish();
}

static int add_checked(const struct weir_tls_settings *settings,
                       weir_upstream **ret)
{
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_host("127.0.0.1", server_port(m.server)),
        .check_tls = settings};
    return weir_upstreams_add(set, &options, ret);
}

UNIT(upstream_tls, checks_may_have_tls_that_connections_lack)
{
    struct weir_tls_settings settings = {.size = sizeof(settings),
                                         .server_hostname = "other.example"};
    weir_upstream *upstream;

    start(WEIR_UPSTREAM_CHECK_TLS, true);
    settings.context = client_context;
    expect_eq(add_checked(&settings, &upstream), 0);
    RUN_UNTIL(m.loop, state != 0);
    expect_eq(state, WEIR_UPSTREAM_DOWN);
    expect_eq(state_err, WEIR_ETLSHOSTNAME);
    settings.server_hostname = "localhost";
    expect_eq(weir_upstream_set_check_tls(upstream, &settings), 0);
    RUN_UNTIL(m.loop, state == WEIR_UPSTREAM_UP);
    expect_eq(weir_upstream_set_tls(upstream, &settings), -EINVAL);
    connect_now();
    expect_eq(end_err, 0, "without TLS");
    finish();
}

UNIT(upstream_tls, settings_of_checks_are_refused_as_those_of_connections)
{
    struct weir_tls_settings settings = {.size = sizeof(settings),
                                         .server_hostname = "localhost"};
    weir_upstream *upstream;

    start(WEIR_UPSTREAM_CHECK_TLS, true);
    settings.context = server_context;
    expect_eq(add_checked(&settings, &upstream), -EINVAL);
    settings.context = client_context;
    expect_eq(add_checked(&settings, &upstream), 0);
    expect_eq(weir_upstream_set_check_tls(upstream, NULL), -EINVAL);
    settings.context = server_context;
    expect_eq(weir_upstream_set_check_tls(upstream, &settings), -EINVAL);
    settings.context = client_context;
    expect_eq(add("localhost"), 0);
    upstream = weir_upstreams_get_upstream(set, 1);
    expect_eq(weir_upstream_set_check_tls(upstream, &settings), -EINVAL,
              "it has none of its own");
    RUN_UNTIL(m.loop, state == WEIR_UPSTREAM_UP);
    finish();
}

/* Starts a server with TLS 1.3 for clients with TLS 1.2, or one that requires
 * certificates for clients with TLS 1.3 that have none. */
static void start_refusing(enum weir_upstream_check_kind kind, bool is_13)
{
    least_version = is_13 ? WEIR_TLS_VERSION_DEFAULT : WEIR_TLS_1_3;
    only_version = is_13 ? WEIR_TLS_1_3 : WEIR_TLS_1_2;
    wants_certificate = is_13;
    start(kind, true);
    expect_eq(add("localhost"), 0);
    RUN_UNTIL(m.loop, state != 0);
}

static struct weir_upstream_statistics info_now(void)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_ok(weir_upstream_get_statistics(weir_upstreams_get_upstream(set, 0),
                                           &info));
    return info;
}

UNIT(upstream_tls, the_alert_that_refuses_a_connection_is_named)
{
    start_refusing(WEIR_UPSTREAM_CHECK_TCP, false);
    expect_eq(state, WEIR_UPSTREAM_UP);
    cr_assert_null(info_now().connect_alert);
    connect_now();
    expect_eq(end_err, WEIR_ETLSALERT);
    expect_str_eq(end_alert, "protocol_version");
    expect_str_eq(info_now().connect_alert, "protocol_version");
    cr_assert_null(info_now().check_alert);
    finish();
}

UNIT(upstream_tls, the_alert_that_refuses_a_check_is_named)
{
    start_refusing(WEIR_UPSTREAM_CHECK_TLS, false);
    expect_eq(state, WEIR_UPSTREAM_DOWN);
    expect_eq(state_err, WEIR_ETLSALERT);
    expect_str_eq(info_now().check_alert, "protocol_version");
    cr_assert_null(info_now().connect_alert);
    finish();
}

/* In TLS 1.3 the client completes its handshake before the server sees that the
 * certificate is missing. */
UNIT(upstream_tls, so_is_one_behind_the_handshake)
{
    start_refusing(WEIR_UPSTREAM_CHECK_HTTP, true);
    expect_eq(state, WEIR_UPSTREAM_DOWN);
    expect_eq(state_err, WEIR_ETLSALERT);
    expect_str_eq(info_now().check_alert, "certificate_required");
    finish();
}

UNIT(upstream_tls, a_refusal_of_ones_own_has_no_alert)
{
    start(WEIR_UPSTREAM_CHECK_TCP, true);
    expect_eq(add("other.example"), 0);
    RUN_UNTIL(m.loop, state != 0);
    connect_now();
    expect_eq(end_err, WEIR_ETLSHOSTNAME);
    cr_assert_null(end_alert);
    cr_assert_null(info_now().connect_alert);
    finish();
}

struct refused {
    weir_pending *connect;
    int err;
    const char *alert;
    char text[256];
};

static void note_refused(void *arg, int err, weir_transport *t)
{
    struct refused *refused = arg;
    cr_assert_null(t);
    refused->err = err;
    refused->alert = weir_connect_get_tls_alert(refused->connect);
}

UNIT(upstream_tls, an_attempt_names_the_alert_too)
{
    struct refused refused = {.err = 0};
    start_refusing(WEIR_UPSTREAM_CHECK_TCP, false);
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = client_context,
                                               .server_hostname = "localhost"};
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .tls = &settings,
                                                 .error_text = refused.text,
                                                 .error_text_size =
                                                     sizeof(refused.text)};
    expect_ok(weir_create_connection(m.loop, &m.factory, "127.0.0.1",
                                     server_port(m.server), &options,
                                     note_refused, &refused, &refused.connect));
    cr_assert_null(weir_connect_get_tls_alert(refused.connect));
    RUN_UNTIL(m.loop, refused.err != 0);
    expect_eq(refused.err, WEIR_ETLSALERT);
    expect_str_eq(refused.alert, "protocol_version");
    cr_assert_not_null(strstr(refused.text, "alert 70: protocol_version"));
    finish();
}

struct opened {
    int err;
    const char *alert;
};

static int open_in_task(weir_loop *loop, void *arg)
{
    struct opened *opened = arg;
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = client_context,
                                               .server_hostname = "localhost"};
    const struct weir_open_options options = {.size = sizeof(options),
                                              .tls_alert = &opened->alert,
                                              .connect.tls = &settings};
    weir_writer *writer;
    opened->err = weir_open_connection(loop, "127.0.0.1", server_port(m.server),
                                       &options, NULL, &writer);
    if (opened->err == 0) {
        weir_writer_unref(writer);
    }
    return 0;
}

static void open_now(struct opened *opened)
{
    *opened = (struct opened){.err = 1, .alert = "none was written"};
    expect_eq(weir_task_spawn(m.loop, open_in_task, opened, NULL, NULL), 0);
    RUN_UNTIL(m.loop, opened->err != 1);
    finish();
}

UNIT(upstream_tls, a_task_that_connects_is_told_the_alert_or_none)
{
    struct opened opened;
    start(WEIR_UPSTREAM_CHECK_TCP, true);
    open_now(&opened);
    expect_eq(opened.err, 0);
    cr_assert_null(opened.alert);
    start_refusing(WEIR_UPSTREAM_CHECK_TCP, false);
    open_now(&opened);
    expect_eq(opened.err, WEIR_ETLSALERT);
    expect_str_eq(opened.alert, "protocol_version");
}

/*
 * A server with TLS whose clients do not complete their handshakes, because
 * they send no TLS, stop half-way, or because the server ends.
 *
 * The server reports the client's address if the client was at fault, forgets
 * the connection, and serves other clients.
 */
#include "tests/contract/maker.h"
#include "tests/contract/tls_end_rig.h"

#include <weir/connect.h>

static struct {
    uint16_t peer_port;
    char text[128];
    uint64_t wanted;
} seen;

static void report(void *arg, weir_loop *loop,
                   const struct weir_exception *exception)
{
    struct maker *m = arg;
    struct weir_address address;
    struct weir_extra_info info = {.size = sizeof(info)};

    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    maker_report(arg, loop, exception);
    expect_eq(exception->server, m->server);
    cr_assert_not_null(exception->transport);
    weir_transport_get_peername(exception->transport, &address);
    seen.peer_port = address_port(&address);
    seen.text[0] = '\0';
    if (weir_transport_get_extra_info(exception->transport, "tls_error",
                                      &info) == 0) {
        snprintf(seen.text, sizeof(seen.text), "%s", info.text);
    }
}

static void serve_as(struct maker *m, const char *name,
                     uint64_t handshake_timeout_ns)
{
    struct weir_server_options options = {.size = sizeof(options)};

    tls_require();
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = tls_context_of(true, 0),
        .server_hostname = name,
        .handshake_timeout_ns = handshake_timeout_ns};
    options.tls = &settings;
    weir_loop_set_exception_handler(m->loop, report, m);
    maker_serve(m, "127.0.0.1", &options);
    weir_tls_context_unref(settings.context);
    m->done = 0;
}

static void serve(struct maker *m, uint64_t handshake_timeout_ns)
{
    serve_as(m, NULL, handshake_timeout_ns);
}

static void wait_clients(struct maker *m, uint64_t count)
{
    seen.wanted = count;
    RUN_UNTIL(m->loop,
              weir_server_get_connection_count(m->server) == seen.wanted);
}

static uint16_t own_port(int fd)
{
    struct weir_address address = {.len = sizeof(address.storage)};

    expect_eq(getsockname(fd, &address.storage.any, &address.len), 0);
    return address_port(&address);
}

static void expect_served(struct maker *m)
{
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context =
                                                   tls_context_of(false, 0),
                                               .server_hostname = "localhost"};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .tls = &settings};
    m->made = m->lost = m->done = 0;
    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                     server_port(m->server), &options,
                                     maker_connect_done, m, NULL));
    weir_tls_context_unref(settings.context);
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, 0, "%s", weir_err_name(m->done_err));
    expect_eq(weir_transport_close(m->done_t), 0);
    maker_run(m, maker_is_empty);
    wait_clients(m, 0);
}

struct probe {
    const char *name;
    uint8_t data[40];
    size_t len;
    int err;
    bool ends;
};

static const struct probe probes[] = {
    {"text", "GET / HTTP/1.1\r\n\r\n", 18, WEIR_ETLSPROTOCOL, false},
    {"zeros", {0}, 40, WEIR_ETLSPROTOCOL, false},
    {"ones", {255, 255, 255, 255, 255, 255}, 40, WEIR_ETLSPROTOCOL, false},
    {"SSL 2",
     {0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1},
     40,
     WEIR_ETLSPROTOCOL,
     false},
    {"oversize", {22, 3, 1, 0x41, 1}, 5, WEIR_ETLSPROTOCOL, false},
    {"endless",
     {22, 3, 1, 0, 35, 1, 255, 255, 255, 3, 3},
     40,
     WEIR_ETLSPROTOCOL,
     false},
    {"empty hello", {22, 3, 1, 0, 4, 1, 0, 0, 0}, 9, WEIR_ETLSPROTOCOL, false},
    {"data", {23, 3, 3, 0, 4, 'd', 'a', 't', 'a'}, 9, WEIR_ETLSPROTOCOL, false},
    {"alert", {21, 3, 1, 0, 2, 2, 40}, 7, WEIR_ETLSALERT, false},
    {"half a header", {22, 3}, 2, WEIR_ETLSTRUNCATED, true},
    {"nothing", {0}, 0, WEIR_ETLSTRUNCATED, true},
};

enum { PROBE_COUNT = sizeof(probes) / sizeof(probes[0]) };

static int send_probe(struct maker *m, const struct probe *probe)
{
    const int fd = peer_connect(m);

    expect_eq(send(fd, probe->data, probe->len, MSG_NOSIGNAL),
              (ssize_t)probe->len);
    if (probe->ends) {
        expect_eq(shutdown(fd, SHUT_WR), 0);
    }
    return fd;
}

static void expect_turned_away(int fd)
{
    uint8_t buf[256];
    ssize_t len;

    while ((len = peer_read(fd, buf, sizeof(buf))) > 0) {
    }
    expect(len == 0 || len == -ECONNRESET);
    close(fd);
}

MAKER(tls_end_server, complaint_41__each_failed_handshake_is_reported, m)
{
    serve(m, 0);
    for (int i = 0; i < PROBE_COUNT; i++) {
        seen.wanted = (uint64_t)i + 1;
        const int fd = send_probe(m, &probes[i]);

        RUN_UNTIL(m->loop, (uint64_t)m->reports >= seen.wanted);
        wait_clients(m, 0);

        expect_eq(m->report_err, probes[i].err, "%s: %s", probes[i].name,
                  weir_err_name(m->report_err));
        expect_eq(seen.peer_port, own_port(fd), "%s", probes[i].name);
        expect_gt(strlen(seen.text), 0);
        expect_turned_away(fd);
    }
    expect_eq(m->reports, PROBE_COUNT);
    expect_str_eq(m->log, "D");
    expect_served(m);
}

MAKER(tls_end_server, a_stalled_handshake_is_ended_and_reported, m)
{
    serve(m, 20 * MS);
    const int fd = peer_connect(m);
    expect_eq(send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);

    seen.wanted = 1;
    RUN_UNTIL(m->loop, (uint64_t)m->reports >= seen.wanted);
    wait_clients(m, 0);

    expect_eq(m->report_err, WEIR_ETLSTIMEOUT);
    expect_eq(seen.peer_port, own_port(fd));
    expect_turned_away(fd);
}

static void send_probes(struct maker *m, int count, int batch)
{
    int fds[20];

    expect_leq(batch, (int)(sizeof(fds) / sizeof(fds[0])));
    for (int sent = 0; sent < count; sent += batch) {
        for (int i = 0; i < batch; i++) {
            fds[i] = send_probe(m, &probes[(sent + i) % PROBE_COUNT]);
        }
        seen.wanted = (uint64_t)m->reports + (uint64_t)batch;
        RUN_UNTIL(m->loop, (uint64_t)m->reports >= seen.wanted);
        wait_clients(m, 0);
        for (int i = 0; i < batch; i++) {
            close(fds[i]);
        }
    }
}

MAKER(tls_end_server, a_thousand_bad_clients_leave_nothing_behind, m)
{
    serve(m, 0);
    send_probes(m, 200, 20);
    maker_run_for(m, 5 * MS);
    const struct weir_loop_statistics before = statistics_of(m->loop);

    send_probes(m, 1000, 20);

    maker_run_for(m, 5 * MS);
    const struct weir_loop_statistics after = statistics_of(m->loop);
    /* More clients may have been alive at a time: 16 bytes per client is less
     * than any leak would be. */
    expect_leq(after.memory_bytes, before.memory_bytes + 1000 * 16);
    expect_eq(after.connections, 0);
    expect_eq(after.ops_in_flight, before.ops_in_flight);
    expect_eq(after.timers, before.timers);
    expect_eq(m->reports, 1200);
    expect_served(m);
}

MAKER(tls_end_server, bad_clients_do_not_disturb_one_that_is_served, m)
{
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context =
            getenv("WEIR_TLS_CERTIFICATES") ? tls_context_of(false, 0) : NULL,
        .server_hostname = "localhost"};
    struct weir_connect_options options = {.size = sizeof(options)};
    serve(m, 0);
    options.tls = &settings;
    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                     server_port(m->server), &options,
                                     maker_connect_done, m, NULL));
    weir_tls_context_unref(settings.context);
    maker_run(m, maker_is_done);
    wait_clients(m, 1);

    for (int i = 0; i < 5; i++) {
        const int fd = send_probe(m, &probes[i]);
        seen.wanted = (uint64_t)m->reports + 1;
        RUN_UNTIL(m->loop, (uint64_t)m->reports >= seen.wanted);
        wait_clients(m, 1);
        close(fd);
        expect_eq(weir_transport_write(m->done_t, "data", 4), 0);
    }

    expect_eq(m->lost, 0);
    expect_eq(weir_transport_close(m->done_t), 0);
    maker_run(m, maker_is_empty);
    expect_eq(m->received, 20);
}

MAKER(tls_end_server, r42__a_name_in_its_own_settings_means_nothing, m)
{
    serve_as(m, "somewhere.else.example", 0);

    expect_served(m);
}

MAKER(tls_end_server, r42__a_client_on_a_socket_has_to_name_its_server, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    int fds[2];
    serve(m, 0);
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = tls_context_of(false, 0)};
    options.tls = &settings;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);

    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL),
              -EINVAL);

    expect(wait_closed(fds[0]));
    close(fds[1]);
    weir_tls_context_unref(settings.context);
}

enum { CLIENT_COUNT = 3 };

static void let_in(struct maker *m, int ret[CLIENT_COUNT])
{
    serve(m, 0);
    for (int i = 0; i < CLIENT_COUNT; i++) {
        ret[i] = peer_connect(m);
        expect_eq(send(ret[i], "\x16\x03\x01\x01", (size_t)i, MSG_NOSIGNAL), i);
    }
    wait_clients(m, CLIENT_COUNT);
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m), 0);
    weir_server_close(m->server);
    maker_run_for(m, 5 * MS);
    expect_eq(m->closed, 0);
    expect_eq(weir_server_get_connection_count(m->server), CLIENT_COUNT);
}

static void expect_ended(struct maker *m, const int fds[CLIENT_COUNT])
{
    RUN_UNTIL(m->loop, m->closed > 0);

    expect_eq(weir_server_get_connection_count(m->server), 0);
    expect_eq(m->reports, 0);
    expect_str_eq(m->log, "DC");
    for (int i = 0; i < CLIENT_COUNT; i++) {
        expect_turned_away(fds[i]);
    }
}

MAKER(tls_end_server, r35__clients_may_be_closed_in_their_handshake, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    weir_server_close_clients(m->server);

    expect_ended(m, fds);
}

MAKER(tls_end_server, r35__clients_may_be_aborted_in_their_handshake, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    weir_server_abort_clients(m->server);

    expect_ended(m, fds);
}

MAKER(tls_end_server, r35__a_stop_ends_clients_in_their_handshake, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    expect_eq(weir_server_stop(m->server, 30 * MS, NULL, NULL), 0);

    expect_ended(m, fds);
}

MAKER(tls_end_server, r35__a_loop_may_be_freed_with_clients_in_their_handshake,
      m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    expect_eq(weir_loop_free(m->loop), CLIENT_COUNT);

    expect_eq(m->reports, 0);
    for (int i = 0; i < CLIENT_COUNT; i++) {
        expect_turned_away(fds[i]);
    }
    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(weir_loop_new(NULL, &m->loop), 0);
}

/*
 * Scenarios of connections: an echo of some hundred kilobytes over TCP, a Unix
 * path, a host name, TLS and a relay, and an exchange of datagrams. Both ends
 * are on the scenario's loop.
 */
#include "tests/refuse/scenario.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <tests/have.h>
#include <weir/datagram_stream.h>
#include <weir/relay.h>
#include <weir/stream.h>
#include <weir/task.h>
#if WR_TESTS_TLS
#include <weir/tls.h>
#include <weir/tls_connection.h>
#endif

enum { BYTES = 300000 };

static int serve_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf bytes;
    ssize_t len;

    (void)arg;
    while ((len = weir_reader_take(reader, 65536, &bytes)) > 0) {
        int err = weir_writer_write_buf(writer, &bytes);
        weir_buf_unref(bytes.lease);
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

struct echo {
    weir_writer *writer;
    const char *data;
};

static int send_all(weir_loop *loop, void *arg)
{
    const struct echo *echo = arg;

    (void)loop;
    for (size_t at = 0; at < BYTES; at += BYTES / 10) {
        TRY(weir_writer_write(echo->writer, echo->data + at, BYTES / 10));
        TRY(weir_writer_drain(echo->writer));
    }
    return 0;
}

static int compare_all(weir_reader *reader, const char *data)
{
    static char got[BYTES];

    TRY(weir_reader_readexactly(reader, got, BYTES));
    RIGHT(memcmp(got, data, BYTES) == 0);
    return 0;
}

static int exchange(weir_loop *loop, weir_reader *reader, weir_writer *writer)
{
    static char data[BYTES];
    struct echo echo = {writer, data};
    struct weir_task_group group;

    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (char)(i * 7 + (i >> 8));
    }
    TRY(weir_task_group_begin(loop, &group));
    int err = weir_task_group_spawn(&group, send_all, &echo, NULL, NULL);
    err = err < 0 ? err : compare_all(reader, data);
    err = weir_task_group_end(&group, err);
    if (err != 0) {
        weir_writer_abort(writer);
        return err;
    }
    weir_writer_close(writer);
    TRY(weir_writer_wait_closed(writer));
    return 0;
}

static int echo_at(weir_loop *loop, const char *host, uint16_t port,
                   const struct weir_open_options *options)
{
    weir_reader *reader;
    weir_writer *writer;

    TRY(weir_open_connection(loop, host, port, options, &reader, &writer));
    const int err = exchange(loop, reader, writer);
    weir_writer_unref(writer);
    return err;
}

static uint16_t port_of(const weir_server *server)
{
    struct weir_address address;
    struct sockaddr_in in;

    if (weir_server_get_socket(server, 0, &address) < 0) {
        return 0;
    }
    memcpy(&in, &address.storage, sizeof(in)); /* same offset in IPv6 */
    return ntohs(in.sin_port);
}

static int end_server(weir_server *server, int err)
{
    weir_server_close(server);
    if (err == 0) {
        err = weir_server_wait_closed(server);
    }
    weir_server_free(server);
    return err;
}

int scenario_tcp(weir_loop *loop, void *arg)
{
    weir_server *server;

    (void)arg;
    TRY(weir_start_server(loop, serve_echo, "127.0.0.1", 0, NULL, &server));
    return end_server(server,
                      echo_at(loop, "127.0.0.1", port_of(server), NULL));
}

int scenario_names(weir_loop *loop, void *arg)
{
    weir_server *server;

    (void)arg;
    TRY(weir_start_server(loop, serve_echo, "localhost", 0, NULL, &server));
    return end_server(server,
                      echo_at(loop, "localhost", port_of(server), NULL));
}

int scenario_unix(weir_loop *loop, void *arg)
{
    char text[SCENARIO_PATH];
    const char *path = scenario_path("socket", text);
    weir_server *server;
    weir_reader *reader;
    weir_writer *writer;

    (void)arg;
    TRY(weir_start_unix_server(loop, serve_echo, path, NULL, &server));
    int err = weir_open_unix_connection(loop, path, NULL, &reader, &writer);
    scenario_where = "weir_open_unix_connection";
    if (err == 0) {
        err = exchange(loop, reader, writer);
        weir_writer_unref(writer);
    }
    return end_server(server, err);
}

#if WR_TESTS_PROXY
static int serve_relay(void *arg, weir_reader *reader, weir_writer *writer)
{
    const uint16_t *port = arg;
    struct weir_relay_record record = {.size = sizeof(record)};
    weir_reader *other_reader;
    weir_writer *other;

    (void)reader;
    TRY(weir_open_connection(weir_writer_get_loop(writer), "127.0.0.1", *port,
                             NULL, &other_reader, &other));
    const int err = weir_writer_relay(writer, other, NULL, &record);
    weir_writer_unref(other);
    return err;
}

int scenario_relay(weir_loop *loop, void *arg)
{
    weir_server *server;
    weir_server *between;
    static uint16_t port;
    const struct weir_start_server_options options = {.size = sizeof(options),
                                                      .arg = &port};

    (void)arg;
    TRY(weir_start_server(loop, serve_echo, "127.0.0.1", 0, NULL, &server));
    port = port_of(server);
    int err = weir_start_server(loop, serve_relay, "127.0.0.1", 0, &options,
                                &between);
    scenario_where = "weir_start_server";
    if (err == 0) {
        err = echo_at(loop, "127.0.0.1", port_of(between), NULL);
        err = end_server(between, err);
    }
    return end_server(server, err);
}
#endif

static int exchange_datagrams(weir_datagram_stream *a, weir_datagram_stream *b)
{
    struct weir_address at;
    struct weir_address from;
    char got[64];
    struct weir_extra_info name = {.size = sizeof(name)};

    TRY(weir_transport_get_extra_info(weir_datagram_stream_get_transport(b),
                                      "sockname", &name));
    at = name.address;
    for (int i = 0; i < 40; i++) {
        TRY(weir_datagram_stream_send(a, "hello", 5, &at));
        TRY(weir_datagram_stream_drain(a));
        ssize_t len = weir_datagram_stream_recv(b, got, sizeof(got), &from);
        TRY(len);
        RIGHT(len == 5);
        TRY(weir_datagram_stream_send(b, got, 5, &from));
        len = weir_datagram_stream_recv(a, got, sizeof(got), &from);
        TRY(len);
        RIGHT(len == 5);
        RIGHT(memcmp(got, "hello", 5) == 0);
    }
    weir_datagram_stream_close(a);
    TRY(weir_datagram_stream_wait_closed(a));
    return 0;
}

int scenario_datagrams(weir_loop *loop, void *arg)
{
    const struct weir_datagram_stream_options options = {
        .size = sizeof(options),
        .endpoint = {.size = sizeof(options.endpoint),
                     .local_host = "127.0.0.1"}};
    weir_datagram_stream *a;
    weir_datagram_stream *b;

    (void)arg;
    TRY(weir_open_datagram_stream(loop, &options, &a));
    int err = weir_open_datagram_stream(loop, &options, &b);
    scenario_where = "weir_open_datagram_stream";
    if (err == 0) {
        err = exchange_datagrams(a, b);
        weir_datagram_stream_free(b);
    }
    weir_datagram_stream_free(a);
    return err;
}

#if WR_TESTS_TLS
static int make_context(bool serves, weir_tls_context **ret)
{
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    struct weir_tls_options options = {.size = sizeof(options),
                                       .server = serves};
    char paths[3][SCENARIO_PATH];

    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"ecdsa.pem", "ecdsa.key", "ca.pem"};
        const char *before = scenario_folder;
        scenario_folder = folder;
        scenario_path(names[i], paths[i]);
        scenario_folder = before;
    }
    if (serves) {
        options.certificate.file = paths[0];
        options.key.file = paths[1];
    } else {
        options.authorities.file = paths[2];
    }
    return weir_tls_context_new(&options, ret, NULL, 0);
}

static int echo_tls(weir_loop *loop, weir_tls_context *server_context,
                    weir_tls_context *client_context)
{
    const struct weir_tls_settings serves = {.size = sizeof(serves),
                                             .context = server_context};
    const struct weir_tls_settings connects = {.size = sizeof(connects),
                                               .context = client_context,
                                               .server_hostname = "localhost"};
    struct weir_start_server_options server_options = {
        .size = sizeof(server_options)};
    struct weir_open_options options = {.size = sizeof(options)};
    weir_server *server;

    server_options.server.tls = &serves;
    options.connect.tls = &connects;
    TRY(weir_start_server(loop, serve_echo, "127.0.0.1", 0, &server_options,
                          &server));
    return end_server(server,
                      echo_at(loop, "127.0.0.1", port_of(server), &options));
}

int scenario_tls(weir_loop *loop, void *arg)
{
    weir_tls_context *server;
    weir_tls_context *client;

    (void)arg;
    TRY(make_context(true, &server));
    int err = make_context(false, &client);
    scenario_where = "make_context(false)";
    if (err == 0) {
        err = echo_tls(loop, server, client);
        weir_tls_context_unref(client);
    }
    weir_tls_context_unref(server);
    return err;
}
#endif

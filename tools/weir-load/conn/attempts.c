/*
 * Calls the library's connect functions and reports their results. The library
 * writes error texts into an attempt, so an attempt stays in use until the
 * library's callback is called.
 */
#include "conn.h"

#include "tools/common/tried.h"

#include "weir/connect.h"
#include "weir/datagram.h"
#include "weir/server.h"
#include "weir/tls_connection.h"
#include "weir/transport.h"

#include <stdio.h>
#include <string.h>

enum { WAY_HTTP1, WAY_HTTP2 };

static void change_way(struct conn *conn, const struct traffic_way *to)
{
    const struct traffic_way *from = conn->way;
    const struct target *target =
        options_target(conn->traffic->options, conn->index);
    const bool repeats = conn->repeats;

    if (repeats && from->kind->hand_over) {
        from->kind->hand_over(conn);
    }
    conn->way = to;
    conn->codec_state =
        (uint8_t *)conn->codec_state - from->state_offset + to->state_offset;
    conn->depth = conn->traffic->depth;
    /* the new protocol prepares for a new connection, without repeats */
    conn->repeats = false;
    to->kind->prepare(conn, target);
    conn->repeats = repeats;
    if (repeats && to->kind->take_over) {
        to->kind->take_over(conn);
    }
}

/* Sets the protocol of a connection after its handshake. With --http auto each
 * connection may agree on another one. HTTP/1.1 is used if the server chose
 * none. */
static void choose_way(struct conn *conn, const weir_transport *t)
{
    struct traffic *traffic = conn->traffic;
    struct weir_extra_info info = {.size = sizeof(info)};
    const bool is_v2 = weir_transport_get_extra_info(t, "alpn", &info) >= 0 &&
                       info.len == 2 && memcmp(info.text, "h2", 2) == 0;
    const struct traffic_way *to =
        &traffic->ways[is_v2 ? WAY_HTTP2 : WAY_HTTP1];

    traffic->connections.http2 += is_v2;
    traffic->connections.http1 += !is_v2;
    if (conn->way != to) {
        change_way(conn, to);
    }
}

static void put_back(struct attempt *attempt)
{
    struct attempts *attempts = attempt->attempts;

    attempt->next_free = attempts->first_free;
    attempts->first_free = attempt;
}

static void made(void *arg, int err, weir_transport *t)
{
    struct attempt *attempt = arg;
    struct conn *conn = attempt->conn;
    char text[ERRORS_DETAIL_SIZE];

    text[0] = '\0';
    if (err < 0 && attempt->text[0] != '\0') {
        snprintf(text, sizeof(text), "%s", attempt->text);
    } else if (err < 0) {
        tried_write(attempt->pending, text, sizeof(text));
    }
    put_back(attempt); /* first, because tried() may start another attempt */
    conn->traffic->events->tried(conn->traffic->events_arg, conn, err, text);
}

static int create_protocol(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    struct conn *conn = arg;

    if (conn->traffic->ways[1].kind) {
        choose_way(conn, t);
    }
    *ret = (struct weir_protocol_binding){conn->way->kind->protocol, conn};
    return 0;
}

/* Returns a larger limit of the send queue if the requests in flight may come
 * near the default, else 0. */
static uint64_t hard_limit_bytes(const struct run_options *options)
{
    uint64_t in_flight_bytes =
        options->depth * (options->send.most + WEIR_DATAGRAM_COST);

    return in_flight_bytes < (32U << 20) ? 0 : 2 * in_flight_bytes;
}

static const struct weir_address *
choose_local(const struct run_options *options, const struct conn *conn)
{
    if (options->local_count == 0) {
        return NULL;
    }
    return &options->locals[conn->index / options->target_count %
                            options->local_count];
}

static int start_endpoint(struct attempt *attempt, const struct target *target)
{
    struct conn *conn = attempt->conn;
    const struct run_options *options = conn->traffic->options;
    const struct target *place = options_place(options, target);
    const bool has_name = place->address_count > 0; /* resolved by names.c */
    struct weir_factory factory = {create_protocol, conn};
    struct weir_datagram_options endpoint = {.size = sizeof(endpoint),
                                             .write_hard_limit_bytes =
                                                 hard_limit_bytes(options)};

    const struct weir_address *local = choose_local(options, conn);
    const struct weir_address *peer =
        has_name ? &place->addresses[conn->address_index] : &place->address;

    return weir_create_datagram_endpoint_at(
        conn->traffic->loop, &factory,
        local ? weir_endpoint_addresses(local, 1) : weir_endpoint_none(),
        weir_endpoint_addresses(peer, 1), &endpoint, made, attempt,
        &attempt->pending);
}

/* Returns the session to resume, or NULL. --resume sets the share of resumed
 * handshakes. */
static weir_tls_session *choose_session(struct attempts *attempts,
                                        const struct conn *conn)
{
    if (!conn->session) {
        return NULL;
    }
    attempts->resume_due += conn->traffic->options->tls.resume_share;
    if (attempts->resume_due < TLS_RESUME_ALL) {
        return NULL;
    }
    attempts->resume_due -= TLS_RESUME_ALL;
    return conn->session;
}

static int start_stream(struct attempt *attempt, const struct target *target)
{
    struct attempts *attempts = attempt->attempts;
    struct conn *conn = attempt->conn;
    const struct run_options *options = conn->traffic->options;
    const char *host = target->host[0] ? target->host : NULL;
    const struct target *place = options_place(options, target);
    const bool has_name = place->address_count > 0; /* resolved by names.c */
    struct weir_factory factory = {create_protocol, conn};
    const struct weir_tls_settings tls = {
        .size = sizeof(tls),
        .context = attempts->tls,
        .server_hostname = options->tls.sni ? options->tls.sni : host,
        .no_hostname_check = options->tls.options.no_verify,
        .handshake_timeout_ns = options->connect_timeout_ns,
        .session = choose_session(attempts, conn)};
    struct weir_connect_options connect = {
        .size = sizeof(connect),
        /* with TLS, the connect and the handshake each have a limit */
        .timeout_ns = target->is_tls ? 0 : options->connect_timeout_ns,
        .attempt_timeout_ns = options->connect_timeout_ns,
        .local_address = choose_local(options, conn),
        .error_text = attempt->text,
        .error_text_size = sizeof(attempt->text),
        .tls = target->is_tls ? &tls : NULL,
        .fast_open = options->sockets.fast_open,
        .connection = {.size = sizeof(connect.connection),
                       .no_nodelay = options->sockets.has_nagle,
                       .keep_alive = options->sockets.keeps_alive}};

    connect.connection.write_hard_limit_bytes = hard_limit_bytes(options);
    return weir_create_connection_at(
        conn->traffic->loop, &factory,
        weir_endpoint_addresses(has_name ? place->addresses : &place->address,
                                has_name ? place->address_count : 1),
        &connect, made, attempt, &attempt->pending);
}

void attempts_init(struct attempts *attempts, weir_tls_context *tls)
{
    *attempts = (struct attempts){.tls = tls};
    for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
        attempts->all[i].attempts = attempts;
        put_back(&attempts->all[i]);
    }
}

int attempts_start(struct attempts *attempts, struct conn *conn,
                   const struct target *target)
{
    struct attempt *attempt = attempts->first_free;

    attempts->first_free = attempt->next_free;
    attempt->conn = conn;
    attempt->text[0] = '\0';
    int err = target->is_datagram ? start_endpoint(attempt, target)
                                  : start_stream(attempt, target);
    if (err < 0) {
        put_back(attempt);
    }
    return err;
}

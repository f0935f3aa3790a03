/*
 * This file is the proxy: all others read options, write logs or listen. A
 * session is the user pointer of its client's protocol until the relay takes
 * the connection over. It is freed where the last thing that it waits for has
 * ended: the client's loss, the connect or the relay.
 */
#include "session.h"

#include "contexts.h"
#include "preface.h"

#include "weir/error.h"
#include "weir/proxy_protocol.h"
#include "weir/relay.h"
#include "weir/start_tls.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct session {
    struct door *door;
    struct route *route;      /* NULL: not chosen yet */
    weir_transport *client;   /* one reference */
    weir_transport *target;   /* while it is relayed */
    weir_pending *pending;    /* the connect or the relay */
    weir_upstream_slot *slot; /* while there is a target */
    struct preface *preface;  /* NULL: none was read */
    struct weir_handle timer; /* of the preface */
    bool is_client_lost;
    enum end_reason reason : 8; /* of an end before the relay's */
    uint16_t try_count;
    uint64_t time_ns;  /* of the clock, when it was accepted */
    uint64_t start_ns; /* of the loop */
    uint64_t queue_ns;
    uint64_t connect_ns;
};

static weir_loop *loop_of(const struct session *session)
{
    return session->door->service->worker->loop;
}

/* ---- the end ---- */

/* Counts and logs the session, and frees it. */
static void finish(struct session *session, struct record *record)
{
    struct service *service = session->door->service;
    struct weir_extra_info info = {.size = sizeof(info)};
    weir_transport *client = session->client;
    const struct weir_address *named = preface_client(session->preface);

    weir_transport_get_peername(client, &record->client);
    if (named) {
        record->client = *named;
    }
    record->server_name = preface_server_name(session->preface);
    if (weir_transport_get_extra_info(client, "tls_version", &info) == 0) {
        record->tls_version = info.text;
        if (weir_transport_get_extra_info(client, "tls_handshake", &info) ==
            0) {
            record->tls_ns = info.time_ns;
        }
    }
    if (!record->server_name &&
        weir_transport_get_extra_info(client, "server_name", &info) == 0) {
        record->server_name = info.text;
    }
    record->time_ns = session->time_ns;
    record->service = service->config->name;
    record->queue_ns = session->queue_ns;
    record->connect_ns = session->connect_ns;
    record->total_ns = weir_loop_get_time(loop_of(session)) - session->start_ns;
    record->tries = session->try_count;
    service->worker->session_count--;
    counts_end(&service->counts, record);
    log_add(&service->worker->log, record);
    preface_free(session->preface);
    weir_transport_unref(client);
    free(session);
}

static void finish_unrelayed(struct session *session)
{
    struct record record = {.reason = session->reason};

    finish(session, &record);
}

/* Ends a session that is not relayed. The client is reset, so that it does not
 * take the end for an answer; its loss follows. */
static void refuse(struct session *session, enum end_reason reason)
{
    session->reason = reason;
    weir_transport_abort(session->client);
}

/* ---- relayed ---- */

static enum end_reason reason_of(const struct weir_relay_record *end,
                                 bool is_draining)
{
    const bool by_client = end->ended_by == WEIR_RELAY_A;

    switch (end->cause) {
    case WEIR_RELAY_EOF:
        return END_DONE;
    case WEIR_RELAY_TIMEOUT:
        return by_client ? END_CLIENT_STALL : END_TARGET_STALL;
    case WEIR_RELAY_IDLE:
        return END_IDLE;
    case WEIR_RELAY_HALF_CLOSED:
        return END_HALF_CLOSED;
    case WEIR_RELAY_LIFETIME:
        return END_LIFETIME;
    case WEIR_RELAY_CANCELED:
        return is_draining ? END_DRAIN : END_INTERNAL;
    case WEIR_RELAY_RESET:
    case WEIR_RELAY_ERROR:
    default:
        if (end->err == WEIR_ETLSTRUNCATED) {
            return by_client ? END_CLIENT_CUT : END_TARGET_CUT;
        }
        return by_client ? END_CLIENT_RESET : END_TARGET_RESET;
    }
}

/* An end in order speaks for the target, whoever ended first. An error speaks
 * against it before its first byte: many servers that have answered reset
 * clients which leave, or send them no close_notify. */
static int verdict_on_target(int err, const struct weir_relay_record *end)
{
    const bool is_answered =
        end->b_bytes > 0 && end->cause != WEIR_RELAY_TIMEOUT;

    return err == 0 || (end->ended_by == WEIR_RELAY_B && !is_answered)
               ? err
               : -ECANCELED;
}

static void relayed(void *arg, int err, const struct weir_relay_record *end)
{
    struct session *session = arg;
    struct record record = {
        .reason = reason_of(end, session->door->service->worker->is_draining),
        .in_bytes = end->a_bytes,
        .out_bytes = end->b_bytes,
    };

    if (end->b_first_ns > 0) {
        record.first_byte_ns = end->b_first_ns - session->start_ns;
    }
    weir_transport_get_peername(session->target, &record.target);
    weir_upstream_slot_end(session->slot, verdict_on_target(err, end));
    finish(session, &record);
}

static int begin_relay(struct session *session)
{
    const struct config_service *config = session->door->service->config;
    const struct weir_buf rest = preface_rest(session->preface);
    const struct weir_relay_options options = {
        .size = sizeof(options),
        .buffer_bytes = config->buffer_bytes,
        .idle_ns = config->idle_timeout_ns,
        .half_closed_ns = config->half_closed_timeout_ns,
        .lifetime_ns = config->lifetime_ns,
        .a_rate_bytes = config->rate_in_bytes,
        .b_rate_bytes = config->rate_out_bytes,
        .a_initial = &rest,
        .a_initial_count = rest.len > 0,
    };
    const int err = weir_relay(session->client, session->target, &options,
                               relayed, session, &session->pending);

    preface_drop_rest(session->preface);
    return err;
}

/* Tells the target who the client is. */
static int send_header(const struct session *session)
{
    const enum config_header version = session->route->config->send_header;
    const struct weir_address *client = preface_client(session->preface);
    struct weir_proxy_header header = {
        .size = sizeof(header),
        .version = version == HEADER_V1 ? WEIR_PROXY_V1 : WEIR_PROXY_V2,
    };
    char text[512];

    if (version == HEADER_NONE) {
        return 0;
    }
    if (client) {
        header.source = *client;
        header.destination = *preface_destination(session->preface);
    } else {
        weir_transport_get_peername(session->client, &header.source);
        weir_transport_get_sockname(session->client, &header.destination);
    }
    const int len = weir_proxy_header_write(&header, text, sizeof(text));
    return len < 0 ? len
                   : weir_transport_write(session->target, text, (size_t)len);
}

/* ---- connecting ---- */

static const struct weir_protocol target_protocol = {
    .size = sizeof(target_protocol), .kind = WEIR_PROTOCOL_STREAM};

static int create_target(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&target_protocol, arg};
    return 0;
}

static enum end_reason reason_of_connect(int err, uint32_t try_count)
{
    switch (err) {
    case -EHOSTDOWN:
        return try_count > 0 ? END_CONNECT : END_NO_TARGET;
    case -ENOBUFS:
        return END_QUEUE_FULL;
    case -ETIMEDOUT:
        return try_count > 0 ? END_CONNECT : END_QUEUE_TIMEOUT;
    default:
        return END_CONNECT;
    }
}

static void connected(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    struct session *session = arg;

    session->pending = NULL;
    session->try_count = (uint16_t)result->try_count;
    session->queue_ns = result->queue_ns;
    session->connect_ns = result->connect_ns;
    session->target = result->transport;
    session->slot = result->slot;
    if (err == 0 && !session->is_client_lost) {
        err = send_header(session);
        if (err == 0) {
            err = begin_relay(session);
        }
        if (err == 0) {
            return;
        }
        session->reason = END_INTERNAL;
    } else if (err < 0 && !session->is_client_lost) {
        session->reason = reason_of_connect(err, result->try_count);
    }
    if (session->slot) {
        weir_transport_abort(session->target);
        weir_upstream_slot_end(session->slot, -ECANCELED);
    }
    if (session->is_client_lost) {
        finish_unrelayed(session);
    } else {
        weir_transport_abort(session->client);
    }
}

/* The bytes by which a client comes to the same target again. */
static size_t key_of(const struct session *session, const char *server_name,
                     struct weir_address *client, const void **ret)
{
    if (session->route->config->balance == BALANCE_SNI) {
        *ret = server_name;
        return server_name ? strlen(server_name) : 0;
    }
    const struct weir_address *named = preface_client(session->preface);
    weir_transport_get_peername(session->client, client);
    if (named) {
        *client = *named;
    }
    switch (client->storage.any.sa_family) {
    case AF_INET:
        *ret = &client->storage.inet.sin_addr;
        return sizeof(client->storage.inet.sin_addr);
    case AF_INET6:
        *ret = &client->storage.inet6.sin6_addr;
        return sizeof(client->storage.inet6.sin6_addr);
    default:
        return 0;
    }
}

static void connect_target(struct session *session, const char *server_name)
{
    static const struct weir_factory factory = {create_target, NULL};
    const struct config_route *route = session->route->config;
    struct weir_address client;
    struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .tries = (uint32_t)route->tries,
        .connect = {
            .size = sizeof(options.connect),
            .timeout_ns = route->connect_timeout_ns,
            .connection = {
                .size = sizeof(options.connect.connection),
                .timeouts = {
                    .size = sizeof(options.connect.connection.timeouts),
                    .write_stall_ns =
                        session->door->service->config->stall_timeout_ns,
                }}}};

    options.key_size = key_of(session, server_name, &client, &options.key);
    weir_transport_pause_reading(session->client); /* until it is relayed */
    if (weir_upstreams_connect(session->route->upstreams, &factory, &options,
                               connected, session, &session->pending) < 0) {
        refuse(session, END_INTERNAL);
    }
}

/* ---- routes and TLS ---- */

/* "*.NAME" is for all names below NAME. */
static bool is_for(const struct config_route *route, const char *server_name)
{
    const char *pattern = route->server_name;

    if (!pattern || !server_name) {
        return !pattern;
    }
    if (strncmp(pattern, "*.", 2) != 0) {
        return strcasecmp(pattern, server_name) == 0;
    }
    const size_t len = strlen(server_name);
    const size_t tail = strlen(pattern) - 1;
    return len > tail && strcasecmp(server_name + len - tail, pattern + 1) == 0;
}

/* The most exact route for a name; NULL: none. */
static struct route *find_route(const struct service *service,
                                const char *server_name)
{
    struct route *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < service->config->route_count; i++) {
        struct route *route = &service->routes[i];
        const char *pattern = route->config->server_name;
        const size_t len =
            !pattern ? 1 : strlen(pattern) + (pattern[0] == '*' ? 1 : 1000);
        if (is_for(route->config, server_name) && len > best_len) {
            best = route;
            best_len = len;
        }
    }
    return best;
}

/* Of a client whose handshake is done. */
static void count_handshake(const struct session *session)
{
    struct counts *counts = &session->door->service->counts;
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(session->client, "tls_resumed", &info) ==
        0) {
        counts->resumed_handshakes += info.number == 1;
        counts->full_handshakes += info.number != 1;
    }
}

static void secured(void *arg, int err, weir_transport *t)
{
    struct session *session = arg;

    (void)t;
    if (err == 0) {
        count_handshake(session);
        connect_target(session, preface_server_name(session->preface));
    } else {
        session->door->service->counts.failed_handshakes++;
        session->reason = END_HANDSHAKE; /* its loss follows */
    }
}

/* Opens the TLS of a client whose hello was read. */
static void open_tls(struct session *session)
{
    const struct service *service = session->door->service;
    const struct contexts *contexts =
        weir_thread_get_config(service->worker->thread);
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = contexts_of_service(contexts, service->index),
        .handshake_timeout_ns = service->config->handshake_timeout_ns,
    };
    const struct weir_buf rest = preface_rest(session->preface);
    const struct weir_start_tls_options options = {
        .size = sizeof(options), .initial = &rest, .initial_count = 1};
    weir_transport *upgraded;

    if (weir_transport_start_tls(session->client, &settings, &options, secured,
                                 session, &upgraded) < 0) {
        refuse(session, END_INTERNAL);
        return;
    }
    weir_transport_unref(session->client);
    session->client = weir_transport_ref(upgraded);
    weir_transport_set_busy(upgraded, true);
    preface_drop_rest(session->preface);
}

/* @server_name is NULL if the client has no TLS, or named no server. */
static void choose_route(struct session *session, const char *server_name)
{
    const struct door *door = session->door;

    session->route = find_route(door->service, server_name);
    if (!session->route) {
        refuse(session, END_NO_ROUTE);
    } else if (session->preface && door->at->is_tls &&
               !session->route->config->passes_tls) {
        open_tls(session);
    } else {
        connect_target(session, server_name);
    }
}

/* ---- the preface ---- */

static void preface_late(void *arg)
{
    struct session *session = arg;
    const struct service *service = session->door->service;

    refuse(session,
           service->reads_header && !preface_has_header(session->preface)
               ? END_HEADER
               : END_HELLO);
}

static void preface_read(struct session *session)
{
    const struct service *service = session->door->service;
    int err = 0;

    if (service->reads_header) {
        err = preface_read_header(session->preface, service->header_versions);
        if (err < 0 && err != -EAGAIN) {
            refuse(session, END_HEADER);
        }
    }
    if (err == 0 && session->door->at->is_tls) {
        err = preface_read_hello(session->preface);
        if (err < 0 && err != -EAGAIN) {
            refuse(session, END_HELLO);
        }
    }
    if (err == -EAGAIN && preface_is_too_long(session->preface)) {
        refuse(session, session->door->at->is_tls ? END_HELLO : END_HEADER);
    }
    if (err == 0) {
        weir_loop_cancel(loop_of(session), session->timer);
        choose_route(session, preface_server_name(session->preface));
    }
}

static bool is_trusted(const struct session *session)
{
    const struct service *service = session->door->service;
    struct weir_address peer;

    weir_transport_get_peername(session->client, &peer);
    return weir_network_list_contains(service->trusted, service->trusted_count,
                                      &peer);
}

static void begin_preface(struct session *session)
{
    const struct service *service = session->door->service;

    if (service->reads_header && !is_trusted(session)) {
        refuse(session, END_UNTRUSTED);
        return;
    }
    session->preface = preface_new();
    if (!session->preface ||
        weir_loop_call_later(loop_of(session),
                             service->config->hello_timeout_ns, preface_late,
                             session, &session->timer) < 0) {
        refuse(session, END_INTERNAL);
    }
}

/* ---- the client's protocol ---- */

static bool is_too_many(const struct worker *worker)
{
    return worker->session_limit > 0 &&
           worker->session_count > worker->session_limit;
}

static void client_made(void *user, weir_transport *t)
{
    struct session *session = user;
    struct service *service = session->door->service;
    struct weir_extra_info info = {.size = sizeof(info)};

    session->client = weir_transport_ref(t);
    weir_transport_set_busy(t, true); /* for a graceful stop */
    if (is_too_many(service->worker)) {
        refuse(session, END_LIMIT);
        return;
    }
    if (service->reads_header ||
        (service->reads_hello && session->door->at->is_tls)) {
        begin_preface(session);
        return;
    }
    count_handshake(session);
    const bool is_named =
        weir_transport_get_extra_info(t, "server_name", &info) == 0;
    choose_route(session, is_named ? info.text : NULL);
}

static int client_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct session *session = user;

    (void)t;
    if (preface_feed(session->preface, buf->data, buf->len) < 0) {
        refuse(session, END_INTERNAL);
    } else {
        preface_read(session);
    }
    return 0;
}

/* The relay passes the end on. A client that ends in its preface is gone. */
static int client_eof(void *user, weir_transport *t)
{
    const struct session *session = user;

    (void)t;
    return session->route != NULL;
}

static void client_lost(void *user, weir_transport *t, int err)
{
    struct session *session = user;

    (void)err;
    weir_loop_cancel(loop_of(session), session->timer);
    session->is_client_lost = true;
    if (session->reason == END_CLIENT_GONE &&
        session->door->service->worker->is_draining &&
        weir_transport_get_end(t) == WEIR_END_ABORTED) {
        session->reason = END_DRAIN;
    }
    if (session->pending) {
        weir_pending_cancel(session->pending); /* connected() follows */
    } else {
        finish_unrelayed(session);
    }
}

static const struct weir_protocol client_protocol = {
    .size = sizeof(client_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = client_made,
    .connection_lost = client_lost,
    .data_received = client_data,
    .eof_received = client_eof,
};

int session_create(void *arg, weir_transport *t,
                   struct weir_protocol_binding *ret)
{
    struct door *door = arg;
    struct session *session = calloc(1, sizeof(*session));

    (void)t;
    if (!session) {
        return -ENOMEM;
    }
    session->door = door;
    session->reason = END_CLIENT_GONE;
    session->time_ns = record_now();
    session->start_ns = weir_loop_get_time(loop_of(session));
    door->service->counts.accepted++;
    door->service->counts.active++;
    door->service->worker->session_count++;
    *ret = (struct weir_protocol_binding){&client_protocol, session};
    return 0;
}

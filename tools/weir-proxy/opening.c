/*
 * A client waits for its place, then for its preface, then for its TLS.
 *
 * TLS is opened here where something is read before it; else the server has
 * opened it, and what it knows is asked of the transport.
 *
 * Server names are compared as DNS does it, without regard to case and to the
 * dot of the root at their end: of all routes that are for a name, the one
 * whose pattern says most of it wins. A name of any other bytes is just none of
 * those that patterns are for.
 */
#include "opening.h"

#include "tools/common/clock.h"

#include "clients.h"
#include "contexts.h"
#include "preface.h"
#include "session.h"

#include "weir/start_tls.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the route ---- */

/* The length of a name without the dot of the root. */
static size_t length_of(const char *name)
{
    const size_t len = strlen(name);

    return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

/* "*.NAME" is for all names below NAME. */
static bool is_for(const struct config_route *route, const char *server_name)
{
    const char *pattern = route->server_name;

    if (!pattern || !server_name) {
        return !pattern;
    }
    const bool is_below = strncmp(pattern, "*.", 2) == 0;
    const size_t len = length_of(server_name);
    const size_t tail = length_of(pattern) - is_below;
    return (is_below ? len > tail : len == tail) &&
           strncasecmp(server_name + len - tail, pattern + is_below, tail) == 0;
}

/* The most exact route for a name, which is NULL if the client named none;
 * NULL: there is no route. */
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

/* The bytes by which a client comes to the same target again. */
struct key {
    uint8_t bytes[256];
    size_t size; /* 0: none */
};

static struct key copy(const void *bytes, size_t size)
{
    struct key key = {.size = size};

    if (key.size > sizeof(key.bytes)) {
        key.size = sizeof(key.bytes);
    }
    memcpy(key.bytes, bytes, key.size);
    return key;
}

/* All spellings of a name are one key. */
static struct key copy_name(const char *server_name)
{
    struct key key = copy(server_name, length_of(server_name));

    for (size_t i = 0; i < key.size; i++) {
        if (key.bytes[i] >= 'A' && key.bytes[i] <= 'Z') {
            key.bytes[i] += 'a' - 'A';
        }
    }
    return key;
}

static struct key key_of(const struct session *session, const char *server_name)
{
    const enum config_balance balance = session->route->config->balance;
    struct weir_address client;

    if (balance == BALANCE_SNI && server_name) {
        return copy_name(server_name);
    }
    if (balance != BALANCE_SOURCE) {
        return (struct key){.size = 0};
    }
    preface_get_client(session->preface, session->client, &client);
    switch (client.storage.any.sa_family) {
    case AF_INET:
        return copy(&client.storage.inet.sin_addr,
                    sizeof(client.storage.inet.sin_addr));
    case AF_INET6:
        return copy(&client.storage.inet6.sin6_addr,
                    sizeof(client.storage.inet6.sin6_addr));
    default:
        return (struct key){.size = 0};
    }
}

/* @server_name is NULL if the client named none. */
static void go_on(struct session *session, const char *server_name)
{
    const struct key key = key_of(session, server_name);

    session_connect(session, key.bytes, key.size);
}

/* ---- TLS ---- */

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
        go_on(session, preface_server_name(session->preface));
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
        session_refuse(session, session_reason_of_refusal(session));
        return;
    }
    weir_transport_unref(session->client);
    session->client = weir_transport_ref(upgraded);
    weir_transport_set_busy(upgraded, true);
    session->preface = preface_drop_rest(session->preface);
}

/* @server_name is NULL if the client has no TLS, or named no server. */
static void choose_route(struct session *session, const char *server_name)
{
    const struct door *door = session->door;

    session->route = find_route(door->service, server_name);
    if (!session->route) {
        session_refuse(session, END_NO_ROUTE);
    } else if (session->preface && door->at->is_tls &&
               !session->route->config->passes_tls) {
        open_tls(session);
    } else {
        go_on(session, server_name);
    }
}

/* ---- the client ---- */

/* May the client come, by its address? If not it is refused. */
static bool admit(struct session *session)
{
    const struct service *service = session->door->service;
    struct clients_refusal refusal;
    struct weir_address client;

    if (!service->clients || session->is_admitted) {
        return true;
    }
    preface_get_client(session->preface, session->client, &client);
    session->is_admitted = clients_enter(
        service->clients, &client, weir_loop_get_time(session_loop(session)),
        &session->counted, &refusal);
    if (!session->is_admitted) {
        session->is_unlogged = !refusal.is_told;
        session->left_out = refusal.left_out;
        session_refuse(session, refusal.reason);
    }
    return session->is_admitted;
}

/* ---- the preface ---- */

/* A part of it is wrong, or has not come in time. */
static void refuse_preface(void *arg)
{
    struct session *session = arg;
    struct service *service = session->door->service;
    const bool lacks_header =
        service->reads_header && !preface_has_header(session->preface);

    service->counts.failed_handshakes += !lacks_header && service->clients;
    session_refuse(session, lacks_header ? END_HEADER : END_HELLO);
}

static void read_preface(struct session *session)
{
    const struct service *service = session->door->service;
    struct preface *preface = session->preface;
    int err = service->reads_header
                  ? preface_read_header(preface, service->header_versions)
                  : 0;

    if (err == 0 && !admit(session)) {
        return;
    }
    if (err == 0 && session->door->at->is_tls) {
        err = preface_read_hello(preface);
    }
    if (err == 0) {
        weir_loop_cancel(session_loop(session), session->timer);
        choose_route(session, preface_server_name(preface));
    } else if (err != -EAGAIN || preface_is_too_long(preface)) {
        refuse_preface(session);
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
        session_refuse(session, END_UNTRUSTED);
        return;
    }
    if (!session->preface) {
        session->preface = preface_new();
    }
    if (!session->preface ||
        weir_loop_call_later(session_loop(session),
                             service->config->hello_timeout_ns, refuse_preface,
                             session, &session->timer) < 0) {
        session_refuse(session, END_INTERNAL);
    } else if (preface_rest(session->preface).len > 0) {
        read_preface(session); /* they came while it waited for its place */
    }
}

/* ---- the place ---- */

static struct session *session_of(struct place *place)
{
    return (struct session *)(void *)((char *)place -
                                      offsetof(struct session, place));
}

void opening_take_in(struct place *place)
{
    struct session *session = session_of(place);
    const struct service *service = session->door->service;
    struct weir_extra_info info = {.size = sizeof(info)};

    if (service->reads_header ||
        (service->reads_hello && session->door->at->is_tls)) {
        weir_transport_resume_reading(session->client);
        begin_preface(session);
        return;
    }
    count_handshake(session);
    const bool is_named = weir_transport_get_extra_info(
                              session->client, "server_name", &info) == 0;
    choose_route(session, is_named ? info.text : NULL);
}

void opening_refuse_waiting(struct door *door)
{
    struct place *place;

    while ((place = places_turn_away(door)) != NULL) {
        session_refuse(session_of(place), END_DRAIN);
    }
}

/* ---- the client's protocol ---- */

static void client_made(void *user, weir_transport *t)
{
    struct session *session = user;

    session->client = weir_transport_ref(t);
    list_add(&session->door->service->worker->sessions, &session->link);
    weir_transport_set_busy(t, true); /* for a graceful stop */
    if (!session->door->service->reads_header && !admit(session)) {
        return;
    }
    if (!places_enter(&session->place, session->door)) {
        session_refuse(session, END_LIMIT);
    }
}

/* Keeps the first bytes where they were received, if they are for the target.
 * 0, or a negative error. */
static int keep(struct session *session, const struct weir_buf *buf)
{
    if (session->route && !session->preface && !session->kept.lease) {
        struct weir_buf kept = *buf;
        if (weir_buf_keep(&kept) == 0) {
            session->kept = kept;
            return 0;
        }
    }
    if (!session->preface) {
        session->preface = preface_new();
    }
    return session->preface
               ? preface_feed(session->preface, buf->data, buf->len)
               : -ENOMEM;
}

/* It waits for a place, or for its target; else for its preface. */
static bool is_waiting(const struct session *session)
{
    return session->route || session->place.state == PLACE_WAITING;
}

/* Bytes belong to the preface, or are kept until there is a target: a client
 * is read while it waits, as its reset would not be seen otherwise. */
static int client_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct session *session = user;
    const bool waits = is_waiting(session);

    if (keep(session, buf) < 0) {
        session_refuse(session, END_INTERNAL);
    } else if (!waits) {
        read_preface(session);
    } else if (session->kept.len + preface_rest(session->preface).len >=
               session->door->service->config->buffer_bytes) {
        weir_transport_pause_reading(t);
    }
    return 0;
}

/* The relay passes the end on. A client that ends in its preface is gone, and
 * one that waits if its route says so. */
static int client_eof(void *user, weir_transport *t)
{
    struct session *session = user;

    (void)t;
    if (session->route && session->route->config->ends_waiting) {
        session_refuse(session, END_CLIENT_GONE);
    }
    return is_waiting(session);
}

static void client_lost(void *user, weir_transport *t, int err)
{
    struct session *session = user;

    (void)err;
    weir_loop_cancel(session_loop(session), session->timer);
    if (session->reason == END_CLIENT_GONE &&
        session->door->service->worker->is_draining &&
        weir_transport_get_end(t) == WEIR_END_ABORTED) {
        session->reason = END_DRAIN;
    }
    session_lose_client(session);
}

static const struct weir_protocol client_protocol = {
    .size = sizeof(client_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = client_made,
    .connection_lost = client_lost,
    .data_received = client_data,
    .eof_received = client_eof,
};

int opening_create(void *arg, weir_transport *t,
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
    session->time_ns = clock_wall_coarse_ns();
    session->start_ns = weir_loop_get_time(session_loop(session));
    door->service->counts.accepted++;
    door->service->counts.active++;
    *ret = (struct weir_protocol_binding){&client_protocol, session};
    return 0;
}

/*
 * From a client's acceptance to its route: the limits, the first bytes, and the
 * client's TLS.
 *
 * TLS is opened here where something is read before it; else the server has
 * opened it, and what it knows is asked of the transport.
 */
#include "session.h"

#include "contexts.h"
#include "places.h"
#include "preface.h"
#include "route.h"

#include "weir/start_tls.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>

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
        session_connect(session, preface_server_name(session->preface));
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

    session->route = route_find(door->service, server_name);
    if (!session->route) {
        session_refuse(session, END_NO_ROUTE);
    } else if (session->preface && door->at->is_tls &&
               !session->route->config->passes_tls) {
        open_tls(session);
    } else {
        session_connect(session, server_name);
    }
}

/* ---- the preface ---- */

static void preface_late(void *arg)
{
    struct session *session = arg;
    const struct service *service = session->door->service;

    session_refuse(session, service->reads_header &&
                                    !preface_has_header(session->preface)
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
            session_refuse(session, END_HEADER);
        }
    }
    if (err == 0 && session->door->at->is_tls) {
        err = preface_read_hello(session->preface);
        if (err < 0 && err != -EAGAIN) {
            session_refuse(session, END_HELLO);
        }
    }
    if (err == -EAGAIN && preface_is_too_long(session->preface)) {
        session_refuse(session,
                       session->door->at->is_tls ? END_HELLO : END_HEADER);
    }
    if (err == 0) {
        weir_loop_cancel(session_loop(session), session->timer);
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
        session_refuse(session, END_UNTRUSTED);
        return;
    }
    if (!session->preface) {
        session->preface = preface_new();
    }
    if (!session->preface ||
        weir_loop_call_later(session_loop(session),
                             service->config->hello_timeout_ns, preface_late,
                             session, &session->timer) < 0) {
        session_refuse(session, END_INTERNAL);
    } else if (preface_rest(session->preface).len > 0) {
        preface_read(session); /* they came while it waited for its place */
    }
}

/* ---- the client's protocol ---- */

void session_open(struct session *session)
{
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

static void client_made(void *user, weir_transport *t)
{
    struct session *session = user;

    session->client = weir_transport_ref(t);
    session_enlist(&session->door->service->worker->sessions, session,
                   LIST_ALL);
    weir_transport_set_busy(t, true); /* for a graceful stop */
    if (places_enter(session)) {
        session_open(session);
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

/* Bytes belong to the preface, or are kept until there is a target: a client
 * is read while it waits, as its reset would not be seen otherwise. */
static int client_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct session *session = user;
    const bool waits = session->route || session->is_waiting;

    if (keep(session, buf) < 0) {
        session_refuse(session, END_INTERNAL);
    } else if (!waits) {
        preface_read(session);
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
    return session->route != NULL || session->is_waiting;
}

static void client_lost(void *user, weir_transport *t, int err)
{
    struct session *session = user;

    (void)err;
    weir_loop_cancel(session_loop(session), session->timer);
    session->is_client_lost = true;
    if (session->reason == END_CLIENT_GONE &&
        session->door->service->worker->is_draining &&
        weir_transport_get_end(t) == WEIR_END_ABORTED) {
        session->reason = END_DRAIN;
    }
    if (session->pending) {
        weir_pending_cancel(session->pending); /* connected() follows */
    } else if (session->is_securing) {
        weir_transport_abort(session->target); /* target_secured() follows */
    } else {
        session_finish(session, NULL);
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
    session->start_ns = weir_loop_get_time(session_loop(session));
    door->service->counts.accepted++;
    door->service->counts.active++;
    *ret = (struct weir_protocol_binding){&client_protocol, session};
    return 0;
}

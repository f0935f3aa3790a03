/*
 * Ends of sessions: the reason, the counts, the line of the log.
 *
 * A record is made of what the session knows and what its transports still
 * tell, so that nothing is kept twice.
 */
#include "session.h"

#include "places.h"
#include "preface.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>

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
        if (end->err == WEIR_ETLSALERT) {
            return by_client ? END_CLIENT_ALERT : END_TARGET_ALERT;
        }
        return by_client ? END_CLIENT_RESET : END_TARGET_RESET;
    }
}

/* weir's own codes stand in groups of a hundred (weir/error.h). */
static enum end_reason reason_of_group(int err)
{
    switch (err / 100) {
    case WEIR_ETLSFILE / 100:
        return END_TARGET_TLS;
    case WEIR_EDNSNOTFOUND / 100:
        return END_LOOKUP;
    default:
        return END_CONNECT;
    }
}

/* Of the last target that was tried. */
static enum end_reason reason_of_try(int err)
{
    switch (err) {
    case -ECONNREFUSED:
    case -ENOENT: /* no such Unix socket */
        return END_REFUSED;
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ENETDOWN:
        return END_UNREACHABLE;
    default:
        return reason_of_group(err);
    }
}

/* A target may have been tried before the queue. */
enum end_reason session_reason_of_connect(const struct session *session,
                                          int err)
{
    const struct config_route *route = session->route->config;

    switch (err) {
    case -ENOBUFS:
        return END_QUEUE_FULL;
    case -ETIMEDOUT:
        return session->queue_ns >= route->queue_timeout_ns ? END_QUEUE_TIMEOUT
                                                            : END_TIMEOUT;
    case -EHOSTDOWN:
        return session->try_count == 0 ? END_NO_TARGET : END_UNREACHABLE;
    default:
        return reason_of_try(err);
    }
}

/* What the client's TLS tells. */
static void describe_tls(const struct session *session, struct record *record)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    record->server_name = preface_shown_name(session->preface);
    if (weir_transport_get_extra_info(session->client, "tls_version", &info) ==
        0) {
        record->tls_version = info.text;
        if (weir_transport_get_extra_info(session->client, "tls_handshake",
                                          &info) == 0) {
            record->tls_ns = info.time_ns;
        }
    }
    if (!record->server_name &&
        weir_transport_get_extra_info(session->client, "server_name", &info) ==
            0) {
        record->server_name = info.text;
    }
}

const char *session_alert_of(const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    return t && weir_transport_get_extra_info(t, "tls_alert", &info) == 0
               ? info.text
               : NULL;
}

/* What is known without a question to the transports. */
static void sum_up(const struct session *session,
                   const struct weir_relay_record *end, struct record *ret)
{
    const struct service *service = session->door->service;

    *ret = (struct record){
        .reason = session->reason,
        .time_ns = session->time_ns,
        .service = service->config->name,
        .queue_ns = session->queue_ns,
        .connect_ns = session->connect_ns,
        .total_ns =
            weir_loop_get_time(session_loop(session)) - session->start_ns,
        .tries = session->try_count,
    };
    if (!end) {
        return;
    }
    ret->reason = reason_of(end, service->worker->is_draining);
    ret->in_bytes = end->a_bytes;
    ret->out_bytes = end->b_bytes;
    if (end->b_first_ns > 0) {
        ret->first_byte_ns = end->b_first_ns - session->start_ns;
    }
}

void session_describe(const struct session *session,
                      const struct weir_relay_record *end, struct record *ret)
{
    sum_up(session, end, ret);
    preface_get_client(session->preface, session->client, &ret->client);
    describe_tls(session, ret);
    ret->alert = session_alert_of(session->client);
    if (!ret->alert) {
        ret->alert = session->target ? session_alert_of(session->target)
                                     : session->connect_alert;
    }
    ret->tried = session->tried;
    if (end) {
        weir_transport_get_peername(session->target, &ret->target);
    }
}

/* An end in order speaks for the target, whoever ended first. An error speaks
 * against it before its first byte: many servers that have answered reset
 * clients which leave, or send them no close_notify. */
int session_verdict(int err, const struct weir_relay_record *end)
{
    const bool is_answered =
        end->b_bytes > 0 && end->cause != WEIR_RELAY_TIMEOUT;

    return err == 0 || (end->ended_by == WEIR_RELAY_B && !is_answered)
               ? err
               : -ECANCELED;
}

void session_finish(struct session *session,
                    const struct weir_relay_record *end)
{
    struct service *service = session->door->service;
    struct record record;

    if (log_is_open(&service->worker->log)) {
        session_describe(session, end, &record);
        log_add(&service->worker->log, &record);
    } else {
        sum_up(session, end, &record);
    }
    session_delist(&service->worker->sessions, session, LIST_ALL);
    counts_end(&service->counts, &record);
    places_leave(session);
    preface_free(session->preface);
    weir_lease_unref(session->kept.lease);
    weir_transport_unref(session->client);
    weir_transport_unref(session->target);
    free(session->tried);
    free(session);
}

void session_refuse(struct session *session, enum end_reason reason)
{
    session->reason = reason;
    weir_transport_abort(session->client);
}

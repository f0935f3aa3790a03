/*
 * This page is the proxy: all other files read options, write logs, listen, or
 * look at the first bytes of clients.
 *
 * A target is chosen among those of the route and connected to, with other
 * targets after it if that fails; it is told who the client is; then bytes,
 * ends and resets go both ways until both sides have ended.
 */
#include "session.h"

#include "preface.h"
#include "route.h"

#include <errno.h>
#include <string.h>

static void relayed(void *arg, int err, const struct weir_relay_record *end)
{
    struct session *session = arg;

    weir_upstream_slot_end(session->slot, session_verdict(err, end));
    session_finish(session, end);
}

int session_relay(struct session *session)
{
    const struct config_service *config = session->door->service->config;
    const struct weir_buf first[] = {session->kept,
                                     preface_rest(session->preface)};
    const struct weir_relay_options options = {
        .size = sizeof(options),
        .buffer_bytes = config->buffer_bytes,
        .idle_ns = config->idle_timeout_ns,
        .half_closed_ns = config->half_closed_timeout_ns,
        .lifetime_ns = config->lifetime_ns,
        .a_rate_bytes = config->rate_in_bytes,
        .b_rate_bytes = config->rate_out_bytes,
        .a_initial = first,
        .a_initial_count = 2,
        .splice = !config->copies_bulk,
        .ignore_unexpected_eof = config->ignores_eof,
    };
    const int err = weir_relay(session->client, session->target, &options,
                               relayed, session, &session->pending);

    weir_lease_unref(session->kept.lease);
    session->kept = (struct weir_buf){.len = 0};
    session->preface = preface_drop_rest(session->preface);
    return err;
}

void session_give_up(struct session *session, int verdict)
{
    if (session->slot) {
        weir_transport_abort(session->target);
        weir_upstream_slot_end(session->slot, verdict);
    }
    if (session->is_client_lost) {
        session_finish(session, NULL);
    } else {
        weir_transport_abort(session->client);
    }
}

/* There is a target, or none. The client may have gone meanwhile. */
static void connected(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    struct session *session = arg;

    session->pending = NULL;
    session->try_count = (uint16_t)result->try_count;
    session->queue_ns = result->queue_ns;
    session->connect_ns = result->connect_ns;
    session->connect_alert = result->tls_alert;
    if (err < 0 && result->error_text[0] != '\0') {
        session->tried = strdup(result->error_text);
    }
    session->target =
        result->transport ? weir_transport_ref(result->transport) : NULL;
    session->slot = result->slot;
    if (err == 0 && !session->is_client_lost) {
        if (session_greet(session, result->upstream) == 0) {
            return;
        }
        session->reason = session_reason_of_refusal(session);
    } else if (err < 0 && !session->is_client_lost) {
        session->reason = session_reason_of_connect(session, err);
    }
    session_give_up(session, -ECANCELED);
}

static int create_target(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                                  .kind = WEIR_PROTOCOL_STREAM};

    (void)t;
    *ret = (struct weir_protocol_binding){&protocol, arg};
    return 0;
}

void session_connect(struct session *session, const char *server_name)
{
    static const struct weir_factory factory = {create_target, NULL};
    const struct config_service *config = session->door->service->config;
    const struct config_route *route = session->route->config;
    const struct route_key key = route_key(session, server_name);
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .key = key.bytes,
        .key_size = key.size,
        .tries = (uint32_t)route->tries,
        .shortage_timeout_ns = route->connect_timeout_ns,
        .connect = {.size = sizeof(options.connect),
                    .timeout_ns = route->connect_timeout_ns,
                    .connection = connection_of(config)}};

    if (weir_upstreams_connect(session->route->upstreams, &factory, &options,
                               connected, session, &session->pending) < 0) {
        session_refuse(session, END_INTERNAL);
    }
}

/*
 * The first bytes to a target: a PROXY header, where the route says so.
 *
 * A header goes before TLS, so that TLS with a target that gets one is begun
 * here, behind the header. Any other target with TLS has it already.
 */
#include "session.h"

#include "preface.h"
#include "targets.h"

#include "weir/proxy_protocol.h"
#include "weir/start_tls.h"

#include <errno.h>

enum end_reason session_reason_of_refusal(const struct session *session)
{
    if (weir_transport_is_closing(session->client)) {
        return END_CLIENT_GONE;
    }
    return session->target && weir_transport_is_closing(session->target)
               ? END_TARGET_RESET
               : END_INTERNAL;
}

/* Tells the target who the client is. */
static int send_header(const struct session *session)
{
    const enum config_header version = session->route->config->send_header;
    struct weir_proxy_header header = {
        .size = sizeof(header),
        .version = version == HEADER_V1 ? WEIR_PROXY_V1 : WEIR_PROXY_V2,
    };
    char text[512];

    if (version == HEADER_NONE) {
        return 0;
    }
    preface_get_client(session->preface, session->client, &header.source);
    preface_get_destination(session->preface, session->client,
                            &header.destination);
    const int len = weir_proxy_header_write(&header, text, sizeof(text));
    return len < 0 ? len
                   : weir_transport_write(session->target, text, (size_t)len);
}

/* The TLS behind a header is open, or is not. */
static void target_secured(void *arg, int err, weir_transport *t)
{
    struct session *session = arg;

    (void)t;
    session->is_securing = false;
    if (!session->is_client_lost) {
        if (err == 0 && session_relay(session) == 0) {
            return;
        }
        session->reason = END_TARGET_TLS;
        if (err == 0) {
            session->reason = session_reason_of_refusal(session);
        }
    }
    session_give_up(session,
                    session->reason == END_TARGET_TLS ? err : -ECANCELED);
}

int session_greet(struct session *session, const weir_upstream *upstream)
{
    struct weir_tls_settings settings;
    weir_transport *upgraded;
    int err = send_header(session);

    if (err < 0) {
        return err;
    }
    if (!targets_begin_tls(session, upstream, &settings)) {
        return session_relay(session);
    }
    err = weir_transport_start_tls(session->target, &settings, NULL,
                                   target_secured, session, &upgraded);
    if (err == 0) {
        weir_transport_unref(session->target);
        session->target = weir_transport_ref(upgraded);
        session->is_securing = true;
    }
    return err;
}

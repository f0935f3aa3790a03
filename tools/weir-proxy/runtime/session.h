/*
 * A session: a client's connection and the connection to its target.
 *
 *     accepted -> place -> preface -> (TLS) -> connecting -> relayed -> over
 *     \____________ opening.c ____________/   \________ session.c ________/
 *
 * A preface is a PROXY header, or first bytes that select the route, before or
 * inside TLS. It is read only if the service needs it. If no bytes are read
 * before TLS, the handshake ends before the session starts. In each state the
 * session waits for one event, and it ends with one reason. It is freed after
 * the client's connection, the connect and the relay have all ended.
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "places.h"
#include "proxy.h"
#include "tools/weir-proxy/config/matching.h"

#include "weir/relay.h"

#include <errno.h>

/* Error with which cuts_do() ends a pending connect. */
#define SESSION_CUT (-ECONNABORTED)

/* User pointer of the client's protocol until the relay starts. */
struct session {
    struct link link; /* in its worker's list; must be the first field */
    struct place place;
    struct unasked unasked; /* listed until keepalive is set */
    struct door *door;
    struct route *route;
    weir_transport *client;
    weir_transport *target;
    weir_pending *pending;    /* the connect or the relay */
    weir_upstream_slot *slot; /* set while it has a target */
    struct preface *preface;  /* NULL if nothing is stored */
    struct weir_buf kept;     /* first bytes for the target; lease NULL if
                               * none */
    struct weir_handle timer; /* limits the time for the preface */
    struct client *counted;   /* set by clients_enter(); may be NULL */
    enum matching_kind kind : 3;
    bool is_opened : 1; /* the TLS handshake has succeeded */
    bool is_client_lost : 1;
    bool is_cut : 1;
    bool is_to_cut : 1;         /* session_cut() will be called (cuts.h) */
    bool has_ended : 1;         /* the client's stream ended while it waited */
    bool is_admitted : 1;       /* the client rules admitted it */
    bool is_unlogged : 1;       /* another refusal was logged this second */
    enum end_reason reason : 8; /* set if the session ends before the relay */
    uint16_t try_count;
    uint32_t left_out; /* refusals since this client's last log line */
    uint64_t time_ns;  /* wall-clock time of the accept */
    uint64_t start_ns;
    uint64_t queue_ns;
    uint64_t connect_ns;
    const char *target_name;   /* as configured, or NULL if it is an address */
    const char *connect_alert; /* last target's TLS alert, static, or NULL */
    char *client_cn; /* from its certificate or its PROXY header, or NULL */
    char *tried;     /* addresses that failed, with errors, or NULL */
};

/* @key selects the target if the balance uses one. */
void session_connect(struct session *session, const void *key, size_t key_size);

/* Must be called if the client's connection ends before the relay. */
void session_lose_client(struct session *session);

/* Resets both sides: the target is down, a better one is available, or an
 * operator ordered it. Must be called only while @session->slot is set. */
void session_cut(struct session *session);

/* Ends a session that is not relayed. Resets the client, so that it does not
 * take an end of stream for a response. session_lose_client() follows. */
void session_refuse(struct session *session, enum end_reason reason);

/* Returns the reason of the end after a call on the session's transports
 * failed: one of them has ended, which is reported next, or memory ran out. */
enum end_reason session_reason_of_refusal(const struct session *session);

/* Fills in a record. @end is NULL if the session was not relayed. The texts in
 * *ret belong to the session. */
void session_describe(const struct session *session,
                      const struct weir_relay_record *end, struct record *ret);

/* Returns the server name in the ClientHello or, if that has none, in the PROXY
 * header. Returns NULL or "" if neither has one. The session owns the
 * result. */
const char *session_server_name(const struct session *session);

static inline weir_loop *session_loop(const struct session *session)
{
    return session->door->service->worker->loop;
}

#endif

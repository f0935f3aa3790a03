/*
 * A session: a client's connection, the connection to its target, and what
 * becomes of both.
 *
 *     accepted -> place -> preface -> (TLS) -> connecting -> relayed -> over
 *     \____________ opening.c ____________/   \________ session.c ________/
 *
 * A preface is read only where the service says so: a PROXY header, a
 * ClientHello or other first bytes by which the route is chosen, which may
 * stand inside TLS, too. Then a target is chosen and
 * connected to, and the relay moves the bytes until both sides have ended. In
 * each of these states the session waits for one thing, and ends with one
 * reason. It is freed where the last thing that it waits for has ended: the
 * client's loss, the connect or the relay.
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "matching.h"
#include "places.h"
#include "proxy.h"

#include "weir/relay.h"

#include <errno.h>

/* The error of a connect that an operator has cut. */
#define SESSION_CUT (-ECONNABORTED)

/* The user pointer of its client's protocol until the relay takes the
 * connection over. */
struct session {
    struct link link; /* of its worker's sessions; the first field */
    struct place place;
    struct unasked unasked; /* while its target has no keepalive yet */
    struct door *door;
    struct route *route;      /* NULL: not chosen yet */
    weir_transport *client;   /* one reference */
    weir_transport *target;   /* one reference; NULL: there was none */
    weir_pending *pending;    /* the connect or the relay */
    weir_upstream_slot *slot; /* while there is a target */
    struct preface *preface; /* NULL: none was read, and no bytes were copied */
    struct weir_buf kept;    /* the client's first bytes; lease NULL: none */
    struct weir_handle timer; /* of the preface */
    struct client *counted; /* as whose connection it counts; NULL: nobody's */
    enum matching_kind kind : 3; /* of the client */
    bool is_opened : 1;          /* its TLS; it has no other one */
    bool is_client_lost : 1;
    bool is_cut : 1;            /* by session_cut() */
    bool is_to_cut : 1;         /* soon (cuts.h) */
    bool has_ended : 1;         /* its client, while it waited for a place */
    bool is_admitted : 1;       /* its client may come */
    bool is_unlogged : 1;       /* a refusal like others of this second */
    enum end_reason reason : 8; /* of an end before the relay's */
    uint16_t try_count;
    uint32_t left_out; /* refusals of its client that are not in the log */
    uint64_t time_ns;  /* of the clock, when it was accepted */
    uint64_t start_ns; /* of the loop */
    uint64_t queue_ns;
    uint64_t connect_ns;
    const char *connect_alert; /* of the last target's TLS, static; or NULL */
    char *client_cn; /* of its certificate, or by its header; or NULL */
    char *tried; /* addresses that were tried in vain, with errors; or NULL */
};

/* The route is known, and the client's bytes may go to its target, which is
 * chosen by @key where the route says so. */
void session_connect(struct session *session, const void *key, size_t key_size);

/* The client's connection is lost, and no relay has it. */
void session_lose_client(struct session *session);

/* Ends a session with a target that its checks have found down, or that was
 * there for another one: both sides are reset. */
void session_cut(struct session *session);

/* Ends a session that is not relayed. The client is reset, so that it does not
 * take the end for an answer; its loss follows. */
void session_refuse(struct session *session, enum end_reason reason);

/* Why a call was refused that goes on with the session's transports: one of
 * them may have ended, and its loss is told next; or there is no memory. */
enum end_reason session_reason_of_refusal(const struct session *session);

/* Writes what is known of a session; @end is NULL if it was not relayed. Its
 * texts are the session's. */
void session_describe(const struct session *session,
                      const struct weir_relay_record *end, struct record *ret);

/* The name that the client has asked for; NULL or "": none. It is borrowed from
 * the session. */
const char *session_server_name(const struct session *session);

static inline weir_loop *session_loop(const struct session *session)
{
    return session->door->service->worker->loop;
}

#endif

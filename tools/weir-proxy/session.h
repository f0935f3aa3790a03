/*
 * A session: a client's connection, the connection to its target, and what
 * becomes of both.
 *
 *     accepted -> preface -> (TLS) -> connecting -> relayed -> over
 *     \_________ opening.c _______/  \____ session.c ____/  \ ending.c
 *                                        (greeting.c)
 *
 * A preface is read only where the service says so: a PROXY header, or a
 * ClientHello by which the route is chosen. Then a target is chosen and
 * connected to, and the relay moves the bytes until both sides have ended. In
 * each of these states the session waits for one thing, and ends with one
 * reason. It is freed where the last thing that it waits for has ended: the
 * client's loss, the connect or the relay.
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "proxy.h"

#include "weir/relay.h"

/* The lists that a session may be in. */
enum list {
    LIST_ALL,     /* of its worker */
    LIST_WAITING, /* of its door */
    LISTS,
};

/* The user pointer of its client's protocol until the relay takes the
 * connection over. */
struct session {
    struct {
        struct session *older;
        struct session *younger;
    } links[LISTS];
    struct door *door;
    struct route *route;      /* NULL: not chosen yet */
    weir_transport *client;   /* one reference */
    weir_transport *target;   /* one reference; NULL: there was none */
    weir_pending *pending;    /* the connect or the relay */
    weir_upstream_slot *slot; /* while there is a target */
    struct preface *preface; /* NULL: none was read, and no bytes were copied */
    struct weir_buf kept;    /* the client's first bytes; lease NULL: none */
    struct weir_handle timer; /* of the preface */
    bool is_client_lost;
    bool is_counted;            /* among all of the program */
    bool has_place;             /* among those of its address */
    bool is_waiting;            /* for it */
    bool is_securing;           /* TLS to the target is begun */
    enum end_reason reason : 8; /* of an end before the relay's */
    uint16_t try_count;
    uint64_t time_ns;  /* of the clock, when it was accepted */
    uint64_t start_ns; /* of the loop */
    uint64_t queue_ns;
    uint64_t connect_ns;
    const char *connect_alert; /* of the last target's TLS, static; or NULL */
    char *tried; /* addresses to which no connect has come about; or NULL */
};

/* The only writers of the lists. */
static inline void session_enlist(struct session_list *list,
                                  struct session *session, enum list which)
{
    struct session *older = list->youngest;

    session->links[which].older = older;
    session->links[which].younger = NULL;
    *(older ? &older->links[which].younger : &list->oldest) = session;
    list->youngest = session;
}

static inline void session_delist(struct session_list *list,
                                  struct session *session, enum list which)
{
    struct session *older = session->links[which].older;
    struct session *younger = session->links[which].younger;

    *(older ? &older->links[which].younger : &list->oldest) = younger;
    *(younger ? &younger->links[which].older : &list->youngest) = older;
}

/* ---- opening.c ---- */

/* The factory of a door's connections; its argument is the door. */
weir_factory_fn session_create;
/* The session has its places: its first bytes may be read. */
void session_open(struct session *session);

/* ---- session.c ---- */

/* The route is known, and the client's bytes may go to its target.
 * @server_name is NULL if the client named none. */
void session_connect(struct session *session, const char *server_name);

/* Moves bytes until both sides have ended. 0, or a negative error. */
int session_relay(struct session *session);
/* Resets whoever is left; @verdict is on the target, if there is one. */
void session_give_up(struct session *session, int verdict);

/* ---- greeting.c ---- */

/* Sends what goes before the client's bytes, and goes on with session_relay().
 * 0, or a negative error. */
int session_greet(struct session *session, const weir_upstream *upstream);
/* Why a call was refused that goes on with the session's transports: one of
 * them may have ended, and its loss is told next; or there is no memory. */
enum end_reason session_reason_of_refusal(const struct session *session);

/* ---- ending.c ---- */

/* Ends a session that is not relayed. The client is reset, so that it does not
 * take the end for an answer; its loss follows. */
void session_refuse(struct session *session, enum end_reason reason);
/* Counts and logs the session, and frees it; @end is NULL if it was not
 * relayed. */
void session_finish(struct session *session,
                    const struct weir_relay_record *end);
/* Why its connect has failed, with the tries and the time in the queue that the
 * session has noted. */
enum end_reason session_reason_of_connect(const struct session *session,
                                          int err);
/* The error that speaks against the target of a relay, 0 if the relay speaks
 * for it, or -ECANCELED. */
int session_verdict(int err, const struct weir_relay_record *end);
/* The name of the alert by which the peer's TLS has refused, static; NULL: by
 * none, or no transport. */
const char *session_alert_of(const weir_transport *t);
/* Writes what is known of a session; @end as above. Its texts are the
 * session's. */
void session_describe(const struct session *session,
                      const struct weir_relay_record *end, struct record *ret);

static inline weir_loop *session_loop(const struct session *session)
{
    return session->door->service->worker->loop;
}

#endif

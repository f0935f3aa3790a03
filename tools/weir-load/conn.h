/*
 * One connection of a run: it keeps a number of requests under way, compares
 * what comes back with what was sent, and measures how long each took.
 *
 * A request is --send bytes of the payload stream; its answer is the same
 * bytes. Answers come in order, so the times of sending are kept in a ring and
 * the next complete answer belongs to the oldest. Many connections share one
 * struct traffic, which holds all that is counted; nothing grows with the
 * number of requests.
 *
 * States: idle -> connecting -> open -> leaving or closing -> idle. Who
 * connects again, and when, is decided above (client.h).
 *
 * Over UDP a connection is a connected endpoint, and answers are told by their
 * numbers: exchange.h.
 */
#ifndef WEIR_LOAD_CONN_H
#define WEIR_LOAD_CONN_H

#include "errors.h"
#include "ledger.h"
#include "tools/load/histogram.h"
#include "tools/load/payload.h"
#include "track.h"

#include "weir/protocol.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stdint.h>

enum conn_state {
    CONN_IDLE,       /* no connection; to be made, or given up */
    CONN_CONNECTING, /* the maker is at work */
    CONN_OPEN,       /* requests may be sent */
    CONN_LEAVING,    /* aborted here, connection_lost is to come */
    CONN_CLOSING,    /* closed here after its one answer, the same */
};

struct conn;

/* What a connection tells its owner. */
struct conn_events {
    void (*opened)(void *arg, struct conn *conn);
    /* The first of a kind is given with its kind, for the detail. */
    void (*failed)(void *arg, struct conn *conn, struct error_kind *first);
    void (*lost)(void *arg, struct conn *conn);
    /* It is over because it has done what it was for. */
    void (*closed)(void *arg, struct conn *conn, weir_transport *t);
    /* A datagram failed, and the endpoint lives on. */
    void (*datagram_error)(void *arg);
    /* Nothing more is to be sent and no answer is outstanding. */
    void (*drained)(void *arg);
};

/* What streams and datagrams do each in their way. */
struct conn_kind {
    const struct weir_protocol *protocol;
    /* Begin a connection: a fresh place in the payload stream. */
    void (*prepare)(struct conn *conn, uint64_t seed);
    /* Send until depth requests are under way, as far as the traffic allows. */
    void (*fill)(struct conn *conn, uint64_t now_ns);
    /* Give up what has waited too long for its answer. */
    void (*expire)(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);
};

struct traffic {
    const struct conn_kind *kind;
    size_t size_bytes;
    uint32_t depth;
    uint32_t ring_mask;
    /* Does each connection end with its first answer? */
    bool is_crr;
    /* May requests be sent; set and cleared by the run. */
    bool sending;
    /* Do new requests count, or are they warm-up; set by the run. */
    bool measuring;
    /* Are errors expected to be held against the server; set by the run. */
    bool judging;
    /* Requests that may still be sent. */
    uint64_t remaining;
    /* Requests under way, on all connections. */
    uint64_t outstanding;
    /* Where latencies go; the run takes it over at each interval. */
    struct histogram *latency;
    const struct payload *payload;
    /* Room to put a datagram together; UDP only. */
    uint8_t *scratch;
    /* Of this run alone, whatever its seed; UDP only. */
    uint64_t nonce;
    struct ledger measured;
    struct ledger warmup;
    /* Errors that concerned no request while judging. */
    uint64_t events_without_request;
    /* Answers that were not the first, in time and in order; UDP only. */
    struct track_counts measured_answers;
    struct track_counts warmup_answers;
    struct error_table errors;
    const struct conn_events *events;
    void *events_arg;
};

struct conn {
    struct traffic *traffic;
    weir_transport *transport;
    /* When the requests under way were sent: a ring, oldest at head. */
    uint64_t *sent_ns;
    uint32_t head;
    uint32_t outstanding;
    /* How many of those, the oldest, belong to the warm-up. */
    uint32_t outstanding_warmup;
    /* UDP in place of sent_ns and head: what is under way, and the first number
     * that is measured. */
    struct track track;
    /* UDP: of this connection alone. */
    uint64_t nonce;
    /* UDP: which address of a name this connection is made to. */
    size_t address_index;
    uint64_t measured_from;
    /* Places in the payload stream. */
    uint32_t send_at;
    uint32_t receive_at;
    /* Bytes of an answer that is not complete. */
    size_t partial_bytes;
    uint64_t received_bytes;
    enum conn_state state;
    uint32_t index;
    uint32_t generation;
    /* Failures since the last answer, which slow down connecting again. */
    uint32_t failures;
    /* In the whole run, the warm-up included: a request was sent or connecting
     * failed, an answer came, and a failure was counted as measured. */
    bool was_tried;
    bool was_answered;
    bool was_counted;
    /* TLS: of an earlier connection, to be resumed; NULL: there is none. Set by
     * the client. */
    weir_tls_session *session;
    /* Has it been open or failed once; set by the client. */
    bool settled;
    uint64_t connect_began_ns;
};

/* CLOCK_MONOTONIC now. */
uint64_t conn_now_ns(void);

/* The stream's way. The user pointer of the protocol is the struct conn. */
extern const struct conn_kind conn_stream;

/* From here on new requests count; those under way are warm-up. */
void conn_mark_warmup(struct conn *conn);

/* Count a failure that concerns no open connection: connecting, or the
 * handshake after that. detail may be empty. */
void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail);

/* ---- for the kinds ---- */

/* Count an event that concerns so many requests. Returns its kind, for the
 * detail, when it is the first of its kind, else NULL. */
struct error_kind *conn_count_error(struct conn *conn, enum error_phase phase,
                                    int code, uint32_t requests);

/* Tell the owner when there is nothing more to send or to wait for. */
void conn_tell_drained(struct traffic *traffic);

/* How many requests may be sent now: up to the depth, as far as the traffic
 * allows. Counts them as sent, and as warm-up where they are. */
uint32_t conn_begin_requests(struct conn *conn);

/* Begin a connection as far as both kinds are alike. */
void conn_reset(struct conn *conn, uint64_t seed);

/* connection_made and connection_lost of both protocols. */
void conn_made(void *user, weir_transport *t);
void conn_lost(void *user, weir_transport *t, int err);

#endif

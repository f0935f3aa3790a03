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
 * States: idle -> connecting -> open -> leaving -> idle. Who connects again,
 * and when, is decided above (client.h).
 */
#ifndef WEIR_LOAD_CONN_H
#define WEIR_LOAD_CONN_H

#include "errors.h"
#include "histogram.h"
#include "payload.h"

#include "weir/protocol.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stdint.h>

enum conn_state {
    CONN_IDLE,       /* no connection; to be made, or given up */
    CONN_CONNECTING, /* the maker is at work */
    CONN_OPEN,       /* requests may be sent */
    CONN_LEAVING,    /* aborted here, connection_lost is to come */
};

/* sent = ok + failed + timeout + what is still under way, always. */
struct ledger {
    uint64_t sent;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
};

struct conn;

/* What a connection tells its owner. */
struct conn_events {
    void (*opened)(void *arg, struct conn *conn);
    /* The first of a kind is given with its kind, for the detail. */
    void (*failed)(void *arg, struct conn *conn, struct error_kind *first);
    void (*lost)(void *arg, struct conn *conn);
    /* Nothing more is to be sent and no answer is outstanding. */
    void (*drained)(void *arg);
};

struct traffic {
    size_t size_bytes;
    uint32_t depth;
    uint32_t ring_mask;
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
    struct ledger measured;
    struct ledger warmup;
    /* Errors that concerned no request while judging. */
    uint64_t events_without_request;
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
    /* Has it been open or failed once; set by the client. */
    bool settled;
    uint64_t connect_began_ns;
};

/* CLOCK_MONOTONIC now. */
uint64_t conn_now_ns(void);

/* The protocol's callbacks; the user pointer is the struct conn. */
extern const struct weir_protocol conn_protocol;

/* Begin a connection: a fresh place in the payload stream. */
void conn_prepare(struct conn *conn, uint64_t seed);

/* Send until depth requests are under way, as far as the traffic allows. */
void conn_fill(struct conn *conn, uint64_t now_ns);

/* From here on new requests count; those under way are warm-up. */
void conn_mark_warmup(struct conn *conn);

/* Give the connection up when its oldest request is too old. */
void conn_expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);

/* Count a failure that concerns no open connection: connecting. */
void conn_fail_connect(struct conn *conn, int err);

#endif

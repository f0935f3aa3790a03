/*
 * State shared by the connections of one thread: what may be sent, set by the
 * run, and all counters, updated by the connections (conn.h). Nothing in it
 * grows with the number of requests.
 */
#ifndef WEIR_LOAD_TRAFFIC_H
#define WEIR_LOAD_TRAFFIC_H

#include "reading.h"
#include "tools/load/payload.h"
#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/measure/errors.h"
#include "tools/weir-load/measure/h2_counts.h"
#include "tools/weir-load/measure/kinds.h"
#include "tools/weir-load/measure/ledger.h"
#include "tools/weir-load/measure/record.h"
#include "tools/weir-load/measure/request_log.h"
#include "tools/weir-load/measure/track.h"

#include "weir/loop.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stdint.h>

#define TRAFFIC_STATUS_COUNT KINDS_STATUS_COUNT

struct conn;
struct pacing;
struct preamble_requests;

struct conn_events {
    void (*opened)(void *arg, struct conn *conn);
    /* The preamble is complete: requests may follow. */
    void (*prepared)(void *arg, struct conn *conn);
    /* Called for each error. @first is its kind if the error is the first of
     * the kind, so that the callee can set the detail; else NULL. */
    void (*failed)(void *arg, struct conn *conn, struct error_kind *first);
    void (*lost)(void *arg, struct conn *conn);
    /* Called when a connection was closed because it has done its work or
     * because the server ended it. */
    void (*closed)(void *arg, struct conn *conn, weir_transport *t);
    /* A datagram failed; the endpoint stays open. */
    void (*datagram_error)(void *arg);
    void (*drained)(void *arg);
};

struct flight {
    /* The scheduled time; in a closed loop equal to sent_ns. */
    uint64_t meant_ns;
    uint64_t sent_ns;
    /* Streams: the request's number in the run; and true if it was sent again
     * because the server ended its connection without an answer. */
    uint64_t number;
    bool is_repeated;
    /* Index of the request's kind, if kinds are counted. */
    uint8_t kind;
};

struct connection_counts {
    /* Number on the command line; for the whole run only. */
    uint64_t asked;
    /* At the start and at the end of the window; the following counters are of
     * the whole run. */
    uint64_t open_at_begin;
    uint64_t open_at_end;
    uint64_t opened;
    uint64_t failed;
    uint64_t lost;
    /* Connections without any answer in the whole run, including the
     * warm-up. */
    uint64_t never_answered;
    /* --fast-open: connections whose first bytes were sent with the SYN. */
    uint64_t fast_opened;
    /* --preamble: connections whose preamble succeeded, and failed. */
    uint64_t preambles;
    uint64_t preambles_failed;
    /* Connections that the server ended while no request was in flight. */
    uint64_t ended_idle;
    uint64_t repeated;
    /* Connections that this program closed before the server; and of these,
     * connections that the server should have closed. */
    uint64_t closed_first;
    uint64_t not_closed;
    uint64_t pings;
    /* --http auto: connections that used HTTP/1.1, and HTTP/2. */
    uint64_t http1;
    uint64_t http2;
};

/* A protocol of connections. There is one, or with --http auto one for each
 * protocol that a connection may agree on (attempts.c). */
struct traffic_way {
    const struct conn_kind *kind;
    const struct codec *codec;
    void *shared;
    /* Offset of the codec's state in the state of a connection. */
    size_t state_offset;
    /* The last request of a connection announces its end. */
    bool announces_end;
};

struct traffic {
    struct traffic_way ways[CODEC_WAYS];
    const struct run_options *options;
    struct preamble_requests *preamble;
    /* Callback of the load model: a connection may send another request, or may
     * not send any more. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
    /* The schedule; NULL in a closed loop. */
    struct pacing *pacing;
    weir_loop *loop;
    size_t size_bytes;
    uint32_t depth;
    uint32_t ring_mask;
    /* A connection ends after a number of answers between these two; UINT32_MAX
     * means no limit. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    /* Requests may be sent; set and cleared by the run. */
    bool sending;
    /* New requests are measured, not warm-up; set by the run. */
    bool measuring;
    /* Errors count against the server; set by the run. */
    bool judging;
    /* Measured requests that may still be sent. */
    uint64_t remaining;
    uint64_t outstanding;
    /* Time of the last answer, or since when requests are in flight; and the
     * longest time between answers in the window, with its start. */
    uint64_t quiet_ns;
    uint64_t stall_ns;
    uint64_t stall_at_ns;
    /* Number of the next request, and the step between numbers. */
    uint64_t next_number;
    uint64_t number_stride;
    struct reading reading;
    /* Histograms of the current interval; the run replaces it. */
    struct record *record;
    struct request_log *log;
    /* Indexed like options->groups; NULL if kinds are not counted. The run
     * replaces it together with the record. */
    struct kind_record *kinds;
    /* log or kinds is set. */
    bool notes_ends;
    /* UDP: payload stream, and a buffer to build a datagram in. */
    const struct payload *payload;
    uint8_t *scratch;
    /* UDP: random value of this run, independent of the seed. */
    uint64_t nonce;
    struct ledger measured;
    struct ledger warmup;
    /* Requests sent late because all connections were busy. */
    uint64_t waited;
    /* Number of errors that belong to no request, counted while @judging is
     * true. */
    uint64_t events_without_request;
    /* Answers by status; all 0 if the protocol has no status. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* UDP: answers that were duplicate, late or out of order. */
    struct track_counts measured_answers;
    struct track_counts warmup_answers;
    struct error_table errors;
    /* Number of attempts to connect for which this machine had no port or other
     * resource, and the last reason. They are not errors of the server. */
    uint64_t shortages;
    int shortage;
    struct connection_counts connections;
    struct h2_counts http2;
    /* The target of the first redirect; "" if there was none. */
    char location[CODEC_LOCATION_SIZE];
    uint64_t parting;
    /* server_parts: the server has closed a parting connection. server_stays:
     * the server has left a parting connection open, and has never closed
     * one. */
    bool server_parts;
    bool server_stays;
    const struct conn_events *events;
    void *events_arg;
};

/* Updates the longest time without an answer. Called for each answer and at the
 * end of the window. */
static inline void traffic_note_quiet(struct traffic *traffic, uint64_t now_ns)
{
    uint64_t quiet_ns = now_ns - traffic->quiet_ns;

    if (quiet_ns > traffic->stall_ns && traffic->judging) {
        traffic->stall_ns = quiet_ns;
        traffic->stall_at_ns = traffic->quiet_ns;
    }
    traffic->quiet_ns = now_ns;
}

#endif

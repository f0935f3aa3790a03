/*
 * All that the connections of one thread share: what may be sent, and what is
 * counted. Nothing in it grows with the number of requests.
 *
 * The run sets what may be sent; the connections count (conn.h).
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

/* Status codes of answers: 0 to 999. */
#define TRAFFIC_STATUS_COUNT KINDS_STATUS_COUNT

struct conn;
struct pacing;
struct preamble_requests;

/* What a connection tells its owner. */
struct conn_events {
    void (*opened)(void *arg, struct conn *conn);
    /* Its preamble is over: requests may follow. */
    void (*prepared)(void *arg, struct conn *conn);
    /* The first of a kind is given with its kind, for the detail. */
    void (*failed)(void *arg, struct conn *conn, struct error_kind *first);
    void (*lost)(void *arg, struct conn *conn);
    /* It is over because it has done what it was for, or because the server
     * does not want it any longer. */
    void (*closed)(void *arg, struct conn *conn, weir_transport *t);
    /* A datagram failed, and the endpoint lives on. */
    void (*datagram_error)(void *arg);
    /* Nothing more is to be sent and no answer is outstanding. */
    void (*drained)(void *arg);
};

/* A request under way. */
struct flight {
    /* By the schedule; in a closed loop the same as sent_ns. */
    uint64_t meant_ns;
    uint64_t sent_ns;
    /* Streams: its number in the run, and whether it was sent again because the
     * server ended its connection without an answer. */
    uint64_t number;
    bool is_repeated;
    /* The place of its kind, where kinds are counted. */
    uint8_t kind;
};

/* Connections of a thread, or of all of them. */
struct connection_counts {
    /* That the command line asked for; of a whole run alone. */
    uint64_t asked;
    /* Of the window; what follows is of the whole run. */
    uint64_t open_at_begin;
    uint64_t open_at_end;
    uint64_t opened;
    uint64_t failed; /* they could not be made */
    uint64_t lost;
    /* Without one answer in the whole run, the warm-up included. */
    uint64_t never_answered;
    /* --fast-open: those whose first bytes went with the SYN. */
    uint64_t fast_opened;
    /* --preamble: those whose preamble was answered, and those that ended in
     * it. */
    uint64_t preambles;
    uint64_t preambles_failed;
    /* Those that the server ended while it was asked for nothing. */
    uint64_t ended_idle;
    /* Requests that were sent again. */
    uint64_t repeated;
    /* Those that this program closed before the server did, and those of them
     * that the server was to close. */
    uint64_t closed_first;
    uint64_t not_closed;
    /* Pings of WebSocket that were answered. */
    uint64_t pings;
    /* --http auto: those that spoke HTTP/1.1, and HTTP/2. */
    uint64_t http1;
    uint64_t http2;
};

/* How connections speak: one way, or with --http auto one for each protocol
 * that a connection may agree on (attempts.c). */
struct traffic_way {
    const struct conn_kind *kind;
    /* Streams: how requests are written and answers read. */
    const struct codec *codec;
    void *shared;
    /* Where the codec's state is in that of a connection. */
    size_t state_offset;
    /* The last request of a connection says that it is. */
    bool announces_end;
};

struct traffic {
    struct traffic_way ways[CODEC_WAYS];
    const struct run_options *options;
    /* What connections ask for once; NULL: nothing. */
    struct preamble_requests *preamble;
    /* A connection may have room for a request, or none is to follow: the load
     * model goes on. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
    /* The schedule; NULL in a closed loop. */
    struct pacing *pacing;
    weir_loop *loop;
    /* Of the largest request. */
    size_t size_bytes;
    uint32_t depth;
    uint32_t ring_mask;
    /* A connection ends after so many answers, from the first to the second;
     * UINT32_MAX: it does not. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    /* May requests be sent; set and cleared by the run. */
    bool sending;
    /* Do new requests count, or are they warm-up; set by the run. */
    bool measuring;
    /* Are errors expected to be held against the server; set by the run. */
    bool judging;
    /* Measured requests that may still be sent. */
    uint64_t remaining;
    /* Requests under way, on all connections. */
    uint64_t outstanding;
    /* Since when no answer came although requests were under way, and the
     * longest such time of the window with its begin. */
    uint64_t quiet_ns;
    uint64_t stall_ns;
    uint64_t stall_at_ns;
    /* The number of the next request, and how far the one after it is. */
    uint64_t next_number;
    uint64_t number_stride;
    /* How late answers are read. */
    struct reading reading;
    /* Where times go; the run takes it over at each interval. */
    struct record *record;
    /* --log; NULL: there is none. */
    struct request_log *log;
    /* By the places of options->groups; NULL: no kind is counted. The run takes
     * it over with the record. */
    struct kind_record *kinds;
    /* There is one of both. */
    bool notes_ends;
    /* The bytes of datagrams, and room to put one together; UDP only. */
    const struct payload *payload;
    uint8_t *scratch;
    /* Of this run alone, whatever its seed; UDP only. */
    uint64_t nonce;
    struct ledger measured;
    struct ledger warmup;
    /* Requests that were late because all connections were busy. */
    uint64_t waited;
    /* Errors that concerned no request while judging. */
    uint64_t events_without_request;
    /* Answers by their status; 0 of all where the protocol has none. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* Answers that were not the first, in time and in order; UDP only. */
    struct track_counts measured_answers;
    struct track_counts warmup_answers;
    struct error_table errors;
    /* Attempts to connect that this machine had no means for, ports or others,
     * and the last reason: no error of the server's. */
    uint64_t shortages;
    int shortage;
    struct connection_counts connections;
    struct h2_counts http2;
    /* Where the first redirect leads that has said so; "": none has. */
    char location[CODEC_LOCATION_SIZE];
    /* Connections that wait for the server to close them. */
    uint64_t parting;
    /* The server has closed one of them; it has left one open, and none was
     * closed before. */
    bool server_parts;
    bool server_stays;
    const struct conn_events *events;
    void *events_arg;
};

/* An answer is here, or the window ends: since the last one it was quiet. */
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

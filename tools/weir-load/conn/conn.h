/*
 * One connection of a run: it keeps a number of requests in flight, passes
 * received bytes to the codec (codec.h) and measures how long each answer took.
 * Answers arrive in order, so the send times are kept in a ring and a complete
 * answer belongs to the oldest request. The connections of a thread share a
 * struct traffic (traffic.h), which has all counters.
 *
 * States: idle -> connecting -> open -> leaving, closing or parting -> idle;
 * with --preamble, the state preamble is between connecting and open. The
 * client (client.h) decides whether and when to reconnect.
 *
 * A server may end a connection between two requests in any way; this is
 * counted separately and is not a failure. If a request was just sent and the
 * codec allows it to be sent twice, it is sent again on the next connection
 * (RFC 9112, 9.3.1). Its latency still counts from the first send.
 *
 * The side that closes first keeps the port for a minute (TIME_WAIT). If the
 * server or the last request has announced the end of a connection, the server
 * is therefore given up to a second to close it (conn_part.c).
 *
 * Over UDP a connection is a connected endpoint, and answers are matched by
 * number (exchange.h).
 */
#ifndef WEIR_LOAD_CONN_H
#define WEIR_LOAD_CONN_H

#include "tools/weir-load/request/template.h"
#include "traffic.h"

#include "weir/protocol.h"
#include "weir/tls_connection.h"

#include <stdbool.h>
#include <stdint.h>

enum conn_state {
    CONN_IDLE,       /* not connected */
    CONN_CONNECTING, /* attempts_start() was called */
    CONN_PREAMBLE,   /* preamble requests are sent (conn_preamble.h) */
    CONN_OPEN,       /* requests may be sent */
    CONN_LEAVING,    /* aborted by us; connection_lost will follow */
    CONN_CLOSING,    /* closed by us after the last answer, likewise */
    CONN_PARTING,    /* after the last answer: waits for the server to close */
};

struct codec_out {
    weir_transport *transport;
    /* Set while requests are written: their connection, and the index of the
     * first one in the ring. */
    struct conn *conn;
    uint32_t first;
};

struct conn_kind {
    const struct weir_protocol *protocol;
    /* Requests in flight are in the ring of flights. */
    bool has_ring;
    /* Prepares the connection and its payload offset; called after
     * conn_reset(). */
    void (*prepare)(struct conn *conn, const struct target *target);
    void (*send)(struct conn *conn, uint32_t count, uint64_t meant_ns,
                 uint64_t now_ns);
    void (*expire)(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);
    /* Sends all requests in flight again on a new connection. May be NULL. */
    void (*repeat)(struct conn *conn);
    /* Handles a normal end of the connection by the server. Keeps the requests
     * that may be sent again for the next connection and fails the others.
     * Returns false, and does nothing, if no request may be sent again or the
     * end came too early. NULL means that answers arrive in order, and all
     * requests are kept or none (conn_may_repeat()). */
    bool (*keep)(struct conn *conn, int err);
    /* Sends the protocol's goodbye at the end of the run. May be NULL. */
    void (*leave)(struct conn *conn);
    /* Ends an idle connection in the same way as after its last answer. NULL
     * keeps it open. */
    void (*end)(struct conn *conn);
    /* Called if the next connection uses another protocol. hand_over of the old
     * protocol moves the requests to be repeated into the ring of flights,
     * oldest first but all warm-up requests before the others. take_over of the
     * new protocol moves them out. Both are NULL in a protocol that keeps its
     * requests in the ring. */
    void (*hand_over)(struct conn *conn);
    void (*take_over)(struct conn *conn);
    /* --log: records all measured requests in flight as lost. NULL if they are
     * in the ring of flights or cannot be recorded. */
    void (*note_lost)(const struct conn *conn, uint64_t now_ns);
};

struct preamble_state;

struct conn {
    struct traffic *traffic;
    const struct traffic_way *way;
    weir_transport *transport;
    /* State of the codec, and the output of codec.greet. */
    void *codec_state;
    struct codec_out out;
    /* The preamble in progress and the captured values; both may be NULL. */
    struct preamble_state *preamble;
    struct template_value *named;
    /* The requests in flight: a ring, with the oldest at head. */
    struct flight *flights;
    uint32_t head;
    uint32_t outstanding;
    /* Limit of requests in flight: --pipeline, or less if an HTTP/2 server
     * allows less; 0 during the greeting. */
    uint32_t depth;
    /* Number of warm-up requests in flight; they are the oldest ones. */
    uint32_t outstanding_warmup;
    /* Open models: in the queue of connections that can send. */
    bool is_offered;
    /* Retired: no request is sent after the requests in flight. */
    bool is_retired;
    struct conn *next_offered;
    /* Closed loop: the timer of --think; all zero if it is not set. */
    struct weir_handle thought;
    struct weir_handle farewell;
    uint64_t parted_ns;
    /* Parting with TLS: time between checks of the socket; 0 if it is not
     * checked. */
    uint64_t part_step_ns;
    /* Number of answers that the connection may still receive. */
    uint32_t quota;
    /* When the first byte of the incomplete answer arrived; 0 if no byte
     * has. */
    uint64_t first_byte_ns;
    uint64_t received_bytes;
    /* UDP: replaces flights and head. */
    struct track track;
    /* UDP: random value of this connection. */
    uint64_t nonce;
    /* UDP: index of the target's address in use. */
    size_t address_index;
    uint64_t measured_from;
    /* Offset in the payload stream; for UDP of all datagrams, in mode stream of
     * the next block. */
    uint32_t send_at;
    enum conn_state state;
    /* Established at least once; set by the client. */
    bool was_made;
    /* An answer was received since it was established. */
    bool was_used;
    /* Requests in flight will be sent again on the next connection. */
    bool repeats;
    uint32_t index;
    uint32_t generation;
    /* Failures since the last answer; and connections since then that the
     * server ended before any request. Both slow down reconnecting. */
    uint32_t failures;
    uint32_t ended_new;
    /* Set once in a run, even in the warm-up. */
    bool was_tried;    /* a request was sent, or connecting failed */
    bool was_answered; /* an answer was received */
    bool was_counted;  /* a measured answer or failure was counted */
    /* --fast-open: the SYN of this connection has been checked. */
    bool knows_syn;
    /* TLS session to resume; may be NULL. Set by the client. */
    weir_tls_session *session;
    /* Open or failed at least once; set by the client. */
    bool settled;
    /* Not connected while fewer connections are wanted; set by the client. */
    bool is_parked;
    uint64_t connect_began_ns;
    /* When it was established, including the TLS handshake. */
    uint64_t connected_ns;
    /* Mode stream: bytes of the incomplete block. */
    size_t partial_bytes;
};

/* Requests and answers of a codec. The protocol's user is the struct conn. */
extern const struct conn_kind conn_stream;

/* Like conn_stream, after a greeting (codec.greet); depth is 0 until then. */
extern const struct conn_kind conn_greeted;

/* Mode connect: a request is a connection, closed once established. */
extern const struct conn_kind conn_visit;

/* Mode idle: a request is a connection that stays open until the end. */
extern const struct conn_kind conn_hold;

/* Mode stream: a request is a block of bytes, up or down. */
extern const struct conn_kind conn_flow;

/* Returns true if the connection is open and may send another request. */
bool conn_has_room(const struct conn *conn);

/* Sends a request scheduled for @meant_ns. Requires conn_has_room(). */
void conn_send_meant(struct conn *conn, uint64_t meant_ns, uint64_t now_ns,
                     bool is_measured);

/* Closed loop: sends until depth requests are in flight, if allowed. */
void conn_fill(struct conn *conn, uint64_t now_ns);

/* Closed loop, after an answer: calls conn_fill() after --think. */
void conn_think(struct conn *conn, uint64_t now_ns);

/* Calls the drained event if nothing is left to send or to wait for. */
void conn_tell_drained(struct traffic *traffic);

/* Starts measuring: new requests are measured, those in flight belong to the
 * warm-up. */
void conn_mark_warmup(struct conn *conn);

/* Counts a failure without an open connection, in connecting or in the
 * handshake. @detail may be empty. */
void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail);

/* Counts a connection that could not be made because this machine ran out of a
 * resource. This is not a failure of the server. */
void conn_lack(struct conn *conn, int err, const char *detail);

/* Mode idle: ends the request of an open connection at the end of the run. */
void conn_end_hold(struct conn *conn, uint64_t now_ns);

/* Ends the connection once all requests in flight are answered, or now if there
 * are none. */
void conn_retire(struct conn *conn);

/* ---- for the kinds of connections ---- */

/* Aborts the connection and counts all requests in flight as failed. */
void conn_give_up(struct conn *conn, enum error_phase phase, int code,
                  const char *detail);

/* Like conn_give_up() after requests timed out. They are already counted as
 * timeouts, so the connection is not counted as another error. */
void conn_give_up_late(struct conn *conn, const char *detail, uint32_t late);

/* Handles a failed write: aborts the connection, except after -EPIPE, because
 * connection_lost will report the cause. */
void conn_write_refused(struct conn *conn, int err);

/* --log: records a measured request as lost with its connection. */
void conn_note_lost(const struct conn *conn, const struct flight *flight,
                    uint64_t now_ns);

/* Counts all requests in flight as failed. Returns their number. */
uint32_t conn_drop_outstanding(struct conn *conn);

/* Ends a request whose answer is complete. @first_byte_ns is 0 if the first
 * byte arrived together with the last. */
void conn_end_request(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t first_byte_ns,
                      const struct codec_answer *answer, uint64_t now_ns);

/* Ends a request that has failed; @phase and @why are counted with it. */
void conn_fail_request(struct conn *conn, const struct flight *flight,
                       bool is_warmup, enum error_phase phase,
                       const struct codec_answer *why);

void conn_miss_answer(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t now_ns);

void conn_take_answer(struct conn *conn, const struct codec_answer *answer,
                      uint64_t now_ns);

/* End a connection after its last answer. conn_finish() closes it; conn_part()
 * waits for the server to close it, as its end was announced. */
void conn_finish(struct conn *conn);
void conn_part(struct conn *conn);

/* eof_received while parting: handles the server's end of stream. */
int conn_part_at_end(struct conn *conn);

/* Keeps all requests in flight for the next connection: the server has ended
 * this one, or is about to, and will not answer them. */
void conn_keep_requests(struct conn *conn);

/* Returns true if all requests in flight may be sent again even if the server
 * may have begun to process them. */
bool conn_may_repeat(const struct conn *conn);

/* conn_kind.expire for protocols whose answers arrive in order. */
void conn_expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);

/* Counts an error of @requests requests. Returns its kind if it is the first of
 * the kind, so that the caller can set the detail, else NULL. */
struct error_kind *conn_count_error(struct conn *conn, enum error_phase phase,
                                    int code, uint32_t requests);

/* Records the times of a request that was answered or given up at @now_ns. */
void conn_record_times(const struct conn *conn, const struct flight *flight,
                       uint64_t now_ns, struct histogram *service);

/* Resets the fields that all kinds have; conn_kind.prepare follows. */
void conn_reset(struct conn *conn);

void conn_made(void *user, weir_transport *t);
void conn_lost(void *user, weir_transport *t, int err);

/* eof_received of streams. The end may be between requests or too early. */
int conn_ended(void *user, weir_transport *t);

#endif

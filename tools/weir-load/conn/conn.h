/*
 * The life of a connection: from an attempt to connect, through its preamble
 * and its requests, to its close. struct traffic has the state that all
 * connections of a thread share.
 */
#ifndef WEIR_LOAD_CONN_H
#define WEIR_LOAD_CONN_H

#include "tools/load/payload.h"
#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/request/request.h"

#include "weir/loop.h"
#include "weir/protocol.h"
#include "weir/tls_connection.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- reading ---- */

/*
 * Measures how long answers wait in their sockets until this program reads
 * them.
 *
 * An answer that arrives while a thread sleeps wakes it. Then the thread may
 * wait for a CPU (the kernel counts this per thread in schedstat), leaves the
 * kernel, and reads one answer after the other in a loop iteration. All of this
 * is in every latency, although the server has answered.
 *
 * Samples are taken, so that the cost per request is close to zero: all answers
 * of one iteration, a few thousand times a second at most. An answer that
 * arrived while the thread waited counts from the start of the wait; one that
 * arrived while it worked, from the middle of the work.
 */

struct conn;
struct traffic;

struct reading_times {
    uint64_t turn_ns;   /* start of the iteration */
    uint64_t ran_ns;    /* time on a CPU before the current time slice */
    uint64_t waited_ns; /* time waiting for a CPU */
    uint64_t run_count; /* how often it has been given a CPU */
};

struct reading {
    /* The thread's schedstat file, or -1 if there is none. */
    int fd;
    /* Number of answers still to skip before the next sample. */
    unsigned left;
    /* Number of answers to skip between samples. */
    unsigned pause;
    /* Number of iterations observed since the pause. */
    unsigned seen;
    /* Times of the last observed iteration. */
    struct reading_times last;
    /* How long the thread waited for a CPU before the last iteration. */
    uint64_t wait_ns;
    /* How long the answers read in the last iteration had been in their
     * sockets when the iteration began. */
    uint64_t late_ns;
    /* Time of the request whose answer is being read, in an open model from
     * its scheduled time; 0 if it is not measured. */
    uint64_t taken_ns;
    /* How late the client sent this request. */
    uint64_t sent_late_ns;
    /* Number of samples since the pause was last adapted. */
    unsigned group;
    /* When the pause was last adapted. */
    uint64_t group_ns;
    /* Original traffic.ready, which note_answer() replaces. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
};

/* Must be called on the thread of the traffic's loop. */
void reading_start(struct traffic *traffic);

/* Notes that something other than an answer woke the thread. */
void reading_note_wake(struct traffic *traffic);

/* Must be called on the same thread. Does nothing if reading_start() was not
 * called. */
void reading_stop(struct traffic *traffic);

/* ---- traffic ---- */

/*
 * State shared by the connections of one thread: what may be sent, set by the
 * run, and all counters, updated by the connections. Nothing in it grows with
 * the number of requests.
 */

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
    /* Called when a connection was closed after its last answer, or because
     * the server ended it. */
    void (*closed)(void *arg, struct conn *conn, weir_transport *t);
    /* A datagram failed; the endpoint stays open. */
    void (*datagram_error)(void *arg);
    void (*drained)(void *arg);
};

struct flight {
    /* Scheduled time of the request; in a closed loop equal to sent_ns. */
    uint64_t meant_ns;
    uint64_t sent_ns;
    /* Streams: the request's number in the run. */
    uint64_t number;
    /* How late the client sent the request, without its wait for a
     * connection; at most UINT32_MAX. */
    uint32_t late_ns;
    /* Streams: the request was sent again because the server ended the first
     * connection without an answer. */
    bool is_repeated;
    /* Index of the request's kind, if kinds are counted. */
    uint8_t kind;
};

struct connection_counts {
    /* Number of connections on the command line. Set only in the sum of all
     * threads. */
    uint64_t asked;
    /* Connections that are open at the start and at the end of the window. All
     * further counters cover the whole run. */
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
    /* Connections that this program closed before the server. */
    uint64_t closed_first;
    /* Connections counted in closed_first that the server should have
     * closed. */
    uint64_t not_closed;
    uint64_t pings;
    /* --http auto: connections that used HTTP/1.1, and HTTP/2. */
    uint64_t http1;
    uint64_t http2;
};

/* A protocol that connections use. A run has one; with --http auto it has two,
 * for HTTP/1.1 and for HTTP/2 (attempts.c). */
struct traffic_way {
    const struct conn_kind *kind;
    const struct codec *codec;
    void *shared;
    /* Offset of the codec's state in the state of a connection. */
    size_t state_offset;
    /* The last request of a connection announces the end of the connection. */
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
    /* Lower and upper bound of the number of answers after which a connection
     * ends; UINT32_MAX means no limit. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    /* Requests may be sent; set and cleared by the run. */
    bool sending;
    /* The warm-up is over: new requests are measured. Set by the run. */
    bool measuring;
    /* Errors count against the server; set by the run. */
    bool judging;
    /* Measured requests that may still be sent. */
    uint64_t remaining;
    uint64_t outstanding;
    /* Time of the last answer, or since when requests are in flight. */
    uint64_t quiet_ns;
    /* Longest time between answers in the window. */
    uint64_t stall_ns;
    /* Start of the stall. */
    uint64_t stall_at_ns;
    /* Number of the next request. */
    uint64_t next_number;
    /* Difference between the numbers of two requests of this thread. */
    uint64_t number_stride;
    struct reading reading;
    /* Histograms of the current interval. The run replaces the pointer. */
    struct record *record;
    struct request_log *log;
    /* Indexed like options->groups; NULL if kinds are not counted. The run
     * replaces this pointer when it replaces ->record. */
    struct kind_record *kinds;
    /* log or kinds is set. */
    bool notes_ends;
    /* UDP: payload stream. */
    const struct payload *payload;
    /* UDP: buffer in which a datagram is built. */
    uint8_t *scratch;
    /* UDP: random value of this run, independent of the seed. */
    uint64_t nonce;
    struct ledger measured;
    struct ledger warmup;
    /* Number of requests sent late because all connections were busy. */
    uint64_t waited;
    /* Open model: how late the client sends the next request, without its wait
     * for a connection. */
    uint32_t late_ns;
    /* Number of errors that belong to no request, counted while @judging is
     * true. */
    uint64_t events_without_request;
    /* Number of answers with each status; all 0 if the protocol has no
     * status. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* UDP: answers that were duplicate, late or out of order. */
    struct track_counts measured_answers;
    struct track_counts warmup_answers;
    struct error_table errors;
    /* Number of attempts to connect for which this machine had no port or other
     * resource. These attempts do not count as errors of the server. */
    uint64_t shortages;
    /* Error of the last attempt counted in shortages. */
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

/* ---- conn ---- */

/*
 * One connection of a run: it keeps a number of requests in flight, passes
 * received bytes to the codec (codec.h) and measures how long each answer took.
 * Answers arrive in order, so the send times are kept in a ring and a complete
 * answer belongs to the oldest request. The connections of a thread share a
 * struct traffic, which has all counters.
 *
 * States: idle -> connecting -> open -> leaving, closing or parting -> idle;
 * with --preamble, the state preamble is between connecting and open. The
 * client (client.c) decides whether and when to reconnect.
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
 * number (exchange.c).
 */

enum conn_state {
    CONN_IDLE,       /* not connected */
    CONN_CONNECTING, /* attempts_start() was called */
    CONN_PREAMBLE,   /* preamble requests are sent (conn_preamble.c) */
    CONN_OPEN,       /* requests may be sent */
    CONN_LEAVING,    /* aborted by us; connection_lost will follow */
    CONN_CLOSING,    /* closed by us after the last answer; connection_lost will
                      * follow */
    CONN_PARTING,    /* after the last answer: waits for the server to close */
};

struct codec_out {
    weir_transport *transport;
    /* Set while requests are written: the connection of these requests. */
    struct conn *conn;
    /* Set while requests are written: the first request's index in the ring of
     * flights. */
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
    /* Called when the server has ended the connection normally. Keeps the
     * requests that may be sent again, for the next connection, and fails the
     * others. Returns false, and does nothing, if no request may be sent again
     * or the end came too early. NULL for protocols whose answers arrive in
     * order: all requests are kept, or none (conn_may_repeat()). */
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
    /* --log: records all measured requests in flight as lost. NULL if requests
     * in flight are in the ring of flights or cannot be recorded. */
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
    /* Open models: the connection is in the queue of connections that can
     * send. */
    bool is_offered;
    /* conn_retire() was called: no request is sent after the requests in
     * flight. */
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
    /* The connection was established at least once; set by the client. */
    bool was_made;
    /* An answer was received since the connection was established. */
    bool was_used;
    /* Requests in flight will be sent again on the next connection. */
    bool repeats;
    uint32_t index;
    uint32_t generation;
    /* Number of failures since the last answer. Slows down reconnecting. */
    uint32_t failures;
    /* Number of connections, since the last answer, that the server ended
     * without an answer. Slows down reconnecting. */
    uint32_t ended_new;
    /* Set once in a run, even in the warm-up. */
    bool was_tried;    /* a request was sent, or connecting failed */
    bool was_answered; /* an answer was received */
    bool was_counted;  /* a measured answer or failure was counted */
    /* With --fast-open: opening_look_at_syn() was called. */
    bool knows_syn;
    /* TLS session to resume; may be NULL. Set by the client. */
    weir_tls_session *session;
    /* The connection was open or has failed at least once; set by the
     * client. */
    bool settled;
    /* The connection is not made while fewer connections are wanted; set by the
     * client. */
    bool is_parked;
    uint64_t connect_began_ns;
    /* When the connection was established, including the TLS handshake. */
    uint64_t connected_ns;
    /* Mode stream: bytes of the incomplete block. */
    size_t partial_bytes;
};

/* Requests and answers of a codec. In all kinds, the user pointer of the
 * protocol's callbacks is the struct conn. */
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

/* Counts a failure to connect or of a handshake. @detail may be empty. */
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

/* Like conn_give_up(), for a connection on which @late requests timed out.
 * These requests are already counted as timeouts, so the connection is not
 * counted as another error. */
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

/* End a connection after its last answer: conn_finish() closes it. conn_part()
 * waits for the server to close it, because the server or the last request has
 * announced the end of the connection. */
void conn_finish(struct conn *conn);
void conn_part(struct conn *conn);

/* Handles the server's end of stream in the state CONN_PARTING. Called by
 * eof_received. */
int conn_part_at_end(struct conn *conn);

/* Keeps all requests in flight for the next connection: the server has ended
 * this one, or is about to, and will not answer them. */
void conn_keep_requests(struct conn *conn);

/* Returns true if all requests in flight may be sent again even if the server
 * may have begun to process them. */
bool conn_may_repeat(const struct conn *conn);

/* Implements conn_kind.expire for protocols whose answers arrive in order. */
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

/* Implements eof_received for streams. The end counts as an error unless it is
 * between requests. */
int conn_ended(void *user, weir_transport *t);

/* ---- opening ---- */

/*
 * Prepares an established connection for its first request: sets socket options
 * and writes the header of the PROXY protocol. If this fails, the connection is
 * given up.
 */

/* Returns false if the connection was given up. */
bool opening_prepare(struct conn *conn);

/* Checks with --fast-open whether data was sent with the connection's SYN, and
 * counts it. */
void opening_look_at_syn(struct conn *conn);

/* ---- conn_preamble ---- */

/*
 * The preamble of a connection (request/preamble.c): its requests are sent one
 * after the other once the connection is established. Answers are read and
 * checked here, not by the codec, and are not counted in histograms or the
 * ledger.
 *
 * A preamble that fails ends its connection, which is made again after a delay
 * like a lost connection; the error has its own phase and names the request. An
 * HTTP answer must have a status below 400; other answers must begin as their
 * line requires.
 */

/* Creates the requests of a thread for all targets; *ret is NULL if there is no
 * preamble. Returns 0, or a negative error that was printed. */
struct preamble_requests;
int preamble_requests_new(const struct run_options *options,
                          struct preamble_requests **ret);
void preamble_requests_free(struct preamble_requests *self);

/* Sends the first request. The state is CONN_PREAMBLE afterwards, unless the
 * connection was given up. */
void conn_preamble_begin(struct conn *conn, uint64_t now_ns);

/* Events in state CONN_PREAMBLE: bytes received, end of stream, a broken
 * connection, time passed. The last answer sets CONN_OPEN and calls
 * conn_events.prepared. */
void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len);
void conn_preamble_ended(struct conn *conn);
void conn_preamble_broke(struct conn *conn, int err);
void conn_preamble_expire(struct conn *conn, uint64_t now_ns,
                          uint64_t timeout_ns);

/* conn_preamble_drop() frees an unfinished preamble, conn_preamble_forget()
 * also the captured values of the connection. */
void conn_preamble_drop(struct conn *conn);
void conn_preamble_forget(struct conn *conn);

/* ---- exchange ---- */

/*
 * One connection of a run over UDP: a connected endpoint that keeps a number of
 * datagrams in flight and matches answers by the numbers in them.
 *
 * A datagram has --send bytes: a head of EXCHANGE_HEAD_SIZE bytes with a tag
 * and with the slot and number of track.c, then a part of the payload stream
 * that the number chooses. The tag is a hash of slot, number and a nonce of the
 * run and the connection, so that other data is not mistaken for a head. The
 * answer has the same bytes. A datagram not answered within --timeout is
 * counted as lost and replaced.
 */

#define EXCHANGE_HEAD_SIZE 16U

/* Largest UDP payload in an IPv4 packet. */
#define EXCHANGE_SIZE_MAX 65507U

extern const struct conn_kind exchange_kind;

/* ---- attempts ---- */

/*
 * Attempts to connect: TCP or Unix streams, with TLS if the target has it, and
 * connected datagram endpoints. The caller (client.c) decides which connections
 * to make and what a failure means.
 */

#define ATTEMPTS_MAX 256U

/* Called when an attempt has ended: @err is 0 after connection_made, else @text
 * has the library's description of the error. */
typedef void attempt_done_fn(void *arg, struct conn *conn, int err,
                             const char *text);

struct attempts;

struct attempt {
    struct attempts *attempts;
    struct conn *conn;
    struct attempt *next_free;
    weir_pending *pending;
    char text[ERRORS_DETAIL_SIZE];
};

struct attempts {
    weir_loop *loop;
    const struct run_options *options;
    attempt_done_fn *done;
    void *done_arg;
    /* Borrowed; NULL if no target has TLS. */
    weir_tls_context *tls;
    /* Sum of resume_share; a session is resumed when it reaches
     * TLS_RESUME_ALL. */
    uint32_t resume_due;
    struct attempt *first_free;
    struct attempt all[ATTEMPTS_MAX];
};

void attempts_init(struct attempts *attempts, const struct run_options *options,
                   weir_tls_context *tls, attempt_done_fn *done,
                   void *done_arg);

void attempts_set_loop(struct attempts *attempts, weir_loop *loop);

/* Starts an attempt; at most ATTEMPTS_MAX run at a time. Returns 0 if the done
 * callback will be called, else a negative error. */
int attempts_start(struct attempts *attempts, struct conn *conn,
                   const struct target *target);

#endif

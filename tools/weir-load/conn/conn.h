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

/*
 * Measures how long answers wait in their sockets until this program reads
 * them.
 *
 * An answer wakes a sleeping thread. The thread may then wait for a CPU (the
 * kernel counts this in schedstat), leaves the kernel, and reads one answer
 * after the other. All of this is part of every latency, although the server
 * has answered.
 *
 * Only samples are taken: all answers of one loop iteration, a few thousand
 * times a second at most. An answer that arrived while the thread waited for a
 * CPU counts from the start of the wait; one that arrived while the thread
 * worked counts from the middle of the work.
 */

struct conn;
struct traffic;

struct reading_times {
    uint64_t turn_ns;   /* start of the loop iteration */
    uint64_t ran_ns;    /* time on a CPU up to the last switch to another
                         * thread */
    uint64_t waited_ns; /* time ready to run but without a CPU */
    uint64_t run_count; /* how often the thread was given a CPU */
};

struct reading {
    /* The thread's schedstat file, or -1. */
    int fd;
    /* Answers to skip before the next sample. */
    unsigned left;
    /* Answers to skip between two samples. */
    unsigned pause;
    /* Loop iterations observed for the current sample. */
    unsigned seen;
    struct reading_times last;
    /* How long the thread waited for a CPU before the last iteration. */
    uint64_t wait_ns;
    /* How long the answers of the last iteration had waited when it began. */
    uint64_t late_ns;
    /* Latency of the request whose answer is being read, in an open model from
     * its scheduled time. 0 if it is not measured. */
    uint64_t taken_ns;
    /* How late the client sent this request. */
    uint64_t sent_late_ns;
    /* Samples since `pause` was last adapted. */
    unsigned group;
    /* When `pause` was last adapted. */
    uint64_t group_ns;
    /* The traffic.ready that note_answer() replaces. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
};

/* Must be called on the thread of the traffic's loop. */
void reading_start(struct traffic *traffic);

/* Must be called when the timer of the schedule wakes the thread. */
void reading_note_wake(struct traffic *traffic);

/* Must be called on the same thread. Does nothing without reading_start(). */
void reading_stop(struct traffic *traffic);

/*
 * State shared by the connections of one thread. The run sets what may be sent,
 * and the connections update the counters. Nothing grows with the number of
 * requests.
 */

#define TRAFFIC_STATUS_COUNT KINDS_STATUS_COUNT

struct conn;
struct pacing;
struct preamble_requests;

struct conn_events {
    void (*opened)(void *arg, struct conn *conn);
    /* The preamble is complete. */
    void (*prepared)(void *arg, struct conn *conn);
    /* The first error of a phase and code was counted. */
    void (*failed)(void *arg, struct conn *conn, struct error_kind *first);
    /* An attempt has ended. @err is 0 after connection_made; otherwise @text
     * describes the error. */
    void (*tried)(void *arg, struct conn *conn, int err, const char *text);
    void (*lost)(void *arg, struct conn *conn);
    /* The connection was closed after its last answer, or the server ended it
     * without failing a request. */
    void (*closed)(void *arg, struct conn *conn, weir_transport *t);
    /* A datagram failed. The endpoint stays open. */
    void (*datagram_error)(void *arg);
    void (*drained)(void *arg);
};

struct flight {
    /* Scheduled time. In a closed loop equal to sent_ns. */
    uint64_t meant_ns;
    uint64_t sent_ns;
    /* Streams: the request's number in the run. */
    uint64_t number;
    /* How late the client sent the request, without its wait for a free
     * connection. At most UINT32_MAX. */
    uint32_t late_ns;
    /* Streams: the request was sent again, because the server ended the first
     * connection without an answer. */
    bool is_repeated;
    /* Index of the request's kind, if kinds are counted. */
    uint8_t kind;
};

struct connection_counts {
    /* Connections of this process, as configured. Set only in the sum of all
     * threads. */
    uint64_t asked;
    /* Connections open, or being made again, at the start of the window. */
    uint64_t open_at_begin;
    /* Connections open at the end of the run. All other counters are of the
     * whole run. */
    uint64_t open_at_end;
    uint64_t opened;
    uint64_t failed;
    uint64_t lost;
    uint64_t never_answered;
    /* --fast-open: connections whose first bytes were sent with the SYN. */
    uint64_t fast_opened;
    /* --preamble: preambles that succeeded, and that failed. */
    uint64_t preambles;
    uint64_t preambles_failed;
    /* Connections that the server ended while no request was in flight. */
    uint64_t ended_idle;
    uint64_t repeated;
    /* Connections that this program closed before the server. */
    uint64_t closed_first;
    /* Connections in closed_first that the server should have closed. */
    uint64_t not_closed;
    uint64_t pings;
    /* --http auto: connections that used HTTP/1.1, and HTTP/2. */
    uint64_t http1;
    uint64_t http2;
};

/* A protocol that connections use. A run has one, or two with --http auto:
 * HTTP/1.1 and HTTP/2 (attempts.c). */
struct traffic_way {
    const struct conn_kind *kind;
    const struct codec *codec;
    void *shared;
    /* Offset of this protocol's state among the codec states of a
     * connection. */
    size_t state_offset;
    /* The last request of a connection asks the server to close it. */
    bool announces_end;
};

struct traffic {
    struct traffic_way ways[CODEC_WAYS];
    const struct run_options *options;
    struct preamble_requests *preamble;
    /* Load model: called when a connection may send again. Sends its next
     * request or queues the connection. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
    /* The schedule, or NULL in a closed loop. */
    struct pacing *pacing;
    weir_loop *loop;
    size_t size_bytes;
    uint32_t depth;
    uint32_t ring_mask;
    /* A connection ends after a number of answers between these bounds.
     * UINT32_MAX means no limit. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    /* Requests may be sent. Set and cleared by the run. */
    bool sending;
    /* New requests are measured. Set by the run after the warm-up. */
    bool measuring;
    /* Errors count against the server. Set and cleared by the run. */
    bool judging;
    /* Measured requests that may still be sent. */
    uint64_t remaining;
    uint64_t outstanding;
    /* Time of the last answer, or of the first send after no request was in
     * flight. */
    uint64_t quiet_ns;
    /* Longest time between two answers in the window. */
    uint64_t stall_ns;
    uint64_t stall_at_ns;
    uint64_t next_number;
    /* Difference between the numbers of this thread's requests. */
    uint64_t number_stride;
    struct reading reading;
    /* Latencies of the current interval. The run replaces the pointer. */
    struct record *record;
    struct request_log *log;
    /* Indexed like options->groups, or NULL if kinds are not counted. The run
     * replaces the pointer together with `record`. */
    struct kind_record *kinds;
    /* `log` or `kinds` is set. */
    bool notes_ends;
    const struct payload *payload;
    uint8_t *scratch;
    /* UDP: random value of this run, independent of the seed. */
    uint64_t nonce;
    struct ledger measured;
    struct ledger warmup;
    /* Requests sent late because no connection was free. */
    uint64_t waited;
    /* Open model: how late the client sends the next request, without its wait
     * for a free connection. */
    uint32_t late_ns;
    /* Errors that belong to no request, counted while `judging` is set. */
    uint64_t events_without_request;
    /* Measured answers by status. All are 0 if the protocol has no status. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* UDP: duplicate, late or reordered answers. */
    struct track_counts measured_answers;
    struct track_counts warmup_answers;
    struct error_table errors;
    /* Attempts to connect that failed because this machine had no port or other
     * resource left. They are not errors of the server. */
    uint64_t shortages;
    /* Error of the last such attempt. */
    int shortage;
    struct connection_counts connections;
    struct h2_counts http2;
    /* Target of the first redirect, or "". */
    char location[CODEC_LOCATION_SIZE];
    uint64_t parting;
    /* server_parts: the server has closed a connection in the state
     * CONN_PARTING. server_stays: it has left one open and never closed one. */
    bool server_parts;
    bool server_stays;
    const struct conn_events *events;
    void *events_arg;
};

/* Updates the longest time without an answer. Called at each answer and at the
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

/*
 * One connection of a run. It keeps a number of requests in flight, passes
 * received bytes to the codec and measures how long each answer takes. Except
 * over HTTP/2 and UDP, answers arrive in order, so the requests are in a ring,
 * and an answer belongs to the oldest one.
 *
 * States: idle -> connecting -> open -> leaving, closing or parting -> idle. A
 * connection that breaks becomes idle in any state. With --preamble: open ->
 * preamble -> open or leaving. client.c decides whether and when to reconnect.
 *
 * A server may end a connection between two requests in any way. This is
 * counted separately and is not a failure. A request that was just sent is sent
 * again on the next connection, if the codec allows it (RFC 9112, section
 * 9.3.1). Its latency counts from the first send.
 *
 * The side that closes first keeps the port for a minute (TIME_WAIT). If the
 * server or the last request has announced the end of the connection, the
 * server therefore gets up to a second to close it (conn_part.c).
 *
 * Over UDP a connection is a connected endpoint (exchange.c).
 */

enum conn_state {
    CONN_IDLE,
    CONN_CONNECTING, /* attempts_start() was called */
    CONN_PREAMBLE,   /* sends its preamble (conn_preamble.c) */
    CONN_OPEN,       /* may send requests */
    CONN_LEAVING,    /* aborted by this side, or the run has ended */
    CONN_CLOSING,    /* closed by this side after the last answer or the
                      * server's end; connection_lost will follow */
    CONN_PARTING,    /* waits for the server to close, after the last answer */
};

struct codec_out {
    weir_transport *transport;
    /* Set while requests are written. */
    struct conn *conn;
    /* Index in the ring of the first request that is being written. */
    uint32_t first;
};

struct conn_kind {
    const struct weir_protocol *protocol;
    /* Requests in flight are in the ring conn.flights, with their numbers. */
    bool has_ring;
    /* Prepares for a new connection. Called after conn_reset(). */
    void (*prepare)(struct conn *conn, const struct target *target);
    void (*send)(struct conn *conn, uint32_t count, uint64_t meant_ns,
                 uint64_t now_ns);
    void (*expire)(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);
    /* Sends all requests in flight again on a new connection. May be NULL. */
    void (*repeat)(struct conn *conn);
    /* Called when the server has ended the connection. Keeps the requests that
     * may be sent again, and fails the others. Returns false, and does nothing,
     * if the end is an error of the connection. If NULL, all requests are kept
     * or none (conn_may_repeat()). */
    bool (*keep)(struct conn *conn, int err);
    /* Sends the protocol's last message at the end of the run. May be NULL. */
    void (*leave)(struct conn *conn);
    /* Ends an idle connection as after its last answer. NULL leaves it open. */
    void (*end)(struct conn *conn);
    /* Called if the next connection uses another protocol. hand_over() of the
     * old protocol moves the requests to be repeated into the ring, the oldest
     * first, but all warm-up requests before the others. take_over() of the new
     * protocol moves them out. Both are NULL if the protocol keeps its requests
     * in the ring. */
    void (*hand_over)(struct conn *conn);
    void (*take_over)(struct conn *conn);
    /* Records all measured requests in flight as lost. NULL if has_ring is set
     * or requests cannot be recorded. */
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
    /* The preamble in progress, and the captured values. Both may be NULL. */
    struct preamble_state *preamble;
    struct template_value *named;
    /* The requests in flight: a ring, with the oldest at `head`. */
    struct flight *flights;
    uint32_t head;
    uint32_t outstanding;
    /* Limit of requests in flight: --pipeline, or less if an HTTP/2 server
     * allows fewer; 0 during the greeting. */
    uint32_t depth;
    /* Number of requests in flight that belong to the warm-up. They are the
     * oldest ones. */
    uint32_t outstanding_warmup;
    /* Open models: the connection is in the queue of connections that can
     * send. */
    bool is_offered;
    /* conn_retire() was called: no more requests are sent. */
    bool is_retired;
    struct conn *next_offered;
    /* Closed loop: the timer of --think, or all zero. */
    struct weir_handle thought;
    struct weir_handle farewell;
    uint64_t parted_ns;
    /* Parting with TLS: time between two checks of the socket. 0 if the socket
     * is not checked. */
    uint64_t part_step_ns;
    /* Answers that the connection may still receive. */
    uint32_t quota;
    /* When the first byte of the incomplete answer arrived, or 0. */
    uint64_t first_byte_ns;
    uint64_t received_bytes;
    /* UDP: replaces `flights` and `head`. */
    struct track track;
    /* UDP: random value of this connection. */
    uint64_t nonce;
    /* UDP: index of the target's address in use. */
    size_t address_index;
    uint64_t measured_from;
    /* Offset in the payload stream: over UDP of the connection, in mode stream
     * of the next block. */
    uint32_t send_at;
    enum conn_state state;
    /* The connection was established at least once. Set by the client. */
    bool was_made;
    /* An answer was received since the connection was established. */
    bool was_used;
    /* Requests in flight will be sent again on the next connection. */
    bool repeats;
    uint32_t index;
    uint32_t generation;
    /* Failures since the last answer. They slow down reconnecting. */
    uint32_t failures;
    /* How often, since the last answer, the server ended the connection without
     * an answer. This slows down reconnecting. */
    uint32_t ended_new;
    /* Set once in a run, even in the warm-up. */
    bool was_tried; /* a request was sent, or an error was counted */
    bool was_answered;
    bool was_counted; /* a measured failure was counted; UDP: or an answer */
    /* --fast-open: opening_look_at_syn() was called. */
    bool knows_syn;
    /* TLS session to resume, or NULL. Set by the client. */
    weir_tls_session *session;
    /* The connection was open or has failed at least once, or was not wanted at
     * the start. Set by the client. */
    bool settled;
    /* The connection is not made, because fewer connections are wanted. Set by
     * the client. */
    bool is_parked;
    uint64_t connect_began_ns;
    /* When the connection was established, including its TLS handshake. */
    uint64_t connected_ns;
    /* Mode stream: bytes of the incomplete block. */
    size_t partial_bytes;
};

/* Requests and answers of a codec, after its greeting (codec.greet) if it has
 * one: conn.depth is 0 until then. In all kinds, the user pointer of the
 * protocol's callbacks is the struct conn. */
extern const struct conn_kind conn_stream;

/* Mode connect: a request is a connection, closed once it is established. */
extern const struct conn_kind conn_visit;

/* Mode idle: a request is a connection that stays open until the end. */
extern const struct conn_kind conn_hold;

/* Mode stream: a request is a block of bytes, up or down. */
extern const struct conn_kind conn_flow;

/* Returns a request in flight. The oldest one has @place 0. */
static inline struct flight *conn_flight(const struct conn *conn,
                                         uint32_t place)
{
    return &conn->flights[(conn->head + place) & conn->traffic->ring_mask];
}

bool conn_has_room(const struct conn *conn);

/* Sends a request scheduled for @meant_ns. conn_has_room() must be true. */
void conn_send_meant(struct conn *conn, uint64_t meant_ns, uint64_t now_ns,
                     bool is_measured);

/* Closed loop: sends until conn.depth requests are in flight, if allowed. */
void conn_fill(struct conn *conn, uint64_t now_ns);

/* Closed loop, after an answer: calls conn_fill() after --think. */
void conn_think(struct conn *conn, uint64_t now_ns);

/* Calls the drained event if nothing is left to send or to wait for. */
void conn_tell_drained(struct traffic *traffic);

/* Assigns the requests in flight to the warm-up, and later requests to the
 * measurement if traffic.measuring is set. */
void conn_mark_warmup(struct conn *conn);

/* Counts a failed attempt to connect or a failed handshake. @detail may be
 * empty. A shortage is an error of this machine, not of the server. */
void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail, bool is_shortage);

/* Mode idle: ends the request of an open connection successfully. */
void conn_end_hold(struct conn *conn, uint64_t now_ns);

/* Ends the connection once no request is in flight. */
void conn_retire(struct conn *conn);

/* Aborts the connection and counts all requests in flight as failed. */
void conn_give_up(struct conn *conn, enum error_phase phase, int code,
                  const char *detail);

/* Reports @late requests that have timed out and are already counted. Gives up
 * the connection if @gives_up is set. This is another error only if none of
 * these requests was measured (@measured). */
void conn_report_late(struct conn *conn, uint32_t late, uint64_t measured,
                      bool gives_up);

/* Handles a failed write: aborts the connection. After -EPIPE it does nothing,
 * because connection_lost will report the cause. */
void conn_write_refused(struct conn *conn, int err);

/* Records a measured request as lost with its connection. */
void conn_note_lost(const struct conn *conn, const struct flight *flight,
                    uint64_t now_ns);

/* Counts all requests in flight as failed. Returns their number. */
uint32_t conn_drop_outstanding(struct conn *conn);

/* Ends a request whose answer is complete. @first_byte_ns is 0 if the whole
 * answer arrived at once. */
void conn_end_request(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t first_byte_ns,
                      const struct codec_answer *answer, uint64_t now_ns);

/* Ends a failed request. @phase and the code of @why are counted. */
void conn_fail_request(struct conn *conn, const struct flight *flight,
                       bool is_warmup, enum error_phase phase,
                       const struct codec_answer *why);

void conn_miss_answer(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t now_ns);

void conn_take_answer(struct conn *conn, const struct codec_answer *answer,
                      uint64_t now_ns);

/* End a connection after its last answer. conn_finish() closes it; conn_part()
 * first gives the server time to close it. */
void conn_finish(struct conn *conn);
void conn_part(struct conn *conn);

/* Handles the server's end of stream in the state CONN_PARTING. Called by
 * eof_received. */
int conn_part_at_end(struct conn *conn);

/* Keeps all requests in flight for the next connection. The server will not
 * answer them on this one. */
void conn_keep_requests(struct conn *conn);

/* Returns true if all requests in flight may be sent again, even if the server
 * has begun to process them. */
bool conn_may_repeat(const struct conn *conn);

/* Implements conn_kind.expire for protocols whose answers arrive in order. */
void conn_expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);

/* Counts an error of @requests requests. For the first error of a phase and
 * code it returns the entry, which is then passed to conn_describe_error();
 * otherwise NULL. */
struct error_kind *conn_count_error(struct conn *conn, enum error_phase phase,
                                    int code, uint32_t requests);

/* Writes the detail of an error and calls the failed event. Does nothing if
 * @first is NULL. */
__attribute__((format(printf, 3, 4))) void
conn_describe_error(struct conn *conn, struct error_kind *first,
                    const char *format, ...);

/* Records the latency of a request that was answered or given up at @now_ns. */
void conn_record_times(const struct conn *conn, const struct flight *flight,
                       uint64_t now_ns, struct histogram *service);

/* Resets the fields that all kinds have. conn_kind.prepare must follow. */
void conn_reset(struct conn *conn);

void conn_made(void *user, weir_transport *t);
void conn_lost(void *user, weir_transport *t, int err);

/* Implements eof_received for streams. The end of the stream is an error unless
 * no request is in flight or the requests may be sent again. */
int conn_ended(void *user, weir_transport *t);

/* Sets socket options and writes the header of the PROXY protocol, before the
 * first request. Returns false if this failed and the connection was given
 * up. */
bool opening_prepare(struct conn *conn);

/* Checks whether data was sent with the connection's SYN, and counts it. Called
 * with --fast-open. */
void opening_look_at_syn(struct conn *conn);

/*
 * The preamble of a connection (request/preamble.c). Its requests are sent one
 * after the other once the connection is established. Answers are read and
 * checked here, not by the codec, and are not in histograms or the ledger.
 *
 * A failed preamble ends its connection, which is made again after a delay. The
 * error has its own phase and names the request. An HTTP answer must have a
 * status below 400; other answers must begin as their line requires.
 */

/* Makes the requests of a thread for all targets. Sets *ret to NULL if there is
 * no preamble. Returns 0, or a negative error that was printed. */
struct preamble_requests;
int preamble_requests_new(const struct run_options *options,
                          struct preamble_requests **ret);
void preamble_requests_free(struct preamble_requests *self);

/* Sends the first request. Sets the state CONN_PREAMBLE, unless the connection
 * was given up. */
void conn_preamble_begin(struct conn *conn, uint64_t now_ns);

/* Events in the state CONN_PREAMBLE. The last answer sets CONN_OPEN and calls
 * conn_events.prepared. */
void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len);
void conn_preamble_ended(struct conn *conn);
void conn_preamble_broke(struct conn *conn, int err);
void conn_preamble_expire(struct conn *conn, uint64_t now_ns,
                          uint64_t timeout_ns);

/* conn_preamble_drop() frees an unfinished preamble. conn_preamble_forget()
 * also frees the captured values. */
void conn_preamble_drop(struct conn *conn);
void conn_preamble_forget(struct conn *conn);

/*
 * One connection of a run over UDP: a connected endpoint that keeps a number of
 * datagrams in flight.
 *
 * A datagram has --send bytes: a head of EXCHANGE_HEAD_SIZE bytes, except in
 * mode rr, then a part of the payload stream. The head has the slot and the
 * number of track.c, and a tag. The tag is a hash of slot, number, and random
 * values of the run and the connection, so that other data is not mistaken for
 * a head. The answer has the same bytes, except in mode rr. A datagram not
 * answered within --timeout is counted as lost and replaced.
 */

#define EXCHANGE_HEAD_SIZE 16U

/* Largest UDP payload in an IPv4 packet. */
#define EXCHANGE_SIZE_MAX 65507U

extern const struct conn_kind exchange_kind;

/*
 * Attempts to connect: TCP or Unix streams, with TLS if the target has it, and
 * connected datagram endpoints. client.c decides which connections to make and
 * what a failure means.
 */

#define ATTEMPTS_MAX 256U

struct attempts;

struct attempt {
    struct attempts *attempts;
    struct conn *conn;
    struct attempt *next_free;
    weir_pending *pending;
    char text[ERRORS_DETAIL_SIZE];
};

struct attempts {
    /* NULL if no target has TLS. */
    weir_tls_context *tls;
    /* Sum of resume_share. A session is resumed when it reaches
     * TLS_RESUME_ALL. */
    uint32_t resume_due;
    struct attempt *first_free;
    struct attempt all[ATTEMPTS_MAX];
};

void attempts_init(struct attempts *attempts, weir_tls_context *tls);

/* Starts an attempt; at most ATTEMPTS_MAX run at a time. Returns 0 if the tried
 * event will follow, else a negative error. */
int attempts_start(struct attempts *attempts, struct conn *conn,
                   const struct target *target);

#endif

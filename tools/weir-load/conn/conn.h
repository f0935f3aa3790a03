/*
 * One connection of a run: it keeps a number of requests under way, has their
 * answers read, and measures how long each took.
 *
 * What a request and an answer is, a codec says (codec.h). Answers come in
 * order, so the times of sending are kept in a ring and the next complete
 * answer belongs to the oldest. Many connections share one struct traffic
 * (traffic.h), which holds all that is counted.
 *
 * States: idle -> connecting -> open -> leaving, closing or parting -> idle;
 * with --preamble between connecting and open: preamble.
 * Who connects again, and when, is decided above (client.h).
 *
 * A server may end a connection between two requests, whenever and however it
 * likes; that is counted apart and is no failure. If a request was just sent,
 * and the codec says that it may be sent twice, it is sent again once the
 * connection is made again (RFC 9112, 9.3.1); its times go on.
 *
 * Who closes first keeps the port for a minute (TIME_WAIT). A connection whose
 * end was announced, by the server or by its last request, is therefore left to
 * the server to be closed, for a second at most (conn_part.c).
 *
 * Over UDP a connection is a connected endpoint, and answers are told by their
 * numbers: exchange.h.
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
    CONN_IDLE,       /* no connection; to be made, or given up */
    CONN_CONNECTING, /* the maker is at work */
    CONN_PREAMBLE,   /* it asks for what comes before (conn_preamble.h) */
    CONN_OPEN,       /* requests may be sent */
    CONN_LEAVING,    /* aborted here, connection_lost is to come */
    CONN_CLOSING,    /* closed here after its last answer, the same */
    CONN_PARTING,    /* after its last answer; the server is to close it */
};

/* Where a codec writes: to the connection itself. */
struct codec_out {
    weir_transport *transport;
    /* With requests: the place of the first among those under way. */
    struct conn *conn;
    uint32_t first;
};

/* What streams and datagrams do each in their way. */
struct conn_kind {
    const struct weir_protocol *protocol;
    /* What is under way is in the ring of flights. */
    bool has_ring;
    /* Begin a connection, which conn_reset() has begun: a fresh place in the
     * payload stream. */
    void (*prepare)(struct conn *conn, const struct target *target);
    /* Send requests, which are counted as under way. */
    void (*send)(struct conn *conn, uint32_t count, uint64_t meant_ns,
                 uint64_t now_ns);
    /* Give up what has waited too long for its answer. */
    void (*expire)(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);
    /* Send all that is under way again, over the connection that was made
     * again. NULL: there never is such. */
    void (*repeat)(struct conn *conn);
    /* The server has ended the connection, by an error that is how servers do
     * that: keep what may be sent again for the next connection, and fail the
     * rest. False: nothing may be, or it is too early for an end, and nothing
     * was done. NULL: answers come in order, and all of it is kept or none
     * (conn_may_repeat()). */
    bool (*keep)(struct conn *conn, int err);
    /* The run is over, and the connection stands: say so. NULL: nothing is
     * said. */
    void (*leave)(struct conn *conn);
    /* It is of use no more, and nothing is under way: end it as after its last
     * answer. NULL: it always stays. */
    void (*end)(struct conn *conn);
    /* The next connection agreed on another protocol: put what is to be sent
     * again into the ring of flights, as it is where answers come in order,
     * those of the warm-up first; or take it from there. NULL: it is there. */
    void (*hand_over)(struct conn *conn);
    void (*take_over)(struct conn *conn);
    /* --log: note all measured ones under way as lost. NULL: they are in the
     * ring of flights, or cannot be noted. */
    void (*note_lost)(const struct conn *conn, uint64_t now_ns);
};

struct preamble_state;

struct conn {
    struct traffic *traffic;
    /* How it speaks. */
    const struct traffic_way *way;
    weir_transport *transport;
    /* The codec's, and with codec.greet what it writes to meanwhile. */
    void *codec_state;
    struct codec_out out;
    /* The preamble under way, and the values that preambles of this connection
     * have captured; NULL: none. */
    struct preamble_state *preamble;
    struct template_value *named;
    /* The requests under way: a ring, oldest at head. */
    struct flight *flights;
    uint32_t head;
    uint32_t outstanding;
    /* How many of them there may be: --pipeline, or with HTTP/2 what the server
     * allows, if that is less; 0 while it is greeted. */
    uint32_t depth;
    /* How many of those, the oldest, belong to the warm-up. */
    uint32_t outstanding_warmup;
    /* Open models: in the queue of those with room. */
    bool is_offered;
    /* It was retired: what is under way is its last. */
    bool is_retired;
    struct conn *next_offered;
    /* Closed loop: the end of --think; all zero: none is waited for. */
    struct weir_handle thought;
    /* Parting: the end of the wait. */
    struct weir_handle farewell;
    uint64_t parted_ns;
    /* With TLS, between two looks at the socket; 0: none was made. */
    uint64_t part_step_ns;
    /* Answers that it may still have. */
    uint32_t quota;
    /* When the first byte of an answer came that is not complete; 0: there is
     * no such answer. */
    uint64_t first_byte_ns;
    uint64_t received_bytes;
    /* UDP in place of flights and head: what is under way, and the first number
     * that is measured. */
    struct track track;
    /* UDP: of this connection alone. */
    uint64_t nonce;
    /* UDP: which address of a name this connection is made to. */
    size_t address_index;
    uint64_t measured_from;
    /* UDP: the place in the payload stream where its datagrams begin; mode
     * stream: of the next block. */
    uint32_t send_at;
    enum conn_state state;
    /* It stood once; set by the client. */
    bool was_made;
    /* It has had an answer since it was made. */
    bool was_used;
    /* What is under way is sent again when it is made again. */
    bool repeats;
    /* Of all connections of the run. */
    uint32_t index;
    uint32_t generation;
    /* Failures since the last answer, and new connections that the server has
     * ended since then although it was asked for nothing: both slow down
     * connecting again. */
    uint32_t failures;
    uint32_t ended_new;
    /* In the whole run, the warm-up included: a request was sent or connecting
     * failed, an answer came, and a failure was counted as measured. */
    bool was_tried;
    bool was_answered;
    bool was_counted;
    /* --fast-open: how this connection was opened is known. */
    bool knows_syn;
    /* TLS: of an earlier connection, to be resumed; NULL: there is none. Set by
     * the client. */
    weir_tls_session *session;
    /* Has it been open or failed once; set by the client. */
    bool settled;
    /* Not to be made, as fewer connections are wanted; set by the client. */
    bool is_parked;
    uint64_t connect_began_ns;
    /* When it stood, with TLS when the handshake was over. */
    uint64_t connected_ns;
    /* Mode stream: bytes of a block that is not all here. */
    size_t partial_bytes;
};

/* Requests and answers of a codec. The user pointer of the protocol is the
 * struct conn, as it is in the others. */
extern const struct conn_kind conn_stream;

/* The same where connections begin with a greeting (codec.greet): until the
 * server has answered it there is room for no request (depth 0). */
extern const struct conn_kind conn_greeted;

/* Mode connect: a request is that the connection stands, and it ends then. */
extern const struct conn_kind conn_visit;

/* Mode idle: a request is that the connection stands until the end. */
extern const struct conn_kind conn_hold;

/* Mode stream: a request is a block of bytes, up or down. */
extern const struct conn_kind conn_flow;

/* Is it open, with fewer requests under way than it may have? */
bool conn_has_room(const struct conn *conn);

/* Send one request that was meant for a time; there is room for it. */
void conn_send_meant(struct conn *conn, uint64_t meant_ns, uint64_t now_ns,
                     bool is_measured);

/* Closed loop: send until depth requests are under way, as far as the traffic
 * allows. */
void conn_fill(struct conn *conn, uint64_t now_ns);

/* Closed loop, after an answer: the same, after --think. */
void conn_think(struct conn *conn, uint64_t now_ns);

/* Tell the owner when there is nothing more to send or to wait for. */
void conn_tell_drained(struct traffic *traffic);

/* From here on new requests count; those under way are warm-up. */
void conn_mark_warmup(struct conn *conn);

/* Count a failure that concerns no open connection: connecting, or the
 * handshake after that. detail may be empty. */
void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail);

/* The same of one that this machine had no means for: no failure of the
 * server's. */
void conn_lack(struct conn *conn, int err, const char *detail);

/* Mode idle: the time is over, and the connection stands. */
void conn_end_hold(struct conn *conn, uint64_t now_ns);

/* It is of use no more: it ends when all under way is answered, or now. */
void conn_retire(struct conn *conn);

/* ---- for the kinds ---- */

/* It is of no use any more: all under way is lost, and it is aborted. */
void conn_give_up(struct conn *conn, enum error_phase phase, int code,
                  const char *detail);

/* For answers that did not come in time: their requests have been counted as
 * that, so that the connection is no error of its own. */
void conn_give_up_late(struct conn *conn, const char *detail, uint32_t late);

/* A write was refused: the connection is given up, unless it is broken (-EPIPE)
 * and its loss will tell the cause. */
void conn_write_refused(struct conn *conn, int err);

/* --log: a measured request is lost with its connection. */
void conn_note_lost(const struct conn *conn, const struct flight *flight,
                    uint64_t now_ns);

/* All under way is lost: counted as failed. Returns how many that were. */
uint32_t conn_drop_outstanding(struct conn *conn);

/* A request has its whole answer, of which the first byte came at a time of its
 * own, or came with the last (0). */
void conn_end_request(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t first_byte_ns,
                      const struct codec_answer *answer, uint64_t now_ns);

/* A request is over without an answer, for a code and a detail. */
void conn_fail_request(struct conn *conn, const struct flight *flight,
                       bool is_warmup, enum error_phase phase,
                       const struct codec_answer *why);

/* A request was not answered in time. */
void conn_miss_answer(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t now_ns);

/* The oldest request has its whole answer. */
void conn_take_answer(struct conn *conn, const struct codec_answer *answer,
                      uint64_t now_ns);

/* The connection has had its last answer, and is closed; or, if its end was
 * announced, the server is to close it. */
void conn_finish(struct conn *conn);
void conn_part(struct conn *conn);

/* Parting, and the server has ended its stream: the result of eof_received. */
int conn_part_at_end(struct conn *conn);

/* The server has ended the connection, or is about to, and will not answer what
 * is under way: all of it is sent again over the next one. */
void conn_keep_requests(struct conn *conn);

/* May all of it be sent again, although the server does not say that it has not
 * begun with it? */
bool conn_may_repeat(const struct conn *conn);

/* conn_kind.expire where answers come in order. */
void conn_expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns);

/* Count an event that concerns so many requests. Returns its kind, for the
 * detail, when it is the first of its kind, else NULL. */
struct error_kind *conn_count_error(struct conn *conn, enum error_phase phase,
                                    int code, uint32_t requests);

/* The times of a request that has its answer, or is given up, at now_ns. */
void conn_record_times(const struct conn *conn, const struct flight *flight,
                       uint64_t now_ns, struct histogram *service);

/* Begin a connection as far as all kinds are alike; conn_kind.prepare follows.
 */
void conn_reset(struct conn *conn);

/* connection_made and connection_lost of all protocols. */
void conn_made(void *user, weir_transport *t);
void conn_lost(void *user, weir_transport *t, int err);

/* eof_received of streams: a connection that is open ends between requests, or
 * too early. */
int conn_ended(void *user, weir_transport *t);

#endif

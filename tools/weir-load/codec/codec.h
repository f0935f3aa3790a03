/*
 * A protocol of requests and answers over streams: how a request is written,
 * and where an answer ends.
 *
 * A codec is a table of functions without clock or socket. The core (conn.c)
 * sends requests, makes connections, handles timeouts, and keeps histograms and
 * the ledger. A codec has two kinds of memory: state shared by the connections
 * of a thread, which it allocates itself, and a state of fixed size for each
 * connection, which the core allocates, all zero before the first connection.
 *
 * Answers arrive in the order of their requests. A codec that needs to know the
 * request (HEAD in HTTP) keeps it in its state; at most --pipeline requests are
 * in flight on a connection.
 */
#ifndef WEIR_LOAD_CODEC_H
#define WEIR_LOAD_CODEC_H

#include "tools/load/payload.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- codec ---- */

/* Longer locations are dropped. */
#define CODEC_LOCATION_SIZE 512

/* A thread's share of a run, for codec.open. */
struct codec_thread {
    const struct run_options *options;
    /* Shared state of the first thread; NULL for that thread itself. */
    const void *first;
};

/* A new connection, for codec.begin. */
struct codec_start {
    const struct target *target;
    /* Among all connections of the run, from 0. */
    uint32_t conn_index;
    /* How often this connection was made before. */
    uint32_t generation;
    /* Captured values (template.c), which may change until requests are sent.
     * NULL if the run has no captures. */
    const struct template_value *named;
    /* Number of requests that were in flight on the old connection. They are
     * sent again before new ones: codec.append is called for each, with its
     * number. */
    uint32_t repeat_count;
};

/* One or more requests to write now. */
struct codec_batch {
    uint32_t count;
    /* Number of the first request, unique in the run. Numbers of the next
     * requests increase by @stride. */
    uint64_t number;
    uint64_t stride;
    /* The batch ends with the last request of its connection. */
    bool has_last;
};

/* Output for requests; opaque to codecs. */
struct codec_out;

/* Writes a copy of the bytes. Returns 0 or a negative error, which codec.append
 * passes on. */
int codec_write(struct codec_out *out, const void *bytes, size_t len);

/* Writes bytes without a copy; they must not change until codec.close. */
int codec_write_ref(struct codec_out *out, const void *bytes, size_t len);

/* Reports which line of --mix or --urls a request is made from. @place is the
 * request's index in the batch. Without a call it is the first line. */
void codec_tell_line(struct codec_out *out, uint32_t place, size_t line);

/* Counts a ping of the server that was answered. */
void codec_count_ping(struct codec_out *out);

/* Result of codec.consume. */
struct codec_answer {
    /* The consumed bytes end an answer. The fields below are only valid for a
     * complete answer. */
    bool is_complete;
    /* The consumed bytes belong to no answer. */
    bool is_blank;
    /* The server takes no further request on this connection. */
    bool ends_connection;
    /* The server timed out waiting for a request: it may not have seen this
     * one. */
    bool is_waited_out;
    /* 0 to 999; 0 if the protocol has no status. */
    uint16_t status;
    /* 0 if the answer is as expected, else a code of measure.h: the answer is
     * valid but counts as failed. The connection stays open. */
    int code;
    /* Target of a redirect, or NULL. Valid until the call that reported the
     * answer returns. */
    const char *location;
    /* Buffer of ERRORS_DETAIL_SIZE bytes for one line about code or the
     * returned error. Only written in these cases. */
    char *detail;
};

struct codec {
    /* Value of --mode. */
    const char *name;
    /* Size of a connection's state. */
    size_t state_size;
    /* Returns the size to add to state_size for a run, a multiple of 8. May be
     * NULL. */
    size_t (*more_size)(const struct run_options *options);
    /* Creates the shared state of a thread. Constant data may be borrowed from
     * the first thread, which is closed last. Returns 0, or a negative error
     * that was printed. */
    int (*open)(const struct codec_thread *thread, void **ret_shared);
    /* Frees the shared state, after the loop and all written bytes are gone;
     * connection states still exist. */
    void (*close)(void *shared);
    /* Starts a new connection; @state still has the state of the previous
     * one. */
    void (*begin)(void *shared, void *state, const struct codec_start *start);
    /* Writes the bytes that start a connection, before its requests. Returns 1
     * if the server must answer them first, 0 if requests may follow, or the
     * negative error of a write. @out is valid until begin is called again.
     * NULL if requests come first. */
    int (*greet)(void *shared, void *state, struct codec_out *out);
    /* Reads the answer to the greeting, like consume. A negative code means
     * that the server refuses the connection. */
    ssize_t (*welcome)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /* Writes the end of a connection after its last answer, so that the server
     * closes it. Returns 0 or the negative error of a write. May be NULL;
     * requires greet. */
    int (*farewell)(void *shared, void *state, struct codec_out *out);
    /* Writes a batch of requests. Returns 0 or the negative error of a
     * write. */
    int (*append)(void *shared, void *state, const struct codec_batch *batch,
                  struct codec_out *out);
    /* Reads one answer or a part of it. A request is in flight, and @len is not
     * 0. All bytes are used unless the answer is complete; the rest belongs to
     * the next one.
     *
     * Returns the number of bytes used. If the bytes are invalid, writes a
     * detail and returns a negative code of measure.h; the caller then gives up
     * the connection. */
    ssize_t (*consume)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /* Reads bytes that arrive while no request is in flight. A server may send
     * blank lines, or announce the end of the connection: then sets is_complete
     * and ends_connection of @answer. Uses all bytes or returns a negative
     * code. NULL if such bytes are always an error. */
    ssize_t (*stray)(void *shared, void *state, const uint8_t *bytes,
                     size_t len, struct codec_answer *answer);
    /* Returns true if the @count oldest requests may be sent twice. NULL if no
     * request ever may. */
    bool (*may_repeat)(const void *shared, const void *state, uint32_t count);
    /* Returns true if the last request of a connection announces its end. NULL
     * means never. */
    bool (*announces_end)(const struct run_options *options);
    /* Returns true if the end of the stream completes an answer. NULL means
     * never. */
    bool (*end)(void *shared, void *state, struct codec_answer *answer);
};

/* Requests are --send bytes of the payload stream; answers echo them. */
extern const struct codec codec_echo;

/* Requests as in codec_echo; answers are any --recv bytes. */
extern const struct codec codec_rr;

extern const struct codec codec_http;

/* Requests are the texts of --request; an answer ends as --expect defines. */
extern const struct codec codec_script;

extern const struct codec codec_redis;

/* WebSocket messages, which the server echoes. */
extern const struct codec codec_ws;

/* Number of protocols that a connection may use; two with --http auto. */
#define CODEC_WAYS 2U

/* Returns a codec of a run. @way 0 is the only protocol, or the default if a
 * connection agrees on no protocol; 1 is the other one. Returns NULL if there
 * is none. */
const struct codec *codec_find(const struct run_options *options, size_t way);

/* Returns the sum of the state sizes of the codecs before @way. */
size_t codec_state_size(const struct run_options *options, size_t way);

/* ---- codec_payload ---- */

/*
 * Requests of --send bytes of the payload stream, in which each connection
 * begins at its own offset.
 *
 * The codecs echo and rr share this code; their answers differ. Random sizes
 * are computed from the index of a request on its connection, so the reader of
 * answers can compute them again.
 */

struct codec_payload {
    struct sizes send;
    struct sizes recv;
    /* Requests begin with the sizes of request and answer; mode rr only. */
    bool has_heads;
    uint64_t seed;
    struct payload stream;
};

/* State of a connection. */
struct codec_place {
    /* Offset of the next request in the payload stream. */
    uint32_t send_at;
    /* Random number from which the sizes are computed. */
    uint64_t random;
    /* Number of requests so far. */
    uint64_t sent_count;
    /* Number of answers so far. */
    uint64_t answered_count;
};

int codec_payload_open(const struct codec_thread *thread, void **ret_shared);
void codec_payload_close(void *shared);

struct codec_place codec_payload_begin(const struct codec_payload *shared,
                                       const struct codec_start *start);

/* Writes a batch, and updates @place for the next one. */
int codec_payload_append(const struct codec_payload *shared,
                         struct codec_place *place,
                         const struct codec_batch *batch,
                         struct codec_out *out);

/* Return the sizes of the connection's @number-th request and its answer. */
static inline size_t codec_payload_send_size(const struct codec_payload *shared,
                                             const struct codec_place *place,
                                             uint64_t number)
{
    return sizes_is_fixed(&shared->send)
               ? (size_t)shared->send.most
               : (size_t)sizes_draw(&shared->send,
                                    payload_mix(place->random + 2 * number));
}

static inline size_t codec_payload_recv_size(const struct codec_payload *shared,
                                             const struct codec_place *place,
                                             uint64_t number)
{
    return sizes_is_fixed(&shared->recv)
               ? (size_t)shared->recv.most
               : (size_t)sizes_draw(&shared->recv, payload_mix(place->random +
                                                               2 * number + 1));
}

#endif

/*
 * A protocol of requests and answers over streams: how a request is written,
 * and where an answer ends.
 *
 * A codec is a table of functions without clock or socket. conn.c makes
 * connections, sends the requests, and handles timeouts, histograms and counts.
 * A codec has two kinds of state: one for each thread, which it allocates
 * itself, and one of fixed size for each connection. conn.c allocates the
 * latter and zeroes it before the first connection.
 *
 * Answers arrive in the order of their requests. At most --pipeline requests
 * are in flight on a connection.
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

/* Size of a buffer for a redirect's target. A longer target is dropped. */
#define CODEC_LOCATION_SIZE 512

/* Argument of codec.open. */
struct codec_thread {
    const struct run_options *options;
    /* Shared state of the first thread, or NULL if this thread is the first. */
    const void *first;
};

/* A new connection; argument of codec.begin. */
struct codec_start {
    const struct target *target;
    /* Index among all connections of the run, from 0. */
    uint32_t conn_index;
    /* How often this connection was made before. */
    uint32_t generation;
    /* Captured values (template.c), or NULL if the run captures nothing. They
     * may change until a request is sent. */
    const struct template_value *named;
    /* Number of requests in flight when the previous connection ended.
     * codec.append is called again for each of them, with the same number,
     * before new requests. */
    uint32_t repeat_count;
};

/* Requests to write now; argument of codec.append. */
struct codec_batch {
    uint32_t count;
    /* Number of the first request, unique in the run. The next numbers increase
     * by @stride. */
    uint64_t number;
    uint64_t stride;
    /* The batch's last request is the last one of its connection. */
    bool has_last;
};

struct codec_out;

/* Writes a copy of the bytes. Returns 0 or a negative error. */
int codec_write(struct codec_out *out, const void *bytes, size_t len);

/* Like codec_write(), but without a copy: the bytes must not change until
 * codec.close. */
int codec_write_ref(struct codec_out *out, const void *bytes, size_t len);

/* Writes a request of @len bytes @count times. @bytes has @copies of it. */
static inline int codec_write_same(struct codec_out *out, const char *bytes,
                                   size_t len, size_t copies, uint32_t count)
{
    int err = 0;

    while (count > 0 && err == 0) {
        const uint32_t part = count < copies ? count : (uint32_t)copies;
        err = codec_write_ref(out, bytes, part * len);
        count -= part;
    }
    return err;
}

/* Sets which line of --mix or --urls a request is made from. @place is the
 * request's index in the batch. Without a call, it is the first line. */
void codec_tell_line(struct codec_out *out, uint32_t place, size_t line);

/* Counts a ping of the server that was answered. */
void codec_count_ping(struct codec_out *out);

/* Result of codec.consume. */
struct codec_answer {
    /* The consumed bytes end an answer. Only then are the fields after is_blank
     * valid. */
    bool is_complete;
    /* The consumed bytes belong to no answer. */
    bool is_blank;
    /* The server accepts no further request on this connection. */
    bool ends_connection;
    /* The server timed out waiting for a request. It may not have received the
     * request in flight. */
    bool is_waited_out;
    /* At most 999; 0 if the protocol has no status. */
    uint16_t status;
    /* 0, or a code of measure.h if the answer is valid but not the expected
     * one. The request then counts as failed, and the connection stays open. */
    int code;
    /* Target of a redirect, or NULL. The text is valid until the next call of
     * the codec. */
    const char *location;
    /* Buffer of ERRORS_DETAIL_SIZE bytes for one line about the code or about
     * the returned error. */
    char *detail;
};

struct codec {
    const char *name;
    size_t state_size;
    /* Returns a size to add to state_size in this run, a multiple of 8. May be
     * NULL. */
    size_t (*more_size)(const struct run_options *options);
    /* Makes the shared state of a thread. It may use constant data of the first
     * thread, which is closed last. Returns 0, or a negative error that was
     * printed. */
    int (*open)(const struct codec_thread *thread, void **ret_shared);
    /* Frees the shared state, after the loop and all written bytes are gone.
     * The states of connections still exist. */
    void (*close)(void *shared);
    /* Starts a new connection. @state still has the values of the previous
     * one. */
    void (*begin)(void *shared, void *state, const struct codec_start *start);
    /* Writes bytes that precede the requests of a connection. Returns 1 if the
     * server must answer them first, 0 if requests may follow, or a negative
     * error. @out is valid until the next begin. NULL means that there are no
     * such bytes. */
    int (*greet)(void *shared, void *state, struct codec_out *out);
    /* Reads the answer to greet, like consume. A negative code means that the
     * server refuses the connection. */
    ssize_t (*welcome)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /* Writes the protocol's last message, after which the server closes the
     * connection. Returns 0 or a negative error. May be NULL, and must be NULL
     * if greet is. */
    int (*farewell)(void *shared, void *state, struct codec_out *out);
    /* Writes a batch of requests. Returns 0 or a negative error. */
    int (*append)(void *shared, void *state, const struct codec_batch *batch,
                  struct codec_out *out);
    /* Reads one answer or a part of it. A request is in flight, and @len is not
     * 0. All bytes are used unless they complete the answer; later bytes belong
     * to the next one.
     *
     * Returns the number of bytes used. If the bytes are invalid, writes a
     * detail and returns a negative code of measure.h; the caller then closes
     * the connection. */
    ssize_t (*consume)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /* Reads bytes that arrive while no request is in flight, such as blank
     * lines. If they announce the end of the connection, sets is_complete and
     * ends_connection. Uses all bytes or returns a negative code. NULL means
     * that such bytes are always an error. */
    ssize_t (*stray)(void *shared, void *state, const uint8_t *bytes,
                     size_t len, struct codec_answer *answer);
    /* Returns true if the @count newest requests may be sent again. NULL means
     * that none may. */
    bool (*may_repeat)(const void *shared, const void *state, uint32_t count);
    /* Returns true if the last request of a connection asks the server to close
     * it. NULL means never. */
    bool (*announces_end)(const struct run_options *options);
    /* Called at the end of the stream. Returns true if this completes an
     * answer. NULL means never. */
    bool (*end)(void *shared, void *state, struct codec_answer *answer);
};

/* A request is --send bytes of the payload stream, and its answer is the same
 * bytes. */
extern const struct codec codec_echo;

/* Like codec_echo, but an answer is any --recv bytes. */
extern const struct codec codec_rr;

extern const struct codec codec_http;

/* A request is the text of --request. Its answer ends as --expect defines. */
extern const struct codec codec_script;

extern const struct codec codec_redis;

/* A request is a WebSocket message, which the server echoes. */
extern const struct codec codec_ws;

/* Largest number of protocols of a run: two with --http auto, else one. */
#define CODEC_WAYS 2U

/* Returns a codec of the run, or NULL if there is none. With --http auto,
 * HTTP/1.1 has @way 0 and HTTP/2 has @way 1. Otherwise the only protocol has
 * @way 0. */
const struct codec *codec_find(const struct run_options *options, size_t way);

/* Returns the sum of the state sizes of the codecs before @way. */
size_t codec_state_size(const struct run_options *options, size_t way);

/*
 * Requests of --send bytes of the payload stream, in which each connection
 * starts at its own offset. The codecs echo and rr share this code.
 *
 * Random sizes are computed from the index of a request on its connection, so
 * that the reader of answers can compute them again.
 */

struct codec_payload {
    struct sizes send;
    struct sizes recv;
    /* Requests begin with their own size and the answer's. Mode rr only. */
    bool has_heads;
    uint64_t seed;
    struct payload stream;
};

struct codec_place {
    /* Offset of the next request in the payload stream. */
    uint32_t send_at;
    /* Random number from which the sizes are computed. */
    uint64_t random;
    uint64_t sent_count;
    uint64_t answered_count;
};

int codec_payload_open(const struct codec_thread *thread, void **ret_shared);
void codec_payload_close(void *shared);

struct codec_place codec_payload_begin(const struct codec_payload *shared,
                                       const struct codec_start *start);

/* Implements codec.append. @state begins with a struct codec_place. */
int codec_payload_append(void *shared, void *state,
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

/*
 * Requests of the codecs script and redis: one, or one for each kind of --mix
 * or --urls. A request without placeholders is stored several times in a row,
 * so that a batch is one write without a copy.
 */

struct codec_request {
    struct template script;
    const struct script_rule *rule;
    /* Mode redis: replaces `script` and `rule`. */
    struct redis_command command;
    /* Copies of a request without placeholders, or NULL if it has some. */
    char *bytes;
    size_t len;
    uint32_t copies;
};

struct codec_requests {
    const struct run_options *options;
    /* Owned by the first thread; the others read them. */
    struct codec_request *list;
    size_t count;
    bool owns_list;
    /* Buffer for one request with its placeholders replaced. */
    char *scratch;
};

/* State of a connection. */
struct codec_requests_conn {
    uint32_t conn_index;
    const struct template_value *named;
    /* Only with --mix: seed from which the kind of each request is drawn. */
    uint64_t random;
    uint64_t sent_count;
    /* With --urls the numbers of the requests in flight, a ring of --pipeline
     * elements indexed by sent_count. May be NULL. */
    uint64_t *numbers;
};

int codec_requests_open(const struct codec_thread *thread, void **ret_shared);
void codec_requests_close(void *shared);

struct codec_requests_conn
codec_requests_begin(const struct codec_requests *shared,
                     const struct codec_start *start);

/* Returns the connection's request with index @place. @number is its number in
 * the run, which is used only with --urls. */
const struct codec_request *
codec_requests_find(const struct codec_requests *shared,
                    const struct codec_requests_conn *conn, uint64_t place,
                    uint64_t number);

/* Implements codec.append. @state begins with a struct codec_requests_conn. */
int codec_requests_append(void *shared, void *state,
                          const struct codec_batch *batch,
                          struct codec_out *out);

#endif

/*
 * A protocol of requests and answers, as weir-load speaks it over streams: how
 * a request is written, and where an answer ends.
 *
 * A codec is a table of functions that know no clock and no socket. When
 * requests are sent, how many are under way, connections and their making,
 * time-outs, histograms and the ledger are the core's (conn.h). A codec has two
 * kinds of memory: what the connections of a thread share, which it makes and
 * frees itself, and a state of fixed size for each connection, which is the
 * core's and is all zero before the first connection.
 *
 * Answers come in the order of their requests. A codec that has to know what
 * was asked for (HEAD in HTTP) remembers it in its state; the core never has
 * more than --pipeline requests under way on a connection.
 */
#ifndef WEIR_LOAD_CODEC_H
#define WEIR_LOAD_CODEC_H

#include "tools/weir-load/measure/errors.h"
#include "tools/weir-load/options/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A longer Location is not kept. */
#define CODEC_LOCATION_SIZE 512

/* What a thread's share of a run is, for codec.open. */
struct codec_thread {
    const struct run_options *options;
    /* What the first thread shares; NULL for that one itself. */
    const void *first;
};

/* A connection that begins. */
struct codec_start {
    const struct target *target;
    /* Of all connections of the run, from 0 on. */
    uint32_t conn_index;
    /* How many times this connection was made before. */
    uint32_t generation;
    /* The values that it has by name (template.h), which may change until it
     * takes part; NULL: no name was added. */
    const struct template_value *named;
    /* So many requests were under way on the one before, and are written again
     * first: codec.append gets them one by one, with their numbers. */
    uint32_t repeat_count;
};

/* Requests that are to be written now, at least one. */
struct codec_batch {
    uint32_t count;
    /* The number of the first; no other request of the run has it. The next
     * one has stride more. */
    uint64_t number;
    uint64_t stride;
    /* The last of them is the last one of its connection. */
    bool has_last;
};

/* Where requests are written; only the functions below look into it. */
struct codec_out;

/* Write bytes that may change after the call. 0 or a negative error, which
 * codec.append passes on. */
int codec_write(struct codec_out *out, const void *bytes, size_t len);

/* Write bytes that stay as they are until codec.close: they are not copied. */
int codec_write_ref(struct codec_out *out, const void *bytes, size_t len);

/* Tell which line of --mix or --urls a request of the batch is, by
 * its place in the batch; without it, the first one. */
void codec_tell_line(struct codec_out *out, uint32_t place, size_t line);

/* The server has asked whether the connection lives, and was answered. */
void codec_count_ping(struct codec_out *out);

/* What codec.consume tells. */
struct codec_answer {
    /* The answer ended with the last of the bytes that were used. The fields
     * below have a meaning for a complete answer alone. */
    bool is_complete;
    /* What was used belongs to no answer. */
    bool is_blank;
    /* The server takes no further request on this connection. */
    bool ends_connection;
    /* The server says that it has waited for a request in vain: perhaps it has
     * not seen this one. */
    bool is_waited_out;
    /* 0 to 999, where the protocol has such; 0: none. */
    uint16_t status;
    /* 0: as expected; otherwise it was understood and is a failure, of this
     * code (errors.h). The connection goes on. */
    int code;
    /* Of a redirect: where it leads, until the call returns that has told the
     * answer; NULL: it is none, or does not say. */
    const char *location;
    /* A line about code, or about the error that was returned: at most
     * ERRORS_DETAIL_SIZE bytes. To be written then alone. */
    char *detail;
};

struct codec {
    /* As --mode names it. */
    const char *name;
    /* Bytes of a connection's state. */
    size_t state_size;
    /* Bytes of it besides, a multiple of 8, that the run decides about. NULL:
     * none. */
    size_t (*more_size)(const struct run_options *options);
    /* Make what the connections of a thread share. What never changes may be
     * borrowed from the first thread, which is closed last. 0, or a negative
     * error that has been told on standard error. */
    int (*open)(const struct codec_thread *thread, void **ret_shared);
    /* Free it, when the loop and all that was written are gone; states are
     * still there. */
    void (*close)(void *shared);
    /* A new connection, with the state of the one before. */
    void (*begin)(void *shared, void *state, const struct codec_start *start);
    /* Write what a connection begins with, before its requests. Returns 1: the
     * server has to answer it first; 0: requests may follow; or the negative
     * error of a write. out is there until the next begin, and is for what is
     * written meanwhile. NULL: requests begin at once. */
    int (*greet)(void *shared, void *state, struct codec_out *out);
    /* Read the answer to that, or a part of it, as consume reads answers. A
     * negative code: the server does not want the connection. */
    ssize_t (*welcome)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /* Write that a connection ends, which has had its last answer; the server
     * closes it then. 0 or the negative error of a write. NULL: none. Only
     * with greet. */
    int (*farewell)(void *shared, void *state, struct codec_out *out);
    /* Write a batch of requests. 0 or the negative error of a write. */
    int (*append)(void *shared, void *state, const struct codec_batch *batch,
                  struct codec_out *out);
    /*
     * Read one answer, or a part of it, or nothing. There is an answer to
     * come, and len is not 0. All bytes are used up unless the answer is
     * complete; what is left belongs to the next one.
     *
     * Returns how many bytes were used; or a negative code of errors.h with a
     * detail: the bytes cannot be understood, and the connection is given up.
     */
    ssize_t (*consume)(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer);
    /*
     * Read bytes that came while no request is under way, and which a server
     * may send then: blank lines, or that it ends the connection
     * (ends_connection of a complete answer). All are used up, or it is a
     * negative code as above. NULL: there may be none.
     */
    ssize_t (*stray)(void *shared, void *state, const uint8_t *bytes,
                     size_t len, struct codec_answer *answer);
    /* May the oldest requests without an answer be sent twice? NULL: none. */
    bool (*may_repeat)(const void *shared, const void *state, uint32_t count);
    /* Does the last request of a connection tell the server that it is the
     * last? NULL: it never does. */
    bool (*announces_end)(const struct run_options *options);
    /* The server has ended the stream: does that complete the answer? NULL:
     * it never does. */
    bool (*end)(void *shared, void *state, struct codec_answer *answer);
};

/* Requests are bytes of the payload stream, --send of them; the answer is the
 * same bytes. */
extern const struct codec codec_echo;

/* The same requests; the answer is --recv bytes, whatever they are. */
extern const struct codec codec_rr;

/* HTTP/1.1. */
extern const struct codec codec_http;

/* --request, and answers as --expect has them. */
extern const struct codec codec_script;

/* Commands of Redis, and replies of RESP. */
extern const struct codec codec_redis;

/* Messages of WebSocket; the answer is the same one. */
extern const struct codec codec_ws;

/* With --http auto a connection may speak one of two protocols. */
#define CODEC_WAYS 2U

/* A codec of a run: the first, which has it alone or speaks where nothing is
 * agreed on, or the second. NULL: there is none, or its mode has none. */
const struct codec *codec_find(const struct run_options *options, size_t way);

/* Bytes of a connection's state in a run, for its codecs before one. */
size_t codec_state_size(const struct run_options *options, size_t way);

#endif

/*
 * Errors counted by phase and code, in a table of fixed size. An event is a
 * failed connection; the requests that were in flight on it are counted
 * separately. The first event of each kind keeps a line of detail.
 */
#ifndef WEIR_LOAD_ERRORS_H
#define WEIR_LOAD_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#define ERRORS_KINDS 32
/* Enough for eight failed addresses in the format of tried.h. */
#define ERRORS_DETAIL_SIZE 768

#define ERROR_PHASES(X)                                                        \
    X(CONNECT, "connect")   /* before the connection was established */        \
    X(TLS, "tls")           /* in the TLS handshake */                         \
    X(PREAMBLE, "preamble") /* before the first measured request */            \
    X(WRITE, "write")       /* a request was not accepted */                   \
    X(TRANSFER, "transfer") /* the connection broke */                         \
    X(EOF, "eof")           /* the server ended the stream */                  \
    X(VALIDATE, "validate") /* an answer was not as expected */                \
    X(TIMEOUT, "timeout")   /* no answer in time */

#define ERROR_PHASE(name, text) PHASE_##name,

enum error_phase { ERROR_PHASES(ERROR_PHASE) };

/* weir-load's own codes with their texts, below the codes of the library. HTTP
 * and Redis have more (http_head.h, h2_errors.h, redis_errors.h). */
#define ERROR_CODES(X)                                                         \
    X(EOF, "the server closed the connection")                                 \
    X(WRONG_ECHO, "the answer is not what was sent")                           \
    X(SURPLUS, "more bytes came back than were asked for")                     \
    X(NO_ANSWER, "no answer within the time-out")                              \
    X(STATUS, "a status that is not expected")                                 \
    X(LENGTH, "a length field that cannot be")                                 \
    X(WRONG_SIZE, "the datagram is not of the size of an answer")              \
    X(ANSWER, "an answer that is not as expected")                             \
    X(WANTS_TLS, "the server says that it speaks TLS; write https://")         \
    X(BODY_SIZE, "a body too large for --expect re:")                          \
    X(CAPTURE, "an answer without the value that --capture is to have")        \
    X(HTTP2, "HTTP/2 that is against its rules")                               \
    X(NOT_HTTP2, "the server does not speak HTTP/2")                           \
    X(NO_SETTINGS, "no SETTINGS of HTTP/2 within the time-out")                \
    X(NO_STREAM, "the server allowed no stream")                               \
    X(RESP, "a reply that is none of Redis")                                   \
    X(NO_WEBSOCKET, "the server does not begin WebSocket")                     \
    X(WEBSOCKET, "frames of WebSocket that are against its rules")             \
    X(WEBSOCKET_CLOSE, "the server closed the WebSocket")

#define ERROR_CODE(name, text) ERROR_##name,

enum {
    ERROR_BEFORE = -5050,
    ERROR_CODES(ERROR_CODE) ERROR_BEHIND,
};

struct error_kind {
    enum error_phase phase;
    int code;
    uint64_t count;
    uint64_t requests;
    char detail[ERRORS_DETAIL_SIZE];
};

struct error_table {
    size_t kind_count;
    /* Events of kinds that did not fit into the table. */
    uint64_t other_count;
    struct error_kind kinds[ERRORS_KINDS];
};

struct error_count {
    enum error_phase phase;
    int code;
    uint64_t count;
};

struct error_counts {
    size_t kind_count;
    uint64_t other_count;
    struct error_count kinds[ERRORS_KINDS];
};

/* Counts an event. Returns its kind if it is the first of the kind, so that the
 * caller can set the detail, else NULL. */
struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests);

void errors_merge(struct error_table *table, const struct error_table *from);

/* Returns the events since the last call with @seen, and updates @seen. Kinds
 * without new events are left out. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret);

/* Adds the events of another thread in the same interval. */
void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from);

const char *error_phase_name(enum error_phase phase);

const char *error_code_name(int code);

/* Returns one line without a full stop. */
const char *error_code_text(int code);

#endif

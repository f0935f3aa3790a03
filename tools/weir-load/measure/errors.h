/*
 * What went wrong, by phase and code, counted in a table of fixed size.
 *
 * An event is a connection that failed; the requests that were under way on
 * it are counted beside. The first event of each kind keeps a line of detail.
 */
#ifndef WEIR_LOAD_ERRORS_H
#define WEIR_LOAD_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#define ERRORS_KINDS 32
/* Eight addresses that were tried in vain, as tried.h writes them. */
#define ERRORS_DETAIL_SIZE 768

#define ERROR_PHASES(X)                                                        \
    X(CONNECT, "connect")   /* before the connection stood */                  \
    X(TLS, "tls")           /* the handshake on it */                          \
    X(PREAMBLE, "preamble") /* before its first request */                     \
    X(WRITE, "write")       /* a request was not accepted */                   \
    X(TRANSFER, "transfer") /* the connection broke */                         \
    X(EOF, "eof")           /* the server ended the stream */                  \
    X(VALIDATE, "validate") /* an answer was not the echo of the request */    \
    X(TIMEOUT, "timeout")   /* no answer in time */

#define ERROR_PHASE(name, text) PHASE_##name,

enum error_phase { ERROR_PHASES(ERROR_PHASE) };

/* weir-load's own codes, with one line about each, below those of the library;
 * HTTP and Redis have more (http_head.h, h2_errors.h, redis_errors.h). */
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
    /* Events that found no room, of kinds beyond ERRORS_KINDS. */
    uint64_t other_count;
    struct error_kind kinds[ERRORS_KINDS];
};

/* How many events of each kind there were in an interval. */
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

/* Count an event. Returns its kind, for the detail, when it is the first of
 * its kind, else NULL. */
struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests);

/* Add all events of another table. */
void errors_merge(struct error_table *table, const struct error_table *from);

/* The events of a table that were not among those seen before; they are now.
 * Kinds without any are left out. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret);

/* Add the events of another thread in the same interval. */
void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from);

/* Events of a phase. */
uint64_t errors_in_phase(const struct error_table *table,
                         enum error_phase phase);

/* "connect", "transfer", ... */
const char *error_phase_name(enum error_phase phase);

/* "ECONNRESET", "WRONG_ECHO", ... */
const char *error_code_name(int code);

/* One line without a dot at its end. */
const char *error_code_text(int code);

#endif

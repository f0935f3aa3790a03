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

enum error_phase {
    PHASE_CONNECT,  /* before the connection stood */
    PHASE_TLS,      /* the handshake on it */
    PHASE_WRITE,    /* a request was not accepted */
    PHASE_TRANSFER, /* the connection broke */
    PHASE_EOF,      /* the server ended the stream */
    PHASE_VALIDATE, /* an answer was not the echo of the request */
    PHASE_TIMEOUT,  /* no answer in time */
};

/* weir-load's own codes, below those of the library; HTTP has more
 * (http_head.h, h2_errors.h). */
enum {
    ERROR_EOF = -5000, /* end of stream with requests unanswered */
    ERROR_WRONG_ECHO = -5001,
    ERROR_SURPLUS = -5002,     /* more bytes than were asked for */
    ERROR_NO_ANSWER = -5003,   /* --timeout passed */
    ERROR_STATUS = -5004,      /* a status that is a failure */
    ERROR_ANSWER = -5005,      /* an answer that is not as it should be */
    ERROR_LENGTH = -5006,      /* a length field that cannot be */
    ERROR_WRONG_SIZE = -5007,  /* a datagram of another size */
    ERROR_BODY_SIZE = -5008,   /* a body that cannot be looked at as a whole */
    ERROR_HTTP2 = -5009,       /* frames or an answer against RFC 9113 */
    ERROR_NOT_HTTP2 = -5010,   /* the server speaks another version */
    ERROR_NO_SETTINGS = -5011, /* a connection that never began */
    ERROR_NO_STREAM = -5012,   /* a server that allows no request */
    ERROR_WANTS_TLS = -5013,   /* a server that says that it speaks TLS */
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

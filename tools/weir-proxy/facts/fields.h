/*
 * Everything that weir-proxy reports: one row for each value of the program, a
 * service, a target, an address of a target's name, and a connection.
 *
 * A row has the offset of the value and the outputs that show it: the log
 * (record.h), /metrics (metrics.h), /status and --top (status.h), and the
 * response to the command status (control.h).
 */
#ifndef WEIR_PROXY_FIELDS_H
#define WEIR_PROXY_FIELDS_H

#include "counts.h"

/* Names of a service, route, target and address, which are labels. */
#define FIELDS_NAMES 4

enum field_of {
    OF_CONNECTION, /* struct record */
    OF_PROGRAM,    /* struct program_facts */
    OF_SERVICE,    /* struct service_facts */
    OF_TARGET,     /* struct target_facts */
    OF_ADDRESS,    /* struct address_facts */
};

enum field_kind {
    FIELD_TIME,
    FIELD_ADDRESS, /* struct weir_address; length 0 is no value */
    FIELD_NAME,    /* text; NULL or "" is no value */
    FIELD_TRIED,   /* like FIELD_NAME, but longer and with spaces */
    FIELD_REASON,
    FIELD_MS,         /* uint64_t, nanoseconds */
    FIELD_MS_IF_1,    /* like FIELD_MS; 0 is no value */
    FIELD_COUNT,      /* uint64_t */
    FIELD_COUNT_IF,   /* like FIELD_COUNT; FIELD_NONE is no value */
    FIELD_SMALL,      /* uint32_t */
    FIELD_SMALL_IF_1, /* like FIELD_SMALL; 0 is no value */
    FIELD_HISTOGRAM,  /* connect times in struct counts */
    FIELD_ERROR,      /* last error of a target; 0 is no value */
};

#define FIELD_NONE UINT64_MAX

struct config_target;

#define STATUS_WORDS 10

/* Fields of a line of /status after its kind. */
enum status_word {
    PROXY_THREADS = 1, /* in lines of kind "proxy" */
    PROXY_STATE,       /* serves or drains */
    PROXY_RECEIVED,    /* bytes, from clients and targets */
    PROXY_SENT,
    PROXY_BUFFERS, /* bytes that are buffered now */
    PROXY_MEMORY,
    PROXY_MEMORY_LIMIT,

    SERVICE_NAME = 1, /* in lines of kind "service" */
    SERVICE_ACTIVE,
    SERVICE_QUEUED,
    SERVICE_TOTAL,
    SERVICE_ERRORS, /* connections that did not end with "done" */

    TARGET_SERVICE = 1, /* in lines of kind "target" */
    TARGET_ROUTE,
    TARGET_NAME,
    TARGET_UP,
    TARGET_ACTIVE,
    TARGET_TOTAL,
    TARGET_ERRORS,    /* failed connects, and failed TLS handshakes after a
                       * PROXY header */
    TARGET_IN_USE_MS, /* with balance first: time in use, or "-" */
    TARGET_STATE,     /* up, down, draining or disabled */

    CONNECTION_CLIENT = 1, /* in lines of kind "connection" */
    CONNECTION_SERVICE,
    CONNECTION_TARGET,
    CONNECTION_STATE, /* waiting (places.h), opening, connecting, relayed */
    CONNECTION_AGE_MS,
    CONNECTION_IN,
    CONNECTION_OUT,
};

struct field {
    const char *name; /* name in the log, or NULL */
    enum field_kind kind;
    size_t offset;
    enum field_of of;
    int status;         /* enum status_word; 0 is none */
    const char *ctl;    /* text with % for the value, or NULL */
    const char *metric; /* without "weir_proxy_", or NULL */
    const char *help;
    const char *label;         /* label of an array of values, or NULL */
    const char *const *values; /* values of the label */
    size_t count;
};

/* All fields; the fields of the log come first. */
extern const struct field fields[];
extern const size_t fields_count;

struct program_facts {
    uint64_t threads;
    const char *state;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t buffer_bytes; /* received or waiting to be sent, counted once */
    uint64_t memory_bytes;
    uint64_t memory_limit_bytes;
    uint64_t lost_lines;
    uint64_t is_reloaded; /* 0 if the last reload was refused */
};

struct service_facts {
    const char *names[FIELDS_NAMES];
    struct counts counts;
    uint64_t queued; /* waiting now */
    uint64_t errors; /* connections that did not end with "done" */
};

struct target_facts {
    const char *names[FIELDS_NAMES];
    const struct config_target *config;
    const char *short_name; /* name without its scheme */
    const char *ordered;    /* draining or disabled, or NULL */
    const char *state;      /* @ordered, or else up or down */
    uint64_t weight;
    uint64_t errors; /* like TARGET_ERRORS */
    struct target_sum sum;
};

/* An address of a target's name, if each address is a target: with
 * ADDRESSES_ALL, and of srv:// targets. */
struct address_facts {
    const char *names[FIELDS_NAMES];
    const char *state;
    uint64_t is_up;
    uint64_t priority; /* of the SRV record, or FIELD_NONE */
    uint64_t weight;   /* of the SRV record, or FIELD_NONE */
    const struct target_facts *target;
};

const void *field_value(const struct field *field, const void *object);
uint64_t field_number(const struct field *field, const void *object);
const char *field_text(const struct field *field, const void *object);
bool field_is_number(const struct field *field);
bool field_has_value(const struct field *field, const void *object);

#endif

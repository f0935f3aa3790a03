/*
 * State of the running proxy in lines of text, for `weir-proxy --top` and for
 * people: services, targets, and the connections with most bytes.
 *
 * Fields are separated by tabs: the kind of the line, then those of enum
 * status_word (fields.h). Counters are since the start.
 */
#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

#include "metrics.h"

/* Limit of connections inspected on a thread, oldest first, so that a thread
 * with very many is not blocked. */
#define STATUS_LOOKED_AT 10000u
/* Limit of connections shown, of all threads. */
#define STATUS_LISTED 50u

#define STATUS_WORDS 10

/* Fields of a line after its kind. */
enum status_word {
    PROXY_THREADS = 1, /* "proxy" */
    PROXY_STATE,       /* serves or drains */
    PROXY_RECEIVED,    /* bytes, from clients and targets */
    PROXY_SENT,
    PROXY_BUFFERS, /* bytes that are buffered now */
    PROXY_MEMORY,
    PROXY_MEMORY_LIMIT, /* of buffered bytes */

    SERVICE_NAME = 1, /* "service" */
    SERVICE_ACTIVE,
    SERVICE_QUEUED,
    SERVICE_TOTAL,
    SERVICE_ERRORS, /* connections that did not end with "done" */

    TARGET_SERVICE = 1, /* "target" */
    TARGET_ROUTE,
    TARGET_NAME,
    TARGET_UP, /* 1 or 0 */
    TARGET_ACTIVE,
    TARGET_TOTAL,
    TARGET_ERRORS,    /* failed connects and broken connections */
    TARGET_IN_USE_MS, /* with balance first, time in use; - if it is not */
    TARGET_STATE,     /* up, down, draining or disabled */

    CONNECTION_CLIENT = 1, /* "connection" */
    CONNECTION_SERVICE,
    CONNECTION_TARGET,
    CONNECTION_STATE, /* waiting (places.h), opening, connecting, relayed */
    CONNECTION_AGE_MS,
    CONNECTION_IN,
    CONNECTION_OUT,
};

struct status {
    struct metrics *metrics;
    struct record listed[STATUS_LISTED]; /* most bytes first */
    size_t count;
};

/* Callback for each thread, also gathers the metrics; its argument is the
 * status. */
void status_gather(void *status, weir_thread *thread);
void status_write(const struct status *status, FILE *out);
/* Writes the answer to the command status: targets and addresses. */
void status_answer(const struct metrics *metrics, FILE *out);

#endif

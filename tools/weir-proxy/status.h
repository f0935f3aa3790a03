/*
 * The state of the running proxy in lines of plain text, for `weir-proxy --top`
 * and for people: services, targets, and the connections with most bytes.
 *
 * The words of a line stand between tabs. Their order, behind the kind of the
 * line, is that of enum status_word; the numbers are since the start, and bytes
 * are bytes.
 */
#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

#include "metrics.h"
#include "orders.h"

/* Connections of a thread that are looked at, the oldest first, so that a
 * thread with very many is not held up. */
#define STATUS_LOOKED_AT 10000u
/* Connections that are told, of all threads. */
#define STATUS_LISTED 50u

#define STATUS_WORDS 10

/* Words of a line, from the second on: the first is its kind. */
enum status_word {
    PROXY_THREADS = 1, /* "proxy" */
    PROXY_STATE,       /* serves or drains */
    PROXY_RECEIVED,    /* bytes, from clients and targets */
    PROXY_SENT,
    PROXY_BUFFERS, /* bytes that wait now */
    PROXY_MEMORY,
    PROXY_MEMORY_LIMIT, /* of the bytes that wait */

    SERVICE_NAME = 1, /* "service" */
    SERVICE_ACTIVE,
    SERVICE_QUEUED,
    SERVICE_TOTAL,
    SERVICE_ERRORS, /* connections that ended otherwise than done */

    TARGET_SERVICE = 1, /* "target" */
    TARGET_ROUTE,
    TARGET_NAME,
    TARGET_UP, /* 1: it is, 0: it is not */
    TARGET_ACTIVE,
    TARGET_TOTAL,
    TARGET_ERRORS,    /* connects that failed, and connections that broke */
    TARGET_IN_USE_MS, /* by balance first, so long; -: it is not */
    TARGET_STATE,     /* up, down, draining or disabled */

    CONNECTION_CLIENT = 1, /* "connection" */
    CONNECTION_SERVICE,
    CONNECTION_TARGET,
    CONNECTION_STATE, /* waiting (places.h), opening, connecting, relayed */
    CONNECTION_AGE_MS,
    CONNECTION_IN,
    CONNECTION_OUT,
};

struct status_connection {
    struct record record;
    const char *state;
};

struct status {
    struct metrics *metrics;
    struct status_connection listed[STATUS_LISTED]; /* most bytes first */
    size_t count;
};

/* The visit of a thread, which gathers the metrics too; its argument is the
 * status. */
void status_gather(void *status, weir_thread *thread);
/* up, down, draining or disabled. */
const char *status_word_of(const struct order *order,
                           const struct config_target *target,
                           const struct target_sum *sum);
/* Writes what was gathered. */
void status_write(const struct status *status, FILE *out);

#endif

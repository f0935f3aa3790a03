/*
 * State of the running proxy in lines of text, for `weir-proxy --top` and for
 * people: services, targets, and the connections with most bytes.
 *
 * A line has its kind and then fields (enum status_word, fields.h), separated
 * by tabs. Counters begin at the start of the proxy.
 */
#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

#include "metrics.h"

/* Limit of connections inspected on a thread, oldest first, so that a thread
 * with very many connections is not blocked. */
#define STATUS_LOOKED_AT 10000u
/* Limit of connections shown, of all threads. */
#define STATUS_LISTED 50u

struct status {
    struct metrics *metrics;
    struct status_listed {
        struct record record;
        struct setup *setup; /* a reference; ->record points to its texts */
    } listed[STATUS_LISTED]; /* most bytes first */
    size_t count;
};

/* Callback for each thread. Gathers connections and metrics. @status is the
 * struct status. */
void status_gather(void *status, weir_thread *thread);
void status_write(const struct status *status, FILE *out);
/* Forgets the connections, and releases their setups. */
void status_clear(struct status *status);
/* Writes the answer to the command status: targets and addresses. */
void status_answer(const struct metrics *metrics, FILE *out);

#endif

/*
 * State of the running proxy in lines of text, for `weir-proxy --top` and for
 * people: services, targets, and the connections with most bytes.
 *
 * A line has its kind and then fields (enum status_word, fields.h), separated
 * by tabs. Counters are 0 when the proxy starts.
 */
#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

#include "metrics.h"

/* Maximum number of connections inspected on a thread, oldest first, so that a
 * thread with very many connections is not blocked. */
#define STATUS_LOOKED_AT 10000u
#define STATUS_LISTED    50u

struct status {
    struct metrics metrics; /* must be the first field */
    struct status_listed {
        struct record record;
        struct setup *setup; /* a reference; ->record points to its texts */
    } listed[STATUS_LISTED]; /* most bytes first */
    size_t count;
};

/* Callback for each thread; its argument is the status. */
void status_gather(void *status, weir_thread *thread);
void status_write(const struct status *status, FILE *out);
void status_free(struct status *status);
/* Writes the response to the command status: targets and addresses. */
void status_answer(const struct metrics *metrics, FILE *out);

#endif

/*
 * The metrics of all workers: gathered thread by thread, and written as text.
 *
 * The format is that of Prometheus. Counters never go down while the proxy
 * runs; a successor begins at 0.
 */
#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include "proxy.h"

#include "weir/inspect.h"

#include <stdio.h>

struct metrics {
    const struct proxy *proxy;
    struct setup *setup; /* a reference: whose services and targets it has */
    struct counts *services;    /* by service */
    uint64_t *queued;           /* by service: waiting now */
    struct target_sum *targets; /* of all routes of all services, in order */
    uint64_t lost_lines;
    bool *seen;                        /* by worker: its thread was visited */
    struct weir_loop_statistics loops; /* of the first thread's view */
};

/* Makes empty metrics of the setup that accepts; false without memory. On the
 * first thread. */
bool metrics_init(struct metrics *metrics, const struct proxy *proxy);
void metrics_free(struct metrics *metrics);
/* Sets all sums to 0, and is about the setup that accepts now: false without
 * memory. */
bool metrics_clear(struct metrics *metrics);
/* The visit of a thread; its argument is the metrics. */
void metrics_gather(void *metrics, weir_thread *thread);
/* Adds the counts of workers that have ended, after the visit. */
void metrics_add_ended(struct metrics *metrics);
/* Bytes that were received or wait to be sent, each counted once. */
uint64_t metrics_buffer_bytes(const struct metrics *metrics);
void metrics_write(const struct metrics *metrics, FILE *out);

#endif

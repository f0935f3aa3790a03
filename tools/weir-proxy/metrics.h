/*
 * The metrics of all workers: gathered thread by thread, and written as text.
 *
 * The format is that of Prometheus. Counters never decrease while the proxy
 * runs; a successor starts at 0.
 */
#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include "proxy.h"

#include "weir/inspect.h"

#include <stdio.h>

struct metrics {
    const struct proxy *proxy;
    struct setup *setup;        /* a reference; defines services and targets */
    struct counts *services;    /* one for each service */
    uint64_t *queued;           /* one for each service: waiting now */
    struct target_sum *targets; /* of all routes of all services, in order */
    uint64_t lost_lines;
    bool *seen;                        /* by worker: metrics_gather() ran on its
                                        * thread */
    struct weir_loop_statistics loops; /* gathered by the first thread */
};

/* Initialises empty metrics for the current setup, on the first thread. Returns
 * false if out of memory. */
bool metrics_init(struct metrics *metrics, const struct proxy *proxy);
void metrics_free(struct metrics *metrics);
/* Resets all sums to 0 and switches to the current setup. Returns false if out
 * of memory. */
bool metrics_clear(struct metrics *metrics);
/* Callback for each thread; its argument is the metrics. */
void metrics_gather(void *metrics, weir_thread *thread);
/* Adds the counts of workers that have ended; called after the callbacks. */
void metrics_add_ended(struct metrics *metrics);
/* Returns the bytes received or waiting to be sent, each counted once. */
uint64_t metrics_buffer_bytes(const struct metrics *metrics);
void metrics_write(const struct metrics *metrics, FILE *out);

#endif

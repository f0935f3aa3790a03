/*
 * The metrics of all workers, gathered by a callback on each thread, and
 * written in the text format of Prometheus.
 *
 * Counters never decrease while the proxy runs. A successor starts at 0.
 */
#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include "tools/weir-proxy/facts/fields.h"
#include "tools/weir-proxy/runtime/proxy.h"

#include "weir/inspect.h"

#include <stdio.h>

struct metrics {
    const struct proxy *proxy;
    struct setup *setup; /* a reference; defines services and targets */
    struct program_facts program;
    struct service_facts *services;
    struct target_facts *targets; /* targets of all routes, in order */
    struct address_facts *addresses;
    size_t address_count;
    bool *seen; /* for each worker: true after
                 * metrics_gather() has run on its
                 * thread */
    struct weir_loop_statistics loops;
};

/* Gathers the metrics for the current setup, in a task of @worker, the first
 * one, which waits: @call runs on each thread with @arg, and calls
 * metrics_gather(). The names of addresses are valid until the task waits
 * again. Returns 0 or a negative error. */
int metrics_take(struct metrics *metrics, const struct worker *worker,
                 weir_threads_each_fn *call, void *arg);
void metrics_free(struct metrics *metrics);
/* Callback for each thread; its argument is the metrics. */
void metrics_gather(void *metrics, weir_thread *thread);
/* Returns the object of a kind at @index, such as a struct target_facts, or
 * NULL after the last object. Must not be called for connections. */
const void *metrics_object(const struct metrics *metrics, enum field_of of,
                           size_t index);
void metrics_write(const struct metrics *metrics, FILE *out);

#endif

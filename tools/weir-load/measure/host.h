/*
 * This machine and this process, as a result has to describe them: what ran
 * where, and how busy the client itself was. A figure without them cannot be
 * compared with another.
 */
#ifndef WEIR_LOAD_HOST_H
#define WEIR_LOAD_HOST_H

#include "weir/address.h"

#include <stdbool.h>
#include <stdint.h>

struct host {
    char name[72];
    char kernel[160];
    char machine[72];
    char cpu_model[96];
    char governor[32];
    long cpu_count;
    long cpus_allowed;
    /* The wall clock by adjtimex(2); the errors are 0 where it cannot be
     * asked. */
    bool clock_is_synchronised;
    uint64_t clock_estimated_error_ns;
    uint64_t clock_greatest_error_ns;
};

/* Counters of a thread, taken at the ends of the measured time. */
struct host_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    /* Ready to run, but waiting for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Of the process. */
    uint64_t max_rss_bytes;
};

/* What cannot be found out is an empty text or 0. */
void host_describe(struct host *ret);
void host_measure(struct host_usage *ret);

/* Leave of what was measured what has come since before. */
void host_subtract(struct host_usage *usage, const struct host_usage *before);

/* Are the two ends of a connection on one machine, by their addresses? */
bool host_is_same(const struct weir_address *a, const struct weir_address *b);

#endif

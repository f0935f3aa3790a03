/*
 * Describes this machine and process for a result: what ran where,
 * and how busy the client was. Results without this cannot be
 * compared.
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
    /* State of the wall clock from adjtimex(2); its errors are 0 if unknown. */
    bool clock_is_synchronised;
    uint64_t clock_estimated_error_ns;
    uint64_t clock_greatest_error_ns;
};

/* Counters of a thread, read at both ends of the window. */
struct host_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    /* Time that it was ready to run but waited for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Largest resident memory of the whole process. */
    uint64_t max_rss_bytes;
};

/* Describes this machine. Unknown values are "" or 0. */
void host_describe(struct host *ret);
void host_measure(struct host_usage *ret);

/* Subtracts the counters read before, except max_rss_bytes. */
void host_subtract(struct host_usage *usage, const struct host_usage *before);

/* Returns true if two addresses of a connection are on one machine. */
bool host_is_same(const struct weir_address *a, const struct weir_address *b);

#endif

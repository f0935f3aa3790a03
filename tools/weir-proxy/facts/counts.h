/*
 * The counts of one service, and of one target, on one thread. The metrics are
 * the sums over all threads.
 *
 * A thread writes only its own counts, and a callback on the same thread reads
 * them, so nothing here is locked or atomic. Counts outlive services: after a
 * reload, a service of the same name continues them.
 */
#ifndef WEIR_PROXY_COUNTS_H
#define WEIR_PROXY_COUNTS_H

#include "record.h"
#include "tools/weir-proxy/base/keyed.h"

/* Upper limits of the buckets of connect times, in milliseconds. One more
 * bucket has no limit. */
#define COUNTS_BUCKETS 12
extern const uint32_t counts_bucket_ms[COUNTS_BUCKETS];

/* Number of counters of accept() errors: one for each of four errors, and the
 * last for all others. */
#define COUNTS_ERRORS 5

struct counts {
    uint64_t accepted;
    uint64_t accept_errors[COUNTS_ERRORS];
    uint64_t active;
    uint64_t ended[END_REASONS];
    uint64_t in_bytes;
    uint64_t out_bytes;
    uint64_t full_handshakes;
    uint64_t resumed_handshakes;
    uint64_t failed_handshakes;
    uint64_t connects[COUNTS_BUCKETS + 1];
    uint64_t connect_ns;
    uint64_t queued;
    uint64_t queue_ns;
};

struct target_counters {
    uint64_t chosen;
    uint64_t connect_errors;
    uint64_t reported_errors;
    uint64_t ejections;
    uint64_t checks;
    uint64_t check_errors;
    uint64_t checks_skipped;
};

struct target_sum {
    uint64_t is_up;     /* 0 or 1; all threads agree */
    uint64_t addresses; /* of the target's name, counted on one thread */
    uint64_t active;
    struct target_counters counters;
    uint64_t in_use;    /* with balance first: 1 or 0 */
    uint64_t in_use_ns; /* time for which it has been in use */
    uint64_t last_err;  /* last error, as a positive number, or 0 */
    uint64_t status;    /* status of the last HTTP or MySQL check, or 0 */
};

struct tally {
    struct keyed keyed;
    struct counts counts;
};

struct target_tally {
    struct keyed keyed;
    struct target_counters past; /* of freed upstream sets */
};

/* Finds or creates a service's counts. Returns NULL if out of memory. */
struct counts *counts_find(struct keyed_table *tallies, const char *service);
/* Finds or creates the counts of a target. Returns NULL if out of memory. */
struct target_tally *counts_find_target(struct keyed_table *tallies,
                                        const char *service, const char *route,
                                        const char *target);

void counts_add_target(struct target_sum *sum, const weir_upstream *upstream);
void counts_add_counters(struct target_counters *sum,
                         const struct target_counters *one);

void counts_accept_error(struct counts *counts, int err);
void counts_end(struct counts *counts, const struct record *record);
void counts_add(struct counts *sum, const struct counts *one);

#endif

/*
 * The counts of one service, and of one target, on one thread; the metrics are
 * their sums.
 *
 * A thread writes its own counts alone. They are read by a visit of the
 * threads, so that nothing here is locked or atomic. They outlive services:
 * one of the same name, of a configuration that was read again, goes on with
 * them.
 */
#ifndef WEIR_PROXY_COUNTS_H
#define WEIR_PROXY_COUNTS_H

#include "keyed.h"
#include "record.h"

/* Limits of the buckets of connect times, in milliseconds, and one without. */
#define COUNTS_BUCKETS 12
extern const uint32_t counts_bucket_ms[COUNTS_BUCKETS];

/* The errors of accepts that are told apart; the last is any other. */
#define COUNTS_ERRORS 5
extern const char *const counts_error_names[COUNTS_ERRORS];

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

/* Of the sets of a target. */
struct target_sum {
    uint64_t is_up;     /* 0 or 1: all threads know the same */
    uint64_t addresses; /* of the name, as one thread knows them */
    uint64_t active;
    uint64_t chosen;
    uint64_t connect_errors;
    uint64_t reported_errors;
    uint64_t ejections;
    uint64_t checks;
    uint64_t check_errors;
    uint64_t checks_skipped;
    uint64_t in_use;    /* 0 or 1, by balance first */
    uint64_t in_use_ns; /* so long */
    uint64_t last_err;  /* as a positive number; 0: none yet */
    uint64_t status;    /* of the last check, by HTTP or MySQL; 0: none */
};

struct tally {
    struct keyed keyed;
    struct counts counts;
};

struct target_tally {
    struct keyed keyed;
    struct target_sum past; /* of sets that were freed */
};

/* Finds the counts of a service by its name, or makes them; NULL: no memory. */
struct counts *counts_find(struct keyed_table *tallies, const char *service);
/* Likewise of a target. */
struct target_tally *counts_find_target(struct keyed_table *tallies,
                                        const char *service, const char *route,
                                        const char *target);

/* Adds what a set has counted of a target. */
void counts_add_target(struct target_sum *sum, const weir_upstream *upstream);
/* Adds a sum of counters; states and gauges are those of one set. */
void counts_add_past(struct target_sum *sum, const struct target_sum *past);

/* Counts a failed accept, with a negative error. */
void counts_accept_error(struct counts *counts, int err);
/* Counts a connection that has ended. */
void counts_end(struct counts *counts, const struct record *record);
/* Adds the counts of another thread. */
void counts_add(struct counts *sum, const struct counts *one);

#endif

/*
 * The counts of one service on one thread; the metrics are their sums.
 *
 * A thread writes its own counts alone. They are read by a visit of the
 * threads, so that nothing here is locked or atomic.
 */
#ifndef WEIR_PROXY_COUNTS_H
#define WEIR_PROXY_COUNTS_H

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

/* Counts a failed accept, with a negative error. */
void counts_accept_error(struct counts *counts, int err);
/* Counts a connection that has ended. */
void counts_end(struct counts *counts, const struct record *record);
/* Adds the counts of another thread. */
void counts_add(struct counts *sum, const struct counts *one);

#endif

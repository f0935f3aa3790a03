/*
 * Writes, adds and finds counts.
 *
 * All fields are sums, so the counts of two threads can be added field by
 * field.
 */
#include "counts.h"

#include <errno.h>

const uint32_t counts_bucket_ms[COUNTS_BUCKETS] = {
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000,
};

static size_t bucket_of(uint64_t ns)
{
    size_t i = 0;

    while (i < COUNTS_BUCKETS && ns > counts_bucket_ms[i] * UINT64_C(1000000)) {
        i++;
    }
    return i;
}

void counts_accept_error(struct counts *counts, int err)
{
    static const int errors[COUNTS_ERRORS - 1] = {-EMFILE, -ENFILE, -ENOBUFS,
                                                  -ENOMEM};
    size_t i = 0;

    while (i < COUNTS_ERRORS - 1 && err != errors[i]) {
        i++;
    }
    counts->accept_errors[i]++;
}

void counts_end(struct counts *counts, const struct record *record)
{
    counts->active--;
    counts->ended[record->reason]++;
    counts->in_bytes += record->in_bytes;
    counts->out_bytes += record->out_bytes;
    if (record->connect_ns > 0) {
        counts->connects[bucket_of(record->connect_ns)]++;
        counts->connect_ns += record->connect_ns;
    }
    if (record->queue_ns > 0) {
        counts->queued++;
        counts->queue_ns += record->queue_ns;
    }
}

/* Adds two structs of @count numbers. */
static void add(void *sum, const void *one, size_t count)
{
    uint64_t *sums = sum;
    const uint64_t *ones = one;

    for (size_t i = 0; i < count; i++) {
        sums[i] += ones[i];
    }
}

void counts_add(struct counts *sum, const struct counts *one)
{
    add(sum, one, sizeof(*sum) / sizeof(uint64_t));
}

void counts_add_counters(struct target_counters *sum,
                         const struct target_counters *one)
{
    add(sum, one, sizeof(*sum) / sizeof(uint64_t));
}

struct counts *counts_find(struct keyed_table *tallies, const char *service)
{
    bool is_new;
    struct tally *one = keyed_find(tallies, keyed_key(service, NULL, NULL),
                                   sizeof(*one), &is_new);

    return one ? &one->counts : NULL;
}

struct target_tally *counts_find_target(struct keyed_table *tallies,
                                        const char *service, const char *route,
                                        const char *target)
{
    bool is_new;

    return keyed_find(tallies, keyed_key(service, route, target),
                      sizeof(struct target_tally), &is_new);
}

void counts_add_target(struct target_sum *sum, const weir_upstream *upstream)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};

    if (weir_upstream_get_statistics(upstream, &info) < 0) {
        return;
    }
    sum->is_up |= info.state == WEIR_UPSTREAM_UP || info.up_count > 0;
    if (info.address_count > sum->addresses) {
        sum->addresses = info.address_count;
    }
    sum->active += info.active_count;
    const struct target_counters counters = {
        .chosen = info.chosen_count,
        .connect_errors = info.connect_error_count,
        .reported_errors = info.reported_error_count,
        .ejections = info.ejected_count,
        .checks = info.check_count,
        .check_errors = info.check_error_count,
        .checks_skipped = info.check_skipped_count};
    counts_add_counters(&sum->counters, &counters);
    sum->in_use |= info.in_use_ns > 0;
    sum->in_use_ns =
        info.in_use_ns > sum->in_use_ns ? info.in_use_ns : sum->in_use_ns;
    sum->last_err = (uint64_t)(-(int64_t)info.last_err);
    sum->status = info.check_status;
}

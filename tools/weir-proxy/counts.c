/*
 * Counting connections that have ended.
 *
 * Counts of threads are added up by a visit.
 * All fields are sums, so the counts of two threads are added field by field.
 */
#include "counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

const char *const counts_error_names[COUNTS_ERRORS] = {
    "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "other"};

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

void counts_add(struct counts *sum, const struct counts *one)
{
    uint64_t sums[sizeof(*sum) / sizeof(uint64_t)];
    uint64_t ones[sizeof(*sum) / sizeof(uint64_t)];

    _Static_assert(sizeof(*sum) == sizeof(sums), "all fields are sums");
    memcpy(sums, sum, sizeof(sums));
    memcpy(ones, one, sizeof(ones));
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        sums[i] += ones[i];
    }
    memcpy(sum, sums, sizeof(sums));
}

/* ---- counts that go on ---- */

/* FNV-1a, with the texts' ends among the bytes; NULL is no text. */
static uint64_t add_text(uint64_t key, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;

    key = (key ^ !text) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < size; i++) {
        key = (key ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    return key;
}

uint64_t counts_key(const char *service, const char *route, const char *target)
{
    const uint64_t key = add_text(UINT64_C(0xcbf29ce484222325), service);

    return add_text(add_text(key, route), target);
}

struct counts *counts_find(struct tally **tallies, const char *service)
{
    const uint64_t key = counts_key(service, NULL, NULL);
    struct tally *one = *tallies;

    while (one && one->key != key) {
        one = one->next;
    }
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one) {
            return NULL;
        }
        one->key = key;
        one->next = *tallies;
        *tallies = one;
    }
    return &one->counts;
}

struct target_tally *counts_find_target(struct target_tally **tallies,
                                        const char *service, const char *route,
                                        const char *target)
{
    const uint64_t key = counts_key(service, route, target);
    struct target_tally *one = *tallies;

    while (one && one->key != key) {
        one = one->next;
    }
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one) {
            return NULL;
        }
        one->key = key;
        one->next = *tallies;
        *tallies = one;
    }
    return one;
}

void counts_free_all(struct tally *tallies, struct target_tally *target_tallies)
{
    while (tallies) {
        struct tally *next = tallies->next;
        free(tallies);
        tallies = next;
    }
    while (target_tallies) {
        struct target_tally *next = target_tallies->next;
        free(target_tallies);
        target_tallies = next;
    }
}

void counts_add_target(struct target_sum *sum, const weir_upstream *upstream)
{
    struct weir_upstream_info info = {.size = sizeof(info)};

    if (weir_upstream_get_info(upstream, &info) < 0) {
        return;
    }
    sum->is_up |= info.state == WEIR_UPSTREAM_UP || info.up_count > 0;
    if (info.address_count > sum->addresses) {
        sum->addresses = info.address_count;
    }
    sum->active += info.active_count;
    sum->chosen += info.chosen_count;
    sum->connect_errors += info.connect_error_count;
    sum->reported_errors += info.reported_error_count;
    sum->ejections += info.ejected_count;
    sum->checks += info.check_count;
    sum->check_errors += info.check_error_count;
    sum->checks_skipped += info.check_skipped_count;
    sum->in_use |= info.in_use_ns > 0;
    sum->in_use_ns =
        info.in_use_ns > sum->in_use_ns ? info.in_use_ns : sum->in_use_ns;
    sum->last_err = (uint64_t)(-(int64_t)info.last_err);
    sum->status = info.check_status;
}

void counts_add_past(struct target_sum *sum, const struct target_sum *past)
{
    sum->chosen += past->chosen;
    sum->connect_errors += past->connect_errors;
    sum->reported_errors += past->reported_errors;
    sum->ejections += past->ejections;
    sum->checks += past->checks;
    sum->check_errors += past->check_errors;
    sum->checks_skipped += past->checks_skipped;
}

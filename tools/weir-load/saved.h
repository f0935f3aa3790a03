/*
 * A result that was saved as JSON (json.h), read again: to be compared, drawn,
 * or merged with others.
 *
 * Parts of one run, made at the same time by several machines, are merged
 * without loss: counts and rates are added, and latencies are those of the
 * histograms together. Those of an interval are kept to 3 % (hdr.h), and so are
 * its percentiles then. An interval without its histogram, as earlier versions
 * wrote them, has none after it was merged.
 */
#ifndef WEIR_LOAD_SAVED_H
#define WEIR_LOAD_SAVED_H

#include "kinds.h"
#include "ledger.h"
#include "slo.h"
#include "summary.h"
#include "tools/load/histogram.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAVED_WHY_SIZE 320

/* Kinds of requests of several runs. */
#define SAVED_KINDS_MAX (4U * KINDS_MAX)

/* One interval. */
struct saved_row {
    struct interval counts;
    /* The text of its histogram, which hdr_decode() reads; null where no answer
     * came, and NULL where the file has none. */
    const json_t *hdr;
    /* How many errors there were by the names of their kinds; NULL where the
     * file does not tell. */
    const json_t *errors;
};

/* One kind of requests. */
struct saved_kind {
    const char *name;
    struct kind_counts counts;
    const json_t *status;
    struct histogram latency;
};

struct saved {
    /* As it is called in reports. */
    char *name;
    /* All of it; texts of this struct are its. */
    json_t *object;
    const char *config_hash;
    const char *verdict;
    int exit_code;
    bool is_open;
    /* When measuring began, since 1970; 0: earlier versions do not say. */
    uint64_t start_ns;
    uint64_t duration_ns;
    struct ledger requests;
    /* As a summary has them. */
    uint64_t attempts;
    uint64_t errors;
    /* A second; 0 in a closed loop. */
    double offered_rate;
    double achieved_rate;
    /* NULL where such times were not taken; service times always were. */
    struct histogram *times[SLO_TIMES_COUNT];
    /* None in results of earlier versions. */
    struct saved_kind *kinds;
    size_t kind_count;
    struct saved_row *rows;
    size_t row_count;
};

/* Each returns 0 or a negative error with one line in why (SAVED_WHY_SIZE
 * bytes); ret is written on success and ended with saved_fini(). */

/* A text of len bytes. */
int saved_parse(const char *text, size_t len, const char *name,
                struct saved *ret, char *why);

/* A file, or several with commas between them: they are merged, if they are
 * parts of one run (saved_parts.h) or with force. "-" is standard input, with
 * one result or with many, each in one line and perhaps behind the name of its
 * machine; lines without a result are skipped. */
int saved_read(const char *paths, bool force, struct saved *ret, char *why);

/* Both together; from stays as it is. */
int saved_merge(struct saved *into, const struct saved *from, char *why);

/* The headline latency: response times, in a closed loop service times. */
const struct histogram *saved_latency(const struct saved *saved);

/* The figures that scripts read; borrowed from saved. */
void saved_get_summary(const struct saved *saved, struct summary *ret);

/* What objectives ask for; borrowed from saved. */
void saved_get_facts(const struct saved *saved, struct slo_facts *ret);

/* Write it to DIRECTORY/NAME.json; 0, or -EINVAL with a line in why. */
int saved_write(const struct saved *saved, const char *directory,
                const char *name, char *why);

void saved_fini(struct saved *saved);

#endif

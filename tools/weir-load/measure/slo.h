/*
 * Objectives of a run, as `--slo` takes them: terms separated by commas, all of
 * which must hold.
 *
 *     p99<5ms,errors<0.1%,rate>=50k
 *
 * A term is a figure, a comparison (< <= > >=) and a limit. Figures:
 *
 *     p50 p99.9 ... mean min max     latency; limit is a time
 *     errors timeouts dropped        number of requests, or share in %
 *     rate                           answers per second; limit is a count
 *     achieved                       share of the offered rate, in %
 *     status.503 status.5xx          answers with a status or class; number,
 *                                    or share of requests in %
 *
 * p95{GET /a}<20ms limits the figure of one kind of requests (kinds.h): a
 * response latency, errors, timeouts, the rate or a status.
 *
 * Latencies are response times, in a closed loop service times; `service.p99`,
 * `connect.p99`, `tls.p99`, `ttfb.p99`, `late.p99` and `client.p99` name
 * others. Blanks are allowed between the parts.
 */
#ifndef WEIR_LOAD_SLO_H
#define WEIR_LOAD_SLO_H

#include "tools/load/histogram.h"

#include <stddef.h>

#define SLO_TERMS_MAX 16U
#define SLO_WHY_SIZE  160U
#define SLO_TEXT_SIZE 192U
#define SLO_KIND_SIZE 100U

enum slo_figure {
    SLO_QUANTILE,
    SLO_MEAN,
    SLO_MIN,
    SLO_MAX,
    SLO_ERRORS,
    SLO_TIMEOUTS,
    SLO_DROPPED,
    SLO_RATE,
    SLO_ACHIEVED,
    SLO_STATUS,
};

enum slo_times {
    SLO_RESPONSE,
    SLO_SERVICE,
    SLO_TTFB,
    SLO_CONNECT,
    SLO_TLS,
    SLO_LATE,
    SLO_CLIENT,
    SLO_BLOCKED,
    SLO_READ,
    SLO_TIMES_COUNT,
};

enum slo_comparison {
    SLO_LESS,
    SLO_AT_MOST,
    SLO_MORE,
    SLO_AT_LEAST,
};

struct slo_term {
    enum slo_figure figure;
    enum slo_times times;
    unsigned first_status;
    unsigned last_status;
    /* For SLO_QUANTILE, in the unit of histogram.h. */
    uint32_t share;
    /* Name of a kind, or "" for all requests. */
    char kind[SLO_KIND_SIZE];
    enum slo_comparison comparison;
    /* Nanoseconds, a number, or millionths if is_share. */
    uint64_t limit;
    bool is_share;
    /* Text of the term, cut if too long. */
    char text[SLO_TEXT_SIZE];
};

struct slo {
    size_t count;
    struct slo_term terms[SLO_TERMS_MAX];
};

struct slo_error {
    /* Position of the first wrong character, starting at 1. */
    size_t position;
    char why[SLO_WHY_SIZE];
};

struct slo_facts {
    /* NULL if such times were not measured. */
    const struct histogram *times[SLO_TIMES_COUNT];
    uint64_t offered;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t dropped;
    double rate;
    /* 0 in a closed loop. */
    double offered_rate;
    /* Counts answers with a status in a range; NULL without statuses. */
    uint64_t (*count_statuses)(const void *answers, unsigned first,
                               unsigned last);
    const void *answers;
    /* Returns the facts of a kind of requests, false if it does not exist. NULL
     * if there are no kinds. */
    bool (*find_kind)(const void *owner, const char *name,
                      struct slo_facts *ret);
    const void *owner;
};

struct slo_outcome {
    /* False if the figure is unknown, for example a percentile of too few
     * values. */
    bool known;
    /* If unknown: the number of values, and how many are needed. */
    uint64_t value_count;
    uint64_t values_needed;
    bool passed;
    /* In the unit of the limit. */
    double value;
};

/* Returns 0, or -EINVAL with *ret_error. */
int slo_parse(const char *text, struct slo *ret, struct slo_error *ret_error);

/* Evaluates a term. A term with an unknown figure has not passed. */
struct slo_outcome slo_judge(const struct slo_term *term,
                             const struct slo_facts *facts);

bool slo_is_latency(enum slo_figure figure);

/* Formats the value of an outcome. Returns @buf of SLO_TEXT_SIZE bytes. */
const char *slo_format(const struct slo_term *term,
                       const struct slo_outcome *outcome, char *buf);

#endif

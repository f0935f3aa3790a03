/*
 * Objectives for a run, as `--slo` takes them: terms with commas between them,
 * all of which must hold.
 *
 *     p99<5ms,errors<0.1%,rate>=50k
 *
 * A term is a figure, a comparison (< <= > >=) and a limit. Figures:
 *
 *     p50 p99.9 ...  mean min max     latency, a time as limit
 *     errors timeouts dropped         a number of requests, or a share in %
 *     rate                            answers a second, a count as limit
 *     achieved                        share of the offered rate, in %
 *     status.503 status.5xx           answers of a status or a class of them, a
 *                                     number, or a share of requests in %
 *
 * A figure may be that of one kind of requests (kinds.h), whose name stands in
 * braces behind it: p95{GET /a}<20ms, errors{POST /b}<1%, rate, status.5xx. Its
 * latencies are response times, in a closed loop service times.
 *
 * Latencies are response times; `service.p99`, `connect.p99`, `tls.p99`,
 * `ttfb.p99`, `late.p99` and `client.p99` name others. Blanks may stand between
 * the parts.
 *
 * Nothing here knows a run; facts are values.
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
    /* Of a latency. */
    enum slo_times times;
    /* Of SLO_STATUS: from the first to the last. */
    unsigned first_status;
    unsigned last_status;
    /* Of SLO_QUANTILE, as histogram.h has it. */
    uint32_t share;
    /* The name of a kind; "": of all requests. */
    char kind[SLO_KIND_SIZE];
    enum slo_comparison comparison;
    /* Nanoseconds, a number, or millionths if is_share. */
    uint64_t limit;
    bool is_share;
    /* As it was written; a long one is cut. */
    char text[SLO_TEXT_SIZE];
};

struct slo {
    size_t count;
    struct slo_term terms[SLO_TERMS_MAX];
};

struct slo_error {
    /* Of the first character that is wrong, from 1. */
    size_t position;
    char why[SLO_WHY_SIZE];
};

/* What a run has found out. */
struct slo_facts {
    /* NULL: such times were not taken. */
    const struct histogram *times[SLO_TIMES_COUNT];
    /* Requests that were meant to be sent. */
    uint64_t offered;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t dropped;
    double rate;
    /* 0: closed loop, there is no such rate. */
    double offered_rate;
    /* Answers with statuses from the first to the last; NULL: there are no
     * statuses. */
    uint64_t (*count_statuses)(const void *answers, unsigned first,
                               unsigned last);
    const void *answers;
    /* What a kind of requests has found out, as above; false: there is none of
     * that name. NULL: there are none. */
    bool (*find_kind)(const void *owner, const char *name,
                      struct slo_facts *ret);
    const void *owner;
};

struct slo_outcome {
    /* Is there a figure? A percentile of too few values is none. */
    bool known;
    /* Where it is none for that: how many there are, and are needed. */
    uint64_t value_count;
    uint64_t values_needed;
    bool passed;
    /* In the unit of the limit. */
    double value;
};

/* 0, or -EINVAL with ret_error. */
int slo_parse(const char *text, struct slo *ret, struct slo_error *ret_error);

/* What is not known has not passed. */
struct slo_outcome slo_judge(const struct slo_term *term,
                             const struct slo_facts *facts);

/* Is its limit a time? */
bool slo_is_latency(enum slo_figure figure);

/* The value of an outcome as people write it; returns buf, which has
 * SLO_TEXT_SIZE bytes. */
const char *slo_format(const struct slo_term *term,
                       const struct slo_outcome *outcome, char *buf);

#endif

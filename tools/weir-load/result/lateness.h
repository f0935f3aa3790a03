/*
 * What part of the times that a run reports is the lateness of its client: how
 * late it sent requests, or read their answers.
 *
 * A figure of the response times, or in a closed loop of the service times (a
 * percentile that is reported or that an objective names, the mean, the
 * greatest value), is compared with the same figure of a lateness. Lateness is
 * in these times; so where it is small beside each figure, no figure would be
 * another without it. The limit is the larger of a time, for what a timer and a
 * scheduler may always be late, and of a share of the figure.
 */
#ifndef WEIR_LOAD_LATENESS_H
#define WEIR_LOAD_LATENESS_H

#include "result.h"

/* Fewer samples of how late answers were read say nothing. */
#define LATENESS_SAMPLES 100U

/* A figure of the response times beside the same one of some lateness. */
struct lateness_figure {
    char name[16];
    double response_ns;
    double late_ns;
    double limit_ns;
};

/* The times that a lateness is a part of: the response times, or in a closed
 * loop the service times. */
const struct histogram *lateness_times(const struct result *result);

/* How much of its limit a lateness takes: above 1 it is beyond. */
double lateness_part(const struct lateness_figure *figure);

/* The figure of which a lateness takes the greatest part of its limit; without
 * a name where there is none. With @more of both together, which other requests
 * may have: the one is in the p97 of a run, the other in its p97, and together
 * they are in its p95. NULL: there is one. */
struct lateness_figure lateness_find_worst(const struct result *result,
                                           const struct histogram *late,
                                           const struct histogram *more);

/* Writes by how much the reported percentiles may be too high by a lateness:
 * "p95 by 12 %, p99 by 33 %". Returns false if none is by 5 % or more. */
bool lateness_write_shares(const struct result *result,
                           const struct histogram *late, char *text,
                           size_t size);

/* Returns the largest share of its rate that a closed loop may have lost by
 * waits for a CPU, which took the share @waited of the time: no more than that,
 * and no more than the share of a request's time that its answer lay in the
 * socket. Waits that are short beside a request's time cost nothing while the
 * server has others to answer. */
double lateness_lost_share(const struct result *result, double waited);

#endif

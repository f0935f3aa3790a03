/*
 * Computes which part of the reported times is the lateness of the client: how
 * late it sent requests, or read their answers.
 *
 * Each figure of the response times, in a closed loop of the service times, is
 * compared with the same figure of a lateness: percentiles that are reported or
 * in an objective, the mean, and the maximum. The times include the lateness,
 * so if it is small compared with each figure, no figure would differ much
 * without it. The limit is the larger of a time, which timers and schedulers
 * may always be late, and a share of the figure.
 */
#ifndef WEIR_LOAD_LATENESS_H
#define WEIR_LOAD_LATENESS_H

#include "result.h"

/* Smallest number of samples of late reads that are used. */
#define LATENESS_SAMPLES 100U

/* A figure of the response times and the same figure of a lateness. */
struct lateness_figure {
    char name[16];
    double response_ns;
    double late_ns;
    double limit_ns;
};

/* Returns the times that include a lateness: response times, or service times
 * in a closed loop. */
const struct histogram *lateness_times(const struct result *result);

/* Returns a lateness as a multiple of its limit. */
double lateness_part(const struct lateness_figure *figure);

/* Returns the figure whose lateness is the largest multiple of its limit; the
 * name is empty if there is none. With @more, which may be NULL, the sum of
 * both latenesses is compared. They may affect different requests: if each
 * affects the slowest 3 % of a run, together they may affect the slowest 5
 * %. */
struct lateness_figure lateness_find_worst(const struct result *result,
                                           const struct histogram *late,
                                           const struct histogram *more);

/* Writes by how much a lateness may raise the reported percentiles: "p95 by 12
 * %, p99 by 33 %". Returns false if none is raised by 5 % or more. */
bool lateness_write_shares(const struct result *result,
                           const struct histogram *late, char *text,
                           size_t size);

/* Returns the largest part of its rate that a closed loop may have lost because
 * it waited for a CPU. @waited is the share of time that it waited. The result
 * is at most @waited, and at most the part of a request's time that its answer
 * was in the socket. Short waits cost nothing while the server has other
 * requests to answer. */
double lateness_lost_share(const struct result *result, double waited);

#endif

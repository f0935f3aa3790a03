/*
 * Computes when a response of the server may leave: service time, freezes, and
 * a rate limit.
 *
 * It only computes times. A freeze holds back all responses during the last
 * part of each period, as if the process were stopped: requests that arrive in
 * it are served when it ends. With a rate, all connections of the server share
 * one queue, in which each response takes 1/rate seconds. Responses of one pace
 * are due in the order of requests.
 */
#ifndef WEIR_LOAD_SERVE_PACE_H
#define WEIR_LOAD_SERVE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Settings from the command line; all zero means no delays. */
struct pace_options {
    /* Time from a request to its response. */
    uint64_t delay_ns;
    /* Length of a freeze, at the end of each period; period_ns is 0 without
     * freezes. */
    uint64_t freeze_ns;
    uint64_t period_ns;
    /* Responses per second; 0 is no limit. */
    uint64_t rate;
};

struct pace {
    struct pace_options options;
    /* With a rate: when the previous response is done, plus a carried fraction
     * of a nanosecond, in units of 1/rate. */
    uint64_t free_ns;
    uint64_t remainder;
};

void pace_init(struct pace *pace, const struct pace_options *options);

/* Returns true if responses may be held back. */
bool pace_is_needed(const struct pace_options *options);

/* Parses "500ms/2s", a freeze and its period. Returns 0 or -EINVAL. */
int pace_parse_freeze(const char *text, struct pace_options *options);

/* Returns when the response to a request received at now_ns (CLOCK_MONOTONIC)
 * may leave; extra_ns is added to its service time. */
uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t extra_ns);

#endif

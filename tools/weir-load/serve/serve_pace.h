/*
 * When an answer of the server may leave: a service time, freezes, and a
 * rate that is not exceeded.
 *
 * This is bookkeeping of times alone. A freeze holds all answers back for the
 * last part of each period, as if the process were stopped: what arrives in
 * it is served when it ends, and no answer leaves in it. With a rate there is
 * one queue for all connections of the server, each of whose answers takes the
 * rate's share of a second. The answers of one pace are due in the order in
 * which they are asked for.
 */
#ifndef WEIR_LOAD_SERVE_PACE_H
#define WEIR_LOAD_SERVE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line says; all zero: answers leave at once. */
struct pace_options {
    /* From a request to its answer. */
    uint64_t delay_ns;
    /* So much of each period, at its end; the period is 0 without freezes. */
    uint64_t freeze_ns;
    uint64_t period_ns;
    /* Answers a second; 0: no limit. */
    uint64_t rate;
};

struct pace {
    struct pace_options options;
    /* With a rate: when the answer before is done, and the part of a
     * nanosecond, in 1/rate, that is owed to it. */
    uint64_t free_ns;
    uint64_t remainder;
};

/* Begin with options. */
void pace_init(struct pace *pace, const struct pace_options *options);

/* Is any answer ever held back? */
bool pace_is_needed(const struct pace_options *options);

/* Read "500ms/2s", a freeze and its period; 0, or -EINVAL. */
int pace_parse_freeze(const char *text, struct pace_options *options);

/* When the answer to a request of now, which is on CLOCK_MONOTONIC, may leave;
 * extra_ns is added to its service time. */
uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t extra_ns);

#endif

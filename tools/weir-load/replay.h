/*
 * Requests with the times at which they are to be sent, as a file has them
 * (--replay): a line for each, in the order of their times, with seconds from
 * the begin and what request_kind.h reads.
 *
 *     0        GET /items/17
 *     0.250    POST /items {"id": {seq}}
 *     12.0375  /
 *
 * A list of requests (--urls) is the same without times; a URL of the target
 * may stand for a path, so that targets as vegeta has them are read.
 *
 * Lines with the same request share one kind, so that a long record of few
 * requests is short. A request is found by its place in the file, which is its
 * number in the run.
 */
#ifndef WEIR_LOAD_REPLAY_H
#define WEIR_LOAD_REPLAY_H

#include "request_kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPLAY_LINES_MAX 10000000U
#define REPLAY_KINDS_MAX 1000000U

/* The last time, a week, in seconds. */
#define REPLAY_SECONDS_MAX 604800U

/* Times are divided by a speed from the first to the second. */
#define REPLAY_SPEED_LEAST 0.001
#define REPLAY_SPEED_MOST  1000.0

/* Room for every reason that replay_read() gives. */
#define REPLAY_WHY_SIZE 320

struct replay {
    /* Of each line: when it is due (NULL: it has no time), and which kind of
     * request it is. */
    uint64_t *times_ns;
    uint32_t *kind_indices;
    size_t count;
    struct request_kind *kinds;
    size_t kind_count;
    /* The longest time without a request, that before the first included. */
    uint64_t pause_ns;
    double speed;
};

/* Read all lines of a file that is open. 0, or a negative error with one line
 * in why, and nothing is owned. */
int replay_parse(FILE *file, enum request_form form, double speed,
                 struct replay *ret, char *why);

/* The same of a list, whose lines have no times. A URL of the target, which is
 * given as "http://HOST:PORT", is the path behind it; NULL: there is none. */
int replay_parse_list(FILE *file, enum request_form form, const char *target,
                      struct replay *ret, char *why);

/* The kind of the request with a number; a list begins again at its end. */
static inline uint32_t replay_kind(const struct replay *replay, uint64_t number)
{
    return replay->kind_indices[number % replay->count];
}

/* Read a file; the same. A speed of 0: it is a list. */
int replay_read(const char *path, enum request_form form, double speed,
                const char *target, struct replay *ret, char *why);

/* A number that other times or requests do not have. */
uint64_t replay_hash(const struct replay *replay);

void replay_fini(struct replay *replay);

#endif

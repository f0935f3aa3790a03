/*
 * A list of requests (--urls), one a line, as request_kind.h reads them:
 *
 *     /items/17
 *     POST /items {"id": {seq}}
 *
 * A URL of the target may stand for a path, so that targets as vegeta has them
 * are read. Lines with the same request share one kind, so that a long list of
 * few requests is short. A request is found by its number in the run.
 */
#ifndef WEIR_LOAD_URLS_H
#define WEIR_LOAD_URLS_H

#include "request_kind.h"

#include <stdint.h>
#include <stdio.h>

#define URLS_LINES_MAX 10000000U
#define URLS_KINDS_MAX 1000000U

/* Room for every reason that urls_read() gives. */
#define URLS_WHY_SIZE 320

struct urls {
    /* The kind of each line. */
    uint32_t *kind_indices;
    size_t count;
    struct request_kind *kinds;
    size_t kind_count;
};

/* Reads all lines of an open file. A URL of @target, which is written
 * "http://HOST:PORT", becomes the path after it; NULL means that there is no
 * target. Returns 0, or a negative error with one line in @why and nothing
 * owned. */
int urls_parse(FILE *file, enum request_form form, const char *target,
               struct urls *ret, char *why);

/* Returns the kind of the request with a number; the list begins again at its
 * end. */
static inline uint32_t urls_kind(const struct urls *urls, uint64_t number)
{
    return urls->kind_indices[number % urls->count];
}

/* Opens a file and reads it as urls_parse() does. */
int urls_read(const char *path, enum request_form form, const char *target,
              struct urls *ret, char *why);

/* Returns a number that a list of other requests does not have. */
uint64_t urls_hash(const struct urls *urls);

void urls_fini(struct urls *urls);

#endif

/*
 * A list of requests (--urls), one per line, in the form of request_kind.h:
 *
 *     /items/17
 *     POST /items {"id": {seq}}
 *
 * A URL of the target may replace a path, so that lists for vegeta can be read.
 * Lines with the same request share one kind, which keeps long lists of few
 * requests small. The number of a request in the run selects its line.
 */
#ifndef WEIR_LOAD_URLS_H
#define WEIR_LOAD_URLS_H

#include "tools/weir-load/base/why.h"

#include "request_kind.h"

#include <stdint.h>
#include <stdio.h>

#define URLS_LINES_MAX 10000000U
#define URLS_KINDS_MAX 1000000U

struct urls {
    /* Index of each line's kind. */
    uint32_t *kind_indices;
    size_t count;
    struct request_kind *kinds;
    size_t kind_count;
};

/* Parses an open file. A URL that begins with @target, "http://HOST:PORT",
 * becomes the path after it; @target may be NULL. Returns 0, or a negative
 * error with one line in @why; then nothing is owned. */
int urls_parse(FILE *file, enum request_form form, const char *target,
               struct urls *ret, char *why);

/* Returns the kind of request @number. The list starts again after its end. */
static inline uint32_t urls_kind(const struct urls *urls, uint64_t number)
{
    return urls->kind_indices[number % urls->count];
}

int urls_read(const char *path, enum request_form form, const char *target,
              struct urls *ret, char *why);

uint64_t urls_hash(const struct urls *urls);

void urls_fini(struct urls *urls);

#endif

/*
 * Kinds of requests that a run counts by themselves: their names, and what
 * became of the requests of each.
 *
 * Lines of --mix and --urls with the same name are one kind. A name
 * is what stands in brackets at the begin of a line, behind its weight or time:
 *
 *     90 [list] GET /items?page={rand:1:9}
 *     10 POST /items {"id": {seq}}
 *
 * Without it it is the method and the path without a query, and with other
 * protocols the request up to its first escape. Of more kinds than there is
 * room for the last ones are one, "other", as those of that name are; those
 * with a name of their own go before others.
 */
#ifndef WEIR_LOAD_KINDS_H
#define WEIR_LOAD_KINDS_H

#include "tools/load/histogram.h"
#include "tools/weir-load/request/request_kind.h"

#include <stdbool.h>
#include <stdint.h>

#define KINDS_MAX 64U

/* So many of them reports show. */
#define KINDS_CHOSEN 10U

/* A longer name is cut, and ends with a number of the whole, so that names that
 * differ stay different. */
#define KINDS_NAME_SIZE 100U

/* Statuses of answers: 0 to 999. */
#define KINDS_STATUS_COUNT 1000U

struct kinds {
    size_t count;
    /* The last one may be that of all others. */
    char names[KINDS_MAX][KINDS_NAME_SIZE];
    /* Is it one that stands in brackets? */
    bool has_name[KINDS_MAX];
    /* Of each line: which one it is of. */
    uint8_t *places;
};

/* What became of the measured requests of a kind. */
struct kind_counts {
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    /* Answered as expected in the window, requests of the warm-up as well. */
    uint64_t completed;
};

struct kind_record {
    struct kind_counts counts;
    uint64_t status[KINDS_STATUS_COUNT];
    /* From the time that was meant, in a closed loop from the sending; of
     * requests that timed out, too. */
    struct histogram latency;
};

/* The kinds of lines. 0 or -ENOMEM. */
int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count);

/* The place of a name; kinds->count: there is none. */
size_t kinds_find(const struct kinds *kinds, const char *name);

/* The names with commas between them, as far as there is room; returns @ret. */
char *kinds_list(const struct kinds *kinds, char *ret, size_t size);

/* Those with the most requests, KINDS_CHOSEN at most. */
void kinds_choose(const struct kinds *kinds, const struct kind_record *records,
                  bool ret[KINDS_MAX]);

/* A record for each of them, with nothing counted; NULL without memory. */
struct kind_record *kinds_new_records(const struct kinds *kinds);

/* All requests of a kind that have ended. */
static inline uint64_t kinds_requests(const struct kind_counts *counts)
{
    return counts->ok + counts->failed + counts->timeout;
}

#endif

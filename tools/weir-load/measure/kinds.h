/*
 * Kinds of requests that a run counts separately: their names and counters.
 *
 * Lines of --mix and --urls with the same name are one kind. The name is in
 * brackets at the start of a line, after its weight or time:
 *
 *     90 [list] GET /items?page={rand:1:9}
 *     10 POST /items {"id": {seq}}
 *
 * Without brackets it is the method and the path without query, or with other
 * protocols the first word of the request, up to an escape. If there are more
 * than KINDS_MAX kinds, the last ones are counted together as "other", also
 * with lines of that name; kinds with a name in brackets come first.
 */
#ifndef WEIR_LOAD_KINDS_H
#define WEIR_LOAD_KINDS_H

#include "tools/load/histogram.h"
#include "tools/weir-load/request/request_kind.h"

#include <stdbool.h>
#include <stdint.h>

#define KINDS_MAX 64U

#define KINDS_CHOSEN 10U

/* Longer names are cut and end with a hash of the whole name, so that different
 * names stay different. */
#define KINDS_NAME_SIZE 100U

#define KINDS_STATUS_COUNT 1000U

struct kinds {
    size_t count;
    /* Names of the kinds. If there are too many, the last is "other". */
    char names[KINDS_MAX][KINDS_NAME_SIZE];
    /* The name was in brackets. */
    bool has_name[KINDS_MAX];
    /* For each line the index of its kind. */
    uint8_t *places;
};

struct kind_counts {
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    /* Good answers in the window, even if the request was of the warm-up. */
    uint64_t completed;
};

struct kind_record {
    struct kind_counts counts;
    uint64_t status[KINDS_STATUS_COUNT];
    /* Latency from the scheduled time, in a closed loop from sending. Includes
     * timeouts. */
    struct histogram latency;
};

/* Finds the kinds of all lines. Returns 0 or -ENOMEM. */
int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count);

/* Returns the index of a name, or kinds->count. */
size_t kinds_find(const struct kinds *kinds, const char *name);

/* Writes the names that fit, separated by commas. Returns @ret. */
char *kinds_list(const struct kinds *kinds, char *ret, size_t size);

/* Chooses up to KINDS_CHOSEN kinds, those with the most requests. */
void kinds_choose(const struct kinds *kinds, const struct kind_record *records,
                  bool ret[KINDS_MAX]);

/* Returns an empty record for each kind, or NULL if out of memory. */
struct kind_record *kinds_new_records(const struct kinds *kinds);

static inline uint64_t kinds_requests(const struct kind_counts *counts)
{
    return counts->ok + counts->failed + counts->timeout;
}

#endif

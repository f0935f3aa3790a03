/*
 * How many connections a run has over time: a row of stages, each going
 * straight from one number to another.
 *
 * Each thread of each part has a block of all connections, and of the number
 * that is wanted the share of its block: what all have together is that number,
 * whatever the blocks are.
 *
 * It knows no clock: times count from the begin of the window.
 */
#ifndef WEIR_LOAD_CONN_STAGES_H
#define WEIR_LOAD_CONN_STAGES_H

#include <stddef.h>
#include <stdint.h>

#define CONN_STAGES_MAX 32

/* Connections of a stage, at most. */
#define CONN_STAGES_CONNS_MAX 1000000U

/* Room for every reason that conn_stages_parse() gives. */
#define CONN_STAGES_WHY_SIZE 160

struct conn_stage {
    uint64_t duration_ns;
    uint64_t from;
    uint64_t to;
};

/* Without a stage: the number is always the same. */
struct conn_stages {
    struct conn_stage list[CONN_STAGES_MAX];
    size_t count;
};

/*
 * Read stages as in 30s@0..100,1m@100: a time, and a number or two; or as k6
 * has them, 30s:100: from the number before, of which the first is 1.
 *
 * Returns 0, or -EINVAL with one line in why (CONN_STAGES_WHY_SIZE bytes),
 * which has the position of the error.
 */
int conn_stages_parse(const char *text, struct conn_stages *ret, char *why);

/* What they have together. */
uint64_t conn_stages_duration(const struct conn_stages *stages);

/* The largest number, and the smallest. */
uint64_t conn_stages_most(const struct conn_stages *stages);
uint64_t conn_stages_least(const struct conn_stages *stages);

/* How many are wanted at a time; behind the last stage as many as at its end.
 */
uint64_t conn_stages_at(const struct conn_stages *stages, uint64_t time_ns);

/* Of a number that is wanted, out of @whole connections, the share of the block
 * that begins at @first and has @count. */
static inline uint64_t conn_stages_share(uint64_t wanted, uint64_t whole,
                                         uint64_t first, uint64_t count)
{
    return (first + count) * wanted / whole - first * wanted / whole;
}

#endif

/*
 * The number of connections over time (--conn-stages): a list of stages, each
 * of which goes linearly from one number to another.
 *
 * Each thread of each part has a range of all connections, and opens a share of
 * this range. Together the shares are the wanted number, however the
 * connections are divided into ranges.
 *
 * Times count from the start of the window.
 */
#ifndef WEIR_LOAD_CONN_STAGES_H
#define WEIR_LOAD_CONN_STAGES_H

#include "tools/weir-load/base/why.h"

#include <stddef.h>
#include <stdint.h>

#define CONN_STAGES_MAX 32

/* Most connections of a stage. */
#define CONN_STAGES_CONNS_MAX 1000000U

struct conn_stage {
    uint64_t duration_ns;
    uint64_t from;
    uint64_t to;
};

/* Without a stage the number is constant. */
struct conn_stages {
    struct conn_stage list[CONN_STAGES_MAX];
    size_t count;
};

/* Parses stages like 30s@0..100,1m@100: a time and one or two numbers. Also
 * parses k6's 30s:100, which starts at the previous number, or at 1 in the
 * first stage.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes), which has the
 * position of the error. */
int conn_stages_parse(const char *text, struct conn_stages *ret, char *why);

uint64_t conn_stages_duration(const struct conn_stages *stages);

/* Return the largest and the smallest number. */
uint64_t conn_stages_most(const struct conn_stages *stages);
uint64_t conn_stages_least(const struct conn_stages *stages);

/* Returns the number wanted at a time; after the last stage its final
 * number. */
uint64_t conn_stages_at(const struct conn_stages *stages, uint64_t time_ns);

/* Returns how many of a range of @count connections, starting at @first, are
 * wanted if @wanted of @whole connections are. */
static inline uint64_t conn_stages_share(uint64_t wanted, uint64_t whole,
                                         uint64_t first, uint64_t count)
{
    return (first + count) * wanted / whole - first * wanted / whole;
}

#endif

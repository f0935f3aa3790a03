/*
 * Divides one load between several programs.
 *
 * All have the same options; -c, -n, -R and --max-inflight are totals of all
 * programs. Each has a range of the connections. Part i of n sends the
 * scheduled requests i, i + n, i + 2n and so on, so that together they send one
 * schedule if they start together (--start-at).
 */
#ifndef WEIR_LOAD_PART_H
#define WEIR_LOAD_PART_H

#include "tools/weir-load/base/why.h"

#include <stdbool.h>
#include <stdint.h>

#define PARTS_MAX 10000U

struct part {
    uint32_t index; /* from 0 */
    uint32_t count; /* 1 if this program makes the whole load */
};

/* Parses "2/8"; "auto/8", if the environment has only the index
 * (JOB_COMPLETION_INDEX of a Kubernetes Job); or "auto", if it has both:
 * SLURM_PROCID and SLURM_NTASKS, PMI_RANK and PMI_SIZE, or OMPI_COMM_WORLD_RANK
 * and OMPI_COMM_WORLD_SIZE.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes). */
int part_parse(const char *text, struct part *ret, char *why);

/* Returns how much of @whole is in the ranges of earlier parts. */
static inline uint64_t part_begin(const struct part *part, uint64_t whole)
{
    return whole / part->count * part->index +
           whole % part->count * part->index / part->count;
}

/* Returns how much of @whole is in this part's range. */
static inline uint64_t part_size(const struct part *part, uint64_t whole)
{
    const struct part next = {.index = part->index + 1, .count = part->count};

    return part_begin(&next, whole) - part_begin(part, whole);
}

#endif

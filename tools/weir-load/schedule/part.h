/*
 * One load made by several programs: which part of it this one makes.
 *
 * All have the same options, of which -c, -n, -R and --max-inflight speak of
 * all of them together. Each has a block of the connections. Of the schedule
 * part i of n has the requests i, i + n, i + 2n and so on, so that all together
 * send the one schedule when they begin together (--start-at).
 */
#ifndef WEIR_LOAD_PART_H
#define WEIR_LOAD_PART_H

#include <stdbool.h>
#include <stdint.h>

#define PARTS_MAX 10000U

/* Room for every reason that part_parse() gives. */
#define PART_WHY_SIZE 320

struct part {
    uint32_t index; /* from 0 */
    uint32_t count; /* 1: this program makes the whole load */
};

/*
 * Read "2/8"; "auto/8", where the environment has the index alone
 * (JOB_COMPLETION_INDEX of a Job of Kubernetes); or "auto", where it has both:
 * SLURM_PROCID and SLURM_NTASKS, PMI_RANK and PMI_SIZE, or
 * OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE.
 *
 * Returns 0, or -EINVAL with one line in why (PART_WHY_SIZE bytes).
 */
int part_parse(const char *text, struct part *ret, char *why);

/* How many of a whole lie in the blocks of the parts before this one. */
static inline uint64_t part_begin(const struct part *part, uint64_t whole)
{
    return whole / part->count * part->index +
           whole % part->count * part->index / part->count;
}

/* How many of a whole lie in the block of this part. */
static inline uint64_t part_size(const struct part *part, uint64_t whole)
{
    const struct part next = {.index = part->index + 1, .count = part->count};

    return part_begin(&next, whole) - part_begin(part, whole);
}

#endif

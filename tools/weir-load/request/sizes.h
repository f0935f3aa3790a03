/*
 * Sizes of requests and answers: one for all, or random ones.
 *
 *     1k                     always 1024 bytes
 *     uniform:64:1k          from 64 to 1024, all equally often
 *     exp:1k                 exponential, with this mean
 *     pareto:100:1.2:1M      Pareto from 100 bytes, shape 1.2, at most 1 MiB
 *     mix:100:90,10k:10      100 bytes 90 times for every 10 times 10 KiB
 *
 * A size is a function of a random number, which is a function of seed,
 * connection and index. The reader of answers computes the same sizes as the
 * writer of requests and keeps no list of them.
 */
#ifndef WEIR_LOAD_SIZES_H
#define WEIR_LOAD_SIZES_H

#include "tools/weir-load/base/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIZES_PARTS_MAX 16U

#define SIZES_MAX (UINT64_C(64) << 20)

enum sizes_kind {
    SIZES_FIXED,
    SIZES_UNIFORM,
    SIZES_EXPONENTIAL,
    SIZES_PARETO,
    SIZES_MIX,
};

struct sizes_part {
    uint64_t bytes;
    /* Sum of the weights up to and including this part. */
    uint64_t up_to;
};

struct sizes {
    enum sizes_kind kind;
    /* Bounds of all possible sizes. */
    uint64_t least;
    uint64_t most;
    /* For exponential sizes the mean; for Pareto scale and shape. */
    double scale;
    double shape;
    struct sizes_part parts[SIZES_PARTS_MAX];
    size_t part_count;
};

/* Parses sizes of at least @least bytes. Returns 0, or -EINVAL with the offset
 * and the reason in @why. */
int sizes_parse(const char *text, uint64_t least, struct sizes *ret, char *why);

struct sizes sizes_of(uint64_t bytes);

/* Restricts an exponential distribution, which has no bounds of its own.
 * Returns true if all sizes are now within the bounds. */
bool sizes_clip(struct sizes *sizes, uint64_t least, uint64_t most);

uint64_t sizes_draw(const struct sizes *sizes, uint64_t random);

static inline bool sizes_is_fixed(const struct sizes *sizes)
{
    return sizes->kind == SIZES_FIXED;
}

#endif

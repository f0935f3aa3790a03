/*
 * Sizes of requests and answers: one for all, or one drawn for each.
 *
 *     1k                     always 1024 bytes
 *     uniform:64:1k          each from 64 to 1024 as often as another
 *     exp:1k                 exponential, with this mean
 *     pareto:100:1.2:1M      Pareto from 100 bytes on, with the shape 1.2; at
 *                            most 1 MiB
 *     mix:100:90,10k:10      100 bytes 90 times as 10 KiB come 10 times
 *
 * A size is a function of a random number, and those of a connection are a
 * function of seed, connection and place: who reads answers finds the same
 * sizes as who wrote the requests, and keeps no list of them.
 */
#ifndef WEIR_LOAD_SIZES_H
#define WEIR_LOAD_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIZES_PARTS_MAX 16U

/* The largest size of all. */
#define SIZES_MAX (UINT64_C(64) << 20)

/* Room for every reason that the parser gives. */
#define SIZES_WHY_SIZE 160

enum sizes_kind {
    SIZES_FIXED,
    SIZES_UNIFORM,
    SIZES_EXPONENTIAL,
    SIZES_PARETO,
    SIZES_MIX,
};

struct sizes_part {
    uint64_t bytes;
    /* The weights of this part and of those before it. */
    uint64_t up_to;
};

struct sizes {
    enum sizes_kind kind;
    /* None that is drawn is smaller or larger. */
    uint64_t least;
    uint64_t most;
    /* The mean of an exponential, the scale and the shape of a Pareto one. */
    double scale;
    double shape;
    struct sizes_part parts[SIZES_PARTS_MAX];
    size_t part_count;
};

/* Read sizes of at least so many bytes. 0, or -EINVAL with the reason, in which
 * the place of the mistake is shown. */
int sizes_parse(const char *text, uint64_t least, struct sizes *ret, char *why);

/* Sizes that are always the same. */
struct sizes sizes_of(uint64_t bytes);

/* Leave out what lies beyond two bounds, in a distribution that has none of its
 * own. Returns whether all sizes are within them now. */
bool sizes_clip(struct sizes *sizes, uint64_t least, uint64_t most);

/* The size that a random number of 64 bits means. */
uint64_t sizes_draw(const struct sizes *sizes, uint64_t random);

static inline bool sizes_is_fixed(const struct sizes *sizes)
{
    return sizes->kind == SIZES_FIXED;
}

#endif

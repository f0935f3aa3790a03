/*
 * Random sizes are computed with the inverse of the distribution function.
 * Exponential sizes are limited to 16 times the mean, which one in nine million
 * would exceed.
 */
#include "request.h"

#include "tools/common/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 32

#define EXPONENTIAL_END 16U

#define WEIGHT_MAX UINT64_C(1000000)
#define SHAPE_MAX  100.0

struct reading {
    const char *text;
    const char *at;
    uint64_t least;
    char *why;
};

static bool refuse(const struct reading *reading, const char *at,
                   const char *want)
{
    why_refuse_at(reading->why, reading->text, at, want);
    return false;
}

/* Copies the text up to a character of @ends. Returns false if it is too
 * long. */
static bool read_word(struct reading *reading, const char *ends,
                      char word[WORD_SIZE])
{
    const size_t len = strcspn(reading->at, ends);

    if (len >= WORD_SIZE) {
        return false;
    }
    memcpy(word, reading->at, len);
    word[len] = '\0';
    reading->at += len;
    return true;
}

static bool read_size(struct reading *reading, const char *ends, uint64_t *ret)
{
    const char *begin = reading->at;
    char word[WORD_SIZE];
    char want[64];

    if (!read_word(reading, ends, word) || units_parse_size(word, ret) < 0) {
        return refuse(reading, begin, "not a size such as 128 or 64K");
    }
    snprintf(want, sizeof(want), "out of range, %llu to 64M",
             LLU(reading->least));
    return (*ret >= reading->least && *ret <= SIZES_MAX) ||
           refuse(reading, begin, want);
}

static bool read_colon(struct reading *reading, const char *want)
{
    if (*reading->at != ':') {
        return refuse(reading, reading->at, want);
    }
    reading->at++;
    return true;
}

static bool read_end(const struct reading *reading)
{
    return *reading->at == '\0' ||
           refuse(reading, reading->at, "expected the end");
}

static bool read_fixed(struct reading *reading, struct sizes *ret)
{
    ret->kind = SIZES_FIXED;
    const bool is_good = read_size(reading, "", &ret->most);
    ret->least = ret->most;
    return is_good;
}

static bool read_most(struct reading *reading, struct sizes *ret)
{
    const char *begin = reading->at;

    return read_size(reading, ":", &ret->most) &&
           (ret->most >= ret->least ||
            refuse(reading, begin, "less than the least size"));
}

static bool read_uniform(struct reading *reading, struct sizes *ret)
{
    ret->kind = SIZES_UNIFORM;
    return read_size(reading, ":", &ret->least) &&
           read_colon(reading, "write uniform:LEAST:MOST") &&
           read_most(reading, ret) && read_end(reading);
}

static bool read_exponential(struct reading *reading, struct sizes *ret)
{
    uint64_t mean = 0;

    if (!read_size(reading, ":", &mean)) {
        return false;
    }
    ret->kind = SIZES_EXPONENTIAL;
    ret->scale = (double)mean;
    ret->least = reading->least;
    ret->most =
        mean * EXPONENTIAL_END < SIZES_MAX ? mean * EXPONENTIAL_END : SIZES_MAX;
    return read_end(reading);
}

static bool read_shape(struct reading *reading, double *ret)
{
    const char *begin = reading->at;
    char word[WORD_SIZE];
    char *end = word;

    const bool is_read = read_word(reading, ":", word);
    *ret = is_read && word[strspn(word, "0123456789.")] == '\0'
               ? strtod(word, &end)
               : 0;
    return (end != word && !*end && *ret > 0 && *ret <= SHAPE_MAX) ||
           refuse(reading, begin, "not a shape such as 1.2");
}

static bool read_pareto(struct reading *reading, struct sizes *ret)
{
    static const char want[] = "write pareto:LEAST:SHAPE:MOST";

    ret->kind = SIZES_PARETO;
    const bool has_least = read_size(reading, ":", &ret->least);
    ret->scale = (double)ret->least;
    return has_least && read_colon(reading, want) &&
           read_shape(reading, &ret->shape) && read_colon(reading, want) &&
           read_most(reading, ret) &&
           (ret->least > 0 ||
            refuse(reading, reading->text, "the least size is 0")) &&
           read_end(reading);
}

static bool read_part(struct reading *reading, struct sizes *ret)
{
    struct sizes_part *part = &ret->parts[ret->part_count];
    char word[WORD_SIZE];
    uint64_t weight = 0;

    if (!read_size(reading, ":,", &part->bytes) ||
        !read_colon(reading, "write mix:SIZE:WEIGHT,SIZE:WEIGHT")) {
        return false;
    }
    const char *begin = reading->at;
    if (!read_word(reading, ":,", word) ||
        units_parse_count(word, &weight) < 0 || weight == 0 ||
        weight > WEIGHT_MAX) {
        return refuse(reading, begin, "not a weight, 1 to 1M");
    }
    part->up_to =
        weight +
        (ret->part_count > 0 ? ret->parts[ret->part_count - 1].up_to : 0);
    ret->least = ret->part_count == 0 || part->bytes < ret->least ? part->bytes
                                                                  : ret->least;
    ret->most = part->bytes > ret->most ? part->bytes : ret->most;
    ret->part_count++;
    return true;
}

static bool read_mix(struct reading *reading, struct sizes *ret)
{
    ret->kind = SIZES_MIX;
    do {
        if (ret->part_count == SIZES_PARTS_MAX) {
            return refuse(reading, reading->at, "there are too many parts");
        }
        if (!read_part(reading, ret)) {
            return false;
        }
    } while (*reading->at++ == ',');
    reading->at--;
    return read_end(reading);
}

int sizes_parse(const char *text, uint64_t least, struct sizes *ret, char *why)
{
    static const struct {
        const char *prefix;
        bool (*read)(struct reading *reading, struct sizes *ret);
    } kinds[] = {
        {"uniform:", read_uniform}, {"exp:", read_exponential},
        {"pareto:", read_pareto},   {"mix:", read_mix},
        {"", read_fixed},
    };
    struct reading reading = {text, text, least, why};
    struct sizes sizes = {0};
    size_t i = 0;

    while (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0) {
        i++;
    }
    reading.at += strlen(kinds[i].prefix);
    if (!kinds[i].read(&reading, &sizes)) {
        return -EINVAL;
    }
    *ret = sizes;
    return 0;
}

struct sizes sizes_of(uint64_t bytes)
{
    return (struct sizes){.kind = SIZES_FIXED, .least = bytes, .most = bytes};
}

bool sizes_clip(struct sizes *sizes, uint64_t least, uint64_t most)
{
    if (sizes->kind == SIZES_EXPONENTIAL) {
        sizes->least = sizes->least > least ? sizes->least : least;
        sizes->most = sizes->most < most ? sizes->most : most;
        sizes->most = sizes->most > least ? sizes->most : least;
    }
    return sizes->least >= least && sizes->most <= most;
}

uint64_t sizes_draw(const struct sizes *sizes, uint64_t random)
{
    /* Between 0 and 1, exclusive: log(0) is infinite. */
    const double share = ((double)(random >> 12) + 0.5) / (double)(1ULL << 52);
    const struct sizes_part *part = sizes->parts;
    double size = 0;

    switch (sizes->kind) {
    case SIZES_FIXED:
        return sizes->most;
    case SIZES_UNIFORM:
        return sizes->least + random % (sizes->most - sizes->least + 1);
    case SIZES_MIX:
        random %= sizes->parts[sizes->part_count - 1].up_to;
        while (random >= part->up_to) {
            part++;
        }
        return part->bytes;
    case SIZES_EXPONENTIAL:
        size = round(-log(share) * sizes->scale);
        break;
    case SIZES_PARETO:
        size = sizes->scale / pow(share, 1 / sizes->shape);
        break;
    }
    if (size <= (double)sizes->least) {
        return sizes->least;
    }
    return size < (double)sizes->most ? (uint64_t)size : sizes->most;
}

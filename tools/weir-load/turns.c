/*
 * Each place goes to the target that is furthest behind its share, the first of
 * them where several are.
 *
 * Weights are made as small as their ratio allows, so that 50,50 is a turn of
 * two places.
 */
#include "turns.h"

#include "tools/common/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A weight as it is written has so many characters at most. */
#define TEXT_MAX 16

static uint64_t find_divisor(uint64_t a, uint64_t b)
{
    while (b > 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void fill(struct turns *turns, size_t target_count)
{
    int64_t behind[TURNS_TARGETS_MAX] = {0};
    uint16_t ranks[TURNS_TARGETS_MAX] = {0};

    for (size_t place = 0; place < turns->place_count; place++) {
        size_t next = 0;
        for (size_t i = 0; i < target_count; i++) {
            behind[i] += turns->weights[i];
            next = behind[i] > behind[next] ? i : next;
        }
        behind[next] -= (int64_t)turns->place_count;
        turns->places[place] =
            (struct turns_place){(uint16_t)next, ranks[next]++};
    }
}

void turns_init(struct turns *turns, size_t target_count)
{
    for (size_t i = 0; i < target_count; i++) {
        turns->weights[i] = 1;
    }
    turns->place_count = target_count;
    fill(turns, target_count);
}

/* One weight of a list, from 1 on. */
static bool read_weight(const char *text, size_t len, uint64_t *ret)
{
    char word[TEXT_MAX];

    if (len >= sizeof(word)) {
        return false;
    }
    memcpy(word, text, len);
    word[len] = '\0';
    return units_parse_count(word, ret) == 0 && *ret >= 1;
}

/* All weights; 0, or -EINVAL. */
static int read_weights(const char *text, size_t target_count,
                        uint64_t weights[TURNS_TARGETS_MAX], char *why)
{
    const char *at = text;
    size_t count = 0;

    for (;;) {
        const size_t len = strcspn(at, ",");
        if (!read_weight(at, len, &weights[count])) {
            snprintf(why, TURNS_WHY_SIZE,
                     "'%.40s', at character %zu: write weights from 1 on, as "
                     "9,1",
                     text, (size_t)(at - text) + 1);
            return -EINVAL;
        }
        count++;
        at += len;
        if (*at == '\0' || count == target_count) {
            break;
        }
        at++;
    }
    if (count < target_count || *at != '\0') {
        snprintf(why, TURNS_WHY_SIZE,
                 "'%.40s' is not one weight for each of "
                 "%zu targets",
                 text, target_count);
        return -EINVAL;
    }
    return 0;
}

int turns_parse(const char *text, size_t target_count, struct turns *ret,
                char *why)
{
    uint64_t weights[TURNS_TARGETS_MAX] = {0};
    uint64_t divisor = 0;
    uint64_t sum = 0;

    int err = read_weights(text, target_count, weights, why);
    if (err < 0) {
        return err;
    }
    for (size_t i = 0; i < target_count; i++) {
        divisor = find_divisor(weights[i], divisor);
    }
    for (size_t i = 0; i < target_count; i++) {
        const uint64_t weight = weights[i] / divisor;
        sum += weight < TURNS_PLACES_MAX ? weight : TURNS_PLACES_MAX;
        ret->weights[i] = (uint16_t)weight;
    }
    if (sum > TURNS_PLACES_MAX) {
        snprintf(why, TURNS_WHY_SIZE,
                 "'%.40s': weights add up to %u at most, in lowest terms", text,
                 TURNS_PLACES_MAX);
        return -EINVAL;
    }
    ret->place_count = (size_t)sum;
    fill(ret, target_count);
    return 0;
}

size_t turns_target(const struct turns *turns, uint64_t conn_index)
{
    return turns->places[conn_index % turns->place_count].target;
}

uint64_t turns_rank(const struct turns *turns, uint64_t conn_index)
{
    const struct turns_place *place =
        &turns->places[conn_index % turns->place_count];

    return conn_index / turns->place_count * turns->weights[place->target] +
           place->rank;
}

uint64_t turns_count(const struct turns *turns, uint64_t conn_count,
                     size_t target)
{
    uint64_t count = conn_count / turns->place_count * turns->weights[target];

    for (size_t i = 0; i < conn_count % turns->place_count; i++) {
        count += turns->places[i].target == target;
    }
    return count;
}

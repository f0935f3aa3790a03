/*
 * Which target each connection of a run goes to: they take turns, in which a
 * target of twice the weight has twice the places.
 *
 * The places of a target are spread over the turn, so that few connections have
 * the shares of many. A weight is a share of connections: in a closed loop a
 * fast target answers more requests on each.
 */
#ifndef WEIR_LOAD_TURNS_H
#define WEIR_LOAD_TURNS_H

#include <stddef.h>
#include <stdint.h>

/* The most targets, and the most places of a turn. */
#define TURNS_TARGETS_MAX 64U
#define TURNS_PLACES_MAX  10000U

/* Room for every reason that turns_parse() gives. */
#define TURNS_WHY_SIZE 128

struct turns_place {
    uint16_t target;
    /* How many places before this one are the target's. */
    uint16_t rank;
};

struct turns {
    struct turns_place places[TURNS_PLACES_MAX];
    size_t place_count;
    /* Places of each target in a turn. */
    uint16_t weights[TURNS_TARGETS_MAX];
};

/* As many connections for each of 1 to TURNS_TARGETS_MAX targets. */
void turns_init(struct turns *turns, size_t target_count);

/* Read weights, "9,1", one for each target. 0, or -EINVAL with one line in why;
 * turns may have been written to in any case. */
int turns_parse(const char *text, size_t target_count, struct turns *ret,
                char *why);

/* The target of a connection. */
size_t turns_target(const struct turns *turns, uint64_t conn_index);

/* How many connections before this one its target has. */
uint64_t turns_rank(const struct turns *turns, uint64_t conn_index);

/* How many of the first conn_count connections are a target's. */
uint64_t turns_count(const struct turns *turns, uint64_t conn_count,
                     size_t target);

#endif

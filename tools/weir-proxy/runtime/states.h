/*
 * Facts about targets that a proxy hands to its successor: results of checks,
 * ejections, slow starts, and operators' orders.
 *
 * Each fact is a number with a key. The key is a hash of service, route,
 * target, kind of check and the fact's name. A successor with another
 * configuration or of another version therefore uses only the facts that apply
 * to its targets.
 */
#ifndef WEIR_PROXY_STATES_H
#define WEIR_PROXY_STATES_H

#include "proxy.h"

/* A fact, in the format sent to a successor on the same machine. */
struct states_one {
    uint64_t key;
    uint64_t value; /* 0 means no fact and is not sent */
};

/* Collects the facts of all threads, in a task of @worker, which waits. Returns
 * the number of facts or a negative error. The caller frees *ret. */
int64_t states_gather(const struct worker *worker, struct states_one **ret);

/* Sorts received facts for lookups. */
void states_sort(struct states_one *states, size_t count);

/* Sets *order to the operator's order about a target, if the facts have one. */
void states_find_order(const struct states_one *states, size_t count,
                       const struct config_route *route,
                       const struct config_target *target, struct order *order);

/* Returns the facts about a target. */
struct weir_upstream_health states_find(const struct states_one *states,
                                        size_t count,
                                        const struct config_route *route,
                                        const struct config_target *target);

#endif

/*
 * What a proxy has found out about its targets, handed to its successor: what
 * checks have found, rests after failures, and slow starts.
 *
 * It goes as facts, each a number that is known by another, which is made of
 * the service, the route, the target, what is asked of it, and the fact's name.
 * So a successor with another configuration, or of another version, takes those
 * alone that hold for it, too, and knows; any number is a value that it can
 * use.
 */
#ifndef WEIR_PROXY_STATES_H
#define WEIR_PROXY_STATES_H

#include "proxy.h"

/* As it goes to a successor on the same machine. */
struct states_one {
    uint64_t key;
    uint64_t value; /* not 0, which is as good as no fact */
};

/* Gathers what all threads have found, by a visit; a task of @worker waits. The
 * facts, given, to be freed, and their number, or a negative error. */
int64_t states_gather(const struct worker *worker, struct states_one **ret);

/* Puts facts that have come in the order in which they are found. */
void states_sort(struct states_one *states, size_t count);

/* What they tell that operators have ordered of a target: *order has it then.
 */
void states_find_order(const struct states_one *states, size_t count,
                       const struct route *route,
                       const struct config_target *target, struct order *order);

/* What facts tell of a target. */
struct weir_upstream_known states_find(const struct states_one *states,
                                       size_t count, const struct route *route,
                                       const struct config_target *target);

#endif

/*
 * What checks have found of targets, handed from a proxy to its successor.
 *
 * A state is known by a number made of the service, the route, the target and
 * what is asked of it, so that a successor with another configuration takes
 * those alone that hold for it, too.
 */
#ifndef WEIR_PROXY_STATES_H
#define WEIR_PROXY_STATES_H

#include "proxy.h"

/* As it goes to a successor on the same machine. */
struct states_one {
    uint64_t key;
    uint64_t state; /* WEIR_UPSTREAM_UP or WEIR_UPSTREAM_DOWN */
};

/* Copies of what the checks of a worker have found, to be freed; their number,
 * or -ENOMEM. */
int64_t states_gather(const struct worker *worker, struct states_one **ret);

/* What is known of a target: up, down, or 0. */
enum weir_upstream_state states_find(const struct states_one *states,
                                     size_t count, const struct route *route,
                                     const struct config_target *target);

#endif

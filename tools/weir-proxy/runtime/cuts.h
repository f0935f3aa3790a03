/*
 * Resets connections to a target that is down, to backups when a better target
 * is available again, or to a target for which an operator ordered it.
 *
 * The connections are selected at once and reset one after another within a
 * time, so that clients do not all reconnect at the same moment. They are reset
 * even if the target recovers meanwhile, because it may have been restarted.
 */
#ifndef WEIR_PROXY_CUTS_H
#define WEIR_PROXY_CUTS_H

#include "proxy.h"

/* Starts to reset this thread's connections of a route to @upstream, or if
 * @upstream is NULL, to all backups of the route. All are reset within
 * @within_ns. */
void cuts_begin(struct route *route, const weir_upstream *upstream,
                uint64_t within_ns);
/* Resets at once this thread's connections of a route to a target: to all
 * addresses of the target's name, even to addresses that are no longer in DNS
 * answers. Returns the number of connections. */
size_t cuts_do(const struct route *route, const struct config_target *target);

#endif

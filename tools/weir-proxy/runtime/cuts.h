/*
 * Ends connections because of their target: connections to a target that is
 * down, or to backups when a better target is available again.
 *
 * The connections are selected at once and reset one after another within a
 * time, so that clients do not all reconnect at the same moment. They are reset
 * even if the target is up again meanwhile, as it may have been restarted.
 */
#ifndef WEIR_PROXY_CUTS_H
#define WEIR_PROXY_CUTS_H

#include "proxy.h"

/* Ends this thread's connections of a route to one target within a time; if
 * @upstream is NULL, the connections to its backups. */
void cuts_begin(struct route *route, const weir_upstream *upstream,
                uint64_t within_ns);
/* Ends this thread's connections of a route to a target at once: to all
 * addresses of its name, even those that are no longer in DNS answers. Returns
 * their number. */
size_t cuts_do(const struct route *route, const struct config_target *target);

#endif

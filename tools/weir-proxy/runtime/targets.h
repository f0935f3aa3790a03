/*
 * The targets of a route, as a set of upstreams.
 *
 * The library connects, checks, limits and balances (upstream.h). A set belongs
 * to the loop of a worker, and the worker frees it.
 */
#ifndef WEIR_PROXY_TARGETS_H
#define WEIR_PROXY_TARGETS_H

#include "contexts.h"
#include "proxy.h"
#include "tools/weir-proxy/facts/fields.h"

#include "weir/tls.h"
#include "weir/tls_connection.h"

/* Makes the set of upstreams of @route. Returns 0 or a negative error. If a
 * target failed, prints a line that names it. */
int targets_make(const struct services *services, struct route *route,
                 const struct config_route *config);
/* Applies the operator's order and the configuration to a target. */
void targets_obey(const struct route *route, size_t index);
/* Appends the addresses of a srv:// target, or of a host name if each address
 * is a target of its own, to an array (array.h). Returns false if out of
 * memory. */
bool targets_list_addresses(const struct route *route, size_t index,
                            const struct target_facts *target,
                            struct address_facts **all, size_t *all_count);
/* Returns true if connections to this target must be reset. Either the target
 * is down and when-down is cut, or the target is a backup, a better target is
 * up and when-back is cut. */
bool targets_is_left(const struct route *route, const weir_upstream *upstream);
/* Returns true if the session must start TLS to the target itself, because a
 * PROXY header precedes it. Sets *ret to the TLS settings. */
bool targets_begin_tls(const struct route *route, const weir_upstream *upstream,
                       struct weir_tls_settings *ret);

#endif

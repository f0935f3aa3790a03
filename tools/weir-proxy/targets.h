/*
 * The targets of a route, as a set of upstreams.
 *
 * Connects, checks, limits and the choice are the library's (upstream.h).
 * A set belongs to the loop of its worker, which frees it.
 */
#ifndef WEIR_PROXY_TARGETS_H
#define WEIR_PROXY_TARGETS_H

#include "proxy.h"

#include "weir/tls.h"

/* Makes the set of @route; @context is for targets with TLS, or NULL. 0, or a
 * negative error after a line that names the target. */
int targets_make(struct worker *worker, struct route *route,
                 const struct config_route *config, weir_tls_context *context);
/* Connections and checks use another context from now on. */
void targets_renew_tls(const struct route *route, weir_tls_context *context);

#endif

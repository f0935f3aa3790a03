/*
 * The targets of a route, as a set of upstreams.
 *
 * Connects, checks, limits and the choice are the library's (upstream.h).
 * A set belongs to the loop of its worker, which frees it.
 */
#ifndef WEIR_PROXY_TARGETS_H
#define WEIR_PROXY_TARGETS_H

#include "contexts.h"
#include "proxy.h"

#include "weir/tls.h"
#include "weir/tls_connection.h"

#include <stdio.h>

/* Makes the set of @route. 0, or a negative error after a line that names the
 * target. */
int targets_make(const struct services *services, struct route *route,
                 const struct config_service *service,
                 const struct config_route *config,
                 struct route_contexts contexts);
/* Does as operators have ordered of a target, and the configuration. */
void targets_obey(const struct route *route, size_t index);
/* Writes a line for each address of a name that is a target of its own, with
 * the word of the order about the name, or NULL; route NULL: none is known. */
void targets_write_addresses(const struct route *route, size_t index,
                             const char *ordered, FILE *out);
/* Is a target one that connections are cut from: down, where that is so, or a
 * backup while another one is up? */
bool targets_is_left(const struct route *route, const weir_upstream *upstream);
/* True if TLS of a target is to be begun by the session, as a header goes
 * before it: with these settings. */
bool targets_begin_tls(const struct route *route, const weir_upstream *upstream,
                       struct weir_tls_settings *ret);

#endif

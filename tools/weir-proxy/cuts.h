/*
 * Connections that are ended because of their target: those to one that is
 * down, or those to backups when a better target is up again.
 *
 * Which ones is settled at once. They are reset one after the other within a
 * time, so that their clients do not all come again at the same moment; a
 * target that is up again meanwhile saves none of them, as it may be another
 * one than it was.
 */
#ifndef WEIR_PROXY_CUTS_H
#define WEIR_PROXY_CUTS_H

#include "proxy.h"

/* Ends this thread's connections of a route to one target, or, with NULL, to
 * its backups, within a time. */
void cuts_begin(struct route *route, const weir_upstream *upstream,
                uint64_t within_ns);
/* Ends this thread's connections of a route to a target at once, to all
 * addresses of its name, those that have left the answers among them, and
 * returns their number. */
size_t cuts_do(const struct route *route, const struct config_target *target);
/* The route is freed. */
void cuts_end(struct route *route);

#endif

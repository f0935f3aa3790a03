/*
 * The answers that a loop keeps, and the queries that its lookups share.
 *
 * The cache is a resolver for lookups and calls the loop's resolver. It answers
 * a name from memory until the TTL of its answer ends. A name that is not kept
 * is queried once for all lookups that wait for it. Lookups of a canonical name
 * and of an address's name bypass the cache.
 */
#ifndef WEIR_LIB_NAMES_CACHE_H
#define WEIR_LIB_NAMES_CACHE_H

#include "weir/resolver.h"

/* The resolver of lookups that share; its first argument is the loop. */
extern const struct weir_resolver wr_cache_resolver;

#endif

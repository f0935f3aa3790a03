/*
 * The answers that a loop keeps, and the questions that its lookups share.
 *
 * The cache stands between lookups and a resolver, and is a resolver to the
 * lookups. A name whose answer is good for a while (its TTL) is answered from
 * memory meanwhile. A name that is not kept is asked for once, whatever the
 * number of lookups is that wait for it. A lookup that wants the canonical name
 * asks the resolver itself, and so does a lookup of an address's name.
 */
#ifndef WEIR_LIB_NAMES_CACHE_H
#define WEIR_LIB_NAMES_CACHE_H

#include "weir/resolver.h"

/* The resolver of lookups that share; its first argument is the loop. */
extern const struct weir_resolver wr_cache_resolver;

#endif

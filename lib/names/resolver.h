/*
 * The resolver of a loop: the built-in one or the program's. The built-in
 * resolver is cares.c, or no_cares.c in a build without c-ares; both define the
 * last four symbols.
 */
#ifndef WEIR_LIB_NAMES_RESOLVER_H
#define WEIR_LIB_NAMES_RESOLVER_H

#include "lib/loop/loop.h"
#include "weir/resolver.h"

/*
 * The cache is a resolver that calls the loop's resolver. It keeps an answer
 * for at most its TTL. Lookups of a canonical name, of an address's name and of
 * the records of a service bypass the cache.
 */

/* The first argument of its functions is the loop. */
extern const struct weir_resolver wr_cache_resolver;

const struct weir_resolver *wr_resolver_get(weir_loop *loop, void **ret_user);

bool wr_resolver_is_builtin(const weir_loop *loop);

/* Tables of older programs end before start_srv. */
static inline bool wr_resolver_has_srv(const struct weir_resolver *resolver)
{
    return resolver->size >= offsetof(struct weir_resolver, start_srv) +
                                 sizeof(resolver->start_srv) &&
           resolver->start_srv;
}

/* True if answers for new lookups may be kept and shared. */
bool wr_resolver_is_shared(const weir_loop *loop);

uint64_t wr_resolver_get_keep_ns(const weir_loop *loop);

/* Grows with each change: answers of an earlier number may be outdated. */
uint64_t wr_resolver_get_version(weir_loop *loop);

extern const struct weir_resolver wr_resolver_builtin;

/* Counts changes of resolv.conf and the hosts file. They are checked at most
 * once a second. */
uint64_t wr_resolver_count_changes(weir_loop *loop);

/* Returns 1 if the hosts file of the built-in resolver has @name, 0 if not, or
 * -ENOMEM, -EMFILE or a similar error. @name may be any text. */
WEIR_MUST_USE int wr_resolver_has_name(weir_loop *loop, const char *name);

/* Implements weir_loop_set_dns_options() with checked options. */
WEIR_MUST_USE int wr_resolver_configure(weir_loop *loop,
                                        const struct weir_dns_options *options);

#endif

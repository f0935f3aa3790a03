/*
 * The resolver of a loop: the built-in one or the program's.
 *
 * The built-in resolver is cares.c, or no_cares.c in a build without c-ares;
 * both define the last two symbols below.
 */
#ifndef WEIR_LIB_NAMES_RESOLVER_H
#define WEIR_LIB_NAMES_RESOLVER_H

#include "lib/loop/loop.h"
#include "weir/resolver.h"

/* The resolver for new lookups, and its first argument. */
const struct weir_resolver *wr_resolver_get(weir_loop *loop, void **ret_user);

/* The built-in resolver; its first argument is the loop. */
extern const struct weir_resolver wr_resolver_builtin;

/* weir_loop_set_dns_options() with checked options. */
WEIR_MUST_USE int wr_resolver_configure(weir_loop *loop,
                                        const struct weir_dns_options *options);

#endif

/*
 * Which resolver a loop has: the built-in one, or the program's.
 *
 * The built-in one is cares.c, or no_cares.c in a build without c-ares; either
 * defines the two symbols at the end.
 */
#ifndef WEIR_LIB_NAMES_RESOLVER_H
#define WEIR_LIB_NAMES_RESOLVER_H

#include "lib/loop/loop.h"
#include "weir/resolver.h"

/* The resolver of lookups that begin now, and its first argument. */
const struct weir_resolver *wr_resolver_get(weir_loop *loop, void **ret_user);

/* The built-in resolver; its first argument is the loop. */
extern const struct weir_resolver wr_resolver_builtin;

/* weir_loop_set_dns_options() with options that were read. */
WEIR_MUST_USE int wr_resolver_configure(weir_loop *loop,
                                        const struct weir_dns_options *options);

#endif

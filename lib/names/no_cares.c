/*
 * The built-in resolver of a build without c-ares. Literal addresses and this
 * machine's own names need no resolver. Lookups of an address's name fail with
 * WEIR_EDNSNOTFOUND, because there is no start_reverse; other lookups, and
 * weir_loop_set_dns_options(), fail with WEIR_ENONAMES.
 */
#include "resolver.h"

#include <weir/error.h>

static int no_cares_start(void *user, weir_lookup *lookup, const char *host,
                          int family, void **ret_data)
{
    (void)user;
    (void)lookup;
    (void)host;
    (void)family;
    (void)ret_data;
    return WEIR_ENONAMES;
}

static int no_cares_start_srv(void *user, weir_lookup *lookup, const char *name,
                              void **ret_data)
{
    (void)user;
    (void)lookup;
    (void)name;
    (void)ret_data;
    return WEIR_ENONAMES;
}

static void no_cares_cancel(void *user, weir_lookup *lookup, void *data)
{
    (void)user;
    (void)lookup;
    (void)data;
    wr_assert(false); /* no start has succeeded */
}

const struct weir_resolver wr_resolver_builtin = {
    .size = sizeof(wr_resolver_builtin),
    .start = no_cares_start,
    .cancel = no_cares_cancel,
    .start_srv = no_cares_start_srv,
};

uint64_t wr_resolver_count_changes(weir_loop *loop)
{
    (void)loop;
    return 0;
}

int wr_resolver_has_name(weir_loop *loop, const char *name)
{
    (void)loop;
    (void)name;
    return 0;
}

int wr_resolver_configure(weir_loop *loop,
                          const struct weir_dns_options *options)
{
    (void)loop;
    (void)options;
    return WEIR_ENONAMES;
}

/*
 * Resolves the targets' host names once, before a run. So the run measures
 * connecting and not name servers, and every connection of a target uses the
 * same addresses.
 */
#ifndef WEIR_LOAD_NAMES_H
#define WEIR_LOAD_NAMES_H

#include "tools/common/target.h"

#include "weir/loop.h"

/* Resolves all targets without an address, on a loop that is not running.
 * @family is AF_INET, AF_INET6, or 0 for both. Returns 0 or an error that was
 * printed. */
int names_find(weir_loop *loop, struct target *targets, size_t count,
               int family);

void names_forget(struct target *targets, size_t count);

#endif

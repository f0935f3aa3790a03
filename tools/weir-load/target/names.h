/*
 * The addresses of targets that are host names, found once before a run.
 *
 * So a run measures connecting and not name servers, and every connection of a
 * target goes to the same addresses.
 */
#ifndef WEIR_LOAD_NAMES_H
#define WEIR_LOAD_NAMES_H

#include "tools/common/target.h"

#include "weir/loop.h"

/* Finds the addresses of all targets that have none yet, on a loop that does
 * not run; of one family, or with 0 of both. Says why when it fails. */
int names_find(weir_loop *loop, struct target *targets, size_t count,
               int family);

/* Frees them. */
void names_forget(struct target *targets, size_t count);

#endif

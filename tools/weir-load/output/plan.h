/*
 * What a run is about to do, and what it needs of this machine: descriptors
 * and ports.
 *
 * The same is checked before each run; --dry-run prints it and sends nothing.
 */
#ifndef WEIR_LOAD_PLAN_H
#define WEIR_LOAD_PLAN_H

#include "tools/weir-load/options/options.h"

#include <stdbool.h>
#include <stdio.h>

/* Are there descriptors and ports for it? Says what is missing. */
bool plan_check(const struct run_options *options);

/* Everything that was checked, with the names looked up. */
void plan_print(const struct run_options *options, FILE *out);

#endif

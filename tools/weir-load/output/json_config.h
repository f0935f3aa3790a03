/*
 * The options of a run as JSON: what was asked for, so that a result says how
 * it can be had again, and whether two results can be compared.
 *
 * An option that decides what is sent has a member here.
 */
#ifndef WEIR_LOAD_JSON_CONFIG_H
#define WEIR_LOAD_JSON_CONFIG_H

#include "tools/weir-load/options/options.h"

#include <jansson.h>

/* All that decides what is sent, and how it is judged. */
json_t *json_config(const struct run_options *options);

/* Of the same without the seed and the places of the targets: equal when two
 * runs did the same, perhaps to two servers. */
json_t *json_config_hash(const struct run_options *options);

/* The command line, word by word. */
json_t *json_command(const struct run_options *options);

#endif

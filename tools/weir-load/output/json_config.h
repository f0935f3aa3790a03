/*
 * The options of a run as JSON, so that a result shows how to repeat it and
 * whether two results are comparable. Every option that affects what is sent
 * has a member here.
 */
#ifndef WEIR_LOAD_JSON_CONFIG_H
#define WEIR_LOAD_JSON_CONFIG_H

#include "tools/weir-load/options/options.h"

#include <jansson.h>

/* Returns everything that determines what is sent and how it is evaluated. */
json_t *json_config(const struct run_options *options);

/* Returns a hash of the options without the seed and the hosts of the targets.
 * It is equal if two runs did the same, perhaps against different servers. */
json_t *json_config_hash(const struct run_options *options);

json_t *json_command(const struct run_options *options);

#endif

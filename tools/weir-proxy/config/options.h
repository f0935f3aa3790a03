/*
 * The command line of weir-proxy.
 *
 * Its options are the directives of words.h, and options about the start: the
 * file, the test of the configuration, the help.
 */
#ifndef WEIR_PROXY_OPTIONS_H
#define WEIR_PROXY_OPTIONS_H

#include "config.h"

/* Reads a configuration. Checks it, except for --top. */
enum options_result options_parse(int argc, char **argv,
                                  struct config *ret_config);
/* Reads the configuration again in a running process. Returns false with a
 * reason in @why; the configuration must be freed even then. */
bool options_read_again(int argc, char **argv, struct config *ret_config,
                        char *why);

#endif

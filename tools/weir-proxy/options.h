/*
 * The command line of weir-proxy.
 *
 * Its options are the words of words.h, and some that are about the program's
 * start: the file, the test of the configuration, the help.
 */
#ifndef WEIR_PROXY_OPTIONS_H
#define WEIR_PROXY_OPTIONS_H

#include "config.h"

/* Reads a configuration, and checks it unless only a proxy is looked at. */
enum options_result options_parse(int argc, char **argv,
                                  struct config *ret_config);
/* Reads it as a process that runs does. False, with a line in @why; the
 * configuration is to be freed all the same. */
bool options_read_again(int argc, char **argv, struct config *ret_config,
                        char *why);

#endif

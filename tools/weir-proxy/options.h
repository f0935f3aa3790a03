/*
 * The command line of weir-proxy.
 *
 * Its flags are the words of words.h, and some that are about the program's
 * start: the file, the test of the configuration, the help.
 */
#ifndef WEIR_PROXY_OPTIONS_H
#define WEIR_PROXY_OPTIONS_H

#include "config.h"

enum options_result {
    OPTIONS_READY, /* the configuration is complete and checked */
    OPTIONS_DONE,  /* --help or --version was printed */
    OPTIONS_BAD,   /* the reason was said */
};

struct options {
    bool tests_only; /* -t: look at the configuration, and end */
    bool is_top;     /* --top: show what the proxy at admin does */
};

enum options_result options_parse(int argc, char **argv, struct options *ret,
                                  struct config *ret_config);

#endif

/*
 * `weir-load serve`: the server for a load. The examples need no other
 * server. The library is measured with it, because all its I/O is the
 * library's.
 */
#ifndef WEIR_LOAD_SERVE_H
#define WEIR_LOAD_SERVE_H

#include "tools/common/option.h"

extern const struct option_set serve_set;

/* Returns the exit code. Flags and addresses begin at argv[first]. */
int serve_main(int argc, char **argv, int first);

#endif

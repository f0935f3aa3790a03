/*
 * Words of other load tools that fingers know (wrk, hey, oha, ab, h2load,
 * vegeta, bombardier, autocannon, plow, siege, k6, locust, iperf3, netperf,
 * redis-benchmark, memtier, curl), and what stands for them here.
 *
 * Those that mean one thing in all of these tools are names of options
 * (options_rows.c). The others are refused, with the line to write.
 */
#ifndef WEIR_LOAD_FOREIGN_H
#define WEIR_LOAD_FOREIGN_H

#include "tools/common/reword.h"

/* Ends with a row without a name. */
extern const struct option_foreign foreign_words[];

/* The same for the server of a load. */
extern const struct option_foreign foreign_serve_words[];

#endif

/*
 * Whole command lines of tools for other protocols than HTTP: iperf3, netperf,
 * sockperf, tcpkali, redis-benchmark and memtier, in weir-load's words.
 *
 * What they are about, a place, how many connections, how long, and how large,
 * stands in their own flags, which are looked for in the line.
 */
#ifndef WEIR_LOAD_FOREIGN_TOOLS_H
#define WEIR_LOAD_FOREIGN_TOOLS_H

#include "tools/common/reword.h"

#include <stdbool.h>

/* Is it a line of this tool? For ->is_meant of a row. */
bool foreign_is_sockperf(const char *value, char *const *words);
bool foreign_is_tcpkali(const char *value, char *const *words);

/* Is it a test of redis-benchmark, or a list of them? */
bool foreign_is_redis_test(const char *value, char *const *words);

/* Each writes the whole line. */
reword_fill_fn foreign_fill_iperf3;
reword_fill_fn foreign_fill_iperf3_server;
reword_fill_fn foreign_fill_netperf;
reword_fill_fn foreign_fill_sockperf;
reword_fill_fn foreign_fill_tcpkali;
reword_fill_fn foreign_fill_redis;
reword_fill_fn foreign_fill_memtier;

#endif

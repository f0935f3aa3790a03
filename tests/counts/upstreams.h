/*
 * The set of upstreams of the cases that count connections to them.
 *
 * Each is at an address of the machine that accepts at once. A connection has a
 * protocol that does nothing.
 */
#ifndef WEIR_TESTS_COUNT_UPSTREAMS_H
#define WEIR_TESTS_COUNT_UPSTREAMS_H

#include "tests/counts/count.h"

#include <weir/upstream.h>

/* The set of the case that runs. */
extern weir_upstreams *count_upstreams;

void count_upstreams_open(struct count *c,
                          const struct weir_upstreams_options *options);

/* Adds one that takes at most @limit connections; 0: all. *ret is its listener,
 * and @ret its user. */
weir_upstream *count_upstreams_add(const char *host, uint32_t limit,
                                   struct fake_listener **ret);

/* Asks for a connection with these options; @served has the case. */
void count_upstreams_ask(struct count *c,
                         const struct weir_upstreams_connect_options *options,
                         weir_upstreams_done_fn *served);

/* Ends a connection, and those of its listener. */
void count_upstreams_end(const struct weir_upstreams_result *result);

/* For ->is_over. */
bool count_upstreams_are_over(const struct count *c);

/* A case, which the file's start() and end() begin and end. */
#define COUNT_UPSTREAMS(case_name)                                             \
    {                                                                          \
        .name = case_name, .start = start,                                     \
        .is_over = count_upstreams_are_over, .end = end                        \
    }

#endif

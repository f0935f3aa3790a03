/*
 * The set of upstreams of the cases that count connections to upstreams. Each
 * upstream is at an address of the fake machine that accepts at once. The
 * protocol of a connection does nothing.
 */
#ifndef WEIR_TESTS_COUNT_UPSTREAMS_H
#define WEIR_TESTS_COUNT_UPSTREAMS_H

#include "tests/counts/count.h"

#include <weir/upstream.h>

/* The set of the running case. */
extern weir_upstreams *count_upstreams;

void count_upstreams_open(struct count *c,
                          const struct weir_upstreams_options *options);

/* Adds an upstream for at most @limit connections; 0 means no limit. *ret is
 * its listener, and @ret its user pointer. */
weir_upstream *count_upstreams_add(const char *host, uint32_t limit,
                                   struct fake_listener **ret);

/* Requests a connection with these options. The argument of @served is @c. */
void count_upstreams_ask(struct count *c,
                         const struct weir_upstreams_connect_options *options,
                         weir_upstreams_done_fn *served);

/* Ends a connection, and the connections of its listener. */
void count_upstreams_end(const struct weir_upstreams_result *result);

/* For the is_over of a case. */
bool count_upstreams_are_over(const struct count *c);

/* A case that the file's functions start() and end() begin and end. */
#define COUNT_UPSTREAMS(case_name)                                             \
    {                                                                          \
        .name = case_name, .start = start,                                     \
        .is_over = count_upstreams_are_over, .end = end                        \
    }

#endif

/*
 * The log of HdrHistogram's libraries, version 2: a histogram for each interval
 * of a run, which their tools cut, merge and plot.
 *
 * Response times have no tag; service times have the tag "service" where both
 * are taken.
 */
#ifndef WEIR_LOAD_HLOG_H
#define WEIR_LOAD_HLOG_H

#include "tools/load/histogram.h"

#include <stdio.h>

/* The lines above the intervals; the time is ns since 1970. */
void hlog_write_header(uint64_t wall_ns, FILE *out);

/* An interval, in ns from the time of the header. The tag may be NULL. 0 or
 * -ENOMEM. */
int hlog_write(uint64_t begin_ns, uint64_t end_ns, const char *tag,
               const struct histogram *h, FILE *out);

#endif

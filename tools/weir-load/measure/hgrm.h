/*
 * Writes a histogram as the table of percentiles that HdrHistogram's libraries
 * and wrk2 print, in milliseconds, for public plotters. Unlike hdr.h, it does
 * not have every count.
 */
#ifndef WEIR_LOAD_HGRM_H
#define WEIR_LOAD_HGRM_H

#include "tools/load/histogram.h"

#include <stdio.h>

/* The caller checks @out for errors. */
void hgrm_write(const struct histogram *h, FILE *out);

#endif

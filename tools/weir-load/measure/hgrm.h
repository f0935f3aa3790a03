/*
 * A histogram as the table of percentiles that HdrHistogram's libraries print,
 * with values in milliseconds: wrk2 writes it, and public plotters read it.
 *
 * It does not hold every count; hdr.h does.
 */
#ifndef WEIR_LOAD_HGRM_H
#define WEIR_LOAD_HGRM_H

#include "tools/load/histogram.h"

#include <stdio.h>

/* The caller looks at the state of out. */
void hgrm_write(const struct histogram *h, FILE *out);

#endif

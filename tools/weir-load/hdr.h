/*
 * A histogram in HdrHistogram's interchange format, version 2: compressed and
 * written in base64, as its libraries and plotters in many languages read it
 * (the text begins with HISTF). Nothing of what was counted is lost in it, so
 * results can be merged and compared later.
 */
#ifndef WEIR_LOAD_HDR_H
#define WEIR_LOAD_HDR_H

#include "tools/load/histogram.h"

/* Returns a string for free(), or NULL when there is no memory. */
char *hdr_encode(const struct histogram *h);

#endif

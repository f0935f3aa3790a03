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

/*
 * Read such a text. The format keeps counts alone: the sum, the least and the
 * greatest value are those of the buckets until the caller knows better.
 *
 * Returns 0, -EINVAL for what is no histogram, -ENOTSUP for one with other
 * buckets than these, or -ENOMEM; ret may have been written to in any case.
 */
int hdr_decode(const char *text, struct histogram *ret);

#endif

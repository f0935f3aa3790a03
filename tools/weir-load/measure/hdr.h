/*
 * A histogram in HdrHistogram's interchange format, version 2: compressed and
 * written in base64, as its libraries and plotters in many languages read it
 * (the text begins with HISTF). Nothing of what was counted is lost in it, so
 * results can be merged and compared later.
 */
#ifndef WEIR_LOAD_HDR_H
#define WEIR_LOAD_HDR_H

#include "tools/load/histogram.h"

#include <stddef.h>
#include <stdint.h>

/* No text of hdr_encode_coarse() is longer: each of its buckets has at most a
 * zero before it, of one byte, and a count of at most 2^53, of eight. Then come
 * the headers and the first zeros, what zlib adds, and base64. */
#define HDR_COARSE_BITS    5U
#define HDR_COARSE_BUCKETS ((HISTOGRAM_POWERS + 1U) << HDR_COARSE_BITS)
#define HDR_COARSE_SIZE    ((HDR_COARSE_BUCKETS * 9U + 96U) / 3U * 4U + 8U)

/* Returns a string for free(), or NULL when there is no memory. */
char *hdr_encode(const struct histogram *h);

/*
 * The same of fewer and wider buckets, 32 for each power of two: values are
 * off by 3 % at most, or below 1 us by 31 ns. Each stands at the highest value
 * of its bucket, so that none is told smaller than it was. The buckets are the
 * same ones in each such text, so that merging them loses no more.
 */
char *hdr_encode_coarse(const struct histogram *h);

/* Bytes as base64 has them; the text is given. NULL: there is no memory. */
char *hdr_encode_base64(const uint8_t *data, size_t size);

#endif

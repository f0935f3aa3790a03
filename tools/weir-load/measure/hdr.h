/*
 * Encodes a histogram in HdrHistogram's interchange format, version 2,
 * compressed and in base64 (the text begins with HISTF). Libraries and plotters
 * in many languages read it. No count is lost, so results can be merged and
 * compared later.
 */
#ifndef WEIR_LOAD_HDR_H
#define WEIR_LOAD_HDR_H

#include "tools/load/histogram.h"

#include <stddef.h>
#include <stdint.h>

/* Size limit of hdr_encode_coarse(): each bucket has at most one byte for the
 * zeros before it, and eight for a count of up to 2^53. Headers, the first
 * zeros, zlib's overhead and base64 are added. */
#define HDR_COARSE_BITS    5U
#define HDR_COARSE_BUCKETS ((HISTOGRAM_POWERS + 1U) << HDR_COARSE_BITS)
#define HDR_COARSE_SIZE    ((HDR_COARSE_BUCKETS * 9U + 96U) / 3U * 4U + 8U)

/* Returns an allocated string, or NULL if out of memory. The caller frees
 * it. */
char *hdr_encode(const struct histogram *h);

/* Like hdr_encode(), with 32 buckets for each power of two: values are at most
 * 3 % too high, or 31 ns below 1 us. A count is at the highest value of its
 * bucket, so no value is reported too low. All results have the same buckets,
 * so merging them loses no more precision. */
char *hdr_encode_coarse(const struct histogram *h);

/* Returns an allocated string, or NULL if out of memory. The caller frees
 * it. */
char *hdr_encode_base64(const uint8_t *data, size_t size);

#endif

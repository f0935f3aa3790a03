/*
 * Writes a histogram in the compressed format of HdrHistogram.
 *
 * histogram.h has the buckets of an HdrHistogram with lowest value 1 and three
 * significant digits, so the counts are written unchanged. A count is a zig-zag
 * LEB128 number. A run of zero counts is one number, its negative length. The
 * list of numbers gets a header, is compressed by zlib, and gets another
 * header. Integers in headers are big-endian.
 */
#include "measure.h"

#include "tools/weir-load/base/base.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Format version 2. The low byte has word size 1, as in the reference
 * encoder. */
#define COOKIE_PLAIN      (0x1c849303U | 0x10U)
#define COOKIE_COMPRESSED (0x1c849304U | 0x10U)

#define DIGITS       3U
#define LOWEST       UINT64_C(1)
#define HIGHEST_BITS (HISTOGRAM_STEP_BITS + HISTOGRAM_POWERS)
#define HIGHEST      ((UINT64_C(1) << HIGHEST_BITS) - 1)
#define RATIO_OF_ONE UINT64_C(0x3ff0000000000000) /* 1.0 as a double */

#define PLAIN_HEADER_SIZE      40U
#define COMPRESSED_HEADER_SIZE 8U

/* Number of fine buckets in each coarse bucket. */
#define COARSE_WIDTH (1U << (HISTOGRAM_STEP_BITS - HDR_COARSE_BITS))

_Static_assert(HISTOGRAM_SIZE % COARSE_WIDTH == 0,
               "all buckets must be in one of the wide ones");
_Static_assert(COARSE_WIDTH - 1 <= 64, "a zero before a count has one byte");

/* Size of a 64-bit number with seven bits in each byte. */
#define NUMBER_SIZE_MAX 10U

#define PLAIN_SIZE_MAX                                                         \
    (PLAIN_HEADER_SIZE + (size_t)HISTOGRAM_SIZE * NUMBER_SIZE_MAX)

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(value >> shift);
    }
    return at;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    return put_u32(put_u32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

/* Writes a number in zig-zag encoding: 0, -1, 1, -2 become 0, 1, 2, 3. */
static uint8_t *put_number(uint8_t *at, int64_t value)
{
    uint64_t left = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);

    while (left >= 0x80) {
        *at++ = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    *at++ = (uint8_t)left;
    return at;
}

/* Writes the counts, with each @width buckets summed into the last of them. */
static uint8_t *put_counts(uint8_t *at, const struct histogram *h,
                           uint32_t width)
{
    uint32_t end = h->count ? histogram_index(h->max) + 1 : 0;
    int64_t zeros = 0;

    for (uint32_t i = 0; i < end; i += width) {
        uint64_t count = 0;
        for (uint32_t k = 0; k < width; k++) {
            count += h->counts[i + k];
        }
        if (count == 0) {
            zeros += width;
            continue;
        }
        zeros += width - 1;
        if (zeros > 0) {
            at = put_number(at, -zeros);
            zeros = 0;
        }
        at = put_number(at, (int64_t)count);
    }
    return at;
}

static size_t encode_plain(const struct histogram *h, uint32_t width,
                           uint8_t *buf)
{
    uint8_t *end = put_counts(buf + PLAIN_HEADER_SIZE, h, width);
    size_t size = (size_t)(end - buf);

    uint8_t *at = put_u32(buf, COOKIE_PLAIN);
    at = put_u32(at, (uint32_t)(size - PLAIN_HEADER_SIZE));
    at = put_u32(at, 0); /* normalizing index offset: the counts are not
                          * rotated */
    at = put_u32(at, DIGITS);
    at = put_u64(at, LOWEST);
    at = put_u64(at, HIGHEST);
    put_u64(at, RATIO_OF_ONE);
    return size;
}

char *hdr_encode_base64(const uint8_t *data, size_t size)
{
    char *text = malloc((size + 2) / 3 * 4 + 1);

    if (text) {
        base64_write(data, size, text);
    }
    return text;
}

static char *encode(const struct histogram *h, uint32_t width)
{
    uLongf packed_size = compressBound((uLong)PLAIN_SIZE_MAX);
    uint8_t *plain = malloc(PLAIN_SIZE_MAX);
    uint8_t *packed = malloc(COMPRESSED_HEADER_SIZE + packed_size);
    char *text = NULL;

    if (!plain || !packed) {
        goto out;
    }
    size_t size = encode_plain(h, width, plain);
    if (compress(packed + COMPRESSED_HEADER_SIZE, &packed_size, plain,
                 (uLong)size) != Z_OK) {
        goto out;
    }
    put_u32(put_u32(packed, COOKIE_COMPRESSED), (uint32_t)packed_size);
    text = hdr_encode_base64(packed, COMPRESSED_HEADER_SIZE + packed_size);
out:
    free(plain);
    free(packed);
    return text;
}

char *hdr_encode(const struct histogram *h)
{
    return encode(h, 1);
}

char *hdr_encode_coarse(const struct histogram *h)
{
    return encode(h, COARSE_WIDTH);
}

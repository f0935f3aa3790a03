/*
 * The bytes of pattern.h.
 *
 * Within a row of 256 positions each byte is larger by STEP than the previous
 * one. STEP is odd, so each row is a part of one row that starts with 0 and is
 * twice as long.
 */
#include "tests/pattern.h"

#include <string.h>

#define STEP    31u
#define INVERSE 223u /* STEP * INVERSE is 1 modulo 256 */
#define ROW     256u

static uint8_t steps[2 * ROW];

__attribute__((constructor)) static void make_steps(void)
{
    for (size_t i = 0; i < sizeof(steps); i++) {
        steps[i] = (uint8_t)(i * STEP);
    }
}

uint8_t pattern_at(uint32_t seed, uint64_t position)
{
    return (uint8_t)(position * STEP + (position >> 8) * 17 + (position >> 16) +
                     seed * 59);
}

static const uint8_t *pattern_row(uint32_t seed, uint64_t position,
                                  size_t *ret_len)
{
    *ret_len = ROW - (size_t)(position % ROW);
    return steps + (uint8_t)(pattern_at(seed, position) * INVERSE);
}

void pattern_fill(uint32_t seed, uint64_t position, void *buf, size_t len)
{
    uint8_t *bytes = buf;
    for (size_t at = 0; at < len;) {
        size_t part = 0;
        const uint8_t *row = pattern_row(seed, position + at, &part);
        part = part < len - at ? part : len - at;
        memcpy(bytes + at, row, part);
        at += part;
    }
}

bool pattern_is(uint32_t seed, uint64_t position, const void *buf, size_t len)
{
    const uint8_t *bytes = buf;
    for (size_t at = 0; at < len;) {
        size_t part = 0;
        const uint8_t *row = pattern_row(seed, position + at, &part);
        part = part < len - at ? part : len - at;
        if (memcmp(bytes + at, row, part) != 0) {
            return false;
        }
        at += part;
    }
    return true;
}

/*
 * The pattern that peers of storm.c write; see storm_bytes.h.
 *
 * It is made once, because most bytes that peers write do not fit into a fake
 * socket, and are written again.
 */
#include "tests/streams/storm_bytes.h"

#include <string.h>

enum { PERIOD = 65521 };

static uint8_t pattern_byte(uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 32;
    switch (x % 40) {
    case 0:
        return '\n';
    case 1:
        return ';';
    default:
        return (uint8_t)('a' + x / 64 % 26);
    }
}

const uint8_t *storm_bytes(unsigned int peer, uint64_t offset)
{
    static uint8_t pattern[PERIOD + STORM_BYTES_MAX];
    if (pattern[0] == 0) {
        for (size_t i = 0; i < sizeof(pattern); i++) {
            pattern[i] = pattern_byte(i % PERIOD);
        }
    }
    return pattern + (offset + peer * UINT64_C(977)) % PERIOD;
}

bool storm_bytes_are(unsigned int peer, uint64_t offset, const void *data,
                     size_t len)
{
    const uint8_t *bytes = data;
    while (len > 0) {
        const size_t part = len < STORM_BYTES_MAX ? len : STORM_BYTES_MAX;
        if (memcmp(bytes, storm_bytes(peer, offset), part) != 0) {
            return false;
        }
        bytes += part;
        offset += part;
        len -= part;
    }
    return true;
}

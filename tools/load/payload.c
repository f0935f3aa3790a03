/*
 * Generates the bytes with splitmix64: a few operations for eight bytes, and
 * each seed gives another stream from the first byte on.
 *
 * The bytes are predictable, so they must not be used as secrets.
 */
#include "tools/load/payload.h"

#include <string.h>

uint64_t payload_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void payload_fill(uint8_t *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = i < PAYLOAD_PERIOD
                       ? (uint8_t)payload_mix(seed + i * UINT64_C(0x2545f491))
                       : bytes[i - PAYLOAD_PERIOD];
    }
}

void payload_init(struct payload *payload, uint64_t seed)
{
    payload_fill(payload->bytes, sizeof(payload->bytes), seed);
}

uint32_t payload_start(uint64_t seed, uint64_t conn_index, uint64_t generation)
{
    uint64_t value =
        payload_mix(payload_mix(seed ^ payload_mix(conn_index)) + generation);

    return (uint32_t)(value % PAYLOAD_PERIOD);
}

uint64_t payload_chance(uint64_t seed, uint32_t conn_index, uint32_t generation)
{
    return payload_mix(seed ^
                       payload_mix((uint64_t)conn_index << 32 ^ generation));
}

size_t payload_match(const struct payload *payload, uint32_t position,
                     const uint8_t *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        size_t room = sizeof(payload->bytes) - position;
        size_t part = len - done < room ? len - done : room;
        const uint8_t *want = payload->bytes + position;
        if (memcmp(data + done, want, part) != 0) {
            break;
        }
        done += part;
        position = payload_after(position, part);
    }
    while (done < len && data[done] == payload->bytes[position]) {
        done++;
        position = payload_after(position, 1);
    }
    return done;
}

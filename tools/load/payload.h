/*
 * Bytes that are sent and must be echoed: an endless pseudo-random stream, of
 * which each connection reads from its own position.
 *
 * The stream repeats after PAYLOAD_PERIOD bytes, a prime number. Blocks that
 * are lost, repeated or exchanged have the size of a power of two or of whole
 * requests, which is not a multiple of the period. So the bytes after such a
 * block are at a wrong position and differ.
 *
 * The stream is in memory once, with PAYLOAD_REACH contiguous bytes at every
 * position. Requests of any size are sent from it by reference, and responses
 * are compared with it.
 */
#ifndef WEIR_LOAD_PAYLOAD_H
#define WEIR_LOAD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_PERIOD 65521U
#define PAYLOAD_REACH  (256U * 1024)

struct payload {
    uint8_t bytes[PAYLOAD_PERIOD + PAYLOAD_REACH];
};

/* Hashes a number: each input bit changes about half of the result's bits. */
uint64_t payload_mix(uint64_t value);

/* Writes the first @size bytes of the stream of a seed. @size must be
 * PAYLOAD_PERIOD plus the largest request, so that a request at any position is
 * contiguous. */
void payload_fill(uint8_t *bytes, size_t size, uint64_t seed);

void payload_init(struct payload *payload, uint64_t seed);

/* Returns a connection's start position. It differs for each reconnect, so that
 * responses of an earlier connection are noticed. */
uint32_t payload_start(uint64_t seed, uint64_t conn_index, uint64_t generation);

/* Returns a random number for a connection. payload_mix() of this number plus a
 * request's index is the random number of the request. */
uint64_t payload_chance(uint64_t seed, uint32_t conn_index,
                        uint32_t generation);

static inline uint32_t payload_after(uint32_t position, size_t len)
{
    return (uint32_t)((position + len) % PAYLOAD_PERIOD);
}

/* Returns how many bytes match before the first difference. */
size_t payload_match(const struct payload *payload, uint32_t position,
                     const uint8_t *data, size_t len);

#endif

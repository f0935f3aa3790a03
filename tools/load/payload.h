/*
 * What is sent and must come back: one endless pseudo-random stream, and each
 * connection reads it from a place of its own.
 *
 * The stream repeats after PAYLOAD_PERIOD bytes, a prime number, so that no
 * plausible loss, repetition or exchange of blocks (they come in powers of
 * two, or in whole requests) is a multiple of it: the bytes that follow are
 * then at the wrong place of the stream and differ. It lies in memory once,
 * long enough that every position has PAYLOAD_REACH contiguous bytes; requests
 * of any size are sent from it by reference and answers are compared with it.
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

/* A number of which each bit of value changes about half of the bits. */
uint64_t payload_mix(uint64_t value);

/* Write the stream's first bytes from a seed. With PAYLOAD_PERIOD bytes more
 * than a request has, each position has a whole request in a row. */
void payload_fill(uint8_t *bytes, size_t size, uint64_t seed);

/* Fill the stream from a seed. */
void payload_init(struct payload *payload, uint64_t seed);

/* Where a connection begins; differs with the number of times that it was
 * made, so that answers of an earlier one are noticed. */
uint32_t payload_start(uint64_t seed, uint64_t conn_index, uint64_t generation);

/* A random number of a connection: with the number of a request added and mixed
 * it is that request's. */
uint64_t payload_chance(uint64_t seed, uint32_t conn_index,
                        uint32_t generation);

/* The position len bytes after another. */
static inline uint32_t payload_after(uint32_t position, size_t len)
{
    return (uint32_t)((position + len) % PAYLOAD_PERIOD);
}

/* How many bytes are as they should be, up to the first that is not. */
size_t payload_match(const struct payload *payload, uint32_t position,
                     const uint8_t *data, size_t len);

#endif

/*
 * What the peers of storm.c write: words between newlines and semicolons.
 *
 * Each peer repeats the same pattern from another position. Its length is a
 * prime number, so that lost, doubled or misplaced bytes are noticed.
 */
#ifndef WEIR_TESTS_STREAMS_STORM_BYTES_H
#define WEIR_TESTS_STREAMS_STORM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORM_BYTES_MAX = 9000 };

/* Returns STORM_BYTES_MAX bytes that the peer with this number writes at
 * @offset. */
const uint8_t *storm_bytes(unsigned int peer, uint64_t offset);

/* Compares bytes with those that the peer writes at @offset. */
bool storm_bytes_are(unsigned int peer, uint64_t offset, const void *data,
                     size_t len);

#endif

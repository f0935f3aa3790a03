/*
 * Bytes computed from their position in a stream.
 *
 * Tests with much data mostly generate and compare bytes, in each build and
 * under each mask, so 256 bytes are processed at a time.
 */
#ifndef WEIR_TESTS_PATTERN_H
#define WEIR_TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint8_t pattern_at(uint32_t seed, uint64_t position);
void pattern_fill(uint32_t seed, uint64_t position, void *buf, size_t len);
bool pattern_is(uint32_t seed, uint64_t position, const void *buf, size_t len);

#endif

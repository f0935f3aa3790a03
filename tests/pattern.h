/*
 * Bytes that follow from their place in a stream.
 *
 * Most of what a test of many bytes does is to make them and to compare them,
 * in each tree and under each mask: so 256 go at a time.
 */
#ifndef WEIR_TESTS_PATTERN_H
#define WEIR_TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @seed: of which stream. */
uint8_t pattern_at(uint32_t seed, uint64_t position);
void pattern_fill(uint32_t seed, uint64_t position, void *buf, size_t len);
bool pattern_is(uint32_t seed, uint64_t position, const void *buf, size_t len);

#endif

/*
 * 64-bit FNV-1a, for tables in memory and to identify input files in
 * results. It is not cryptographic: two files with the same hash can be made
 * on purpose.
 */
#ifndef WEIR_LOAD_HASH_H
#define WEIR_LOAD_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* Continues a hash; start with HASH_BEGIN. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#endif

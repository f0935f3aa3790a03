/*
 * FNV-1a with 64 bits, for tables in memory and for results, which name the
 * files of a load by it.
 *
 * It is no protection: who wants two files of one hash can make them.
 */
#ifndef WEIR_LOAD_HASH_H
#define WEIR_LOAD_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* Continues the hash of the bytes before; HASH_BEGIN if there are none. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#endif

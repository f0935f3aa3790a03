/*
 * Which of many numbered things have a hash.
 *
 * All are added first, then they are sorted, and then they are looked up: a
 * configuration is read once. Things of one hash are next to each other, in the
 * order of their numbers; whoever looks one up compares it, as other things may
 * have the same hash.
 */
#ifndef WEIR_PROXY_HASHES_H
#define WEIR_PROXY_HASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hashed {
    uint64_t hash;
    size_t number;
};

/* All zero is an empty one. */
struct hashes {
    struct hashed *all;
    size_t count;
    size_t capacity;
};

#define HASHES_BASIS UINT64_C(0xcbf29ce484222325)

/* FNV-1a: goes on from a hash, at first HASHES_BASIS. */
static inline uint64_t hashes_add_byte(uint64_t hash, unsigned byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

uint64_t hashes_add_bytes(uint64_t hash, const void *data, size_t size);
/* The text with its end; NULL is no text. */
uint64_t hashes_add_text(uint64_t hash, const char *text);

/* False without memory. */
bool hashes_add(struct hashes *hashes, uint64_t hash, size_t number);
/* All are there. */
void hashes_sort(struct hashes *hashes);
void hashes_free(struct hashes *hashes);

/* How many have this hash; *ret is the first of them. */
size_t hashes_find(const struct hashes *hashes, uint64_t hash,
                   const struct hashed **ret);

/* For each of these texts the number of the first that is equal; its own if it
 * is NULL. To be freed; NULL without memory. */
size_t *hashes_find_firsts(const char *const *texts, size_t count);

#endif

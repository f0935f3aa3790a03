/*
 * Multimap from hashes to numbers.
 *
 * The caller adds all entries, sorts once, then looks up. Entries with the same
 * hash are adjacent, in the order of their numbers. The caller must compare the
 * objects that it finds, because different objects may have the same hash.
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

struct hashes {
    struct hashed *all;
    size_t count;
};

#define HASHES_BASIS UINT64_C(0xcbf29ce484222325)

/* Adds a byte to an FNV-1a hash. The hash starts as HASHES_BASIS. */
static inline uint64_t hashes_add_byte(uint64_t hash, unsigned byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

uint64_t hashes_add_bytes(uint64_t hash, const void *data, size_t size);
/* Adds the text with its NUL. A NULL pointer and "" give different hashes. */
uint64_t hashes_add_text(uint64_t hash, const char *text);

bool hashes_add(struct hashes *hashes, uint64_t hash, size_t number);
void hashes_sort(struct hashes *hashes);
void hashes_free(struct hashes *hashes);

/* Returns the number of entries with this hash, which start at *ret. */
size_t hashes_find(const struct hashes *hashes, uint64_t hash,
                   const struct hashed **ret);

/* Compares a field, a text, of the elements of an array. @texts points to the
 * field of the first of @count elements, which are @stride bytes apart. Returns
 * an array with the index of the first equal text for each text. A NULL text
 * gets its own index. The caller frees the array. Returns NULL if out of
 * memory. */
size_t *hashes_find_firsts(const void *texts, size_t stride, size_t count);

#endif

/*
 * Multimap from hashes to numbers.
 *
 * All entries are added first, then sorted once, then looked up. Entries with
 * the same hash are adjacent, in the order of their numbers. A caller must
 * compare the objects that it finds, because different objects may have the
 * same hash.
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

/* A zero-initialised map is empty. */
struct hashes {
    struct hashed *all;
    size_t count;
    size_t capacity;
};

#define HASHES_BASIS UINT64_C(0xcbf29ce484222325)

/* Adds a byte to an FNV-1a hash, which starts as HASHES_BASIS. Returns the new
 * hash. */
static inline uint64_t hashes_add_byte(uint64_t hash, unsigned byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

uint64_t hashes_add_bytes(uint64_t hash, const void *data, size_t size);
/* Adds the text with its NUL. NULL is different from "". */
uint64_t hashes_add_text(uint64_t hash, const char *text);

/* Returns false if out of memory. */
bool hashes_add(struct hashes *hashes, uint64_t hash, size_t number);
/* Must be called after the last hashes_add(). */
void hashes_sort(struct hashes *hashes);
void hashes_free(struct hashes *hashes);

/* Returns how many entries have this hash; *ret is the first of them. */
size_t hashes_find(const struct hashes *hashes, uint64_t hash,
                   const struct hashed **ret);

/* Finds for each text the first equal text. Returns an array of their numbers,
 * which the caller frees; NULL texts get their own number. Returns NULL if out
 * of memory. */
size_t *hashes_find_firsts(const char *const *texts, size_t count);

#endif

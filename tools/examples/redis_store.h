/*
 * The data of the redis server: values by key, in a balanced tree, so that no
 * choice of keys makes it slow. The data is limited to 256 MiB; a command that
 * would exceed the limit fails. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_REDIS_STORE_H
#define WEIR_EXAMPLES_REDIS_STORE_H

#include "redis_words.h"

#include <search.h>

enum { STORE_BYTES = 256 << 20, ENTRY_BYTES = 128 /* besides key and value */ };

struct stored {
    struct redis_word key;
    struct redis_word value;
};

static void *store;
static size_t store_bytes;

static inline int compare(const void *a, const void *b)
{
    const struct redis_word *left = a; /* the key is the first field */
    const struct redis_word *right = b;
    if (left->len != right->len) {
        return left->len < right->len ? -1 : 1;
    }
    return memcmp(left->data, right->data, left->len);
}

static inline struct stored *store_find(struct redis_word key)
{
    void *node = tfind(&key, &store, compare);
    return node ? *(struct stored **)node : NULL;
}

static inline struct stored *store_add(struct redis_word key)
{
    struct stored *entry = malloc(sizeof(*entry) + key.len);
    if (!entry) {
        return NULL;
    }
    memcpy(entry + 1, key.data, key.len);
    *entry = (struct stored){{(char *)(entry + 1), key.len}, {NULL, 0}};
    if (!tsearch(entry, &store, compare)) {
        free(entry);
        return NULL;
    }
    store_bytes += ENTRY_BYTES + key.len;
    return entry;
}

static inline void store_remove(struct stored *entry)
{
    tdelete(entry, &store, compare);
    store_bytes -= ENTRY_BYTES + entry->key.len + entry->value.len;
    free((void *)(uintptr_t)entry->value.data);
    free(entry);
}

static inline bool store_set(struct redis_word key, struct redis_word value)
{
    bool fits = store_bytes + key.len + value.len <= STORE_BYTES;
    char *copy = fits ? malloc(value.len + 1) : NULL;
    struct stored *entry = store_find(key);
    entry = copy && !entry ? store_add(key) : entry;
    if (!copy || !entry) {
        free(copy);
        return false;
    }
    memcpy(copy, value.data, value.len);
    store_bytes += value.len - entry->value.len;
    free((void *)(uintptr_t)entry->value.data);
    entry->value = (struct redis_word){copy, value.len};
    return true;
}

#endif

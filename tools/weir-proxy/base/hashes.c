/*
 * The map is a sorted array: a lookup among a million entries takes about
 * twenty comparisons. Callers compare entries with equal hashes one after
 * another (matching.c). Only the author of a configuration can create many of
 * them.
 */
#include "hashes.h"

#include "arena.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

uint64_t hashes_add_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        hash = hashes_add_byte(hash, bytes[i]);
    }
    return hash;
}

uint64_t hashes_add_text(uint64_t hash, const char *text)
{
    hash = hashes_add_byte(hash, !text);
    return text ? hashes_add_bytes(hash, text, strlen(text) + 1) : hash;
}

bool hashes_add(struct hashes *hashes, uint64_t hash, size_t number)
{
    const struct hashed one = {hash, number};

    return arena_add(NULL, &hashes->all, &hashes->count, &one, sizeof(one));
}

static int compare(const void *a, const void *b)
{
    const struct hashed *one = a;
    const struct hashed *other = b;

    return one->hash != other->hash
               ? (one->hash > other->hash) - (one->hash < other->hash)
               : (one->number > other->number) - (one->number < other->number);
}

void hashes_sort(struct hashes *hashes)
{
    if (hashes->count > 0) {
        qsort(hashes->all, hashes->count, sizeof(*hashes->all), compare);
    }
}

void hashes_free(struct hashes *hashes)
{
    free(hashes->all);
    *hashes = (struct hashes){.all = NULL};
}

size_t hashes_find(const struct hashes *hashes, uint64_t hash,
                   const struct hashed **ret)
{
    size_t low = 0;
    size_t high = hashes->count;
    size_t count = 0;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (hashes->all[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret = hashes->all + low;
    while (low + count < hashes->count &&
           hashes->all[low + count].hash == hash) {
        count++;
    }
    return count;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t *hashes_find_firsts(const void *texts, size_t stride, size_t count)
{
    size_t *firsts = calloc(count + 1, sizeof(*firsts));
    bool is_whole = firsts != NULL;
    void *tree = NULL; /* of pointers to the field */

    for (size_t i = 0; i < count && is_whole; i++) {
        const char *text = (const char *)texts + i * stride;
        const char *const *first = &text;
        if (*(const char *const *)(const void *)text) {
            first = tsearch(text, &tree, compare_texts);
        }
        is_whole = first != NULL;
        firsts[i] = first ? (size_t)(*first - (const char *)texts) / stride : 0;
    }
    while (tree) {
        tdelete(*(void **)tree, &tree, compare_texts);
    }
    if (!is_whole) {
        free(firsts);
    }
    return is_whole ? firsts : NULL;
}

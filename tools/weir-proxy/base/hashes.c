/*
 * The map is a sorted array: a lookup among a million entries takes about
 * twenty comparisons. Callers compare entries with equal hashes one after
 * another (config_check.c, matching.c). Only the author of a configuration can
 * create many of them.
 */
#include "hashes.h"

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
    if (hashes->count == hashes->capacity) {
        const size_t capacity =
            hashes->capacity > 0 ? 2 * hashes->capacity : 16;
        struct hashed *larger =
            realloc(hashes->all, capacity * sizeof(*larger));
        if (!larger) {
            return false;
        }
        hashes->all = larger;
        hashes->capacity = capacity;
    }
    hashes->all[hashes->count++] = (struct hashed){hash, number};
    return true;
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

/* Sets firsts[i] to the number of the first text equal to texts[i]; @hashes
 * must be sorted. */
static void find_firsts(const struct hashes *hashes, const char *const *texts,
                        size_t *firsts)
{
    const struct hashed *first = hashes->all;

    for (size_t i = 0; i < hashes->count; i++) {
        const struct hashed *one = &hashes->all[i];
        first = first->hash == one->hash ? first : one;
        const struct hashed *same = first;
        while (strcmp(texts[same->number], texts[one->number]) != 0) {
            same++; /* stops at @one at the latest */
        }
        firsts[one->number] = same->number;
    }
}

size_t *hashes_find_firsts(const char *const *texts, size_t count)
{
    struct hashes hashes = {.all = NULL};
    size_t *firsts = calloc(count + 1, sizeof(*firsts));
    bool is_whole = firsts != NULL;

    for (size_t i = 0; i < count && is_whole; i++) {
        firsts[i] = i;
        is_whole =
            !texts[i] ||
            hashes_add(&hashes, hashes_add_text(HASHES_BASIS, texts[i]), i);
    }
    if (is_whole) {
        hashes_sort(&hashes);
        find_firsts(&hashes, texts, firsts);
    } else {
        free(firsts);
        firsts = NULL;
    }
    hashes_free(&hashes);
    return firsts;
}

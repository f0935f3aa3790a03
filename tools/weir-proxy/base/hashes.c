/*
 * The map is a sorted array: a lookup among a million entries takes about
 * twenty comparisons. Callers compare entries with equal hashes one after
 * another (config_check.c, matching.c). Only the author of a configuration can
 * create many of them.
 */
#include "hashes.h"

#include "array.h"

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
    struct hashed *one = array_add(&hashes->all, &hashes->count, sizeof(*one));

    if (!one) {
        return false;
    }
    *one = (struct hashed){hash, number};
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

static const char *text_at(const void *texts, size_t stride, size_t index)
{
    return *(const char *const *)((const char *)texts + index * stride);
}

size_t *hashes_find_firsts(const void *texts, size_t stride, size_t count)
{
    struct hashes hashes = {.all = NULL};
    size_t *firsts = calloc(count + 1, sizeof(*firsts));
    bool is_whole = firsts != NULL;

    for (size_t i = 0; i < count && is_whole; i++) {
        const char *text = text_at(texts, stride, i);
        firsts[i] = i;
        is_whole = !text ||
                   hashes_add(&hashes, hashes_add_text(HASHES_BASIS, text), i);
    }
    hashes_sort(&hashes);
    const struct hashed *first = hashes.all;
    for (size_t i = 0; i < hashes.count && is_whole; i++) {
        const struct hashed *one = &hashes.all[i];
        first = first->hash == one->hash ? first : one;
        const struct hashed *same = first;
        while (strcmp(text_at(texts, stride, same->number),
                      text_at(texts, stride, one->number)) != 0) {
            same++; /* stops at @one at the latest */
        }
        firsts[one->number] = same->number;
    }
    hashes_free(&hashes);
    if (!is_whole) {
        free(firsts);
    }
    return is_whole ? firsts : NULL;
}

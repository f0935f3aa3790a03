/*
 * Lists that are searched from one end to the other: they are as long as a
 * configuration has services or targets, and are searched when one is read.
 *
 * Keys are hashes of 64 bits, which stand for the names that they are made of.
 */
#include "keyed.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, with the texts' ends among the bytes; NULL is no text. */
static uint64_t add_text(uint64_t key, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;

    key = (key ^ !text) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < size; i++) {
        key = (key ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    return key;
}

uint64_t keyed_key(const char *service, const char *route, const char *target)
{
    const uint64_t key = add_text(UINT64_C(0xcbf29ce484222325), service);

    return add_text(add_text(key, route), target);
}

void *keyed_find(struct keyed **all, uint64_t key, size_t size,
                 bool *ret_is_new)
{
    struct keyed *one = *all;

    while (one && one->key != key) {
        one = one->next;
    }
    *ret_is_new = !one;
    if (!one) {
        one = calloc(1, size);
        if (!one) {
            return NULL;
        }
        one->key = key;
        one->next = *all;
        *all = one;
    }
    return one;
}

void keyed_free(struct keyed *all)
{
    while (all) {
        struct keyed *next = all->next;
        free(all);
        all = next;
    }
}

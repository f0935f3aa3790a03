/*
 * The C library's tree is balanced, and its entries stay where they are.
 *
 * A key is a 64-bit hash of names. The names are not compared, so names with
 * equal hashes share an entry.
 */
#include "keyed.h"

#include "hashes.h"

#include <search.h>
#include <stdlib.h>

uint64_t keyed_key(const char *service, const char *route, const char *target)
{
    const uint64_t key = hashes_add_text(HASHES_BASIS, service);

    return hashes_add_text(hashes_add_text(key, route), target);
}

static int compare(const void *a, const void *b)
{
    const uint64_t one = ((const struct keyed *)a)->key;
    const uint64_t other = ((const struct keyed *)b)->key;

    return (one > other) - (one < other);
}

void *keyed_find(struct keyed_table *table, uint64_t key, size_t size,
                 bool *ret_is_new)
{
    struct keyed *one = calloc(1, size);

    *ret_is_new = false;
    if (!one) {
        return NULL;
    }
    one->key = key;
    struct keyed *const *found = tsearch(one, &table->tree, compare);
    *ret_is_new = found && *found == one;
    if (!*ret_is_new) {
        free(one);
    }
    return found ? *found : NULL;
}

void keyed_free(struct keyed_table *table, void (*end)(void *one))
{
    while (table->tree) {
        struct keyed *one = *(struct keyed **)table->tree;
        tdelete(one, &table->tree, compare);
        if (end) {
            end(one);
        }
        free(one);
    }
}

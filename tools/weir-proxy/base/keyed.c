/*
 * A full table doubles its buckets. It never shrinks, because entries are freed
 * only with the table.
 *
 * A key is a 64-bit hash of names. The names are not compared, so names with
 * equal hashes share an entry.
 */
#include "keyed.h"

#include "hashes.h"

#include <stdlib.h>

uint64_t keyed_key(const char *service, const char *route, const char *target)
{
    const uint64_t key = hashes_add_text(HASHES_BASIS, service);

    return hashes_add_text(hashes_add_text(key, route), target);
}

static void put(struct keyed_table *table, struct keyed *one)
{
    struct keyed **bucket =
        &table->buckets[one->key & (table->bucket_count - 1)];

    one->next = *bucket;
    *bucket = one;
}

static bool grow(struct keyed_table *table)
{
    const struct keyed_table old = *table;
    const size_t count = old.bucket_count > 0 ? 2 * old.bucket_count : 16;
    struct keyed **buckets = calloc(count, sizeof(struct keyed *));

    if (!buckets) {
        return false;
    }
    table->buckets = buckets;
    table->bucket_count = count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        while (old.buckets[i]) {
            struct keyed *one = old.buckets[i];
            old.buckets[i] = one->next;
            put(table, one);
        }
    }
    free(old.buckets);
    return true;
}

void *keyed_find(struct keyed_table *table, uint64_t key, size_t size,
                 bool *ret_is_new)
{
    struct keyed *one = table->bucket_count > 0
                            ? table->buckets[key & (table->bucket_count - 1)]
                            : NULL;

    while (one && one->key != key) {
        one = one->next;
    }
    *ret_is_new = !one;
    if (one) {
        return one;
    }
    if (table->count == table->bucket_count && !grow(table)) {
        return NULL;
    }
    one = calloc(1, size);
    if (one) {
        one->key = key;
        put(table, one);
        table->count++;
    }
    return one;
}

void keyed_free(struct keyed_table *table, void (*end)(void *one))
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct keyed *one = table->buckets[i];
            table->buckets[i] = one->next;
            if (end) {
                end(one);
            }
            free(one);
        }
    }
    free(table->buckets);
    *table = (struct keyed_table){.buckets = NULL};
}

/*
 * Hash tables that live as long as the program: counts of services and targets,
 * operators' orders (orders.h), limits of addresses, and state shared by the
 * sets of a route.
 *
 * They outlive configurations: a name that is removed and added again continues
 * with its entry.
 */
#ifndef WEIR_PROXY_KEYED_H
#define WEIR_PROXY_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First field of each entry. */
struct keyed {
    struct keyed *next; /* in its bucket */
    uint64_t key;
};

/* A zero-initialised table is empty. */
struct keyed_table {
    struct keyed **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
};

/* Returns a hash of the names, each of which may be NULL. */
uint64_t keyed_key(const char *service, const char *route, const char *target);

/* Returns the entry with a key. If there is none, adds an entry of @size bytes,
 * zero except for the key, and sets *ret_is_new. Returns NULL if out of
 * memory. */
void *keyed_find(struct keyed_table *table, uint64_t key, size_t size,
                 bool *ret_is_new);
/* Calls @end, unless it is NULL, with each entry before it is freed. */
void keyed_free(struct keyed_table *table, void (*end)(void *one));

#endif

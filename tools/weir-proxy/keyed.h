/*
 * Tables of what is kept by a key, until the end: counts of services and
 * targets, what operators have ordered, and what the sets of a route share.
 *
 * They outlive the configuration: what is said of a name that is taken out and
 * put in again goes on.
 */
#ifndef WEIR_PROXY_KEYED_H
#define WEIR_PROXY_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first field of what is in such a table. */
struct keyed {
    struct keyed *next; /* of its bucket */
    uint64_t key;
};

/* All zero is an empty one. */
struct keyed_table {
    struct keyed **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
};

/* A number made of names; NULL is no name. */
uint64_t keyed_key(const char *service, const char *route, const char *target);

/* Finds the one of a key, or adds one of @size bytes, all zero but for the key,
 * with *ret_is_new; NULL: no memory. */
void *keyed_find(struct keyed_table *table, uint64_t key, size_t size,
                 bool *ret_is_new);
/* Each is given to @end before; NULL: there is nothing to end. */
void keyed_free(struct keyed_table *table, void (*end)(void *one));

#endif

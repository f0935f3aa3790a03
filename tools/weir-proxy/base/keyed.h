/*
 * Tables that live as long as the program: counts of services and targets,
 * operators' orders (orders.h), limits of addresses, and state shared by the
 * upstream sets of a route.
 *
 * If a reload removes a name from the configuration and a later one adds it
 * again, the name gets its old entry.
 */
#ifndef WEIR_PROXY_KEYED_H
#define WEIR_PROXY_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyed {
    uint64_t key;
};

/* A zero-initialised table is empty. */
struct keyed_table {
    void *tree; /* of tsearch(3) */
};

uint64_t keyed_key(const char *service, const char *route, const char *target);

/* Returns the entry with this key. If there is none, adds an entry of @size
 * bytes, zero except for the key. *ret_is_new is true if the entry was added.
 * Returns NULL if out of memory. */
void *keyed_find(struct keyed_table *table, uint64_t key, size_t size,
                 bool *ret_is_new);
/* Calls @end, unless it is NULL, with each entry before it is freed. */
void keyed_free(struct keyed_table *table, void (*end)(void *one));

#endif

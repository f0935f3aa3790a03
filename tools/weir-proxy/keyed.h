/*
 * Lists of what is kept by a key, until the end: counts of services and
 * targets, and what operators have ordered.
 *
 * They outlive the configuration: what is said of a name that is taken out and
 * put in again goes on.
 */
#ifndef WEIR_PROXY_KEYED_H
#define WEIR_PROXY_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first field of what is in such a list. */
struct keyed {
    struct keyed *next;
    uint64_t key;
};

/* A number made of names; NULL is no name. */
uint64_t keyed_key(const char *service, const char *route, const char *target);

/* Finds the one of a key, or adds one of @size bytes, all zero but for the key,
 * with *ret_is_new; NULL: no memory. */
void *keyed_find(struct keyed **all, uint64_t key, size_t size,
                 bool *ret_is_new);
void keyed_free(struct keyed *all);

#endif

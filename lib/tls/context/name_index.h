/*
 * Which of many certificates may be for a name: the pure part.
 *
 * Each DNS name and address of a certificate is an entry by its hash, a
 * wildcard as it is written. A host has three hashes at most: its own, that of
 * the wildcard above it, and that of the address that it is. What the index
 * finds may be another name of the same hash, and has to be compared.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_NAME_INDEX_H
#define WEIR_LIB_TLS_CONTEXT_NAME_INDEX_H

#include "lib/x509/certificate.h"

struct wr_tls_name_entry {
    uint64_t hash;
    size_t number; /* of the certificate */
};

/* All zero is an empty one. */
struct wr_tls_name_index {
    struct wr_tls_name_entry *entries;
    size_t count;
    size_t capacity;
};

/* The hashes by which a host is looked up. */
struct wr_tls_name_keys {
    uint64_t hashes[3];
    size_t count;
};

/* Adds the names of a certificate, and one that is for clients without a name,
 * if it is a default: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_name_index_add(struct wr_tls_name_index *index,
                                        const struct wr_x509 *x509,
                                        size_t number, bool is_default);
/* All are there. */
void wr_tls_name_index_sort(struct wr_tls_name_index *index);
void wr_tls_name_index_fini(struct wr_tls_name_index *index);

/* The keys of a host; NULL: of a client without a name. */
void wr_tls_name_keys_of(struct wr_tls_name_keys *ret, const char *host);

/* The first certificate from @number on that has one of the keys; SIZE_MAX:
 * none has. */
size_t wr_tls_name_index_next(const struct wr_tls_name_index *index,
                              const struct wr_tls_name_keys *keys,
                              size_t number);

#endif

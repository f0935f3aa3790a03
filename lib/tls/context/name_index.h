/*
 * An index of certificates by name. Pure functions.
 *
 * Each DNS name and address of a certificate is an entry with its hash; a
 * wildcard is hashed as it is written. A host has at most three hashes: its
 * name, the wildcard above it, and its address. A result may have another name
 * with the same hash, so the caller must compare the names.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_NAME_INDEX_H
#define WEIR_LIB_TLS_CONTEXT_NAME_INDEX_H

#include "lib/x509/certificate.h"

struct wr_tls_name_entry {
    uint64_t hash;
    size_t number; /* of the certificate */
};

/* Zero-initialized when empty. */
struct wr_tls_name_index {
    struct wr_tls_name_entry *entries;
    size_t count;
    size_t capacity;
};

/* The hashes with which a host is looked up. */
struct wr_tls_name_keys {
    uint64_t hashes[3];
    size_t count;
};

/* Adds the names of a certificate and, if it is a default, an entry for clients
 * without a name. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_name_index_add(struct wr_tls_name_index *index,
                                        const struct wr_x509 *x509,
                                        size_t number, bool is_default);
/* Must be called once after the last wr_tls_name_index_add(). */
void wr_tls_name_index_sort(struct wr_tls_name_index *index);
void wr_tls_name_index_fini(struct wr_tls_name_index *index);

/* Computes the keys of a host; NULL means a client without a name. */
void wr_tls_name_keys_of(struct wr_tls_name_keys *ret, const char *host);

/* Returns the first certificate, starting at @number, that has one of the keys,
 * or SIZE_MAX. */
size_t wr_tls_name_index_next(const struct wr_tls_name_index *index,
                              const struct wr_tls_name_keys *keys,
                              size_t number);

#endif

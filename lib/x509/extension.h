/*
 * The extensions of certificates (RFC 5280, 4.2).
 *
 * Pure. An extension is read into the fields of its certificate; fields without
 * an extension keep their defaults.
 */
#ifndef WEIR_LIB_X509_EXTENSION_H
#define WEIR_LIB_X509_EXTENSION_H

#include "certificate.h"

/* Extensions under 2.5.29 have their last number; all others this one. */
#define WR_X509_EXTENSION_OTHER 64u

struct wr_x509_extension {
    uint32_t number;
    struct wr_bytes value;
    bool is_critical;
};

/* Takes an Extension off a list. *seen has a bit for each number taken before.
 * False if it is malformed or a duplicate. */
WEIR_MUST_USE bool wr_x509_extension_take(struct wr_bytes *list,
                                          struct wr_x509_extension *ret,
                                          uint64_t *seen);

/* Takes an Extension off a list like wr_x509_extension_take() and reads it into
 * @x509. */
WEIR_MUST_USE bool wr_x509_extension_read(struct wr_x509 *x509,
                                          struct wr_bytes *list,
                                          uint64_t *seen);

#endif

/*
 * A certificate revocation list (CRL; RFC 5280, 5).
 *
 * The fields point into the parsed bytes. Only the serial numbers are a sorted
 * copy, for a binary search: a list may have a million. A list is accepted if
 * it is complete, covers its issuer's own certificates, and has no unknown
 * critical extension. Parsing is a pure function.
 */
#ifndef WEIR_LIB_X509_CRL_H
#define WEIR_LIB_X509_CRL_H

#include "signed.h"

struct wr_x509_crl {
    struct wr_x509_signed sign; /* the issuer's signature */
    struct wr_bytes issuer;     /* Name, with its header */
    struct wr_bytes entries;    /* content of revokedCertificates */
    size_t entry_count;
    struct wr_bytes *serials; /* sorted, or NULL */
    int64_t this_update;      /* seconds since 1970 */
    int64_t next_update;      /* the last valid second */
};

/* Parses a list. Returns NULL, or why it cannot be used. */
WEIR_MUST_USE const char *wr_x509_crl_read(struct wr_x509_crl *ret,
                                           struct wr_bytes der);

/* Sorts the serial numbers of a list. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_x509_crl_sort(struct wr_x509_crl *crl);
void wr_x509_crl_fini(struct wr_x509_crl *crl);

/* Returns true if the sorted list has this serial number (the content of an
 * INTEGER). */
bool wr_x509_crl_has(const struct wr_x509_crl *crl, struct wr_bytes serial);

#endif

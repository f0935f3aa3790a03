/*
 * A certificate revocation list (CRL; RFC 5280, 5). The fields point into the
 * parsed bytes. ->serials is sorted for a binary search, because a list may
 * have a million entries. A list is accepted if it is complete, covers its
 * issuer's own certificates, and has no unknown critical extension.
 */
#ifndef WEIR_LIB_X509_CRL_H
#define WEIR_LIB_X509_CRL_H

#include "signed.h"

struct wr_x509_crl {
    struct wr_x509_signed sign;
    struct wr_bytes issuer;  /* Name, with its header */
    struct wr_bytes entries; /* content of revokedCertificates */
    size_t entry_count;
    struct wr_bytes *serials; /* sorted, or NULL */
    int64_t this_update;      /* seconds since 1970 */
    int64_t next_update;      /* the last valid second */
};

/* Returns NULL, or a static text with the reason why the list cannot be
 * used. */
WEIR_MUST_USE const char *wr_x509_crl_read(struct wr_x509_crl *ret,
                                           struct wr_bytes der);

WEIR_MUST_USE int wr_x509_crl_sort(struct wr_x509_crl *crl);
void wr_x509_crl_fini(struct wr_x509_crl *crl);

/* The list must be sorted. @serial is the content of an INTEGER. */
bool wr_x509_crl_has(const struct wr_x509_crl *crl, struct wr_bytes serial);

#endif

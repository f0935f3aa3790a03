/*
 * A list of revoked certificates (CRL), as RFC 5280, 5, has it.
 *
 * The fields point into the bytes that were read, but for the numbers, which
 * are put in order to be found by bisection: a list may have a million. A list
 * is read if it is a whole one, of its issuer's own certificates, and all that
 * is critical in it is understood. Reading is pure.
 */
#ifndef WEIR_LIB_X509_CRL_H
#define WEIR_LIB_X509_CRL_H

#include "signed.h"

struct wr_x509_crl {
    struct wr_x509_signed sign; /* by the issuer */
    struct wr_der issuer;       /* a name, with its header */
    struct wr_der entries;      /* the inside of revokedCertificates */
    size_t entry_count;
    struct wr_der *serials; /* in order; NULL: they are not, or are none */
    int64_t this_update;    /* seconds since 1970 */
    int64_t next_update;    /* the last of them */
};

/* Reads a list. NULL, or why it cannot be used. */
WEIR_MUST_USE const char *wr_x509_crl_read(struct wr_x509_crl *ret,
                                           struct wr_der der);

/* Puts the numbers of a list that was read in order: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_x509_crl_sort(struct wr_x509_crl *crl);
void wr_x509_crl_fini(struct wr_x509_crl *crl);

/* True where a certificate with this number, the inside of an INTEGER, is on
 * the list, which is in order. */
bool wr_x509_crl_has(const struct wr_x509_crl *crl, struct wr_der serial);

#endif

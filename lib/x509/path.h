/*
 * The path from a peer's certificate to an authority that is trusted.
 *
 * A peer may send its certificates in any order, some of them twice, and more
 * than are needed (RFC 8446, 4.4.2). The path is looked for: issuers are found
 * by name, among those that are trusted first, and the signature of each link
 * is verified through a function of the caller's. What holds for a whole path
 * is checked here: how many issuers there may be, which names (RFC 5280, 6.1),
 * and that none of its certificates but the anchor was revoked.
 */
#ifndef WEIR_LIB_X509_PATH_H
#define WEIR_LIB_X509_PATH_H

#include "rules.h"
#include "trust.h"

/* Certificates of one peer that are looked at, the leaf included. */
#define WR_X509_CHAIN_MAX 10u

/* Asks whether the issuer has signed the child, or whether the child of that
 * issuer was revoked (WEIR_ETLSREVOKED), or may be (WEIR_ETLSNOCRL). err 0: it
 * has, it was not. */
typedef struct wr_x509_reason wr_x509_link_fn(void *user,
                                              const struct wr_x509 *child,
                                              const struct wr_x509 *issuer);

struct wr_x509_path {
    /* Of the caller. */
    struct wr_x509_rules rules;
    const struct wr_x509_trust *trust;
    const struct wr_x509 *sent; /* der.data NULL: one that is malformed */
    uint32_t sent_count;
    wr_x509_link_fn *link;    /* asked for the signature */
    wr_x509_link_fn *revoked; /* NULL: there are no lists of revocations */
    void *user;

    /* Written here. */
    uint32_t steps[WR_X509_CHAIN_MAX]; /* places in @sent, the leaf's first */
    uint32_t length;
    struct wr_x509_reason reason; /* why there is no path */
    const struct wr_x509 *wrong;  /* the certificate that it is about */
    uint32_t rank;                /* how far the failed path had come */
    uint32_t links;               /* how many were verified */
};

/* Looks for a path, verifying each link. False: there is none, and the reason
 * is that of the one which came furthest. */
WEIR_MUST_USE bool wr_x509_path_find(struct wr_x509_path *path);

/* True where the certificates were sent as one path without a choice, and it
 * keeps the rules; then it is the path. The links were verified before. */
WEIR_MUST_USE bool wr_x509_path_is_plain(struct wr_x509_path *path);

#endif

/*
 * The path from a peer's certificate to a trusted authority. A peer may send
 * its certificates in any order, some of them twice, and more than are needed
 * (RFC 8446, 4.4.2). Therefore weir searches for a path: it finds issuers by
 * name, trusted ones first, and the caller's function verifies the signature of
 * each link. The search also checks the rules for a whole path: the number of
 * issuers, the names (RFC 5280, 6.1), and that no certificate was revoked.
 */
#ifndef WEIR_LIB_X509_PATH_H
#define WEIR_LIB_X509_PATH_H

#include "certificate.h"
#include "rules.h"
#include "trust.h"

/*
 * Name constraints (RFC 5280, 4.2.1.10). The check is stricter than in other
 * implementations on purpose: a wildcard that could match an excluded name is
 * refused, a directory name that cannot be compared counts as excluded, and
 * mail addresses in a subject are checked even if there are alternative names.
 */

enum wr_x509_constraint {
    WR_X509_CONSTRAINT_KEPT,
    WR_X509_CONSTRAINT_BROKEN,  /* a name is excluded, or not permitted */
    WR_X509_CONSTRAINT_UNKNOWN, /* a constrained name is of an unknown kind:
                                 * neither DNS, IP, mail nor directory */
    WR_X509_CONSTRAINT_MANY,    /* more comparisons than the budget allows */
};

/* Applies the constraints of @authority, which must have some, to all names of
 * @x509. A peer chooses the number of both. So each comparison of a name with a
 * subtree costs 1 of *budget, and 1 more for each 64 bytes. Directory names
 * also cost their attributes (directory.h). */
enum wr_x509_constraint
wr_x509_constraint_check(const struct wr_x509 *authority,
                         const struct wr_x509 *x509, size_t *budget);

/* Maximum number of certificates of one peer, including the leaf. */
#define WR_X509_CHAIN_MAX 10u

/* Checks whether @issuer has signed @child, or whether @child was revoked. The
 * err of the result is 0 if @child was signed, or was not revoked;
 * WEIR_ETLSREVOKED if it was revoked; and WEIR_ETLSNOCRL if no list covers
 * it. */
typedef struct wr_x509_reason wr_x509_link_fn(void *user,
                                              const struct wr_x509 *child,
                                              const struct wr_x509 *issuer);

struct wr_x509_path {
    /* Set by the caller. */
    struct wr_x509_rules rules;
    const struct wr_x509_trust *trust;
    const struct wr_x509 *sent; /* der.data is NULL if malformed */
    uint32_t sent_count;
    wr_x509_link_fn *link;    /* verifies a signature */
    wr_x509_link_fn *revoked; /* checks revocation lists, or NULL */
    void *user;

    /* Set by wr_x509_path_find(). */
    uint32_t firsts[WR_X509_CHAIN_MAX]; /* index of the first copy in ->sent */
    uint32_t steps[WR_X509_CHAIN_MAX];  /* indexes in ->sent, the leaf first */
    uint32_t length;
    struct wr_x509_reason reason;
    const struct wr_x509 *wrong; /* certificate that ->reason is about */
    uint32_t rank;               /* progress of the best failed path */
    uint32_t links;
    uint32_t cost; /* cost of the verified links; see path.c */
    uint32_t looks;
    size_t names_left; /* remaining budget of comparisons */
};

/* Searches for a path and verifies its links. If no path is valid, returns
 * false and sets ->reason to the error of the path that got furthest. */
WEIR_MUST_USE bool wr_x509_path_find(struct wr_x509_path *path);

#endif

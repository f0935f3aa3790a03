/*
 * Applies the name constraints of an authority to the names of a certificate
 * below it (RFC 5280, 4.2.1.10). Pure functions.
 *
 * Stricter than others on purpose: a wildcard that could match an excluded name
 * is refused, a directory name that cannot be compared counts as excluded, and
 * mail addresses in a subject are always checked, even if there are alternative
 * names.
 */
#ifndef WEIR_LIB_X509_CONSTRAINT_H
#define WEIR_LIB_X509_CONSTRAINT_H

#include "certificate.h"

enum wr_x509_constraint {
    WR_X509_CONSTRAINT_KEPT,
    WR_X509_CONSTRAINT_BROKEN,  /* a name is excluded, or not permitted */
    WR_X509_CONSTRAINT_UNKNOWN, /* a constrained name is of an unknown kind:
                                 * neither DNS, IP, mail nor directory */
    WR_X509_CONSTRAINT_MANY,    /* more comparisons than the budget allows */
};

/* Applies the constraints of @authority, which must have some, to all names of
 * @x509. A peer chooses the number of both, so each subtree that a name is
 * compared with takes 1 from *budget, and a comparison takes 1 more for each 64
 * bytes. Directory names also take the cost of their attributes
 * (directory.h). */
enum wr_x509_constraint
wr_x509_constraint_check(const struct wr_x509 *authority,
                         const struct wr_x509 *x509, size_t *budget);

#endif

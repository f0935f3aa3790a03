/*
 * The name constraints of an authority, applied to the names of a certificate
 * that is below it (RFC 5280, 4.2.1.10). Pure.
 *
 * Stricter than others on purpose: a wildcard is refused that could stand for a
 * name that is excluded, a directory name whose spelling cannot be compared is
 * taken to be excluded, and addresses in a subject are looked at whether or not
 * there are alternative names.
 */
#ifndef WEIR_LIB_X509_CONSTRAINT_H
#define WEIR_LIB_X509_CONSTRAINT_H

#include "certificate.h"

enum wr_x509_constraint {
    WR_X509_CONSTRAINT_KEPT,
    WR_X509_CONSTRAINT_BROKEN,  /* a name is excluded, or not permitted */
    WR_X509_CONSTRAINT_UNKNOWN, /* it has a constrained name of a kind that is
                                  not understood: neither DNS, IP, mail nor
                                  directory */
};

/* Applies the constraints of @authority, which has some, to all names of
 * @x509. */
enum wr_x509_constraint
wr_x509_constraint_check(const struct wr_x509 *authority,
                         const struct wr_x509 *x509);

#endif

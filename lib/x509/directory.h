/*
 * Directory names: the subjects and issuers of certificates (RFC 5280,
 * 4.1.2.4).
 *
 * Pure. A name is checked once (wr_x509_directory_is_good()), and then walked
 * or compared without a failure.
 */
#ifndef WEIR_LIB_X509_DIRECTORY_H
#define WEIR_LIB_X509_DIRECTORY_H

#include "der.h"

/* One attribute, CN=x; a name is a list of sets of them. */
struct wr_x509_attribute {
    struct wr_der oid;
    struct wr_der value;
    uint8_t tag;      /* of the value */
    bool is_next_set; /* the first one of its set */
};

/* A walk over a name. */
struct wr_x509_directory {
    struct wr_der sets; /* those that are left */
    struct wr_der set;  /* what is left of the current one */
};

/* True of a name, with its header, that is well-formed. */
WEIR_MUST_USE bool wr_x509_directory_is_good(struct wr_der name);

/* Begins to walk over a good name. */
void wr_x509_directory_open(struct wr_x509_directory *directory,
                            struct wr_der name);

/* The next attribute; false at the end. */
WEIR_MUST_USE bool wr_x509_directory_next(struct wr_x509_directory *directory,
                                          struct wr_x509_attribute *ret);

/* True of the attribute of this number under 2.5.4, which has the common ones.
 */
bool wr_x509_attribute_is(const struct wr_x509_attribute *attribute,
                          uint8_t number);

/* True of emailAddress. */
bool wr_x509_attribute_is_mail(const struct wr_x509_attribute *attribute);

enum wr_x509_directory_match {
    WR_X509_DIRECTORY_OTHER,
    WR_X509_DIRECTORY_UNSURE, /* spelled in ways that are not compared here */
    WR_X509_DIRECTORY_WITHIN,
};

/* Whether the good name @name is @base or below it: it begins with its sets.
 * ASCII is compared without regard to case and to how many blanks there are. */
enum wr_x509_directory_match wr_x509_directory_compare(struct wr_der base,
                                                       struct wr_der name);

#endif

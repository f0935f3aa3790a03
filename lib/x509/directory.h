/*
 * Directory names: the subjects and issuers of certificates (RFC 5280,
 * 4.1.2.4). A name is checked once (wr_x509_directory_is_good()); then
 * iterating over it and comparing it cannot fail. Pure functions.
 */
#ifndef WEIR_LIB_X509_DIRECTORY_H
#define WEIR_LIB_X509_DIRECTORY_H

#include "der.h"

/* One attribute (CN=x); a name is a list of sets of attributes. */
struct wr_x509_attribute {
    struct wr_bytes oid;
    struct wr_bytes value;
    uint8_t tag;      /* of the value */
    bool is_next_set; /* the attribute is the first of its set */
};

struct wr_x509_directory {
    struct wr_bytes sets; /* the remaining sets */
    struct wr_bytes set;  /* unread bytes of the current set */
};

/* @name has its header. */
WEIR_MUST_USE bool wr_x509_directory_is_good(struct wr_bytes name);

/* @name must be well-formed. */
void wr_x509_directory_open(struct wr_x509_directory *directory,
                            struct wr_bytes name);

/* Returns false at the end. */
WEIR_MUST_USE bool wr_x509_directory_next(struct wr_x509_directory *directory,
                                          struct wr_x509_attribute *ret);

/* True if the attribute is 2.5.4.@number, such as 2.5.4.3 (commonName). */
bool wr_x509_attribute_is(const struct wr_x509_attribute *attribute,
                          uint8_t number);

bool wr_x509_attribute_is_mail(const struct wr_x509_attribute *attribute);

enum wr_x509_directory_match {
    WR_X509_DIRECTORY_OTHER,
    WR_X509_DIRECTORY_UNSURE, /* the spelling cannot be compared */
    WR_X509_DIRECTORY_WITHIN,
    WR_X509_DIRECTORY_MANY, /* more comparisons than the budget allows */
};

/* Reports whether @name begins with the sets of @base, that is, whether it is
 * @base or below it. Both must be well-formed. ASCII is compared without regard
 * to case and to the number of blanks.
 *
 * Each attribute of a set is compared with each of the other set, so a peer can
 * make this take long. Comparing two attributes takes 1 from *budget, and 1
 * more for each 64 bytes of their values. */
enum wr_x509_directory_match wr_x509_directory_compare(struct wr_bytes base,
                                                       struct wr_bytes name,
                                                       size_t *budget);

/* Subtracts @cost from a budget. Returns false if the budget is used up. */
WEIR_MUST_USE bool wr_x509_budget_pay(size_t *budget, size_t cost);

#endif

/*
 * Directory names: the subjects and issuers of certificates (RFC 5280,
 * 4.1.2.4). After wr_x509_directory_is_good(), iterating over a name and
 * comparing it cannot fail. Pure functions.
 */
#ifndef WEIR_LIB_X509_DIRECTORY_H
#define WEIR_LIB_X509_DIRECTORY_H

#include "der.h"

/* One attribute (CN=x); a name is a list of sets of attributes. */
struct wr_x509_attribute {
    struct wr_bytes oid;
    struct wr_bytes value;
    uint8_t tag;
    bool is_next_set; /* the attribute is the first of its set */
};

struct wr_x509_directory {
    struct wr_bytes sets;
    struct wr_bytes set; /* unread bytes of the current set */
};

/* @name has its header. */
WEIR_MUST_USE bool wr_x509_directory_is_good(struct wr_bytes name);

void wr_x509_directory_open(struct wr_x509_directory *directory,
                            struct wr_bytes name);

WEIR_MUST_USE bool wr_x509_directory_next(struct wr_x509_directory *directory,
                                          struct wr_x509_attribute *ret);

/* Returns true for the attribute 2.5.4.@number, such as 2.5.4.3
 * (commonName). */
bool wr_x509_attribute_is(const struct wr_x509_attribute *attribute,
                          uint8_t number);

bool wr_x509_attribute_is_mail(const struct wr_x509_attribute *attribute);

enum wr_x509_directory_match {
    WR_X509_DIRECTORY_OTHER,
    WR_X509_DIRECTORY_UNSURE, /* the spelling cannot be compared */
    WR_X509_DIRECTORY_WITHIN,
    WR_X509_DIRECTORY_MANY, /* more comparisons than the budget allows */
};

/* Compares the first sets of @name with the sets of @base: @name is WITHIN if
 * it is @base or below it. Both must be well-formed. The comparison ignores the
 * case of ASCII letters and the number of blanks.
 *
 * Each attribute of a set is compared with each attribute of the other set, so
 * a peer can make this take long. Comparing two attributes costs 1 of *budget,
 * and 1 more for each 64 bytes of their values. */
enum wr_x509_directory_match wr_x509_directory_compare(struct wr_bytes base,
                                                       struct wr_bytes name,
                                                       size_t *budget);

/* Subtracts @cost from a budget. Returns false if the budget is used up. */
WEIR_MUST_USE bool wr_x509_budget_pay(size_t *budget, size_t cost);

#endif

/*
 * The extensions of certificates (RFC 5280, 4.2). weir also checks every byte
 * of the extensions that it knows but ignores, so that they cannot make a
 * library refuse or accept a certificate. Pure functions.
 */
#ifndef WEIR_LIB_X509_EXTENSION_H
#define WEIR_LIB_X509_EXTENSION_H

#include "certificate.h"

/* An extension under 2.5.29 has the last number of its identifier. The numbers
 * from WR_X509_EXTENSION_OTHER on are for extensions outside 2.5.29. */
enum {
    WR_X509_EXTENSION_SUBJECT_ATTRIBUTES = 9,
    WR_X509_EXTENSION_SUBJECT_KEY = 14,
    WR_X509_EXTENSION_USAGE = 15,
    WR_X509_EXTENSION_NAMES = 17,
    WR_X509_EXTENSION_ISSUER_NAME = 18,
    WR_X509_EXTENSION_BASIC = 19,
    WR_X509_EXTENSION_NAME_CONSTRAINTS = 30,
    WR_X509_EXTENSION_POINTS = 31,
    WR_X509_EXTENSION_POLICIES = 32,
    WR_X509_EXTENSION_MAPPINGS = 33,
    WR_X509_EXTENSION_AUTHORITY_KEY = 35,
    WR_X509_EXTENSION_POLICY_CONSTRAINTS = 36,
    WR_X509_EXTENSION_PURPOSES = 37,
    WR_X509_EXTENSION_FRESHEST = 46,
    WR_X509_EXTENSION_INHIBIT = 54,
    WR_X509_EXTENSION_OTHER = 64,
    WR_X509_EXTENSION_ACCESS,   /* authorityInfoAccess, subjectInfoAccess */
    WR_X509_EXTENSION_NETSCAPE, /* netscape-cert-type, which wolfSSL reads */
};

#define WR_X509_OTHERS_MAX 32u

struct wr_x509_extension {
    uint32_t number;
    struct wr_bytes oid;
    struct wr_bytes value;
    bool is_critical;
};

struct wr_x509_extensions {
    struct wr_bytes all;
    struct wr_bytes rest;
    uint64_t seen;
    uint32_t others;
};

void wr_x509_extensions_open(struct wr_x509_extensions *extensions,
                             struct wr_bytes list);

/* Returns false if the next extension is malformed or repeated, or if there are
 * more than WR_X509_OTHERS_MAX outside 2.5.29. */
WEIR_MUST_USE bool wr_x509_extension_take(struct wr_x509_extensions *extensions,
                                          struct wr_x509_extension *ret);

WEIR_MUST_USE bool wr_x509_extensions_read(struct wr_x509 *x509,
                                           struct wr_bytes list);

typedef bool wr_x509_form_fn(struct wr_bytes *list);

/* @value must be a SEQUENCE of one or more elements, and nothing else. */
WEIR_MUST_USE bool wr_x509_form_is_list(struct wr_bytes value,
                                        wr_x509_form_fn *element);

/* @list must have one or more elements. */
WEIR_MUST_USE bool wr_x509_form_has_only(struct wr_bytes list,
                                         wr_x509_form_fn *element);

/* Takes a GeneralName. An IP address has no mask. */
WEIR_MUST_USE bool wr_x509_form_take_name(struct wr_bytes *list);

/* Takes a GeneralName that is the base of a constraint. An IP address has a
 * mask, which must be a prefix mask. */
WEIR_MUST_USE bool wr_x509_form_take_base(struct wr_bytes *list,
                                          uint8_t *ret_tag);

WEIR_MUST_USE bool wr_x509_form_is_good(uint32_t number, struct wr_bytes value);

#endif

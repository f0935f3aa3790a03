/*
 * An X.509 certificate, with the fields that weir's rules need (rules.h,
 * path.h). The fields point into the parsed bytes. Each field and extension
 * must be DER and conform to RFC 5280, and the parser checks every byte. Pure
 * functions.
 */
#ifndef WEIR_LIB_X509_CERTIFICATE_H
#define WEIR_LIB_X509_CERTIFICATE_H

#include "signed.h"
#include "strength.h"

#define WR_X509_USE_SIGNATURE (1u << 0)
#define WR_X509_USE_CERT_SIGN (1u << 5)
#define WR_X509_USE_LIST_SIGN (1u << 6)

#define WR_X509_FOR_SERVERS (1u << 0)
#define WR_X509_FOR_CLIENTS (1u << 1)

#define WR_X509_PATH_LEN_ANY UINT32_MAX

/* Tags of GeneralName, and of the two lists in name constraints. */
enum {
    WR_X509_NAME_TAG_OTHER = 0xa0,
    WR_X509_NAME_TAG_EMAIL = 0x81,
    WR_X509_NAME_TAG_DNS = 0x82,
    WR_X509_NAME_TAG_X400 = 0xa3,
    WR_X509_NAME_TAG_DIRECTORY = 0xa4,
    WR_X509_NAME_TAG_PARTY = 0xa5,
    WR_X509_NAME_TAG_URI = 0x86,
    WR_X509_NAME_TAG_IP = 0x87,
    WR_X509_NAME_TAG_ID = 0x88,

    WR_X509_TREES_PERMITTED = 0xa0,
    WR_X509_TREES_EXCLUDED = 0xa1,
};

struct wr_x509 {
    struct wr_bytes der; /* the whole certificate */
    struct wr_x509_signed sign;
    struct wr_bytes key_info;    /* SubjectPublicKeyInfo with its header */
    struct wr_bytes serial;      /* content of the INTEGER */
    struct wr_bytes issuer;      /* Name, with its header */
    struct wr_bytes subject;     /* Name, with its header */
    struct wr_bytes names;       /* content of subjectAltName */
    struct wr_bytes constraints; /* nameConstraints; data is NULL if missing */
    int64_t not_before;          /* seconds since 1970 */
    int64_t not_after;           /* the last valid second */
    uint32_t version;
    enum wr_x509_strength signature;
    struct wr_x509_key_strength key;
    uint32_t path_len; /* maximum number of issuers below it */
    uint32_t usage;
    uint32_t purposes;
    bool has_usage;    /* false means any use */
    bool has_purposes; /* false means any purpose */
    bool is_authority;
    bool has_critical_names;
    /* An unknown critical extension, or kind of name constraint. */
    bool has_unknown;
};

/* Returns 0, or -EBADMSG if the certificate is malformed. Sets ret->der in both
 * cases. */
WEIR_MUST_USE int wr_x509_read(struct wr_x509 *ret, const uint8_t *der,
                               size_t size);

bool wr_x509_is_self_issued(const struct wr_x509 *x509);

enum wr_x509_name_kind {
    WR_X509_NAME_DNS,
    WR_X509_NAME_IP,
    WR_X509_NAME_OTHER,
};

bool wr_x509_next_name(struct wr_bytes *names, enum wr_x509_name_kind *ret_kind,
                       struct wr_bytes *ret);

WEIR_MUST_USE bool wr_x509_is_for(const struct wr_x509 *x509, const char *host);

/* Returns true if both have the same DNS name, ignoring case, or address. */
WEIR_MUST_USE bool wr_x509_shares_name(const struct wr_x509 *a,
                                       const struct wr_x509 *b);

/* Writes "CN=...", or another name of the subject, for messages, in printable
 * ASCII. Truncates it to @size with its NUL. */
void wr_x509_write_subject(const struct wr_x509 *x509, char *ret, size_t size);

#endif

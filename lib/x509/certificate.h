/*
 * An X.509 certificate, read as far as weir's own rules need it (rules.h,
 * path.h).
 *
 * Pure: the fields point into the bytes that were read. wolfSSL reads the same
 * certificate for itself; this reader is stricter, and refuses what is not
 * plain DER of RFC 5280.
 */
#ifndef WEIR_LIB_X509_CERTIFICATE_H
#define WEIR_LIB_X509_CERTIFICATE_H

#include "signed.h"
#include "strength.h"

/* Of the extension keyUsage, as numbered there. */
#define WR_X509_USE_SIGNATURE (1u << 0)
#define WR_X509_USE_CERT_SIGN (1u << 5)
#define WR_X509_USE_LIST_SIGN (1u << 6)

/* Of the extension extKeyUsage. */
#define WR_X509_FOR_SERVERS (1u << 0)
#define WR_X509_FOR_CLIENTS (1u << 1)

/* Of basicConstraints: any number of issuers may follow. */
#define WR_X509_PATH_LEN_ANY UINT32_MAX

/* Tags of names (GeneralName), and of the lists in name constraints. */
enum {
    WR_X509_NAME_TAG_EMAIL = 0x81,
    WR_X509_NAME_TAG_DNS = 0x82,
    WR_X509_NAME_TAG_DIRECTORY = 0xa4,
    WR_X509_NAME_TAG_URI = 0x86,
    WR_X509_NAME_TAG_IP = 0x87,

    WR_X509_TREES_PERMITTED = 0xa0,
    WR_X509_TREES_EXCLUDED = 0xa1,
};

struct wr_x509 {
    struct wr_der der;          /* all of it */
    struct wr_x509_signed sign; /* by the issuer */
    struct wr_der key_info;     /* the key, with the header */
    struct wr_der serial;       /* of an INTEGER, the inside */
    struct wr_der issuer;       /* names, with their headers */
    struct wr_der subject;      /* as above */
    struct wr_der names;        /* the inside of subjectAltName */
    struct wr_der constraints;  /* of nameConstraints; data NULL: none */
    int64_t not_before;         /* seconds since 1970 */
    int64_t not_after;          /* the last of them */
    uint32_t version;           /* 1 to 3 */
    enum wr_x509_strength signature;
    struct wr_x509_key_strength key;
    uint32_t
        path_len;   /* WR_X509_PATH_LEN_ANY, or the issuers that may follow */
    uint32_t usage; /* WR_X509_USE_... */
    uint32_t purposes; /* WR_X509_FOR_... */
    bool has_usage;    /* else it may be used for anything */
    bool has_purposes; /* as above */
    bool is_authority; /* basicConstraints say so */
    /* It has a critical extension, or a name constraint, that is not
     * understood. */
    bool has_unknown;
};

/* Reads a certificate: 0, or -EBADMSG for what is none. */
WEIR_MUST_USE int wr_x509_read(struct wr_x509 *ret, const uint8_t *der,
                               size_t size);

/* True of one that is issued by who has the same name. */
bool wr_x509_is_self_issued(const struct wr_x509 *x509);

enum wr_x509_name_kind {
    WR_X509_NAME_DNS,
    WR_X509_NAME_IP,
    WR_X509_NAME_OTHER,
};

/* Takes the next of the subject's alternative names off @names, a copy of
 * wr_x509.names. False when there is none left. */
bool wr_x509_next_name(struct wr_der *names, enum wr_x509_name_kind *ret_kind,
                       struct wr_der *ret);

/* True where one of the alternative names is that of the host, a name or a
 * literal address. */
WEIR_MUST_USE bool wr_x509_is_for(const struct wr_x509 *x509, const char *host);

/* Writes "CN=..." of the subject, or of what else names it, for messages: in
 * ASCII that can be printed, cut at @size. */
void wr_x509_write_subject(const struct wr_x509 *x509, char *ret, size_t size);

#endif

/*
 * An X.509 certificate, read as far as weir's own rules need it (verify.h).
 *
 * Pure: the fields point into the bytes that were read. wolfSSL reads the same
 * certificate for itself; this reader is stricter, and refuses what is not
 * plain DER of RFC 5280.
 */
#ifndef WEIR_LIB_TLS_CERTIFICATE_H
#define WEIR_LIB_TLS_CERTIFICATE_H

#include "der.h"

/* The strength of a key or a signature. */
enum wr_tls_strength {
    WR_TLS_STRONG,
    WR_TLS_WEAK_RSA,       /* RSA of fewer than 2048 bits */
    WR_TLS_WEAK_CURVE,     /* no NIST curve of 256 bits or more */
    WR_TLS_WEAK_HASH,      /* MD5, SHA-1 and the like */
    WR_TLS_WEAK_ALGORITHM, /* one that is not known here, DSA among them */
};

/* Of the extension keyUsage, as numbered there. */
#define WR_TLS_USE_SIGNATURE (1u << 0)
#define WR_TLS_USE_CERT_SIGN (1u << 5)

/* Of the extension extKeyUsage. */
#define WR_TLS_FOR_SERVERS (1u << 0)
#define WR_TLS_FOR_CLIENTS (1u << 1)

struct wr_tls_x509 {
    struct wr_tls_der issuer;  /* names, with their headers */
    struct wr_tls_der subject; /* as above */
    struct wr_tls_der names;   /* the inside of subjectAltName */
    enum wr_tls_strength key;
    enum wr_tls_strength signature;
    uint32_t rsa_bits; /* 0: another key */
    uint32_t usage;    /* WR_TLS_USE_... */
    uint32_t purposes; /* WR_TLS_FOR_... */
    bool has_usage;    /* else it may be used for anything */
    bool has_purposes; /* as above */
    bool is_authority; /* basicConstraints say so */
    bool has_name_constraints;
    /* It has a critical extension, or a name constraint, that neither weir nor
     * wolfSSL understands. */
    bool has_unknown;
};

/* Reads a certificate: 0, or -EBADMSG for what is none. */
WEIR_MUST_USE int wr_tls_x509_read(struct wr_tls_x509 *ret, const uint8_t *der,
                                   size_t size);

enum wr_tls_name_kind {
    WR_TLS_NAME_DNS,
    WR_TLS_NAME_IP,
    WR_TLS_NAME_OTHER,
};

/* Takes the next of the subject's alternative names off @names, a copy of
 * wr_tls_x509.names. False when there is none left. */
bool wr_tls_x509_next_name(struct wr_tls_der *names,
                           enum wr_tls_name_kind *ret_kind,
                           struct wr_tls_der *ret);

/* Writes "CN=..." of the subject, or of what else names it, for messages: in
 * ASCII that can be printed, cut at @size. */
void wr_tls_x509_write_subject(const struct wr_tls_x509 *x509, char *ret,
                               size_t size);

#endif

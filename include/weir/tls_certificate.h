/**
 * @file tls_certificate.h
 * The fields of a certificate, as asyncio's "peercert" has them in a
 * dictionary.
 *
 * The certificate is DER, from weir_transport_get_extra_info() ("peercert") or
 * weir_tls_get_peer_certificate() (also issuers'). Nothing is copied: the
 * fields are parts of these bytes. Nothing is verified here; a connection
 * verifies its peer's certificates in the handshake.
 *
 *     weir_transport_get_extra_info(t, "peercert", &info);
 *     weir_tls_certificate_read(info.data, info.len, &certificate);
 *     struct weir_tls_part rest = certificate.subject;
 *     while (weir_tls_certificate_next_attribute(&rest, &attribute) == 0) ...
 *
 * In libweir-tls.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_TLS_CERTIFICATE_H
#define WEIR_TLS_CERTIFICATE_H

#include "base.h"

WEIR_BEGIN_DECLS

/** A part of a certificate's bytes, without a terminating '\0'. */
struct weir_tls_part {
    /** The first byte; NULL if there is no byte. */
    const uint8_t *data;
    /** Number of bytes. */
    size_t size;
};

/** The fields of a certificate. */
struct weir_tls_certificate {
    size_t size;
    /** asyncio's "version": 1 to 3. */
    int version;
    /** The basic constraints mark it as an authority. */
    bool is_authority;
    /** "notBefore": the first valid second, since 1970, UTC. */
    int64_t not_before_s;
    /** "notAfter": the last valid second, since 1970, UTC. */
    int64_t not_after_s;
    /** "serialNumber": a number, the most significant byte first. */
    struct weir_tls_part serial;
    /** "subject", for weir_tls_certificate_next_attribute(). */
    struct weir_tls_part subject;
    /** "issuer", for weir_tls_certificate_next_attribute(). */
    struct weir_tls_part issuer;
    /** "subjectAltName", for weir_tls_certificate_next_name(). */
    struct weir_tls_part names;
};

/** An attribute of a subject or an issuer. */
struct weir_tls_attribute {
    /** "commonName", "organizationName" and so on; NULL if it has no name
     * here. */
    const char *name;
    /** Its object identifier, as DER without the header. */
    struct weir_tls_part oid;
    /** Its value. */
    struct weir_tls_part value;
    /** The value's type is a UTF-8 or ASCII string; it is not checked. */
    bool is_text;
};

/** The kinds of alternative names. */
enum weir_tls_name_kind {
    /** A host, "*.example.org": ASCII. */
    WEIR_TLS_NAME_DNS = 1,
    /** An address: 4 or 16 bytes, in network byte order. */
    WEIR_TLS_NAME_IP = 2,
    /** A mail address: ASCII. */
    WEIR_TLS_NAME_EMAIL = 3,
    /** A URI: ASCII. */
    WEIR_TLS_NAME_URI = 4,
    /** A directory name, for weir_tls_certificate_next_attribute(). */
    WEIR_TLS_NAME_DIRECTORY = 5,
    /** Another kind, as DER without its header. */
    WEIR_TLS_NAME_OTHER = 6,
};

/** An alternative name. */
struct weir_tls_name {
    /** Its kind. */
    enum weir_tls_name_kind kind;
    /** The name. In an unverified certificate it may contain any bytes. */
    struct weir_tls_part value;
};

/**
 * Read the fields of a certificate.
 *
 * @param der   the certificate; borrowed, and the fields are parts of it
 * @param size  its size in bytes
 * @param ret   the fields; written on success only
 * @retval -EBADMSG     not a certificate in strict DER
 * @retval -EINVAL      a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_read(const void *der, size_t size,
                          struct weir_tls_certificate *ret);

/**
 * Remove and return the next attribute of a subject or an issuer.
 *
 * @param rest  the remaining attributes, at first a copy of the field; the
 *              attribute is removed from its front
 * @param ret   the attribute; written on success only
 * @retval -ENOENT   no more
 * @retval -EBADMSG  not a part of a subject or an issuer
 * @retval -EINVAL   a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_next_attribute(struct weir_tls_part *rest,
                                    struct weir_tls_attribute *ret);

/**
 * Remove and return the next alternative name.
 *
 * @param rest  the remaining names, at first a copy of the field `names`; the
 *              name is removed from its front
 * @param ret   the name; written on success only
 * @retval -ENOENT   no more
 * @retval -EBADMSG  not alternative names
 * @retval -EINVAL   a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_next_name(struct weir_tls_part *rest,
                               struct weir_tls_name *ret);

WEIR_END_DECLS

#endif

/**
 * @file tls_certificate.h
 * The fields of a certificate, as asyncio's "peercert" has them in a
 * dictionary.
 *
 * The certificate is in DER. weir_transport_get_extra_info() returns the peer's
 * certificate ("peercert"), and weir_tls_get_peer_certificate() also those of
 * its issuers. Nothing is copied: the fields point into these bytes. These
 * functions verify nothing; a connection verifies its peer's certificates in
 * the handshake.
 *
 *     weir_transport_get_extra_info(t, "peercert", &info);
 *     weir_tls_certificate_read(info.data, info.len, &certificate);
 *     struct weir_tls_part rest = certificate.subject;
 *     while (weir_tls_certificate_next_attribute(&rest, &attribute) == 0) ...
 *
 * These functions are in libweir-tls (pkg-config weir-tls).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_TLS_CERTIFICATE_H
#define WEIR_TLS_CERTIFICATE_H

#include "base.h"

WEIR_BEGIN_DECLS

/** A part of a certificate's bytes, without a NUL at the end. */
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
    /** True if the basic constraints mark the certificate as an authority's. */
    bool is_authority;
    /** "notBefore": the first second in which the certificate is valid, counted
     * from 1970 in UTC. */
    int64_t not_before_s;
    /** "notAfter": the last second in which the certificate is valid, counted
     * from 1970 in UTC. */
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
    /** The name of the attribute's type, such as "commonName" or
     * "organizationName"; NULL if weir has no name for the type. */
    const char *name;
    /** The object identifier of the attribute's type, as DER without the
     * header. */
    struct weir_tls_part oid;
    /** The value of the attribute. */
    struct weir_tls_part value;
    /** True if the value is declared to be a string in UTF-8 or ASCII. The
     * bytes are not checked. */
    bool is_text;
};

/** The kinds of alternative names. */
enum weir_tls_name_kind {
    /** A host name, such as "*.example.org", in ASCII. */
    WEIR_TLS_NAME_DNS = 1,
    /** An IP address, 4 or 16 bytes in network byte order. */
    WEIR_TLS_NAME_IP = 2,
    /** A mail address, in ASCII. */
    WEIR_TLS_NAME_EMAIL = 3,
    /** A URI, in ASCII. */
    WEIR_TLS_NAME_URI = 4,
    /** A directory name, for weir_tls_certificate_next_attribute(). */
    WEIR_TLS_NAME_DIRECTORY = 5,
    /** A name of another kind, as DER without the header. */
    WEIR_TLS_NAME_OTHER = 6,
};

/** An alternative name. */
struct weir_tls_name {
    /** The kind of the name. */
    enum weir_tls_name_kind kind;
    /** The name. In an unverified certificate it may contain any bytes. */
    struct weir_tls_part value;
};

/**
 * Read the fields of a certificate.
 *
 * @param der   the certificate, in DER; borrowed. It must remain valid as long
 *              as the fields are used
 * @param size  the size of the certificate in bytes
 * @param ret   the fields; written on success only
 * @retval -EBADMSG     the bytes are not a certificate in strict DER
 * @retval -EINVAL      a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_read(const void *der, size_t size,
                          struct weir_tls_certificate *ret);

/**
 * Remove and return the next attribute of a subject or an issuer.
 *
 * @param rest  the remaining attributes, at first a copy of the field subject
 *              or issuer. The returned attribute is removed from them
 * @param ret   the attribute; written on success only
 * @retval -ENOENT   there are no more
 * @retval -EBADMSG  @p rest is not a part of a subject or an issuer
 * @retval -EINVAL   a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_next_attribute(struct weir_tls_part *rest,
                                    struct weir_tls_attribute *ret);

/**
 * Remove and return the next alternative name.
 *
 * @param rest  the remaining names, at first a copy of the field `names`. The
 *              returned name is removed from them
 * @param ret   the name; written on success only
 * @retval -ENOENT   there are no more
 * @retval -EBADMSG  @p rest is not a list of alternative names
 * @retval -EINVAL   a parameter is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_certificate_next_name(struct weir_tls_part *rest,
                               struct weir_tls_name *ret);

WEIR_END_DECLS

#endif

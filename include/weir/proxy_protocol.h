/**
 * @file proxy_protocol.h
 * The PROXY protocol, versions 1 and 2: a header in the first bytes of a
 * connection, with the addresses of the client whose connection a proxy
 * forwards (HAProxy's proxy-protocol.txt).
 *
 * These functions do no I/O. A server parses the received bytes until the
 * header is complete, and consumes the header:
 *
 * @code{.c}
 * struct weir_proxy_header header = {.size = sizeof(header)};
 * int len = weir_proxy_header_parse(data, data_len, NULL, &header);
 * if (len == -EAGAIN) {
 *     return 0; // more bytes are needed
 * }
 * if (len < 0) {
 *     return len; // the connection is to be closed
 * }
 * // header.source is the client, and the client's bytes begin at data + len
 * @endcode
 *
 * **Trust.** Any client that can connect can claim any address. Read headers
 * only from known proxies (network.h), always or never on a listening socket:
 * the protocol forbids guessing whether there is a header. Limit the time until
 * the header is complete.
 *
 * **Strictness.** Headers must follow the specification, except that an IPv6
 * address of version 1 may end like an IPv4 address ("::ffff:192.0.2.1"), as
 * HAProxy writes it.
 *
 * In libweir-proxy (pkg-config weir-proxy).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_PROXY_PROTOCOL_H
#define WEIR_PROXY_PROTOCOL_H

#include "address.h"
#include "base.h"

WEIR_BEGIN_DECLS

/** The longest header of version 1, in bytes. */
#define WEIR_PROXY_V1_SIZE_MAX 107
/** The longest header of version 2, in bytes. */
#define WEIR_PROXY_V2_SIZE_MAX 65551

/** Versions of the protocol, which can be joined by "|". */
enum weir_proxy_version {
    /** A line of text. */
    WEIR_PROXY_V1 = 1,
    /** The binary format. */
    WEIR_PROXY_V2 = 2,
};

/** Types of TLVs, and of TLVs inside of WEIR_PROXY_SSL. */
enum weir_proxy_tlv_type {
    /** The application protocol: bytes, as in "h2". */
    WEIR_PROXY_ALPN = 0x01,
    /** The host name that the client requested, in UTF-8. */
    WEIR_PROXY_AUTHORITY = 0x02,
    /** The checksum of the header; see has_checksum. */
    WEIR_PROXY_CRC32C = 0x03,
    /** Padding; ignored. */
    WEIR_PROXY_NOOP = 0x04,
    /** A name of the connection: up to 128 bytes. */
    WEIR_PROXY_UNIQUE_ID = 0x05,
    /** The client's TLS; see struct weir_proxy_ssl. */
    WEIR_PROXY_SSL = 0x20,
    /** In WEIR_PROXY_SSL: the version, as in "TLSv1.3". */
    WEIR_PROXY_SSL_VERSION = 0x21,
    /** In WEIR_PROXY_SSL: the common name of the client's certificate. */
    WEIR_PROXY_SSL_CN = 0x22,
    /** In WEIR_PROXY_SSL: the cipher suite. */
    WEIR_PROXY_SSL_CIPHER = 0x23,
    /** In WEIR_PROXY_SSL: the signature algorithm of the proxy's
     * certificate. */
    WEIR_PROXY_SSL_SIG_ALG = 0x24,
    /** In WEIR_PROXY_SSL: the key of the proxy's certificate. */
    WEIR_PROXY_SSL_KEY_ALG = 0x25,
    /** The network namespace's name. */
    WEIR_PROXY_NETNS = 0x30,
    /** The first of 16 types for applications. */
    WEIR_PROXY_CUSTOM = 0xE0,
};

/** Bits in struct weir_proxy_ssl. */
enum weir_proxy_client {
    /** The client is connected over TLS. */
    WEIR_PROXY_CLIENT_SSL = 0x01,
    /** The client showed a certificate on this connection. */
    WEIR_PROXY_CLIENT_CERT_CONN = 0x02,
    /** The client showed a certificate in this TLS session. */
    WEIR_PROXY_CLIENT_CERT_SESS = 0x04,
};

/** A piece of information about the connection: type, length and value. */
struct weir_proxy_tlv {
    /** One of enum weir_proxy_tlv_type, or another number up to 255. */
    unsigned type;
    /** Bytes in value, at most 65535. */
    size_t len;
    /** The value, not terminated. */
    const void *value;
};

/** Encoded TLVs, one after the other. */
struct weir_proxy_tlvs {
    /** The bytes; borrowed from what was parsed. */
    const void *data;
    /** Number of bytes; 0 if there is no TLV. */
    size_t len;
};

/** The value of a TLV WEIR_PROXY_SSL. */
struct weir_proxy_ssl {
    size_t size;
    /** Bits of enum weir_proxy_client. */
    unsigned client;
    /** 0 if the client's certificate was verified; not 0 otherwise, even
     * without a certificate. */
    uint32_t verify;
    /** TLVs of the types WEIR_PROXY_SSL_VERSION to WEIR_PROXY_SSL_KEY_ALG. */
    struct weir_proxy_tlvs tlvs;
};

/** Options of weir_proxy_header_parse(). */
struct weir_proxy_options {
    size_t size;
    /** Bits of enum weir_proxy_version; default both versions. */
    unsigned versions;
    /** The longest header of version 2, from 16 to WEIR_PROXY_V2_SIZE_MAX;
     * default 536, enough for two Unix addresses and 304 bytes of TLVs. */
    size_t header_limit_bytes;
};

/** The contents of a header. */
struct weir_proxy_header {
    size_t size;
    /** WEIR_PROXY_V1 or WEIR_PROXY_V2. */
    enum weir_proxy_version version;
    /** The proxy itself has connected, for example for a health check (the
     * command LOCAL): it forwards no client. */
    bool is_local;
    /** Parsing: the header had a correct checksum. Writing: add one. */
    bool has_checksum;
    /** SOCK_STREAM or SOCK_DGRAM; 0 without addresses. */
    int socket_type;
    /** The client; its len is 0 if the header has no addresses: then use the
     * addresses of the connection. */
    struct weir_address source;
    /** The address that the client connected to; of the family of source. */
    struct weir_address destination;
    /** For weir_proxy_tlv_next(); points into the parsed bytes. */
    struct weir_proxy_tlvs tlvs;
};

/**
 * Read a header at the beginning of a connection's bytes.
 *
 * Bytes after the header are ignored. The call keeps no state: when more bytes
 * have arrived, call it again with all bytes from the beginning of the
 * connection.
 *
 * A header without addresses is valid: the command LOCAL, version 1's
 * "UNKNOWN", and version 2's unspecified family or transport. Its TLVs are
 * ignored if they are malformed, as the specification demands. In all other
 * headers these are errors: a malformed TLV, a checksum of another size than 4,
 * a second checksum, a unique identifier of more than 128 bytes, and malformed
 * TLVs inside of WEIR_PROXY_SSL.
 *
 * The name of a Unix address ends at its first NUL. An abstract name, which
 * begins with a NUL, ends before its trailing NULs.
 *
 * @param data  the first bytes of the connection; borrowed, but tlvs of @p ret
 *              point into them; NULL if @p len is 0
 * @param len   their number
 * @param ret   the header, written on success only
 * @return      length of the header in bytes, at most @p len; or a negative
 *              error
 * @retval -EAGAIN    the bytes are the start of a header; more are needed
 * @retval -EPROTO    the bytes cannot begin a valid header. Addresses and TLVs
 *                    are checked when the header is complete, all other fields
 *                    as soon as they have arrived
 * @retval -EMSGSIZE  no end of line in 107 bytes, or a header of version 2 that
 *                    is longer than the options allow
 * @retval -EBADMSG   the checksum is wrong
 * @retval -EINVAL    invalid options
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_header_parse(const void *data, size_t len,
                        const struct weir_proxy_options *options,
                        struct weir_proxy_header *ret);

/**
 * Write a header.
 *
 * The header has addresses if source and destination have, and it is not local;
 * both are of one family. Version 1 writes "UNKNOWN" for Unix addresses, for
 * SOCK_DGRAM, and without addresses.
 *
 * A result of weir_proxy_header_parse() can be passed unchanged: it makes an
 * equal header. A checksum among the TLVs is left out, and written again if
 * has_checksum is set. An IPv6 address loses its zone. If both addresses are
 * IPv4 or IPv4-mapped (RFC 4291, 2.5.5.2), they are written as IPv4.
 *
 * @param header  borrowed; with addresses a socket_type of 0 means SOCK_STREAM
 * @param buf     destination
 * @param size    bytes in @p buf; WEIR_PROXY_V1_SIZE_MAX is enough for version
 *                1, and 232 bytes, 7 for a checksum and the TLVs for version 2
 * @return        its length, or a negative error; then @p buf is undefined
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  more than WEIR_PROXY_V2_SIZE_MAX bytes
 * @retval -EINVAL    an unknown version; one address without the other, or
 *                    addresses of two families; another socket_type; malformed
 *                    TLVs, or TLVs or a checksum in version 1
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_header_write(const struct weir_proxy_header *header, void *buf,
                        size_t size);

/**
 * Take the first of several TLVs.
 *
 * @code{.c}
 * struct weir_proxy_tlvs left = header.tlvs;
 * struct weir_proxy_tlv tlv;
 * while (weir_proxy_tlv_next(&left, &tlv)) {
 *     ...
 * }
 * @endcode
 *
 * @param left  the TLVs; the first one is removed from them
 * @param ret   the first TLV, written if there is one; its value points into
 *              the same bytes
 * @return      true; false if none is left, or the next one is malformed
 */
WEIR_API bool weir_proxy_tlv_next(struct weir_proxy_tlvs *left,
                                  struct weir_proxy_tlv *ret);

/**
 * Find the first TLV of a type.
 *
 * @param tlvs  borrowed
 * @param type  the type
 * @param ret   the TLV, written if found; its value points into the same bytes
 * @return      true if there is one
 */
WEIR_API bool weir_proxy_tlv_find(const struct weir_proxy_tlvs *tlvs,
                                  unsigned type, struct weir_proxy_tlv *ret);

/**
 * Encode TLVs, for tlvs in struct weir_proxy_header or struct weir_proxy_ssl.
 *
 * @param tlvs   borrowed; NULL if @p count is 0
 * @param count  their number
 * @param buf    destination; 3 bytes for each TLV, and its value
 * @param size   bytes in @p buf
 * @return       bytes written, or a negative error; then @p buf is undefined
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  more bytes than a header can have
 * @retval -EINVAL    a type above 255, or a value of more than 65535 bytes
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_tlvs_write(const struct weir_proxy_tlv *tlvs, size_t count,
                      void *buf, size_t size);

/**
 * Read the value of a TLV WEIR_PROXY_SSL.
 *
 * @param tlv  the TLV; borrowed
 * @param ret  the contents, written on success only; its TLVs point into the
 *             same bytes
 * @retval -EPROTO           the value is malformed, which cannot happen for a
 *                           parsed header with addresses
 * @retval -EINVAL           a TLV of another type
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_ssl_parse(const struct weir_proxy_tlv *tlv,
                     struct weir_proxy_ssl *ret);

/**
 * Encode the value of a TLV WEIR_PROXY_SSL.
 *
 * @param ssl   borrowed
 * @param buf   destination; 5 bytes, and the TLVs
 * @param size  bytes in @p buf
 * @return      bytes written, or a negative error
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  more than 65535 bytes
 * @retval -EINVAL    malformed TLVs, or bits of client above 255
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_ssl_write(const struct weir_proxy_ssl *ssl, void *buf, size_t size);

WEIR_END_DECLS

#endif

/**
 * @file proxy_protocol.h
 * The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt). A proxy
 * that forwards a connection sends a header in its first bytes, with the
 * addresses of the client.
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
 * **Trust.** Any client that can connect can claim any address. So read headers
 * only from known proxies (network.h). On one listening socket read headers
 * either always or never, because the protocol forbids guessing whether there
 * is a header. Limit the time until the header is complete.
 *
 * **Strictness.** Headers must follow the specification, except that an IPv6
 * address of version 1 may end like an IPv4 address ("::ffff:192.0.2.1"), as
 * HAProxy writes it.
 *
 * These functions are in libweir-proxy (pkg-config weir-proxy).
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

/** Versions of the protocol. Several versions can be combined with "|". */
enum weir_proxy_version {
    /** A line of text. */
    WEIR_PROXY_V1 = 1,
    /** The binary format. */
    WEIR_PROXY_V2 = 2,
};

/** Types of TLVs, and of TLVs inside of WEIR_PROXY_SSL. */
enum weir_proxy_tlv_type {
    /** The application protocol (ALPN), such as "h2". */
    WEIR_PROXY_ALPN = 0x01,
    /** The host name that the client requested, in UTF-8. */
    WEIR_PROXY_AUTHORITY = 0x02,
    /** The checksum of the header; see has_checksum. */
    WEIR_PROXY_CRC32C = 0x03,
    /** Padding; ignored. */
    WEIR_PROXY_NOOP = 0x04,
    /** A unique name of the connection, of up to 128 bytes. */
    WEIR_PROXY_UNIQUE_ID = 0x05,
    /** Information about the client's TLS; see struct weir_proxy_ssl. */
    WEIR_PROXY_SSL = 0x20,
    /** In WEIR_PROXY_SSL: the version of TLS, such as "TLSv1.3". */
    WEIR_PROXY_SSL_VERSION = 0x21,
    /** In WEIR_PROXY_SSL: the common name of the client's certificate. */
    WEIR_PROXY_SSL_CN = 0x22,
    /** In WEIR_PROXY_SSL: the cipher suite. */
    WEIR_PROXY_SSL_CIPHER = 0x23,
    /** In WEIR_PROXY_SSL: the signature algorithm of the proxy's
     * certificate. */
    WEIR_PROXY_SSL_SIG_ALG = 0x24,
    /** In WEIR_PROXY_SSL: the kind of key of the proxy's certificate. */
    WEIR_PROXY_SSL_KEY_ALG = 0x25,
    /** The network namespace's name. */
    WEIR_PROXY_NETNS = 0x30,
    /** The first of 16 types for applications. */
    WEIR_PROXY_CUSTOM = 0xE0,
};

/** Bits of the field client of struct weir_proxy_ssl. */
enum weir_proxy_client {
    /** The client is connected over TLS. */
    WEIR_PROXY_CLIENT_SSL = 0x01,
    /** The client has sent a certificate on this connection. */
    WEIR_PROXY_CLIENT_CERT_CONN = 0x02,
    /** The client has sent a certificate in this TLS session, perhaps on an
     * earlier connection. */
    WEIR_PROXY_CLIENT_CERT_SESS = 0x04,
};

/** A TLV: a piece of information about the connection, with a type, a length
 * and a value. */
struct weir_proxy_tlv {
    /** One of enum weir_proxy_tlv_type, or another number up to 255. */
    unsigned type;
    /** Number of bytes in value, at most 65535. */
    size_t len;
    /** The value, without a NUL at the end. */
    const void *value;
};

/** Encoded TLVs, one after the other. */
struct weir_proxy_tlvs {
    /** The encoded TLVs; borrowed from the parsed bytes. */
    const void *data;
    /** Number of bytes; 0 if there is no TLV. */
    size_t len;
};

/** The value of a TLV WEIR_PROXY_SSL. */
struct weir_proxy_ssl {
    size_t size;
    /** Bits of enum weir_proxy_client. */
    unsigned client;
    /** 0 if the client's certificate was verified; another value if it was not,
     * or there is no certificate. */
    uint32_t verify;
    /** TLVs of the types WEIR_PROXY_SSL_VERSION to WEIR_PROXY_SSL_KEY_ALG. */
    struct weir_proxy_tlvs tlvs;
};

/** Options of weir_proxy_header_parse(). */
struct weir_proxy_options {
    size_t size;
    /** The versions to accept, as bits of enum weir_proxy_version; default
     * both. */
    unsigned versions;
    /** Maximum length of a header of version 2, from 16 to
     * WEIR_PROXY_V2_SIZE_MAX bytes; default 536, which is enough for two Unix
     * addresses and 304 bytes of TLVs. */
    size_t header_limit_bytes;
};

/** The contents of a header. */
struct weir_proxy_header {
    size_t size;
    /** The version of the header, WEIR_PROXY_V1 or WEIR_PROXY_V2. */
    enum weir_proxy_version version;
    /** True if the proxy has connected for itself, for example for a health
     * check, and forwards no client (the command LOCAL). */
    bool is_local;
    /** After parsing: true if the header had a checksum, which was correct. For
     * writing: set this to add a checksum. */
    bool has_checksum;
    /** SOCK_STREAM or SOCK_DGRAM; 0 if the header has no addresses. */
    int socket_type;
    /** The address of the client. Its len is 0 if the header has no addresses;
     * then use the addresses of the connection. */
    struct weir_address source;
    /** The address that the client connected to. It has the same family as
     * source. */
    struct weir_address destination;
    /** The TLVs of the header, for weir_proxy_tlv_next(); points into the
     * parsed bytes. */
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
 * @param data  the first bytes of the connection; borrowed, but tlvs in @p ret
 *              points into them; may be NULL if @p len is 0
 * @param len   number of bytes in @p data
 * @param ret   set to the header; written on success only
 * @return      length of the header in bytes, at most @p len; or a negative
 *              error
 * @retval -EAGAIN    the bytes are the start of a header; more are needed
 * @retval -EPROTO    the bytes cannot begin a valid header. Addresses and TLVs
 *                    are checked when the header is complete, all other fields
 *                    as soon as they have arrived
 * @retval -EMSGSIZE  a header of version 1 has no end of line in 107 bytes, or
 *                    a header of version 2 is longer than the options allow
 * @retval -EBADMSG   the checksum is wrong
 * @retval -EINVAL    an option is invalid
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_header_parse(const void *data, size_t len,
                        const struct weir_proxy_options *options,
                        struct weir_proxy_header *ret);

/**
 * Write a header.
 *
 * Addresses are written if source and destination are set and is_local is
 * false; both addresses must have the same family. A header of version 1
 * contains "UNKNOWN" instead if there are no addresses, if they are Unix
 * addresses, or if socket_type is SOCK_DGRAM.
 *
 * A result of weir_proxy_header_parse() can be passed unchanged, and gives an
 * equal header. A checksum among the TLVs is not copied, but computed again if
 * has_checksum is set. An IPv6 address loses its zone. If both addresses are
 * IPv4 or IPv4-mapped (RFC 4291, 2.5.5.2), they are written as IPv4.
 *
 * @param header  the contents of the header; borrowed. If it has addresses, a
 *                socket_type of 0 means SOCK_STREAM
 * @param buf     memory for the header
 * @param size    size of @p buf in bytes. WEIR_PROXY_V1_SIZE_MAX is enough for
 *                version 1. 232 bytes are enough for version 2, plus the size
 *                of the TLVs, and 7 bytes if there is a checksum
 * @return        the length of the header in bytes, or a negative error; after
 *                an error the content of @p buf is undefined
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  the header would have more than WEIR_PROXY_V2_SIZE_MAX
 *                    bytes
 * @retval -EINVAL    the version or the socket_type is unknown; only one
 *                    address is set, or the addresses have two families; the
 *                    TLVs are malformed; or there are TLVs or a checksum for
 *                    version 1
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_header_write(const struct weir_proxy_header *header, void *buf,
                        size_t size);

/**
 * Remove and return the first of several TLVs.
 *
 * @code{.c}
 * struct weir_proxy_tlvs left = header.tlvs;
 * struct weir_proxy_tlv tlv;
 * while (weir_proxy_tlv_next(&left, &tlv)) {
 *     ...
 * }
 * @endcode
 *
 * @param left  the TLVs, from which the first one is removed
 * @param ret   set to the first TLV, if there is one; its value points into the
 *              same bytes
 * @return      true if there was a TLV; false if none is left, or the next one
 *              is malformed
 */
WEIR_API bool weir_proxy_tlv_next(struct weir_proxy_tlvs *left,
                                  struct weir_proxy_tlv *ret);

/**
 * Find the first TLV of a type.
 *
 * @param tlvs  the TLVs; borrowed
 * @param type  the type
 * @param ret   set to the TLV, if there is one; its value points into the same
 *              bytes
 * @return      true if there is such a TLV
 */
WEIR_API bool weir_proxy_tlv_find(const struct weir_proxy_tlvs *tlvs,
                                  unsigned type, struct weir_proxy_tlv *ret);

/**
 * Encode TLVs, for the field tlvs of struct weir_proxy_header or struct
 * weir_proxy_ssl.
 *
 * @param tlvs   the TLVs; borrowed; NULL if @p count is 0
 * @param count  number of TLVs
 * @param buf    memory for the encoded TLVs, which take 3 bytes each, and their
 *               values
 * @param size   size of @p buf in bytes
 * @return       number of bytes written, or a negative error; after an error
 *               the content of @p buf is undefined
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  the TLVs have more bytes than a header can have
 * @retval -EINVAL    a type is above 255, or a value has more than 65535 bytes
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_tlvs_write(const struct weir_proxy_tlv *tlvs, size_t count,
                      void *buf, size_t size);

/**
 * Read the value of a TLV WEIR_PROXY_SSL.
 *
 * @param tlv  the TLV; borrowed
 * @param ret  set to the contents, written on success only; the TLVs in it
 *             point into the same bytes
 * @retval -EPROTO           the value is malformed, which cannot happen for a
 *                           parsed header with addresses
 * @retval -EINVAL           @p tlv has another type
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_ssl_parse(const struct weir_proxy_tlv *tlv,
                     struct weir_proxy_ssl *ret);

/**
 * Encode the value of a TLV WEIR_PROXY_SSL.
 *
 * @param ssl   the value; borrowed
 * @param buf   memory for the value: 5 bytes, followed by the TLVs
 * @param size  size of @p buf in bytes
 * @return      number of bytes written, or a negative error
 * @retval -ENOBUFS   @p buf is too small
 * @retval -EMSGSIZE  the value would have more than 65535 bytes
 * @retval -EINVAL    the TLVs are malformed, or client is above 255
 */
WEIR_API WEIR_MUST_USE int
weir_proxy_ssl_write(const struct weir_proxy_ssl *ssl, void *buf, size_t size);

WEIR_END_DECLS

#endif

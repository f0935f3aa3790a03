/**
 * @file client_hello.h
 * The first message of a TLS client, read without TLS: the server's name (SNI),
 * application protocols (ALPN) and versions that the client offers.
 *
 * A proxy that forwards TLS without terminating it chooses a server by these
 * values, and forwards all bytes, including the hello. These functions do no
 * I/O and need no keys. They are in libweir-proxy (pkg-config weir-proxy);
 * libweir-tls is not needed.
 *
 * @code{.c}
 * struct weir_client_hello hello = {.size = sizeof(hello)};
 * int len = weir_client_hello_parse(data, data_len, NULL, scratch,
 *                                   sizeof(scratch), &hello);
 * if (len == -EAGAIN) {
 *     return 0; // more bytes are needed
 * }
 * if (len < 0) {
 *     return len; // no TLS: the connection is to be closed
 * }
 * struct backend *backend = find_backend(hello.server_name);
 * @endcode
 *
 * A hello proves nothing: any client can send any name. If a client encrypts
 * its hello (ECH), these functions return the public name of the server that
 * can decrypt it.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_CLIENT_HELLO_H
#define WEIR_CLIENT_HELLO_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Size of a buffer for a server's name, with the NUL. */
#define WEIR_SERVER_NAME_SIZE 256

/** Application protocols in the order of preference. */
struct weir_alpn_list {
    /** The encoded names; borrowed from the parsed bytes. */
    const void *data;
    /** Number of bytes in data; 0 if there is no protocol. */
    size_t len;
};

/** The name of an application protocol, as in "h2". */
struct weir_alpn_name {
    /** The name, without a NUL at the end; it can have any bytes. */
    const char *data;
    /** Number of bytes in data, from 1 to 255. */
    size_t len;
};

/** Options of weir_client_hello_parse(). */
struct weir_client_hello_options {
    size_t size;
    /** Maximum number of bytes of the TLS records that contain the message,
     * with their headers; a buffer of this size is always large enough. From 9
     * to INT32_MAX; default 16389, the longest record of TLS. */
    size_t limit_bytes;
};

/** The contents of a ClientHello: what the client requests and offers. */
struct weir_client_hello {
    size_t size;
    /** The server name that the client requests, as the client wrote it but
     * without a final dot; "" if there is none, or if it is not a host name. A
     * host name has letters, digits, '-' and '_' in labels of 1 to 63 bytes
     * with single dots between them; compare it without case. A literal IPv4
     * address, which clients should not send, is accepted. */
    char server_name[WEIR_SERVER_NAME_SIZE];
    /** The application protocols that the client offers, for
     * weir_client_hello_alpn_next(); points into the parsed bytes or into the
     * scratch memory. */
    struct weir_alpn_list protocols;
    /** The highest version of TLS that the client offers: 0x0304 for TLS 1.3,
     * 0x0303 for TLS 1.2; 0 if the client lists versions, but no version that
     * begins with 0x03. */
    uint16_t version;
    /** True if the client has also sent an encrypted hello (ECH), or random
     * bytes that look like one (GREASE). */
    bool has_ech;
    /** True in two cases: the extension with the server's name, the protocols
     * or the versions is malformed or repeated; or the server's name is empty,
     * has a NUL, or has more than 255 bytes. Malformed extensions are skipped.
     * A server will refuse such a handshake. */
    bool is_malformed;
    /** The requested server name if it is not a host name, for a log; else
     * NULL. It can have any bytes, and points into the parsed bytes or into the
     * scratch memory. */
    const void *odd_name;
    /** Number of bytes in odd_name. */
    size_t odd_name_len;
};

/**
 * Read a ClientHello at the beginning of a connection's bytes.
 *
 * A message in one record is not copied; a message in several records is
 * assembled in the scratch memory. Bytes after the message's last record are
 * ignored. The call keeps no state: when more bytes have arrived, call it again
 * with all bytes from the beginning of the connection.
 *
 * @param data          the first bytes of the connection; borrowed, but
 *                      protocols in @p ret can point into them; may be NULL if
 *                      @p len is 0
 * @param len           number of bytes in @p data
 * @param scratch       memory for a message in several records; protocols in @p
 *                      ret can point into it. With NULL such messages are
 *                      refused
 * @param scratch_size  size of @p scratch in bytes; limit_bytes is always
 *                      enough
 * @param ret           set to the contents of the message; written on success
 *                      only
 * @return              number of bytes of the message's records, at most @p
 *                      len; or a negative error
 * @retval -EAGAIN    the bytes are the start of a ClientHello; more are needed
 * @retval -EPROTO    the bytes are not TLS, or the message is malformed: wrong
 *                    lengths, two server name extensions, or another message in
 *                    the same record
 * @retval -EMSGSIZE  the message's records have more bytes than the limit;
 *                    returned as soon as its length is known
 * @retval -ENOBUFS   the message is in several records, and has more than @p
 *                    scratch_size bytes
 * @retval -EINVAL    an option is invalid
 */
WEIR_API WEIR_MUST_USE int
weir_client_hello_parse(const void *data, size_t len,
                        const struct weir_client_hello_options *options,
                        void *scratch, size_t scratch_size,
                        struct weir_client_hello *ret);

/**
 * Remove and return the first of several application protocols.
 *
 * @param left  the protocols, from which the first one is removed
 * @param ret   set to the first protocol, if there is one; points into the same
 *              bytes
 * @return      true if there was a protocol; false if none is left, or the next
 *              one is malformed, which cannot happen in a list of
 *              weir_client_hello_parse()
 */
WEIR_API bool weir_client_hello_alpn_next(struct weir_alpn_list *left,
                                          struct weir_alpn_name *ret);

/**
 * Report whether a list has a protocol. The bytes of the names are compared.
 *
 * @param list  the list; borrowed
 * @param name  the protocol, as in "h2"; borrowed
 */
WEIR_API bool weir_client_hello_alpn_has(const struct weir_alpn_list *list,
                                         const char *name);

WEIR_END_DECLS

#endif

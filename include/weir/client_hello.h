/**
 * @file client_hello.h
 * The first message of a TLS client, read without TLS: the server's name (SNI),
 * application protocols (ALPN) and versions that the client offers.
 *
 * A proxy that forwards TLS without ending it chooses a server by what it reads
 * here, and sends all bytes on, from the first. These functions do no I/O and
 * know no keys, and libweir has them: libweir-tls is not needed.
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
 * A hello proves nothing: any client can send any name. A client
 * that encrypts its hello (ECH) shows here the public name of the server that
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

/** Room for a server's name, with the NUL. */
#define WEIR_SERVER_NAME_SIZE 256

/** Application protocols in the order of preference. */
struct weir_alpn_list {
    /** The encoded names; borrowed from what was parsed. */
    const void *data;
    /** Bytes in data; 0: no protocol. */
    size_t len;
};

/** The name of an application protocol, as in "h2". */
struct weir_alpn_name {
    /** The name, not terminated; it can have any bytes. */
    const char *data;
    /** Bytes in data, from 1 to 255. */
    size_t len;
};

/** Which hellos are read. */
struct weir_client_hello_options {
    size_t size;
    /** Bytes of TLS records at most, with their headers, until the message is
     * complete: a buffer of this size is never too small. From 9 to INT32_MAX;
     * 0: 16389, which is the longest record of TLS. */
    size_t limit_bytes;
};

/** A client's offers. */
struct weir_client_hello {
    size_t size;
    /** The name of the server that the client asks for, as the client wrote it,
     * but without the dot of the root at its end; "" if it names none, or one
     * that is no host name. Letters, digits, '-' and '_' in labels of 1 to 63
     * bytes with single dots between them; upper and lower case are equal. A
     * literal IPv4 address, which clients should not send, is a name too. */
    char server_name[WEIR_SERVER_NAME_SIZE];
    /** For weir_alpn_next(); points into the parsed bytes or into the scratch
     * memory. */
    struct weir_alpn_list protocols;
    /** The highest version of TLS: 0x0304 for TLS 1.3, 0x0303 for TLS 1.2; 0 if
     * the client lists versions, but none that begins with 0x03. */
    uint16_t version;
    /** The client has sent an encrypted hello along (ECH), or random bytes in
     * its place (GREASE), which cannot be told apart. */
    bool has_ech;
    /** An extension that is read here is malformed or there twice, or the
     * server's name is empty, has a NUL or more than 255 bytes. Malformed ones
     * are left out. The server will refuse the handshake, but can be found. */
    bool is_malformed;
    /** A server's name that is no host name, of any bytes, for a log; points
     * into the parsed bytes or into the scratch memory. NULL: none. */
    const void *odd_name;
    /** Bytes in odd_name. */
    size_t odd_name_len;
};

/**
 * Read a ClientHello at the beginning of a connection's bytes.
 *
 * The message may be divided into records in any way. If it is in one record it
 * is read where it lies; otherwise it is gathered in the scratch memory. Bytes
 * behind the message's last record are not looked at. The call keeps nothing:
 * with more bytes it is called again from the beginning of the connection.
 *
 * @param data          the bytes that the connection began with; borrowed, but
 *                      protocols of @p ret can point into them; NULL if @p len
 *                      is 0
 * @param len           their number
 * @param scratch       memory for a message in several records; protocols of @p
 *                      ret can point into it. NULL: such messages are refused
 * @param scratch_size  bytes in @p scratch; limit_bytes is always enough
 * @param ret           what the client offers, written on success only
 * @return              bytes of the records that the message is in, at most @p
 *                      len; or a negative error
 * @retval -EAGAIN    the bytes are the beginning of a ClientHello, and more are
 *                    needed
 * @retval -EPROTO    the bytes are no TLS, or the message is malformed: lengths
 *                    that do not fit, two extensions of server names, and
 *                    another message in the same record
 * @retval -EMSGSIZE  the message's records have more bytes than the limit; told
 *                    as soon as its length is known
 * @retval -ENOBUFS   the message is in several records, and has more than
 *                    @p scratch_size bytes
 * @retval -EINVAL    options that cannot be
 */
WEIR_API WEIR_MUST_USE int
weir_client_hello_parse(const void *data, size_t len,
                        const struct weir_client_hello_options *options,
                        void *scratch, size_t scratch_size,
                        struct weir_client_hello *ret);

/**
 * Take the first of several application protocols.
 *
 * @param left  the protocols; the first one is removed from them
 * @param ret   the first one, written if there is one; it points into the same
 *              bytes
 * @return      true; false if none is left, or the next one is malformed, which
 *              those of weir_client_hello_parse() are not
 */
WEIR_API bool weir_alpn_next(struct weir_alpn_list *left,
                             struct weir_alpn_name *ret);

/**
 * Whether a protocol is among several.
 *
 * @param list  borrowed
 * @param name  the protocol, as in "h2"; borrowed
 * @return      true if it is; its bytes are compared
 */
WEIR_API bool weir_alpn_has(const struct weir_alpn_list *list,
                            const char *name);

WEIR_END_DECLS

#endif

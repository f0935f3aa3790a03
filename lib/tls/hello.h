/*
 * A look at a hello before wolfSSL reads it: the name of the server that a
 * client asks for, and an extension that wolfSSL does not tell of.
 *
 * wolfSSL opens a ticket of TLS 1.2 while it reads the extensions, in the order
 * in which the client wrote them, so that the name may come behind the ticket.
 * A ticket is good for its name alone (RFC 6066, 3), hence this. Pure.
 */
#ifndef WEIR_LIB_TLS_HELLO_H
#define WEIR_LIB_TLS_HELLO_H

#include "weir/base.h"

#include <stddef.h>
#include <stdint.h>

enum wr_tls_hello {
    WR_TLS_HELLO_UNKNOWN, /* not a whole ClientHello, or not a plain one */
    WR_TLS_HELLO_BARE,    /* without a list of extensions */
    WR_TLS_HELLO_PLAIN,   /* without a ticket that could be opened */
    WR_TLS_HELLO_TICKET,
};

/* A name in a ClientHello; data NULL: it asks for none. */
struct wr_tls_hello_name {
    const uint8_t *data; /* within the hello */
    size_t len;          /* 1 to 255, or 0 */
};

/* Reads the body of a handshake record. *ret is set with a ticket alone. */
enum wr_tls_hello wr_tls_hello_read(const uint8_t *data, size_t size,
                                    struct wr_tls_hello_name *ret);

/* Whether handshake bytes hold their first message as a whole. */
bool wr_tls_hello_is_whole(const uint8_t *data, size_t size);

/* Whether the first message is a hello, of a client or a server, that has the
 * extended master secret (RFC 7627). Other messages may follow it. */
bool wr_tls_hello_has_extended_secret(const uint8_t *data, size_t size,
                                      bool is_client);

#endif

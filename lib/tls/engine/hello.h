/*
 * A look at a hello before wolfSSL reads it: what must be known of it earlier
 * than wolfSSL tells, or what wolfSSL does not tell.
 *
 * wolfSSL opens a ticket of TLS 1.2 while it reads the extensions, in the order
 * in which the client wrote them, so that the name may come behind the ticket.
 * A ticket is good for its name alone (RFC 6066, 3). And what is set up for a
 * connection after wolfSSL has read a hello is too late for a pre-shared key of
 * TLS 1.3, behind which it lets no extension stand. Hence this. Pure.
 */
#ifndef WEIR_LIB_TLS_ENGINE_HELLO_H
#define WEIR_LIB_TLS_ENGINE_HELLO_H

#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes within a hello; data NULL: it has none of the kind. */
struct wr_tls_hello_part {
    const uint8_t *data;
    size_t size;
};

struct wr_tls_hello {
    struct wr_tls_hello_part name;      /* asked for; 1 to 255 bytes */
    struct wr_tls_hello_part protocols; /* the body of ALPN */
    bool is_bare : 1;                   /* without a list of extensions */
    bool has_ticket : 1;                /* of TLS 1.2, to be opened */
    bool has_extended_secret : 1;       /* RFC 7627 */
    bool has_session : 1;               /* it has an identifier of one */
    bool has_early_data : 1;            /* data follows it at once */
};

/* Reads a whole message; of a server's others may follow it. False: it is no
 * plain hello, and *ret is empty. */
WEIR_MUST_USE bool wr_tls_hello_read(const uint8_t *data, size_t size,
                                     bool is_client, struct wr_tls_hello *ret);

/* Whether handshake bytes hold their first message as a whole. */
bool wr_tls_hello_is_whole(const uint8_t *data, size_t size);

/* Whether handshake bytes can be the beginning of a hello that says that it has
 * @max bytes at most. */
bool wr_tls_hello_may_come(const uint8_t *data, size_t size, bool is_client,
                           size_t max);

#endif

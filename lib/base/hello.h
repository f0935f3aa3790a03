/*
 * Reads from a hello what must be known before wolfSSL reads it, and what
 * wolfSSL does not report; and what a proxy wants to know of a client. Pure.
 *
 * wolfSSL opens a TLS 1.2 ticket while it reads the extensions, in the client's
 * order, so the server name may come behind the ticket; but a ticket is good
 * for its name only (RFC 6066, 3). And for a pre-shared key of TLS 1.3 a
 * connection must be set up before wolfSSL reads the hello, as wolfSSL accepts
 * no extension behind that one.
 */
#ifndef WEIR_LIB_BASE_HELLO_H
#define WEIR_LIB_BASE_HELLO_H

#include "bytes.h"

/* Parts of the message; data NULL: it has no such part. */
struct wr_tls_hello {
    struct wr_bytes name;         /* server name; 1 to 255 bytes */
    struct wr_bytes odd_name;     /* one that has a NUL, or more bytes */
    struct wr_bytes protocols;    /* the body of ALPN */
    struct wr_bytes versions;     /* a client's supported_versions */
    struct wr_bytes suites;       /* a client's, of two bytes each */
    struct wr_bytes schemes;      /* the body of signature_algorithms */
    struct wr_bytes groups;       /* the body of supported_groups */
    uint16_t version;             /* legacy_version */
    bool lacks_extensions : 1;    /* no list of extensions */
    bool has_ticket : 1;          /* a TLS 1.2 ticket to be opened */
    bool has_extended_secret : 1; /* RFC 7627 */
    bool has_session : 1;         /* a session identifier */
    bool has_early_data : 1;      /* early data follows */
    bool has_ech : 1; /* an outer encrypted hello, or one that is made up */
    bool is_odd : 1;  /* an extension above is malformed, and left out */
};

/* Reads a whole message; behind a server's hello other messages may follow.
 * False: an invalid hello, and *ret is empty: its lengths do not fit, or there
 * are two extensions of server names. */
WEIR_MUST_USE bool wr_tls_hello_read(const uint8_t *data, size_t size,
                                     bool is_client, struct wr_tls_hello *ret);

/* True if the handshake bytes contain the whole first message. */
bool wr_tls_hello_is_whole(const uint8_t *data, size_t size);

/* True if the bytes can be the beginning of a hello whose length field is at
 * most @max. */
bool wr_tls_hello_may_come(const uint8_t *data, size_t size, bool is_client,
                           size_t max);

#endif

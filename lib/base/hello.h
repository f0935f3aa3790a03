/*
 * Parses a TLS hello: what must be known before wolfSSL reads it, what wolfSSL
 * does not report, and what a proxy wants to know about a client.
 *
 * wolfSSL opens a TLS 1.2 ticket while it reads the extensions, in the client's
 * order, so the server name may follow the ticket. But a ticket is valid only
 * for the name for which it was issued (RFC 6066, 3), so the name must be known
 * before. For a pre-shared key of TLS 1.3 a connection must be set up before
 * wolfSSL reads the hello, because wolfSSL accepts no extension after the
 * pre-shared key.
 */
#ifndef WEIR_LIB_BASE_HELLO_H
#define WEIR_LIB_BASE_HELLO_H

#include "bytes.h"

/* Parts of the message. data is NULL if a part is missing. */
struct wr_tls_hello {
    struct wr_bytes name;      /* server name; 1 to 255 bytes */
    struct wr_bytes odd_name;  /* a server name with a NUL, or longer */
    struct wr_bytes protocols; /* the body of ALPN */
    struct wr_bytes versions;  /* a client's supported_versions */
    struct wr_bytes suites;    /* a client's, two bytes each */
    struct wr_bytes schemes;   /* the body of signature_algorithms */
    struct wr_bytes groups;    /* the body of supported_groups */
    uint16_t version;          /* legacy_version */
    bool lacks_extensions : 1;
    bool has_ticket : 1;          /* a TLS 1.2 ticket to be opened */
    bool has_extended_secret : 1; /* RFC 7627 */
    bool has_session : 1;
    bool has_early_data : 1;
    bool has_ech : 1; /* an outer encrypted hello, or a fake one (GREASE) */
    bool is_odd : 1;  /* a field above is malformed and was left out */
};

/* Parses a whole message. Other messages may follow a server's hello. Returns
 * false and empties *ret if lengths contradict each other or there are two
 * extensions with server names. */
WEIR_MUST_USE bool wr_tls_hello_read(const uint8_t *data, size_t size,
                                     bool is_client, struct wr_tls_hello *ret);

/* Returns true if the handshake bytes contain the whole first message. */
bool wr_tls_hello_is_whole(const uint8_t *data, size_t size);

/* Returns true if a hello of at most @max bytes can start with these bytes. */
bool wr_tls_hello_may_come(const uint8_t *data, size_t size, bool is_client,
                           size_t max);

#endif

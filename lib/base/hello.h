/*
 * Parses a TLS hello: the fields that are needed before the TLS library parses
 * it, that the library does not report, or that a proxy needs.
 *
 * A TLS 1.2 ticket is valid only for the server name for which it was issued
 * (RFC 6066, 3). TLS libraries decrypt a ticket before the server name is
 * known, so the name is read here. wolfSSL accepts no extension after a
 * pre-shared key of TLS 1.3, so the connection must be configured before
 * wolfSSL parses the hello.
 */
#ifndef WEIR_LIB_BASE_HELLO_H
#define WEIR_LIB_BASE_HELLO_H

#include "bytes.h"

/* All pointers refer into the message; data is NULL if a field is missing. */
struct wr_tls_hello {
    /* a valid server name: 1 to 255 bytes without NUL */
    struct wr_bytes name;
    /* an invalid server name: empty, longer, or with a NUL */
    struct wr_bytes odd_name;
    struct wr_bytes protocols;
    struct wr_bytes versions; /* client only */
    /* cipher suites of two bytes each; client only */
    struct wr_bytes suites;
    struct wr_bytes schemes;
    struct wr_bytes groups;
    uint16_t version;
    bool lacks_extensions : 1;
    bool has_ticket : 1;          /* a TLS 1.2 ticket that is not empty */
    bool has_extended_secret : 1; /* RFC 7627 */
    bool has_session : 1;
    bool has_early_data : 1;
    bool has_ech : 1; /* an outer encrypted hello, or GREASE */
    bool is_odd : 1;  /* an extension for a field above is invalid */
};

/* Only a server's hello may be followed by other bytes. Returns false and
 * empties *ret if this is no such hello, if its lengths contradict each other,
 * or if a client's hello has two extensions with server names. */
WEIR_MUST_USE bool wr_tls_hello_read(const uint8_t *data, size_t size,
                                     bool is_client, struct wr_tls_hello *ret);

/* Returns true if the whole first handshake message is in @data. */
bool wr_tls_hello_is_whole(const uint8_t *data, size_t size);

/* Returns true if @data can be the start of a hello of at most @max bytes. */
bool wr_tls_hello_may_come(const uint8_t *data, size_t size, bool is_client,
                           size_t max);

#endif

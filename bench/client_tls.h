/*
 * One TLS connection of the client, on OpenSSL: the side that is neither
 * weir's nor its library's.
 *
 * All that it sends in one step leaves as one send. Each handshake is checked:
 * version, suite, group, the certificate, and whether the session was resumed.
 */
#ifndef BENCH_CLIENT_TLS_H
#define BENCH_CLIENT_TLS_H

#include "bench/client.h"

#include <openssl/ssl.h>

struct tls_conn {
    struct client *k;
    SSL *ssl;
    SSL_SESSION *session; /* the newest that can be resumed; or NULL */
    int fd;
    bool is_done; /* the handshake is */
    /* The handshake began in the measured window, where all are to resume: one
     * that began before may be its connection's first. Set by tls_open(). */
    bool must_resume;
};

/* What all connections have in common; the end of the run when that fails. */
SSL_CTX *tls_context_new(const struct client *k);

/* Connects, to do a handshake as a client; false after counting an error. */
bool tls_open(struct tls_conn *c, SSL_CTX *context, uint32_t index);

/* Closes without a word; the session stays. */
void tls_close(struct tls_conn *c);

/* Goes on with the handshake; false after counting an error. */
bool tls_shake(struct tls_conn *c);

/* Sends what the steps have written; false after counting an error. */
bool tls_flush(struct tls_conn *c);

#endif

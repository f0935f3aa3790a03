/*
 * One TLS connection of the client, by OpenSSL.
 *
 * All output of a step leaves as one send. Each handshake is checked: version,
 * suite, group, certificate, and whether the session was resumed.
 */
#ifndef BENCH_CLIENT_TLS_H
#define BENCH_CLIENT_TLS_H

#include "bench/client.h"

#include <openssl/ssl.h>

struct tls_conn {
    struct client *k;
    SSL *ssl;
    SSL_SESSION *session; /* newest resumable session, or NULL */
    int fd;
    bool is_done; /* the handshake has ended */
    /* The handshake began in the measured window. Set by tls_open(). An earlier
     * handshake may be the first of its slot, which cannot resume. */
    bool must_resume;
};

/* Returns the context of all connections. A failure ends the program. */
SSL_CTX *tls_context_new(const struct client *k);

/* Connects. Counts an error and returns false. */
bool tls_open(struct tls_conn *c, SSL_CTX *context, uint32_t index);

/* Closes without close_notify, and keeps the session. */
void tls_close(struct tls_conn *c);

/* Continues the handshake. Counts an error and returns false. */
bool tls_shake(struct tls_conn *c);

/* Sends the output of the steps. Counts an error and returns false. */
bool tls_flush(struct tls_conn *c);

#endif

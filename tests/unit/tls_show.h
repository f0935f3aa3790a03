/*
 * A context that sends a certificate which weir would not accept for it.
 *
 * It uses the TLS library directly: tls_show_wolfssl.c or tls_show_openssl.c.
 * Names are those of tests/unit/tls_matrix.sh.
 */
#ifndef WEIR_TESTS_UNIT_TLS_SHOW_H
#define WEIR_TESTS_UNIT_TLS_SHOW_H

#include <weir/tls.h>

#include <stdbool.h>

/* Makes the context send the chain, and use the key, of tls-matrix/NAME. */
void tls_show(weir_tls_context *context, const char *name);

/* Returns false if the library never sends such a certificate to a peer whose
 * hello excludes it. */
bool tls_show_can(const char *name, bool is_server, bool is_1_2);

/* Returns false if the library cannot parse one of the certificates and ends
 * the handshake, even if that certificate is not needed. */
bool tls_show_reads(const char *name);

/* Returns false for a wolfSSL that was not built by tools/deps, which cannot
 * parse some certificates that others can. */
bool tls_show_reads_all(void);

#endif

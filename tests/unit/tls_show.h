/*
 * A context that shows a certificate which weir would not let its owner use, by
 * the library itself: tls_show_wolfssl.c or tls_show_openssl.c.
 *
 * Names are those of tests/unit/tls_matrix.sh.
 */
#ifndef WEIR_TESTS_UNIT_TLS_SHOW_H
#define WEIR_TESTS_UNIT_TLS_SHOW_H

#include <weir/tls.h>

#include <stdbool.h>

/* The context shows the chain and uses the key of tls-matrix/NAME. */
void tls_show(weir_tls_context *context, const char *name);

/* False: the library itself shows no such certificate to a peer that asks by
 * its hello for others. */
bool tls_show_can(const char *name, bool is_server, bool is_1_2);

/* False: the library cannot read one of the certificates, and ends the
 * handshake whether that one is needed or not. */
bool tls_show_reads(const char *name);

/* False: a wolfSSL that was not built by the recipe of tools/deps, which does
 * not read some certificates that others do. */
bool tls_show_reads_all(void);

#endif

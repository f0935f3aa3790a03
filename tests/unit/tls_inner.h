/*
 * Functions with which tests access a connection's TLS library directly.
 *
 * They bypass weir's interface to the library. Each library has its own file:
 * tls_inner_openssl.c, tls_inner_wolfssl.c.
 */
#ifndef WEIR_TESTS_UNIT_TLS_INNER_H
#define WEIR_TESTS_UNIT_TLS_INNER_H

#include "lib/tls/backend/backend.h"

/* Selects TLS 1.2 without the extended master secret. Must be called before the
 * first step. */
void tls_inner_drop_extended_secret(struct wr_tls_conn *client);

/* Makes TLS 1.3 resume sessions only without a new key exchange. Must be called
 * before the first step. Returns false if the library cannot do it. */
bool tls_inner_drop_new_secret(struct wr_tls_conn *client);

/* Returns the session that the client wants to resume; it may only be compared.
 */
const void *tls_inner_session_of(struct wr_tls_conn *client);

#endif

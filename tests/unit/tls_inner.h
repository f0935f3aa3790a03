/*
 * What tests ask of the library of a connection, past weir's interface to it:
 * each library has a way of its own (tls_inner_openssl.c,
 * tls_inner_wolfssl.c).
 */
#ifndef WEIR_TESTS_UNIT_TLS_INNER_H
#define WEIR_TESTS_UNIT_TLS_INNER_H

#include "lib/tls/backend/backend.h"

/* Before the first step: TLS 1.2 without the extended master secret. */
void tls_inner_drop_extended_secret(struct wr_tls_conn *client);

/* Before the first step: TLS 1.3's sessions without a new exchange of keys, and
 * in no other way. False: the library cannot do that. */
bool tls_inner_drop_new_secret(struct wr_tls_conn *client);

/* The session that it wants to resume. It may only be compared. */
const void *tls_inner_session_of(struct wr_tls_conn *client);

#endif

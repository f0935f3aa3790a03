/*
 * A client whose hello lacks an extension that weir's always has. Each library
 * has a way of its own to leave it out (tls_mute_openssl.c,
 * tls_mute_wolfssl.c).
 */
#ifndef WEIR_TESTS_UNIT_TLS_MUTE_H
#define WEIR_TESTS_UNIT_TLS_MUTE_H

#include "lib/tls/backend/backend.h"

/* Before the first step: TLS 1.2 without the extended master secret. */
void tls_mute_extended_secret(struct wr_tls_conn *client);

#endif

/*
 * A TLS library that accepts all peer certificates itself and passes them to
 * weir, or that does not call weir.
 *
 * The program is linked so that weir's callback goes to a file for each library
 * (tls_unasked_openssl.c, tls_unasked_wolfssl.c), which passes it to the
 * library.
 */
#ifndef WEIR_TESTS_UNIT_TLS_UNASKED_H
#define WEIR_TESTS_UNIT_TLS_UNASKED_H

#include <stdbool.h>

extern bool tls_is_unasked; /* weir's callback is not called */

/* True if the library also calls it for a client without a certificate. */
extern const bool tls_asks_about_none;

#endif

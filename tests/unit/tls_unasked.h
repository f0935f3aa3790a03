/*
 * A library that finds all certificates of peers good, whatever it says of them
 * itself, and hands them to weir; or that does not ask weir.
 *
 * The program is linked so that weir's callback is given to a file for each
 * library (tls_unasked_openssl.c, tls_unasked_wolfssl.c), and by it to the
 * library.
 */
#ifndef WEIR_TESTS_UNIT_TLS_UNASKED_H
#define WEIR_TESTS_UNIT_TLS_UNASKED_H

#include <stdbool.h>

extern bool tls_is_unasked; /* weir's callback is not called */

/* The library calls for a client without a certificate, too. */
extern const bool tls_asks_about_none;

#endif

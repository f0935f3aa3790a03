/*
 * OpenSSL calls weir's callback, or does not; see the header.
 *
 * It verifies nothing by itself where a program sets such a callback, and calls
 * none for a client that has no certificate.
 */
#include "tests/unit/tls_unasked.h"

#include "tests/unit.h"

#include <openssl/ssl.h>

typedef int unasked_fn(X509_STORE_CTX *store, void *arg);

bool tls_is_unasked;
const bool tls_asks_about_none = false;

static unasked_fn *unasked_callback;

void __real_SSL_CTX_set_cert_verify_callback(SSL_CTX *ctx, unasked_fn *callback,
                                             void *arg);
void __wrap_SSL_CTX_set_cert_verify_callback(SSL_CTX *ctx, unasked_fn *callback,
                                             void *arg);

static int unasked_find_good(X509_STORE_CTX *store, void *arg)
{
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return tls_is_unasked || unasked_callback(store, arg);
}

void __wrap_SSL_CTX_set_cert_verify_callback(SSL_CTX *ctx, unasked_fn *callback,
                                             void *arg)
{
    unasked_callback = callback;
    __real_SSL_CTX_set_cert_verify_callback(ctx, unasked_find_good, arg);
}

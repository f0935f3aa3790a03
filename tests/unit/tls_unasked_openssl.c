/*
 * OpenSSL calls weir's callbacks, or does not; see tls_unasked.h.
 *
 * If a program sets such a callback, OpenSSL verifies nothing itself. It calls
 * none for a client without a certificate.
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

/* weir judges the message; see lib/tls/openssl/chain.c. */
/* NOLINTNEXTLINE(readability-function-size): OpenSSL says what it is given */
typedef void unasked_note(int is_sent, int version, int type, const void *data,
                          size_t size, SSL *ssl, void *arg);

static unasked_note *unasked_message;

void __real_SSL_CTX_set_msg_callback(SSL_CTX *ctx, unasked_note *callback);
void __wrap_SSL_CTX_set_msg_callback(SSL_CTX *ctx, unasked_note *callback);

/* NOLINTNEXTLINE(readability-function-size): as above */
static void unasked_hide(int is_sent, int version, int type, const void *data,
                         size_t size, SSL *ssl, void *arg)
{
    if (!tls_is_unasked) {
        unasked_message(is_sent, version, type, data, size, ssl, arg);
    }
}

void __wrap_SSL_CTX_set_msg_callback(SSL_CTX *ctx, unasked_note *callback)
{
    unasked_message = callback;
    __real_SSL_CTX_set_msg_callback(ctx, unasked_hide);
}

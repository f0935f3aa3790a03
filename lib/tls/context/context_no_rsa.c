/*
 * The RSA keys of a context in a build without libcrypto.
 *
 * wolfSSL signs with its own copy of each key, so neither a context nor a
 * connection keeps a key here.
 */
#include "context_impl.h"
#include "uring/check.h"

int wr_tls_context_read_rsa(const uint8_t *pem, long size,
                            struct wr_tls_rsa_key **ret)
{
    wr_assert(pem && size > 0);
    *ret = NULL;
    return 0;
}

void wr_tls_context_free_rsa(struct wr_tls_rsa_key *key)
{
    wr_assert(!key); /* there is none */
}

void wr_tls_context_use_rsa(weir_tls_context *context)
{
    wr_assert(context->ctx); /* wolfSSL signs */
}

void wr_tls_context_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key)
{
    wr_assert(ssl && !key);
}

/*
 * RSA keys in a build without libcrypto.
 *
 * wolfSSL signs with its own copy of each key, so neither a credential nor a
 * connection keeps a key here.
 */
#include "wolfssl.h"

int wr_wolfssl_read_rsa(const uint8_t *pem, long size,
                        struct wr_tls_rsa_key **ret)
{
    wr_assert(pem && size > 0);
    *ret = NULL;
    return 0;
}

void wr_wolfssl_free_rsa(struct wr_tls_rsa_key *key)
{
    wr_assert(!key);
}

void wr_wolfssl_use_rsa(WOLFSSL_CTX *ctx)
{
    wr_assert(ctx);
}

void wr_wolfssl_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key)
{
    wr_assert(ssl && !key);
}

bool wr_wolfssl_leaves_rsa(void)
{
    return false;
}

/*
 * Private keys outside weir, with which a wr_tls_signer signs.
 *
 * wolfSSL gets the public key instead of the private key, and calls a callback
 * for each signature. The callback is set on a context, so it also signs with
 * the context's elliptic curve keys inside weir. rsa.c has the RSA callbacks,
 * which are always set.
 */
#include "wolfssl.h"

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>

enum wr_x509_hash wr_wolfssl_hash_of(size_t size)
{
    switch (size) {
    case 32:
        return WR_X509_HASH_SHA256;
    case 48:
        return WR_X509_HASH_SHA384;
    case 64:
        return WR_X509_HASH_SHA512;
    default:
        return WR_X509_HASH_NONE;
    }
}

struct wr_tls_signer *wr_wolfssl_signer_of(WOLFSSL *ssl)
{
    const struct wr_tls_conn *conn = wolfSSL_GetIOReadCtx(ssl);
    const struct wr_tls_credential *credential = conn->own;

    wr_assert(conn->ssl == ssl);
    return credential ? credential->signer : NULL;
}

int wr_wolfssl_sign(struct wr_tls_signer *signer,
                    const struct wr_x509_signature_kind *kind,
                    struct wr_bytes hash, uint8_t *out, word32 *size)
{
    if (kind->hash == WR_X509_HASH_NONE) {
        return RSA_SIGN_FAULT;
    }
    const int count = signer->sign(signer, kind, hash, out, *size);
    wr_assert(count <= (int)*size);
    if (count <= 0) {
        return RSA_SIGN_FAULT;
    }
    *size = (word32)count;
    return 0;
}

static int signer_sign_here(WOLFSSL *ssl, struct wr_bytes hash,
                            struct wr_bytes der, uint8_t *out, word32 *size)
{
    ecc_key key;
    word32 at = 0;

    wr_assert(hash.size > 0 && der.size > 0);
    int number = wc_ecc_init(&key);
    if (number != 0) {
        return number;
    }
    number = wc_EccPrivateKeyDecode(der.data, &at, &key, (word32)der.size);
    if (number == 0) {
        number = wc_ecc_sign_hash(hash.data, (word32)hash.size, out, size,
                                  wolfSSL_GetRNG(ssl), &key);
    }
    wr_ignore(wc_ecc_free(&key) != 0); /* wipes it */
    return number;
}

/* NOLINTNEXTLINE(readability-function-size): wolfSSL sets the parameters */
static int signer_on_ecdsa(WOLFSSL *ssl, const unsigned char *in,
                           unsigned in_size, unsigned char *out,
                           word32 *out_size, const unsigned char *der,
                           unsigned der_size, void *arg)
{
    struct wr_tls_signer *signer = wr_wolfssl_signer_of(ssl);
    const struct wr_bytes hash = {.data = in, .size = in_size};
    const struct wr_x509_signature_kind kind = {
        .key = WR_X509_KEY_CURVE,
        .hash = wr_wolfssl_hash_of(in_size),
    };

    (void)arg;
    wr_assert(in && out);
    return signer ? wr_wolfssl_sign(signer, &kind, hash, out, out_size)
                  : signer_sign_here(
                        ssl, hash,
                        (struct wr_bytes){.data = der, .size = der_size}, out,
                        out_size);
}

void wr_wolfssl_use_signers(WOLFSSL_CTX *ctx)
{
    wr_assert(ctx);
    wolfSSL_CTX_SetEccSignCb(ctx, signer_on_ecdsa);
}

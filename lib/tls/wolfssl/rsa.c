/*
 * RSA keys of certificates, for signing with libcrypto (rsa_key.h).
 *
 * wolfSSL reads and checks each key, and verifies signatures. Only signing is
 * done by these callbacks, which call libcrypto or a wr_tls_signer (signer.c).
 * With callbacks wolfSSL accepts a public key as a private one, so a key must
 * be checked in a context without callbacks first. A connection holds a
 * reference to its signing key, which may belong to another context (SNI).
 */
#include "rsa_key.h"
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/rsa.h>

#ifndef HAVE_PK_CALLBACKS
#error "this wolfSSL does not leave signing to others; configure -Drsa=wolfssl"
#endif

static int rsa_copy_number(mp_int *number, struct wr_tls_rsa_bytes *ret)
{
    const int size = mp_unsigned_bin_size(number);

    if (size <= 0 || (size_t)size > sizeof(ret->data)) {
        return WEIR_ETLSENGINE;
    }
    ret->size = (size_t)size;
    return mp_to_unsigned_bin(number, ret->data) == MP_OKAY ? 0
                                                            : WEIR_ETLSENGINE;
}

static int rsa_give(RsaKey *rsa, struct wr_tls_rsa_key **ret)
{
    struct wr_tls_rsa_bytes numbers[WR_TLS_RSA_NUMBERS];
    mp_int *const from[WR_TLS_RSA_NUMBERS] = {
        [WR_TLS_RSA_N] = &rsa->n,   [WR_TLS_RSA_E] = &rsa->e,
        [WR_TLS_RSA_D] = &rsa->d,   [WR_TLS_RSA_P] = &rsa->p,
        [WR_TLS_RSA_Q] = &rsa->q,   [WR_TLS_RSA_DP] = &rsa->dP,
        [WR_TLS_RSA_DQ] = &rsa->dQ, [WR_TLS_RSA_U] = &rsa->u,
    };
    int err = 0;

    wr_assert(rsa->type == RSA_PRIVATE);
    for (int i = 0; err == 0 && i < WR_TLS_RSA_NUMBERS; i++) {
        err = rsa_copy_number(from[i], &numbers[i]);
    }
    if (err == 0) {
        err = wr_tls_rsa_key_new(numbers, ret);
    }
    explicit_bzero(numbers, sizeof(numbers));
    return err;
}

/* Decodes a key that wolfSSL has accepted. Leaves *ret unchanged if the key is
 * not RSA. */
static int rsa_decode(const uint8_t *der, int size, struct wr_tls_rsa_key **ret)
{
    RsaKey rsa;
    word32 used = 0;
    int err = 0;

    wr_assert(size > 0);
    if (wc_InitRsaKey(&rsa, NULL) != 0) {
        return -ENOMEM;
    }
    const int number = wc_RsaPrivateKeyDecode(der, &used, &rsa, (word32)size);
    if (number == 0) {
        err = rsa_give(&rsa, ret);
    } else if (number == MEMORY_E) {
        err = -ENOMEM;
    }
    wr_ignore(wc_FreeRsaKey(&rsa) != 0); /* wipes the numbers */
    return err;
}

int wr_wolfssl_read_rsa(const uint8_t *pem, long size,
                        struct wr_tls_rsa_key **ret)
{
    uint8_t *der = malloc((size_t)size);

    wr_assert(size > 0);
    *ret = NULL;
    if (!der) {
        return -ENOMEM;
    }
    const int der_size = wc_KeyPemToDer(pem, (int)size, der, (int)size, NULL);
    int err = der_size > 0 ? rsa_decode(der, der_size, ret) : WEIR_ETLSNOKEY;
    explicit_bzero(der, (size_t)size);
    free(der);
    return err;
}

void wr_wolfssl_free_rsa(struct wr_tls_rsa_key *key)
{
    wr_tls_rsa_key_unref(key);
}

static int rsa_sign(struct wr_tls_rsa_key *key,
                    const struct wr_tls_rsa_digest *digest, uint8_t *out,
                    word32 *out_size)
{
    size_t size = *out_size;

    wr_assert(digest->data);
    if (!key || wr_tls_rsa_key_sign(key, digest, out, &size) < 0) {
        return RSA_SIGN_FAULT; /* becomes WEIR_ETLSSIGN */
    }
    wr_assert(size <= *out_size);
    *out_size = (word32)size;
    return 0;
}

static int rsa_sign_info(struct wr_tls_signer *signer, const uint8_t *info,
                         size_t size, uint8_t *out, word32 *out_size)
{
    const size_t before = 19; /* size of the header for SHA-2 (RFC 8017, 9.2) */
    const size_t hash_size = size > before ? size - before : 0;
    const struct wr_x509_signature_kind kind = {
        .key = WR_X509_KEY_RSA,
        .hash = wr_wolfssl_hash_of(hash_size),
    };

    wr_assert(info);
    return wr_wolfssl_sign(
        signer, &kind,
        (struct wr_bytes){.data = info + before, .size = hash_size}, out,
        out_size);
}

/* NOLINTNEXTLINE(readability-function-size): wolfSSL sets the parameters */
static int rsa_sign_pkcs1(WOLFSSL *ssl, const unsigned char *in,
                          unsigned in_size, unsigned char *out,
                          word32 *out_size, const unsigned char *der,
                          unsigned der_size, void *arg)
{
    const struct wr_tls_rsa_digest digest = {
        .scheme = WR_TLS_RSA_PKCS1,
        .data = in,
        .size = in_size,
    };

    struct wr_tls_signer *signer = wr_wolfssl_signer_of(ssl);

    (void)der;
    (void)der_size;
    return signer
               ? rsa_sign_info(signer, digest.data, digest.size, out, out_size)
               : rsa_sign(arg, &digest, out, out_size);
}

static enum wr_tls_rsa_scheme rsa_scheme_of(int mgf)
{
    switch (mgf) {
    case WC_MGF1SHA512:
        return WR_TLS_RSA_PSS_SHA512;
    case WC_MGF1SHA384:
        return WR_TLS_RSA_PSS_SHA384;
    default:
        wr_assert(mgf == WC_MGF1SHA256); /* the only other hash in TLS */
        return WR_TLS_RSA_PSS_SHA256;
    }
}

/* NOLINTNEXTLINE(readability-function-size): wolfSSL sets the parameters */
static int rsa_sign_pss(WOLFSSL *ssl, const unsigned char *in, unsigned in_size,
                        unsigned char *out, unsigned *out_size, int hash,
                        int mgf, const unsigned char *der, unsigned der_size,
                        void *arg)
{
    const struct wr_tls_rsa_digest digest = {
        .scheme = rsa_scheme_of(mgf),
        .data = in,
        .size = in_size,
    };

    struct wr_tls_signer *signer = wr_wolfssl_signer_of(ssl);
    const struct wr_x509_signature_kind kind = {
        .key = WR_X509_KEY_RSA,
        .hash = wr_wolfssl_hash_of(in_size),
        .is_pss = true,
        .mask = wr_wolfssl_hash_of(in_size),
        .salt_size = in_size,
    };

    (void)hash; /* the same hash as in the mask */
    (void)der;
    (void)der_size;
    return signer
               ? wr_wolfssl_sign(signer, &kind,
                                 (struct wr_bytes){.data = in, .size = in_size},
                                 out, out_size)
               : rsa_sign(arg, &digest, out, out_size);
}

void wr_wolfssl_use_rsa(WOLFSSL_CTX *ctx)
{
    wr_assert(ctx);
    wolfSSL_CTX_SetRsaSignCb(ctx, rsa_sign_pkcs1);
    wolfSSL_CTX_SetRsaPssSignCb(ctx, rsa_sign_pss);
}

void wr_wolfssl_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key)
{
    struct wr_tls_rsa_key *before = wolfSSL_GetRsaSignCtx(ssl);

    wr_assert(before == wolfSSL_GetRsaPssSignCtx(ssl));
    wolfSSL_SetRsaSignCtx(ssl, wr_tls_rsa_key_ref(key));
    wolfSSL_SetRsaPssSignCtx(ssl, key);
    wr_tls_rsa_key_unref(before);
}

bool wr_wolfssl_leaves_rsa(void)
{
    return true;
}

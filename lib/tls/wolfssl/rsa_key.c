/*
 * RSA signing with libcrypto. No other file of the wolfSSL backend uses
 * libcrypto.
 *
 * The keys are in a library context of weir, with the built-in provider and no
 * configuration, so that the program's use of libcrypto and weir's do not
 * affect each other. OpenSSL 3 still reads the system's configuration when it
 * creates a key, which could be disabled only for the program, too. All keys
 * share one library context, which is created with the first key and kept.
 */
#include "rsa_key.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t rsa_key_once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *rsa_key_library; /* NULL if it could not be created */

static const char *const rsa_key_names[WR_TLS_RSA_NUMBERS] = {
    [WR_TLS_RSA_N] = OSSL_PKEY_PARAM_RSA_N,
    [WR_TLS_RSA_E] = OSSL_PKEY_PARAM_RSA_E,
    [WR_TLS_RSA_D] = OSSL_PKEY_PARAM_RSA_D,
    [WR_TLS_RSA_P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [WR_TLS_RSA_Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,
    [WR_TLS_RSA_DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [WR_TLS_RSA_DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
    [WR_TLS_RSA_U] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static const char *const rsa_key_digests[] = {
    [WR_TLS_RSA_PSS_SHA256] = "SHA2-256",
    [WR_TLS_RSA_PSS_SHA384] = "SHA2-384",
    [WR_TLS_RSA_PSS_SHA512] = "SHA2-512",
};

/* Unless the program has initialized libcrypto before, exit() does not free it,
 * because loops that still run on other threads would use freed memory. */
static void rsa_key_start_once(void)
{
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1) {
        rsa_key_library = OSSL_LIB_CTX_new();
    }
}

static EVP_PKEY *rsa_key_of(struct wr_tls_rsa_key *key)
{
    return (EVP_PKEY *)key;
}

static bool rsa_key_pad(EVP_PKEY_CTX *signer, enum wr_tls_rsa_scheme scheme)
{
    wr_assert(scheme <= WR_TLS_RSA_PSS_SHA512);
    if (scheme == WR_TLS_RSA_PKCS1) {
        return EVP_PKEY_CTX_set_rsa_padding(signer, RSA_PKCS1_PADDING) == 1;
    }
    EVP_MD *hash = EVP_MD_fetch(rsa_key_library, rsa_key_digests[scheme], NULL);
    const bool is_set =
        hash &&
        EVP_PKEY_CTX_set_rsa_padding(signer, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(signer, hash) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(signer, RSA_PSS_SALTLEN_DIGEST) == 1;
    EVP_MD_free(hash);
    return is_set;
}

int wr_tls_rsa_key_sign(struct wr_tls_rsa_key *key,
                        const struct wr_tls_rsa_digest *digest, uint8_t *ret,
                        size_t *ret_size)
{
    wr_assert(key);
    wr_assert(digest->size > 0);
    wr_ignore(ERR_set_mark() != 1);
    EVP_PKEY_CTX *signer =
        EVP_PKEY_CTX_new_from_pkey(rsa_key_library, rsa_key_of(key), NULL);
    const bool is_signed =
        signer && EVP_PKEY_sign_init(signer) == 1 &&
        rsa_key_pad(signer, digest->scheme) &&
        EVP_PKEY_sign(signer, ret, ret_size, digest->data, digest->size) == 1;
    EVP_PKEY_CTX_free(signer);
    wr_assert(!is_signed || *ret_size <= WR_TLS_RSA_SIZE_MAX);
    wr_ignore(ERR_pop_to_mark() != 1);
    return is_signed ? 0 : WEIR_ETLSSIGN;
}

/* Converts a number to the processor's byte order, as libcrypto requires. */
static void rsa_key_to_native(const struct wr_tls_rsa_bytes *number,
                              struct wr_tls_rsa_bytes *ret)
{
    wr_assert(number->size <= sizeof(number->data));
    for (size_t i = 0; i < number->size; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        ret->data[i] = number->data[number->size - 1 - i];
#else
        ret->data[i] = number->data[i];
#endif
    }
    ret->size = number->size;
}

static int rsa_key_make(OSSL_PARAM *numbers, EVP_PKEY **ret)
{
    wr_assert(rsa_key_library);
    wr_assert(numbers[WR_TLS_RSA_NUMBERS].key == NULL);
    EVP_PKEY_CTX *maker =
        EVP_PKEY_CTX_new_from_name(rsa_key_library, "RSA", NULL);
    if (!maker) {
        return -ENOMEM;
    }
    const bool is_made =
        EVP_PKEY_fromdata_init(maker) == 1 &&
        EVP_PKEY_fromdata(maker, ret, EVP_PKEY_KEYPAIR, numbers) == 1;
    EVP_PKEY_CTX_free(maker);
    return is_made ? 0 : WEIR_ETLSENGINE;
}

/* Signs once, so that an unusable key is an error of the context, not of each
 * handshake. The first signature also takes four times as long as later
 * ones. */
static int rsa_key_try(struct wr_tls_rsa_key *key)
{
    static const uint8_t zeros[32];
    const struct wr_tls_rsa_digest digest = {
        .scheme = WR_TLS_RSA_PSS_SHA256,
        .data = zeros,
        .size = sizeof(zeros),
    };
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    size_t size = sizeof(signature);

    wr_assert(key);
    return wr_tls_rsa_key_sign(key, &digest, signature, &size);
}

int wr_tls_rsa_key_new(
    const struct wr_tls_rsa_bytes numbers[WR_TLS_RSA_NUMBERS],
    struct wr_tls_rsa_key **ret)
{
    struct wr_tls_rsa_bytes native[WR_TLS_RSA_NUMBERS];
    OSSL_PARAM params[WR_TLS_RSA_NUMBERS + 1];
    EVP_PKEY *key = NULL;

    int err = pthread_once(&rsa_key_once, rsa_key_start_once);
    wr_assert(err == 0);
    if (!rsa_key_library) {
        return WEIR_ETLSENGINE;
    }
    for (int i = 0; i < WR_TLS_RSA_NUMBERS; i++) {
        rsa_key_to_native(&numbers[i], &native[i]);
        params[i] = OSSL_PARAM_construct_BN(rsa_key_names[i], native[i].data,
                                            native[i].size);
    }
    params[WR_TLS_RSA_NUMBERS] = OSSL_PARAM_construct_end();
    wr_ignore(ERR_set_mark() != 1); /* keep the program's errors */
    err = rsa_key_make(params, &key);
    wr_ignore(ERR_pop_to_mark() != 1);
    explicit_bzero(native, sizeof(native));
    if (err == 0) {
        err = rsa_key_try((struct wr_tls_rsa_key *)key);
    }
    if (err < 0) {
        EVP_PKEY_free(key);
        return err;
    }
    wr_assert(key);
    *ret = (struct wr_tls_rsa_key *)key;
    return 0;
}

struct wr_tls_rsa_key *wr_tls_rsa_key_ref(struct wr_tls_rsa_key *key)
{
    if (key) {
        const int ok = EVP_PKEY_up_ref(rsa_key_of(key));
        wr_assert(ok == 1);
    }
    return key;
}

void wr_tls_rsa_key_unref(struct wr_tls_rsa_key *key)
{
    EVP_PKEY_free(rsa_key_of(key));
}

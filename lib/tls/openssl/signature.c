/*
 * Verifies signatures with libcrypto: RSA with PKCS #1 1.5 and PSS, ECDSA,
 * Ed25519, with SHA-256, SHA-384 and SHA-512. Also computes hashes and derives
 * TLS 1.3 keys from secrets.
 *
 * Keys are made from the numbers that weir has parsed: libcrypto's parser of a
 * SubjectPublicKeyInfo tries each of its decoders, which takes longer than the
 * verification of the signature.
 */
#include "openssl.h"

#include "lib/x509/strength.h"
#include "uring/check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <errno.h>
#include <string.h>

/* Bytes of the longest signature (RSA, 4096 bits), and of its key's numbers. */
#define SIGNATURE_MAX 512u

EVP_PKEY *wr_openssl_make_key(const char *kind, const OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);

    wr_assert(kind && params);
    if (!maker) {
        return NULL;
    }
    if (EVP_PKEY_fromdata_init(maker) != 1 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY,
                          (OSSL_PARAM *)(uintptr_t)params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(maker);
    return key;
}

/* Converts a number to the processor's byte order, as libcrypto requires.
 * Returns false if it is empty or too long. */
static bool signature_to_native(struct wr_bytes number,
                                uint8_t ret[SIGNATURE_MAX + 1])
{
    wr_assert(number.data != NULL);
    if (number.size == 0 || number.size > SIGNATURE_MAX + 1) {
        return false;
    }
    for (size_t i = 0; i < number.size; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        ret[i] = number.data[number.size - 1 - i];
#else
        ret[i] = number.data[i];
#endif
    }
    return true;
}

static EVP_PKEY *signature_make_rsa(const struct wr_x509_rsa_numbers *numbers)
{
    uint8_t modulus[SIGNATURE_MAX + 1];
    uint8_t exponent[SIGNATURE_MAX + 1];

    if (!signature_to_native(numbers->modulus, modulus) ||
        !signature_to_native(numbers->exponent, exponent)) {
        return NULL;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus,
                                numbers->modulus.size),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent,
                                numbers->exponent.size),
        OSSL_PARAM_construct_end(),
    };
    return wr_openssl_make_key("RSA", params);
}

static const char *signature_curve_of(uint16_t curve)
{
    switch (curve) {
    case WR_X509_CURVE_P256:
        return "P-256";
    case WR_X509_CURVE_P384:
        return "P-384";
    case WR_X509_CURVE_P521:
        return "P-521";
    default:
        return NULL;
    }
}

static EVP_PKEY *signature_make_curve(struct wr_bytes point, uint16_t curve)
{
    const char *name = signature_curve_of(curve);

    wr_assert(point.data && name);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         (char *)(uintptr_t)name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                          (uint8_t *)(uintptr_t)point.data,
                                          point.size),
        OSSL_PARAM_construct_end(),
    };
    return wr_openssl_make_key("EC", params);
}

/* ---- verification; functions return 1 if the key has signed ---- */

static bool signature_use_padding(EVP_PKEY_CTX *verifier,
                                  const struct wr_x509_signature_kind *kind)
{
    const EVP_MD *hash = wr_openssl_digest(kind->hash);

    wr_assert(hash != NULL);
    if (EVP_PKEY_CTX_set_rsa_padding(verifier, kind->is_pss
                                                   ? RSA_PKCS1_PSS_PADDING
                                                   : RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_CTX_set_signature_md(verifier, hash) != 1) {
        return false;
    }
    return !kind->is_pss ||
           (EVP_PKEY_CTX_set_rsa_mgf1_md(verifier,
                                         wr_openssl_digest(kind->mask)) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(verifier, (int)kind->salt_size) ==
                1);
}

static int signature_run_hash(const struct wr_tls_signed *job, EVP_PKEY *key)
{
    EVP_PKEY_CTX *verifier = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    wr_assert(job->kind->key != WR_X509_KEY_EDWARDS);
    if (!verifier) {
        return -1;
    }
    const bool is_ready = EVP_PKEY_verify_init(verifier) == 1 &&
                          (job->kind->key != WR_X509_KEY_RSA ||
                           signature_use_padding(verifier, job->kind));
    const int is_signed =
        is_ready ? EVP_PKEY_verify(verifier, job->bits.data, job->bits.size,
                                   job->message.data, job->message.size)
                 : -1;
    EVP_PKEY_CTX_free(verifier);
    return is_signed;
}

static int signature_run_edwards(const struct wr_tls_signed *job, EVP_PKEY *key)
{
    EVP_MD_CTX *verifier = EVP_MD_CTX_new();

    wr_assert(job->kind->key == WR_X509_KEY_EDWARDS);
    if (!verifier) {
        return -1;
    }
    int is_signed =
        EVP_DigestVerifyInit_ex(verifier, NULL, NULL, NULL, NULL, key, NULL);
    if (is_signed == 1) {
        is_signed = EVP_DigestVerify(verifier, job->bits.data, job->bits.size,
                                     job->message.data, job->message.size);
    }
    EVP_MD_CTX_free(verifier);
    return is_signed;
}

static EVP_PKEY *signature_key_of(const struct wr_tls_signed *job)
{
    struct wr_x509_key_strength strength;
    struct wr_bytes point;

    wr_assert(job->kind->key != WR_X509_KEY_OTHER);
    if (job->kind->key == WR_X509_KEY_RSA) {
        return job->kind->is_pss || !job->rsa.is_pss_alone
                   ? signature_make_rsa(&job->rsa)
                   : NULL;
    }
    if (!wr_x509_strength_of_key(job->key_info, &strength) ||
        !wr_x509_strength_find_point(job->key_info, &point)) {
        return NULL;
    }
    wr_assert(strength.kind == job->kind->key);
    if (job->kind->key == WR_X509_KEY_CURVE && strength.curve == 0) {
        /* A weak key is reported only after its signature was verified. */
        const unsigned char *at = job->key_info.data;
        return d2i_PUBKEY(NULL, &at, (long)job->key_info.size);
    }
    return job->kind->key == WR_X509_KEY_CURVE
               ? signature_make_curve(point, strength.curve)
               : EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
                                                point.data, point.size);
}

/* A FIPS provider, for example, lacks some algorithms. */
static bool signature_is_unknown(const struct wr_openssl_errors *errors)
{
    return ERR_GET_LIB(errors->newest) == ERR_LIB_EVP &&
           (ERR_GET_REASON(errors->newest) == ERR_R_UNSUPPORTED ||
            ERR_GET_REASON(errors->newest) == EVP_R_UNSUPPORTED_ALGORITHM);
}

int wr_openssl_verify(const struct wr_tls_signed *job)
{
    struct wr_openssl_errors errors;

    wr_assert(job->kind && job->message.data && job->bits.data);
    if (wr_openssl_start() < 0) {
        return -EOPNOTSUPP;
    }
    if (job->bits.size == 0 || job->bits.size > SIGNATURE_MAX) {
        return -EBADMSG;
    }
    wr_openssl_enter(&errors);
    EVP_PKEY *key = signature_key_of(job);
    const int is_signed = !key ? 0
                          : job->kind->key == WR_X509_KEY_EDWARDS
                              ? signature_run_edwards(job, key)
                              : signature_run_hash(job, key);
    EVP_PKEY_free(key);
    wr_openssl_leave(&errors);
    if (is_signed != 1 && !errors.lacks_memory &&
        signature_is_unknown(&errors)) {
        return -EOPNOTSUPP;
    }
    return is_signed == 1 ? 0 : errors.lacks_memory ? -ENOMEM : -EBADMSG;
}

/* Writes the HkdfLabel of TLS 1.3 and the number of the first block (RFC 8446,
 * 7.1; RFC 5869, 2.3). Returns their size. */
static size_t signature_label(const char *label, size_t size, uint8_t ret[64])
{
    static const char protocol[] = "tls13 ";
    const size_t front = sizeof(protocol) - 1;
    const size_t len = strlen(label);

    wr_assert(size <= EVP_MAX_MD_SIZE);
    wr_assert(front + len + 5 <= 64);
    ret[0] = 0;
    ret[1] = (uint8_t)size;
    ret[2] = (uint8_t)(front + len);
    memcpy(ret + 3, protocol, front);
    memcpy(ret + 3 + front, label, len);
    ret[3 + front + len] = 0;
    ret[4 + front + len] = 1;
    return 5 + front + len;
}

int wr_openssl_expand(enum wr_x509_hash kind, struct wr_bytes secret,
                      const char *label, uint8_t *ret, size_t size)
{
    struct wr_openssl_errors errors;
    uint8_t info[64];
    uint8_t block[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const EVP_MD *hash =
        wr_openssl_start() == 0 ? wr_openssl_digest(kind) : NULL;
    const size_t info_size = signature_label(label, size, info);

    wr_assert(secret.size <= EVP_MAX_MD_SIZE);
    if (!hash) {
        return -EOPNOTSUPP;
    }
    wr_openssl_enter(&errors);
    const bool is_done = HMAC(hash, secret.data, (int)secret.size, info,
                              info_size, block, &len) != NULL;
    wr_openssl_leave(&errors);
    wr_assert(!is_done || size <= len);
    memcpy(ret, block, is_done ? size : 0);
    explicit_bzero(block, sizeof(block));
    return is_done ? 0 : -ENOMEM;
}

int wr_openssl_hash(enum wr_x509_hash kind, struct wr_bytes data,
                    uint8_t ret[WR_TLS_HASH_MAX])
{
    struct wr_openssl_errors errors;
    const EVP_MD *hash =
        wr_openssl_start() == 0 ? wr_openssl_digest(kind) : NULL;
    unsigned size = 0;

    _Static_assert(WR_TLS_HASH_MAX >= EVP_MAX_MD_SIZE, "a hash has its place");
    if (!hash) {
        return -EOPNOTSUPP;
    }
    wr_openssl_enter(&errors);
    const bool is_done =
        EVP_Digest(data.data, data.size, ret, &size, hash, NULL) == 1;
    wr_openssl_leave(&errors);
    return is_done ? (int)size : -ENOMEM;
}

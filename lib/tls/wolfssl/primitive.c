/*
 * wolfCrypt's primitives: hashes, verification of signatures, sealing, and
 * expansion of secrets.
 *
 * wolfCrypt keeps no state between these calls, so any thread may make them.
 */
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/kdf.h>
#include <wolfssl/wolfcrypt/rsa.h>

_Static_assert((int)WC_MAX_DIGEST_SIZE <= (int)WR_TLS_HASH_MAX,
               "each hash has room");

/* Bytes of the longest signature (RSA, 4096 bits). */
#define PRIMITIVE_SIGNATURE_MAX 512u
/* Maximum size of a DigestInfo (RFC 8017, 9.2), in bytes. */
#define PRIMITIVE_HASH_MAX (WC_MAX_DIGEST_SIZE + 32u)

static int primitive_code_of(int number, int other)
{
    wr_assert(other < 0);
    return number == 0                 ? 0
           : number == MEMORY_E        ? -ENOMEM
           : number == NOT_COMPILED_IN ? -EOPNOTSUPP
                                       : other;
}

static enum wc_HashType primitive_hash_type(enum wr_x509_hash kind)
{
    wr_assert(kind != WR_X509_HASH_NONE);
    return kind == WR_X509_HASH_SHA256   ? WC_HASH_TYPE_SHA256
           : kind == WR_X509_HASH_SHA384 ? WC_HASH_TYPE_SHA384
                                         : WC_HASH_TYPE_SHA512;
}

int wr_wolfssl_hash(enum wr_x509_hash kind, struct wr_bytes data,
                    uint8_t ret[WR_TLS_HASH_MAX])
{
    const enum wc_HashType type = primitive_hash_type(kind);
    const int size = wc_HashGetDigestSize(type);

    wr_assert(data.size <= INT_MAX);
    if (size < 0) {
        return -EOPNOTSUPP;
    }
    const int number =
        wc_Hash(type, data.data, (word32)data.size, ret, (word32)size);
    return number == 0 ? size : primitive_code_of(number, -EOPNOTSUPP);
}

/* ---- signatures; functions return 0 if the signature is valid, else
 * wolfCrypt's error ---- */

static int primitive_verify_ecdsa(const struct wr_tls_signed *job)
{
    ecc_key key;
    word32 at = 0;
    int is_signed = 0;

    wr_assert(job->message.size > 0);
    int err = wc_ecc_init(&key);
    if (err != 0) {
        return err;
    }
    err = wc_EccPublicKeyDecode(job->key_info.data, &at, &key,
                                (word32)job->key_info.size);
    if (err == 0) {
        err = wc_ecc_verify_hash(job->bits.data, (word32)job->bits.size,
                                 job->message.data, (word32)job->message.size,
                                 &is_signed, &key);
    }
    wr_ignore(wc_ecc_free(&key) != 0);
    return err == 0 && !is_signed ? SIG_VERIFY_E : err;
}

static int primitive_compare_pkcs1(const uint8_t *out, int size,
                                   enum wc_HashType type, struct wr_bytes hash)
{
    uint8_t expected[PRIMITIVE_HASH_MAX];
    const word32 expected_size = wc_EncodeSignature(
        expected, hash.data, (word32)hash.size, wc_HashGetOID(type));

    wr_assert(expected_size <= sizeof(expected));
    return size == (int)expected_size &&
                   memcmp(out, expected, expected_size) == 0
               ? 0
               : SIG_VERIFY_E;
}

#ifdef WC_RSA_PSS
static int primitive_mask(enum wr_x509_hash hash)
{
    switch (hash) {
    case WR_X509_HASH_SHA256:
        return WC_MGF1SHA256;
    case WR_X509_HASH_SHA384:
        return WC_MGF1SHA384;
    case WR_X509_HASH_SHA512:
        return WC_MGF1SHA512;
    default:
        return WC_MGF1SHA1;
    }
}
#endif

static int primitive_open_rsa(const struct wr_tls_signed *job, RsaKey *key)
{
    const enum wc_HashType type = primitive_hash_type(job->kind->hash);
    uint8_t in[PRIMITIVE_SIGNATURE_MAX];
    uint8_t out[PRIMITIVE_SIGNATURE_MAX];
    const word32 in_size = (word32)job->bits.size;

    wr_assert(in_size <= sizeof(in));
    if (!job->kind->is_pss) {
        const int size =
            wc_RsaSSL_Verify(job->bits.data, in_size, out, sizeof(out), key);
        return size < 0
                   ? size
                   : primitive_compare_pkcs1(out, size, type, job->message);
    }
#ifdef WC_RSA_PSS
    const int mgf = primitive_mask(job->kind->mask);
    const int salt = (int)job->kind->salt_size;
    memcpy(in, job->bits.data, in_size);
    const int size = wc_RsaPSS_Verify_ex(in, in_size, out, sizeof(out), type,
                                         mgf, salt, key);
    return size < 0 ? size
                    : wc_RsaPSS_CheckPadding_ex(
                          job->message.data, (word32)job->message.size, out,
                          (word32)size, type, salt, wc_RsaEncryptSize(key) * 8);
#else
    return NOT_COMPILED_IN;
#endif
}

static int primitive_verify_rsa(const struct wr_tls_signed *job)
{
    const struct wr_x509_rsa_numbers *numbers = &job->rsa;
    RsaKey key;

    wr_assert(numbers->modulus.data && numbers->exponent.data);
    if (job->bits.size > PRIMITIVE_SIGNATURE_MAX) {
        return SIG_VERIFY_E;
    }
    int err = wc_InitRsaKey(&key, NULL);
    if (err != 0) {
        return err;
    }
    err = wc_RsaPublicKeyDecodeRaw(
        numbers->modulus.data, (word32)numbers->modulus.size,
        numbers->exponent.data, (word32)numbers->exponent.size, &key);
    if (err == 0) {
        err = primitive_open_rsa(job, &key);
    }
    wr_ignore(wc_FreeRsaKey(&key) != 0);
    return err;
}

#ifdef HAVE_ED25519
static int primitive_verify_ed25519(const struct wr_tls_signed *job)
{
    ed25519_key key;
    word32 at = 0;
    int is_signed = 0;

    wr_assert(job->kind->hash == WR_X509_HASH_NONE);
    int err = wc_ed25519_init(&key);
    if (err != 0) {
        return err;
    }
    err = wc_Ed25519PublicKeyDecode(job->key_info.data, &at, &key,
                                    (word32)job->key_info.size);
    if (err == 0) {
        err = wc_ed25519_verify_msg(
            job->bits.data, (word32)job->bits.size, job->message.data,
            (word32)job->message.size, &is_signed, &key);
    }
    wc_ed25519_free(&key);
    return err == 0 && !is_signed ? SIG_VERIFY_E : err;
}
#endif

int wr_wolfssl_verify(const struct wr_tls_signed *job)
{
    int number = NOT_COMPILED_IN;

    wr_assert(job->key_info.data && job->message.data);
    switch (job->kind->key) {
    case WR_X509_KEY_RSA:
        number = primitive_verify_rsa(job);
        break;
    case WR_X509_KEY_CURVE:
        number = primitive_verify_ecdsa(job);
        break;
    case WR_X509_KEY_EDWARDS:
#ifdef HAVE_ED25519
        number = primitive_verify_ed25519(job);
#endif
        break;
    case WR_X509_KEY_OTHER:
        break;
    }
    return primitive_code_of(number, -EBADMSG);
}

/* ---- sealing; functions return 0 or wolfCrypt's error ---- */

static int primitive_run_aes(const struct wr_tls_aead *job, bool seals)
{
    const word32 key_size = job->kind == WR_TLS_AEAD_AES_128_GCM
                                ? AES_128_KEY_SIZE
                                : AES_256_KEY_SIZE;
    const word32 size = (word32)job->size;
    const word32 beside_size = (word32)job->beside.size;
    Aes aes;

    wr_assert(job->size <= INT_MAX);
    int err = wc_AesInit(&aes, NULL, INVALID_DEVID);
    if (err != 0) {
        return err;
    }
    err = wc_AesGcmSetKey(&aes, job->key, key_size);
    if (err == 0 && seals) {
        err = wc_AesGcmEncrypt(&aes, job->out, job->in, size, job->nonce,
                               WR_TLS_AEAD_NONCE, job->tag, WR_TLS_AEAD_TAG,
                               job->beside.data, beside_size);
    } else if (err == 0) {
        err = wc_AesGcmDecrypt(&aes, job->out, job->in, size, job->nonce,
                               WR_TLS_AEAD_NONCE, job->tag, WR_TLS_AEAD_TAG,
                               job->beside.data, beside_size);
    }
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof(aes));
    return err;
}

static int primitive_run_chacha(const struct wr_tls_aead *job, bool seals)
{
#if defined(HAVE_CHACHA) && defined(HAVE_POLY1305)
    const word32 size = (word32)job->size;
    const word32 beside_size = (word32)job->beside.size;

    wr_assert(job->size <= INT_MAX);
    return seals
               ? wc_ChaCha20Poly1305_Encrypt(job->key, job->nonce,
                                             job->beside.data, beside_size,
                                             job->in, size, job->out, job->tag)
               : wc_ChaCha20Poly1305_Decrypt(job->key, job->nonce,
                                             job->beside.data, beside_size,
                                             job->in, size, job->tag, job->out);
#else
    wr_assert(job && seals <= 1);
    return NOT_COMPILED_IN;
#endif
}

static int primitive_run(const struct wr_tls_aead *job, bool seals)
{
    return job->kind == WR_TLS_AEAD_CHACHA20 ? primitive_run_chacha(job, seals)
                                             : primitive_run_aes(job, seals);
}

int wr_wolfssl_seal(const struct wr_tls_aead *job)
{
    wr_assert(job->size > 0 && job->tag);
    return primitive_code_of(primitive_run(job, true), WEIR_ETLSENGINE);
}

int wr_wolfssl_open_sealed(const struct wr_tls_aead *job)
{
    const int number = primitive_run(job, false);

    wr_assert(job->size > 0 && job->tag);
    return number == AES_GCM_AUTH_E || number == MAC_CMP_FAILED_E
               ? -EBADMSG
               : primitive_code_of(number, WEIR_ETLSENGINE);
}

int wr_wolfssl_expand(enum wr_x509_hash kind, struct wr_bytes secret,
                      const char *label, uint8_t *ret, size_t size)
{
    static const uint8_t protocol[] = "tls13 ";
    const int digest = kind == WR_X509_HASH_SHA384 ? WC_SHA384 : WC_SHA256;

    wr_assert(kind != WR_X509_HASH_NONE && secret.data);
    return primitive_code_of(
        wc_Tls13_HKDF_Expand_Label(ret, (word32)size, secret.data,
                                   (word32)secret.size, protocol,
                                   sizeof(protocol) - 1, (const uint8_t *)label,
                                   (word32)strlen(label), NULL, 0, digest),
        WEIR_ETLSENGINE);
}

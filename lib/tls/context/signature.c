/*
 * The verification of signatures: RSA with PKCS #1 1.5 and PSS, ECDSA, Ed25519,
 * with SHA-256, SHA-384 and SHA-512. The signature's object identifier names
 * the algorithm.
 *
 * The key must be of the same kind, and this is compared first. A verifier that
 * takes the hash by the algorithm and the arithmetic by the key may verify an
 * ECDSA signature over no hash at all, which can be made without the key.
 */
#include "signature.h"

#include "lib/x509/strength.h"
#include "uring/check.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/rsa.h>

_Static_assert(WC_MAX_DIGEST_SIZE <= WR_TLS_SIGNATURE_HASH_MAX,
               "each hash that is signed has room");

/* Bytes of the longest signature (RSA, 4096 bits). */
#define SIGNATURE_MAX 512u
/* The most bytes of a hash as PKCS #1 signs it (DigestInfo). */
#define SIGNATURE_HASH_MAX (WC_MAX_DIGEST_SIZE + 32u)

/* ---- one algorithm each; 0 if the key has signed, else wolfCrypt's error
 * ---- */

static enum wc_HashType signature_hash_type(enum wr_x509_hash hash)
{
    wr_assert(hash != WR_X509_HASH_NONE);
    return hash == WR_X509_HASH_SHA256   ? WC_HASH_TYPE_SHA256
           : hash == WR_X509_HASH_SHA384 ? WC_HASH_TYPE_SHA384
                                         : WC_HASH_TYPE_SHA512;
}

/* Writes the hash of the body. Returns its size, or wolfCrypt's error. */
static int signature_hash(const struct wr_x509_signed *sign,
                          enum wc_HashType type, uint8_t *ret)
{
    const int size = wc_HashGetDigestSize(type);

    wr_assert(sign->body.size <= INT_MAX);
    if (size < 0) {
        return size;
    }
    if (sign->hash) {
        memcpy(ret, sign->hash, (size_t)size);
        return size;
    }
    const int err = wc_Hash(type, sign->body.data, (word32)sign->body.size, ret,
                            (word32)size);
    return err == 0 ? size : err;
}

static int signature_verify_ecdsa(const struct wr_x509_signed *sign,
                                  enum wc_HashType type,
                                  struct wr_bytes key_info)
{
    uint8_t hash[WC_MAX_DIGEST_SIZE];
    ecc_key key;
    word32 at = 0;
    int is_signed = 0;

    const int size = signature_hash(sign, type, hash);
    if (size < 0) {
        return size;
    }
    int err = wc_ecc_init(&key);
    if (err != 0) {
        return err;
    }
    err =
        wc_EccPublicKeyDecode(key_info.data, &at, &key, (word32)key_info.size);
    if (err == 0) {
        err = wc_ecc_verify_hash(sign->bits.data, (word32)sign->bits.size, hash,
                                 (word32)size, &is_signed, &key);
    }
    wr_ignore(wc_ecc_free(&key) != 0);
    return err == 0 && !is_signed ? SIG_VERIFY_E : err;
}

/* The first @size of SIGNATURE_MAX bytes at @out are the signed data. */
static int signature_compare_pkcs1(const uint8_t *out, int size,
                                   enum wc_HashType type, const uint8_t *hash,
                                   int hash_size)
{
    uint8_t expected[SIGNATURE_HASH_MAX];
    const word32 expected_size = wc_EncodeSignature(
        expected, hash, (word32)hash_size, wc_HashGetOID(type));

    wr_assert(expected_size <= sizeof(expected));
    return size == (int)expected_size &&
                   memcmp(out, expected, expected_size) == 0
               ? 0
               : SIG_VERIFY_E;
}

#ifdef WC_RSA_PSS
static int signature_mask(enum wr_x509_hash hash)
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

static int signature_open_rsa(const struct wr_x509_signed *sign,
                              const struct wr_x509_signature_kind *kind,
                              const uint8_t *hash, int hash_size, RsaKey *key)
{
    const enum wc_HashType type = signature_hash_type(kind->hash);
    uint8_t in[SIGNATURE_MAX];
    uint8_t out[SIGNATURE_MAX];
    const word32 in_size = (word32)sign->bits.size;

    wr_assert(in_size <= sizeof(in));
    if (!kind->is_pss) {
        const int size =
            wc_RsaSSL_Verify(sign->bits.data, in_size, out, sizeof(out), key);
        return size < 0
                   ? size
                   : signature_compare_pkcs1(out, size, type, hash, hash_size);
    }
#ifdef WC_RSA_PSS
    const int mgf = signature_mask(kind->mask);
    const int salt = (int)kind->salt_size;
    memcpy(in, sign->bits.data, in_size);
    const int size = wc_RsaPSS_Verify_ex(in, in_size, out, sizeof(out), type,
                                         mgf, salt, key);
    return size < 0 ? size
                    : wc_RsaPSS_CheckPadding_ex(hash, (word32)hash_size, out,
                                                (word32)size, type, salt,
                                                wc_RsaEncryptSize(key) * 8);
#else
    return NOT_COMPILED_IN;
#endif
}

static int signature_verify_rsa(const struct wr_x509_signed *sign,
                                const struct wr_x509_signature_kind *kind,
                                struct wr_bytes key_info)
{
    uint8_t hash[WC_MAX_DIGEST_SIZE];
    struct wr_x509_rsa_numbers numbers;
    RsaKey key;

    if (!wr_x509_strength_find_rsa(key_info, &numbers) ||
        (numbers.is_pss_alone && !kind->is_pss) ||
        sign->bits.size > SIGNATURE_MAX) {
        return SIG_VERIFY_E;
    }
    const int size =
        signature_hash(sign, signature_hash_type(kind->hash), hash);
    if (size < 0) {
        return size;
    }
    int err = wc_InitRsaKey(&key, NULL);
    if (err != 0) {
        return err;
    }
    err = wc_RsaPublicKeyDecodeRaw(
        numbers.modulus.data, (word32)numbers.modulus.size,
        numbers.exponent.data, (word32)numbers.exponent.size, &key);
    if (err == 0) {
        err = signature_open_rsa(sign, kind, hash, size, &key);
    }
    wr_ignore(wc_FreeRsaKey(&key) != 0);
    return err;
}

#ifdef HAVE_ED25519
static int signature_verify_ed25519(const struct wr_x509_signed *sign,
                                    struct wr_bytes key_info)
{
    ed25519_key key;
    word32 at = 0;
    int is_signed = 0;

    int err = wc_ed25519_init(&key);
    if (err != 0) {
        return err;
    }
    err = wc_Ed25519PublicKeyDecode(key_info.data, &at, &key,
                                    (word32)key_info.size);
    if (err == 0) {
        err = wc_ed25519_verify_msg(sign->bits.data, (word32)sign->bits.size,
                                    sign->body.data, (word32)sign->body.size,
                                    &is_signed, &key);
    }
    wc_ed25519_free(&key);
    return err == 0 && !is_signed ? SIG_VERIFY_E : err;
}
#endif

bool wr_tls_signature_hash(const struct wr_x509_signed *sign,
                           uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX])
{
    struct wr_x509_signature_kind kind;

    wr_assert(!sign->hash);
    return wr_x509_strength_find_signature(sign->algorithm, &kind) &&
           kind.key != WR_X509_KEY_EDWARDS &&
           signature_hash(sign, signature_hash_type(kind.hash), ret) > 0;
}

int wr_tls_signature_verify(const struct wr_x509_signed *sign,
                            struct wr_bytes key_info)
{
    struct wr_x509_signature_kind kind;
    struct wr_x509_key_strength key;
    int number = NOT_COMPILED_IN;

    wr_assert(sign->body.data && key_info.data);
    if (!wr_x509_strength_find_signature(sign->algorithm, &kind)) {
        return -EOPNOTSUPP;
    }
    if (!wr_x509_strength_of_key(key_info, &key) || key.kind != kind.key) {
        return -EBADMSG;
    }
    switch (kind.key) {
    case WR_X509_KEY_RSA:
        number = signature_verify_rsa(sign, &kind, key_info);
        break;
    case WR_X509_KEY_CURVE:
        number = signature_verify_ecdsa(sign, signature_hash_type(kind.hash),
                                        key_info);
        break;
    case WR_X509_KEY_EDWARDS:
#ifdef HAVE_ED25519
        number = signature_verify_ed25519(sign, key_info);
#endif
        break;
    case WR_X509_KEY_OTHER: /* of no signature */
        break;
    }
    return number == 0                 ? 0
           : number == MEMORY_E        ? -ENOMEM
           : number == NOT_COMPILED_IN ? -EOPNOTSUPP
                                       : -EBADMSG;
}

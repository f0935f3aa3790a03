/*
 * The strength of keys and signatures. They are known by their object
 * identifiers and parameters, and for RSA by the modulus; what is not known
 * here is weak.
 */
#include "strength.h"

#include "uring/check.h"

#define RSA_BITS_LEAST         2048u
#define RSA_BITS_MOST          4096u
#define RSA_EXPONENT_BITS      2u
#define RSA_EXPONENT_BITS_MOST 64u

/* Object identifiers, without the last byte where a family shares the rest. */
static const uint8_t strength_oid_pkcs1[] = {0x2a, 0x86, 0x48, 0x86,
                                             0xf7, 0x0d, 0x01, 0x01};
static const uint8_t strength_oid_ecdsa_sha2[] = {0x2a, 0x86, 0x48, 0xce,
                                                  0x3d, 0x04, 0x03};
static const uint8_t strength_oid_ecdsa_sha1[] = {0x2a, 0x86, 0x48,
                                                  0xce, 0x3d, 0x04};
static const uint8_t strength_oid_sha2[] = {0x60, 0x86, 0x48, 0x01,
                                            0x65, 0x03, 0x04, 0x02};
static const uint8_t strength_oid_ec_key[] = {0x2a, 0x86, 0x48,
                                              0xce, 0x3d, 0x02};
static const uint8_t strength_oid_x962_curve[] = {0x2a, 0x86, 0x48, 0xce,
                                                  0x3d, 0x03, 0x01};
static const uint8_t strength_oid_secg_curve[] = {0x2b, 0x81, 0x04, 0x00};
static const uint8_t strength_oid_edwards[] = {0x2b, 0x65};

/* SHA-256, SHA-384 and SHA-512 of RSASSA-PSS, which without a word of it means
 * SHA-1. */
static enum wr_tls_strength strength_rate_pss(struct wr_tls_der params)
{
    struct wr_tls_der list;
    struct wr_tls_der tagged;
    struct wr_tls_der algorithm;
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(params.data != NULL);
    if (!wr_tls_der_take(&params, WR_TLS_DER_SEQUENCE, &list) ||
        !wr_tls_der_take(&list, WR_TLS_DER_EXPLICIT, &tagged) ||
        !wr_tls_der_take(&tagged, WR_TLS_DER_SEQUENCE, &algorithm) ||
        !wr_tls_der_take(&algorithm, WR_TLS_DER_OID, &oid)) {
        return WR_TLS_WEAK_HASH;
    }
    return WR_TLS_DER_IS_OF(&oid, strength_oid_sha2, &last) && last >= 1 &&
                   last <= 3
               ? WR_TLS_STRONG
               : WR_TLS_WEAK_HASH;
}

bool wr_tls_strength_of_signature(struct wr_tls_der algorithm,
                                  enum wr_tls_strength *ret)
{
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(algorithm.data != NULL);
    if (!wr_tls_der_take(&algorithm, WR_TLS_DER_OID, &oid)) {
        return false;
    }
    *ret = WR_TLS_WEAK_ALGORITHM;
    if (WR_TLS_DER_IS_OF(&oid, strength_oid_pkcs1, &last)) {
        if (last == 10) {
            *ret = strength_rate_pss(algorithm);
        } else {
            *ret = last >= 11 && last <= 13 ? WR_TLS_STRONG : WR_TLS_WEAK_HASH;
        }
    } else if (WR_TLS_DER_IS_OF(&oid, strength_oid_ecdsa_sha2, &last)) {
        *ret = last >= 2 && last <= 4 ? WR_TLS_STRONG : WR_TLS_WEAK_HASH;
    } else if (WR_TLS_DER_IS_OF(&oid, strength_oid_ecdsa_sha1, &last)) {
        *ret = WR_TLS_WEAK_HASH;
    } else if (WR_TLS_DER_IS_OF(&oid, strength_oid_edwards, &last) &&
               last == 112) {
        *ret = WR_TLS_STRONG;
    }
    return true;
}

/* Bits of a positive integer; 0: it is none. */
static uint32_t strength_count_bits(struct wr_tls_der number)
{
    wr_assert(number.data != NULL);
    if (number.size > 0 && (number.data[0] & 0x80)) {
        return 0;
    }
    while (number.size > 0 && number.data[0] == 0) {
        number.data++;
        number.size--;
    }
    if (number.size == 0) {
        return 0;
    }
    uint32_t bits = (uint32_t)(number.size - 1) * 8;
    for (uint8_t first = number.data[0]; first; first >>= 1) {
        bits++;
    }
    return bits;
}

/* @key: the inside of a BIT STRING. */
static bool strength_rate_rsa(struct wr_tls_der key,
                              struct wr_tls_key_strength *ret)
{
    struct wr_tls_der pair;
    struct wr_tls_der modulus;
    struct wr_tls_der exponent;

    wr_assert(key.data != NULL);
    if (key.size < 1 || key.data[0] != 0) {
        return false;
    }
    key.data++;
    key.size--;
    if (!wr_tls_der_take(&key, WR_TLS_DER_SEQUENCE, &pair) ||
        !wr_tls_der_take(&pair, WR_TLS_DER_INTEGER, &modulus) ||
        !wr_tls_der_take(&pair, WR_TLS_DER_INTEGER, &exponent)) {
        return false;
    }
    const uint32_t exponent_bits = strength_count_bits(exponent);
    ret->rsa_bits = strength_count_bits(modulus);
    /* A long exponent would make a verification take as long as a signature. */
    ret->strength = ret->rsa_bits >= RSA_BITS_LEAST &&
                            ret->rsa_bits <= RSA_BITS_MOST &&
                            exponent_bits >= RSA_EXPONENT_BITS &&
                            exponent_bits <= RSA_EXPONENT_BITS_MOST
                        ? WR_TLS_STRONG
                        : WR_TLS_WEAK_RSA;
    return true;
}

/* @params: what follows the identifier of an elliptic key. P-256, P-384 and
 * P-521. */
static enum wr_tls_strength strength_rate_curve(struct wr_tls_der params)
{
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(params.data != NULL);
    if (!wr_tls_der_take(&params, WR_TLS_DER_OID, &oid)) {
        return WR_TLS_WEAK_CURVE;
    }
    if (WR_TLS_DER_IS_OF(&oid, strength_oid_x962_curve, &last)) {
        return last == 7 ? WR_TLS_STRONG : WR_TLS_WEAK_CURVE;
    }
    return WR_TLS_DER_IS_OF(&oid, strength_oid_secg_curve, &last) &&
                   (last == 34 || last == 35)
               ? WR_TLS_STRONG
               : WR_TLS_WEAK_CURVE;
}

bool wr_tls_strength_of_key(struct wr_tls_der info,
                            struct wr_tls_key_strength *ret)
{
    struct wr_tls_der algorithm;
    struct wr_tls_der key;
    struct wr_tls_der oid;
    uint8_t last = 0;

    *ret = (struct wr_tls_key_strength){.strength = WR_TLS_WEAK_ALGORITHM};
    wr_assert(info.data != NULL);
    if (!wr_tls_der_take(&info, WR_TLS_DER_SEQUENCE, &algorithm) ||
        !wr_tls_der_take(&info, WR_TLS_DER_BIT_STRING, &key) ||
        !wr_tls_der_take(&algorithm, WR_TLS_DER_OID, &oid)) {
        return false;
    }
    if (WR_TLS_DER_IS_OF(&oid, strength_oid_pkcs1, &last) &&
        (last == 1 || last == 10)) {
        return strength_rate_rsa(key, ret);
    }
    if (WR_TLS_DER_IS_OF(&oid, strength_oid_ec_key, &last) && last == 1) {
        ret->strength = strength_rate_curve(algorithm);
    } else if (WR_TLS_DER_IS_OF(&oid, strength_oid_edwards, &last) &&
               last == 112) {
        ret->strength = WR_TLS_STRONG;
    }
    return true;
}

/*
 * Rates keys and signatures of certificates by their object identifiers and
 * parameters, and RSA keys also by the sizes of modulus and exponent. An
 * unknown algorithm is weak.
 */
#include "strength.h"

#include "uring/check.h"

#define RSA_BITS_LEAST         2048u
#define RSA_BITS_MOST          4096u
#define RSA_EXPONENT_BITS      2u
#define RSA_EXPONENT_BITS_MOST 64u
#define RSA_EXPONENT_BITS_FAST 17u

#define STRENGTH_PSS_TRAILER 1u

#define STRENGTH_POINT_WHOLE  0x04 /* uncompressed */
#define STRENGTH_EDWARDS_SIZE 32u

/* Verification with P-384 takes about twice as long as with P-256, and with
 * P-521 about five times as long. P-521 costs only 2 extra, so that a path with
 * five such keys can be verified (PATH_COST_MAX). RSA with an exponent of more
 * than 17 bits costs as much as P-521. */
#define STRENGTH_EXTRA_P384 1u
#define STRENGTH_EXTRA_P521 2u
#define STRENGTH_EXTRA_RSA  2u

/* Object identifiers. If a family differs in the last byte, this byte is
 * omitted. */
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
static const uint8_t strength_oid_edwards[] = {0x2b, 0x65};

static bool strength_is_null(struct wr_bytes params)
{
    struct wr_bytes null;

    wr_assert(params.data != NULL);
    return wr_der_take(&params, WR_DER_NULL, &null) && null.size == 0 &&
           params.size == 0;
}

/* @from is an AlgorithmIdentifier with its header. Sets *ret to
 * WR_X509_HASH_NONE if the hash is weak or unknown. */
static bool strength_read_hash(struct wr_bytes from, enum wr_x509_hash *ret)
{
    struct wr_bytes algorithm;
    struct wr_bytes oid;
    uint8_t last = 0;

    wr_assert(from.data != NULL);
    if (!wr_der_take(&from, WR_DER_SEQUENCE, &algorithm) || from.size > 0 ||
        !wr_der_take_oid(&algorithm, &oid)) {
        return false;
    }
    if (algorithm.size > 0 && !strength_is_null(algorithm)) {
        return false;
    }
    *ret =
        WR_DER_IS_OF(&oid, strength_oid_sha2, &last) && last >= 1 && last <= 3
            ? WR_X509_HASH_SHA256 + last - 1
            : WR_X509_HASH_NONE;
    return true;
}

static bool strength_read_mask(struct wr_bytes from, enum wr_x509_hash *ret)
{
    struct wr_bytes algorithm;
    struct wr_bytes oid;
    uint8_t last = 0;

    wr_assert(from.data != NULL);
    return wr_der_take(&from, WR_DER_SEQUENCE, &algorithm) && from.size == 0 &&
           wr_der_take_oid(&algorithm, &oid) &&
           WR_DER_IS_OF(&oid, strength_oid_pkcs1, &last) && last == 8 &&
           strength_read_hash(algorithm, ret) && *ret != WR_X509_HASH_NONE;
}

/* Accepts 0 to 127, which must fill @from. */
static bool strength_read_number(struct wr_bytes from, uint32_t *ret)
{
    struct wr_bytes number;

    wr_assert(from.data != NULL);
    if (!wr_der_take_integer(&from, WR_DER_INTEGER, &number) || from.size > 0 ||
        number.size != 1 || (number.data[0] & 0x80)) {
        return false;
    }
    *ret = number.data[0];
    return true;
}

/* Missing parameters of RSASSA-PSS mean SHA-1 and a salt of 20 bytes (RFC 4055,
 * 3.1). */
static bool strength_read_pss(struct wr_bytes params,
                              struct wr_x509_signature_kind *ret)
{
    struct wr_bytes list;
    struct wr_bytes tagged[4] = {{.data = NULL}}; /* empty if missing */
    uint32_t trailer = STRENGTH_PSS_TRAILER;

    wr_assert(params.data != NULL);
    *ret = (struct wr_x509_signature_kind){
        .key = WR_X509_KEY_RSA,
        .is_pss = true,
        .salt_size = 20,
    };
    if (!wr_der_take(&params, WR_DER_SEQUENCE, &list) || params.size > 0) {
        return false;
    }
    for (uint8_t i = 0; i < 4; i++) {
        const uint8_t tag = WR_DER_EXPLICIT | i;
        if (wr_der_sees(&list, tag) && !wr_der_take(&list, tag, &tagged[i])) {
            return false;
        }
    }
    return list.size == 0 && tagged[0].data &&
           strength_read_hash(tagged[0], &ret->hash) &&
           ret->hash != WR_X509_HASH_NONE &&
           (!tagged[1].data || strength_read_mask(tagged[1], &ret->mask)) &&
           (!tagged[2].data ||
            strength_read_number(tagged[2], &ret->salt_size)) &&
           (!tagged[3].data || strength_read_number(tagged[3], &trailer)) &&
           trailer == STRENGTH_PSS_TRAILER;
}

static enum wr_x509_strength
strength_rate_signature(struct wr_bytes oid, struct wr_bytes params,
                        struct wr_x509_signature_kind *ret)
{
    uint8_t last = 0;

    wr_assert(oid.data != NULL);
    if (WR_DER_IS_OF(&oid, strength_oid_pkcs1, &last)) {
        if (last == 10) {
            return strength_read_pss(params, ret) ? WR_X509_STRONG
                                                  : WR_X509_WEAK_HASH;
        }
        *ret = (struct wr_x509_signature_kind){
            .key = WR_X509_KEY_RSA,
            .hash = WR_X509_HASH_SHA256 + (uint32_t)last - 11,
        };
        return last >= 11 && last <= 13 ? WR_X509_STRONG : WR_X509_WEAK_HASH;
    }
    if (WR_DER_IS_OF(&oid, strength_oid_ecdsa_sha2, &last)) {
        *ret = (struct wr_x509_signature_kind){
            .key = WR_X509_KEY_CURVE,
            .hash = WR_X509_HASH_SHA256 + (uint32_t)last - 2,
        };
        return last >= 2 && last <= 4 ? WR_X509_STRONG : WR_X509_WEAK_HASH;
    }
    if (WR_DER_IS_OF(&oid, strength_oid_ecdsa_sha1, &last)) {
        return WR_X509_WEAK_HASH;
    }
    *ret = (struct wr_x509_signature_kind){.key = WR_X509_KEY_EDWARDS};
    return WR_DER_IS_OF(&oid, strength_oid_edwards, &last) && last == 112
               ? WR_X509_STRONG
               : WR_X509_WEAK_ALGORITHM;
}

bool wr_x509_strength_of_signature(struct wr_bytes algorithm,
                                   enum wr_x509_strength *ret)
{
    struct wr_x509_signature_kind kind;
    struct wr_bytes oid;

    wr_assert(algorithm.data != NULL);
    if (!wr_der_take_oid(&algorithm, &oid)) {
        return false;
    }
    *ret = strength_rate_signature(oid, algorithm, &kind);
    if (*ret != WR_X509_STRONG || kind.is_pss || algorithm.size == 0) {
        return true;
    }
    return kind.key == WR_X509_KEY_RSA && strength_is_null(algorithm);
}

bool wr_x509_strength_find_signature(struct wr_bytes algorithm,
                                     struct wr_x509_signature_kind *ret)
{
    struct wr_bytes oid;

    wr_assert(algorithm.data != NULL);
    return wr_der_take_oid(&algorithm, &oid) &&
           strength_rate_signature(oid, algorithm, ret) == WR_X509_STRONG;
}

/* Returns the bits of an integer, or 0 if it is not positive. */
static uint32_t strength_count_bits(struct wr_bytes number)
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

static bool strength_read_rsa(struct wr_bytes key, struct wr_bytes *ret_modulus,
                              struct wr_bytes *ret_exponent)
{
    struct wr_bytes pair;

    wr_assert(key.data != NULL);
    return wr_der_take(&key, WR_DER_SEQUENCE, &pair) && key.size == 0 &&
           wr_der_take_integer(&pair, WR_DER_INTEGER, ret_modulus) &&
           wr_der_take_integer(&pair, WR_DER_INTEGER, ret_exponent) &&
           pair.size == 0;
}

static bool strength_rate_rsa(struct wr_bytes key,
                              struct wr_x509_key_strength *ret)
{
    struct wr_bytes modulus;
    struct wr_bytes exponent;

    wr_assert(key.data != NULL);
    if (!strength_read_rsa(key, &modulus, &exponent)) {
        return false;
    }
    const uint32_t exponent_bits = strength_count_bits(exponent);
    ret->rsa_bits = strength_count_bits(modulus);
    /* With a longer exponent a verification could take as long as a
     * signature. */
    ret->strength = ret->rsa_bits >= RSA_BITS_LEAST &&
                            ret->rsa_bits <= RSA_BITS_MOST &&
                            exponent_bits >= RSA_EXPONENT_BITS &&
                            exponent_bits <= RSA_EXPONENT_BITS_MOST
                        ? WR_X509_STRONG
                        : WR_X509_WEAK_RSA;
    ret->extra_cost =
        exponent_bits > RSA_EXPONENT_BITS_FAST ? STRENGTH_EXTRA_RSA : 0;
    return true;
}

/* ->number_size is the size of a coordinate. */
static const struct strength_curve {
    uint8_t oid[8];
    uint8_t oid_size;
    uint8_t number_size;
    uint16_t curve;
    uint8_t extra_cost;
} strength_curves[] = {
    {{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07},
     8,
     32,
     WR_X509_CURVE_P256,
     0},
    {{0x2b, 0x81, 0x04, 0x00, 0x22},
     5,
     48,
     WR_X509_CURVE_P384,
     STRENGTH_EXTRA_P384},
    {{0x2b, 0x81, 0x04, 0x00, 0x23},
     5,
     66,
     WR_X509_CURVE_P521,
     STRENGTH_EXTRA_P521},
};

/* Only uncompressed points are strong, because not every library can decompress
 * points. @params is the bytes after the identifier of an EC key. */
static enum wr_x509_strength
strength_rate_curve(struct wr_bytes params, struct wr_bytes point,
                    struct wr_x509_key_strength *ret)
{
    const size_t count = sizeof(strength_curves) / sizeof(*strength_curves);
    struct wr_bytes oid;

    wr_assert(params.data != NULL);
    if (!wr_der_take_oid(&params, &oid) || params.size > 0) {
        return WR_X509_WEAK_CURVE;
    }
    for (size_t i = 0; i < count; i++) {
        const struct strength_curve *one = &strength_curves[i];
        const struct wr_bytes known = {one->oid, one->oid_size};
        if (wr_der_is_equal(&oid, &known)) {
            ret->curve = one->curve;
            ret->extra_cost = one->extra_cost;
            return point.size == 1 + 2u * one->number_size &&
                           point.data[0] == STRENGTH_POINT_WHOLE
                       ? WR_X509_STRONG
                       : WR_X509_WEAK_POINT;
        }
    }
    return WR_X509_WEAK_CURVE;
}

/* Also reports whether the key signs only with RSASSA-PSS (RFC 4055, 1.2). */
static bool strength_is_rsa(const struct wr_bytes *oid, bool *ret_is_pss_alone)
{
    uint8_t last = 0;

    wr_assert(oid->data != NULL);
    const bool is_known = WR_DER_IS_OF(oid, strength_oid_pkcs1, &last);
    *ret_is_pss_alone = is_known && last == 10;
    return is_known && (last == 1 || last == 10);
}

/* *ret_params is the bytes after the identifier of the algorithm. */
static bool strength_read_key(struct wr_bytes info, struct wr_bytes *ret_oid,
                              struct wr_bytes *ret_params,
                              struct wr_bytes *ret_key)
{
    struct wr_bytes pair;
    uint8_t unused = 0;

    wr_assert(info.data != NULL);
    return wr_der_take(&info, WR_DER_SEQUENCE, &pair) && info.size == 0 &&
           wr_der_take(&pair, WR_DER_SEQUENCE, ret_params) &&
           wr_der_take_bits(&pair, WR_DER_BIT_STRING, ret_key, &unused) &&
           unused == 0 && pair.size == 0 &&
           wr_der_take_oid(ret_params, ret_oid);
}

bool wr_x509_strength_find_rsa(struct wr_bytes info,
                               struct wr_x509_rsa_numbers *ret)
{
    struct wr_bytes oid;
    struct wr_bytes params;
    struct wr_bytes key;

    wr_assert(info.data != NULL);
    if (!strength_read_key(info, &oid, &params, &key) ||
        !strength_is_rsa(&oid, &ret->is_pss_alone)) {
        return false;
    }
    return strength_read_rsa(key, &ret->modulus, &ret->exponent);
}

bool wr_x509_strength_find_point(struct wr_bytes info, struct wr_bytes *ret)
{
    struct wr_bytes oid;
    struct wr_bytes params;
    struct wr_bytes key;

    wr_assert(info.data != NULL);
    if (!strength_read_key(info, &oid, &params, &key) || key.size == 0) {
        return false;
    }
    *ret = key;
    return true;
}

bool wr_x509_strength_of_key(struct wr_bytes info,
                             struct wr_x509_key_strength *ret)
{
    struct wr_bytes oid;
    struct wr_bytes params;
    struct wr_bytes key;
    uint8_t last = 0;

    *ret = (struct wr_x509_key_strength){.strength = WR_X509_WEAK_ALGORITHM,
                                         .kind = WR_X509_KEY_OTHER};
    wr_assert(info.data != NULL);
    if (!strength_read_key(info, &oid, &params, &key)) {
        return false;
    }
    if (strength_is_rsa(&oid, &ret->is_pss_alone)) {
        ret->kind = WR_X509_KEY_RSA;
        return (ret->is_pss_alone || strength_is_null(params)) &&
               strength_rate_rsa(key, ret);
    }
    if (WR_DER_IS_OF(&oid, strength_oid_ec_key, &last) && last == 1) {
        ret->kind = WR_X509_KEY_CURVE;
        ret->strength = strength_rate_curve(params, key, ret);
    } else if (WR_DER_IS_OF(&oid, strength_oid_edwards, &last) && last == 112) {
        ret->kind = WR_X509_KEY_EDWARDS;
        ret->strength = WR_X509_STRONG;
        return params.size == 0 && key.size == STRENGTH_EDWARDS_SIZE;
    }
    return true;
}

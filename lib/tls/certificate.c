/*
 * A reader of X.509 certificates: DER of one-byte tags and definite lengths,
 * from the front to the end. Each function takes what it reads off the front of
 * @from and answers false where something else lies there, which makes the
 * whole certificate malformed.
 */
#include "certificate.h"

#include "uring/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_EXPLICIT = 0xa0, /* and a number */

    NAME_EMAIL = 0x81,
    NAME_DNS = 0x82,
    NAME_DIRECTORY = 0xa4,
    NAME_IP = 0x87,

    ATTRIBUTE_COMMON_NAME = 3,
    ATTRIBUTE_ORGANIZATION = 10,

    EXTENSION_KEY_USAGE = 15,
    EXTENSION_ALTERNATIVE_NAME = 17,
    EXTENSION_BASIC_CONSTRAINTS = 19,
    EXTENSION_NAME_CONSTRAINTS = 30,
    EXTENSION_POLICIES = 32,
    EXTENSION_EXTENDED_KEY_USAGE = 37,
    EXTENSION_COUNT = 64,
};

#define RSA_BITS_LEAST    2048u
#define RSA_EXPONENT_BITS 2u

/* Object identifiers, without the last byte where a family shares the rest. */
static const uint8_t certificate_oid_pkcs1[] = {0x2a, 0x86, 0x48, 0x86,
                                                0xf7, 0x0d, 0x01, 0x01};
static const uint8_t certificate_oid_ecdsa_sha2[] = {0x2a, 0x86, 0x48, 0xce,
                                                     0x3d, 0x04, 0x03};
static const uint8_t certificate_oid_ecdsa_sha1[] = {0x2a, 0x86, 0x48,
                                                     0xce, 0x3d, 0x04};
static const uint8_t certificate_oid_sha2[] = {0x60, 0x86, 0x48, 0x01,
                                               0x65, 0x03, 0x04, 0x02};
static const uint8_t certificate_oid_ec_key[] = {0x2a, 0x86, 0x48,
                                                 0xce, 0x3d, 0x02};
static const uint8_t certificate_oid_x962_curve[] = {0x2a, 0x86, 0x48, 0xce,
                                                     0x3d, 0x03, 0x01};
static const uint8_t certificate_oid_secg_curve[] = {0x2b, 0x81, 0x04, 0x00};
static const uint8_t certificate_oid_edwards[] = {0x2b, 0x65};
static const uint8_t certificate_oid_extension[] = {0x55, 0x1d};
static const uint8_t certificate_oid_purpose[] = {0x2b, 0x06, 0x01, 0x05,
                                                  0x05, 0x07, 0x03};
static const uint8_t certificate_oid_any_purpose[] = {0x55, 0x1d, 0x25};
static const uint8_t certificate_oid_attribute[] = {0x55, 0x04};

/* ---- algorithms ---- */

/* SHA-256, SHA-384 and SHA-512 of RSASSA-PSS, which without a word of it means
 * SHA-1. */
static enum wr_tls_strength certificate_rate_pss(struct wr_tls_der params)
{
    struct wr_tls_der list;
    struct wr_tls_der tagged;
    struct wr_tls_der algorithm;
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(params.data != NULL);
    if (!wr_tls_der_take(&params, DER_SEQUENCE, &list) ||
        !wr_tls_der_take(&list, DER_EXPLICIT, &tagged) ||
        !wr_tls_der_take(&tagged, DER_SEQUENCE, &algorithm) ||
        !wr_tls_der_take(&algorithm, DER_OID, &oid)) {
        return WR_TLS_WEAK_HASH;
    }
    return WR_TLS_DER_IS_OF(&oid, certificate_oid_sha2, &last) && last >= 1 &&
                   last <= 3
               ? WR_TLS_STRONG
               : WR_TLS_WEAK_HASH;
}

/* Of a signature: an AlgorithmIdentifier's inside. */
static bool certificate_rate_signature(struct wr_tls_der algorithm,
                                       enum wr_tls_strength *ret)
{
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(algorithm.data != NULL);
    if (!wr_tls_der_take(&algorithm, DER_OID, &oid)) {
        return false;
    }
    *ret = WR_TLS_WEAK_ALGORITHM;
    if (WR_TLS_DER_IS_OF(&oid, certificate_oid_pkcs1, &last)) {
        if (last == 10) {
            *ret = certificate_rate_pss(algorithm);
        } else {
            *ret = last >= 11 && last <= 13 ? WR_TLS_STRONG : WR_TLS_WEAK_HASH;
        }
    } else if (WR_TLS_DER_IS_OF(&oid, certificate_oid_ecdsa_sha2, &last)) {
        *ret = last >= 2 && last <= 4 ? WR_TLS_STRONG : WR_TLS_WEAK_HASH;
    } else if (WR_TLS_DER_IS_OF(&oid, certificate_oid_ecdsa_sha1, &last)) {
        *ret = WR_TLS_WEAK_HASH;
    } else if (WR_TLS_DER_IS_OF(&oid, certificate_oid_edwards, &last) &&
               last == 112) {
        *ret = WR_TLS_STRONG;
    }
    return true;
}

/* Bits of a positive integer; 0: it is none. */
static uint32_t certificate_count_bits(struct wr_tls_der number)
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
static bool certificate_rate_rsa(struct wr_tls_x509 *x509,
                                 struct wr_tls_der key)
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
    if (!wr_tls_der_take(&key, DER_SEQUENCE, &pair) ||
        !wr_tls_der_take(&pair, DER_INTEGER, &modulus) ||
        !wr_tls_der_take(&pair, DER_INTEGER, &exponent)) {
        return false;
    }
    x509->rsa_bits = certificate_count_bits(modulus);
    x509->key = x509->rsa_bits >= RSA_BITS_LEAST &&
                        certificate_count_bits(exponent) >= RSA_EXPONENT_BITS
                    ? WR_TLS_STRONG
                    : WR_TLS_WEAK_RSA;
    return true;
}

/* @params: what follows the identifier of an elliptic key. P-256, P-384 and
 * P-521. */
static enum wr_tls_strength certificate_rate_curve(struct wr_tls_der params)
{
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(params.data != NULL);
    if (!wr_tls_der_take(&params, DER_OID, &oid)) {
        return WR_TLS_WEAK_CURVE;
    }
    if (WR_TLS_DER_IS_OF(&oid, certificate_oid_x962_curve, &last)) {
        return last == 7 ? WR_TLS_STRONG : WR_TLS_WEAK_CURVE;
    }
    return WR_TLS_DER_IS_OF(&oid, certificate_oid_secg_curve, &last) &&
                   (last == 34 || last == 35)
               ? WR_TLS_STRONG
               : WR_TLS_WEAK_CURVE;
}

/* @info: the inside of a SubjectPublicKeyInfo. */
static bool certificate_read_key(struct wr_tls_x509 *x509,
                                 struct wr_tls_der info)
{
    struct wr_tls_der algorithm;
    struct wr_tls_der key;
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(x509->rsa_bits == 0);
    if (!wr_tls_der_take(&info, DER_SEQUENCE, &algorithm) ||
        !wr_tls_der_take(&info, DER_BIT_STRING, &key) ||
        !wr_tls_der_take(&algorithm, DER_OID, &oid)) {
        return false;
    }
    x509->key = WR_TLS_WEAK_ALGORITHM;
    if (WR_TLS_DER_IS_OF(&oid, certificate_oid_pkcs1, &last) &&
        (last == 1 || last == 10)) {
        return certificate_rate_rsa(x509, key);
    }
    if (WR_TLS_DER_IS_OF(&oid, certificate_oid_ec_key, &last) && last == 1) {
        x509->key = certificate_rate_curve(algorithm);
    } else if (WR_TLS_DER_IS_OF(&oid, certificate_oid_edwards, &last) &&
               last == 112) {
        x509->key = WR_TLS_STRONG;
    }
    return true;
}

/* ---- extensions ---- */

static bool certificate_read_usage(struct wr_tls_x509 *x509,
                                   struct wr_tls_der value)
{
    struct wr_tls_der bits;

    wr_assert(!x509->has_usage);
    if (!wr_tls_der_take(&value, DER_BIT_STRING, &bits) || bits.size < 1 ||
        bits.size > 3) {
        return false;
    }
    x509->has_usage = true;
    for (uint32_t i = 0; i < 8 * (bits.size - 1); i++) {
        if (bits.data[1 + i / 8] & 0x80u >> i % 8) {
            x509->usage |= 1u << i;
        }
    }
    return true;
}

static bool certificate_read_purposes(struct wr_tls_x509 *x509,
                                      struct wr_tls_der value)
{
    struct wr_tls_der list;
    struct wr_tls_der oid;
    uint8_t last = 0;

    wr_assert(!x509->has_purposes);
    if (!wr_tls_der_take(&value, DER_SEQUENCE, &list)) {
        return false;
    }
    x509->has_purposes = true;
    while (list.size > 0) {
        if (!wr_tls_der_take(&list, DER_OID, &oid)) {
            return false;
        }
        if (WR_TLS_DER_IS_OF(&oid, certificate_oid_purpose, &last)) {
            x509->purposes |= last == 1 ? WR_TLS_FOR_SERVERS : 0;
            x509->purposes |= last == 2 ? WR_TLS_FOR_CLIENTS : 0;
        } else if (WR_TLS_DER_IS_OF(&oid, certificate_oid_any_purpose, &last) &&
                   last == 0) {
            x509->purposes |= WR_TLS_FOR_SERVERS | WR_TLS_FOR_CLIENTS;
        }
    }
    return true;
}

static bool certificate_read_constraints(struct wr_tls_x509 *x509,
                                         struct wr_tls_der value)
{
    struct wr_tls_der list;

    wr_assert(!x509->is_authority);
    return wr_tls_der_take(&value, DER_SEQUENCE, &list) &&
           wr_tls_der_take_flag(&list, &x509->is_authority);
}

/* Of name constraints wolfSSL compares DNS names, mail addresses and directory
 * names. */
static bool certificate_read_name_constraints(struct wr_tls_x509 *x509,
                                              struct wr_tls_der value)
{
    struct wr_tls_der list;
    struct wr_tls_der trees;
    struct wr_tls_der tree;
    uint8_t tag = 0;

    wr_assert(value.data != NULL);
    if (!wr_tls_der_take(&value, DER_SEQUENCE, &list)) {
        return false;
    }
    x509->has_name_constraints = true;
    while (list.size > 0) {
        if (!wr_tls_der_take_any(&list, &tag, &trees)) {
            return false;
        }
        while (trees.size > 0) {
            if (!wr_tls_der_take(&trees, DER_SEQUENCE, &tree) ||
                tree.size == 0) {
                return false;
            }
            tag = tree.data[0];
            x509->has_unknown |=
                tag != NAME_DNS && tag != NAME_EMAIL && tag != NAME_DIRECTORY;
        }
    }
    return true;
}

/* A DNS name with a NUL in it, or an address of no length that there is, is
 * there to deceive. */
static bool certificate_read_names(struct wr_tls_x509 *x509,
                                   struct wr_tls_der value)
{
    struct wr_tls_der names;
    struct wr_tls_der name;
    uint8_t tag = 0;

    wr_assert(!x509->names.data);
    if (!wr_tls_der_take(&value, DER_SEQUENCE, &names)) {
        return false;
    }
    x509->names = names;
    while (names.size > 0) {
        if (!wr_tls_der_take_any(&names, &tag, &name) ||
            (tag == NAME_IP && name.size != 4 && name.size != 16) ||
            (tag == NAME_DNS && name.size > 0 &&
             memchr(name.data, 0, name.size))) {
            return false;
        }
    }
    return true;
}

/* One of the extensions that weir or wolfSSL understands. */
static bool certificate_read_value(struct wr_tls_x509 *x509, uint8_t number,
                                   struct wr_tls_der value, bool is_critical)
{
    wr_assert(number < EXTENSION_COUNT);
    switch (number) {
    case EXTENSION_KEY_USAGE:
        return certificate_read_usage(x509, value);
    case EXTENSION_ALTERNATIVE_NAME:
        return certificate_read_names(x509, value);
    case EXTENSION_BASIC_CONSTRAINTS:
        return certificate_read_constraints(x509, value);
    case EXTENSION_NAME_CONSTRAINTS:
        return certificate_read_name_constraints(x509, value);
    case EXTENSION_EXTENDED_KEY_USAGE:
        return certificate_read_purposes(x509, value);
    case EXTENSION_POLICIES:
        return true;
    default:
        x509->has_unknown |= is_critical;
        return true;
    }
}

/* @seen: a bit for each extension that came before. */
static bool certificate_read_extension(struct wr_tls_x509 *x509,
                                       struct wr_tls_der extension,
                                       uint64_t *seen)
{
    struct wr_tls_der oid;
    struct wr_tls_der value;
    bool is_critical = false;
    uint8_t number = 0;

    wr_assert(extension.data != NULL);
    if (!wr_tls_der_take(&extension, DER_OID, &oid) ||
        !wr_tls_der_take_flag(&extension, &is_critical) ||
        !wr_tls_der_take(&extension, DER_OCTET_STRING, &value) ||
        extension.size > 0) {
        return false;
    }
    if (!WR_TLS_DER_IS_OF(&oid, certificate_oid_extension, &number) ||
        number >= EXTENSION_COUNT) {
        x509->has_unknown |= is_critical;
        return true;
    }
    if (*seen & UINT64_C(1) << number) {
        return false; /* which of the two counts */
    }
    *seen |= UINT64_C(1) << number;
    return certificate_read_value(x509, number, value, is_critical);
}

/* @rest: what follows the key, of which the extensions are the last. */
static bool certificate_read_extensions(struct wr_tls_x509 *x509,
                                        struct wr_tls_der rest)
{
    struct wr_tls_der tagged;
    struct wr_tls_der list;
    struct wr_tls_der extension;
    uint64_t seen = 0;

    wr_assert(rest.data != NULL);
    while (wr_tls_der_sees(&rest, 0x81) || wr_tls_der_sees(&rest, 0x82)) {
        uint8_t tag = 0; /* numbers of issuer and subject, which none uses */
        if (!wr_tls_der_take_any(&rest, &tag, &tagged)) {
            return false;
        }
    }
    if (rest.size == 0) {
        return true;
    }
    if (!wr_tls_der_take(&rest, DER_EXPLICIT | 3, &tagged) || rest.size > 0 ||
        !wr_tls_der_take(&tagged, DER_SEQUENCE, &list)) {
        return false;
    }
    while (list.size > 0) {
        if (!wr_tls_der_take(&list, DER_SEQUENCE, &extension) ||
            !certificate_read_extension(x509, extension, &seen)) {
            return false;
        }
    }
    return true;
}

/* @body: the part that is signed; @algorithm: the one that it says, to be
 * compared with the one outside. */
static bool certificate_read_body(struct wr_tls_x509 *x509,
                                  struct wr_tls_der body,
                                  struct wr_tls_der *ret_algorithm)
{
    struct wr_tls_der ignored;
    struct wr_tls_der key;

    wr_assert(body.data != NULL);
    if (wr_tls_der_sees(&body, DER_EXPLICIT) &&
        !wr_tls_der_take(&body, DER_EXPLICIT, &ignored)) {
        return false;
    }
    return wr_tls_der_take(&body, DER_INTEGER, &ignored) &&
           wr_tls_der_take(&body, DER_SEQUENCE, ret_algorithm) &&
           wr_tls_der_take_whole(&body, DER_SEQUENCE, &x509->issuer) &&
           wr_tls_der_take(&body, DER_SEQUENCE, &ignored) &&
           wr_tls_der_take_whole(&body, DER_SEQUENCE, &x509->subject) &&
           wr_tls_der_take(&body, DER_SEQUENCE, &key) &&
           certificate_read_key(x509, key) &&
           certificate_read_extensions(x509, body);
}

int wr_tls_x509_read(struct wr_tls_x509 *ret, const uint8_t *der, size_t size)
{
    struct wr_tls_der from = {.data = der, .size = size};
    struct wr_tls_der whole;
    struct wr_tls_der body;
    struct wr_tls_der said;
    struct wr_tls_der algorithm;
    struct wr_tls_der signature;

    wr_assert(der != NULL);
    *ret = (struct wr_tls_x509){.key = WR_TLS_WEAK_ALGORITHM};
    if (!wr_tls_der_take(&from, DER_SEQUENCE, &whole) || from.size > 0 ||
        !wr_tls_der_take(&whole, DER_SEQUENCE, &body) ||
        !wr_tls_der_take(&whole, DER_SEQUENCE, &algorithm) ||
        !wr_tls_der_take(&whole, DER_BIT_STRING, &signature) ||
        whole.size > 0 || !certificate_read_body(ret, body, &said) ||
        said.size != algorithm.size ||
        memcmp(said.data, algorithm.data, said.size) != 0 ||
        !certificate_rate_signature(algorithm, &ret->signature)) {
        return -EBADMSG;
    }
    return 0;
}

/* ---- names ---- */

bool wr_tls_x509_next_name(struct wr_tls_der *names,
                           enum wr_tls_name_kind *ret_kind,
                           struct wr_tls_der *ret)
{
    uint8_t tag = 0;

    if (names->size == 0) {
        return false;
    }
    const bool is_one = wr_tls_der_take_any(names, &tag, ret);
    wr_assert(is_one); /* all were looked at before */
    *ret_kind = tag == NAME_DNS  ? WR_TLS_NAME_DNS
                : tag == NAME_IP ? WR_TLS_NAME_IP
                                 : WR_TLS_NAME_OTHER;
    return true;
}

/* The last attribute of this number in a name; false: it has none. */
static bool certificate_find_attribute(struct wr_tls_der name, uint8_t number,
                                       struct wr_tls_der *ret)
{
    struct wr_tls_der sets;
    struct wr_tls_der set;
    struct wr_tls_der pair;
    struct wr_tls_der oid;
    struct wr_tls_der value;
    uint8_t last = 0;
    uint8_t tag = 0;
    bool is_found = false;

    wr_assert(name.data != NULL);
    if (!wr_tls_der_take(&name, DER_SEQUENCE, &sets)) {
        return false;
    }
    while (wr_tls_der_take(&sets, DER_SET, &set)) {
        while (wr_tls_der_take(&set, DER_SEQUENCE, &pair)) {
            if (wr_tls_der_take(&pair, DER_OID, &oid) &&
                WR_TLS_DER_IS_OF(&oid, certificate_oid_attribute, &last) &&
                last == number && wr_tls_der_take_any(&pair, &tag, &value)) {
                *ret = value;
                is_found = true;
            }
        }
    }
    return is_found;
}

static void certificate_write(const char *label, struct wr_tls_der text,
                              char *ret, size_t size)
{
    size_t len = strlen(label);

    wr_assert(len < size);
    memcpy(ret, label, len);
    for (size_t i = 0; i < text.size && len + 1 < size; i++) {
        const uint8_t c = text.data[i];
        ret[len++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    ret[len] = '\0';
}

void wr_tls_x509_write_subject(const struct wr_tls_x509 *x509, char *ret,
                               size_t size)
{
    struct wr_tls_der names = x509->names;
    struct wr_tls_der text = {NULL, 0};
    enum wr_tls_name_kind kind = WR_TLS_NAME_OTHER;

    wr_assert(size >= sizeof("without a name"));
    if (certificate_find_attribute(x509->subject, ATTRIBUTE_COMMON_NAME,
                                   &text)) {
        certificate_write("CN=", text, ret, size);
    } else if (certificate_find_attribute(x509->subject, ATTRIBUTE_ORGANIZATION,
                                          &text)) {
        certificate_write("O=", text, ret, size);
    } else if (wr_tls_x509_next_name(&names, &kind, &text) &&
               kind == WR_TLS_NAME_DNS) {
        certificate_write("DNS:", text, ret, size);
    } else {
        certificate_write("without a name", (struct wr_tls_der){NULL, 0}, ret,
                          size);
    }
}

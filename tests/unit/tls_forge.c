/*
 * Makes forged certificates and lists; see tls_forge.h.
 *
 * It parses a valid one, replaces the algorithm in both places, and appends a
 * signature. OpenSSL computes on the curves.
 */
#include "tests/unit/tls_forge.h"

#include "tests/unit.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define FORGE_TEXT_MAX (16u << 10)

struct forge_text {
    uint8_t data[FORGE_TEXT_MAX];
    size_t size;
};

static void forge_put(struct forge_text *to, const uint8_t *data, size_t size)
{
    cr_assert(size <= sizeof(to->data) - to->size);
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void forge_put_element(struct forge_text *to, uint8_t tag,
                              const uint8_t *data, size_t size)
{
    const uint8_t head[] = {tag, 0x82, (uint8_t)(size >> 8), (uint8_t)size};
    const uint8_t middle[] = {tag, 0x81, (uint8_t)size};
    const uint8_t small[] = {tag, (uint8_t)size};
    cr_assert(size <= UINT16_MAX);
    if (size < 0x80) {
        forge_put(to, small, sizeof(small));
    } else if (size <= UINT8_MAX) {
        forge_put(to, middle, sizeof(middle));
    } else {
        forge_put(to, head, sizeof(head));
    }
    forge_put(to, data, size);
}

static EVP_PKEY *forge_key(struct wr_bytes info)
{
    const unsigned char *at = info.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)info.size);
    cr_assert_not_null(key);
    return key;
}

/* Returns the group of a key on a curve, and its point, or NULL for another
 * key. */
static EC_GROUP *forge_group(const EVP_PKEY *key, EC_POINT **ret_point)
{
    char name[64];
    unsigned char bytes[256];
    size_t size;
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name,
                                       sizeof(name), &size) != 1) {
        return NULL;
    }
    EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(name));
    cr_assert_not_null(group, "%s", name);
    *ret_point = EC_POINT_new(group);
    cr_assert_eq(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
                                                 bytes, sizeof(bytes), &size),
                 1);
    cr_assert_eq(EC_POINT_oct2point(group, *ret_point, bytes, size, NULL), 1);
    return group;
}

static void forge_put_number(struct forge_text *to, const BIGNUM *number)
{
    uint8_t bytes[128] = {0}; /* the first byte keeps it positive */
    const int size = BN_bn2bin(number, bytes + 1);
    const bool is_high = bytes[1] & 0x80;
    cr_assert(size > 0 && (size_t)size < sizeof(bytes));
    forge_put_element(to, WR_DER_INTEGER, bytes + !is_high,
                      (size_t)size + is_high);
}

static void forge_put_curve(struct forge_text *to, const EC_GROUP *group,
                            const EC_POINT *point)
{
    static struct forge_text pair;
    BN_CTX *ctx = BN_CTX_new();
    const BIGNUM *order = EC_GROUP_get0_order(group);
    EC_POINT *product = EC_POINT_new(group);
    BIGNUM *k = BN_new();
    BIGNUM *r = BN_new();
    BIGNUM *s = BN_new();
    cr_assert(BN_set_word(k, 0x10001) == 1);
    cr_assert(EC_POINT_mul(group, product, NULL, point, k, ctx) == 1);
    cr_assert(EC_POINT_get_affine_coordinates(group, product, r, NULL, ctx) ==
              1);
    cr_assert(BN_nnmod(r, r, order, ctx) == 1);
    cr_assert_not_null(BN_mod_inverse(s, k, order, ctx));
    cr_assert(BN_mod_mul(s, s, r, order, ctx) == 1);
    pair.size = 0;
    forge_put_number(&pair, r);
    forge_put_number(&pair, s);
    forge_put_element(to, WR_DER_SEQUENCE, pair.data, pair.size);
    BN_free(k);
    BN_free(r);
    BN_free(s);
    EC_POINT_free(product);
    BN_CTX_free(ctx);
}

/* Writes a BIT STRING with the signature; for a key that is not on a curve with
 * arbitrary bytes. */
static void forge_put_signature(struct forge_text *to, struct wr_bytes issuer)
{
    static struct forge_text bits;
    EVP_PKEY *key = forge_key(issuer);
    EC_POINT *point = NULL;
    EC_GROUP *group = forge_group(key, &point);
    bits.size = 0;
    forge_put(&bits, (const uint8_t[]){0}, 1); /* no unused bits */
    if (group) {
        forge_put_curve(&bits, group, point);
    } else {
        const uint8_t some[256] = {1};
        forge_put(&bits, some, sizeof(some));
    }
    forge_put_element(to, WR_DER_BIT_STRING, bits.data, bits.size);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    EVP_PKEY_free(key);
}

bool tls_forge_is_over_nothing(struct wr_bytes der, struct wr_bytes issuer)
{
    const uint8_t nothing[32] = {0};
    struct wr_bytes whole;
    struct wr_bytes part;
    struct wr_bytes bits;
    EVP_PKEY *key = forge_key(issuer);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    cr_assert(wr_der_take(&der, WR_DER_SEQUENCE, &whole));
    cr_assert(wr_der_take(&whole, WR_DER_SEQUENCE, &part));
    cr_assert(wr_der_take(&whole, WR_DER_SEQUENCE, &part));
    cr_assert(wr_der_take(&whole, WR_DER_BIT_STRING, &bits));
    cr_assert_eq(EVP_PKEY_verify_init(ctx), 1);
    const int ret = EVP_PKEY_verify(ctx, bits.data + 1, bits.size - 1, nothing,
                                    sizeof(nothing));
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ret == 1;
}

/* Writes the body with another algorithm, which follows the version and, in a
 * certificate, the serial number. */
static void forge_put_body(struct forge_text *to, struct wr_bytes body,
                           const struct tls_forge_algorithm *algorithm)
{
    static struct forge_text inside;
    struct wr_bytes part;
    struct wr_bytes old;
    uint8_t tag;
    inside.size = 0;
    while (!wr_der_sees(&body, WR_DER_SEQUENCE)) {
        const uint8_t *start = body.data;
        cr_assert(wr_der_take_any(&body, &tag, &part));
        forge_put(&inside, start, (size_t)(body.data - start));
    }
    cr_assert(wr_der_take(&body, WR_DER_SEQUENCE, &old));
    forge_put_element(&inside, WR_DER_SEQUENCE, algorithm->data,
                      algorithm->size);
    forge_put(&inside, body.data, body.size);
    forge_put_element(to, WR_DER_SEQUENCE, inside.data, inside.size);
}

struct wr_bytes tls_forge(struct wr_bytes der,
                          const struct tls_forge_algorithm *algorithm,
                          struct wr_bytes issuer)
{
    static struct forge_text parts;
    static struct forge_text all;
    struct wr_bytes whole;
    struct wr_bytes body;
    cr_assert(wr_der_take(&der, WR_DER_SEQUENCE, &whole));
    cr_assert(wr_der_take(&whole, WR_DER_SEQUENCE, &body));
    parts.size = all.size = 0;
    forge_put_body(&parts, body, algorithm);
    forge_put_element(&parts, WR_DER_SEQUENCE, algorithm->data,
                      algorithm->size);
    forge_put_signature(&parts, issuer);
    forge_put_element(&all, WR_DER_SEQUENCE, parts.data, parts.size);
    uint8_t *ret = malloc(all.size);
    memcpy(ret, all.data, all.size);
    return (struct wr_bytes){.data = ret, .size = all.size};
}

size_t tls_forge_pem(struct wr_bytes der, const char *label, char *text,
                     size_t size, size_t capacity)
{
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    cr_assert_gt(PEM_write_bio(bio, label, "", der.data, (long)der.size), 0);
    const long len = BIO_get_mem_data(bio, &data);
    cr_assert(len > 0 && (size_t)len < capacity - size);
    memcpy(text + size, data, (size_t)len);
    BIO_free(bio);
    return size + (size_t)len;
}

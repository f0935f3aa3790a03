/*
 * Shares of a key exchange.
 *
 * Points of each curve made by OpenSSL are valid, and each neighbour of one,
 * with one bit of a coordinate changed, is not.
 */
#include "lib/tls/engine/point.h"
#include "tests/unit.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#define SHARE_MAX 256

static const struct {
    uint16_t group;
    const char *name;
    size_t size;
    size_t coordinate;
} curves[] = {
    {WR_TLS_GROUP_P256, "P-256", 65, 32},
    {WR_TLS_GROUP_P384, "P-384", 97, 48},
    {WR_TLS_GROUP_P521, "P-521", 133, 66},
};

#define CURVES (sizeof(curves) / sizeof(*curves))

static void share_make(const char *name, uint8_t *ret, size_t expected)
{
    size_t size = 0;
    EVP_PKEY *key = EVP_EC_gen(name);
    cr_assert_not_null(key);
    cr_assert_eq(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
                                                 ret, SHARE_MAX, &size),
                 1);
    expect_eq(size, expected);
    EVP_PKEY_free(key);
}

UNIT(tls_point, points_on_their_curves_are_good_and_others_are_not)
{
    uint8_t share[SHARE_MAX];
    for (size_t i = 0; i < CURVES; i++) {
        for (int turn = 0; turn < 8; turn++) {
            const size_t size = curves[i].size;
            share_make(curves[i].name, share, size);
            cr_assert(wr_tls_point_is_good(curves[i].group, share, size));
            for (size_t bit = 0; bit < size * 8; bit++) {
                share[bit / 8] ^= (uint8_t)(1u << (bit % 8));
                cr_assert_not(
                    wr_tls_point_is_good(curves[i].group, share, size),
                    "%s, bit %zu", curves[i].name, bit);
                share[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            }
        }
    }
}

UNIT(tls_point, a_point_is_written_in_one_form)
{
    uint8_t share[SHARE_MAX];
    for (size_t i = 0; i < CURVES; i++) {
        const size_t size = curves[i].size;
        share_make(curves[i].name, share, size);
        share[0] = 2; /* compressed */
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, size));
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share,
                                           1 + curves[i].coordinate));
        share[0] = 6; /* hybrid */
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, size));
        share[0] = 4;
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, size - 1));
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, 0));
        share[0] = 0; /* infinity */
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, 1));
        memset(share + 1, 0, size - 1);
        share[0] = 4;
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, size));
        memset(share + 1, UINT8_MAX, size - 1);
        cr_assert_not(wr_tls_point_is_good(curves[i].group, share, size));
    }
}

/* Half of all numbers have a point on the curve. */
UNIT(tls_point, openssl_agrees_about_compressed_points)
{
    static const int names[] = {NID_X9_62_prime256v1, NID_secp384r1,
                                NID_secp521r1};
    uint8_t share[SHARE_MAX];
    for (size_t i = 0; i < CURVES; i++) {
        const size_t size = 1 + curves[i].coordinate;
        EC_GROUP *group = EC_GROUP_new_by_curve_name(names[i]);
        EC_POINT *point = EC_POINT_new(group);
        int good = 0;
        share_make(curves[i].name, share, curves[i].size);
        for (uint8_t more = 0; more < 64; more++) {
            share[0] = 2 | (more & 1);
            share[size - 1] ^= more;
            const bool is_good =
                EC_POINT_oct2point(group, point, share, size, NULL) == 1;
            expect_eq(wr_tls_point_is_compressed(curves[i].group, share, size),
                      is_good, "%s, %u", curves[i].name, more);
            good += is_good;
            share[size - 1] ^= more;
        }
        cr_assert(good > 8 && good < 56, "%d", good);
        cr_assert_not(
            wr_tls_point_is_compressed(curves[i].group, share, size - 1));
        share[0] = 4;
        cr_assert_not(wr_tls_point_is_compressed(curves[i].group, share, size));
        memset(share, UINT8_MAX, size);
        share[0] = 2; /* not less than the prime */
        cr_assert_not(wr_tls_point_is_compressed(curves[i].group, share, size));
        EC_POINT_free(point);
        EC_GROUP_free(group);
    }
    share[0] = 2;
    cr_assert_not(wr_tls_point_is_compressed(WR_TLS_GROUP_X25519, share, 32));
}

/* A coordinate of P-521 leaves seven bits unused, where a multiple of 2^521
 * would be lost if it were not compared with the prime. */
UNIT(tls_point, a_coordinate_is_less_than_the_prime)
{
    uint8_t share[SHARE_MAX];
    for (int turn = 0; turn < 8; turn++) {
        share_make("P-521", share, 133);
        cr_assert_eq(share[1] >> 1, 0);
        for (uint8_t more = 2; more != 0; more = (uint8_t)(more << 1)) {
            share[1] ^= more;
            cr_assert_not(wr_tls_point_is_good(WR_TLS_GROUP_P521, share, 133));
            share[1] ^= more;
        }
    }
}

UNIT(tls_point, shares_of_x25519_that_make_no_secret_are_refused)
{
    uint8_t share[SHARE_MAX];
    size_t size = sizeof(share);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    cr_assert_eq(EVP_PKEY_get_raw_public_key(key, share, &size), 1);
    EVP_PKEY_free(key);
    cr_assert(wr_tls_point_is_good(WR_TLS_GROUP_X25519, share, 32));
    cr_assert_not(wr_tls_point_is_good(WR_TLS_GROUP_X25519, share, 31));
    for (int high = 0; high < 2; high++) {
        for (uint8_t i = 0; i < 2; i++) {
            memset(share, 0, sizeof(share));
            share[0] = i;
            share[31] = (uint8_t)(high << 7);
            cr_assert_not(wr_tls_point_is_good(WR_TLS_GROUP_X25519, share, 32));
        }
        for (uint8_t i = 0xec; i <= 0xee; i++) {
            memset(share, UINT8_MAX, sizeof(share));
            share[0] = i;
            share[31] = (uint8_t)(0x7f | high << 7);
            cr_assert_not(wr_tls_point_is_good(WR_TLS_GROUP_X25519, share, 32));
        }
    }
}

/* OpenSSL refuses to derive a secret with the two shares of order 8. */
UNIT(tls_point, openssl_agrees_about_the_shares_of_order_8)
{
    static const uint8_t small[2][32] = {
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    };
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret[32];
        size_t size = sizeof(secret);
        EVP_PKEY *peer =
            EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, small[i], 32);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
        cr_assert_eq(EVP_PKEY_derive_init(ctx), 1);
        cr_assert_eq(EVP_PKEY_derive_set_peer(ctx, peer), 1);
        cr_assert_neq(EVP_PKEY_derive(ctx, secret, &size), 1);
        cr_assert_not(wr_tls_point_is_good(WR_TLS_GROUP_X25519, small[i], 32));
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(peer);
    }
    EVP_PKEY_free(own);
}

UNIT(tls_point, no_share_is_one_of_a_group_that_is_not_known)
{
    uint8_t share[SHARE_MAX];
    share_make("P-256", share, 65);
    for (unsigned group = 0; group <= UINT16_MAX; group++) {
        const bool is_known =
            (group >= WR_TLS_GROUP_P256 && group <= WR_TLS_GROUP_P521) ||
            group == WR_TLS_GROUP_X25519;
        cr_assert_eq(wr_tls_point_knows((uint16_t)group), is_known, "%u",
                     group);
        cr_assert_eq(wr_tls_point_is_good((uint16_t)group, share, 65),
                     group == WR_TLS_GROUP_P256, "%u", group);
    }
}

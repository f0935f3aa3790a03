/*
 * Checks the curve equation y^2 = x^3 - 3x + b with Montgomery multiplication.
 * Each multiplication also divides by R (the radix to the number of limbs), so
 * each term goes through the same number of multiplications before the sides
 * are compared. Shares are public, so the run time may depend on them.
 *
 * The order of a point is not checked: on these curves only the point at
 * infinity has another order, and the required form cannot encode it.
 */
#include "point.h"

#include "uring/check.h"

#include <string.h>

#define POINT_LIMBS_MAX 9u /* 64 bits each; P-521 */
#define POINT_25519     32u
/* ML-KEM-768 (FIPS 203, 8): encapsulation key and ciphertext. */
#define POINT_MLKEM_KEY  1184u
#define POINT_MLKEM_BACK 1088u

__extension__ typedef unsigned __int128 point_wide;

struct point_curve {
    uint16_t group;
    uint16_t bytes; /* of a coordinate */
    uint32_t limbs;
    uint64_t inverse; /* -1 / p, modulo the radix */
    uint64_t p[POINT_LIMBS_MAX];
    uint64_t b[POINT_LIMBS_MAX];
};

/* SEC 2, 2.4.2, 2.5.1 and 2.6.1; least significant limb first. */
static const struct point_curve point_curves[] = {
    {
        .group = WR_TLS_GROUP_P256,
        .bytes = 32,
        .limbs = 4,
        .inverse = 1,
        .p = {0xffffffffffffffff, 0x00000000ffffffff, 0, 0xffffffff00000001},
        .b = {0x3bce3c3e27d2604b, 0x651d06b0cc53b0f6, 0xb3ebbd55769886bc,
              0x5ac635d8aa3a93e7},
    },
    {
        .group = WR_TLS_GROUP_P384,
        .bytes = 48,
        .limbs = 6,
        .inverse = 0x0000000100000001,
        .p = {0x00000000ffffffff, 0xffffffff00000000, 0xfffffffffffffffe,
              0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff},
        .b = {0x2a85c8edd3ec2aef, 0xc656398d8a2ed19d, 0x0314088f5013875a,
              0x181d9c6efe814112, 0x988e056be3f82d19, 0xb3312fa7e23ee7e4},
    },
    {
        .group = WR_TLS_GROUP_P521,
        .bytes = 66,
        .limbs = 9,
        .inverse = 1,
        .p = {0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff,
              0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff,
              0xffffffffffffffff, 0xffffffffffffffff, 0x1ff},
        .b = {0xef451fd46b503f00, 0x3573df883d2c34f1, 0x1652c0bd3bb1bf07,
              0x56193951ec7e937b, 0xb8b489918ef109e1, 0xa2da725b99b315f3,
              0x929a21a0b68540ee, 0x953eb9618e1c9a1f, 0x051},
    },
};

static bool point_is_at_least(const uint64_t *a, const uint64_t *b,
                              uint32_t limbs)
{
    wr_assert(limbs > 0);
    for (uint32_t i = limbs; i-- > 0;) {
        if (a[i] != b[i]) {
            return a[i] > b[i];
        }
    }
    return true;
}

static void point_subtract(uint64_t *a, const uint64_t *b, uint32_t limbs)
{
    uint64_t borrow = 0;

    wr_assert(limbs > 0);
    for (uint32_t i = 0; i < limbs; i++) {
        const point_wide left = (point_wide)a[i] - b[i] - borrow;
        a[i] = (uint64_t)left;
        borrow = (uint64_t)(left >> 64) & 1;
    }
}

/* *ret = a + b modulo p; both are less than p. */
static void point_add(const struct point_curve *curve, const uint64_t *a,
                      const uint64_t *b, uint64_t *ret)
{
    uint64_t carry = 0;

    for (uint32_t i = 0; i < curve->limbs; i++) {
        const point_wide sum = (point_wide)a[i] + b[i] + carry;
        ret[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    if (carry || point_is_at_least(ret, curve->p, curve->limbs)) {
        point_subtract(ret, curve->p, curve->limbs);
    }
}

/* Adds factor * b to @sum, which has limbs + 1 limbs and a carry after them. */
static void point_add_product(uint64_t *sum, uint64_t factor, const uint64_t *b,
                              uint32_t limbs)
{
    uint64_t carry = 0;

    wr_assert(limbs > 0 && limbs <= POINT_LIMBS_MAX);
    for (uint32_t i = 0; i < limbs; i++) {
        const point_wide part = (point_wide)factor * b[i] + sum[i] + carry;
        sum[i] = (uint64_t)part;
        carry = (uint64_t)(part >> 64);
    }
    const point_wide top = (point_wide)sum[limbs] + carry;
    sum[limbs] = (uint64_t)top;
    sum[limbs + 1] += (uint64_t)(top >> 64);
}

/* *ret = a * b / radix^limbs modulo p. Both are less than p; *ret may be
 * one of them. */
static void point_multiply(const struct point_curve *curve, const uint64_t *a,
                           const uint64_t *b, uint64_t *ret)
{
    uint64_t sum[POINT_LIMBS_MAX + 2] = {0};
    const uint32_t limbs = curve->limbs;

    wr_assert(limbs <= POINT_LIMBS_MAX);
    for (uint32_t i = 0; i < limbs; i++) {
        point_add_product(sum, a[i], b, limbs);
        point_add_product(sum, sum[0] * curve->inverse, curve->p, limbs);
        wr_assert(sum[0] == 0);
        memmove(sum, sum + 1, (limbs + 1) * sizeof(*sum));
        sum[limbs + 1] = 0;
    }
    if (sum[limbs] > 0 || point_is_at_least(sum, curve->p, limbs)) {
        point_subtract(sum, curve->p, limbs);
    }
    memcpy(ret, sum, limbs * sizeof(*sum));
}

static bool point_read(const struct point_curve *curve, const uint8_t *data,
                       uint64_t *ret)
{
    memset(ret, 0, POINT_LIMBS_MAX * sizeof(*ret));
    wr_assert(curve->bytes <= curve->limbs * sizeof(*ret));
    for (uint32_t i = 0; i < curve->bytes; i++) {
        const uint32_t place = curve->bytes - 1u - i;
        ret[place / 8] |= (uint64_t)data[i] << (place % 8 * 8);
    }
    return !point_is_at_least(ret, curve->p, curve->limbs);
}

/* Compares y^2 + 3x with x^3 + b, both divided by R^2. */
static bool point_is_on(const struct point_curve *curve, const uint64_t *x,
                        const uint64_t *y)
{
    static const uint64_t one[POINT_LIMBS_MAX] = {1};
    uint64_t left[POINT_LIMBS_MAX];
    uint64_t right[POINT_LIMBS_MAX];
    uint64_t term[POINT_LIMBS_MAX];

    wr_assert(curve->limbs > 0);
    point_multiply(curve, y, y, left);
    point_multiply(curve, left, one, left);
    point_multiply(curve, x, one, term);
    point_multiply(curve, term, one, term);
    for (int i = 0; i < 3; i++) {
        point_add(curve, left, term, left);
    }
    point_multiply(curve, x, x, right);
    point_multiply(curve, right, x, right);
    point_multiply(curve, curve->b, one, term);
    point_multiply(curve, term, one, term);
    point_add(curve, right, term, right);
    return memcmp(left, right, curve->limbs * sizeof(*left)) == 0;
}

/* *ret = a^((p + 1) / 4), a square root of a if there is one, because p is 3
 * modulo 4. Both are in Montgomery form. */
static void point_find_root(const struct point_curve *curve, const uint64_t *a,
                            uint64_t *ret)
{
    const uint32_t bits = curve->limbs * 64;
    uint64_t power[POINT_LIMBS_MAX];
    bool has_begun = false;

    memcpy(power, curve->p, sizeof(power));
    for (uint32_t i = 0; ++power[i] == 0;) {
        i++;
        wr_assert(i < curve->limbs);
    }
    memcpy(ret, a, curve->limbs * sizeof(*ret));
    for (uint32_t i = bits; i-- > 2;) {
        const bool is_set = power[i / 64] >> (i % 64) & 1;
        if (has_begun) {
            point_multiply(curve, ret, ret, ret);
        }
        if (has_begun && is_set) {
            point_multiply(curve, ret, a, ret);
        }
        has_begun |= is_set;
    }
}

/* Returns true if x^3 - 3x + b has a square root. The code computes the value
 * divided by R^2, an even power of two, which has a root if the value has
 * one. */
static bool point_has_root(const struct point_curve *curve, const uint64_t *x)
{
    static const uint64_t one[POINT_LIMBS_MAX] = {1};
    uint64_t sum[POINT_LIMBS_MAX];
    uint64_t term[POINT_LIMBS_MAX];
    uint64_t minus[POINT_LIMBS_MAX];

    point_multiply(curve, x, x, sum);
    point_multiply(curve, sum, x, sum);
    point_multiply(curve, curve->b, one, term);
    point_multiply(curve, term, one, term);
    point_add(curve, sum, term, sum);
    point_multiply(curve, x, one, term);
    point_multiply(curve, term, one, term);
    memcpy(minus, curve->p, sizeof(minus));
    point_subtract(minus, term, curve->limbs);
    for (int i = 0; i < 3; i++) {
        point_add(curve, sum, minus, sum);
    }
    point_find_root(curve, sum, term);
    point_multiply(curve, term, term, term);
    return memcmp(sum, term, curve->limbs * sizeof(*sum)) == 0;
}

static bool point_is_of(const struct point_curve *curve, const uint8_t *data,
                        size_t size)
{
    const uint8_t uncompressed = 4;
    uint64_t x[POINT_LIMBS_MAX];
    uint64_t y[POINT_LIMBS_MAX];

    wr_assert(data != NULL);
    return size == 1 + 2u * curve->bytes && data[0] == uncompressed &&
           point_read(curve, data + 1, x) &&
           point_read(curve, data + 1 + curve->bytes, y) &&
           point_is_on(curve, x, y);
}

/* Returns false for the shares of small order, with which every secret is zero
 * (RFC 7748, 6.1): 0, 1, p - 1, p, p + 1, and two of order 8. */
static bool point_is_25519(const uint8_t *data, size_t size)
{
    static const uint8_t small[][POINT_25519] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    uint8_t share[POINT_25519];

    if (size != POINT_25519) {
        return false;
    }
    memcpy(share, data, sizeof(share));
    share[POINT_25519 - 1] &= 0x7f; /* the highest bit is ignored */
    for (size_t i = 0; i < sizeof(small) / sizeof(*small); i++) {
        if (memcmp(share, small[i], sizeof(share)) == 0) {
            return false;
        }
    }
    return true;
}

bool wr_tls_point_is_hybrid(const uint8_t *data, size_t size, bool is_of_client)
{
    const size_t front = is_of_client ? POINT_MLKEM_KEY : POINT_MLKEM_BACK;

    wr_assert(data != NULL);
    return size == front + POINT_25519 &&
           point_is_25519(data + front, POINT_25519);
}

static const struct point_curve *point_curve_of(uint16_t group)
{
    for (size_t i = 0; i < sizeof(point_curves) / sizeof(*point_curves); i++) {
        if (group == point_curves[i].group) {
            return &point_curves[i];
        }
    }
    return NULL;
}

bool wr_tls_point_knows(uint16_t group)
{
    return group == WR_TLS_GROUP_X25519 || point_curve_of(group) != NULL;
}

bool wr_tls_point_is_good(uint16_t group, const uint8_t *data, size_t size)
{
    const struct point_curve *curve = point_curve_of(group);

    wr_assert(data != NULL);
    if (group == WR_TLS_GROUP_X25519) {
        return point_is_25519(data, size);
    }
    return curve && point_is_of(curve, data, size);
}

bool wr_tls_point_is_compressed(uint16_t group, const uint8_t *data,
                                size_t size)
{
    const struct point_curve *curve = point_curve_of(group);
    uint64_t x[POINT_LIMBS_MAX];

    wr_assert(data != NULL);
    return curve && size == 1u + curve->bytes &&
           (data[0] == 2 || data[0] == 3) && point_read(curve, data + 1, x) &&
           point_has_root(curve, x);
}

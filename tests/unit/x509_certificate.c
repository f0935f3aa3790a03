/*
 * The reader of certificates: one is made here of its parts, each test changes
 * a part. What is not plain DER is refused, and no bytes beyond the certificate
 * are read, whatever stands in it.
 */
#include "lib/x509/certificate.h"
#include "tests/unit/random.h"

#include <errno.h>

/* ---- certificates of parts ---- */

struct part {
    uint8_t data[2048];
    size_t size;
};

static struct part join(int count, const struct part *parts)
{
    struct part all = {.size = 0};
    for (int i = 0; i < count; i++) {
        cr_assert(all.size + parts[i].size <= sizeof(all.data));
        memcpy(all.data + all.size, parts[i].data, parts[i].size);
        all.size += parts[i].size;
    }
    return all;
}

#define JOIN(...)                                                              \
    join(sizeof((struct part[]){__VA_ARGS__}) / sizeof(struct part),           \
         (struct part[]){__VA_ARGS__})

static struct part bytes(const void *data, size_t size)
{
    struct part part = {.size = size};
    cr_assert(size <= sizeof(part.data));
    memcpy(part.data, data, size);
    return part;
}

#define BYTES(text) bytes(text, sizeof(text) - 1)

static struct part wrap(uint8_t tag, struct part inside)
{
    uint8_t header[4] = {tag};
    size_t size = 2;
    if (inside.size < 0x80) {
        header[1] = (uint8_t)inside.size;
    } else if (inside.size < 0x100) {
        header[1] = 0x81;
        header[2] = (uint8_t)inside.size;
        size = 3;
    } else {
        header[1] = 0x82;
        header[2] = (uint8_t)(inside.size >> 8);
        header[3] = (uint8_t)inside.size;
        size = 4;
    }
    return JOIN(bytes(header, size), inside);
}

#define SEQUENCE(...) wrap(0x30, JOIN(__VA_ARGS__))

static struct part extension(uint8_t number, bool is_critical,
                             struct part value)
{
    const uint8_t oid[] = {0x06, 3, 0x55, 0x1d, number};
    return SEQUENCE(bytes(oid, sizeof(oid)),
                    is_critical ? BYTES("\1\1\377") : BYTES(""),
                    wrap(0x04, value));
}

static struct part name(const char *common)
{
    return SEQUENCE(
        wrap(0x31, SEQUENCE(BYTES("\6\3\x55\4\3"),
                            wrap(0x0c, bytes(common, strlen(common))))));
}

static struct part rsa_key(size_t modulus_size, const char *exponent)
{
    struct part modulus = {.size = modulus_size + 1};
    memset(modulus.data + 1, 0xa5, modulus_size);
    return SEQUENCE(
        SEQUENCE(BYTES("\6\11\x2a\x86\x48\x86\xf7\x0d\1\1\1\5\0")),
        wrap(0x03,
             JOIN(BYTES("\0"),
                  SEQUENCE(wrap(0x02, modulus),
                           wrap(0x02, bytes(exponent, strlen(exponent)))))));
}

static struct part curve_key(struct part curve)
{
    return SEQUENCE(
        SEQUENCE(BYTES("\6\7\x2a\x86\x48\xce\x3d\2\1"), wrap(0x06, curve)),
        BYTES("\3\3\0\4\4"));
}

#define P256      BYTES("\x2a\x86\x48\xce\x3d\3\1\7")
#define ECDSA_256 BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\2")

/* The parts of a certificate. */
struct parts {
    struct part version;
    struct part algorithm;
    struct part key;
    struct part extensions; /* as they follow each other; none: no list */
    struct part outside;    /* the algorithm outside of what is signed */
    struct part not_after;
    struct part signature;
};

static struct parts good_parts(void)
{
    return (struct parts){
        .version = BYTES("\xa0\3\2\1\2"),
        .algorithm = ECDSA_256,
        .key = curve_key(P256),
        .outside = ECDSA_256,
        .not_after = BYTES("\x17\x0d"
                           "400101000000Z"),
        .signature = BYTES("\3\3\0\1\2"),
    };
}

static struct part make(const struct parts *parts)
{
    struct part list = {.size = 0};
    if (parts->extensions.size > 0) {
        list = wrap(0xa3, SEQUENCE(parts->extensions));
    }
    return SEQUENCE(SEQUENCE(parts->version, BYTES("\2\1\7"),
                             SEQUENCE(parts->algorithm), name("issuer"),
                             SEQUENCE(BYTES("\x17\x0d"
                                            "200101000000Z"),
                                      parts->not_after),
                             name("sub\nject"), parts->key, list),
                    SEQUENCE(parts->outside), parts->signature);
}

static int read_parts(const struct parts *parts, struct wr_x509 *ret)
{
    static struct part made; /* what is read points into it */
    made = make(parts);
    return wr_x509_read(ret, made.data, made.size);
}

/* Reads the good certificate with these extensions. */
static int read_extended(struct part extensions, struct wr_x509 *ret)
{
    struct parts parts = good_parts();
    parts.extensions = extensions;
    return read_parts(&parts, ret);
}

static struct wr_x509 x509; /* that a test reads */

/* ---- what is read ---- */

UNIT(x509_certificate, one_without_extensions_is_read)
{
    const struct parts parts = good_parts();
    char text[64];
    expect_eq(read_parts(&parts, &x509), 0);
    expect_eq(x509.key.strength, WR_X509_STRONG);
    expect_eq(x509.signature, WR_X509_STRONG);
    cr_assert_not(x509.has_usage || x509.has_purposes || x509.is_authority ||
                  x509.has_unknown);
    wr_x509_write_subject(&x509, text, sizeof(text));
    expect_str_eq(text, "CN=sub?ject");
    wr_x509_write_subject(&x509, text, 16);
    expect_str_eq(text, "CN=sub?ject");
}

UNIT(x509_certificate, extensions_are_read)
{
    expect_ok(read_extended(
        JOIN(extension(15, true, BYTES("\3\2\2\x84")),
             extension(19, true, BYTES("\x30\6\1\1\xff\2\1\0")),
             extension(37, false, SEQUENCE(BYTES("\6\10\x2b\6\1\5\5\7\3\2"))),
             extension(32, true, BYTES("\x30\0")),
             extension(35, false, BYTES("any"))),
        &x509));
    cr_assert(x509.has_usage && x509.has_purposes && x509.is_authority);
    expect_eq(x509.usage, WR_X509_USE_SIGNATURE | WR_X509_USE_CERT_SIGN);
    expect_eq(x509.purposes, WR_X509_FOR_CLIENTS);
    cr_assert_not(x509.has_unknown);
}

UNIT(x509_certificate, any_purpose_is_both)
{
    expect_ok(read_extended(
        extension(37, false, SEQUENCE(BYTES("\6\4\x55\x1d\x25\0"))), &x509));
    expect_eq(x509.purposes, WR_X509_FOR_CLIENTS | WR_X509_FOR_SERVERS);
}

UNIT(x509_certificate, names_are_given_in_turn)
{
    struct wr_bytes one;
    enum wr_x509_name_kind kind;
    expect_ok(
        read_extended(extension(17, false,
                                SEQUENCE(BYTES("\x82\1a"), BYTES("\x81\1b"),
                                         BYTES("\x87\4\1\2\3\4"))),
                      &x509));
    struct wr_bytes names = x509.names;
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_DNS);
    expect_eq(one.size, 1);
    expect_eq(one.data[0], 'a');
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_OTHER);
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_IP);
    expect_eq(one.size, 4);
    cr_assert_not(wr_x509_next_name(&names, &kind, &one));
}

UNIT(x509_certificate, is_for_the_hosts_of_its_names)
{
    expect_ok(
        read_extended(extension(17, false,
                                SEQUENCE(BYTES("\x82\3a.b"), BYTES("\x81\3c.d"),
                                         BYTES("\x87\4\1\2\3\4"))),
                      &x509));
    cr_assert(wr_x509_is_for(&x509, "a.b"));
    cr_assert(wr_x509_is_for(&x509, "A.B"));
    cr_assert(wr_x509_is_for(&x509, "1.2.3.4"));
    cr_assert_not(wr_x509_is_for(&x509, "1.2.3.5"));
    cr_assert_not(wr_x509_is_for(&x509, "c.d"));
    cr_assert_not(wr_x509_is_for(&x509, "b"));
}

UNIT(x509_certificate, names_that_deceive_make_it_malformed)
{
    expect_eq(read_extended(extension(17, false, SEQUENCE(BYTES("\x82\3a\0b"))),
                            &x509),
              -EBADMSG);
    expect_eq(
        read_extended(extension(17, false, SEQUENCE(BYTES("\x87\5\1\2\3\4\5"))),
                      &x509),
        -EBADMSG);
    expect_eq(
        read_extended(extension(17, false, SEQUENCE(BYTES("\x82\3a"))), &x509),
        -EBADMSG);
}

UNIT(x509_certificate, an_unknown_critical_extension_is_told)
{
    expect_eq(read_extended(extension(36, true, BYTES("x")), &x509), 0);
    cr_assert(x509.has_unknown);
    expect_eq(read_extended(extension(36, false, BYTES("x")), &x509), 0);
    cr_assert_not(x509.has_unknown);
    expect_ok(read_extended(SEQUENCE(BYTES("\6\2\x2a\3\1\1\xff\4\0")), &x509));
    cr_assert(x509.has_unknown);
}

UNIT(x509_certificate, constraints_of_names_with_bounds_are_told)
{
    expect_ok(read_extended(
        extension(30, true, SEQUENCE(wrap(0xa0, SEQUENCE(BYTES("\x82\1a"))))),
        &x509));
    cr_assert_not(x509.has_unknown);
    expect_ok(read_extended(
        extension(30, true,
                  SEQUENCE(wrap(0xa1, SEQUENCE(BYTES("\x82\1a\x80\1\1"))))),
        &x509));
    cr_assert(x509.has_unknown);
}

UNIT(x509_certificate, a_length_of_a_path_is_in_its_shortest_form)
{
    const struct part ca = BYTES("\1\1\377");
    expect_ok(read_extended(extension(19, true, SEQUENCE(ca, BYTES("\2\1\0"))),
                            &x509));
    expect_eq(x509.path_len, 0);
    expect_eq(read_extended(
                  extension(19, true, SEQUENCE(ca, BYTES("\2\2\0\0"))), &x509),
              -EBADMSG);
    expect_ok(read_extended(
        extension(19, true, SEQUENCE(ca, BYTES("\2\2\0\x80"))), &x509));
}

UNIT(x509_certificate, an_extension_that_comes_twice_makes_it_malformed)
{
    const struct part usage = extension(15, true, BYTES("\3\2\2\x84"));
    expect_eq(read_extended(JOIN(usage, usage), &x509), -EBADMSG);
}

/* ---- strength ---- */

UNIT(x509_certificate, keys_are_rated)
{
    const struct {
        struct part key;
        enum wr_x509_strength strength;
        enum wr_x509_key_kind kind;
        uint32_t extra_cost;
    } rows[] = {
        {rsa_key(256, "\1\1\1"), WR_X509_STRONG, WR_X509_KEY_RSA, 0},
        {rsa_key(384, "\3"), WR_X509_STRONG, WR_X509_KEY_RSA, 0},
        {rsa_key(255, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(128, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(256, "\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(512, "\1\1\1\1\1\1\1\1"), WR_X509_STRONG, WR_X509_KEY_RSA, 2},
        {rsa_key(256, "\1\1\1\1\1\1\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA,
         2},
        {rsa_key(513, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {curve_key(P256), WR_X509_STRONG, WR_X509_KEY_CURVE, 0},
        {curve_key(BYTES("\x2b\x81\4\0\x22")), WR_X509_STRONG,
         WR_X509_KEY_CURVE, 1},
        {curve_key(BYTES("\x2b\x81\4\0\x23")), WR_X509_STRONG,
         WR_X509_KEY_CURVE, 2},
        {curve_key(BYTES("\x2b\x81\4\0\x21")), WR_X509_WEAK_CURVE,
         WR_X509_KEY_CURVE, 0},
        {curve_key(BYTES("\x2a\x86\x48\xce\x3d\3\1\1")), WR_X509_WEAK_CURVE,
         WR_X509_KEY_CURVE, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\3\x2b\x65\x70")), BYTES("\3\2\0\1")),
         WR_X509_STRONG, WR_X509_KEY_EDWARDS, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\3\x2b\x65\x71")), BYTES("\3\2\0\1")),
         WR_X509_WEAK_ALGORITHM, WR_X509_KEY_OTHER, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\7\x2a\x86\x48\xce\x38\4\1")),
                  BYTES("\3\2\0\1")),
         WR_X509_WEAK_ALGORITHM, WR_X509_KEY_OTHER, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = good_parts();
        parts.key = rows[i].key;
        expect_eq(read_parts(&parts, &x509), 0, "row %zu", i);
        expect_eq(x509.key.strength, rows[i].strength, "row %zu", i);
        expect_eq(x509.key.kind, rows[i].kind, "row %zu", i);
        expect_eq(x509.key.extra_cost, rows[i].extra_cost, "row %zu", i);
    }
}

#define PKCS1 "\6\11\x2a\x86\x48\x86\xf7\x0d\1\1"
#define PSS   BYTES(PKCS1 "\12")

static struct part pss_with(struct part hash)
{
    return JOIN(PSS, SEQUENCE(wrap(0xa0, SEQUENCE(wrap(0x06, hash)))));
}

#define SHA256 BYTES("\x60\x86\x48\1\x65\3\4\2\1")

/* These parameters behind a good hash. */
static struct part pss_and(struct part more)
{
    return JOIN(PSS, SEQUENCE(wrap(0xa0, SEQUENCE(wrap(0x06, SHA256))), more));
}

static struct part pss_mask(struct part more)
{
    return wrap(0xa1,
                JOIN(SEQUENCE(BYTES(PKCS1 "\10"),
                              SEQUENCE(wrap(0x06, SHA256), BYTES("\5\0"))),
                     more));
}

UNIT(x509_certificate, signatures_are_rated)
{
    const struct {
        struct part algorithm;
        enum wr_x509_strength strength;
    } rows[] = {
        {BYTES(PKCS1 "\13\5\0"), WR_X509_STRONG},
        {BYTES(PKCS1 "\15\5\0"), WR_X509_STRONG},
        {BYTES(PKCS1 "\5\5\0"), WR_X509_WEAK_HASH},  /* SHA-1 */
        {BYTES(PKCS1 "\4\5\0"), WR_X509_WEAK_HASH},  /* MD5 */
        {BYTES(PKCS1 "\16\5\0"), WR_X509_WEAK_HASH}, /* SHA-224 */
        {BYTES("\6\7\x2a\x86\x48\xce\x3d\4\1"), WR_X509_WEAK_HASH},
        {BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\1"), WR_X509_WEAK_HASH},
        {BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\4"), WR_X509_STRONG},
        {BYTES("\6\3\x2b\x65\x70"), WR_X509_STRONG},
        {BYTES("\6\3\x2a\x03\x04"), WR_X509_WEAK_ALGORITHM},
        {PSS, WR_X509_WEAK_HASH}, /* without a word: SHA-1 */
        {pss_with(BYTES("\x60\x86\x48\1\x65\3\4\2\1")), WR_X509_STRONG},
        {pss_with(BYTES("\x60\x86\x48\1\x65\3\4\2\4")), WR_X509_WEAK_HASH},
        {pss_and(pss_mask(BYTES(""))), WR_X509_STRONG},
        {pss_and(pss_mask(BYTES("\5\0"))), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa1\7\x30")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa1\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\3\2\1\40")), WR_X509_STRONG},
        {pss_and(BYTES("\xa2\5\2\1\40\5\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\4\2\1\40")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\3\2\1\377")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1")), WR_X509_STRONG},
        {pss_and(BYTES("\xa3\3\2\1\2")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1\5\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1\xa1\0")), WR_X509_WEAK_HASH},
        {JOIN(pss_and(BYTES("")), BYTES("\5\0")), WR_X509_WEAK_HASH},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = good_parts();
        parts.algorithm = parts.outside = rows[i].algorithm;
        expect_eq(read_parts(&parts, &x509), 0, "row %zu", i);
        expect_eq(x509.signature, rows[i].strength, "row %zu", i);
    }
}

/* ---- what is refused ---- */

UNIT(x509_certificate, a_day_that_no_calendar_has_makes_it_malformed)
{
    const struct {
        const char *date;
        int err;
    } rows[] = {
        {"20240229000000Z", 0},        {"20230229000000Z", -EBADMSG},
        {"20000229000000Z", 0},        {"21000229000000Z", -EBADMSG},
        {"20240230000000Z", -EBADMSG}, {"20240430000000Z", 0},
        {"20240431000000Z", -EBADMSG}, {"20241231000000Z", 0},
        {"20241301000000Z", -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = good_parts();
        parts.not_after = wrap(0x18, bytes(rows[i].date, 15));
        expect_eq(read_parts(&parts, &x509), rows[i].err, "%s", rows[i].date);
    }
}

UNIT(x509_certificate, a_signature_is_of_whole_bytes)
{
    const struct part bad[] = {BYTES("\3\0"), BYTES("\3\1\0"),
                               BYTES("\3\3\1\1\2"), BYTES("\3\3\7\1\x80")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct parts parts = good_parts();
        parts.signature = bad[i];
        expect_eq(read_parts(&parts, &x509), -EBADMSG, "row %zu", i);
    }
}

UNIT(x509_certificate, algorithms_that_differ_make_it_malformed)
{
    struct parts parts = good_parts();
    parts.outside = BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\3");
    expect_eq(read_parts(&parts, &x509), -EBADMSG);
}

UNIT(x509_certificate, lengths_that_are_no_der_make_it_malformed)
{
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        {"", 0},
        {"\x30", 1},
        {"\x30\x80\0\0", 4},       /* indefinite */
        {"\x30\x81\1\0", 4},       /* longer than it need be */
        {"\x30\x82\0\x81", 4},     /* as above */
        {"\x30\x84\0\0\0\1\0", 7}, /* beyond all certificates */
        {"\x30\5\0", 3},           /* more than there is */
        {"\x3f\1\0", 3},           /* a tag that goes on */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(
            wr_x509_read(&x509, (const uint8_t *)rows[i].data, rows[i].size),
            -EBADMSG, "row %zu", i);
    }
}

UNIT(x509_certificate, every_cut_and_every_byte_more_makes_it_malformed)
{
    const struct parts parts = good_parts();
    struct part made = make(&parts);
    for (size_t size = 0; size < made.size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, made.data, size);
        expect_eq(wr_x509_read(&x509, copy, size), -EBADMSG);
        free(copy);
    }
    expect_eq(wr_x509_read(&x509, made.data, made.size + 1), -EBADMSG);
}

/* A certificate with all extensions, of which random bytes are changed. */
UNIT(x509_certificate, random_changes_do_no_harm)
{
    struct parts parts = good_parts();
    parts.key = rsa_key(256, "\1\1\1");
    parts.extensions = JOIN(
        extension(15, true, BYTES("\3\2\2\x84")),
        extension(17, false, SEQUENCE(BYTES("\x82\1a"), BYTES("\x81\1b"))),
        extension(19, true, BYTES("\x30\6\1\1\xff\2\1\0")),
        extension(30, true, SEQUENCE(wrap(0xa0, SEQUENCE(BYTES("\x82\1a"))))),
        extension(37, false, SEQUENCE(BYTES("\6\4\x55\x1d\x25\0"))));
    const struct part good = make(&parts);
    struct unit_random random = unit_random_new();
    for (int round = 0; round < 100000; round++) {
        char text[64];
        uint8_t *copy = malloc(good.size); /* so that reading beyond is seen */
        memcpy(copy, good.data, good.size);
        for (uint64_t i = unit_random_below(&random, 4); i < 5; i++) {
            copy[unit_random_below(&random, good.size)] ^=
                (uint8_t)(1u << unit_random_below(&random, 8));
        }
        if (wr_x509_read(&x509, copy, good.size) == 0) {
            enum wr_x509_name_kind kind;
            struct wr_bytes one;
            struct wr_bytes names = x509.names;
            while (wr_x509_next_name(&names, &kind, &one)) {
                cr_assert(one.data >= copy &&
                          one.data + one.size <= copy + good.size);
            }
            wr_x509_write_subject(&x509, text, sizeof(text));
        }
        free(copy);
    }
}
